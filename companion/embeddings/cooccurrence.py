"""How often words stand near each other: a sparse symmetric matrix, counted by sorting instead of by a dictionary."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from companion._validation import require_count, requires
from companion.embeddings.vocabulary import Corpus, require_corpus

WEIGHTINGS = ("inverse", "flat")


def _check(corpus: Any, *, window: Any = 5, weighting: Any = "inverse") -> None:
    require_corpus(corpus)
    require_count("window", window)
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting must be one of {', '.join(WEIGHTINGS)}, got {weighting!r}")


@requires(_check)
def count_cooccurrences(corpus: Corpus, *, window: int = 5, weighting: str = "inverse") -> csr_array:
    """Count how often each two words stand within ``window`` words of each other in a sentence.

    Parameters
    ----------
    corpus
        A text in numbers.
    window
        How many words apart two words may stand.
    weighting
        ``"inverse"`` counts a pair k words apart as 1/k, as GloVe does; ``"flat"`` counts each as 1.

    Returns
    -------
    A symmetric vocabulary by vocabulary matrix of float32, its rows' columns sorted, without stored zeros.

    Raises
    ------
    TypeError
        If the corpus is not a :class:`Corpus`, or ``window`` is not an integer.
    ValueError
        If ``window`` is below 1, or the weighting is unknown.

    References
    ----------
    Pennington et al. (2014), GloVe: Global Vectors for Word Representation, sections 3 and 4.2.
    """
    size = len(corpus.vocabulary)
    upper = csr_array((size, size), dtype=np.float32)
    for distance in range(1, min(window, len(corpus) - 1) + 1):
        weight = 1.0 / distance if weighting == "inverse" else 1.0
        upper += _count_at(corpus, distance, weight)
    return (upper + upper.T).tocsr()


def _count_at(corpus: Corpus, distance: int, weight: float) -> csr_array:
    """Count pairs so many words apart, each as (smaller number, larger number): half the work, then mirrored."""
    size = len(corpus.vocabulary)
    first, second = corpus.ids[:-distance], corpus.ids[distance:]
    together = corpus.sentence[:-distance] == corpus.sentence[distance:]
    key = np.uint32 if size**2 <= 2**32 else np.uint64  # the shorter one sorts in half the time
    first, second = first[together].astype(key), second[together].astype(key)
    # Sorted keys put equal pairs side by side: no dictionary, and the rows of the matrix come out in order.
    keys = np.sort(np.minimum(first, second) * key(size) + np.maximum(first, second))
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, dtype=np.int64)
    rows, columns = np.divmod(keys[starts], key(size))
    values = (weight * np.diff(starts, append=len(keys))).astype(np.float32)
    row_starts = np.searchsorted(rows, np.arange(size + 1, dtype=key))
    return csr_array((values, columns.astype(np.int32), row_starts.astype(np.int32)), shape=(size, size))
