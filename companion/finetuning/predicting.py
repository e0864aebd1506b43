"""Answers of a fine-tuned model, in the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from companion._validation import require_count, requires
from companion.finetuning.inputs import TextInputs
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
    order = sorted(range(len(rows)), key=lambda i: len(examples[i]["input_ids"]))
    answers: list[dict[str, Any]] = [{}] * len(rows)
    device = next(model.parameters()).device
    with evaluating(model):
        for chosen in _cut(order, batch_size):
            some = [examples[i] for i in chosen]
            batch = {name: value.to(device) for name, value in inputs.collate(some).items()}
            logits = task.logits(model, batch)
            for i, answer in zip(chosen, task.predictions(logits, [rows[i] for i in chosen], some), strict=True):
                answers[i] = answer
    return answers


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


def _cut(order: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


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
