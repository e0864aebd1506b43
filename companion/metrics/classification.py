"""Scores of classes: scikit-learn's, in one order of arguments and with errors that say what to do."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from companion._optional import optional_import
from companion._validation import describe, requires
from companion.metrics._checks import as_array, as_labels, as_probabilities, require_as_many

#: Labels: strings, integers or truths, one an example.
Labels = Sequence[Any] | np.ndarray | Tensor
#: Numbers, one an example or one an example and class.
Numbers = Sequence[Any] | np.ndarray | Tensor
Average = Literal["macro", "micro", "binary"]
AVERAGES = ("macro", "micro", "binary")


def _sklearn() -> Any:
    """Import scikit-learn's scores."""
    return optional_import("sklearn.metrics", extra="metrics", purpose="to score classes")


def _check_labels(references: Any, predictions: Any) -> None:
    as_labels(references, predictions)


@requires(_check_labels)
def accuracy(references: Labels, predictions: Labels) -> float:
    """Return the share of examples whose label was predicted.

    Parameters
    ----------
    references, predictions
        The labels given by people and those predicted, one an example.

    Raises
    ------
    TypeError, ValueError
        If they differ in length or kind, or are not labels.
    ImportError
        If scikit-learn is missing.
    """
    return float(_sklearn().accuracy_score(*as_labels(references, predictions)))


def _check_f1(references: Any, predictions: Any, *, average: Any = "macro", positive: Any = None) -> None:
    both = as_labels(references, predictions)
    if average not in AVERAGES:
        raise ValueError(f"average must be one of {', '.join(AVERAGES)}, got {describe(average)}")
    if average != "binary":
        if positive is not None:
            raise ValueError(f'positive is only for average="binary", got {describe(positive)} and {average!r}')
        return
    known = np.unique(np.concatenate(both))
    if positive is None and known.dtype.kind == "U":
        raise ValueError(f'positive must say which of the labels {known.tolist()} counts with average="binary"')
    if len(known) > 2:
        raise ValueError(f'average="binary" is for two labels, got {known.tolist()}; use "macro" or "micro"')


@requires(_check_f1)
def f1(
    references: Labels, predictions: Labels, *, average: Average = "macro", positive: str | int | None = None
) -> float:
    """Return F1, the harmonic mean of precision and recall.

    Parameters
    ----------
    references, predictions
        The labels given by people and those predicted, one an example.
    average
        ``"macro"``: the mean over the labels, so that a rare one counts as much as a frequent one. ``"micro"``: of all
        decisions together, which with one label an example is the accuracy. ``"binary"``: of one label alone.
    positive
        The label that ``"binary"`` is about; 1 by default.

    Raises
    ------
    TypeError, ValueError
        If the labels do not fit each other or the average.
    ImportError
        If scikit-learn is missing.
    """
    reference, prediction = as_labels(references, predictions)
    if average == "binary":
        positive = 1 if positive is None else positive
        reference, prediction = reference == positive, prediction == positive
    return float(_sklearn().f1_score(reference, prediction, average=average, zero_division=0.0))


@requires(_check_labels)
def mcc(references: Labels, predictions: Labels) -> float:
    """Return Matthews' correlation coefficient: 1 when all is right, 0 for a guess, whatever the classes' shares.

    Parameters
    ----------
    references, predictions
        The labels given by people and those predicted, one an example.

    Raises
    ------
    TypeError, ValueError
        If they differ in length or kind, or are not labels.
    ImportError
        If scikit-learn is missing.

    References
    ----------
    Matthews (1975), Comparison of the predicted and observed secondary structure of T4 phage lysozyme. Gorodkin (2004),
    Comparing two K-category assignments by a K-category correlation coefficient, for more than two classes.
    """
    both = as_labels(references, predictions)
    if len(np.unique(np.concatenate(both))) == 1:  # nothing to tell apart; scikit-learn says so in a warning
        return 0.0
    return float(_sklearn().matthews_corrcoef(*both))


def _check_auc(references: Any, scores: Any) -> None:
    labels = as_array("references", references)
    array = as_array("scores", scores)
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise TypeError(f"references must be class numbers from 0, one an example, got {describe(references)[:80]}")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError("scores must be finite numbers")
    require_as_many(labels, array)
    classes = np.unique(labels)
    if array.ndim == 1 and not np.array_equal(classes, [0, 1]):
        raise ValueError(f"references must hold both 0 and 1 to rank one against the other, got {classes.tolist()}")
    if array.ndim == 2:
        as_probabilities("scores", scores, len(labels))
        if not np.array_equal(classes, np.arange(array.shape[1])):
            raise ValueError(
                f"references must hold each of the {array.shape[1]} classes that scores has, got {classes.tolist()}"
            )
    if array.ndim > 2:
        raise ValueError(f"scores must have one or two axes, got the shape {array.shape}")


@requires(_check_auc)
def auc(references: Labels, scores: Numbers) -> float:
    """Return the area under the ROC curve: how often an example of a class is ranked before one of another.

    Parameters
    ----------
    references
        The classes as numbers from 0.
    scores
        Of two classes, a score of class 1 for each example (a probability or any other number); of several, the
        probability of each: then it is the mean over the classes, each against all others.

    Raises
    ------
    TypeError, ValueError
        If a class has no example, or the shapes do not fit.
    ImportError
        If scikit-learn is missing.
    """
    labels, array = as_array("references", references), as_array("scores", scores)
    if array.ndim == 2 and array.shape[1] == 2:
        array = array[:, 1]
    return float(_sklearn().roc_auc_score(labels, array, multi_class="ovr"))
