"""One block of a transformer: gather from the other positions, then work on what was gathered."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from companion._validation import describe, require_features, require_probability, requires
from companion.attention import KeysValues, KVCache, MultiHeadAttention, Rotation
from companion.attention.multi_head import require_fitting_context
from companion.transformer.feed_forward import FeedForward


def _check_module(
    module: Any,
    attention: Any,
    feed_forward: Any,
    norm: Any,
    *,
    cross_attention: Any = None,
    pre_norm: Any = True,
    dropout: Any = 0.0,
) -> None:
    expected = {
        "attention": (attention, MultiHeadAttention),
        "feed_forward": (feed_forward, FeedForward),
        "cross_attention": (cross_attention, MultiHeadAttention),
    }
    for name, (part, kind) in expected.items():
        if not isinstance(part, kind) and not (name == "cross_attention" and part is None):
            raise TypeError(f"{name} must be a {kind.__name__}, got {describe(part)}")
    if isinstance(norm, nn.Module) or not callable(norm):
        raise TypeError(
            "norm must be a function that makes a new normalisation at each call, such as "
            f"functools.partial(LayerNorm, d_model), got {describe(norm)}"
        )
    d_model = attention.query.in_features
    for name, size in {
        "feed_forward": feed_forward.up.in_features,
        "cross_attention": d_model if cross_attention is None else cross_attention.query.in_features,
    }.items():
        if size != d_model:
            raise ValueError(f"{name} must take attention's d_model={d_model} features, got one that takes {size}")
    require_probability("dropout", dropout)


def _check_forward(block: "Block", x: Any, mask: Any = None, *, context: Any = None, **options: Any) -> None:
    require_features("x", x, "batch pos d_model", block.attention.query.weight)
    if block.cross_attention is None:
        if context is not None:
            raise ValueError("context needs a block with cross-attention, and this one has none; leave it out")
    elif context is None:
        raise ValueError("context must be given: this block has cross-attention; pass what it may look at")
    else:
        require_fitting_context(block.cross_attention, context, x.shape[0])


class Block(nn.Module):
    """Attend, then feed forward; add each to what came in, and normalise before each (pre-norm) or after (post-norm).

    Parameters
    ----------
    attention
        How positions look at each other.
    feed_forward
        What each then does on its own.
    norm
        Makes a new normalisation at each call, for instance ``functools.partial(LayerNorm, d_model)``.
    cross_attention
        How positions look at another text, between the two halves; left out by default.
    pre_norm
        Whether to normalise what enters each half, or the sum that leaves it.
    dropout
        Chance of dropping a feature of what is added, while training.

    Raises
    ------
    TypeError, ValueError
        If a part is not of its type, the parts differ in d_model, or the dropout is out of range.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, section 3.1, for post-norm. Xiong et al. (2020), On Layer
    Normalization in the Transformer Architecture, table 1, for both.
    """

    @requires(_check_module)
    def __init__(
        self,
        attention: MultiHeadAttention,
        feed_forward: FeedForward,
        norm: Callable[[], nn.Module],
        *,
        cross_attention: MultiHeadAttention | None = None,
        pre_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = norm()
        self.attention = attention
        self.cross_attention_norm = None if cross_attention is None else norm()
        self.cross_attention = cross_attention
        self.feed_forward_norm = norm()
        self.feed_forward = feed_forward
        self.pre_norm = pre_norm
        self.dropout = dropout

    @requires(_check_forward)
    def forward(
        self,
        x: Float[Tensor, "batch pos d_model"],
        mask: Bool[Tensor, "..."] | None = None,
        *,
        bias: Float[Tensor, "..."] | None = None,
        is_causal: bool = False,
        rotation: Rotation | None = None,
        cache: KVCache | None = None,
        context: Float[Tensor, "batch key d_model"] | KeysValues | None = None,
        context_mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the features of each position after this block.

        Parameters
        ----------
        x
            The features of each position.
        mask, bias, is_causal, rotation, cache
            For the self-attention, as in :meth:`companion.attention.MultiHeadAttention.forward`.
        context, context_mask
            What the cross-attention looks at, and which of it may be seen.

        Raises
        ------
        TypeError, ValueError
            As the parts raise them, or if there is a context and no cross-attention, or the other way round.
        """

        def attend(x: Tensor) -> Tensor:
            return self.attention(x, mask=mask, bias=bias, is_causal=is_causal, rotation=rotation, cache=cache)

        x = self._add(x, attend, self.attention_norm)
        if self.cross_attention is not None and self.cross_attention_norm is not None:
            look_across = self.cross_attention
            x = self._add(x, lambda x: look_across(x, context, context_mask), self.cross_attention_norm)
        return self._add(x, self.feed_forward, self.feed_forward_norm)

    def _add(self, x: Tensor, half: Callable[[Tensor], Tensor], norm: nn.Module) -> Tensor:
        if self.pre_norm:
            return x + F.dropout(half(norm(x)), self.dropout, self.training)
        return norm(x + F.dropout(half(x), self.dropout, self.training))
