"""Find texts that are almost the same, without comparing each with all others: MinHash and banding."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import UInt32, UInt64

from companion._validation import describe, require_count, require_finite, requires
from companion.tokenization.base import require_texts

NO_SHINGLES = np.iinfo(np.uint32).max  # the signature of an empty text


def _mixed(values: np.ndarray) -> np.ndarray:
    """Spread 64-bit numbers evenly: the finisher of splitmix64, a bijection."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _check_shingles(text: Any, size: Any = 5) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {describe(text)}")
    require_count("size", size)


@requires(_check_shingles)
def shingles(text: str, size: int = 5) -> UInt64[np.ndarray, " shingle"]:
    """Return the set of all stretches of ``size`` characters as sorted 64-bit hashes.

    Characters need no words, so this works for Chinese as for English. A text shorter than ``size`` is one stretch.

    Raises
    ------
    TypeError, ValueError
        If the text is not a string or ``size`` is not a positive integer.
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if not len(points):
        return points
    size = min(size, len(points))
    hashes = np.full(len(points) - size + 1, size, dtype=np.uint64)
    for offset in range(size):
        hashes = _mixed(hashes + points[offset : offset + len(hashes)] + np.uint64(0x9E3779B97F4A7C15))
    return np.unique(hashes)


def jaccard(first: UInt64[np.ndarray, " a"], second: UInt64[np.ndarray, " b"]) -> float:
    """Return the share of two sets' members that both have; 1 for two empty sets."""
    both = len(np.intersect1d(first, second, assume_unique=True))
    either = len(first) + len(second) - both
    return both / either if either else 1.0


def band_probability(similarity: Any, bands: int, rows: int) -> Any:
    """Return the probability that two texts of this Jaccard similarity agree in all rows of at least one band."""
    return 1 - (1 - np.asarray(similarity, dtype=float) ** rows) ** bands


def choose_bands(n_hashes: int, threshold: float) -> tuple[int, int]:
    """Return the numbers of bands and of rows in a band that suit a threshold.

    Among those that find pairs right at the threshold with a probability of 0.95 or more, the ones with most rows,
    which let fewest other pairs through. The exact comparison removes those, whereas a pair not found is lost.
    """
    best = (n_hashes, 1)
    for rows in range(2, n_hashes + 1):
        if band_probability(threshold, n_hashes // rows, rows) >= 0.95:
            best = (n_hashes // rows, rows)
    return best


def band_keys(signature: UInt32[np.ndarray, " n_hashes"], bands: int, rows: int) -> list[tuple[int, bytes]]:
    """Cut a signature into bands that can be looked up."""
    return [(band, signature[band * rows : (band + 1) * rows].tobytes()) for band in range(bands)]


@dataclass(frozen=True)
class MinHash:
    """Short signatures of sets: two signatures agree in about as many places as the sets have in common.

    Each place holds the least of the members under a hash function of its own. The least member of the union is as
    likely to be any one as another; two sets agree in a place if and only if it is in both. So the share of places
    that agree estimates the Jaccard similarity J with a standard error of sqrt(J (1 - J) / n_hashes).

    Parameters
    ----------
    n_hashes
        The length of a signature.
    seed
        Where the hash functions come from.

    References
    ----------
    Broder 1997, "On the resemblance and containment of documents". The hash functions are the multiply-shift family
    of Dietzfelbinger et al. 1997, on members that have been mixed already.
    """

    n_hashes: int = 128
    seed: int = 0
    _parameters: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        require_count("n_hashes", self.n_hashes)
        require_count("seed", self.seed, minimum=0)
        rng = np.random.default_rng(self.seed)
        factors, offsets = rng.integers(1 << 63, size=(2, self.n_hashes), dtype=np.uint64)
        object.__setattr__(self, "_parameters", (2 * factors + np.uint64(1), 2 * offsets))

    def signature(self, members: UInt64[np.ndarray, " member"]) -> UInt32[np.ndarray, " n_hashes"]:
        """Return the signature of a set of 64-bit hashes."""
        factors, offsets = self._parameters
        least = np.full(self.n_hashes, NO_SHINGLES, dtype=np.uint32)
        for start in range(0, len(members), 1024):  # so that the products stay in the processor's cache
            products = members[start : start + 1024, None] * factors + offsets
            np.minimum(least, (products >> np.uint64(32)).astype(np.uint32).min(axis=0), out=least)
        return least


def _check_near(texts: Any, *, threshold: Any = 0.8, size: Any = 5, n_hashes: Any = 128, seed: Any = 0) -> None:
    require_texts("texts", texts)
    require_finite("threshold", threshold)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold}")
    require_count("size", size)


@requires(_check_near)
def near_duplicates(
    texts: Iterable[str], *, threshold: float = 0.8, size: int = 5, n_hashes: int = 128, seed: int = 0
) -> list[int | None]:
    """Say of each text which earlier one it repeats almost, by the Jaccard similarity of their shingles.

    Signatures are cut into bands; a text is compared, and exactly, with those earlier ones that agree with it in a
    whole band. So whatever is reported is right, and a repetition right at the threshold is found 95 times in 100 or
    more often, a closer one more often still. Texts that repeat others are not compared with again: no two of the texts
    without a number are, as far as found, alike, and a thousand copies cost a thousand comparisons and not a million.

    Parameters
    ----------
    texts
        The corpus, read once; the shingles of what is not a repetition are kept, 8 bytes a character.
    threshold
        The least similarity of a repetition.
    size
        The length of a shingle in characters.
    n_hashes
        The length of a signature.
    seed
        Where the hash functions come from.

    Returns
    -------
    list
        For each text the index of the first that it repeats, or None if it repeats none.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3.
    """
    hasher = MinHash(n_hashes, seed)
    bands, rows = choose_bands(n_hashes, threshold)
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    kept: dict[int, np.ndarray] = {}
    result: list[int | None] = []
    for index, text in enumerate(texts):
        members = shingles(text, size)
        keys = band_keys(hasher.signature(members), bands, rows)
        candidates = sorted({earlier for key in keys for earlier in buckets.get(key, ())})
        repeated = next((earlier for earlier in candidates if jaccard(kept[earlier], members) >= threshold), None)
        result.append(repeated)
        if repeated is None:
            kept[index] = members
            for key in keys:
                buckets[key].append(index)
    return result
