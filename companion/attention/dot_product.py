"""Scaled dot-product attention: the output and, for those who want to look, the weights."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from companion._validation import (
    describe,
    require_all_finite,
    require_divisible,
    require_finite,
    require_float_tensor,
    require_probability,
    requires,
)
from companion.attention.masks import causal_mask, require_fitting_bias, require_fitting_mask

# Up to this many keys, torch's compiler makes faster code for the CPU of the equation written out, whose mask, softmax
# and rounding it joins into one pass, than a kernel that it cannot look into. A training step of bfloat16 takes 0.75 of
# the time at 128 keys and 0.8 at 256; much longer, the matrix of weights would not fit the processor's cache.
LONGEST_WRITTEN_OUT = 512
# So many queries at a time need no key behind the last of them: at 256 keys a quarter of the work of causal attention
# is left out. Smaller blocks leave out more, but their products are slower and the compiler takes longer.
QUERIES = 128


def _check_query_key(query: Any, key: Any, mask: Any, bias: Any, scale: Any) -> None:
    require_float_tensor("query", query, "*batch head query d_head")
    require_float_tensor("key", key, "*batch kv_head key d_head")
    _require_same(query, "key", key)
    if key.shape[-1] != query.shape[-1]:
        raise ValueError(f"key must have query's d_head {query.shape[-1]}, got {describe(key)}")
    require_divisible("query's number of heads", query.shape[-3], "key's number of heads", key.shape[-3])
    if mask is not None:
        require_fitting_mask(mask, (*query.shape[:-1], key.shape[-2]), query.device)
    if bias is not None:
        require_fitting_bias(bias, (*query.shape[:-1], key.shape[-2]), query)
    if scale is not None:
        require_finite("scale", scale)
    # The kernel itself cannot be relied on to pass a NaN on: some of torch's make zeros of a query of NaN.
    require_all_finite("query", query)
    require_all_finite("key", key)


def _require_same(query: Tensor, name: str, other: Tensor) -> None:
    if other.shape[:-3] != query.shape[:-3]:
        raise ValueError(f"{name} must have query's leading axes {tuple(query.shape[:-3])}, got {describe(other)}")
    if other.dtype != query.dtype:
        raise TypeError(f"{name} must have query's dtype {query.dtype}, got {describe(other)}")
    if other.device != query.device:
        raise ValueError(f"{name} must be on query's device {query.device}, got one on {other.device}")


def _check_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    *,
    bias: Any = None,
    is_causal: Any = False,
    scale: Any = None,
    dropout_p: Any = 0.0,
) -> None:
    _check_query_key(query, key, mask, bias, scale)
    require_float_tensor("value", value, "*batch kv_head key d_value")
    _require_same(query, "value", value)
    if value.shape[-3:-1] != key.shape[-3:-1]:
        raise ValueError(f"value must have key's heads and length {tuple(key.shape[-3:-1])}, got {describe(value)}")
    require_probability("dropout_p", dropout_p)
    require_all_finite("value", value)


@requires(_check_attention)
def dot_product_attention(
    query: Float[Tensor, "*batch head query d_head"],
    key: Float[Tensor, "*batch kv_head key d_head"],
    value: Float[Tensor, "*batch kv_head key d_value"],
    mask: Bool[Tensor, "..."] | None = None,
    *,
    bias: Float[Tensor, "..."] | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Float[Tensor, "*batch head query d_value"]:
    """Mix the values, each weighted by how well its key matches the query.

    Computes softmax(scale · query · keyᵀ + bias) · value with torch's fused kernel, which never stores the whole matrix
    of weights. With fewer key heads than query heads, consecutive query heads share one (grouped queries).

    Parameters
    ----------
    query, key, value
        Several heads' queries, keys and values, of one dtype; four axes take the fastest path. A batch may be empty.
    mask
        True where a query may attend to a key; any shape that broadcasts to (..., head, query, key). A query that
        may attend to nothing gets an output of zeros, and passes no gradient on.
    bias
        Added to the scores, for instance by how far apart two positions are; broadcasts as the mask does.
    is_causal
        Hide the future as well. With fewer queries than keys, the queries are the last positions.
    scale
        What the scores are multiplied by; 1/√d_head by default.
    dropout_p
        Chance of dropping a weight, drawn from torch's global generator, the only one the kernel knows.

    Raises
    ------
    TypeError
        If an argument is not a floating point tensor (a boolean one, for the mask), or the dtypes differ.
    ValueError
        If shapes do not fit together, an axis other than a batch axis is empty, a number is out of range, or an
        input is not finite (looked for on the CPU outside ``torch.inference_mode``, where it costs next to nothing).

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, equation 1. Ainslie et al. (2023), GQA: Training Generalized
    Multi-Query Transformer Models from Multi-Head Checkpoints, for the shared heads.
    """
    return attend(query, key, value, mask, bias, is_causal, scale, dropout_p)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Do the work of :func:`dot_product_attention` for callers that have checked their own arguments."""
    if torch.compiler.is_compiling() and query.device.type == "cpu" and key.shape[-2] <= LONGEST_WRITTEN_OUT:
        return _written_out(query, key, value, mask, bias, is_causal, scale, dropout_p)
    if is_causal:
        mask, is_causal = _causal(query, key, mask, bias)
    if bias is not None:  # the kernel has one argument for both
        mask = bias if mask is None else torch.where(mask, bias, -math.inf)
    if mask is not None and mask.dim() < 2:  # torch's kernel wants the query and the key axis
        mask = torch.atleast_2d(mask)
    grouped = query.shape[-3] != key.shape[-3]
    return F.scaled_dot_product_attention(
        query, key, value, mask, dropout_p, is_causal, scale=scale, enable_gqa=grouped
    )


def _written_out(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    is_causal: bool,
    scale: float | None,
    dropout_p: float,
) -> Tensor:
    n_query, n_key = query.shape[-2], key.shape[-2]
    if not is_causal or n_query != n_key:
        return _write_out(query, key, value, mask, bias, is_causal, scale, dropout_p)
    blocks = []
    for first in range(0, n_query, QUERIES):
        last = min(first + QUERIES, n_query)
        masks = _cut(mask, first, last), _cut(bias, first, last)
        seen = key[..., :last, :], value[..., :last, :]
        blocks.append(_write_out(query[..., first:last, :], *seen, *masks, is_causal, scale, dropout_p))
    return torch.cat(blocks, -2)


def _cut(mask: Tensor | None, first: int, last: int) -> Tensor | None:
    """Return the part of a mask or a bias that is about some queries and the keys up to the last of them."""
    if mask is None or mask.dim() == 0:
        return mask
    if mask.shape[-1] > 1:
        mask = mask[..., :last]
    return mask[..., first:last, :] if mask.dim() > 1 and mask.shape[-2] > 1 else mask


def _write_out(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    is_causal: bool,
    scale: float | None,
    dropout_p: float,
) -> Tensor:
    """Mix the values by weights that do not sum to 1 yet, and divide what comes out: that is fewer numbers."""
    scores, mask, may_see_nothing = _scores(query, key, mask, bias, is_causal, scale)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    # Whatever is subtracted cancels, so it needs no gradient.
    weights = _RoundedExp.apply(scores - scores.amax(-1, keepdim=True).detach(), value.dtype)
    assert isinstance(weights, Tensor)
    # A hidden key's weight is zero already, unless a query sees nothing. With the mask, the compiler takes the sum in
    # the pass that makes the weights.
    seen = weights if mask is None else weights.masked_fill(~mask, 0.0)
    # The largest weight is 1, unless nothing is seen.
    total = seen.sum(-1, keepdim=True, dtype=scores.dtype).clamp(min=1.0)
    mixed = _mix(F.dropout(seen if may_see_nothing else weights, dropout_p), value)
    return (mixed / total).to(value.dtype)


class _RoundedExp(torch.autograd.Function):
    """The exponential, rounded to a dtype: what is kept for the gradient is the result, and not also its argument."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        result = x.exp().to(dtype)
        ctx.save_for_backward(result)
        ctx.dtype = x.dtype
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        (result,) = ctx.saved_tensors
        return gradient * result.to(ctx.dtype), None


def _causal(query: Tensor, key: Tensor, mask: Tensor | None, bias: Tensor | None) -> tuple[Tensor | None, bool]:
    """Say "causal" to the kernel in the cheapest way that means the same: nothing, its own flag, or a mask."""
    n_query, n_key = query.shape[-2], key.shape[-2]
    if n_query == 1:  # the last position may see everything
        return mask, False
    # The kernel's own flag is aligned at the top left, and cannot be joined with a mask or a bias.
    if mask is None and bias is None and n_query == n_key:
        return None, True
    causal = causal_mask(n_query, n_key, device=query.device)
    return causal if mask is None else mask & causal, False


def _check_weights(
    query: Any, key: Any, mask: Any = None, *, bias: Any = None, is_causal: Any = False, scale: Any = None
) -> None:
    _check_query_key(query, key, mask, bias, scale)


@requires(_check_weights)
def attention_weights(
    query: Float[Tensor, "*batch head query d_head"],
    key: Float[Tensor, "*batch kv_head key d_head"],
    mask: Bool[Tensor, "..."] | None = None,
    *,
    bias: Float[Tensor, "..."] | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "*batch head query key"]:
    """Show how much each query attends to each key.

    Each row sums to 1, or is all zeros where a query may attend to nothing. The softmax is taken in single precision
    at least. Parameters and errors are those of :func:`dot_product_attention`.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, equation 1: the factor before V.
    """
    return _weights(query, key, mask, bias, is_causal, scale)


def _weights(
    query: Tensor, key: Tensor, mask: Tensor | None, bias: Tensor | None, is_causal: bool, scale: float | None
) -> Tensor:
    scores, mask, may_see_nothing = _scores(query, key, mask, bias, is_causal, scale)
    weights = _softmax(scores)
    return weights.masked_fill(~mask, 0.0) if may_see_nothing and mask is not None else weights


def _scores(
    query: Tensor, key: Tensor, mask: Tensor | None, bias: Tensor | None, is_causal: bool, scale: float | None
) -> tuple[Tensor, Tensor | None, bool]:
    """Return the scores, with what may not be seen at the bottom, the whole mask, and whether it may hide a row."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    n_query, n_key = query.shape[-2], key.shape[-2]
    may_see_nothing = mask is not None or n_query > n_key
    if is_causal:
        causal = causal_mask(n_query, n_key, device=query.device)
        mask = causal if mask is None else mask & causal
    scores = (_stack(scale * query, key.shape[-3]) @ key.mT).reshape(*query.shape[:-1], key.shape[-2])
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        # The lowest finite number rather than -inf: a row of -inf would make NaN of the row and of its gradient.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores, mask, may_see_nothing


def _mix(weights: Tensor, value: Tensor) -> Tensor:
    return (_stack(weights, value.shape[-3]) @ value).reshape(*weights.shape[:-1], value.shape[-1])


def _stack(x: Tensor, n_kv_heads: int) -> Tensor:
    """Stack query heads that share a key head along the query axis, so that no key is ever copied."""
    return x.unflatten(-3, (n_kv_heads, x.shape[-3] // n_kv_heads)).flatten(-3, -2)


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype)
