"""Answers of a fine-tuned model, in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._validation import require_count, requires
from companion.finetuning.inputs import Example, TextInputs
from companion.finetuning.task import Row, Task


def _check(task: Any, model: Any, inputs: Any, rows: Any, *, batch_size: Any = 64) -> None:
    require_count("batch_size", batch_size)
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")


@requires(_check)
def predict(
    task: Task, model: nn.Module, inputs: TextInputs, rows: Sequence[Row], *, batch_size: int = 64
) -> list[dict[str, Any]]:
    """Predict the answers of rows, which need none of their own.

    Parameters
    ----------
    task
        What is asked, fitted to the training rows.
    model
        As the task made it; its mode (training or evaluation) is the same afterwards.
    inputs
        Encodes texts for the model.
    rows
        As :meth:`Task.parse` makes them.
    batch_size
        How many rows go through the model together; texts of similar length do.

    Returns
    -------
    list of dict
        For each row what the task predicts.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or a row has an unknown label.
    """
    examples = [task.example(row, inputs) for row in rows]
    answers: list[dict[str, Any]] = [{}] * len(rows)
    with evaluating(model):
        for chosen, logits in _scored(task, model, inputs, examples, batch_size):
            some = [rows[i] for i in chosen], [examples[i] for i in chosen]
            for i, answer in zip(chosen, task.predictions(logits, *some), strict=True):
                answers[i] = answer
    return answers


@requires(_check)
def class_scores(
    task: Task, model: nn.Module, inputs: TextInputs, rows: Sequence[Row], *, batch_size: int = 64
) -> Float[Tensor, "row class"]:
    """Return the score of each class for each row, on the CPU, before a softmax and any temperature.

    Parameters
    ----------
    task, model, inputs, rows, batch_size
        As in :func:`predict`, for a task that gives a row one label; and at least one row.

    Raises
    ------
    TypeError, ValueError
        As :func:`predict`.
    """
    examples = [task.example(row, inputs) for row in rows]
    scores: list[Tensor] = [torch.empty(0)] * len(rows)
    with evaluating(model):
        for chosen, logits in _scored(task, model, inputs, examples, batch_size):
            for i, row in zip(chosen, logits.float().cpu(), strict=True):
                scores[i] = row
    return torch.stack(scores)


def _scored(
    task: Task, model: nn.Module, inputs: TextInputs, examples: Sequence[Example], batch_size: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Give the numbers of the rows in each batch, similar lengths together, and their scores."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i]["input_ids"]))
    device = next(model.parameters()).device
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = inputs.collate([examples[i] for i in chosen])
        yield chosen, task.logits(model, {name: value.to(device) for name, value in batch.items()})


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within it a model drops nothing and no gradient is kept; afterwards its mode is what it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def evaluate(
    task: Task, model: nn.Module, inputs: TextInputs, rows: Sequence[Row], *, batch_size: int = 64
) -> dict[str, float]:
    """Predict and score; the first score is the task's main figure.

    Parameters
    ----------
    task, model, inputs, rows, batch_size
        As in :func:`predict`; the rows have answers.

    Raises
    ------
    ValueError
        If there is no row, or one has an unknown label.
    """
    if not rows:
        raise ValueError("rows must hold at least one example to score, got none")
    return task.score(rows, predict(task, model, inputs, rows, batch_size=batch_size))
