"""From texts to numbers: split into words, count them, drop the rare, thin out the frequent."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32

from companion._validation import describe, require_count, requires
from companion.embeddings._checks import (
    require_not_negative,
    require_sentence,
    require_sentences,
    require_words,
)

# Letters or digits of any script; neither punctuation nor the two mixed.
WORD = re.compile(r"[^\W\d_]+|\d+")


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {describe(text)}")


@requires(_check_text)
def split_words(text: str) -> list[str]:
    """Cut a text into lower-case words and numbers, and drop the rest.

    Good for languages that put spaces between words; Chinese needs a segmenter first.

    Raises
    ------
    TypeError
        If ``text`` is not a string.
    """
    return WORD.findall(text.lower())


def _check_count(_: Any, sentences: Any, *, min_count: Any = 5, max_size: Any = None) -> None:
    require_sentences(sentences)
    require_count("min_count", min_count)
    if max_size is not None:
        require_count("max_size", max_size)


def _check_encode(_: Any, sentences: Any) -> None:
    require_sentences(sentences)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words that get a vector, the most frequent first, and how often each was seen.

    Parameters
    ----------
    words
        Distinct words; a word's place is its number.
    counts
        How often each was seen, at least once.

    Raises
    ------
    TypeError
        If the words are not strings.
    ValueError
        If there is no word, a word comes twice, or the counts do not fit the words.
    """

    words: Sequence[str]
    counts: Sequence[int]

    def __post_init__(self) -> None:
        require_words(self.words)
        if not self.words:
            raise ValueError("words must hold at least one word, got none")
        if len(self.index) != len(self.words):
            (twice, _), *_ = Counter(self.words).most_common(1)
            raise ValueError(f"words must be distinct, got {twice!r} twice or more")
        if len(self.counts) != len(self.words):
            raise ValueError(f"counts must hold one count a word, got {len(self.counts)} for {len(self.words)} words")
        if min(self.counts) < 1:
            raise ValueError(f"counts must be at least 1, got {min(self.counts)}")

    @classmethod
    @requires(_check_count)
    def count(
        cls, sentences: Iterable[Sequence[str]], *, min_count: int = 5, max_size: int | None = None
    ) -> "Vocabulary":
        """Count the words of sentences that are already split.

        Words seen equally often are ordered by the alphabet, so the same text always gives the same vocabulary.

        Parameters
        ----------
        sentences
            Lists of words.
        min_count
            Drop words seen fewer times than this.
        max_size
            Keep at most so many, the most frequent ones.

        Raises
        ------
        TypeError
            If a sentence is a string (it would be counted letter by letter) or no list of strings, or a number is not
            an integer.
        ValueError
            If a number is below 1, or no word is left.
        """
        counter = Counter(chain.from_iterable(map(_words_of, sentences)))
        ranked = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
        kept = [(word, count) for word, count in ranked[:max_size] if count >= min_count]
        if not kept:
            seen = f"the {len(counter)} distinct words are seen {ranked[0][1]} times at most" if ranked else "no words"
            raise ValueError(f"sentences must hold a word seen {min_count} times or more (min_count), but {seen}")
        words, counts = zip(*kept, strict=True)
        return cls(words, counts)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    @requires(_check_encode)
    def encode(self, sentences: Iterable[Sequence[str]]) -> "Corpus":
        """Turn sentences into numbers; words outside the vocabulary are left out and their neighbours move together.

        Raises
        ------
        TypeError
            If a sentence is a string, or no list.
        ValueError
            If no word of the sentences is in the vocabulary.
        """
        index, ids, lengths = self.index, [], []
        for sentence in map(_words_of, sentences):
            before = len(ids)
            ids += [index[word] for word in sentence if word in index]
            lengths.append(len(ids) - before)
        if not ids:
            raise ValueError("sentences must hold a word of the vocabulary, got none")
        sentence_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        return Corpus(self, np.array(ids, dtype=np.int32), sentence_of)


def _words_of(sentence: Any) -> Sequence[str]:
    require_sentence(sentence)
    return sentence


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text in numbers: each word's number, and the number of the sentence that it stands in."""

    vocabulary: Vocabulary
    ids: Int32[np.ndarray, " token"]
    sentence: Int32[np.ndarray, " token"]

    def __len__(self) -> int:
        return len(self.ids)


def require_corpus(corpus: Any) -> None:
    """Raise unless ``corpus`` is a :class:`Corpus`."""
    if not isinstance(corpus, Corpus):
        raise TypeError(f"corpus must be a Corpus, got {describe(corpus)}; Vocabulary.encode makes one")


def _check_keep(counts: Any, sample: Any) -> None:
    require_not_negative("sample", sample, "which keeps every word")


@requires(_check_keep)
def keep_probability(counts: Sequence[int], sample: float = 1e-3) -> Float64[np.ndarray, " vocab"]:
    """Return the chance with which each occurrence of a word is kept when frequent words are thinned out.

    With z the word's share of all words, the chance is √(sample/z) + sample/z, and 1 where that is more: word2vec's
    rule, whose paper prints √(sample/z) alone.

    Raises
    ------
    ValueError
        If ``sample`` is negative; 0 keeps all.

    References
    ----------
    Mikolov et al. (2013), Distributed Representations of Words and Phrases and their Compositionality, section 2.3,
    equation 5, and the word2vec program published with it.
    """
    share = np.asarray(counts, dtype=np.float64) / sum(counts)
    if sample == 0:
        return np.ones_like(share)
    return np.minimum(1.0, np.sqrt(sample / share) + sample / share)
