"""A small neural language model: the last words exactly, everything before them as one average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from companion._validation import describe, require_axes, require_count, require_probability, requires


@dataclass(frozen=True, kw_only=True)
class NeuralConfig:
    """What a neural language model is made of.

    Parameters
    ----------
    vocab_size
        How many tokens it can predict, the end of a sequence and "unknown" among them.
    window
        How many of the last tokens it sees one by one.
    d_embedding, d_hidden
        Number of features of a token, and of the hidden layer.
    remember
        Whether it also sees the sum of all earlier tokens of the sequence.
    dropout
        Chance of dropping a feature while training.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, or the dropout is out of range.
    """

    vocab_size: int
    window: int = 4
    d_embedding: int = 64
    d_hidden: int = 256
    remember: bool = True
    dropout: float | int = 0.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "window", "d_embedding", "d_hidden"):
            require_count(name, getattr(self, name))
        if not isinstance(self.remember, bool):
            raise TypeError(f"remember must be True or False, got {describe(self.remember)}")
        require_probability("dropout", self.dropout)


def _check_model(model: Any, config: Any, generator: Any = None) -> None:
    if not isinstance(config, NeuralConfig):
        raise TypeError(f"config must be a NeuralConfig, got {describe(config)}")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {describe(generator)}")


def _check_forward(model: NeuralModel, input_ids: Any) -> None:
    if not isinstance(input_ids, Tensor) or input_ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"input_ids must be a tensor of torch.int64 or int32 (batch pos), got {describe(input_ids)}")
    require_axes("input_ids", input_ids, "batch pos")
    start_id = model.config.vocab_size
    if input_ids.numel() and not 0 <= int(input_ids.min()) <= int(input_ids.max()) <= start_id:
        raise ValueError(
            f"input_ids must be at least 0 and at most {start_id}, the start mark, "
            f"got values from {int(input_ids.min())} to {int(input_ids.max())}"
        )


class NeuralModel(nn.Module):
    """Score every token that may come next, from the embeddings of the tokens before it.

    A hidden layer reads the last ``window`` embeddings side by side and, if it is to remember, the sum of all
    embeddings since the start, divided by the root of their number so that it keeps its size. The same matrix embeds
    the tokens and scores them.

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
    Bengio, Ducharme, Vincent and Jauvin (2003), A Neural Probabilistic Language Model, section 2, for the window; Press
    and Wolf (2017), Using the Output Embedding to Improve Language Models, for the shared matrix.
    """

    @requires(_check_model)
    def __init__(self, config: NeuralConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        c = config
        self.embedding = nn.Embedding(c.vocab_size + 1, c.d_embedding)  # the last row is the start mark's
        self.hidden = nn.Linear((c.window + c.remember) * c.d_embedding, c.d_hidden)
        self.project = nn.Linear(c.d_hidden, c.d_embedding)
        self.norm = nn.LayerNorm(c.d_embedding)
        self.bias = nn.Parameter(torch.zeros(c.vocab_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew: embeddings small, the layers' rows of length about one."""
        nn.init.normal_(self.embedding.weight, std=0.05, generator=generator)
        for layer in (self.hidden, self.project):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.bias)

    @requires(_check_forward)
    def forward(self, input_ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos vocab"]:
        """Return the scores (logits) of the next token at each position.

        Parameters
        ----------
        input_ids
            Sequences from their start mark on; what stands before it is imagined to be start marks too.

        Raises
        ------
        TypeError, ValueError
            If the numbers are not integers of two axes, or a token is unknown.
        """
        return self.score(self.features(input_ids))

    def features(self, input_ids: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_embedding"]:
        """Return what the model makes of the tokens up to each position, before the vocabulary is scored."""
        c = self.config
        x = F.dropout(self.embedding(input_ids), c.dropout, self.training)
        before = self.embedding.weight[-1].expand(len(x), c.window - 1, -1)
        windows = torch.cat([before, x], dim=1).unfold(1, c.window, 1).transpose(-2, -1).flatten(2)
        if c.remember:
            n_read = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
            windows = torch.cat([windows, x.cumsum(1) / n_read.sqrt()[:, None]], dim=-1)
        hidden = F.dropout(F.relu(self.hidden(windows)), c.dropout, self.training)
        return self.norm(self.project(hidden) + x)

    def score(self, features: Float[Tensor, "*batch d_embedding"]) -> Float[Tensor, "*batch vocab"]:
        """Return the score of every token of the vocabulary for some features."""
        return F.linear(features, self.embedding.weight[:-1], self.bias)
