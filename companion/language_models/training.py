"""Train a neural language model on sequences, and score sequences with it."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from companion._validation import describe, require_count, require_finite, requires
from companion.language_models.neural import NeuralModel
from companion.language_models.vocabulary import Vocabulary, check_sequences


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train.

    Parameters
    ----------
    epochs
        How often every sequence is read.
    batch_tokens
        About how many tokens one step reads.
    learning_rate
        The largest of a schedule that climbs over the first 50 steps and then falls along half a cosine.
    weight_decay
        Of AdamW.
    seed
        Of the order of the sequences and of what dropout drops.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.
    """

    epochs: int = 1
    batch_tokens: int = 2000
    learning_rate: float | int = 3e-3
    weight_decay: float | int = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        require_count("epochs", self.epochs)
        require_count("batch_tokens", self.batch_tokens)
        require_count("seed", self.seed, minimum=0)
        for name in ("learning_rate", "weight_decay"):
            require_finite(name, getattr(self, name))
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"learning_rate must be above 0 and weight_decay not below, got {self.learning_rate} "
                f"and {self.weight_decay}"
            )


@dataclass(frozen=True)
class Progress:
    """Where a training run is after a step."""

    step: int
    steps: int
    epochs: float  # of the data read so far
    loss: float  # of this step's batch: natural logarithm, mean over tokens
    cpu_seconds: float


def _check_train(model: Any, vocabulary: Any, sequences: Any, config: Any, report: Any = None) -> None:
    _check_model(model, vocabulary, sequences)
    if not isinstance(config, TrainingConfig):
        raise TypeError(f"config must be a TrainingConfig, got {describe(config)}")
    if report is not None and not callable(report):
        raise TypeError(f"report must be a function of Progress, got {describe(report)}")


def _check_model(model: Any, vocabulary: Any, sequences: Any) -> None:
    if not isinstance(model, NeuralModel):
        raise TypeError(f"model must be a NeuralModel, got {describe(model)}")
    if not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"vocabulary must be a Vocabulary, got {describe(vocabulary)}")
    if len(vocabulary) != model.config.vocab_size:
        raise ValueError(f"vocabulary must have the model's {model.config.vocab_size} tokens, got {len(vocabulary)}")
    check_sequences(sequences)


@requires(_check_train)
def train(
    model: NeuralModel,
    vocabulary: Vocabulary,
    sequences: Iterable[Sequence[Hashable]],
    config: TrainingConfig,
    report: Callable[[Progress], object] | None = None,
) -> list[Progress]:
    """Raise the likelihood of some sequences by AdamW; the same arguments give the same weights on the same machine.

    Parameters
    ----------
    model
        What to train, in place. It is left in evaluation mode.
    vocabulary
        The numbers of the tokens.
    sequences
        Strings, for their characters, or lists of tokens.
    config
        How to train.
    report
        Called after every step.

    Returns
    -------
    list of Progress
        One for each step.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of these types, vocabulary and model do not fit, there are no sequences, or the training
        diverges (a smaller learning rate helps).
    """
    encoded = [_with_marks(vocabulary, sequence) for sequence in sequences]
    if not encoded:
        raise ValueError("sequences must hold at least one sequence, got none")
    order = random.Random(config.seed)  # noqa: S311 - an order, not a secret
    batches = [batch for _ in range(config.epochs) for batch in _epoch(encoded, config.batch_tokens, order)]
    total = sum(len(ids) - 1 for ids in encoded)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay
    )
    device, history, n_read, start = model.bias.device, [], 0, time.process_time()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        model.train()
        for step, batch in enumerate(batches, start=1):
            optimizer.param_groups[0]["lr"] = config.learning_rate * _schedule(step, len(batches))
            scores, targets = _predict(model, batch)
            loss = F.cross_entropy(scores, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            n_read += len(targets)
            history.append(Progress(step, len(batches), n_read / total, loss.item(), time.process_time() - start))
            if not math.isfinite(history[-1].loss):
                raise ValueError(
                    f"learning_rate must be smaller than {config.learning_rate}: the training diverged, with a loss of "
                    f"{history[-1].loss} at step {step}; begin again with a new model"
                )
            if report:
                report(history[-1])
    model.eval()
    return history


@requires(_check_model)
@torch.no_grad()
def log_probabilities(
    model: NeuralModel, vocabulary: Vocabulary, sequences: Iterable[Sequence[Hashable]]
) -> Float[Tensor, " token"]:
    """Return the natural logarithm of the probability of every token, and of the end of every sequence.

    The order is that of :meth:`NGramModel.log_probabilities`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of these types, or vocabulary and model do not fit.
    """
    was_training = model.training
    model.eval()
    rows = []
    for sequence in sequences:
        scores, targets = _predict(model, [_with_marks(vocabulary, sequence)])
        rows.append(-F.cross_entropy(scores, targets, reduction="none").cpu())
    model.train(was_training)
    return torch.cat(rows) if rows else torch.empty(0)


def _with_marks(vocabulary: Vocabulary, sequence: Sequence[Hashable]) -> Tensor:
    return torch.tensor([vocabulary.start_id, *vocabulary.encode(sequence), vocabulary.end_id])


def _epoch(encoded: list[Tensor], batch_tokens: int, order: random.Random) -> Iterator[list[Tensor]]:
    """Cut the sequences into batches of similar lengths, in a random order: little padding, no two epochs alike."""
    by_length = sorted(encoded, key=lambda ids: len(ids) * order.uniform(0.9, 1.1))
    batches: list[list[Tensor]] = [[]]
    for ids in by_length:
        if batches[-1] and (len(batches[-1]) + 1) * len(ids) > batch_tokens:
            batches.append([])
        batches[-1].append(ids)
    order.shuffle(batches)
    yield from batches


def _predict(model: NeuralModel, batch: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the scores at all real positions of some sequences, and the tokens that came there."""
    ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=-1).to(model.bias.device)
    inputs, targets = ids[:, :-1], ids[:, 1:]
    is_real = targets >= 0
    features = model.features(inputs.clamp(min=0))
    return model.score(features[is_real]), targets[is_real]


def _schedule(step: int, steps: int, warmup: int = 50) -> float:
    return min(1.0, step / warmup) * (0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)
