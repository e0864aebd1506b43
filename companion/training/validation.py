"""The mean loss over texts that are not trained on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from companion._validation import describe
from companion.training.batches import Batch, cut, on, require_batch
from companion.training.randomness import RandomStream
from companion.training.team import Team

COLUMN = "validation_loss"


def as_sets(validation: Any) -> dict[str, Any]:
    """Return validation sets by the name of their column."""
    if validation is None:
        return {}
    sets: dict[str, Any]
    if isinstance(validation, Mapping):
        sets = {f"{COLUMN}_{name}": batches for name, batches in validation.items()}
    else:
        sets = {COLUMN: validation}
    for batches in sets.values():
        count = _count(batches)
        if count is None or not (callable(batches) or hasattr(batches, "__getitem__")):
            raise TypeError(
                "validation must be a list of batches, a function from a number to a batch that has a length, or a "
                f"dict of names to these, got {describe(batches)[:200]}"
            )
        if count == 0:
            raise ValueError("validation must have at least one batch, got none; leave it out to have no validation")
    return sets


def _count(batches: Any) -> int | None:
    return len(batches) if hasattr(batches, "__len__") else None


def _each(batches: Any) -> Iterator[Batch]:
    count = len(batches)
    get: Any = batches if callable(batches) else batches.__getitem__
    for i in range(count):
        batch = get(i)
        require_batch(batch, f"validation batch {i}")
        yield batch


@torch.no_grad()
def mean_loss(compute: Callable[[Batch], Any], objective: nn.Module, batches: Any, team: Team, *, seed: int) -> float:
    """Return the mean loss over all tokens that count in all batches, without dropout.

    The random numbers that a loss draws, such as which tokens it hides, are the same every time.
    """
    was_training = objective.training
    objective.eval()
    total = count = 0.0
    try:
        with RandomStream(seed + team.rank, team.device).active():
            for batch in _each(batches):
                part = cut(batch, team.size)[team.rank]
                loss = compute(on(team.device, part.rows))
                total += part.weight * loss.total.item()
                count += part.weight * loss.count.item()
    finally:
        objective.train(was_training)
        team.forget_whole(objective)
    total, count = team.sum([total, count])
    return total / max(count, 1.0)
