"""The embeddings lab's references are what nltk, gensim, scipy and plain counting compute elsewhere."""

import math
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st
from nltk.util import skipgrams
from scipy.stats import spearmanr

from companion.exercises.embeddings import EXERCISES
from companion.exercises.mistakes.embeddings import article_formula

REFERENCE = {exercise.name: exercise.reference for exercise in EXERCISES if not exercise.manual}

words = st.lists(st.sampled_from(["stir", "the", "soup", "汤", "."]), max_size=13)
windows = st.integers(1, 17)
seeds = st.integers(0, 2**31 - 1)


def drawn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def keyed(vectors):
    """The same vectors in gensim, each word named by its row."""
    model = KeyedVectors(vectors.shape[1])
    model.add_vectors([str(row) for row in range(len(vectors))], vectors.numpy())
    return model


@given(words=words, window=windows)
def test_the_pairs_are_nltks_skipgrams_in_both_directions(words, window):
    forward = list(skipgrams(words, 2, window - 1))
    expected = Counter(forward) + Counter((near, centre) for centre, near in forward)
    assert Counter(REFERENCE["skip_gram_pairs"](words, window)) == expected


@given(words=words, window=windows)
def test_the_centres_of_the_pairs_come_in_the_order_of_the_text(words, window):
    centres = [centre for centre, _ in REFERENCE["skip_gram_pairs"]([f"{i:02}" for i in range(len(words))], window)]
    assert centres == sorted(centres)


@given(ids=st.lists(st.integers(0, 6), min_size=1, max_size=29), window=windows)
def test_the_counts_are_those_of_a_loop(ids, window):
    expected = torch.zeros(7, 7, dtype=torch.float64)
    for i, first in enumerate(ids):
        for j in range(max(0, i - window), min(len(ids), i + window + 1)):
            if i != j:
                expected[first, ids[j]] += 1 / abs(i - j)
    torch.testing.assert_close(REFERENCE["cooccurrence_matrix"](torch.tensor(ids), 7, window), expected.float())


@given(seed=seeds, scale=st.sampled_from([0.0, 1.0, 40.0]))
def test_the_loss_of_negative_sampling_is_its_formula(seed, scale):
    centre, context, negatives = (
        scale * drawn(seed + i, *shape) for i, shape in enumerate([(5, 3), (5, 3), (5, 7, 3)])
    )
    losses = [
        -F.logsigmoid(c.dot(o)) - sum(F.logsigmoid(-c.dot(n)) for n in drawn_words)
        for c, o, drawn_words in zip(centre, context, negatives, strict=True)
    ]
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(REFERENCE["negative_sampling_loss"](centre, context, negatives), expected)


@given(seed=seeds, x_max=st.sampled_from([0.5, 10.0, 1e4]), alpha=st.sampled_from([0.0, 0.75, 1.0]))
def test_the_loss_of_glove_is_a_weighted_sum_of_squares(seed, x_max, alpha):
    w, w_context, b, b_context = (drawn(seed + i, *shape) for i, shape in enumerate([(5, 3), (5, 3), (5,), (5,)]))
    counts = drawn(seed + 4, 5, 5).exp() * (drawn(seed + 5, 5, 5) > 0)
    scores = w @ w_context.T + b[:, None] + b_context
    weight = torch.where(counts > 0, (counts / x_max).clamp(max=1) ** alpha, 0.0)
    target = torch.where(counts > 0, counts, 1.0).log()
    expected = (weight * F.mse_loss(scores, target, reduction="none")).sum()
    torch.testing.assert_close(REFERENCE["glove_loss"](w, w_context, b, b_context, counts, x_max, alpha), expected)


@given(seed=seeds)
def test_the_nearest_words_are_gensims(seed):
    vectors = drawn(seed, 13, 5) * drawn(seed + 1, 13, 1).exp()
    expected = keyed(vectors).most_similar("7", topn=6)
    indices, similarities = REFERENCE["most_similar"](vectors, 7, 6)
    assert [str(index) for index in indices.tolist()] == [word for word, _ in expected]
    torch.testing.assert_close(similarities, torch.tensor([value for _, value in expected], dtype=torch.float64))


@given(seed=seeds)
def test_the_answers_to_analogies_are_gensims(seed):
    vectors = drawn(seed, 17, 5) * drawn(seed + 1, 17, 1).exp()
    questions = drawn(seed + 2, 11, 17).argsort(dim=-1)[:, :3]
    model = keyed(vectors)
    expected = [model.most_similar([str(b), str(c)], [str(a)], topn=1)[0][0] for a, b, c in questions.tolist()]
    assert [str(answer) for answer in REFERENCE["analogy"](vectors, *questions.T).tolist()] == expected


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=23))
def test_the_rank_correlation_is_scipys(pairs):
    x, y = torch.tensor(pairs, dtype=torch.float64).T
    if len(x.unique()) > 1 and len(y.unique()) > 1:
        assert REFERENCE["spearman"](x, y).item() == pytest.approx(spearmanr(x, y).statistic)


def test_the_formula_of_article_001_takes_no_notice_of_which_words_stand_together():
    """Two texts with the same words and other pairs have the same value by it, and other losses by GloVe's."""
    w, w_context, b, b_context = (drawn(i, *shape) for i, shape in enumerate([(4, 3), (4, 3), (4,), (4,)]))
    together = torch.tensor([[0.0, 4, 1, 1], [4, 0, 1, 1], [1, 1, 0, 4], [1, 1, 4, 0]], dtype=torch.float64)
    apart = torch.tensor([[0.0, 1, 4, 1], [1, 0, 1, 4], [4, 1, 0, 1], [1, 4, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(article_formula(w, w_context, together), article_formula(w, w_context, apart))
    losses = [REFERENCE["glove_loss"](w, w_context, b, b_context, x, 10.0, 0.7).item() for x in (together, apart)]
    assert not math.isclose(*losses, rel_tol=1e-3)
