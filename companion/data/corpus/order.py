"""Random orders that are the same on every machine, in every process and with every version of NumPy."""

from hashlib import blake2b

import numpy as np
from jaxtyping import Int64, UInt64


def scramble(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Return for every number one that looks random, a different one for each: the finisher of splitmix64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def key_of(*parts: int | str) -> int:
    """Return 64 bits that stand for a seed, an epoch and a purpose; other parts give other bits."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


def permutation(n: int, *parts: int | str) -> Int64[np.ndarray, " n"]:
    """Return the numbers from 0 to ``n - 1`` in an order that depends on ``parts`` alone.

    Sorted by a keyed hash instead of shuffled: NumPy does not promise the same permutation in its next version.
    """
    first, second = np.uint64(key_of("first", *parts)), np.uint64(key_of("second", *parts))
    keys = scramble(scramble(np.arange(n, dtype=np.uint64) ^ first) + second)
    return np.argsort(keys, kind="stable")
