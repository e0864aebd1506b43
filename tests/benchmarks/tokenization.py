"""Byte-level BPE, trained and used, against ``tokenizers``: the same texts, merges and ids, on one thread.

The texts are real, and shuffled so that any first megabytes are the same mixture. English: encyclopaedia articles,
passages, recipes, the King James Bible and the World Factbook. Mixed: these, encyclopaedia articles in French and
Spanish, and as many characters of docstrings of the packages installed here. Chinese: newspaper articles and reviews.

"Cold" is an encoder just loaded, on texts it has never seen, loading included; "warm" is the same texts again. Merges
were learned on other texts of the same kind. The peer is called in the way that was the fastest of its three
(``encode``, ``encode_batch``, ``encode_batch_fast``; one long text by ``encode``), and keeps its own cache of words at
its default size.
"""

import functools
import json
import os
import random
import re
import sysconfig
from pathlib import Path

from companion.data.loading import rows_of
from companion.tokenization import ByteLevelBPE
from tests.benchmarks.measure import Benchmark

# Before tokenizers starts its threads; the clock counts the CPU seconds of all threads anyway.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

MEGABYTE = 1_000_000
VOCAB_SIZE = 256 + 8192
ENGLISH = ("wiki", "boolq", "recipes", "kjv", "factbook")
OTHERS = ("wiki_fr", "wiki_es")
CHINESE = ("zh_news", "zh_reviews")


def docstrings():
    """Return what stands between triple quotes in the installed packages, without repetitions."""
    found = {}
    for path in sorted(Path(sysconfig.get_path("purelib")).rglob("*.py")):
        source = path.read_text(encoding="utf-8", errors="ignore")
        found |= dict.fromkeys(re.findall(r'"""(.{80,}?)"""', source, re.DOTALL))
    return list(found)


def read(names):
    return [row["text"] for name in names for row in rows_of(name)]


def shuffled(texts):
    random.Random(0).shuffle(texts)
    return texts


@functools.cache
def english():
    return shuffled(read(ENGLISH))


@functools.cache
def chinese():
    return shuffled(read(CHINESE))


@functools.cache
def mixture():
    """Prose, and about as many characters of docstrings."""
    prose = read(ENGLISH + OTHERS)
    return shuffled(prose + first_bytes(shuffled(docstrings()), sum(map(len, prose))))


def first_bytes(texts, size, skip=0):
    """Return the texts between ``skip`` and ``skip + size`` bytes of UTF-8."""
    chosen, seen = [], 0
    for text in texts:
        if skip <= seen < skip + size:
            chosen.append(text)
        seen += len(text.encode())
    if seen < skip + size:
        raise ValueError(f"only {seen / MEGABYTE:.1f} MB of text here, {(skip + size) / MEGABYTE:.1f} MB are needed")
    return chosen


def train_theirs(texts):
    """Train the tokenizer of ``tokenizers`` that corresponds to ours."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    return tokenizer


def train_ours(texts):
    return ByteLevelBPE.train(texts, VOCAB_SIZE)


def training(megabytes):
    """Both trainers on the same texts, and the same merges learned."""
    texts = first_bytes(mixture(), megabytes * MEGABYTE)
    theirs = json.loads(train_theirs(texts).to_str())["model"]
    assert theirs["vocab"] == train_ours(texts).vocab, "the two trainers do not learn the same"
    return (lambda: train_ours(texts)), (lambda: train_theirs(texts))


@functools.cache
def trained(texts, megabytes):
    return train_ours(first_bytes(texts(), megabytes * MEGABYTE))


def encode_theirs(tokenizer, texts):
    if len(texts) == 1:
        return [tokenizer.encode(texts[0]).ids]
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def encoding(texts, megabytes, warm, as_one=False):
    """Both encoders with merges of the first megabytes, on texts behind them."""
    unseen = first_bytes(texts(), megabytes * MEGABYTE, skip=megabytes * MEGABYTE)
    if as_one:
        unseen = ["\n".join(unseen)]
    content = {"version": "1.0", "added_tokens": [], **trained(texts, megabytes).to_json()}
    serialized = json.dumps(content)
    ours, theirs = ByteLevelBPE.from_json(content), Tokenizer.from_str(serialized)
    assert ours.encode_batch(unseen) == encode_theirs(theirs, unseen), "the two encoders do not give the same ids"
    if warm:
        return (lambda: ours.encode_batch(unseen)), (lambda: encode_theirs(theirs, unseen))
    return (
        lambda: ByteLevelBPE.from_json(content).encode_batch(unseen),
        lambda: encode_theirs(Tokenizer.from_str(serialized), unseen),
    )


BENCHMARKS = (
    [
        Benchmark(
            name=f"tokenization, training on {megabytes} MB",
            peer="tokenizers BpeTrainer, 8,192 merges",
            target=target,
            prepare=functools.partial(training, megabytes),
        )
        for megabytes, target in {10: 1.0, 50: 1.3}.items()
    ]
    + [
        Benchmark(
            name=f"tokenization, encoding {megabytes} MB, {kind}, {temperature}",
            peer="tokenizers encode_batch",
            target=target,
            prepare=functools.partial(encoding, texts, megabytes, temperature == "warm"),
        )
        for kind, texts, megabytes, targets in (
            ("English", english, 10, {"cold": 2.2, "warm": 4.5}),
            ("mixed", mixture, 10, {"cold": 2.2, "warm": 4.5}),
            # Without spaces there are few pieces to remember: most of the work is theirs and ours alike.
            ("Chinese", chinese, 4, {"cold": 1.0, "warm": 1.0}),
        )
        for temperature, target in targets.items()
    ]
    + [
        Benchmark(
            name=f"tokenization, encoding one text of 10 MB, {kind}, {temperature}",
            peer="tokenizers encode",
            target=target,
            prepare=functools.partial(encoding, texts, 10, temperature == "warm", as_one=True),
        )
        for kind, texts in {"English": english, "mixed": mixture}.items()
        for temperature, target in {"cold": 2.2, "warm": 4.5}.items()
    ]
)
