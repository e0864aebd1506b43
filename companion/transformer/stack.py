"""Blocks on top of each other: an encoder reads in both directions, a decoder from left to right."""

from collections.abc import Iterable
from typing import Any, cast

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from companion._validation import describe, require_count, require_features, requires
from companion.attention import (
    KeysValues,
    KVCache,
    MultiHeadAttention,
    Rotation,
    causal_mask,
    combine_masks,
    document_mask,
    padding_mask,
)
from companion.attention.masks import require_attention_mask, require_document_ids
from companion.attention.multi_head import require_fitting_context
from companion.transformer.block import Block


def _check_module(module: Any, blocks: Any, norm: Any = None) -> None:
    if not isinstance(blocks, (list, tuple)) or not blocks or not all(isinstance(block, Block) for block in blocks):
        raise TypeError(f"blocks must be a list of at least one Block, got {describe(blocks)}")
    if norm is not None and not isinstance(norm, nn.Module):
        raise TypeError(f"norm must be a torch.nn.Module or None, got {describe(norm)}")


def _require_x(stack: "_Stack", x: Any) -> None:
    require_features("x", x, "batch pos d_model", stack.first_block.attention.query.weight)


def require_mask_of(name: str, attention_mask: Any, shape: tuple[int, ...], meaning: str) -> None:
    """Raise unless the mask is None, or 1/0 and of this shape (batch key)."""
    if attention_mask is None:
        return
    require_attention_mask(attention_mask, name)
    if attention_mask.shape != shape:
        raise ValueError(f"{name} must have shape {tuple(shape)}, {meaning}, got {describe(attention_mask)}")


def require_documents_of(
    document_ids: Any, shape: tuple[int, ...], *, attention_mask: Any = None, caches: Any = None
) -> None:
    """Raise unless the documents are None, or numbered at each position, with nothing else saying who sees whom."""
    if document_ids is None:
        return
    require_document_ids(document_ids)
    if document_ids.shape != shape:
        raise ValueError(
            f"document_ids must have shape {tuple(shape)}, one number for each position, got {describe(document_ids)}"
        )
    for name, other in {"attention_mask": attention_mask, "caches": caches}.items():
        if other is not None:
            raise ValueError(
                f"document_ids cannot be used together with {name}; give padding a number of its own, such as -1, "
                "and read the texts of a cache in rows of their own"
            )


class _Stack(nn.Module):
    @requires(_check_module)
    def __init__(self, blocks: Iterable[Block], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm

    @property
    def first_block(self) -> Block:
        """The block that the input enters."""
        block = self.blocks[0]
        assert isinstance(block, Block)
        return block


def _check_encoder(
    encoder: "Encoder",
    x: Any,
    attention_mask: Any = None,
    *,
    document_ids: Any = None,
    bias: Any = None,
    rotation: Any = None,
) -> None:
    _require_x(encoder, x)
    require_mask_of("attention_mask", attention_mask, x.shape[:2], "one number for each position")
    require_documents_of(document_ids, x.shape[:2], attention_mask=attention_mask)


class Encoder(_Stack):
    """Let every position look at every other, block after block.

    Parameters
    ----------
    blocks
        From the first to the last.
    norm
        Applied to what the last block returns; pre-norm blocks need one.

    Raises
    ------
    TypeError
        If the parts are not of these types.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, section 3.1.
    """

    @requires(_check_encoder)
    def forward(
        self,
        x: Float[Tensor, "batch pos d_model"],
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
        *,
        document_ids: Int[Tensor, "batch pos"] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotation: Rotation | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the features of each position after all blocks.

        Parameters
        ----------
        x
            The features of each position.
        attention_mask
            1 for a token and 0 for padding.
        document_ids
            Where several documents share a row, the number of each position's: it sees its own document only.
        bias, rotation
            What the scheme of positions adds to every block's scores, or turns its queries and keys by.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or shape.
        """
        mask = None if attention_mask is None else padding_mask(attention_mask)
        if document_ids is not None:
            mask = document_mask(document_ids)
        for block in self.blocks:
            x = block(x, mask, bias=bias, rotation=rotation)
        return x if self.norm is None else self.norm(x)


def require_caches(decoder: "Decoder", caches: Any, batch: int) -> int:
    """Raise unless the caches fit the decoder and the batch; return how many positions they hold."""
    if caches is None:
        return 0
    if not isinstance(caches, list) or not all(isinstance(cache, KVCache) for cache in caches):
        raise TypeError(f"caches must be the list that new_caches returns, got {describe(caches)}")
    if len(caches) != len(decoder.blocks):
        raise ValueError(f"caches must be one for each of the {len(decoder.blocks)} blocks, got {len(caches)}")
    lengths = [cache.length for cache in caches]
    if len(set(lengths)) > 1:
        raise ValueError(f"caches must all hold the same positions, got lengths {lengths}")
    if caches[0].keys.shape[0] != batch:
        raise ValueError(
            f"caches are for a batch of {caches[0].keys.shape[0]}, but the input has a batch of {batch}; "
            f"make new ones with new_caches({batch})"
        )
    return lengths[0]


def _check_decoder(
    decoder: "Decoder",
    x: Any,
    attention_mask: Any = None,
    *,
    document_ids: Any = None,
    caches: Any = None,
    context: Any = None,
    context_mask: Any = None,
    **options: Any,
) -> None:
    _require_x(decoder, x)
    batch, n_new = x.shape[:2]
    n_read = require_caches(decoder, caches, batch)
    require_mask_of("attention_mask", attention_mask, (batch, n_read + n_new), "the cached positions and the new ones")
    require_documents_of(document_ids, x.shape[:2], attention_mask=attention_mask, caches=caches)
    n_key = _check_context(decoder, context, batch)
    if context_mask is not None:
        if context is None:
            raise ValueError("context_mask needs a context; give one, or leave the mask out")
        require_mask_of("context_mask", context_mask, (batch, n_key), "one number for each position of the context")


def _check_context(decoder: "Decoder", context: Any, batch: int) -> int:
    """Return the number of keys of a context, or 0 where there is none."""
    cross_attention = decoder.first_block.cross_attention
    if cross_attention is None or context is None:
        if cross_attention is not None:
            raise ValueError("context must be given: the blocks have cross-attention; pass what they may look at")
        if context is not None:
            raise ValueError("context needs blocks with cross-attention, and these have none; leave it out")
        return 0
    if not isinstance(context, list):
        return require_fitting_context(cross_attention, context, batch)
    if len(context) != len(decoder.blocks) or not all(isinstance(part, KeysValues) for part in context):
        raise ValueError(
            f"context must be features, or the list of {len(decoder.blocks)} that keys_values returns, "
            f"got {describe(context)}"
        )
    return require_fitting_context(cross_attention, context[0], batch)


def _check_new_caches(decoder: "Decoder", batch: Any, max_len: Any) -> None:
    require_count("batch", batch)
    require_count("max_len", max_len)


def _check_keys_values(decoder: "Decoder", context: Any) -> None:
    if decoder.first_block.cross_attention is None:
        raise ValueError("context needs blocks with cross-attention, and these have none")


class Decoder(_Stack):
    """Let every position look at itself and those before it, and at another text where there is cross-attention.

    Parameters
    ----------
    blocks
        From the first to the last.
    norm
        Applied to what the last block returns; pre-norm blocks need one.

    Raises
    ------
    TypeError
        If the parts are not of these types.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, section 3.1. Radford et al. (2018), Improving Language
    Understanding by Generative Pre-Training, for a decoder on its own.
    """

    @requires(_check_decoder)
    def forward(
        self,
        x: Float[Tensor, "batch pos d_model"],
        attention_mask: Int[Tensor, "batch key"] | Bool[Tensor, "batch key"] | None = None,
        *,
        document_ids: Int[Tensor, "batch pos"] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotation: Rotation | None = None,
        caches: list[KVCache] | None = None,
        context: Float[Tensor, "batch other d_model"] | list[KeysValues] | None = None,
        context_mask: Int[Tensor, "batch other"] | Bool[Tensor, "batch other"] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the features of each position after all blocks.

        Parameters
        ----------
        x
            The features of each position, or of the new ones when caches hold the earlier ones.
        attention_mask
            1 for a token and 0 for padding, over cached and new positions.
        document_ids
            Where several documents share a row, the number of each position's: it sees its own document only.
        bias, rotation
            What the scheme of positions adds to every block's scores, or turns its queries and keys by.
        caches
            One for each block, from :meth:`new_caches`; the new positions are appended.
        context
            The features of another text, or what :meth:`keys_values` made of them.
        context_mask
            1 for a token and 0 for padding of the context.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type or shape, or the caches disagree.
        """
        mask = None
        if attention_mask is not None:
            mask = combine_masks(
                padding_mask(attention_mask), causal_mask(x.shape[1], attention_mask.shape[1], device=x.device)
            )
        if document_ids is not None:
            mask = combine_masks(document_mask(document_ids), causal_mask(x.shape[1], device=x.device))
        other_mask = None if context_mask is None else padding_mask(context_mask)
        for i, block in enumerate(self.blocks):
            x = block(
                x,
                mask,
                bias=bias,
                is_causal=mask is None,
                rotation=rotation,
                cache=None if caches is None else caches[i],
                context=context[i] if isinstance(context, list) else context,
                context_mask=other_mask,
            )
        return x if self.norm is None else self.norm(x)

    @requires(_check_new_caches)
    def new_caches(self, batch: int, max_len: int) -> list[KVCache]:
        """Make empty caches for texts of up to max_len tokens, of this decoder's dtype and on its device.

        Raises
        ------
        TypeError, ValueError
            If a number is not an integer of at least 1.
        """
        attention = self.first_block.attention
        weight = attention.key.weight
        return [
            KVCache(batch, attention.n_kv_heads, max_len, attention.d_head, dtype=weight.dtype, device=weight.device)
            for _ in self.blocks
        ]

    @requires(_check_keys_values)
    def keys_values(self, context: Float[Tensor, "batch other d_model"]) -> list[KeysValues]:
        """Work out what every block's cross-attention reads of a context, once for all steps of decoding.

        Raises
        ------
        TypeError, ValueError
            If there is no cross-attention, or the context is not a floating point tensor with d_model features.
        """
        return [cast(MultiHeadAttention, block.cross_attention).keys_values(context) for block in self.blocks]
