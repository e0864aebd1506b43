"""The threshold of a decision: where to say yes when the two errors do not cost the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from companion._validation import describe, require_finite, requires


class Threshold(NamedTuple):
    """From which probability on to say yes, and what that costs on the examples it was chosen on."""

    threshold: float
    """Say yes where the probability is at least this; infinity to say it never."""
    cost: float
    """Of all errors together."""
    false_positives: int
    """How often yes is said and wrong."""
    false_negatives: int
    """How often yes is right and not said."""


def _arrays(labels: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    positive, chances = np.asarray(labels), np.asarray(probabilities)
    if positive.ndim != 1 or positive.dtype.kind not in "biu" or not np.isin(positive, (0, 1)).all():
        raise TypeError(
            f"labels must be a list with 1 or True for each positive example and 0 or False for the others, got "
            f"{describe(labels)[:200]}"
        )
    if chances.shape != positive.shape or chances.dtype.kind not in "fiu":
        raise ValueError(
            f"probabilities must be those of the positive class, one for each of the {len(positive)} labels, got "
            f"{describe(probabilities)[:200]}"
        )
    if not len(positive):
        raise ValueError("labels must hold at least one example, got none")
    if not ((chances >= 0) & (chances <= 1)).all():  # NaN is neither
        raise ValueError(f"probabilities must be from 0 to 1, got {chances.min()} to {chances.max()}")
    return positive.astype(bool), chances.astype(np.float64)


def _check(labels: Any, probabilities: Any, *, cost_false_positive: Any, cost_false_negative: Any) -> None:
    _arrays(labels, probabilities)
    costs = {"cost_false_positive": cost_false_positive, "cost_false_negative": cost_false_negative}
    for name, value in costs.items():
        require_finite(name, value)
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    if not any(costs.values()):
        raise ValueError("cost_false_positive or cost_false_negative must be above 0: without cost all is the same")


@requires(_check)
def choose_threshold(
    labels: Sequence[bool] | Sequence[int] | np.ndarray,
    probabilities: Sequence[float] | np.ndarray,
    *,
    cost_false_positive: float,
    cost_false_negative: float,
) -> Threshold:
    """Find the threshold at which the errors on these examples cost least in all.

    Where probabilities are calibrated, the best one is known beforehand: the cost of a false positive divided by the
    sum of both costs. Of thresholds that cost the same here, it is the one nearest to that.

    Parameters
    ----------
    labels
        1 or True for each example that is positive, 0 or False for the others; of examples that the classifier was
        not trained on, nor will be tested on.
    probabilities
        How likely the classifier found each to be positive.
    cost_false_positive, cost_false_negative
        What it costs to say yes wrongly, and not to say it where it is right.

    Raises
    ------
    TypeError, ValueError
        If these are no labels, probabilities or costs, or not as many.

    References
    ----------
    Elkan (2001), The Foundations of Cost-Sensitive Learning, section 2.
    """
    positive, chances = _arrays(labels, probabilities)
    values, places = np.unique(chances, return_inverse=True)
    n_positive = np.bincount(places, weights=positive, minlength=len(values))
    n_negative = np.bincount(places, weights=~positive, minlength=len(values))
    # Element i is for a threshold above the first i values: these positives are missed, those negatives not taken.
    missed = np.concatenate([[0.0], n_positive.cumsum()])
    taken = n_negative.sum() - np.concatenate([[0.0], n_negative.cumsum()])
    costs = cost_false_positive * taken + cost_false_negative * missed
    expected = cost_false_positive / (cost_false_positive + cost_false_negative)
    cheapest = np.flatnonzero(costs <= costs.min() * (1 + 1e-12))
    nearest = min(((i, _between(values, int(i), expected)) for i in cheapest), key=lambda one: abs(one[1] - expected))
    at, threshold = nearest
    return Threshold(threshold, float(costs[at]), round(taken[at]), round(missed[at]))


def _between(values: np.ndarray, i: int, wanted: float) -> float:
    """Return a threshold above the first i values and not above the next: the wanted one, or the one half way."""
    low = values[i - 1] if i else -math.inf
    high = values[i] if i < len(values) else math.inf
    if low < wanted <= high:
        return float(wanted)
    if i == 0:
        return 0.0
    if i == len(values):
        return float((low + 1) / 2) if low < 1 else math.inf
    middle = float((low + high) / 2)
    return middle if low < middle else float(high)  # neighbours in floating point have nothing between them
