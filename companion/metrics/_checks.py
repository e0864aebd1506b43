"""Argument checks and conversions that all scores share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from companion._validation import describe


def as_array(name: str, values: Any) -> np.ndarray:
    """Return a list, an array or a tensor as an array.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, has no elements, or rows of different lengths.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    if isinstance(values, str | bytes | dict | set) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"{name} must be a list, an array or a tensor, got {describe(values)}")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be numbers or labels of one shape, got rows of different lengths") from error
    if array.size == 0:
        raise ValueError(f"{name} must not be empty")
    return array


def as_labels(references: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return two lists of labels, one for each example, as arrays of the same kind.

    Raises
    ------
    TypeError, ValueError
        If they differ in length or kind, have more than one axis, or hold anything but strings, integers and truths.
    """
    pair = as_array("references", references), as_array("predictions", predictions)
    for name, array in zip(("references", "predictions"), pair, strict=True):
        if array.ndim != 1:
            hint = "; take argmax(-1) of scores first" if array.ndim == 2 and array.dtype.kind == "f" else ""
            raise ValueError(f"{name} must have one label an example, got an array of shape {array.shape}{hint}")
        if array.dtype.kind not in "iubU":
            raise TypeError(f"{name} must be labels (strings, integers or truths), got {array.dtype} {array[:3]}")
    require_as_many(*pair)
    kinds = ["text" if array.dtype.kind == "U" else "number" for array in pair]
    if kinds[0] != kinds[1]:
        raise TypeError(
            f"references and predictions must be labels of one kind, got {kinds[0]}s such as {pair[0][0].item()!r} and "
            f"{kinds[1]}s such as {pair[1][0].item()!r}; translate one of them"
        )
    return pair


def as_probabilities(name: str, values: Any, n: int) -> np.ndarray:
    """Return probabilities of n examples, (n,) of the second of two classes or (n, classes), as (n, classes).

    Raises
    ------
    TypeError, ValueError
        If they are not between 0 and 1, do not add up to 1, or are not one row an example.
    """
    array = as_array(name, values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be numbers, got {array.dtype}")
    if array.ndim not in (1, 2) or len(array) != n:
        raise ValueError(f"{name} must have one row for each of the {n} references, got the shape {array.shape}")
    array = array.astype(np.float64)
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1 + 1e-6):
        raise ValueError(
            f"{name} must be probabilities from 0 to 1, got {array.min():.4g} to {array.max():.4g}; "
            "take the softmax of scores first"
        )
    if array.ndim == 1:
        return np.stack([1 - array, array], axis=1)
    if np.abs(array.sum(1) - 1).max() > 1e-3:
        raise ValueError(f"{name} must add up to 1 in every row, got {array.sum(1)[np.abs(array.sum(1) - 1).argmax()]}")
    return array


def require_as_many(references: Sequence[Any] | np.ndarray, predictions: Sequence[Any] | np.ndarray) -> None:
    """Raise unless there is one prediction a reference."""
    if len(references) != len(predictions):
        raise ValueError(
            f"predictions must be one for each of the {len(references)} references, got {len(predictions)}; "
            "were some examples dropped or cut off?"
        )


def as_texts(name: str, texts: Any) -> list[str]:
    """Return a list of texts.

    Raises
    ------
    TypeError, ValueError
        If it is a single string, empty, or holds anything but strings.
    """
    if isinstance(texts, str) or not isinstance(texts, Sequence | np.ndarray):
        raise TypeError(f"{name} must be a list of texts, got {describe(texts)}")
    if len(texts) == 0:
        raise ValueError(f"{name} must not be empty")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name} must be texts, got {describe(text)} at position {position}")
    return [str(text) for text in texts]


def as_reference_texts(references: Any, predictions: Any) -> tuple[list[list[str]], list[str]]:
    """Return the references, one or several a prediction, as lists, and the predictions.

    Raises
    ------
    TypeError, ValueError
        If a reference is neither a text nor a list of texts, or there are more or fewer of them than predictions.
    """
    predicted = as_texts("predictions", predictions)
    if isinstance(references, str) or not isinstance(references, Sequence):
        raise TypeError(f"references must be a list of texts, or of lists of texts, got {describe(references)}")
    require_as_many(references, predicted)
    several = [as_texts(f"references[{i}]", [one] if isinstance(one, str) else one) for i, one in enumerate(references)]
    return several, predicted
