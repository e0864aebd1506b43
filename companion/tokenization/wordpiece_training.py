"""Learn the pieces of WordPiece: join the pair of neighbours with the best score, again and again."""

from collections import Counter
from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Any, Literal, get_args

import numpy as np
from rich.progress import track

from companion._validation import describe, require_count
from companion.tokenization.base import require_texts

Score = Literal["likelihood", "ratio", "count"]


def check_training(texts: Any, vocab_size: Any, *, score: Any = "likelihood", min_count: Any = 2, **_: Any) -> None:
    """Raise unless these can be arguments of a training."""
    require_texts("texts", texts)
    require_count("vocab_size", vocab_size)
    require_count("min_count", min_count)
    if score not in get_args(Score):
        raise ValueError(f"score must be one of {', '.join(get_args(Score))}, got {describe(score)}")


def x_log_x(counts: np.ndarray) -> np.ndarray:
    """Return x log x, which is 0 at 0."""
    return counts * np.log(np.maximum(counts, 1))


class PairTable:
    """The words as lists of pieces, and how often each piece and each pair of neighbours occurs.

    Rows of the pair arrays are never removed; a pair that no longer occurs has the count 0.

    Parameters
    ----------
    word_counts
        How often each word occurs.
    prefix
        What marks a piece that does not begin a word.
    """

    def __init__(self, word_counts: Mapping[str, int], prefix: str):
        self.prefix = prefix
        spelled = {word: [word[0], *(prefix + letter for letter in word[1:])] for word in sorted(word_counts)}
        letters = {piece for pieces in spelled.values() for piece in pieces}
        # First what begins a word, then what goes on with it: the order in which BERT's vocabularies list them.
        self.pieces = sorted(letters, key=lambda piece: (len(piece) > 1, piece))
        self.id_of = {piece: index for index, piece in enumerate(self.pieces)}
        self.words = [[self.id_of[piece] for piece in pieces] for pieces in spelled.values()]
        self.word_counts = [word_counts[word] for word in spelled]
        self.piece_counts = np.zeros(len(self.pieces), dtype=np.int64)
        self.row_of: dict[tuple[int, int], int] = {}
        self.words_of: list[set[int]] = []
        self.left = self.right = self.count = np.zeros(0, dtype=np.int64)
        pairs: Counter[tuple[int, int]] = Counter()
        for index, (word, count) in enumerate(zip(self.words, self.word_counts, strict=True)):
            np.add.at(self.piece_counts, word, count)
            for pair in pairwise(word):
                pairs[pair] += count
                self._note(pair, index)
        self._add(pairs)
        self.least = int(self.piece_counts.sum()) // 2  # where to begin the search for the best pair

    def _note(self, pair: tuple[int, int], index: int) -> None:
        """Note that a word has a pair, and give the pair a row if it is new."""
        row = self.row_of.setdefault(pair, len(self.words_of))
        if row == len(self.words_of):
            self.words_of.append(set())
        self.words_of[row].add(index)

    def _add(self, pairs: Counter[tuple[int, int]]) -> None:
        n_new = len(self.words_of) - len(self.count)
        if n_new:
            new = np.array(list(islice(reversed(self.row_of), n_new)))[::-1]
            self.left = np.concatenate([self.left, new[:, 0]])
            self.right = np.concatenate([self.right, new[:, 1]])
            self.count = np.concatenate([self.count, np.zeros(n_new, dtype=np.int64)])
        self.count[[self.row_of[pair] for pair in pairs]] += np.fromiter(pairs.values(), dtype=np.int64)

    def scores(self, kind: Score, rows: np.ndarray) -> np.ndarray:
        """Return what joining each of these pairs is worth."""
        count, left, right = self.count[rows], self.left[rows], self.right[rows]
        if kind == "count":
            return count
        if kind == "ratio":
            return count / (self.piece_counts[left] * self.piece_counts[right])
        return self._gain(count, left, right)

    def _gain(self, count: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """By how much the log-likelihood of the pieces rises when a pair becomes one piece.

        With every piece as probable as it is frequent, the log-likelihood is the sum of c log c over the pieces less
        N log N, where N is the number of pieces in the text. Joining changes three of the counts, and N.
        """
        same = left == right
        before, total = x_log_x(self.piece_counts), self.piece_counts.sum(keepdims=True)
        gain = x_log_x(self.piece_counts[left] - count * (1 + same)) - before[left]
        gain += np.where(same, 0, x_log_x(self.piece_counts[right] - count) - before[right])
        return gain + x_log_x(count) + x_log_x(total) - x_log_x(total - count)

    def best(self, kind: Score, min_count: int) -> int | None:
        """Return the row of the pair to join, if any occurs often enough."""
        while True:
            least = max(min_count, self.least) if kind == "likelihood" else min_count
            # A piece beside itself is always looked at: in "bbbb" it is counted three times, and the bound is for two
            # pieces, of which no two pairs share one.
            rows = np.flatnonzero((self.count >= least) | ((self.left == self.right) & (self.count >= min_count)))
            scores = self.scores(kind, rows)
            # Once the best of the frequent pairs beats all that a rarer one could be worth, no more need be looked at.
            if least == min_count or (len(rows) and scores.max() >= self._most(least)):
                return int(rows[scores.argmax()]) if len(rows) else None
            self.least = least // 2

    def _most(self, count: int) -> float:
        """Return the gain of two pieces that occur nowhere else, which no two pieces that are as rare can exceed."""
        total = int(self.piece_counts.sum())
        count = min(count, total // 2)  # there can be no more such pairs, and their gain grows up to there
        return float(x_log_x(np.array([total, total - count, count])) @ [1, -1, -1])

    def join(self, row: int) -> None:
        """Make one piece of a pair wherever it occurs."""
        first, second = int(self.left[row]), int(self.right[row])
        name = self.pieces[first] + self.pieces[second].removeprefix(self.prefix)
        joined = self.id_of.setdefault(name, len(self.pieces))
        if joined == len(self.pieces):
            self.pieces.append(name)
            self.piece_counts = np.append(self.piece_counts, 0)
        change: Counter[tuple[int, int]] = Counter()
        n_joined = 0
        # In a fixed order, since new pairs get their rows in it. Some words may have lost the pair since it was noted.
        for index in sorted(self.words_of[row]):
            old, count = self.words[index], self.word_counts[index]
            new = _joined(old, first, second, joined)
            if len(new) == len(old):
                continue
            self.words[index] = new
            n_joined += (len(old) - len(new)) * count
            for pair in pairwise(old):
                change[pair] -= count
            for pair in pairwise(new):
                change[pair] += count
                if joined in pair:
                    self._note(pair, index)
        self.words_of[row].clear()
        self._add(change)
        np.add.at(self.piece_counts, [first, second, joined], [-n_joined, -n_joined, n_joined])


def _joined(word: list[int], first: int, second: int, joined: int) -> list[int]:
    new = []
    position = 0
    while position < len(word):
        if word[position] == first and word[position + 1 : position + 2] == [second]:
            new.append(joined)
            position += 2
        else:
            new.append(word[position])
            position += 1
    return new


def learn_pieces(
    word_counts: Mapping[str, int], n_pieces: int, *, score: Score, min_count: int, prefix: str, progress: bool
) -> list[str]:
    """Return the letters of the words and then the joined pieces, in the order in which they were found.

    Of pairs with the same score the one seen first wins, in the alphabetical order of the words.
    """
    table = PairTable(word_counts, prefix)
    if len(table.pieces) > n_pieces:
        raise ValueError(
            f"vocab_size must leave room for the {len(table.pieces)} letters of the texts (each counted once as the "
            f"beginning of a word and once with {prefix!r}), got room for {n_pieces}; raise it or clean the texts"
        )
    for _ in track(range(n_pieces - len(table.pieces)), "Learning pieces", disable=not progress):
        row = table.best(score, min_count)
        if row is None:
            break
        table.join(row)
    return table.pieces
