"""Multi-head attention: several small attentions side by side, each on its own share of the features."""

from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from companion._validation import (
    describe,
    require_all_finite,
    require_count,
    require_divisible,
    require_features,
    require_float_tensor,
    require_probability,
    requires,
)
from companion.attention.cache import KVCache
from companion.attention.dot_product import attend, attention_weights
from companion.attention.masks import require_fitting_mask


def _check_split(x: Any, n_heads: Any) -> None:
    require_float_tensor("x", x, "*batch pos d_model")
    require_count("n_heads", n_heads)
    require_divisible("x's d_model", x.shape[-1], "n_heads", n_heads)


@requires(_check_split)
def split_heads(x: Float[Tensor, "*batch pos d_model"], n_heads: int) -> Float[Tensor, "*batch head pos d_head"]:
    """Give each head its share of the features (never of the positions).

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not a floating point tensor with the axes of its annotation, or its last axis does not split evenly.
    """
    return _split(x, n_heads)


def _split(x: Tensor, n_heads: int) -> Tensor:
    return x.unflatten(-1, (n_heads, x.shape[-1] // n_heads)).transpose(-3, -2)


def _check_merge(x: Any) -> None:
    require_float_tensor("x", x, "*batch head pos d_head")


@requires(_check_merge)
def merge_heads(x: Float[Tensor, "*batch head pos d_head"]) -> Float[Tensor, "*batch pos d_model"]:
    """Lay the heads' features side by side again: the inverse of :func:`split_heads`.

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not a floating point tensor with the axes of its annotation.
    """
    return _merge(x)


def _merge(x: Tensor) -> Tensor:
    return x.transpose(-3, -2).flatten(-2)


def _check_module(module: Any, d_model: Any, n_heads: Any, *, n_kv_heads: Any = None, **options: Any) -> None:
    require_count("d_model", d_model)
    require_count("n_heads", n_heads)
    require_divisible("d_model", d_model, "n_heads", n_heads)
    if n_kv_heads is not None:
        require_count("n_kv_heads", n_kv_heads)
        require_divisible("n_heads", n_heads, "n_kv_heads", n_kv_heads)
    require_probability("dropout", options.get("dropout", 0.0))


def _check_forward(
    module: "MultiHeadAttention",
    x: Any,
    context: Any = None,
    mask: Any = None,
    *,
    is_causal: Any = False,
    cache: Any = None,
) -> None:
    require_features("x", x, "batch query d_model", module.query.weight)
    require_all_finite("x", x)
    n_key = x.shape[1]
    if context is not None:
        require_features("context", context, "batch key d_model", module.key.weight)
        if context.shape[0] != x.shape[0]:
            raise ValueError(f"context must have x's batch of {x.shape[0]}, got {describe(context)}")
        require_all_finite("context", context)
        n_key = context.shape[1]
    if cache is not None:
        if not isinstance(cache, KVCache):
            raise TypeError(f"cache must be a KVCache, got {describe(cache)}")
        if context is not None:
            raise ValueError("cache keeps the keys of x, so it cannot be used together with context; give one of them")
        n_key += cache.length
    if mask is not None:
        require_fitting_mask(mask, (x.shape[0], module.n_heads, x.shape[1], n_key), x.device)


class MultiHeadAttention(nn.Module):
    """Let every position gather what it needs from the others, in several ways at once.

    Parameters
    ----------
    d_model
        Number of features in and out.
    n_heads
        Number of heads; each works on d_model / n_heads features.
    n_kv_heads
        Number of key and value heads, each shared by n_heads / n_kv_heads query heads; n_heads by default.
    bias
        Whether the four projections add a bias.
    dropout
        Chance of dropping an attention weight while training.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the heads do not divide d_model, or the key heads the heads.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, section 3.2.2.
    """

    @requires(_check_module)
    def __init__(
        self, d_model: int, n_heads: int, *, n_kv_heads: int | None = None, bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        self.dropout = dropout
        d_kv = d_model // n_heads * self.n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.output = nn.Linear(d_model, d_model, bias=bias)

    @requires(_check_forward)
    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        context: Float[Tensor, "batch key d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        *,
        is_causal: bool = False,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """Attend from ``x`` to ``context``, or to ``x`` itself.

        Parameters
        ----------
        x
            Where the queries come from.
        context
            Where the keys and values come from (cross-attention); ``x`` by default.
        mask, is_causal
            As in :func:`companion.attention.dot_product_attention`; with a cache, the mask's last axis covers the
            cached positions and the new ones.
        cache
            Earlier positions' keys and values; the new ones are appended.

        Raises
        ------
        TypeError, ValueError
            As :func:`companion.attention.dot_product_attention` and :class:`companion.attention.KVCache` raise them,
            or if both a context and a cache are given.
        """
        source = x if context is None else context
        query = _split(self.query(x), self.n_heads)
        key = _split(self.key(source), self.n_kv_heads)
        value = _split(self.value(source), self.n_kv_heads)
        if cache is not None:
            key, value = cache.append(key, value)
        heads = attend(query, key, value, mask, is_causal, dropout_p=self.dropout if self.training else 0.0)
        return self.output(_merge(heads))

    @requires(_check_forward)
    def weights(
        self,
        x: Float[Tensor, "batch query d_model"],
        context: Float[Tensor, "batch key d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        *,
        is_causal: bool = False,
    ) -> Float[Tensor, "batch head query key"]:
        """Show the weights that :meth:`forward` would use (without dropout); takes and raises the same."""
        query = split_heads(self.query(x), self.n_heads)
        key = split_heads(self.key(x if context is None else context), self.n_kv_heads)
        return attention_weights(query, key, mask, is_causal=is_causal)
