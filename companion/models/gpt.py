"""GPT: a decoder that reads a text from left to right and scores every possible next token."""

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from companion._validation import (
    describe,
    require_axes,
    require_count,
    require_divisible,
    require_probability,
    requires,
)
from companion.attention import KVCache, causal_mask, combine_masks, padding_mask
from companion.attention.masks import require_attention_mask
from companion.transformer import PreNormBlock


@dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """What a GPT is made of.

    Parameters
    ----------
    vocab_size
        Number of tokens it knows.
    max_len
        Number of positions it can tell apart.
    d_model, n_heads, n_layers
        Number of features, of attention heads, and of blocks.
    d_ff
        Number of features inside the feed-forward halves; four times d_model by default.
    dropout
        Chance of dropping a weight or a feature while training.
    bias
        Whether projections and normalisations add a bias.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the heads do not divide d_model, or the dropout is out of range.
    """

    vocab_size: int
    max_len: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int | None = None
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int or (field.name == "d_ff" and value is not None):
                require_count(field.name, value)
        require_divisible("d_model", self.d_model, "n_heads", self.n_heads)
        require_probability("dropout", self.dropout)
        if not isinstance(self.bias, bool):
            raise TypeError(f"bias must be True or False, got {describe(self.bias)}")


def _check_config(model: Any, config: Any, generator: Any = None) -> None:
    if not isinstance(config, GPTConfig):
        raise TypeError(f"config must be a GPTConfig, got {describe(config)}")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {describe(generator)}")


def _check_forward(model: "GPT", input_ids: Any, caches: Any = None, *, attention_mask: Any = None) -> None:
    if not isinstance(input_ids, Tensor) or input_ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"input_ids must be a tensor of torch.int64 or int32 (batch pos), got {describe(input_ids)}")
    require_axes("input_ids", input_ids, "batch pos")
    batch, n_new = input_ids.shape
    n_read = 0 if caches is None else _check_caches(model, caches, batch)
    if n_read + n_new > model.config.max_len:
        raise ValueError(
            f"input_ids has {n_new} positions after {n_read} cached ones, more than "
            f"max_len={model.config.max_len}; shorten the text"
        )
    if attention_mask is not None:
        require_attention_mask(attention_mask)
        if tuple(attention_mask.shape) != (batch, n_read + n_new):
            raise ValueError(
                f"attention_mask must have shape ({batch}, {n_read + n_new}), the cached positions and the new ones, "
                f"got {describe(attention_mask)}"
            )


def _check_caches(model: "GPT", caches: Any, batch: int) -> int:
    """Return how many positions the caches hold."""
    if not isinstance(caches, list) or not all(isinstance(cache, KVCache) for cache in caches):
        raise TypeError(f"caches must be the list that new_caches returns, got {describe(caches)}")
    if len(caches) != len(model.blocks):
        raise ValueError(f"caches must be one for each of the {len(model.blocks)} blocks, got {len(caches)}")
    lengths = [cache.length for cache in caches]
    if len(set(lengths)) > 1:
        raise ValueError(f"caches must all hold the same positions, got lengths {lengths}")
    if caches[0].keys.shape[0] != batch:
        raise ValueError(
            f"caches are for a batch of {caches[0].keys.shape[0]}, but input_ids has a batch of {batch}; "
            f"make new ones with new_caches({batch})"
        )
    return lengths[0]


class GPT(nn.Module):
    """Score, at every position, every token that may come next.

    The same matrix embeds the tokens and scores them (a tied head).

    Parameters
    ----------
    config
        Its sizes.
    generator
        Source of the initial weights; torch's global one by default.

    Raises
    ------
    TypeError
        If the arguments are not of these types.

    References
    ----------
    Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3.
    """

    @requires(_check_config)
    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        d_ff = config.d_ff or 4 * config.d_model
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.max_len, config.d_model)
        self.blocks = nn.ModuleList(
            PreNormBlock(config.d_model, config.n_heads, d_ff, dropout=config.dropout, bias=config.bias)
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.d_model, bias=config.bias)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew, as GPT-2 does.

        Matrices are normal with standard deviation 0.02, biases zero; the projections whose results are added to the
        residual stream are smaller by √(2 n_layers), so that the sum of all of them keeps its size.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                is_residual = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
                std = 0.02 / math.sqrt(2 * self.config.n_layers) if is_residual else 0.02
                nn.init.normal_(parameter, 0.0, std, generator=generator)
            else:
                nn.init.ones_(parameter)

    @requires(_check_forward)
    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        caches: list[KVCache] | None = None,
        *,
        attention_mask: Int[Tensor, "batch key"] | Bool[Tensor, "batch key"] | None = None,
    ) -> Float[Tensor, "batch pos vocab"]:
        """Return the scores (logits) of the next token at each position.

        Parameters
        ----------
        input_ids
            The text, or its new positions when caches hold the earlier ones.
        caches
            One for each block, from :meth:`new_caches`; the new positions are appended.
        attention_mask
            1 for a token and 0 for padding, over cached and new positions. Positions are counted from the first token,
            so padding on either side changes no token's scores; those of the padding itself mean nothing.

        Raises
        ------
        TypeError
            If the tokens are not integers.
        ValueError
            If a shape does not fit, the text is longer than max_len, a token is unknown, or the caches disagree.
        """
        n_read = caches[0].length if caches else 0
        x = F.dropout(self._embed(input_ids, n_read, attention_mask), self.config.dropout, self.training)
        mask = None
        if attention_mask is not None:
            n_new = input_ids.shape[1]
            causal = causal_mask(n_new, n_read + n_new, device=input_ids.device)
            mask = combine_masks(padding_mask(attention_mask), causal)
        for i, block in enumerate(self.blocks):
            x = block(x, mask, is_causal=mask is None, cache=caches[i] if caches else None)
        return F.linear(self.norm(x), self.token_embedding.weight)

    def _embed(self, input_ids: Tensor, n_read: int, attention_mask: Tensor | None) -> Tensor:
        n_new = input_ids.shape[1]
        if attention_mask is None:
            positions = self.position_embedding.weight[n_read : n_read + n_new]
        else:
            counted = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
            positions = self.position_embedding(counted[:, n_read:])
        try:
            return self.token_embedding(input_ids) + positions
        except IndexError as error:  # on the CPU; looking for it beforehand would make a GPU wait
            raise ValueError(
                f"input_ids must be at least 0 and below vocab_size={self.config.vocab_size}, "
                f"got values from {input_ids.min()} to {input_ids.max()}"
            ) from error

    def new_caches(self, batch: int) -> list[KVCache]:
        """Make empty caches for texts of up to max_len tokens, of this model's dtype and on its device.

        Raises
        ------
        TypeError, ValueError
            If the batch is not an integer of at least 1.
        """
        c, weight = self.config, self.token_embedding.weight
        d_head = c.d_model // c.n_heads
        return [
            KVCache(batch, c.n_heads, c.max_len, d_head, dtype=weight.dtype, device=weight.device) for _ in self.blocks
        ]
