"""Stretches of text that stand in several documents: a quotation, a chapter within a book, an article's first lines."""

import numpy as np
from jaxtyping import UInt64

from companion.data.corpus.order import scramble

_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_BASE), -1, 2**64))


def _powers(base: np.uint64, n: int) -> np.ndarray:
    return np.cumprod(np.concatenate([np.ones(1, dtype=np.uint64), np.full(max(0, n - 1), base)]), dtype=np.uint64)[:n]


def window_hashes(text: str, size: int) -> UInt64[np.ndarray, " window"]:
    """Return a hash of each stretch of ``size`` bytes of UTF-8, in order; a longer one costs no more."""
    points = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8).astype(np.uint64)
    n = len(points)
    if n < size:
        return np.zeros(0, dtype=np.uint64)
    # A polynomial in the base, from differences of its partial sums; all modulo 2^64, where an odd base has an inverse.
    sums = np.zeros(n + 1, dtype=np.uint64)
    np.cumsum(scramble(points + _BASE) * _powers(_BASE, n), out=sums[1:])
    return scramble((sums[size:] - sums[:-size]) * _powers(_INVERSE, n - size + 1))


def anchors(text: str, length: int) -> UInt64[np.ndarray, " anchor"]:
    """Return a few hashes of a text such that texts with a stretch of ``length`` bytes in common share one.

    Of every ``length`` bytes of UTF-8 the least hash of its shorter windows is taken. Equal stretches have equal least
    hashes, wherever they stand; and since neighbours mostly have the same one, a text has few.

    References
    ----------
    Schleimer, Wilkerson and Aiken 2003, "Winnowing: Local Algorithms for Document Fingerprinting".
    """
    size = (length + 1) // 2  # the longer, the less often a window is found by chance
    hashes = window_hashes(text, size)
    width = length - size + 1
    if len(hashes) < width:
        return np.zeros(0, dtype=np.uint64)
    return np.unique(np.lib.stride_tricks.sliding_window_view(hashes, width).min(axis=1))
