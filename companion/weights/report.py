"""What loading a checkpoint did with each of its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from companion.weights.errors import CheckpointError
from companion.weights.rename import Match

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Where every tensor of a checkpoint went; ``print`` it for a summary.

    Parameters
    ----------
    source
        The checkpoint, as it was asked for.
    folder
        Where its files are.
    read
        Our parameters that were read, and for each the checkpoint's name of its tensor.
    fresh
        Our parameters that the checkpoint does not have and that were drawn at random, such as a head's. What is
        computed with them means nothing before they are trained.
    ignored
        Names in the checkpoint that hold nothing learned.
    tied
        Names in the checkpoint that repeat another tensor, and that tensor's name.
    dtypes
        The formats in which the checkpoint stores numbers.
    notes
        Settings that this model has in another way.
    """

    source: str
    folder: str
    read: dict[str, str]
    fresh: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    tied: dict[str, str]
    dtypes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        n_tensors = len(set(self.read.values()))
        lines = [f"{self.source}: {n_tensors} tensors ({', '.join(self.dtypes)}) read into {len(self.read)} parameters"]
        if self.tied:
            lines.append(f"the same as another tensor: {', '.join(self.tied)}")
        if self.ignored:
            lines.append(f"{len(self.ignored)} left alone that hold nothing learned: {', '.join(self.ignored)}")
        if self.fresh:
            lines.append(f"not in the checkpoint, drawn at random and to be trained: {', '.join(self.fresh)}")
        return "\n".join([*lines, *self.notes])


def require_all(
    source: str,
    match: Match,
    shapes: dict[str, Shape],
    expected: dict[str, Shape],
    *,
    unequal: Iterable[tuple[str, str]] = (),
) -> None:
    """Raise unless every tensor has its place and fits it.

    Parameters
    ----------
    source
        The checkpoint, for the message.
    match
        Which tensor is which.
    shapes
        The shape of each tensor in the checkpoint.
    expected
        The shape that each rule's tensor must have.
    unequal
        Pairs of names that should hold the same tensor and do not.

    Raises
    ------
    CheckpointError
        Listing every missing, unexpected and doubled name, and every wrong shape.
    """
    wrong = [
        f"{name} is {shapes[name]}, expected {expected[theirs]}"
        for theirs, name in match.found.items()
        if theirs in expected and shapes[name] != expected[theirs]
    ]
    wrong += [
        f"{name} is {shapes[name]}, expected {expected[of]}"
        for name, of in match.tied.items()
        if shapes[name] != expected[of]
    ]
    problems = {
        "missing": list(match.missing),
        "unexpected": list(match.unexpected),
        "of another shape": wrong,
        "there twice": [f"{first} and {second}" for first, second in match.doubled],
        "to be the same tensor and different": [f"{name} and {of}" for name, of in unequal],
    }
    told = [f"{len(names)} {what}: {', '.join(names)}" for what, names in problems.items() if names]
    if told:
        listed = "".join(f"\n- {line}" for line in told)
        raise CheckpointError(f"the tensors of {source} do not fit the model that its config.json describes:{listed}")
