"""Cut text into words before any merge, as GPT-2 and its successors do."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import regex

from companion._validation import describe
from companion.tokenization.gpt2_words import WordCutter
from companion.tokenization.words import Words

#: GPT-2's: contractions, then letters, digits or other signs, each with the space before it, then white space.
GPT2_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""

#: GPT-4's and Llama 3's: contractions in capitals too, at most three digits together, signs keep the line ends after
#: them, and white space ends with its last line end.
GPT4_PATTERN = (
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"""
    r""" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

# With these two, a space before a sign always begins a word, whatever else there is.
_SPLIT_AT_SPACES = (GPT2_PATTERN, GPT4_PATTERN)
_SPACE_BEFORE_SIGN = re.compile(r" (?=\S)")
BLOCK = 1 << 18  # characters to cut at once: the words of a long text are never all in memory
_LOOKAHEAD = 3  # characters: as far as a contraction reaches


class Pretokenizer:
    """Cut text into words that no merge crosses.

    Parameters
    ----------
    pattern
        A regular expression whose matches are the words; what lies between two matches is a word too. To cut a stream,
        it must not look back, and not look further ahead than three characters or the end of a stretch of white space.

    Attributes
    ----------
    splits_at_spaces : bool
        Whether `pieces` can be used.

    Raises
    ------
    TypeError, ValueError
        If the pattern is not a string, not a regular expression, or has a capturing group.
    """

    def __init__(self, pattern: str = GPT2_PATTERN):
        if not isinstance(pattern, str):
            raise TypeError(f"pattern must be a string, got {describe(pattern)}")
        try:
            self._exact = regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"pattern must be a regular expression, got {pattern!r}: {error}") from None
        if self._exact.groups:
            raise ValueError(f"pattern must not capture, got {pattern!r}; write (?:...) for (...)")
        self.pattern = pattern
        self.splits_at_spaces = pattern in _SPLIT_AT_SPACES
        self._cutter = WordCutter() if pattern == GPT2_PATTERN else None

    def words(self, text: str) -> list[str]:
        """Return the words of a text; joined, they are the text.

        >>> Pretokenizer().words("It's 42  now")
        ['It', "'s", ' 42', ' ', ' now']
        """
        words = self._exact.findall(text)
        if self.splits_at_spaces or sum(map(len, words)) == len(text):
            return words
        words, end = [], 0
        for match in self._exact.finditer(text):
            words += [text[end : match.start()], match.group()]
            end = match.end()
        return [word for word in (*words, text[end:]) if word]

    def cut(self, texts: Sequence[str]) -> Words:
        """Find the words of all texts, those of one text after those of another; the fastest way for long texts."""
        if self._cutter:
            return self._cutter.words(texts)
        words = list(map(self.words, texts))
        lengths = np.array([len(word) for row in words for word in row], np.intp)
        ends = np.cumsum(lengths)
        return Words.at_characters("".join(texts), ends - lengths, ends, np.cumsum(list(map(len, words))))

    def words_of_pieces(self, pieces: Collection[str]) -> list[list[str]]:
        """Return the words of each of these pieces and the space before it.

        All are cut in one go: to start the search anew for each would take four times as long.

        Parameters
        ----------
        pieces
            What `pieces` returned, without the first of each text.
        """
        words = self._exact.findall("".join([f" {piece}" for piece in pieces]))
        ends = np.cumsum(list(map(len, words)))
        stops = 1 + np.searchsorted(ends, np.cumsum([1 + len(piece) for piece in pieces]))
        return [words[start:stop] for start, stop in pairwise([0, *stops.tolist()])]

    def pieces(self, text: str) -> list[str]:
        """Split a text at each space before a sign, several times faster than into words.

        The words of the text are those of the first piece, then those that `words_of_pieces` finds in the others: who
        has seen a piece need not cut it again.
        """
        if "\n" not in text:
            pieces = text.split()
            if pieces and " ".join(pieces) == text:  # most lines of prose: the quickest way to split them
                return pieces
        return _SPACE_BEFORE_SIGN.split(text)

    def safe_cut(self, text: str) -> int:
        """Find a late position where the text may be cut, whatever follows, without changing its words; 0 if none."""
        if self.splits_at_spaces:
            cut = text.rfind(" ", 1, -1)
            while cut > 0 and text[cut + 1].isspace():
                cut = text.rfind(" ", 1, cut)
            if cut > 0:
                return cut
        # A word is certain if nothing it looked at can still change: more of the same word, of white space, or what a
        # contraction looks ahead to.
        certain = min(len(text.rstrip()) - 1, len(text) - _LOOKAHEAD - 1)
        words: list[str] = []
        end = 0
        for word in self.words(text):
            if end + len(word) > certain:
                break
            words.append(word)
            end += len(word)
        # Without what it looked ahead to, a word may be another: white space ends sooner before a word than at the end.
        while words and self.words(text[:end]) != words:
            end -= len(words.pop())
        return end

    def parts(self, text: str) -> Iterator[str]:
        """Cut a text into parts of about ``BLOCK`` characters, longer ones where it cannot be cut between words."""
        start, size = 0, BLOCK
        while len(text) - start > size:
            if cut := self.safe_cut(text[start : start + size]):
                yield text[start : start + cut]
                start, size = start + cut, BLOCK
            else:
                size *= 2
        yield text[start:]


def blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Group texts: as many together as have at most ``BLOCK`` characters, or one that has more."""
    block: list[str] = []
    size = 0
    for text in texts:
        if block and size + len(text) > BLOCK:
            yield block
            block, size = [], 0
        block.append(text)
        size += len(text)
    if block:
        yield block
