"""Intervals and tests: against their formulas, coverage, laws, and errors."""

import math
from functools import partial

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from companion.metrics import accuracy, bootstrap_interval, chrf, f1, mcnemar, paired_bootstrap

answers = st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=2, max_size=60)


def fast(references, predictions):
    return float((np.asarray(references) == np.asarray(predictions)).mean())


def test_the_interval_is_that_of_a_proportion():
    right = np.ones(400, dtype=int)
    given_ = (np.arange(400) % 4 > 0).astype(int)
    value, low, high = bootstrap_interval(fast, right, given_, n_resamples=4000)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert value == 0.75
    assert low == pytest.approx(0.75 - half, abs=0.006)
    assert high == pytest.approx(0.75 + half, abs=0.006)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(60):
        given_ = (generator.uniform(size=150) < 0.7).astype(int)
        _, low, high = bootstrap_interval(fast, np.ones(150, int), given_, n_resamples=300, confidence=0.8, seed=seed)
        hits += low <= 0.7 <= high
    assert scipy.stats.binomtest(hits, 60, 0.8).pvalue > 0.01


@given(answers)
def test_the_same_seed_gives_the_same_bounds_around_the_score(rows):
    right, first, _ = map(list, zip(*rows, strict=True))
    one, two = (bootstrap_interval(fast, right, first, n_resamples=50, seed=3) for _ in range(2))
    assert one == two
    assert 0 <= one.low <= one.high <= 1
    assert one.value == accuracy(right, first)


@given(answers)
def test_swapping_the_systems_turns_the_difference_round(rows):
    right, first, second = map(list, zip(*rows, strict=True))
    one = paired_bootstrap(fast, right, first, second, n_resamples=50)
    other = paired_bootstrap(fast, right, second, first, n_resamples=50)
    assert one.value == pytest.approx(-other.value)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p_value == other.p_value
    assert 0 < one.p_value <= 1


def test_pairing_finds_what_two_intervals_hide():
    generator = np.random.default_rng(1)
    right = np.ones(500, int)
    first = (generator.uniform(size=500) < 0.7).astype(int)
    second = first.copy()
    second[np.flatnonzero(first == 0)[:25]] = 1  # right where the first is, and 25 times more
    apart = [bootstrap_interval(fast, right, one, n_resamples=500) for one in (first, second)]
    difference = paired_bootstrap(fast, right, first, second, n_resamples=500)
    assert apart[0].high > apart[1].low
    assert difference.low > 0
    assert difference.p_value < 0.01


def test_any_score_will_do_on_lists_of_texts():
    right, good, bad = ["a cat", "a dog", "a fox"] * 5, ["a cat", "a dog", "a box"] * 5, ["no", "no", "no"] * 5
    assert paired_bootstrap(partial(chrf, word_order=2), right, bad, good, n_resamples=30).low > 0
    assert bootstrap_interval(partial(f1, average="micro"), right, good, n_resamples=30).value == pytest.approx(2 / 3)


@given(answers)
def test_mcnemar_is_the_toss_of_a_coin(rows):
    right, first, second = map(list, zip(*rows, strict=True))
    only = [sum(a == r != b for r, a, b in rows), sum(b == r != a for r, a, b in rows)]
    test = mcnemar(right, first, second)
    assert [test.only_first, test.only_second] == only
    expected = scipy.stats.binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
    assert test.p_value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bootstrap_interval(0.9, [1, 0], [1, 0]), TypeError, "metric must be a function such as accuracy"),
        (lambda: bootstrap_interval(fast, [1], [1]), ValueError, "at least 2 examples to draw from, got 1"),
        (lambda: bootstrap_interval(fast, [1, 0], [1]), ValueError, "one for each of the 2 references"),
        (lambda: bootstrap_interval(fast, "ab", "ab"), TypeError, "references must be a list"),
        (lambda: bootstrap_interval(fast, [1, 0], [1, 0], confidence=95), ValueError, "such as 0.95, got 95"),
        (lambda: bootstrap_interval(fast, [1, 0], [1, 0], seed=-1), ValueError, "seed must be at least 0"),
        (lambda: paired_bootstrap(fast, [1, 0], [1, 0], [1]), ValueError, "one for each of the 2 references, got 1"),
        (lambda: paired_bootstrap(fast, [1, 0], [1, 0], [1, 0], n_resamples=0), ValueError, "n_resamples must be"),
        (lambda: mcnemar([1, 0], [1, 0], ["1", "0"]), TypeError, "labels of one kind"),
        (lambda: mcnemar([1, 0], [1, 0], [1]), ValueError, "one for each of the 2 references, got 1"),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
