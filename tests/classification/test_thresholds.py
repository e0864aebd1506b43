"""The threshold that costs least: none costs less, whatever is tried, and calibration tells it beforehand."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from companion.applications import choose_threshold

costs = st.sampled_from([0.0, 0.25, 1.0, 3.0, 20.0])
rows = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.50001, 0.9, 1.0])), min_size=1, max_size=12
)


def cost_at(threshold, labels, chances, false_positive, false_negative):
    wrong_yes = sum(chance >= threshold and not label for label, chance in zip(labels, chances, strict=True))
    wrong_no = sum(chance < threshold and label for label, chance in zip(labels, chances, strict=True))
    return false_positive * wrong_yes + false_negative * wrong_no, wrong_yes, wrong_no


@settings(max_examples=200)
@given(rows, costs, costs)
@example([(False, 1.0)], 1.0, 1.0)
@example([(True, 0.0)], 1.0, 1.0)
def test_no_other_threshold_costs_less_and_what_is_told_is_so(rows, false_positive, false_negative):
    labels, chances = [label for label, _ in rows], [chance for _, chance in rows]
    if not false_positive and not false_negative:
        return
    found = choose_threshold(labels, chances, cost_false_positive=false_positive, cost_false_negative=false_negative)
    told = cost_at(found.threshold, labels, chances, false_positive, false_negative)
    assert told == pytest.approx((found.cost, found.false_positives, found.false_negatives))
    for threshold in (0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.500005, 0.6, 0.9, 0.95, 1.0, math.inf):
        cost = cost_at(threshold, labels, chances, false_positive, false_negative)[0]
        assert found.cost <= cost + 1e-9
        if cost == pytest.approx(found.cost):  # of equals the nearest to what calibration says
            wanted = false_positive / (false_positive + false_negative)
            nearest = abs(found.threshold - wanted)
            steps = [0.0, 0.1, 0.25, 0.5, 0.50001, 0.9, 1.0]
            assert nearest <= abs(threshold - wanted) + max(np.diff(steps))


@pytest.mark.parametrize(("false_positive", "false_negative"), [(1.0, 1.0), (4.0, 1.0), (1.0, 9.0)])
def test_where_probabilities_are_calibrated_the_costs_alone_tell_it(false_positive, false_negative):
    source = np.random.default_rng(0)
    chances = source.random(200_000)
    labels = source.random(200_000) < chances
    found = choose_threshold(labels, chances, cost_false_positive=false_positive, cost_false_negative=false_negative)
    assert found.threshold == pytest.approx(false_positive / (false_positive + false_negative), abs=0.02)


def test_where_no_error_is_needed_the_costs_choose_among_the_thresholds_between():
    labels, chances = [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]
    for false_positive, expected in ((1.0, 0.5), (3.0, 0.75), (99.0, 0.5)):
        found = choose_threshold(labels, chances, cost_false_positive=false_positive, cost_false_negative=1.0)
        assert found == (pytest.approx(expected), 0.0, 0, 0)


def test_never_and_always_are_thresholds_too():
    assert choose_threshold([0, 0], [0.3, 1.0], cost_false_positive=1.0, cost_false_negative=1.0).threshold == math.inf
    assert choose_threshold([1, 1], [0.0, 0.3], cost_false_positive=1.0, cost_false_negative=1.0).threshold == 0.0


@pytest.mark.parametrize(
    ("labels", "chances", "options", "error", "message"),
    [
        (["a", "b"], [0.1, 0.2], {}, TypeError, "labels must be a list with 1 or True"),
        ([0, 2], [0.1, 0.2], {}, TypeError, "labels must be a list with 1 or True"),
        ([0, 1], [0.1], {}, ValueError, "probabilities must be those of the positive class, one for each of the 2"),
        ([0, 1], [[0.1, 0.9], [0.2, 0.8]], {}, ValueError, "probabilities must be those of the positive class"),
        ([0, 1], [0.1, 1.2], {}, ValueError, "probabilities must be from 0 to 1, got 0.1 to 1.2"),
        ([0, 1], [0.1, math.nan], {}, ValueError, "probabilities must be from 0 to 1"),
        ([], [], {}, (TypeError, ValueError), "labels must"),
        ([0, 1], [0.1, 0.2], {"cost_false_positive": -1.0}, ValueError, "cost_false_positive must be at least 0"),
        ([0, 1], [0.1, 0.2], {"cost_false_negative": math.inf}, ValueError, "cost_false_negative must be finite"),
        ([0, 1], [0.1, 0.2], {"cost_false_positive": 0.0, "cost_false_negative": 0.0}, ValueError, "without cost"),
    ],
)
def test_what_is_no_example_or_no_cost_is_refused(labels, chances, options, error, message):
    with pytest.raises(error, match=message):
        choose_threshold(labels, chances, **{"cost_false_positive": 1.0, "cost_false_negative": 1.0} | options)
