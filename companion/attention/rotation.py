"""Turn queries and keys by an angle that grows with their position, so that a score depends on the distance alone."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from companion._validation import describe, require_float_tensor, requires


class Rotation(NamedTuple):
    """The cosine and the sine of every position's angles; broadcasts over heads.

    Parameters
    ----------
    cos, sin
        Of shape (batch or 1, pos, d_head / 2): one angle for each pair of features.
    """

    cos: Float[Tensor, "batch pos pair"]
    sin: Float[Tensor, "batch pos pair"]


def require_fitting_rotation(rotation: Any, x_shape: tuple[int, ...], d_head: int) -> None:
    """Raise unless the rotation turns heads of ``d_head`` features at each position of x (batch pos ...)."""
    if not isinstance(rotation, Rotation):
        raise TypeError(f"rotation must be a Rotation, as Rotary makes it, got {describe(rotation)}")
    batch, pos = x_shape[:2]
    for name, part in rotation._asdict().items():
        require_float_tensor(f"rotation.{name}", part, "batch pos pair")
        if part.shape[0] not in (1, batch) or tuple(part.shape[1:]) != (pos, d_head / 2):
            raise ValueError(
                f"rotation.{name} must have shape (1 or {batch}, {pos}, {d_head / 2:g}): an angle for every position "
                f"and pair of the {d_head} features of a head; got {describe(part)}"
            )


def _check_rotate(x: Any, rotation: Any) -> None:
    require_float_tensor("x", x, "batch head pos d_head")
    require_fitting_rotation(rotation, (x.shape[0], x.shape[2]), x.shape[3])


@requires(_check_rotate)
def rotate(x: Float[Tensor, "batch head pos d_head"], rotation: Rotation) -> Float[Tensor, "batch head pos d_head"]:
    """Turn each pair of features by its position's angle.

    Feature i is paired with feature i + d_head / 2, as the released weights of Llama have it in transformers; the
    paper pairs neighbours, which is the same but for the order of the features.

    Parameters
    ----------
    x
        Queries or keys.
    rotation
        The angles, from :class:`companion.transformer.Rotary`.

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not a floating point tensor of four axes, or the rotation does not fit it.

    References
    ----------
    Su et al. (2021), RoFormer: Enhanced Transformer with Rotary Position Embedding, equation 34.
    """
    return turn(x, rotation)


def turn(x: Tensor, rotation: Rotation) -> Tensor:
    """Do the work of :func:`rotate` for callers that have checked their own arguments."""
    cos, sin = rotation.cos[:, None].to(x.dtype), rotation.sin[:, None].to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
