"""Scores against scipy, intervals that cover as often as they say, and answers against a loop."""

import warnings

import numpy as np
import pytest
import scipy.stats

from companion.embeddings import WordVectors, analogy_score, similarity_difference, similarity_score
from companion.embeddings.evaluation import spearman

N_WORDS, D_MODEL = 101, 7


def vectors(seed=0, noise=0.0):
    matrix = np.random.default_rng(3).normal(size=(N_WORDS, D_MODEL))
    matrix += noise * np.random.default_rng(seed).normal(size=matrix.shape)
    return WordVectors([f"w{i}" for i in range(N_WORDS)], matrix)


def pairs(n=151, noise=0.3, seed=0):
    """Draw pairs, and people who see the cosines of :func:`vectors` through noise, in ten steps as on a form."""
    random, v = np.random.default_rng(seed), vectors()
    drawn = []
    for _ in range(n):
        a, b = (f"w{i}" for i in random.choice(N_WORDS, 2, replace=False))
        drawn.append((a, b, float(np.round(5 * v.similarity(a, b) + 5 * noise * random.normal()))))
    return drawn


def equal_vectors():
    return WordVectors(vectors().words, np.ones((N_WORDS, D_MODEL)))


def test_value_is_scipys_spearman():
    given = pairs()
    cosines = [vectors().similarity(a, b) for a, b, _ in given]
    expected = scipy.stats.spearmanr(cosines, [score for *_, score in given]).statistic
    score = similarity_score(vectors(), given, resamples=100)
    assert score.value == pytest.approx(expected, abs=1e-12)
    assert score.low < score.value < score.high
    assert (score.n, score.n_missing) == (151, 0)


def test_ties_and_axes_are_handled_as_scipy_does():
    x, y = np.random.default_rng(0).integers(0, 4, size=(2, 3, 17)).astype(float)
    expected = [scipy.stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(spearman(x, y, axis=-1), expected, rtol=1e-12)
    np.testing.assert_allclose(spearman(x.T, y.T, axis=0), expected, rtol=1e-12)


def test_pairs_without_vectors_are_left_out_and_counted():
    given = pairs()
    score = similarity_score(vectors(), [*given, ("w1", "unknown", 3.0), ("no", "no", 1.0)], resamples=100)
    assert (score.n, score.n_missing) == (151, 2)
    assert score.value == similarity_score(vectors(), given, resamples=100).value


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth = similarity_score(vectors(), pairs(n=20_000), resamples=100).value
    scores = [similarity_score(vectors(), pairs(seed=seed), resamples=100) for seed in range(1, 61)]
    covered = sum(score.low <= truth <= score.high for score in scores)
    assert 52 <= covered <= 60  # 57 expected, with a standard deviation of 1.7


def test_the_same_seed_gives_the_same_interval():
    first, second, other = (similarity_score(vectors(), pairs(), resamples=100, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert (first.low, first.high) != (other.low, other.high)
    assert first.value == other.value


def test_a_difference_is_the_difference_and_narrower_than_two_intervals():
    better, worse, given = vectors(noise=0.1), vectors(noise=0.5, seed=1), pairs(n=331)
    difference = similarity_difference(better, worse, given, resamples=500)
    first, second = (similarity_score(v, given, resamples=500) for v in (better, worse))
    assert difference.value == pytest.approx(first.value - second.value, abs=1e-12)
    assert 0 < difference.low < difference.high < first.high - second.low
    nothing = similarity_difference(better, better, given, resamples=100)
    assert nothing.value == nothing.low == nothing.high == 0


def test_a_score_can_be_read():
    assert str(similarity_score(vectors(), [*pairs(), ("no", "no", 1.0)], resamples=100)).endswith("] on 151 of 152")


def questions(n=97, seed=0):
    random = np.random.default_rng(seed)
    return [tuple(f"w{i}" for i in random.choice(13, 4, replace=False)) for _ in range(n)]


def test_share_of_right_answers_is_that_of_asking_one_by_one(monkeypatch):
    v = vectors(noise=0.1)
    first_answers = [(a, b, c, v.analogy(a, b, c, n=1)[0][0]) for a, b, c, _ in questions()]
    asked = [*questions(seed=1), *first_answers]
    right = sum(v.analogy(a, b, c, n=1)[0][0] == d for a, b, c, d in asked)
    monkeypatch.setattr("companion.embeddings.evaluation.SCORES_AT_ONCE", 5 * N_WORDS)  # five questions at a time
    score = analogy_score(v, [*asked, ("w1", "w2", "w3", "unknown")], resamples=100)
    assert score.value == pytest.approx(right / len(asked))
    assert 0.5 <= score.value < 0.6
    assert score.low < score.value < score.high
    assert (score.n, score.n_missing) == (194, 1)


def test_questions_that_share_a_pair_are_resampled_together():
    v = vectors()
    answer = v.analogy("w0", "w1", "w2", n=1)[0][0]
    wrong = v.analogy("w3", "w4", "w5", n=2)[1][0]
    many = [("w0", "w1", "w2", answer)] * 50 + [("w3", "w4", "w5", wrong)] * 50
    score = analogy_score(v, many, resamples=200)
    assert (score.low, score.value, score.high) == (0.0, 0.5, 1.0)


def test_perfect_answers_have_an_interval_of_no_width_and_no_warning():
    v = vectors()
    right = [(a, b, c, v.analogy(a, b, c, n=1)[0][0]) for a, b, c, _ in questions()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = analogy_score(v, right, resamples=100)
    assert score.low == score.value == score.high == 1.0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: similarity_score(vectors(), [("no", "w1", 1.0)]), "three pairs or more .* got 0 of 1"),
        (lambda: similarity_score(vectors(), []), "got 0 of 0"),
        (lambda: similarity_score(vectors(), pairs(), resamples=10), "resamples must be at least 100"),
        (lambda: similarity_score(vectors(), pairs(), seed=-1), "seed must be at least 0"),
        (lambda: similarity_score(vectors(), [(a, b, 1.0) for a, b, _ in pairs()]), "the same score"),
        (lambda: similarity_score(vectors(), [("w0", "w1")] * 3), "two words and a score, got"),
        (lambda: similarity_score(vectors(), [*pairs(), ("w0", "w1", np.nan)]), "score of a pair must be finite"),
        (lambda: similarity_score(equal_vectors(), pairs()), "same cosine for all; were they trained"),
        (lambda: analogy_score(vectors(), [("w0", "w1", "w2")] * 3), "four words, got"),
        (lambda: analogy_score(vectors(), ["abcd", "bcde"]), "four words, got 'abcd'"),
        (lambda: analogy_score(vectors(), []), "two pairs"),
        (lambda: analogy_score(vectors(), [("w0", "w1", "w2", "w3")]), "got 1 from 1 questions"),
    ],
)
def test_bad_input_is_named(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: similarity_score({"w0": 1}, pairs()), "vectors must be WordVectors, got {'w0': 1}"),
        (lambda: similarity_difference(vectors(), None, pairs()), "vectors must be WordVectors, got None"),
        (lambda: similarity_score(vectors(), 5), "must be a list of tuples, got 5"),
        (lambda: similarity_score(vectors(), [("w0", 1, 1.0)]), "must begin with two words"),
        (lambda: similarity_score(vectors(), [("w0", "w1", "7")]), "score of a pair must be a number, got '7'"),
        (lambda: analogy_score(vectors(), "w0 w1 w2 w3"), "must be a list of tuples"),
        (lambda: analogy_score(vectors(), [("w0", "w1", "w2", 3)]), "four words"),
    ],
)
def test_wrong_types_are_named(ask, message):
    with pytest.raises(TypeError, match=message):
        ask()


def test_three_pairs_have_an_interval_of_numbers():
    score = similarity_score(vectors(), [("w0", "w1", 1.0), ("w2", "w3", 2.0), ("w0", "w3", 3.0)])
    assert -1 <= score.low <= score.value <= score.high <= 1


def test_questions_may_be_lists():
    v = vectors()
    assert analogy_score(v, [list(q) for q in questions()]) == analogy_score(v, questions())
