"""A part of the corpus to measure on that shares nothing with the part to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from companion._validation import describe, require_count, require_finite, requires
from companion.data.corpus.duplicates import Finder, check_finding
from companion.data.corpus.order import permutation
from companion.data.corpus.overlap import anchors
from companion.data.corpus.progress import shown
from companion.tokenization.base import require_texts


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """How a corpus was split.

    Parameters
    ----------
    train, validation
        The indices of the texts of each part, in order.
    groups
        The groups of texts that were kept together, those of two or more.
    characters_train, characters_validation
        The number of characters of each part.
    """

    train: list[int]
    validation: list[int]
    groups: list[list[int]]
    characters_train: int
    characters_validation: int

    def __str__(self) -> str:
        together = sum(map(len, self.groups))
        return (
            f"split: {len(self.train)} texts ({self.characters_train} characters) for training, "
            f"{len(self.validation)} ({self.characters_validation}) for validation; "
            f"{together} texts in {len(self.groups)} groups of related ones stayed together"
        )


class Split(NamedTuple):
    """The two parts of a corpus and how they were made."""

    train: list[str]
    validation: list[str]
    report: SplitReport


class Groups:
    """Sets of numbers that are merged pair by pair (union-find)."""

    def __init__(self, n: int):
        self._parent = list(range(n))

    def find(self, item: int) -> int:
        """Return the least number of the set that holds this one."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def merge(self, first: int, second: int) -> None:
        """Make one set of the two that hold these numbers."""
        low, high = sorted((self.find(first), self.find(second)))
        self._parent[high] = low

    def sets(self) -> list[list[int]]:
        """Return all sets, each in order."""
        members: dict[int, list[int]] = {}
        for item in range(len(self._parent)):
            members.setdefault(self.find(item), []).append(item)
        return list(members.values())


def check_splitting(*, validation: Any, threshold: Any, stretch: Any, size: Any, seed: Any) -> None:
    """Raise unless these are arguments of `split_documents`."""
    require_finite("validation", validation)
    if not 0 < validation < 1:
        raise ValueError(f"validation must be above 0 and below 1, got {validation}")
    check_finding(threshold=threshold, size=size, seed=seed)
    require_count("stretch", stretch, minimum=2)


def _check(
    texts: Any,
    *,
    validation: Any = 0.05,
    seed: Any = 0,
    groups: Any = None,
    threshold: Any = 0.7,
    stretch: Any = 100,
    size: Any = 5,
    progress: Any = False,
) -> None:
    require_texts("texts", texts)
    if groups is not None and (isinstance(groups, str) or not isinstance(groups, Sequence)):
        raise TypeError(f"groups must be a list with one entry for each text, got {describe(groups)}")
    check_splitting(validation=validation, threshold=threshold, stretch=stretch, size=size, seed=seed)


@requires(_check)
def split_documents(
    texts: Iterable[str],
    *,
    validation: float = 0.05,
    seed: int = 0,
    groups: Sequence[Any] | None = None,
    threshold: float = 0.7,
    stretch: int = 100,
    size: int = 5,
    progress: bool = False,
) -> Split:
    """Split a corpus in two so that what is measured on one part was not seen in the other.

    Texts that share something stay on one side: those that are almost the same, those with a long stretch in common
    (a quotation, a passage in two collections), and those that are said to belong together.

    Parameters
    ----------
    texts
        The corpus, whole documents: those that are cut into pieces later are cut within their part.
    validation
        The share of the characters to hold out, about.
    seed
        Chooses the documents that are held out.
    groups
        For each text what it belongs to, such as the title of its article; texts of one group stay together. None
        belongs to no group.
    threshold
        The least Jaccard similarity of texts that stay together.
    stretch
        No stretch of this many bytes of UTF-8 is in both parts: 100 are 100 letters of English or 33 characters of
        Chinese. The shorter, the more texts hang together by formulas that many of them have.
    size
        The length of a shingle in characters, for the similarity.
    progress
        Show progress bars on standard error.

    Returns
    -------
    Split
        The texts of both parts, in their order, and a report.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or the texts cannot be split: there are less than two, or
        all of them belong together.
    ImportError
        When datasketch is missing; the message says how to install it.
    """
    given = list(texts)
    for index, text in enumerate(given):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}] must be a string, got {type(text).__name__}")
    if groups is not None and len(groups) != len(given):
        raise ValueError(f"groups must have one entry for each of the {len(given)} texts, got {len(groups)}")
    related = Groups(len(given))
    merge_named(related, groups or ())
    merge_sharing(related, shown(given, "looking for stretches in common", progress), stretch)
    alike = Finder(threshold=threshold, size=size, seed=seed)
    merge_alike(related, shown(given, "looking for texts that are alike", progress), alike)
    sets = related.sets()
    if len(sets) < 2:
        raise ValueError(
            f"texts must hold two documents that are not alike, got {len(given)} that all belong together; "
            "give more texts, or hold out another corpus"
        )
    held_out = choose(sets, [len(text) for text in given], validation, seed)
    parts = [[index for index in range(len(given)) if (index in held_out) == side] for side in (False, True)]
    train, held = ([given[index] for index in part] for part in parts)
    report = SplitReport(
        train=parts[0],
        validation=parts[1],
        groups=[members for members in sets if len(members) > 1],
        characters_train=sum(map(len, train)),
        characters_validation=sum(map(len, held)),
    )
    return Split(train, held, report)


def merge_named(related: Groups, groups: Sequence[Any]) -> None:
    """Merge texts of the same group."""
    first: dict[Any, int] = {}
    for index, group in enumerate(groups):
        if group is not None:
            related.merge(first.setdefault(group, index), index)


def merge_sharing(related: Groups, texts: Iterable[str], stretch: int) -> None:
    """Merge texts that have a stretch of so many bytes in common."""
    first: dict[int, int] = {}
    for index, text in enumerate(texts):
        for anchor in anchors(text, stretch).tolist():
            related.merge(first.setdefault(anchor, index), index)


def merge_alike(related: Groups, texts: Iterable[str], finder: Finder) -> None:
    """Merge texts that are almost the same."""
    for index, text in enumerate(texts):
        sketched = finder.sketch(text)
        for earlier in finder.alike(*sketched):
            related.merge(earlier, index)
        finder.add(index, *sketched)


def choose(sets: list[list[int]], sizes: list[int], share: float, seed: int) -> set[int]:
    """Choose sets at random until they have the share of the characters; one that is too large is passed over."""
    wanted = share * sum(sizes)
    held_out: set[int] = set()
    held = 0
    for number in permutation(len(sets), "validation", seed).tolist():
        size = sum(sizes[index] for index in sets[number])
        if held + size / 2 <= wanted:
            held_out.update(sets[number])
            held += size
    if not held_out:  # every one is larger than twice the share: the smallest comes nearest
        held_out.update(min(sets, key=lambda members: np.sum([sizes[index] for index in members])))
    return held_out
