"""Calibration: against a slow implementation, laws, and errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.metrics import accuracy, expected_calibration_error, reliability

cases = st.tuples(st.integers(1, 40), st.integers(2, 5), st.integers(0, 2**32 - 1), st.integers(1, 20))


def draw(n, n_classes, seed):
    generator = np.random.default_rng(seed)
    return generator.integers(n_classes, size=n), generator.dirichlet(np.ones(n_classes), n)


@given(cases)
def test_it_is_the_mean_gap_of_the_bins(case):
    n, n_classes, seed, n_bins = case
    labels, probabilities = draw(n, n_classes, seed)
    total = 0.0
    for k in range(n_bins):
        low, high = k / n_bins, (k + 1) / n_bins
        inside = [row for row, p in enumerate(probabilities.max(1)) if low < p <= high]
        if inside:
            hit = np.mean([probabilities[row].argmax() == labels[row] for row in inside])
            total += len(inside) / n * abs(probabilities[inside].max(1).mean() - hit)
    assert expected_calibration_error(labels, probabilities, n_bins=n_bins) == pytest.approx(total)


@given(cases)
def test_bins_hold_every_example_once(case):
    n, n_classes, seed, n_bins = case
    labels, probabilities = draw(n, n_classes, seed)
    bins = reliability(labels, probabilities, n_bins=n_bins)
    assert bins.n_examples.sum() == n
    assert len(bins.edges) == n_bins + 1
    full = bins.n_examples > 0
    assert np.isnan(bins.accuracy[~full]).all()
    assert (
        (bins.edges[:-1][full] < bins.confidence[full]) & (bins.confidence[full] <= bins.edges[1:][full] + 1e-12)
    ).all()
    right = (bins.accuracy[full] * bins.n_examples[full]).sum() / n
    assert right == pytest.approx(accuracy(labels, probabilities.argmax(1)))


def test_a_model_that_knows_how_sure_it_is_has_hardly_any_error():
    generator = np.random.default_rng(0)
    probability = generator.uniform(size=50_000)
    labels = (generator.uniform(size=50_000) < probability).astype(int)
    assert expected_calibration_error(labels, probability) < 0.01
    overconfident = np.where(probability > 0.5, 0.99, 0.01)
    assert expected_calibration_error(labels, overconfident) > 0.2


def test_certain_and_right_is_perfect_and_certain_and_wrong_is_the_worst():
    certain = torch.eye(2)
    assert expected_calibration_error([0, 1], certain) == 0
    assert expected_calibration_error([1, 0], certain) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_one_column_of_two_classes_is_enough(column):
    labels = [int(p > 0.3) for p in column]
    both = np.stack([1 - np.array(column), np.array(column)], 1)
    assert expected_calibration_error(labels, column) == pytest.approx(expected_calibration_error(labels, both))


@pytest.mark.parametrize(
    ("labels", "probabilities", "error", "message"),
    [
        ([0, 1], [[2.0, -1.0], [0.0, 1.0]], ValueError, "from 0 to 1, got -1 to 2; take the softmax of scores first"),
        ([0, 1], [[0.2, 0.2], [0.5, 0.5]], ValueError, "must add up to 1 in every row, got 0.4"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], ValueError, "references must be below 2"),
        (["a", "b"], [[0.5, 0.5], [0.5, 0.5]], TypeError, "references must be class numbers"),
        ([0, 1], [[0.5, 0.5]], ValueError, "one row for each of the 2 references"),
        ([0], [np.nan], ValueError, "must be probabilities"),
    ],
)
def test_what_is_no_probability_is_refused(labels, probabilities, error, message):
    with pytest.raises(error, match=message):
        expected_calibration_error(labels, probabilities)


def test_there_must_be_a_bin():
    with pytest.raises(ValueError, match="n_bins must be at least 1"):
        reliability([0], [0.5], n_bins=0)
