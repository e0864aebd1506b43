"""Argument checks shared by the package: one place for the wording of errors.

A public function states its preconditions apart from its equation::

    @requires(_check_arguments)
    def dot_product_attention(query, key, value): ...

``requires`` is the outermost wrapper on purpose. jaxtyping's import hook, which checks the shape annotations under
pytest, wraps the function itself; so a caller with a wrong argument gets the same documented ``ValueError`` or
``TypeError`` with the hook and without it, and the hook still checks everything that the preconditions let through.
"""

import functools
import math
from collections.abc import Callable
from numbers import Real
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor  # torch offers no public name for it

P = ParamSpec("P")
R = TypeVar("R")


def requires(check: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that ``check`` sees its arguments first and raises when they are wrong.

    Under ``torch.compile`` nothing is checked: a check would stay in the graph as guards, or break it in two.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            if not torch.compiler.is_compiling():
                check(*args, **kwargs)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def describe(value: Any) -> str:
    """Say what an argument is: shape and dtype of a tensor, type and value of anything else."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    return f"{value!r} of type {type(value).__name__}"


def require_float_tensor(name: str, value: Any, axes: str) -> None:
    """Raise unless ``value`` is a floating point tensor with the named axes, none but a batch axis empty.

    ``axes`` is written as in the annotations: ``"*batch head query d_head"`` allows any number of leading axes.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a floating point tensor ({axes}), got {describe(value)}")
    if not value.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {describe(value)}; convert it, e.g. {name}.float()")
    require_axes(name, value, axes)


def require_axes(name: str, value: Tensor, axes: str) -> None:
    """Raise unless a tensor has the named axes, none but a batch axis empty."""
    any_batch = axes.startswith("*")
    rank = axes.count(" ") + (not any_batch)
    if value.dim() < rank or (value.dim() > rank and not any_batch):
        count = f"at least {rank}" if any_batch else f"exactly {rank}"
        raise ValueError(f"{name} must have {count} axes ({axes}), got {describe(value)}")
    if value.numel() == 0:
        for axis, size in zip(reversed(axes.split()), reversed(value.shape), strict=False):
            if size == 0 and "batch" not in axis:
                raise ValueError(f"{name} has an empty axis {axis!r} ({axes}), got {describe(value)}")


def require_count(name: str, value: Any, minimum: int = 1) -> None:
    """Raise unless ``value`` is an integer of at least ``minimum``."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {describe(value)}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def require_probability(name: str, value: Any) -> None:
    """Raise unless ``value`` is a number in [0, 1)."""
    require_finite(name, value)
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value}")


def require_finite(name: str, value: Any) -> None:
    """Raise unless ``value`` is a finite real number."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def require_divisible(name: str, value: int, divisor_name: str, divisor: int) -> None:
    """Raise unless ``value`` splits evenly into ``divisor`` parts."""
    if value % divisor:
        raise ValueError(
            f"{name} must be a multiple of {divisor_name}, got {name}={value} and {divisor_name}={divisor} "
            f"({value} = {value // divisor} x {divisor} + {value % divisor})"
        )


def require_features(name: str, value: Any, axes: str, weight: Tensor) -> None:
    """Raise unless ``value`` is a floating point tensor that a linear layer with this weight can take."""
    require_float_tensor(name, value, axes)
    if value.shape[-1] != weight.shape[-1]:
        raise ValueError(f"{name} must have {weight.shape[-1]} features on its last axis, got {describe(value)}")
    # Autocast converts by itself.
    if value.dtype != weight.dtype and not torch.is_autocast_enabled(value.device.type):
        raise TypeError(
            f"{name} must have this module's dtype {weight.dtype}, got {describe(value)}; convert one of them"
        )


class NotFiniteError(ValueError):
    """A tensor holds NaN or infinity: an argument's fault, or, while a model trains, the run's."""


def require_all_finite(name: str, value: Tensor) -> None:
    """Raise if a tensor on the CPU holds NaN or infinity.

    One sum tells, at a hundredth or so of an attention's forward pass; the elements are looked at only when something
    is wrong. Where even that would be felt or cannot be had, a NaN passes through unseen: on another device asking
    would make it wait, ``torch.inference_mode`` is for decoding one token at a time, and under ``torch.compile`` or
    ``torch.func`` there is no number to ask for.
    """
    if torch.compiler.is_compiling():  # asked first: the compiler cannot trace the other questions
        return
    if value.device.type != "cpu" or torch.is_inference_mode_enabled() or is_functorch_wrapped_tensor(value):
        return
    if math.isfinite(value.sum(dtype=torch.promote_types(value.dtype, torch.float32)).item()):
        return
    n_bad = int((~value.isfinite()).sum())
    if n_bad:  # or the sum overflowed
        raise NotFiniteError(
            f"{name} must be finite, got NaN or infinity in {n_bad} of the {value.numel()} elements of "
            f"{describe(value)}; find out where they come from"
        )
