"""Linear layers for a few rows at a time: the same products, with the weights laid out for them beforehand."""

import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Linear = Callable[[Tensor], Tensor]

# Laying a weight out takes as long as some ten products with it.
WORTHWHILE = 16


def lay_out(parts: Sequence[nn.Linear], rows: int, times: int) -> Linear:
    """Return a function that applies several linear layers to the same input, their outputs side by side.

    The weights are copied: a model that goes on training afterwards is not followed. Parameters as in
    :func:`multiply_by`.
    """
    weight = torch.cat(tuple(part.weight for part in parts))
    biases = tuple(part.bias for part in parts if part.bias is not None)
    return multiply_by(weight, torch.cat(biases) if biases else None, rows, times)


def multiply_by(weight: Tensor, bias: Tensor | None, rows: int, times: int) -> Linear:
    """Return a function that computes ``F.linear(x, weight, bias)``, fast for this number of rows of ``x``.

    With one row, torch reads a weight of shape (in, out) up to three times as fast as its own (out, in). With several,
    oneDNN multiplies by a weight that was cut into blocks beforehand twice as fast as torch by one that was not.

    Parameters
    ----------
    weight, bias
        As :class:`torch.nn.Linear` has them.
    rows
        Number of rows of each ``x``.
    times
        How often it will be called; for a few times the weight is used as it is.
    """
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or times < WORTHWHILE:
        return functools.partial(F.linear, weight=weight, bias=bias)
    if rows == 1:
        transposed = weight.mT.contiguous()
        if bias is None:
            return functools.partial(torch.mm, mat2=transposed)
        return functools.partial(torch.addmm, bias, mat2=transposed)
    if not blocks_are_available():
        return functools.partial(F.linear, weight=weight, bias=bias)
    blocks = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    product = torch.ops.mkldnn._linear_pointwise.default
    return lambda x: product(x, blocks, bias, "none", [], "")


@functools.cache
def blocks_are_available() -> bool:
    """Whether this torch can cut a weight into oneDNN's blocks, as its compiler does with frozen models.

    torch has no public name for it, so it is tried, not assumed.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    weight, x = torch.eye(16), torch.arange(64.0).view(4, 16)
    try:
        blocks = torch.ops.mkldnn._reorder_linear_weight(weight, 4)
        return torch.equal(torch.ops.mkldnn._linear_pointwise.default(x, blocks, None, "none", [], ""), x)
    except (AttributeError, RuntimeError, TypeError):  # another torch: no such operator, or another signature
        return False
