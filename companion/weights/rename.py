"""One table for each family of models, from a checkpoint's names to ours and back.

A rule pairs one tensor of a checkpoint with one of ours, or with several that the checkpoint keeps fused. What a rule
does to a tensor (transpose it, split it) loses nothing, so the same table writes what it reads, bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rule:
    """One tensor of a checkpoint and what it is here.

    Parameters
    ----------
    ours
        Our names; more than one where the checkpoint keeps them fused, one below the other.
    theirs
        The checkpoint's name.
    transposed
        Whether the checkpoint stores the matrix as (in, out), where a linear layer here has (out, in).
    """

    ours: tuple[str, ...]
    theirs: str
    transposed: bool = False

    def read(self, tensor: Tensor) -> dict[str, Tensor]:
        """Turn the checkpoint's tensor into ours."""
        tensor = tensor.mT if self.transposed else tensor
        return dict(zip(self.ours, tensor.chunk(len(self.ours)), strict=True))

    def write(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Turn our tensors into the checkpoint's."""
        parts = [tensors[name] for name in self.ours]
        tensor = torch.cat(parts) if len(parts) > 1 else parts[0]
        return tensor.mT if self.transposed else tensor


def rule(ours: str | Iterable[str], theirs: str, *, transposed: bool = False) -> Rule:
    """Pair our names, without and with a fused partner, with a checkpoint's."""
    return Rule((ours,) if isinstance(ours, str) else tuple(ours), theirs, transposed)


def weights_and_biases(ours: str | Iterable[str], theirs: str, *, transposed: bool = False) -> list[Rule]:
    """Pair the ``.weight`` and the ``.bias`` of our parts with those of a checkpoint's part."""
    names = (ours,) if isinstance(ours, str) else tuple(ours)
    return [
        rule([f"{name}.weight" for name in names], f"{theirs}.weight", transposed=transposed),
        rule([f"{name}.bias" for name in names], f"{theirs}.bias"),
    ]


def in_every_layer(ours: str, theirs: str, n_layers: int, rules: Iterable[Rule]) -> list[Rule]:
    """Repeat one layer's rules for all of them; ``{i}`` in the two beginnings stands for the layer's number."""
    rules = list(rules)
    return [
        Rule(tuple(ours.format(i=i) + name for name in one.ours), theirs.format(i=i) + one.theirs, one.transposed)
        for i in range(n_layers)
        for one in rules
    ]


@dataclass(frozen=True)
class Match:
    """Which tensor of a checkpoint is which, and what is left over; see :meth:`RenameTable.match`."""

    found: dict[str, str]
    ignored: tuple[str, ...]
    tied: dict[str, str]
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    unexpected: tuple[str, ...]
    doubled: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class RenameTable:
    """All rules of one model, and what else a checkpoint of its family may hold.

    Parameters
    ----------
    rules
        One for each tensor of a checkpoint.
    prefix
        What names begin with when the model has a head, and not when it was saved without one.
    old_names
        Patterns of names that older checkpoints have, and what they are called now.
    tied
        Names of tensors that are the same as another's. A checkpoint may leave one out; where it has one that no rule
        needs, it must be equal.
    ignored
        Patterns of names that hold nothing learned, such as masks.
    optional
        Beginnings of names of parts that a checkpoint may lack as a whole.
    """

    rules: tuple[Rule, ...]
    prefix: str = ""
    old_names: Mapping[str, str] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def match(self, names: Iterable[str]) -> Match:
        """Find the checkpoint's tensor of each rule by their names alone.

        Returns
        -------
        Match
            ``found``, from a rule's name to the checkpoint's; ``ignored``; ``tied``, from a checkpoint's name to the
            rule's name whose tensor it repeats; ``missing`` and ``absent`` rules' names, of parts that must and that
            need not be there; ``unexpected`` names; and ``doubled`` pairs of names for one tensor.
        """
        wanted = {one.theirs for one in self.rules}
        known = wanted | set(self.tied)
        found: dict[str, str] = {}
        ignored, unexpected, doubled = [], [], []
        for name in names:
            now = self._current(name, known)
            if now in found:
                doubled.append((found[now], name))
            elif now in known:
                found[now] = name
            elif any(re.fullmatch(pattern, now) for pattern in self.ignored):
                ignored.append(name)
            else:
                unexpected.append(name)
        tied = {}
        for name, of in self.tied.items():  # one of the two is enough
            held = found.get(name) if name in wanted else found.pop(name, None)
            if held is not None and of not in found:
                found[of] = held
            elif held is None and of in found and name in wanted:
                found[name] = found[of]
            elif held is not None and name not in wanted:
                tied[held] = of
        lacking = [one.theirs for one in self.rules if one.theirs not in found]
        parts = [part for part in self.optional if not any(name.startswith(part) for name in found)]
        absent = tuple(name for name in lacking if name.startswith(tuple(parts)))
        missing = tuple(name for name in lacking if name not in absent)
        return Match(found, tuple(ignored), tied, missing, absent, tuple(unexpected), tuple(doubled))

    def _current(self, name: str, known: set[str]) -> str:
        for old, new in self.old_names.items():
            name = re.sub(old, new, name)
        if name in known or name.startswith(self.prefix):
            return name
        return self.prefix + name

    def read(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename a checkpoint's tensors to ours; what no rule needs is left out.

        Raises
        ------
        KeyError
            If a tensor is missing.
        """
        found = self.match(tensors).found
        return {name: part for one in self.rules for name, part in one.read(tensors[found[one.theirs]]).items()}

    def write(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename our tensors to the checkpoint's, which is laid out as transformers writes it.

        Raises
        ------
        KeyError
            If a tensor is missing.
        """
        return {one.theirs: one.write(tensors) for one in self.rules}
