"""Argument checks that only this part of the package needs."""

from typing import Any

from companion._validation import require_finite


def require_positive(name: str, value: Any) -> None:
    """Raise unless ``value`` is a finite number above 0."""
    require_finite(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be above 0, got {value}")


def require_not_negative(name: str, value: Any, meaning_of_zero: str) -> None:
    """Raise unless ``value`` is a finite number of at least 0."""
    require_finite(name, value)
    if value < 0:
        raise ValueError(f"{name} must be at least 0 ({meaning_of_zero}), got {value}")
