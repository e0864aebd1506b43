"""The ids of many words at once: a hash table that is read with arrays instead of word by word."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np

from companion.tokenization.merging import unpack_array
from companion.tokenization.words import Words

_KEY = 8  # bytes of a key; of a word, the table looks at two
_PROBES = 4  # slots, one after the other, where a word may be
_FEWEST_SLOTS = 1 << 14
_MAX_BYTES = 4_000_000  # of remembered words: some 500,000
# What comes after a word in its keys: no byte of UTF-8, so that no word looks like the beginning of another.
_FILL = np.array([(1 << 64) - (1 << 8 * used) for used in range(_KEY + 1)], np.uint64)
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)  # odd, their bits without a pattern


class Keys(NamedTuple):
    """The first bytes of each word as a number, those after them, and whether there are still more."""

    first: np.ndarray
    second: np.ndarray
    is_longer: np.ndarray

    @classmethod
    def of(cls, data: bytes, starts: np.ndarray, ends: np.ndarray) -> "Keys":
        """Read the keys of the words between these places of ``data``."""
        data += bytes(2 * _KEY)
        numbers = np.ndarray(len(data) - _KEY + 1, "<u8", data, strides=(1,))
        lengths = ends - starts
        return cls(
            numbers[starts] | _FILL[np.minimum(lengths, _KEY)],
            numbers[starts + _KEY] | _FILL[np.clip(lengths - _KEY, 0, _KEY)],
            lengths > 2 * _KEY,
        )

    def at(self, places: np.ndarray) -> "Keys":
        """Return the keys of some of the words."""
        return Keys(*(array[places] for array in self))

    def hashes(self) -> np.ndarray:
        """Return a number for each word; its high bits depend on all of the keys."""
        return (self.first ^ (self.second * _MULTIPLIERS[0] >> np.uint64(29))) * _MULTIPLIERS[1]


class WordTable:
    """Words, each in a row, and their ids. It never changes, so that threads may share it: `extended` makes another.

    Row 0 is that of unknown words. A word is in one of a few slots, and the slot holds its row. Longer words, and those
    whose slots were full, are in a dictionary.
    """

    def __init__(self):
        nothing = np.array([-1], np.int64).view(np.uint64)
        self._keys = Keys(nothing, nothing, np.array([True]))
        self._slots = np.zeros(_FEWEST_SLOTS, np.int32)
        self._others: dict[bytes, int] = {}
        self._ids = np.zeros(0, np.int32)
        self._ends = np.zeros(1, np.intp)
        self._counts = np.zeros(1, np.intp)
        self._n_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether to start anew."""
        return self._n_bytes > _MAX_BYTES

    def __len__(self) -> int:
        return len(self._counts)

    def rows(self, keys: Keys) -> np.ndarray:
        """Return the row of each word that is in a slot, 0 for others."""
        rows = self._search(keys, self._slot(keys), _PROBES)
        rows[keys.is_longer] = 0
        return rows

    def row(self, word: bytes) -> int:
        """Return the row of a word that is in the dictionary, or 0."""
        return self._others.get(word, 0)

    def _slot(self, keys: Keys) -> np.ndarray:
        return (keys.hashes() >> np.uint64(65 - len(self._slots).bit_length())).astype(np.intp)

    def _search(self, keys: Keys, slot: np.ndarray, probes: int) -> np.ndarray:
        rows = self._slots[slot]
        differs = np.flatnonzero((self._keys.first[rows] != keys.first) | (self._keys.second[rows] != keys.second))
        elsewhere = differs[rows[differs] > 0]
        rows[differs] = 0
        if probes > 1 and len(elsewhere):
            rows[elsewhere] = self._search(keys.at(elsewhere), self._after(slot[elsewhere]), probes - 1)
        return rows

    def _after(self, slot: np.ndarray) -> np.ndarray:
        return slot + 1 & len(self._slots) - 1

    def extended(self, words: Sequence[bytes], ids: Sequence[bytes]) -> "WordTable":
        """Return a table of these words too, which differ, and are not in it.

        Parameters
        ----------
        words
            The new words. The first gets the first new row, and so on.
        ids
            The packed ids of each.
        """
        lengths = np.array(list(map(len, words)))
        ends = np.cumsum(lengths)
        keys = Keys.of(b"".join(words), ends - lengths, ends)
        new_ids = unpack_array(b"".join(ids))
        counts = np.array(list(map(len, ids))) // new_ids.itemsize
        larger = copy(self)
        larger._keys = Keys(*map(np.concatenate, zip(self._keys, keys, strict=True)))
        larger._ids = np.concatenate([self._ids, new_ids])
        larger._counts = np.concatenate([self._counts, counts])
        larger._ends = np.cumsum(larger._counts)
        larger._n_bytes += int(ends[-1])
        unplaced = larger._place_from(len(self))
        larger._others = self._others | {words[row - len(self)]: row for row in unplaced.tolist() if row >= len(self)}
        return larger

    def _place_from(self, first: int) -> np.ndarray:
        """Give each row from the first new one on a slot, all rows if there are too few slots; return the unplaced."""
        n_slots = len(self._slots)
        while n_slots < 2 * len(self):
            n_slots *= 4
            first = 1
        self._slots = self._slots.copy() if n_slots == len(self._slots) else np.zeros(n_slots, np.int32)
        rows = np.arange(first, len(self))
        is_longer = self._keys.is_longer[rows]
        return np.concatenate([rows[is_longer], self._place(rows[~is_longer])])

    def _place(self, rows: np.ndarray) -> np.ndarray:
        """Give each row a slot; return those for which there is none."""
        slot = self._slot(self._keys.at(rows))
        for _ in range(_PROBES):
            is_free = self._slots[slot] == 0
            self._slots[slot[is_free]] = rows[is_free]
            left = self._slots[slot] != rows
            rows, slot = rows[left], self._after(slot[left])
        return rows

    def ids(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of these rows, one after the other, and how many there are before each and after all."""
        counts = self._counts[rows]
        totals = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(self._ends[rows] - totals[1:], counts)
        places += np.arange(len(places))
        return self._ids[places], totals


class WordEncoder:
    """Remembers the ids of words, and computes those of new words together.

    Parameters
    ----------
    compute
        Returns the packed ids of each word of a list.
    """

    def __init__(self, compute: Callable[[list[bytes]], list[bytes]]):
        self._compute = compute
        self._table = WordTable()

    def encode(self, words: Words) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of all words, one after the other, and how many there are before each word and after all."""
        table = self._table
        rows = table.rows(Keys.of(words.data, words.starts, words.ends))
        missing = np.flatnonzero(rows == 0)
        if len(missing):
            places = zip(words.starts[missing].tolist(), words.ends[missing].tolist(), strict=True)
            named = [words.data[start:end] for start, end in places]
            row_of = {word: table.row(word) for word in named}
            if new := [word for word, row in row_of.items() if not row]:
                row_of.update(zip(new, range(len(table), len(table) + len(new)), strict=True))
                table = table.extended(new, self._compute(new))
                self._table = WordTable() if table.is_full else table
            rows[missing] = list(map(row_of.__getitem__, named))
        return table.ids(rows)
