"""Gradients scaled, and shortened when they are too long."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from companion._validation import require_finite, requires


def _check_clip(parameters: Any, max_norm: Any, *, scale: Any = 1.0) -> None:
    for name, value in (("max_norm", max_norm), ("scale", scale)):
        if value is not None:
            require_finite(name, value)
            if value <= 0:
                raise ValueError(f"{name} must be above 0, got {value}")


@requires(_check_clip)
@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float | None, *, scale: float = 1.0) -> float:
    """Multiply all gradients by one factor, so that together they are no longer than a length.

    Parameters
    ----------
    parameters
        Whose gradients; those without one are left out.
    max_norm
        The greatest length, or None to only measure.
    scale
        What to multiply the gradients by first.

    Returns
    -------
    float
        How long they were, after the scale and before they were shortened.

    Raises
    ------
    TypeError, ValueError
        If a number is not above 0.

    References
    ----------
    Pascanu et al. (2013), On the Difficulty of Training Recurrent Neural Networks, algorithm 1.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return 0.0
    norm = scale * gradient_norm(gradients)
    # As torch's, so that a norm of exactly 0 does no harm.
    factor = scale if max_norm is None else scale * min(1.0, max_norm / (norm + 1e-6))
    if factor != 1.0:
        for gradient in gradients:
            gradient.mul_(factor)
    return norm


def gradient_norm(gradients: list[Tensor]) -> float:
    """Return the length of all gradients as one vector."""
    # A sum of many squares needs more digits than bfloat16 has.
    kinds = [torch.promote_types(gradient.dtype, torch.float32) for gradient in gradients]
    lengths = [torch.linalg.vector_norm(gradient, dtype=kind) for gradient, kind in zip(gradients, kinds, strict=True)]
    return torch.linalg.vector_norm(torch.stack(lengths)).item()
