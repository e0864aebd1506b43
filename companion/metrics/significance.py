"""Whether a difference is more than chance: intervals by the bootstrap (SciPy's), and McNemar's test (statsmodels')."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from companion._optional import optional_import
from companion._validation import describe, require_count, require_finite, requires
from companion.metrics._checks import as_array, as_labels, require_as_many
from companion.metrics.classification import Labels

Metric = Callable[[Any, Any], float]


class Interval(NamedTuple):
    """A score, and between which bounds it would fall on other examples of the same kind."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """The second system's score minus the first's, with its interval and p-value."""

    value: float
    low: float
    high: float
    p_value: float
    """How often chance alone would make a difference as large."""


class McNemar(NamedTuple):
    """McNemar's test of two systems on the same examples."""

    only_first: int
    """How many examples the first alone has right."""
    only_second: int
    """How many the second alone has right."""
    p_value: float
    """How often chance alone would make these as unequal."""


def _check_options(confidence: Any, n_resamples: Any, seed: Any) -> None:
    require_finite("confidence", confidence)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, such as 0.95, got {confidence}")
    require_count("n_resamples", n_resamples)
    require_count("seed", seed, minimum=0)


def _check_metric(metric: Any, references: Any, *others: Any) -> None:
    if not callable(metric):
        raise TypeError(f"metric must be a function such as accuracy, got {describe(metric)}")
    for name, values in (("references", references), *(("predictions", other) for other in others)):
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TypeError(f"{name} must be a list, an array or a tensor, got {describe(values)}")
    for other in others:
        require_as_many(references, other)
    if len(references) < 2:
        raise ValueError(f"references must hold at least 2 examples to draw from, got {len(references)}")


def _check_interval(
    metric: Any, references: Any, predictions: Any, *, confidence: Any = 0.95, n_resamples: Any = 2000, seed: Any = 0
) -> None:
    _check_metric(metric, references, predictions)
    _check_options(confidence, n_resamples, seed)


def _check_difference(
    metric: Any,
    references: Any,
    first: Any,
    second: Any,
    *,
    confidence: Any = 0.95,
    n_resamples: Any = 2000,
    seed: Any = 0,
) -> None:
    _check_metric(metric, references, first, second)
    _check_options(confidence, n_resamples, seed)


@requires(_check_interval)
def bootstrap_interval(
    metric: Metric,
    references: Any,
    predictions: Any,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return a score with its interval: the score of many test sets, drawn from this one with replacement.

    Parameters
    ----------
    metric
        From references and predictions to a number, such as :func:`accuracy` or a ``functools.partial`` of
        :func:`bleu`.
    references, predictions
        What it takes, one element an example.
    confidence
        The share of the drawn scores that lies between the bounds.
    n_resamples
        How many test sets to draw.
    seed
        Of the drawing.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two examples, or a number is out of range.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """

    def score(rows: np.ndarray) -> float:
        return metric(_take(references, rows), _take(predictions, rows))

    bounds = _bootstrap(score, len(references), confidence, n_resamples, seed).confidence_interval
    return Interval(float(metric(references, predictions)), float(bounds.low), float(bounds.high))


@requires(_check_difference)
def paired_bootstrap(
    metric: Metric,
    references: Any,
    first: Any,
    second: Any,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Compare two systems on the same examples: both are scored on every drawn test set.

    The interval is narrower than those of the two scores suggest, because an example that is hard is hard for both.

    Parameters
    ----------
    metric
        From references and predictions to a number.
    references
        What is right, one element an example.
    first, second
        What the two systems predicted.
    confidence, n_resamples, seed
        As in :func:`bootstrap_interval`.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two examples, or a number is out of range.

    References
    ----------
    Koehn (2004), Statistical Significance Tests for Machine Translation Evaluation, section 4.
    """

    def difference(rows: np.ndarray) -> float:
        right = _take(references, rows)
        return metric(right, _take(second, rows)) - metric(right, _take(first, rows))

    result = _bootstrap(difference, len(references), confidence, n_resamples, seed)
    drawn = np.asarray(result.bootstrap_distribution)
    bounds = result.confidence_interval
    # Twice the smaller tail; the 1 keeps it from saying "never" after a finite number of draws.
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p_value = min(1.0, 2 * (tail + 1) / (n_resamples + 1))
    value = float(metric(references, second) - metric(references, first))
    return Difference(value, float(bounds.low), float(bounds.high), float(p_value))


def _take(values: Any, rows: np.ndarray) -> Any:
    return [values[i] for i in rows] if isinstance(values, Sequence) else values[rows]


def _bootstrap(statistic: Callable[[np.ndarray], float], n: int, confidence: float, n_resamples: int, seed: int) -> Any:
    # SciPy renamed the argument.
    name = "rng" if "rng" in inspect.signature(scipy.stats.bootstrap).parameters else "random_state"
    options: dict[str, Any] = {name: np.random.default_rng(seed), "method": "percentile", "vectorized": False}
    return scipy.stats.bootstrap(
        (np.arange(n),), statistic, confidence_level=confidence, n_resamples=n_resamples, **options
    )


def _check_mcnemar(references: Any, first: Any, second: Any) -> None:
    for other in (first, second):
        as_labels(references, other)


@requires(_check_mcnemar)
def mcnemar(references: Labels, first: Labels, second: Labels) -> McNemar:
    """Test whether two classifiers are right equally often, by the examples that only one of them has right.

    Parameters
    ----------
    references
        The labels given by people.
    first, second
        The labels that the two classifiers predicted for the same examples.

    Raises
    ------
    TypeError, ValueError
        If they differ in length or kind, or are not labels.
    ImportError
        If statsmodels is missing.

    References
    ----------
    McNemar (1947), Note on the sampling error of the difference between correlated proportions. The test is exact
    (binomial). Dietterich (1998), Approximate Statistical Tests for Comparing Supervised Classification Learning
    Algorithms, recommends it where a classifier is trained but once.
    """
    tables = optional_import("statsmodels.stats.contingency_tables", extra="metrics", purpose="for McNemar's test")
    right = as_array("references", references)
    hits = [as_array("predictions", one) == right for one in (first, second)]
    only_first, only_second = int((hits[0] & ~hits[1]).sum()), int((hits[1] & ~hits[0]).sum())
    table = [[0, only_first], [only_second, 0]]  # those that both have right, or wrong, say nothing
    if only_first == only_second == 0:
        return McNemar(0, 0, 1.0)
    return McNemar(only_first, only_second, float(tables.mcnemar(table, exact=True).pvalue))
