"""Apply merges to one word: of all that fit the earliest learned, of its places the leftmost, until none fits."""

import heapq
from collections.abc import Iterable, Iterator
from itertools import pairwise, repeat

_GONE = -1  # instead of a token that was merged into the one before it, and around the word
_NEVER = 1 << 62  # the rank of a pair that is not merged
_SHORT = 100  # tokens: in shorter words, looking through all ranks is faster than keeping a queue


class MergeTable:
    """The rank of each pair of tokens (0 is merged before 1), and what it becomes.

    Parameters
    ----------
    merges
        The ids of the left token, of the right token and of the token they become, the first learned first.
    """

    def __init__(self, merges: Iterable[tuple[int, int, int]] = ()):
        self.rank: dict[tuple[int, int], int] = {}
        self.result: list[int] = []
        for left, right, result in merges:
            self.add(left, right, result)

    def add(self, left: int, right: int, result: int) -> None:
        """Append a merge."""
        self.rank[left, right] = len(self.result)
        self.result.append(result)

    def apply(self, ids: list[int]) -> list[int]:
        """Return the tokens that are left when no merge fits."""
        return self._apply_to_short(list(ids)) if len(ids) < _SHORT else self._apply_to_long(ids)

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

    def steps(self, ids: list[int]) -> Iterator[tuple[int, list[int]]]:
        """Yield the rank of each merge and the tokens after it."""
        tokens = [*ids, _GONE]
        for rank in self._merge(tokens):
            yield rank, [token for token in tokens if token != _GONE]

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
