"""Keys and values of the tokens already read, kept so that each new token costs one step and not a whole pass."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from companion._validation import describe, require_count, require_float_tensor, requires


def _check_sizes(cache: Any, batch: Any, n_kv_heads: Any, max_len: Any, d_head: Any, **options: Any) -> None:
    sizes = {"batch": batch, "n_kv_heads": n_kv_heads, "max_len": max_len, "d_head": d_head}
    for name, size in sizes.items():
        require_count(name, size)
    dtype = options.get("dtype", torch.float32)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating point torch.dtype, got {describe(dtype)}")


def _check_append(cache: "KVCache", key: Any, value: Any) -> None:
    batch, n_kv_heads, max_len, d_head = cache.keys.shape
    for name, tensor in (("key", key), ("value", value)):
        require_float_tensor(name, tensor, "batch kv_head pos d_head")
        if (*tensor.shape[:2], tensor.shape[3]) != (batch, n_kv_heads, d_head):
            raise ValueError(
                f"{name} must have shape ({batch}, {n_kv_heads}, any, {d_head}) to fit this cache, "
                f"got {describe(tensor)}"
            )
        if tensor.dtype != cache.keys.dtype:
            raise TypeError(f"{name} must have this cache's dtype {cache.keys.dtype}, got {describe(tensor)}")
        if tensor.requires_grad:
            raise ValueError(f"{name} requires gradients, and a cache keeps none; decode under torch.no_grad()")
    if key.shape != value.shape:
        raise ValueError(f"value must have key's shape {tuple(key.shape)}, got {describe(value)}")
    if cache.length + key.shape[2] > max_len:
        raise ValueError(
            f"the cache is full: it holds {cache.length} of max_len={max_len} positions and got {key.shape[2]} more; "
            "make it longer, or reset() it"
        )


class KVCache:
    """Keep one attention layer's keys and values while a text is decoded token by token.

    The room for all positions is taken once, and ``append`` returns views of it: nothing is copied but the new
    positions. It is state for decoding, without gradients.

    Parameters
    ----------
    batch, n_kv_heads, max_len, d_head
        Sizes of the two stores, of shape (batch, n_kv_heads, max_len, d_head) each.
    dtype, device
        Of the keys and values that will be appended.

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1, or the dtype is not floating point.
    """

    @requires(_check_sizes)
    def __init__(
        self,
        batch: int,
        n_kv_heads: int,
        max_len: int,
        d_head: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        self.keys = torch.zeros(batch, n_kv_heads, max_len, d_head, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        self.length = 0

    @property
    def max_len(self) -> int:
        """Number of positions there is room for."""
        return self.keys.shape[2]

    @requires(_check_append)
    def append(
        self, key: Float[Tensor, "batch kv_head new d_head"], value: Float[Tensor, "batch kv_head new d_head"]
    ) -> tuple[Float[Tensor, "batch kv_head pos d_head"], Float[Tensor, "batch kv_head pos d_head"]]:
        """Add the keys and values of new positions; return those of all positions so far.

        Raises
        ------
        TypeError
            If they are not floating point tensors of the cache's dtype.
        ValueError
            If their shape does not fit, they carry gradients, or the cache would overflow.
        """
        start, self.length = self.length, self.length + key.shape[2]
        self.keys[:, :, start : self.length] = key
        self.values[:, :, start : self.length] = value
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def reset(self) -> None:
        """Forget everything and keep the room."""
        self.length = 0
