"""Apply merges to words: of all that fit the earliest learned, of its places the leftmost, until none fits."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, repeat

import numpy as np

_GONE = -1  # instead of a token that was merged into the one before it, and around the word
_NEVER = 1 << 62  # the rank of a pair that is not merged
_LONG = 100  # tokens: from here on, keeping a queue is faster than looking through all ranks after each merge
_MANY = 200  # words: from here on, arrays are faster than one word at a time
_CELLS = 50_000  # tokens in one table: they fit into the processor's cache
_SHIFT = 32  # a pair as one number
_PACKED = np.dtype(np.int32)


class MergeTable:
    """The rank of each pair of tokens (0 is merged before 1), and what it becomes.

    Parameters
    ----------
    byte_ids
        The id of each of the 256 bytes.
    merges
        The ids of the left token, of the right token and of the token they become, the first learned first.
    """

    def __init__(self, byte_ids: Sequence[int], merges: Iterable[tuple[int, int, int]] = ()):
        self.byte_ids = list(byte_ids)
        self.rank: dict[tuple[int, int], int] = {}
        self.result: list[int] = []
        self._arrays: tuple[np.ndarray, ...] | None = None
        for left, right, result in merges:
            self.add(left, right, result)

    def add(self, left: int, right: int, result: int) -> None:
        """Append a merge."""
        self.rank[left, right] = len(self.result)
        self.result.append(result)
        self._arrays = None

    def apply(self, word: bytes) -> list[int]:
        """Return the tokens of a word that are left when no merge fits."""
        ids = [self.byte_ids[byte] for byte in word]
        return self._apply_to_short(ids) if len(ids) < _LONG else self._apply_to_long(ids)

    def steps(self, word: bytes) -> Iterator[tuple[int, list[int]]]:
        """Yield the rank of each merge and the tokens after it."""
        tokens = [*(self.byte_ids[byte] for byte in word), _GONE]
        for rank in self._merge(tokens):
            yield rank, [token for token in tokens if token != _GONE]

    def _apply_to_short(self, ids: list[int]) -> list[int]:
        rank_of = self.rank.get
        ranks = list(map(rank_of, pairwise(ids), repeat(_NEVER)))
        while ranks and (best := min(ranks)) < _NEVER:
            i = ranks.index(best)
            ids[i] = new = self.result[best]
            del ids[i + 1], ranks[i]
            if i:
                ranks[i - 1] = rank_of((ids[i - 1], new), _NEVER)
            if i < len(ranks):
                ranks[i] = rank_of((new, ids[i + 1]), _NEVER)
        return ids

    def _apply_to_long(self, ids: list[int]) -> list[int]:
        tokens = [*ids, _GONE]
        for _ in self._merge(tokens):
            pass
        return [token for token in tokens if token != _GONE]

    def _merge(self, tokens: list[int]) -> Iterator[int]:
        """Merge in place, and yield each rank: a queue of pairs by rank and place takes n log n steps for n tokens.

        The new token is written over the first of its two, and links lead over the second. The mark at the end of
        ``tokens`` ends the word on both sides.
        """
        rank_of = self.rank.get
        after = [*range(1, len(tokens)), 0]
        before = [*range(-1, len(tokens) - 1)]
        queue = [(rank, i) for i, pair in enumerate(pairwise(tokens)) if (rank := rank_of(pair)) is not None]
        heapq.heapify(queue)
        while queue:
            rank, i = heapq.heappop(queue)
            j = after[i]
            if rank_of((tokens[i], tokens[j])) != rank:  # one of the two was merged since
                continue
            tokens[i], tokens[j] = self.result[rank], _GONE
            after[i] = after[j]
            before[after[i]] = i
            for left in (before[i], i):
                if (new := rank_of((tokens[left], tokens[after[left]]))) is not None:
                    heapq.heappush(queue, (new, left))
            yield rank

    def apply_to_all(self, words: Sequence[bytes]) -> list[bytes]:
        """Start from the bytes of each word, and return what `apply` makes of them, packed."""
        short = [word for word in words if len(word) < _LONG]
        if len(short) < _MANY or not self.rank:
            return [pack(self.apply(word)) for word in words]
        merged = iter(self._apply_to_many(short))
        return [next(merged) if len(word) < _LONG else pack(self.apply(word)) for word in words]

    def _apply_to_many(self, words: Sequence[bytes]) -> list[bytes]:
        """Merge words in tables of words of about the same length."""
        merged = [b""] * len(words)
        by_length = sorted(range(len(words)), key=lambda place: len(words[place]), reverse=True)
        start = 0
        while start < len(words):
            rows = max(1, _CELLS // (1 + len(words[by_length[start]])))
            chosen = by_length[start : start + rows]
            for place, ids in zip(chosen, self._apply_to_table([words[place] for place in chosen]), strict=True):
                merged[place] = ids
            start += rows
        return merged

    def _apply_to_table(self, words: Sequence[bytes]) -> list[bytes]:
        """Merge one pair in each word at a time, in all words at once, as `_merge` does: each word is a row."""
        if self._arrays is None:
            pairs = np.array([left << _SHIFT | right for left, right in self.rank])
            order = np.argsort(pairs)
            self._arrays = pairs[order], order, np.array(self.result), np.array(self.byte_ids)
        sorted_pairs, order, result, byte_ids = self._arrays

        def rank_of(left: np.ndarray, right: np.ndarray) -> np.ndarray:
            pair = left << _SHIFT | right
            found = np.minimum(np.searchsorted(sorted_pairs, pair), len(order) - 1)
            return np.where(sorted_pairs[found] == pair, order[found], _NEVER)

        lengths = np.array(list(map(len, words)))
        column = np.arange(lengths.max() + 1)  # the last one ends the longest word, and is before the first token
        token = np.full((len(words), len(column)), _GONE)
        token[column < lengths[:, None]] = byte_ids[np.frombuffer(b"".join(words), np.uint8)]
        after, before = (np.tile(np.roll(column, step), (len(words), 1)) for step in (-1, 1))
        rank = rank_of(token, np.roll(token, -1, axis=1))
        row = np.arange(len(words))
        while len(row):
            i = rank[row].argmin(axis=1)
            is_pair = rank[row, i] < _NEVER
            row, i = row[is_pair], i[is_pair]
            h, j = before[row, i], after[row, i]
            k = after[row, j]
            token[row, i], token[row, j] = result[rank[row, i]], _GONE
            after[row, i], before[row, k] = k, i
            rank[row, j] = _NEVER
            rank[row, h] = rank_of(token[row, h], token[row, i])
            rank[row, i] = rank_of(token[row, i], token[row, k])
        is_left = token != _GONE
        packed = pack(token[is_left])
        ends = np.cumsum(is_left.sum(axis=1)) * _PACKED.itemsize
        return [packed[start:end] for start, end in pairwise([0, *ends.tolist()])]


def pack(ids: Sequence[int] | np.ndarray) -> bytes:
    """Write ids as bytes."""
    return np.asarray(ids, dtype=_PACKED).tobytes()


def unpack(packed: bytes) -> list[int]:
    """Read what `pack` wrote."""
    return np.frombuffer(packed, dtype=_PACKED).tolist()


def unpack_array(packed: bytes) -> np.ndarray:
    """Read what `pack` wrote, as an array."""
    return np.frombuffer(packed, dtype=_PACKED)
