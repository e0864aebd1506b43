"""Stochastic gradient steps whose names say the direction: up a likelihood, or down a loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from companion._validation import describe, require_finite, requires


def _check_step(parameters: Any, gradients: Any, learning_rate: Any) -> None:
    for name, tensors in (("parameters", parameters), ("gradients", gradients)):
        if not isinstance(tensors, list | tuple) or not all(isinstance(t, Tensor) for t in tensors):
            raise TypeError(f"{name} must be a list or tuple of tensors, got {describe(tensors)}")
    if len(parameters) != len(gradients):
        raise ValueError(f"gradients must be one for each of {len(parameters)} parameters, got {len(gradients)}")
    for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        if not parameter.is_floating_point():
            raise TypeError(f"parameters[{i}] must be floating point, got {describe(parameter)}; convert it first")
        if parameter.shape != gradient.shape:
            raise ValueError(
                f"gradients[{i}] must have the parameter's shape {tuple(parameter.shape)}, got {describe(gradient)}"
            )
    require_finite("learning_rate", learning_rate)
    if learning_rate <= 0:
        raise ValueError(
            f"learning_rate must be above 0, got {learning_rate}; for the other direction there is another function"
        )


@requires(_check_step)
def ascend(
    parameters: list[Tensor] | tuple[Tensor, ...],
    gradients: list[Tensor] | tuple[Tensor, ...],
    learning_rate: float | int,
) -> None:
    """Take one step uphill, in place: the function whose gradients these are, a likelihood, grows.

    Parameters
    ----------
    parameters
        What to change.
    gradients
        One for each parameter.
    learning_rate
        How far to go, above 0.

    Raises
    ------
    TypeError, ValueError
        If the tensors do not pair up, a parameter is not floating point, or the learning rate is not above 0.
    """
    _move(parameters, gradients, learning_rate)


@requires(_check_step)
def descend(
    parameters: list[Tensor] | tuple[Tensor, ...],
    gradients: list[Tensor] | tuple[Tensor, ...],
    learning_rate: float | int,
) -> None:
    """Take one step downhill, in place: the function whose gradients these are, a loss, shrinks.

    Parameters
    ----------
    parameters, gradients, learning_rate
        As for :func:`ascend`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`ascend`.

    References
    ----------
    Robbins and Monro (1951), A Stochastic Approximation Method.
    """
    _move(parameters, gradients, -learning_rate)


@torch.no_grad()
def _move(parameters: Iterable[Tensor], gradients: Iterable[Tensor], rate: float) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.add_(gradient, alpha=rate)
