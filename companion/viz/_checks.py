"""Argument checks of the figures: they speak of arrays, and need no torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_numbers(name: str, values: ArrayLike, axes: tuple[str, ...]) -> NDArray[np.float64]:
    """Return ``values`` as an array of finite floats with the named axes, none of them empty."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers ({', '.join(axes)}), got {_describe(values)}") from error
    if array.ndim != len(axes):
        raise ValueError(f"{name} must have {len(axes)} axes ({', '.join(axes)}), got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must not be empty, got shape {array.shape} for ({', '.join(axes)})")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} values that are not")
    return array


def as_weights(name: str, values: ArrayLike, axes: tuple[str, ...]) -> NDArray[np.float64]:
    """Return ``values`` as attention weights: numbers from 0 to 1, up to rounding."""
    array = as_numbers(name, values, axes)
    if array.min() < -1e-6 or array.max() > 1 + 1e-3:
        raise ValueError(
            f"{name} must lie between 0 and 1, got {array.min():.3g} to {array.max():.3g}; apply softmax to the scores"
        )
    return array


def as_words(name: str, words: Sequence[str], count: int) -> list[str]:
    """Return ``words`` as a list of ``count`` strings."""
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"{name} must be a sequence of strings, one a token, got {_describe(words)}")
    if len(words) != count:
        raise ValueError(f"{name} must have one string for each of the {count} tokens, got {len(words)}")
    return list(words)


def require_text(name: str, value: object) -> None:
    """Raise unless ``value`` is a string with something in it."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {_describe(value)}")
    if not value.strip():
        raise ValueError(f"{name} must not be empty: say what a person would see")


def _describe(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:80]
