"""T5: an encoder reads one text in both directions, a decoder writes another from left to right while looking at it."""

import functools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from companion._validation import describe, require_features, requires
from companion.attention import KeysValues, KVCache, MultiHeadAttention
from companion.models._checks import (
    look_up,
    require_config,
    require_heads,
    require_input_ids,
    require_sizes,
)
from companion.models.pretrained import PretrainedModel
from companion.transformer import Block, Decoder, Encoder, FeedForward, RMSNorm, T5RelativeBias, init_fan_in
from companion.transformer.stack import require_caches, require_documents_of, require_mask_of
from companion.weights import T5_FAMILY


@dataclass(frozen=True, kw_only=True)
class T5Config:
    """What a T5 is made of.

    Parameters
    ----------
    vocab_size
        Number of tokens it knows.
    d_model, n_heads, n_layers
        Number of features, of attention heads, and of blocks of the encoder.
    n_decoder_layers
        Number of blocks of the decoder; n_layers by default.
    d_head
        Number of features of a head; d_model / n_heads by default.
    d_ff
        Number of features inside the feed-forward halves; four times d_model by default.
    gated
        Whether the feed-forward halves are gated GELUs, as from T5 1.1 on, or ReLUs, as in T5 1.0.
    tied
        Whether the same matrix embeds the tokens and, scaled by 1/√d_model, scores them, as in T5 1.0.
    n_buckets, max_distance
        Number of distances that the bias of the scores tells apart, and the distance from which all are alike.
    start_id
        The token that a written text is begun with; T5 takes its padding.
    dropout
        Chance of dropping a weight or a feature while training.
    norm_eps
        Added to the mean square in the normalisations.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the heads do not divide d_model, or a number is out of range.
    """

    vocab_size: int
    d_model: int
    n_heads: int
    n_layers: int
    n_decoder_layers: int | None = None
    d_head: int | None = None
    d_ff: int | None = None
    gated: bool = False
    tied: bool = True
    n_buckets: int = 32
    max_distance: int = 128
    start_id: int = 0
    dropout: float = 0.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        require_sizes(self)
        require_heads(self)
        if self.n_buckets % 2 or self.n_buckets < 4:
            raise ValueError(f"n_buckets must be even and at least 4, got {self.n_buckets}")
        if self.max_distance <= self.n_buckets // 2:
            raise ValueError(
                "max_distance must be above half of n_buckets, the distances that have a bucket of their own, "
                f"got max_distance={self.max_distance} and n_buckets={self.n_buckets}"
            )
        if self.start_id >= self.vocab_size:
            raise ValueError(
                f"start_id must be below vocab_size, got start_id={self.start_id} and vocab_size={self.vocab_size}"
            )


def _check_model(model: Any, config: Any, generator: Any = None) -> None:
    require_config(config, T5Config, generator)


def _check_encode(model: "T5", input_ids: Any, *, attention_mask: Any = None, document_ids: Any = None) -> None:
    require_input_ids("input_ids", input_ids)
    require_mask_of("attention_mask", attention_mask, input_ids.shape, "one number for each token")
    require_documents_of(document_ids, input_ids.shape, attention_mask=attention_mask)


def _check_decode(
    model: "T5",
    decoder_input_ids: Any,
    encoded: Any,
    caches: Any = None,
    *,
    attention_mask: Any = None,
    decoder_attention_mask: Any = None,
) -> None:
    require_input_ids("decoder_input_ids", decoder_input_ids)
    batch, n_new = decoder_input_ids.shape
    n_read = require_caches(model.decoder, caches, batch)
    meaning = "the cached positions and the new ones"
    require_mask_of("decoder_attention_mask", decoder_attention_mask, (batch, n_read + n_new), meaning)
    if isinstance(encoded, list) and encoded and isinstance(encoded[0], KeysValues):
        n_encoded, n_texts = encoded[0].keys.shape[2], encoded[0].keys.shape[0]
    elif isinstance(encoded, Tensor) and encoded.dim() == 3:
        n_encoded, n_texts = encoded.shape[1], encoded.shape[0]
    else:
        raise TypeError(
            "encoded must be what encode or cross_keys_values returned, "
            f"features (batch pos d_model) or a list of KeysValues, got {describe(encoded)}"
        )
    if n_texts != batch:
        raise ValueError(
            f"encoded holds {n_texts} texts, but decoder_input_ids has a batch of {batch}; give one for each"
        )
    require_mask_of("attention_mask", attention_mask, (batch, n_encoded), "one number for each encoded token")


def _check_forward(
    model: "T5",
    input_ids: Any,
    decoder_input_ids: Any,
    *,
    attention_mask: Any = None,
    decoder_attention_mask: Any = None,
) -> None:
    require_input_ids("decoder_input_ids", decoder_input_ids)
    _check_encode(model, input_ids, attention_mask=attention_mask)
    if input_ids.shape[0] != decoder_input_ids.shape[0]:
        raise ValueError(
            f"decoder_input_ids must have input_ids' batch of {input_ids.shape[0]}, got {describe(decoder_input_ids)}"
        )
    meaning = "one number for each token written"
    require_mask_of("decoder_attention_mask", decoder_attention_mask, decoder_input_ids.shape, meaning)


def _check_cross(model: "T5", encoded: Any) -> None:
    require_features("encoded", encoded, "batch pos d_model", model.token_embedding.weight)


def _check_shift(model: "T5", labels: Any) -> None:
    require_input_ids("labels", labels)


class T5(PretrainedModel):
    """Write one text after reading another: score, at every position written, every token that may come next.

    Positions are told apart by their distance alone, a bias on the scores of attention; so there is no longest text.

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
    Raffel et al. (2020), Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, section
    2.1. Shazeer (2020), GLU Variants Improve Transformer, for the gates of T5 1.1.
    """

    family = T5_FAMILY
    config_class = T5Config

    @requires(_check_model)
    def __init__(self, config: T5Config, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = c = config
        norm = functools.partial(RMSNorm, c.d_model, eps=c.norm_eps)
        attention = functools.partial(
            # The initial weights make up for the scale that T5 leaves out.
            MultiHeadAttention,
            c.d_model,
            c.n_heads,
            d_head=c.d_head,
            bias=False,
            scale=1.0,
            dropout=c.dropout,
        )
        feed_forward = functools.partial(
            FeedForward,
            c.d_model,
            c.d_ff or 4 * c.d_model,
            activation="gelu_tanh" if c.gated else "relu",
            gated=c.gated,
            bias=False,
            dropout=c.dropout,
        )
        relative_bias = functools.partial(T5RelativeBias, c.n_heads, n_buckets=c.n_buckets, max_distance=c.max_distance)
        self.token_embedding = nn.Embedding(c.vocab_size, c.d_model)
        self.encoder_bias = relative_bias(bidirectional=True)
        self.encoder = Encoder(
            [Block(attention(), feed_forward(), norm, dropout=c.dropout) for _ in range(c.n_layers)], norm()
        )
        self.decoder_bias = relative_bias(bidirectional=False)
        self.decoder = Decoder(
            [
                Block(attention(), feed_forward(), norm, cross_attention=attention(), dropout=c.dropout)
                for _ in range(c.n_decoder_layers or c.n_layers)
            ],
            norm(),
        )
        self.head = None if c.tied else nn.Linear(c.d_model, c.vocab_size, bias=False)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew, as T5 does (:func:`companion.transformer.init_fan_in`)."""
        init_fan_in(self, generator=generator)

    @requires(_check_forward)
    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        decoder_input_ids: Int[Tensor, "batch out"],
        *,
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
        decoder_attention_mask: Int[Tensor, "batch out"] | Bool[Tensor, "batch out"] | None = None,
    ) -> Float[Tensor, "batch out vocab"]:
        """Return the scores (logits) of the next token at each position written.

        Parameters
        ----------
        input_ids
            The text to read.
        decoder_input_ids
            The text written so far, behind the start token; in training, :meth:`shift_right` of the labels.
        attention_mask, decoder_attention_mask
            1 for a token and 0 for padding, of either text. Padding on either side changes no token's scores; those
            of the padding itself mean nothing.

        Raises
        ------
        TypeError
            If the tokens are not integers.
        ValueError
            If a shape does not fit, or a token is unknown.
        """
        encoded = self.encode(input_ids, attention_mask=attention_mask)
        return self.decode(
            decoder_input_ids,
            encoded,
            attention_mask=attention_mask,
            decoder_attention_mask=decoder_attention_mask,
        )

    @requires(_check_encode)
    def encode(
        self,
        input_ids: Int[Tensor, "batch pos"],
        *,
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
        document_ids: Int[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Read a text: return the vector of each token; takes and raises what :meth:`forward` does.

        With ``document_ids``, the documents that share a row are read apart, as in :meth:`BERT.forward`.
        """
        x = self._embed("input_ids", input_ids)
        x = self.encoder(x, attention_mask, document_ids=document_ids, bias=self.encoder_bias(input_ids.shape[1]))
        return F.dropout(x, self.config.dropout, self.training)

    @requires(_check_cross)
    def cross_keys_values(self, encoded: Float[Tensor, "batch pos d_model"]) -> list[KeysValues]:
        """Work out what the decoder reads of an encoded text, to be given to :meth:`decode` at every step.

        Raises
        ------
        TypeError, ValueError
            If ``encoded`` is not a floating point tensor with d_model features.
        """
        return self.decoder.keys_values(encoded)

    @requires(_check_decode)
    def decode(
        self,
        decoder_input_ids: Int[Tensor, "batch out"],
        encoded: Float[Tensor, "batch pos d_model"] | list[KeysValues],
        caches: list[KVCache] | None = None,
        *,
        attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
        decoder_attention_mask: Int[Tensor, "batch key"] | Bool[Tensor, "batch key"] | None = None,
    ) -> Float[Tensor, "batch out vocab"]:
        """Write: return the scores (logits) of the next token at each position.

        Parameters
        ----------
        decoder_input_ids
            The text written so far, or its new positions when caches hold the earlier ones.
        encoded
            The text that was read: from :meth:`encode`, or from :meth:`cross_keys_values`, which saves time when
            there is more than one step.
        caches
            One for each block of the decoder, from :meth:`new_caches`; the new positions are appended.
        attention_mask
            1 for a token and 0 for padding of the text that was read.
        decoder_attention_mask
            1 for a token and 0 for padding, over cached and new positions.

        Raises
        ------
        TypeError
            If the tokens are not integers.
        ValueError
            If a shape does not fit, a token is unknown, or the caches disagree.
        """
        n_new = decoder_input_ids.shape[1]
        n_read = caches[0].length if caches else 0
        x = self.decoder(
            self._embed("decoder_input_ids", decoder_input_ids),
            decoder_attention_mask,
            bias=self.decoder_bias(n_new, n_read + n_new),
            caches=caches,
            context=encoded,
            context_mask=attention_mask,
        )
        x = F.dropout(x, self.config.dropout, self.training)
        if self.head is not None:
            return self.head(x)
        return F.linear(x * self.config.d_model**-0.5, self.token_embedding.weight)

    def _embed(self, name: str, ids: Tensor) -> Tensor:
        x = look_up(self.token_embedding, name, ids, "vocab_size")
        return F.dropout(x, self.config.dropout, self.training)

    @requires(_check_shift)
    def shift_right(self, labels: Int[Tensor, "batch out"]) -> Int[Tensor, "batch out"]:
        """Return what the decoder reads while it learns to write the labels: each but the last, behind the start token.

        Labels of -100, which losses ignore, become the start token too.

        Raises
        ------
        TypeError, ValueError
            If the labels are not integers (batch pos).
        """
        start = torch.full_like(labels[:, :1], self.config.start_id)
        shifted = torch.cat([start, labels[:, :-1]], dim=1)
        return shifted.masked_fill(shifted == -100, self.config.start_id)

    def new_caches(self, batch: int, max_len: int) -> list[KVCache]:
        """Make empty caches for the decoder, of this model's dtype and on its device.

        Parameters
        ----------
        batch
            Number of texts.
        max_len
            Number of written tokens there is room for, the start token among them.

        Raises
        ------
        TypeError, ValueError
            If a number is not an integer of at least 1.
        """
        return self.decoder.new_caches(batch, max_len)
