"""Cut many texts into GPT-2's words at once, with arrays instead of a search from word to word."""

import sys
from collections.abc import Sequence

import numpy as np
import regex

from companion.tokenization.words import Words

# What a character is, in the order of the groups; and a mark between two texts, which no character is.
_UNKNOWN, _SPACE, _MARK = 0, 1, 5
_KIND = regex.compile(r"(\s)|(\p{L})|(\p{N})|(.)", regex.DOTALL)


class WordCutter:
    """What `GPT2_PATTERN` finds, several times faster for long texts and slower for short ones."""

    def __init__(self):
        self._kind = np.zeros(sys.maxunicode + 1, np.uint8)

    def _kinds(self, codes: np.ndarray) -> np.ndarray:
        kinds = self._kind[codes]
        if new := set(codes[kinds == _UNKNOWN].tolist()):
            for match in _KIND.finditer("".join(map(chr, new))):
                self._kind[ord(match.group())] = match.lastindex or _UNKNOWN
            kinds = self._kind[codes]
        return kinds

    def words(self, texts: Sequence[str]) -> Words:
        """Return the words of all texts, one text after the other."""
        joined = "\0".join(["", *texts, "", ""])  # the last two, so that one may look ahead
        codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
        marks = np.cumsum([0, *(len(text) + 1 for text in texts)])
        kinds = self._kinds(codes)
        kinds[marks] = kinds[-1] = _MARK

        begins = np.ones(len(codes), bool)
        begins[1:] = kinds[1:] != kinds[:-1]
        begins[marks] = True
        # The last white space before a word is not one with that before it; if it is a space, it belongs to the word.
        is_space, is_sign = kinds == _SPACE, (kinds != _SPACE) & (kinds != _MARK)
        last = is_space[:-1] & is_sign[1:]
        begins[:-1] |= last
        begins[1:] &= ~(last & (codes[:-1] == ord(" ")))
        self._cut_contractions(codes, begins)

        starts = np.flatnonzero(begins)
        ends = starts[1:]
        is_word = kinds[starts[:-1]] != _MARK
        starts, ends = starts[:-1][is_word], ends[is_word]
        return Words.at_characters(joined, starts, ends, np.searchsorted(starts, marks[1:]))

    @staticmethod
    def _cut_contractions(codes: np.ndarray, begins: np.ndarray) -> None:
        """Let ``'s`` and its like end where they end, and not after the apostrophe."""
        quote = np.flatnonzero((codes == ord("'")) & begins)
        after = codes[quote + 1]
        of_one = quote[np.isin(after, [ord(letter) for letter in "sdmt"])]
        pair = after.astype(np.uint64) << 32 | codes[quote + 2]
        of_two = quote[np.isin(pair, [np.uint64(ord(a) << 32 | ord(b)) for a, b in ("ll", "ve", "re")])]
        begins[of_one + 1] = begins[of_two + 1] = False
        begins[of_one + 2] = begins[of_two + 3] = True
