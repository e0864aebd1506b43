"""GPT: a decoder that reads a text from left to right and scores every possible next token."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from companion._validation import requires
from companion.attention import KVCache, MultiHeadAttention
from companion.models._checks import (
    look_up,
    require_config,
    require_heads,
    require_input_ids,
    require_room,
    require_sizes,
)
from companion.models.pretrained import PretrainedModel
from companion.transformer import (
    Block,
    Decoder,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    count_positions,
    document_positions,
    init_normal,
)
from companion.transformer.stack import require_caches, require_documents_of, require_mask_of
from companion.weights import GPT2_FAMILY


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
    norm_eps
        Added to the variance in the normalisations.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the heads do not divide d_model, or a number is out of range.
    """

    vocab_size: int
    max_len: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int | None = None
    dropout: float = 0.0
    bias: bool = True
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        require_sizes(self)
        require_heads(self)


def _check_model(model: Any, config: Any, generator: Any = None) -> None:
    require_config(config, GPTConfig, generator)


def _check_forward(
    model: "GPT", input_ids: Any, caches: Any = None, *, attention_mask: Any = None, document_ids: Any = None
) -> None:
    require_input_ids("input_ids", input_ids)
    batch, n_new = input_ids.shape
    n_read = require_caches(model.decoder, caches, batch)
    require_room("input_ids", n_new, n_read, model.config.max_len)
    require_mask_of("attention_mask", attention_mask, (batch, n_read + n_new), "the cached positions and the new ones")
    require_documents_of(document_ids, input_ids.shape, attention_mask=attention_mask, caches=caches)


class GPT(PretrainedModel):
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

    family = GPT2_FAMILY
    config_class = GPTConfig

    @requires(_check_model)
    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = c = config
        norm = functools.partial(LayerNorm, c.d_model, eps=c.norm_eps, bias=c.bias)
        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.position_embedding = LearnedPositions(c.max_len, c.d_model)
        self.decoder = Decoder(
            [
                Block(
                    MultiHeadAttention(c.d_model, c.n_heads, bias=c.bias, dropout=c.dropout),
                    FeedForward(c.d_model, c.d_ff or 4 * c.d_model, activation="gelu_tanh", bias=c.bias),
                    norm,
                    dropout=c.dropout,
                )
                for _ in range(c.n_layers)
            ],
            norm(),
        )
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew, as GPT-2 does (:func:`companion.transformer.init_normal`)."""
        init_normal(self, residual_scale=1 / math.sqrt(2 * self.config.n_layers), generator=generator)

    @requires(_check_forward)
    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        caches: list[KVCache] | None = None,
        *,
        attention_mask: Int[Tensor, "batch key"] | Bool[Tensor, "batch key"] | None = None,
        document_ids: Int[Tensor, "batch pos"] | None = None,
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
        document_ids
            Where several documents share a row, the number of each position's; equal numbers stand side by side, and
            padding has a number of its own, such as -1. A token sees its own document only, and positions are counted
            from the first of each, so that every document gets what it would get in a row of its own.

        Raises
        ------
        TypeError
            If the tokens are not integers.
        ValueError
            If a shape does not fit, the text is longer than max_len, a token is unknown, or the caches disagree.
        """
        x = self._read(input_ids, caches, attention_mask, document_ids)
        return F.linear(x, self.token_embedding.weight)

    @requires(_check_forward)
    def encode(
        self,
        input_ids: Int[Tensor, "batch pos"],
        caches: list[KVCache] | None = None,
        *,
        attention_mask: Int[Tensor, "batch key"] | Bool[Tensor, "batch key"] | None = None,
        document_ids: Int[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the vector of each token, from which :meth:`forward` scores the next; takes and raises the same."""
        return self._read(input_ids, caches, attention_mask, document_ids)

    def _read(
        self,
        input_ids: Tensor,
        caches: list[KVCache] | None,
        attention_mask: Tensor | None,
        document_ids: Tensor | None,
    ) -> Float[Tensor, "batch pos d_model"]:
        n_read = caches[0].length if caches else 0
        if document_ids is not None:
            positions = document_positions(document_ids)
        elif attention_mask is not None:
            positions = count_positions(attention_mask)[:, n_read:]
        else:
            positions = slice(n_read, n_read + input_ids.shape[1])
        x = look_up(self.token_embedding, "input_ids", input_ids, "vocab_size") + self.position_embedding(positions)
        x = F.dropout(x, self.config.dropout, self.training)
        return self.decoder(x, attention_mask, document_ids=document_ids, caches=caches)

    def new_caches(self, batch: int, max_len: int | None = None) -> list[KVCache]:
        """Make empty caches, of this model's dtype and on its device.

        Parameters
        ----------
        batch
            Number of texts.
        max_len
            Number of tokens there is room for; the model's max_len by default.

        Raises
        ------
        TypeError, ValueError
            If a number is not an integer of at least 1.
        """
        return self.decoder.new_caches(batch, self.config.max_len if max_len is None else max_len)
