"""A decoder's step for one new token of each text, put together once and then run with nothing to look up or check."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.attention import KeysValues, KVCache, MultiHeadAttention, Rotation
from companion.generation.linear import lay_out
from companion.transformer import Block, Decoder, FeedForward, LayerNorm, RMSNorm
from companion.transformer.feed_forward import ACTIVATIONS

Layer = Callable[[Tensor], Tensor]


@dataclass
class Clock:
    """Where a step stands: the slot of the caches that it fills, and what depends on it.

    ``bias`` is added to the scores of all filled slots (batch * kv_head, group, slot), and ``turn`` turns queries and
    keys (batch, head, d_head) to their position; either may be None.
    """

    slot: int
    bias: Tensor | None = None
    turn: Callable[[Tensor], Tensor] | None = None


def make_step(
    decoder: Decoder,
    caches: list[KVCache],
    clock: Clock,
    times: int,
    context: list[KeysValues] | None = None,
    context_bias: Tensor | None = None,
) -> Layer:
    """Return a function from the features of one new token of each text to what the decoder makes of them.

    From ``x`` (batch d_model) it computes what ``decoder(x[:, None], caches=caches, ...)[:, 0]`` does, without dropout,
    and fills slot ``clock.slot`` of the caches; the caller moves the clock.

    Parameters
    ----------
    decoder
        Its weights are laid out anew (:mod:`companion.generation.linear`).
    caches
        Hold the slots before.
    clock
        Read at every step.
    times
        About how many steps there will be.
    context, context_bias
        For cross-attention: what :meth:`Decoder.keys_values` made, and what is added to the scores
        (batch * kv_head, group, key).
    """
    steps = [
        _block(cast(Block, block), caches[i], clock, times, None if context is None else context[i], context_bias)
        for i, block in enumerate(decoder.blocks)
    ]
    if decoder.norm is not None:
        steps.append(_norm(decoder.norm))
    return lambda x: functools.reduce(lambda x, step: step(x), steps, x)


def _block(
    block: Block, cache: KVCache, clock: Clock, times: int, context: KeysValues | None, context_bias: Tensor | None
) -> Layer:
    rows = cache.keys.shape[0]
    halves = [(_norm(block.attention_norm), _self_attention(block.attention, cache, clock, times))]
    if block.cross_attention is not None and block.cross_attention_norm is not None and context is not None:
        across = _cross_attention(block.cross_attention, context, context_bias, times)
        halves.append((_norm(block.cross_attention_norm), across))
    halves.append((_norm(block.feed_forward_norm), _feed_forward(block.feed_forward, rows, times)))

    def pre_norm(x: Tensor) -> Tensor:
        for norm, half in halves:
            x = x + half(norm(x))
        return x

    def post_norm(x: Tensor) -> Tensor:
        for norm, half in halves:
            x = norm(x + half(x))
        return x

    return pre_norm if block.pre_norm else post_norm


def _norm(norm: nn.Module) -> Layer:
    if isinstance(norm, LayerNorm):
        shape, weight, bias, eps = norm.weight.shape, norm.weight, norm.bias, norm.eps
        return lambda x: F.layer_norm(x, shape, weight, bias, eps)
    if isinstance(norm, RMSNorm):
        shape, weight, eps = norm.weight.shape, norm.weight, norm.eps
        return lambda x: F.rms_norm(x, shape, weight, eps)
    return norm


def _feed_forward(module: FeedForward, rows: int, times: int) -> Layer:
    bend = ACTIVATIONS[module.activation]
    down = lay_out([module.down], rows, times)
    if module.gate is None:
        up = lay_out([module.up], rows, times)
        return lambda x: down(bend(up(x)))
    both = lay_out([module.gate, module.up], rows, times)
    d_ff = module.up.out_features

    def gated(x: Tensor) -> Tensor:
        gate, up = both(x).split(d_ff, dim=-1)
        return down(bend(gate) * up)

    return gated


def _self_attention(module: MultiHeadAttention, cache: KVCache, clock: Clock, times: int) -> Layer:
    rows, n_kv, _, d_head = cache.keys.shape
    n_heads = module.n_heads
    project = lay_out([module.query, module.key, module.value], rows, times)
    output = lay_out([module.output], rows, times)
    keys, values = cache.keys.flatten(0, 1), cache.values.flatten(0, 1)
    attend = _attend(module, rows)

    def step(x: Tensor) -> Tensor:
        heads = project(x).view(rows, n_heads + 2 * n_kv, d_head)
        turned = heads if clock.turn is None else clock.turn(heads[:, : n_heads + n_kv])
        slot, end = clock.slot, clock.slot + 1
        cache.keys[:, :, slot] = turned[:, n_heads : n_heads + n_kv]
        cache.values[:, :, slot] = heads[:, n_heads + n_kv :]
        return output(attend(turned[:, :n_heads], keys[:, :end], values[:, :end], clock.bias))

    return step


def _cross_attention(module: MultiHeadAttention, context: KeysValues, bias: Tensor | None, times: int) -> Layer:
    rows = context.keys.shape[0]
    keys, values = (part.flatten(0, 1).contiguous() for part in context)
    query, output = lay_out([module.query], rows, times), lay_out([module.output], rows, times)
    attend, shape = _attend(module, rows), (rows, module.n_heads, module.d_head)
    return lambda x: output(attend(query(x).view(shape), keys, values, bias))


def _attend(module: MultiHeadAttention, rows: int) -> Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]:
    """Return attention for one query of each text: (rows, head, d_head) to (rows, head * d_head).

    Two products and a softmax: with one query there is no matrix of weights for torch's fused kernel to save, and it
    takes half as long again.
    """
    scale = 1 / math.sqrt(module.d_head) if module.scale is None else module.scale
    # Query heads that share a key head are the rows of one product, so no key is ever copied.
    grouped = (rows * module.n_kv_heads, module.n_heads // module.n_kv_heads, module.d_head)
    merged = (rows, module.n_heads * module.d_head)
    nothing = module.query.weight.new_zeros(1, 1, 1)

    def attend(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        query = query.reshape(grouped)
        if bias is None:
            scores = torch.baddbmm(nothing, query, keys.mT, beta=0, alpha=scale)
        else:
            scores = torch.baddbmm(bias, query, keys.mT, alpha=scale)
        return torch.bmm(torch.softmax(scores, -1), values).view(merged)

    return attend


def turner(rotation: Rotation, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """Return a function that turns (batch, head, d_head) by a rotation of (batch, pair), in three operations."""
    cos = torch.cat([rotation.cos, rotation.cos], -1).to(dtype)[:, None]
    sin = torch.cat([-rotation.sin, rotation.sin], -1).to(dtype)[:, None]
    half = rotation.cos.shape[-1]
    return lambda x: torch.addcmul(x * cos, x.roll(half, -1), sin)
