"""Small made-up texts with awkward sizes, and one of many words for what must be learnt."""

import random

from companion.embeddings import Vocabulary


def sentences(n=17, longest=23, n_words=29, seed=0):
    """Draw ragged sentences, some of them empty, with words that are far from equally frequent."""
    draw = random.Random(seed)
    words = [f"w{i}" for i in range(n_words)]
    weights = [1 / (i + 1) for i in range(n_words)]
    return [draw.choices(words, weights, k=draw.randrange(longest + 1)) for _ in range(n)]


def corpus(seed=0, min_count=1, **sizes):
    text = sentences(seed=seed, **sizes)
    return Vocabulary.count(text, min_count=min_count).encode(text)


def two_topics(n=600, seed=0):
    """Draw sentences about one of two topics, each with ten words of its own and five in common."""
    draw = random.Random(seed)
    topics = [[f"{name}{i}" for i in range(10)] for name in ("sea", "sky")]
    common = [f"common{i}" for i in range(5)]
    return [draw.choices(draw.choice(topics) + common, k=13) for _ in range(n)]
