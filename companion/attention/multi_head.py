"""Multi-head attention: several small attentions side by side, each on its own share of the features."""

from typing import Any, NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn

from companion._validation import (
    describe,
    require_all_finite,
    require_count,
    require_divisible,
    require_features,
    require_finite,
    require_float_tensor,
    require_probability,
    requires,
)
from companion.attention.cache import KVCache
from companion.attention.dot_product import attend, attention_weights
from companion.attention.linear import Linear
from companion.attention.masks import require_fitting_bias, require_fitting_mask
from companion.attention.rotation import Rotation, require_fitting_rotation, turn


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


class KeysValues(NamedTuple):
    """What one attention layer reads of a context, worked out once and used at every step of decoding.

    Parameters
    ----------
    keys, values
        Of shape (batch, kv_head, key, d_head) each, from :meth:`MultiHeadAttention.keys_values`.
    """

    keys: Float[Tensor, "batch kv_head key d_head"]
    values: Float[Tensor, "batch kv_head key d_head"]


def _check_module(
    module: Any,
    d_model: Any,
    n_heads: Any,
    *,
    n_kv_heads: Any = None,
    d_head: Any = None,
    bias: Any = True,
    scale: Any = None,
    dropout: Any = 0.0,
) -> None:
    require_count("d_model", d_model)
    require_count("n_heads", n_heads)
    if d_head is None:
        require_divisible("d_model", d_model, "n_heads", n_heads)
    else:
        require_count("d_head", d_head)
    if n_kv_heads is not None:
        require_count("n_kv_heads", n_kv_heads)
        require_divisible("n_heads", n_heads, "n_kv_heads", n_kv_heads)
    if scale is not None:
        require_finite("scale", scale)
    require_probability("dropout", dropout)


def _check_forward(
    module: "MultiHeadAttention",
    x: Any,
    context: Any = None,
    mask: Any = None,
    *,
    bias: Any = None,
    is_causal: Any = False,
    rotation: Any = None,
    cache: Any = None,
) -> None:
    require_features("x", x, "batch query d_model", module.query.weight)
    require_all_finite("x", x)
    n_key = x.shape[1] if context is None else require_fitting_context(module, context, x.shape[0])
    if rotation is not None:
        if context is not None:
            raise ValueError("rotation turns the keys of x, so it cannot be used together with context; give one")
        require_fitting_rotation(rotation, tuple(x.shape), module.d_head)
    if cache is not None:
        if not isinstance(cache, KVCache):
            raise TypeError(f"cache must be a KVCache, got {describe(cache)}")
        if context is not None:
            raise ValueError("cache keeps the keys of x, so it cannot be used together with context; give one of them")
        n_key += cache.length
    shape = (x.shape[0], module.n_heads, x.shape[1], n_key)
    if mask is not None:
        require_fitting_mask(mask, shape, x.device)
    if bias is not None:
        require_fitting_bias(bias, shape, x)


def require_fitting_context(module: "MultiHeadAttention", context: Any, batch: int) -> int:
    """Raise unless a context, or what was worked out of one, fits; return its number of keys."""
    if not isinstance(context, KeysValues):
        require_features("context", context, "batch key d_model", module.key.weight)
        if context.shape[0] != batch:
            raise ValueError(f"context must have x's batch of {batch}, got {describe(context)}")
        require_all_finite("context", context)
        return context.shape[1]
    for name, part in context._asdict().items():
        require_float_tensor(f"context.{name}", part, "batch kv_head key d_head")
        expected = (batch, module.n_kv_heads, context.keys.shape[2], module.d_head)
        if part.shape != expected:
            raise ValueError(f"context.{name} must have shape {expected} to fit x and this layer, got {describe(part)}")
    return context.keys.shape[2]


def _check_keys_values(module: "MultiHeadAttention", context: Any) -> None:
    require_features("context", context, "batch key d_model", module.key.weight)
    require_all_finite("context", context)


class MultiHeadAttention(nn.Module):
    """Let every position gather what it needs from the others, in several ways at once.

    Parameters
    ----------
    d_model
        Number of features in and out.
    n_heads
        Number of heads.
    n_kv_heads
        Number of key and value heads, each shared by n_heads / n_kv_heads query heads; n_heads by default.
    d_head
        Number of features each head works on; d_model / n_heads by default.
    bias
        Whether the four projections add a bias.
    scale
        What the scores are multiplied by; 1/√d_head by default.
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
        self,
        d_model: int,
        n_heads: int,
        *,
        n_kv_heads: int | None = None,
        d_head: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        self.d_head = d_model // n_heads if d_head is None else d_head
        self.scale = scale
        self.dropout = dropout
        self.query = Linear(d_model, self.n_heads * self.d_head, bias=bias)
        self.key = Linear(d_model, self.n_kv_heads * self.d_head, bias=bias)
        self.value = Linear(d_model, self.n_kv_heads * self.d_head, bias=bias)
        self.output = Linear(self.n_heads * self.d_head, d_model, bias=bias)

    @requires(_check_forward)
    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        context: Float[Tensor, "batch key d_model"] | KeysValues | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        *,
        bias: Float[Tensor, "..."] | None = None,
        is_causal: bool = False,
        rotation: Rotation | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """Attend from ``x`` to ``context``, or to ``x`` itself.

        Parameters
        ----------
        x
            Where the queries come from.
        context
            Where the keys and values come from (cross-attention), or what :meth:`keys_values` made of it; ``x`` by
            default.
        mask, bias, is_causal
            As in :func:`companion.attention.dot_product_attention`; with a cache, the last axis of a mask or a bias
            covers the cached positions and the new ones.
        rotation
            Angles by which the queries and keys of the positions of ``x`` are turned before they meet.
        cache
            Earlier positions' keys and values; the new ones are appended.

        Raises
        ------
        TypeError, ValueError
            As :func:`companion.attention.dot_product_attention` and :class:`companion.attention.KVCache` raise them,
            or if a context is given together with a cache or a rotation.
        """
        query, (key, value) = self._project(x, context, rotation)
        if cache is not None:
            key, value = cache.append(key, value)
        dropout_p = self.dropout if self.training else 0.0
        heads = attend(query, key, value, mask, bias, is_causal, self.scale, dropout_p)
        return self.output(_merge(heads))

    def _project(
        self, x: Tensor, context: Tensor | KeysValues | None, rotation: Rotation | None
    ) -> tuple[Tensor, KeysValues]:
        query = _split(self.query(x), self.n_heads)
        both = context if isinstance(context, KeysValues) else self._keys_values(x if context is None else context)
        if rotation is None:
            return query, both
        return turn(query, rotation), KeysValues(turn(both.keys, rotation), both.values)

    def _keys_values(self, source: Tensor) -> KeysValues:
        return KeysValues(_split(self.key(source), self.n_kv_heads), _split(self.value(source), self.n_kv_heads))

    @requires(_check_keys_values)
    def keys_values(self, context: Float[Tensor, "batch key d_model"]) -> KeysValues:
        """Work out a context's keys and values, to be given to :meth:`forward` in its place as often as needed.

        Raises
        ------
        TypeError, ValueError
            If the context is not a floating point tensor with d_model features, or is not finite.
        """
        return self._keys_values(context)

    @requires(_check_forward)
    def weights(
        self,
        x: Float[Tensor, "batch query d_model"],
        context: Float[Tensor, "batch key d_model"] | KeysValues | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        *,
        bias: Float[Tensor, "..."] | None = None,
        is_causal: bool = False,
        rotation: Rotation | None = None,
    ) -> Float[Tensor, "batch head query key"]:
        """Show the weights that :meth:`forward` would use (without dropout); takes and raises the same."""
        query, (key, _) = self._project(x, context, rotation)
        return attention_weights(query, key, mask, bias=bias, is_causal=is_causal, scale=self.scale)
