"""Learn merges: count each word once, then keep the counts of all pairs up to date while pairs are merged."""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from companion.tokenization.base import require_text
from companion.tokenization.pretokenize import Pretokenizer

_END, _GONE = -1, -2  # instead of a token: between two words; where a token was merged into the one before it
_SHIFT = 32  # a pair is one number, and pairs sort as their tokens do


def count_words(texts: Iterable[str], pretokenizer: Pretokenizer) -> dict[str, int]:
    """Count the words of all texts."""
    words: Counter[str] = Counter()
    pieces: Counter[str] = Counter()
    for text in texts:
        require_text("texts", text)
        for block in pretokenizer.parts(text):
            if pretokenizer.splits_at_spaces:
                block, *others = pretokenizer.pieces(block)
                pieces.update(others)
            words.update(pretokenizer.words(block))
    for count, cut in zip(pieces.values(), pretokenizer.words_of_pieces(pieces), strict=True):
        for word in cut:
            words[word] += count
    return words


class PairTable:
    """All words one after the other, the pairs of neighbouring tokens in them, and how often each pair occurs.

    The tokens of a word are linked: ``next`` and ``previous`` hold positions. A merge writes the new token over the
    first of its two, drops the second from the links, and moves the counts of the pairs around it.
    """

    def __init__(self, words: Mapping[bytes, int], byte_ids: Mapping[int, int]):
        table = np.array([byte_ids[byte] for byte in range(256)] + [_END])
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words)) + 1
        text = np.frombuffer(b"\0".join(words) + b"\0", dtype=np.uint8).astype(np.int64)
        text[np.cumsum(lengths) - 1] = 256  # the zero between two words, told from a zero in a word
        self.token = np.concatenate([[_END], table[text]])
        self.weight = np.concatenate([[0], np.repeat(np.fromiter(words.values(), np.int64, len(words)), lengths)])
        self.next = np.arange(1, len(self.token) + 1)
        self.previous = np.arange(-1, len(self.token) - 1)
        self.count: defaultdict[int, int] = defaultdict(int)
        self.where: dict[int, np.ndarray] = {}
        first = np.flatnonzero((self.token[:-1] >= 0) & (self.token[1:] >= 0))
        self.heap: list[tuple[int, int]] = []
        self._add(self.token[first] << _SHIFT | self.token[first + 1], first)

    def _add(self, pairs: np.ndarray, positions: np.ndarray) -> None:
        """Enter new pairs: their counts, their positions from left to right, and their places in the queue."""
        if not len(pairs):
            return
        order = np.argsort(pairs, kind="stable")
        pairs, positions = pairs[order], positions[order]
        starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
        counts = np.add.reduceat(self.weight[positions], starts).tolist()
        bounds = [*starts.tolist(), len(pairs)]
        for pair, count, (start, end) in zip(pairs[starts].tolist(), counts, itertools.pairwise(bounds), strict=True):
            self.count[pair] = count
            self.where[pair] = positions[start:end]
            heapq.heappush(self.heap, (-count, pair))

    def _subtract(self, pairs: np.ndarray, positions: np.ndarray) -> None:
        for pair, weight in zip(pairs.tolist(), self.weight[positions].tolist(), strict=True):
            self.count[pair] -= weight

    def most_frequent(self) -> tuple[int, int]:
        """Take the most frequent pair out of the queue, of several the one of the smallest ids, and its count."""
        while self.heap:
            negative, pair = heapq.heappop(self.heap)
            count = self.count[pair]
            if count == -negative:
                return pair, count
            if count > 0:  # it lost occurrences since it was put here
                heapq.heappush(self.heap, (-count, pair))
        return 0, 0

    def merge(self, pair: int, new: int) -> None:
        """Replace the pair by a new token wherever it occurs, in each word from left to right."""
        left, right = _tokens(pair)
        token, following, previous = self.token, self.next, self.previous
        first = self.where.pop(pair)
        first = first[(token[first] == left) & (token[following[first]] == right)]  # where it still is
        if left == right:
            first = _without_overlaps(first, following)
        second = following[first]
        after = following[second]
        lost_right = token[after]
        token[first], token[second] = new, _GONE
        following[first], previous[after] = after, first
        # A neighbour on the left that is new itself has lost and won its pair with this token as the one on the left.
        before = previous[first]
        outer = (token[before] >= 0) & (token[before] != new)
        inner = lost_right >= 0
        self._subtract(right << _SHIFT | lost_right[inner], first[inner])
        self._subtract(token[before[outer]] << _SHIFT | left, first[outer])
        self.count.pop(pair)
        self._add(
            np.concatenate([new << _SHIFT | token[after[inner]], token[before[outer]] << _SHIFT | new]),
            np.concatenate([first[inner], before[outer]]),
        )


def _tokens(pair: int) -> tuple[int, int]:
    return pair >> _SHIFT, pair & (1 << _SHIFT) - 1


def _without_overlaps(positions: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Of the pairs in each run such as ``aaaaa`` keep the first, the third and so on."""
    place = np.arange(len(positions))
    starts = np.concatenate([[True], positions[1:] != following[positions[:-1]]])
    return positions[(place - np.maximum.accumulate(np.where(starts, place, 0))) % 2 == 0]


def learn_merges(
    words: Mapping[bytes, int], byte_ids: Mapping[int, int], min_frequency: int = 1
) -> Iterator[tuple[int, int, int]]:
    """Merge the most frequent pair of neighbouring tokens, again and again, until none is frequent enough.

    A pair never crosses two words, and of equally frequent pairs the one of the smallest ids is first. The new token's
    id is the next free one.

    Parameters
    ----------
    words
        How often each word occurs.
    byte_ids
        The id of each byte: 0 to 255 in any order.
    min_frequency
        How often a pair must occur to be merged.

    Yields
    ------
    tuple of int
        The ids of the two tokens, and how often the pair occurs.

    References
    ----------
    Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016, algorithm 1.
    """
    table = PairTable(words, byte_ids)
    for new in itertools.count(len(byte_ids)):
        pair, count = table.most_frequent()
        if count < min_frequency:
            return
        table.merge(pair, new)
        yield *_tokens(pair), count
