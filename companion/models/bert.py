"""BERT: an encoder that reads a text in both directions at once and gives every token a vector that knows the rest."""

import functools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from companion._validation import describe, require_features, requires
from companion.attention import MultiHeadAttention
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
    Encoder,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    count_positions,
    document_positions,
    init_normal,
)
from companion.transformer.stack import require_documents_of, require_mask_of
from companion.weights import BERT_FAMILY


@dataclass(frozen=True, kw_only=True)
class BERTConfig:
    """What a BERT is made of.

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
    n_segments
        Number of kinds of text it tells apart, such as first and second sentence.
    dropout
        Chance of dropping a weight or a feature while training.
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
    n_segments: int = 2
    dropout: float = 0.0
    norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        require_sizes(self)
        require_heads(self)


def _check_model(model: Any, config: Any, generator: Any = None) -> None:
    require_config(config, BERTConfig, generator)


def _check_forward(
    model: "BERT",
    input_ids: Any,
    *,
    attention_mask: Any = None,
    token_type_ids: Any = None,
    document_ids: Any = None,
) -> None:
    require_input_ids("input_ids", input_ids)
    require_room("input_ids", input_ids.shape[1], 0, model.config.max_len)
    require_mask_of("attention_mask", attention_mask, input_ids.shape, "one number for each token")
    require_documents_of(document_ids, input_ids.shape, attention_mask=attention_mask)
    if token_type_ids is not None:
        require_input_ids("token_type_ids", token_type_ids)
        if token_type_ids.shape != input_ids.shape:
            raise ValueError(
                f"token_type_ids must have input_ids' shape {tuple(input_ids.shape)}, got {describe(token_type_ids)}"
            )


def _check_pool(model: "BERT", hidden: Any) -> None:
    require_features("hidden", hidden, "batch pos d_model", model.pooler.weight)


def _check_mlm(model: "BERT", hidden: Any) -> None:
    require_features("hidden", hidden, "*batch d_model", model.mlm_transform.weight)


def _check_nsp(model: "BERT", hidden: Any) -> None:
    require_features("hidden", hidden, "batch pos d_model", model.pooler.weight)


class BERT(PretrainedModel):
    """Give every token a vector that depends on the whole text, and answer the two questions of pretraining with it.

    The heads are methods on the vectors, so that each costs something only where it is asked for.

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
    Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, section 3.
    """

    family = BERT_FAMILY
    config_class = BERTConfig

    @requires(_check_model)
    def __init__(self, config: BERTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = c = config
        norm = functools.partial(LayerNorm, c.d_model, eps=c.norm_eps)
        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.position_embedding = LearnedPositions(c.max_len, c.d_model)
        self.segment_embedding = nn.Embedding(c.n_segments, c.d_model)
        self.embedding_norm = norm()
        self.encoder = Encoder(
            [
                Block(
                    MultiHeadAttention(c.d_model, c.n_heads, dropout=c.dropout),
                    FeedForward(c.d_model, c.d_ff or 4 * c.d_model, activation="gelu"),
                    norm,
                    pre_norm=False,
                    dropout=c.dropout,
                )
                for _ in range(c.n_layers)
            ]
        )
        self.pooler = nn.Linear(c.d_model, c.d_model)
        self.mlm_transform = nn.Linear(c.d_model, c.d_model)
        self.mlm_norm = norm()
        self.mlm_bias = nn.Parameter(torch.zeros(c.vocab_size))
        self.nsp = nn.Linear(c.d_model, 2)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew, as BERT does (:func:`companion.transformer.init_normal`)."""
        init_normal(self, generator=generator)

    @requires(_check_forward)
    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        *,
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
        token_type_ids: Int[Tensor, "batch pos"] | None = None,
        document_ids: Int[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the vector of each token.

        Parameters
        ----------
        input_ids
            The text.
        attention_mask
            1 for a token and 0 for padding. Positions are counted from the first token, so padding on either side
            changes no token's vector; those of the padding itself mean nothing.
        token_type_ids
            The segment of each token; 0 everywhere by default.
        document_ids
            Where several documents share a row, the number of each position's; equal numbers stand side by side, and
            padding has a number of its own, such as -1. A token sees its own document only, and positions are counted
            from the first of each, so that every document gets what it would get in a row of its own.

        Raises
        ------
        TypeError
            If the tokens or segments are not integers.
        ValueError
            If a shape does not fit, the text is longer than max_len, or a token or a segment is unknown.
        """
        x = look_up(self.token_embedding, "input_ids", input_ids, "vocab_size")
        if document_ids is not None:
            x = x + self.position_embedding(document_positions(document_ids))
        elif attention_mask is not None:
            x = x + self.position_embedding(count_positions(attention_mask))
        else:
            x = x + self.position_embedding(slice(0, input_ids.shape[1]))
        if token_type_ids is None:
            x = x + self.segment_embedding.weight[0]
        else:
            x = x + look_up(self.segment_embedding, "token_type_ids", token_type_ids, "n_segments")
        x = F.dropout(self.embedding_norm(x), self.config.dropout, self.training)
        return self.encoder(x, attention_mask, document_ids=document_ids)

    @requires(_check_pool)
    def pool(self, hidden: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch d_model"]:
        """Return one vector a text: the first token's, through a linear layer and a tanh.

        Raises
        ------
        TypeError, ValueError
            If ``hidden`` is not a floating point tensor with d_model features.
        """
        return torch.tanh(self.pooler(hidden[:, 0]))

    @requires(_check_mlm)
    def mlm_logits(self, hidden: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch vocab"]:
        """Score, for each of these vectors, every token that may be hidden there.

        Parameters
        ----------
        hidden
            What :meth:`forward` returned, or only those vectors whose token is hidden: the matrix of all tokens is
            the dearest of the model, and pretraining asks at few positions.

        Raises
        ------
        TypeError, ValueError
            If ``hidden`` is not a floating point tensor with d_model features.
        """
        transformed = self.mlm_norm(F.gelu(self.mlm_transform(hidden)))
        return F.linear(transformed, self.token_embedding.weight, self.mlm_bias)

    @requires(_check_nsp)
    def nsp_logits(self, hidden: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch 2"]:
        """Score whether the second sentence follows the first (0) or was put there by chance (1).

        Raises
        ------
        TypeError, ValueError
            If ``hidden`` is not a floating point tensor with d_model features.
        """
        return self.nsp(self.pool(hidden))
