"""Heads: what is put on a pretrained model (its body) so that it answers a new question."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from companion._validation import describe, require_count, require_float_tensor, require_probability, requires
from companion.models import BERT, GPT, T5, ModernDecoder, PretrainedModel
from companion.transformer.initialization import require_generator

IGNORED = -100
Pooling = Literal["cls", "pooled", "mean", "last"]
POOLINGS = ("cls", "pooled", "mean", "last")
BODIES = (BERT, GPT, T5, ModernDecoder)
INITIAL_STD = 0.02


def hidden_states(
    body: PretrainedModel,
    input_ids: Int[Tensor, "batch pos"],
    attention_mask: Tensor | None = None,
    token_type_ids: Tensor | None = None,
) -> Float[Tensor, "batch pos d_model"]:
    """Return the vector of each token, whatever the model: T5's encoder, a decoder before it scores the vocabulary.

    Raises
    ------
    TypeError, ValueError
        If the model is none of this package, or has no segments and some are given; besides what the model raises.
    """
    if isinstance(body, BERT):
        return body(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
    if token_type_ids is not None:
        raise ValueError(f"token_type_ids must be None for {type(body).__name__}, which has no segments")
    if isinstance(body, GPT | T5 | ModernDecoder):
        return body.encode(input_ids, attention_mask=attention_mask)
    raise TypeError(f"body must be a BERT, GPT, T5 or ModernDecoder, got {type(body).__name__}")


def _check_pool(hidden: Any, attention_mask: Any = None, *, pooling: Any, body: Any = None) -> None:
    require_float_tensor("hidden", hidden, "batch pos d_model")
    if attention_mask is not None and (
        not isinstance(attention_mask, Tensor) or attention_mask.shape != hidden.shape[:2]
    ):
        raise ValueError(
            f"attention_mask must have the shape {tuple(hidden.shape[:2])}, got {describe(attention_mask)}"
        )
    _require_pooling(pooling, body)


def _require_pooling(pooling: Any, body: Any) -> None:
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {describe(pooling)}")
    if pooling == "pooled" and not isinstance(body, BERT):
        raise ValueError(f'pooling="pooled" is BERT\'s own layer, and the body is {type(body).__name__}; use "mean"')
    if pooling == "cls" and isinstance(body, GPT | ModernDecoder):
        raise ValueError(
            f'pooling must be "last" or "mean" for {type(body).__name__}: its first token has not seen the others'
        )


@requires(_check_pool)
def pool(
    hidden: Float[Tensor, "batch pos d_model"],
    attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    *,
    pooling: Pooling,
    body: PretrainedModel | None = None,
) -> Float[Tensor, "batch d_model"]:
    """Make one vector of a text out of its tokens' vectors.

    Parameters
    ----------
    hidden
        What :func:`hidden_states` returned.
    attention_mask
        1 for a token and 0 for padding, which never counts.
    pooling
        ``"cls"``: the first token's. ``"pooled"``: the same through BERT's own layer and a tanh. ``"mean"``: of all
        tokens. ``"last"``: the last token's, the only one of a decoder that has seen the whole text.
    body
        The model, for ``"pooled"``.

    Raises
    ------
    TypeError, ValueError
        If there is no such pooling, or the model has none.
    """
    if pooling == "pooled":
        assert isinstance(body, BERT)
        return body.pool(hidden)
    if pooling == "cls":
        return hidden[:, 0]
    if attention_mask is None:
        return hidden.mean(1) if pooling == "mean" else hidden[:, -1]
    counts = attention_mask.to(hidden.dtype)
    if pooling == "mean":
        return torch.einsum("bp,bpd->bd", counts, hidden) / counts.sum(1, keepdim=True).clamp(min=1)
    # The last 1, on whichever side the padding is.
    last = (counts.cumsum(1) * counts).argmax(1)
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


def default_pooling(body: PretrainedModel) -> Pooling:
    """Return what suits a model: a decoder's last token, BERT's own layer, the mean of T5's encoder."""
    if isinstance(body, GPT | ModernDecoder):
        return "last"
    return "pooled" if isinstance(body, BERT) else "mean"


def _check_head(
    self: Any,
    body: Any,
    n_outputs: Any = 2,
    *,
    pooling: Any = None,
    dropout: Any = None,
    generator: Any = None,
) -> None:
    if not isinstance(body, BODIES):
        raise TypeError(f"body must be a BERT, GPT, T5 or ModernDecoder, got {type(body).__name__}")
    require_count("n_outputs", n_outputs)
    if pooling is not None:
        _require_pooling(pooling, body)
    if dropout is not None:
        require_probability("dropout", dropout)
    require_generator(generator)


class Head(nn.Module):
    """A body, dropout and one linear layer; what of the body the answer does not pass through is frozen.

    The heads below say what the layer reads.

    Parameters
    ----------
    body
        The pretrained model.
    n_outputs
        How many numbers the layer gives.
    pooling, dropout, generator
        As in :class:`TextClassifier`.

    Raises
    ------
    TypeError, ValueError
        If the body is no model of this package, or has no such pooling.
    """

    needs_pooling: ClassVar[bool] = True

    @requires(_check_head)
    def __init__(
        self,
        body: PretrainedModel,
        n_outputs: int = 2,
        *,
        pooling: Pooling | None = None,
        dropout: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.body = body
        self.n_outputs = n_outputs
        self.pooling: Pooling | None = (pooling or default_pooling(body)) if self.needs_pooling else None
        self.dropout = body.config.dropout if dropout is None else dropout
        weight = next(body.parameters())
        self.head = nn.Linear(body.config.d_model, n_outputs, device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            self.head.weight.normal_(std=INITIAL_STD, generator=generator)
            self.head.bias.zero_()
        for name, parameter in body.named_parameters():
            if name.startswith(_unused(body, self.pooling)):
                parameter.requires_grad_(False)

    def features(self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None) -> Tensor:
        """Return what the head reads: a vector a token, or a vector a text where the head pools."""
        hidden = hidden_states(self.body, input_ids, attention_mask, token_type_ids)
        if self.pooling is not None:
            hidden = pool(hidden, attention_mask, pooling=self.pooling, body=self.body)
        return F.dropout(hidden, self.dropout, self.training)


def _unused(body: PretrainedModel, pooling: Pooling | None) -> tuple[str, ...]:
    """Name the parts of a model that its tokens' vectors do not depend on."""
    if isinstance(body, BERT):
        return ("mlm_", "nsp.") if pooling == "pooled" else ("mlm_", "nsp.", "pooler.")
    return ("decoder.", "decoder_bias.", "head.") if isinstance(body, T5) else ("head.",)


class TextClassifier(Head):
    """Score classes for a text, or for a pair of texts.

    Parameters
    ----------
    body
        The pretrained model; it is trained along, unless it is frozen.
    n_outputs
        Number of classes.
    pooling
        How the text becomes one vector (:func:`pool`); what suits the model by default.
    dropout
        Chance of dropping a feature of that vector while training; the model's by default.
    generator
        Source of the head's first weights; torch's global one by default.

    Raises
    ------
    TypeError, ValueError
        If the body is no model of this package, or has no such pooling.

    References
    ----------
    Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, section 4.1.
    Radford et al. (2018), Improving Language Understanding by Generative Pre-Training, section 3.2, for the last token.
    """

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        *,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Float[Tensor, "batch class"]:
        """Return the score of each class; takes and raises what the body does."""
        return self.head(self.features(input_ids, attention_mask, token_type_ids))


class TextRegressor(Head):
    """Give a text, or a pair of texts, a number.

    Parameters
    ----------
    body, pooling, dropout, generator
        As in :class:`TextClassifier`.

    Raises
    ------
    TypeError, ValueError
        If the body is no model of this package, or has no such pooling.

    References
    ----------
    Devlin et al. (2019), BERT, section 4.1, where STS-B is such a task.
    """

    @requires(lambda self, body, **options: _check_head(self, body, **options))
    def __init__(
        self,
        body: PretrainedModel,
        *,
        pooling: Pooling | None = None,
        dropout: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(body, 1, pooling=pooling, dropout=dropout, generator=generator)

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        *,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Float[Tensor, " batch"]:
        """Return one number a text; takes and raises what the body does."""
        return self.head(self.features(input_ids, attention_mask, token_type_ids)).squeeze(1)


class TokenTagger(Head):
    """Score tags for every token.

    Parameters
    ----------
    body, dropout, generator
        As in :class:`TextClassifier`.
    n_outputs
        Number of tags.

    Raises
    ------
    TypeError, ValueError
        If the body is no model of this package.

    References
    ----------
    Devlin et al. (2019), BERT, section 5.3.
    """

    needs_pooling = False

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        *,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Float[Tensor, "batch pos tag"]:
        """Return the score of each tag at each token; takes and raises what the body does."""
        return self.head(self.features(input_ids, attention_mask, token_type_ids))


class SpanReader(Head):
    """Score every token as the first and as the last of the answer.

    Parameters
    ----------
    body, dropout, generator
        As in :class:`TextClassifier`.

    Raises
    ------
    TypeError, ValueError
        If the body is no model of this package.

    References
    ----------
    Devlin et al. (2019), BERT, section 4.2.
    """

    needs_pooling = False

    @requires(lambda self, body, **options: _check_head(self, body, **options))
    def __init__(
        self, body: PretrainedModel, *, dropout: float | None = None, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(body, 2, dropout=dropout, generator=generator)

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        *,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        is_context: Tensor | None = None,
    ) -> Float[Tensor, "batch 2 pos"]:
        """Return the scores of the first token, then those of the last; takes and raises what the body does.

        Parameters
        ----------
        input_ids, attention_mask, token_type_ids
            As the body takes them.
        is_context
            1 where an answer can be; everywhere else the score is the lowest there is.
        """
        scores = self.head(self.features(input_ids, attention_mask, token_type_ids)).transpose(1, 2)
        if is_context is None:
            is_context = attention_mask
        if is_context is None:
            return scores
        return scores.masked_fill(~(is_context[:, None] == 1), torch.finfo(scores.dtype).min)
