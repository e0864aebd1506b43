"""Texts that are almost the same, found with datasketch: signatures, candidates by their bands, and an exact look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from companion._optional import optional_import
from companion._validation import require_count, require_finite, requires
from companion.data.corpus.progress import shown
from companion.data.corpus.report import Kept, keep
from companion.tokenization.base import require_texts
from companion.tokenization.cleaning import exact_duplicates
from companion.tokenization.near_duplicates import choose_bands, jaccard, shingles

N_HASHES = 128


def bands_for(threshold: float) -> tuple[int, int]:
    """Return the numbers of bands and of their rows: at least two bands, for datasketch."""
    bands, rows = choose_bands(N_HASHES, threshold)
    return (bands, rows) if bands > 1 else (2, N_HASHES // 2)


class Finder:
    """Finds, of the texts it was given, those that are like another one.

    A text is compared, and exactly, with those that agree with it in a whole band of their signatures. So whatever is
    found is right, and a pair right at the threshold is found 95 times in 100 or more often.
    """

    def __init__(self, *, threshold: float, size: int, seed: int):
        sketch = optional_import("datasketch", extra="labs", purpose="to find near duplicates")
        self.threshold, self.size = threshold, size
        # The shingles are hashed already; datasketch takes 32 of their bits.
        self._empty = sketch.MinHash(N_HASHES, seed, hashfunc=lambda value: value)
        self._index = sketch.MinHashLSH(num_perm=N_HASHES, params=bands_for(threshold))
        self._members: dict[int, np.ndarray] = {}

    def sketch(self, text: str) -> tuple[np.ndarray, Any]:
        """Return the shingles of a text and their signature."""
        members = shingles(text, self.size)
        signature = self._empty.copy()
        signature.update_batch((members >> np.uint64(32)).tolist())
        return members, signature

    def alike(self, members: np.ndarray, signature: Any) -> Iterable[int]:
        """Go through the texts added so far that are like this one, in order."""
        for earlier in sorted(self._index.query(signature)):
            if jaccard(self._members[earlier], members) >= self.threshold:
                yield earlier

    def add(self, index: int, members: np.ndarray, signature: Any) -> None:
        """Remember a text under a number."""
        self._members[index] = members
        self._index.insert(index, signature, check_duplication=False)


def check_finding(*, threshold: Any, size: Any, seed: Any) -> None:
    """Raise unless these are arguments of `Finder`."""
    require_finite("threshold", threshold)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
    require_count("size", size)
    require_count("seed", seed, minimum=0)


def _check(texts: Any, *, threshold: Any = 0.8, size: Any = 5, seed: Any = 0, progress: Any = False) -> None:
    require_texts("texts", texts)
    check_finding(threshold=threshold, size=size, seed=seed)


@requires(_check)
def drop_duplicates(
    texts: Iterable[str], *, threshold: float = 0.8, size: int = 5, seed: int = 0, progress: bool = False
) -> Kept:
    """Drop texts that repeat an earlier one, word for word or almost.

    Parameters
    ----------
    texts
        The corpus; of each group of repetitions the first text stays.
    threshold
        The least Jaccard similarity of two texts' shingles that makes the later one a repetition.
    size
        The length of a shingle in characters.
    seed
        Where the hash functions come from.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Kept
        The texts and a report: what was dropped and why.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or a text is not a string.
    ImportError
        When datasketch is missing; the message says how to install it.

    References
    ----------
    Lee et al. 2022, "Deduplicating Training Data Makes Language Models Better".
    """
    given = list(texts)
    for index, text in enumerate(given):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}] must be a string, got {type(text).__name__}")
    finder = Finder(threshold=threshold, size=size, seed=seed)
    exact, near = "repeats an earlier text", f"almost repeats an earlier text (similarity {threshold} or more)"
    kept: dict[int, str] = {}
    dropped: dict[str, list[int]] = {exact: [], near: []}
    for index, earlier in enumerate(shown(exact_duplicates(given), "looking for repetitions", progress)):
        if earlier is not None:
            dropped[exact].append(index)
            continue
        sketched = finder.sketch(given[index])
        if any(True for _ in finder.alike(*sketched)):
            dropped[near].append(index)
        else:
            finder.add(index, *sketched)
            kept[index] = given[index]
    return keep("deduplication", given, kept, dropped)
