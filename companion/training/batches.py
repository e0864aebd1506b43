"""A batch cut into parts that are computed one after the other, or by different processes."""

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion._validation import describe

Batch = dict[str, Tensor]


class Part(NamedTuple):
    """Some rows of a batch, and how much they weigh: 0 for a row that only keeps a process busy."""

    rows: Batch
    weight: float


def require_batch(batch: Any, where: str) -> None:
    """Raise unless this is a dict of tensors with the same number of rows, at least one."""
    if not isinstance(batch, dict) or not batch or not all(isinstance(value, Tensor) for value in batch.values()):
        raise TypeError(f"{where} must be a dict of names to tensors, got {describe(batch)[:200]}")
    sizes = {name: value.shape[0] if value.dim() else None for name, value in batch.items()}
    if len(set(sizes.values())) > 1 or None in sizes.values() or 0 in sizes.values():
        raise ValueError(f"{where} must have tensors with the same number of rows, at least one, got rows {sizes}")


def cut(batch: Batch, count: int) -> list[Part]:
    """Cut a batch into so many parts of neighbouring rows, as equal as can be.

    A part without rows gets the first one with weight 0: every process must take part in every step.
    """
    n_rows = next(iter(batch.values())).shape[0]
    edges = [n_rows * i // count for i in range(count + 1)]
    parts = []
    for first, last in itertools.pairwise(edges):
        chosen = slice(first, last) if last > first else slice(0, 1)
        parts.append(Part({name: value[chosen] for name, value in batch.items()}, float(last > first)))
    return parts


def count_tokens(batch: Batch) -> int | None:
    """Count the tokens that a batch reads, padding left out; None when it has no ``input_ids``."""
    if "attention_mask" in batch:
        return int(batch["attention_mask"].sum())
    if "document_ids" in batch:  # of packed rows, -1 where nothing is
        return int((batch["document_ids"] >= 0).sum())
    return batch["input_ids"].numel() if "input_ids" in batch else None


def on(device: torch.device, batch: Batch) -> Batch:
    """Move a batch to a device."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
