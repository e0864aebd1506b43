"""Calibration: whether a model that is sure to 80 percent is right 80 times of 100."""

from typing import Any, NamedTuple

import numpy as np

from companion._validation import describe, require_count, requires
from companion.metrics._checks import as_array, as_probabilities
from companion.metrics.classification import Labels, Numbers


class Reliability(NamedTuple):
    """What a reliability plot shows; one element a bin, and NaN where a bin has no example."""

    edges: np.ndarray
    """The borders of the bins, one more than there are bins; a bin has its upper border."""
    confidence: np.ndarray
    """The mean probability that the model gave to the labels it predicted."""
    accuracy: np.ndarray
    """The share of them that was right."""
    n_examples: np.ndarray
    """How many examples."""


def _check(references: Any, probabilities: Any, *, n_bins: Any = 15) -> None:
    require_count("n_bins", n_bins)
    labels = as_array("references", references)
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise TypeError(f"references must be class numbers from 0, one an example, got {describe(references)[:80]}")
    array = as_probabilities("probabilities", probabilities, len(labels))
    if labels.min() < 0 or labels.max() >= array.shape[1]:
        raise ValueError(
            f"references must be below {array.shape[1]}, the number of classes that probabilities has, "
            f"got {labels.min()} to {labels.max()}"
        )


@requires(_check)
def reliability(references: Labels, probabilities: Numbers, *, n_bins: int = 15) -> Reliability:
    """Sort the predictions into bins by their probability, and compare it with how often they were right.

    Parameters
    ----------
    references
        The classes as numbers from 0.
    probabilities
        Of each class, one row an example; or of class 1 alone when there are two.
    n_bins
        Into how many equal parts the line from 0 to 1 is cut.

    Raises
    ------
    TypeError, ValueError
        If these are no probabilities, or a class has none.

    References
    ----------
    Guo et al. (2017), On Calibration of Modern Neural Networks, section 2.
    """
    labels = as_array("references", references).astype(np.int64)
    array = as_probabilities("probabilities", probabilities, len(labels))
    confidence, right = array.max(1), array.argmax(1) == labels
    edges = np.linspace(0, 1, n_bins + 1)
    position = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    n_examples = np.bincount(position, minlength=n_bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: an empty bin has no mean
        mean_confidence = np.bincount(position, weights=confidence, minlength=n_bins) / n_examples
        accuracy = np.bincount(position, weights=right, minlength=n_bins) / n_examples
    return Reliability(edges, mean_confidence, accuracy, n_examples)


@requires(_check)
def expected_calibration_error(references: Labels, probabilities: Numbers, *, n_bins: int = 15) -> float:
    """Return by how much, on the mean, the model's probabilities miss the shares that were right.

    Parameters
    ----------
    references, probabilities, n_bins
        As in :func:`reliability`.

    Raises
    ------
    TypeError, ValueError
        If these are no probabilities, or a class has none.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning. Guo et al.
    (2017), On Calibration of Modern Neural Networks, equation 3.
    """
    bins = reliability(references, probabilities, n_bins=n_bins)
    gaps = np.nan_to_num(np.abs(bins.confidence - bins.accuracy))
    return float((bins.n_examples * gaps).sum() / bins.n_examples.sum())
