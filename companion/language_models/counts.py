"""All n-grams of a text, counted with one sort an order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
MISSING = -1  # the number of an n-gram that was never counted


@dataclass(frozen=True)
class Table:
    """The n-grams of one order, numbered by their place in ``keys``.

    An n-gram is its context, an (n-1)-gram with a number of its own, and its last token. The key is both in one number,
    so that sorted keys hold the n-grams of one context side by side.
    """

    keys: Ids
    counts: Ids  # how often it occurred; 0 for contexts that end in a start mark: those are read, never predicted
    continuations: Ids  # how many different tokens came before it
    n_tokens: int  # the base of the keys: the vocabulary and the start mark

    @property
    def contexts(self) -> Ids:
        """The number of each n-gram's context, in the table one order below."""
        return self.keys // self.n_tokens

    def find(self, contexts: Ids, tokens: Ids) -> Ids:
        """Return the numbers of some n-grams, or MISSING."""
        wanted = contexts * self.n_tokens + tokens
        places = np.searchsorted(self.keys, wanted)
        found = (contexts != MISSING) & (self.keys[np.minimum(places, len(self.keys) - 1)] == wanted)
        return np.where(found, places, MISSING)

    def after(self, context: int) -> slice:
        """Return where the n-grams of one context stand."""
        ends = np.searchsorted(self.keys, [context * self.n_tokens, (context + 1) * self.n_tokens])
        return slice(int(ends[0]), int(ends[1]))


def count(stream: Ids, order: int, start_id: int) -> tuple[Table, ...]:
    """Count the n-grams of orders 1 to ``order`` in a stream of ids.

    Every sequence in the stream begins with a start mark; before it, one imagines as many more of them as an n-gram
    needs. So the k-gram that ends in a start mark is always the one of start marks alone.
    """
    n_tokens = start_id + 1
    is_start = stream == start_id
    tables: list[Table] = []
    numbers = np.zeros(len(stream), dtype=np.int64)  # of the k-gram that ends at each position
    for _ in range(order):
        contexts = _before(numbers, is_start)
        keys, firsts, longer, counts = np.unique(
            contexts * n_tokens + stream, return_index=True, return_inverse=True, return_counts=True
        )
        counts[keys % n_tokens == start_id] = 0
        if tables:
            _count_continuations(tables[-1], numbers[firsts[counts > 0]])
        tables.append(Table(keys, counts, np.zeros_like(counts), n_tokens))
        numbers = longer
    return tuple(tables)


def _before(numbers: Ids, is_start: NDArray[np.bool_]) -> Ids:
    """Return the number of the k-gram before each position; before a start mark, that of start marks alone."""
    before = np.empty_like(numbers)
    before[1:] = numbers[:-1]
    before[is_start] = numbers[0]  # a stream begins with a start mark
    return before


def _count_continuations(table: Table, suffixes: Ids) -> None:
    """Count, for each n-gram, the different (n+1)-grams that end in it."""
    table.continuations[:] = np.bincount(suffixes, minlength=len(table.keys))


def follow(tables: tuple[Table, ...], stream: Ids, start_id: int) -> Iterator[tuple[Ids, Ids]]:
    """Yield, for each order, the numbers of the contexts and of the n-grams that end at each position of a stream."""
    is_start = stream == start_id
    numbers = np.zeros(len(stream), dtype=np.int64)
    for table in tables:
        contexts = _before(numbers, is_start)
        numbers = table.find(contexts, stream)
        yield contexts, numbers
