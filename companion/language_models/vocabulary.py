"""Tokens as numbers: what a model may predict, and the marks around each sequence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from companion._validation import describe, require_count, requires

_WORD = re.compile(r" ?[^\W\d_]+|\d+|\s|[^\w\s]|_")


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {describe(text)}")


@requires(_check_text)
def split_words(text: str) -> list[str]:
    """Cut a text into words, each with the space before it, numbers, and single other characters.

    Nothing is lost: the pieces joined are the text.

    Raises
    ------
    TypeError
        If the text is no string.
    """
    return _WORD.findall(text)


def check_sequences(sequences: Any) -> None:
    """Raise unless the argument can be walked as several sequences."""
    if isinstance(sequences, str | bytes):
        raise TypeError("sequences must be several sequences, got one string; put it in a list: [text]")
    if not isinstance(sequences, Iterable):
        raise TypeError(f"sequences must be an iterable of sequences of tokens, got {describe(sequences)}")
    if isinstance(sequences, Collection):  # an iterator can be walked only once
        for sequence in sequences:
            _require_tokens(sequence)


def _require_tokens(sequence: Any) -> None:
    """Raise if one of several sequences cannot be walked, or holds what can be no token."""
    if not isinstance(sequence, Iterable):
        raise TypeError(f"each sequence must be a string or a list of tokens, got {describe(sequence)}")
    if isinstance(sequence, str) or not isinstance(sequence, Collection):
        return
    try:
        set(sequence)
    except TypeError:
        wrong = next(token for token in sequence if not isinstance(token, Hashable))
        raise TypeError(f"each token must be hashable, such as a string or a number, got {describe(wrong)}") from None


def _check_tokens(vocabulary: Any, tokens: Any) -> None:
    if not isinstance(tokens, Iterable):
        raise TypeError(f"tokens must be an iterable of tokens, got {describe(tokens)}")
    _require_tokens(tokens)


def _check_build(cls: Any, sequences: Any, *, min_count: Any = 1, max_size: Any = None) -> None:
    check_sequences(sequences)
    require_count("min_count", min_count)
    if max_size is not None:
        require_count("max_size", max_size)


def _check_stream(vocabulary: Any, sequences: Any) -> None:
    check_sequences(sequences)


def _check_sequence(vocabulary: Any, sequence: Any) -> None:
    _require_tokens(sequence)


def _check_token_id(vocabulary: Vocabulary, token_id: Any) -> None:
    require_count("token_id", token_id, minimum=0)
    if token_id > vocabulary.start_id:
        raise ValueError(f"token_id must be at most {vocabulary.start_id}, the start mark, got {token_id}")


class Vocabulary:
    """Number the tokens that a model can predict: the known ones, then the end of a sequence, then "unknown".

    A token is anything hashable: a character, a word, or the id that a tokenizer gave it. The start of a sequence has a
    number too, the one after the last, because models read it; they never predict it, so it is not counted in the size.

    Parameters
    ----------
    tokens
        The known tokens, each once.

    Raises
    ------
    TypeError, ValueError
        If the tokens cannot be walked, or one comes twice.
    """

    @requires(_check_tokens)
    def __init__(self, tokens: Iterable[Hashable]) -> None:
        self.tokens = tuple(tokens)
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        if len(self._ids) < len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise ValueError(f"tokens must each come once, got {twice!r} more than once")
        self.end_id = len(self.tokens)
        self.unknown_id = self.end_id + 1
        self.start_id = self.unknown_id + 1

    @classmethod
    @requires(_check_build)
    def build(
        cls, sequences: Iterable[Sequence[Hashable]], *, min_count: int = 1, max_size: int | None = None
    ) -> Vocabulary:
        """Collect the tokens of some sequences, the most frequent first (ties: the one that came first).

        Parameters
        ----------
        sequences
            Strings, for their characters, or lists of tokens.
        min_count
            How often a token must occur to be known.
        max_size
            How many tokens to know at most; all by default.

        Raises
        ------
        TypeError, ValueError
            If the sequences are one string, one of them cannot be walked, a token is not hashable, or a number is not
            an integer of at least 1.
        """
        counts: Counter[Hashable] = Counter()
        for sequence in sequences:
            counts.update(sequence)
        frequent = [token for token, count in counts.most_common(max_size) if count >= min_count]
        return cls(frequent)

    def __len__(self) -> int:
        return self.start_id

    def __contains__(self, token: Hashable) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    @requires(_check_sequence)
    def encode(self, sequence: Sequence[Hashable]) -> list[int]:
        """Return the tokens' numbers; an unknown token gets the number of "unknown".

        Raises
        ------
        TypeError
            If the sequence cannot be walked, or a token is not hashable.
        """
        ids, unknown = self._ids, self.unknown_id
        return [ids.get(token, unknown) for token in sequence]

    @requires(_check_token_id)
    def label(self, token_id: int) -> Hashable:
        """Return the token with a number, or ``</s>``, ``<unk>`` or ``<s>`` for the three marks.

        Raises
        ------
        TypeError, ValueError
            If the number is no integer, or no token has it.
        """
        marks = {self.end_id: "</s>", self.unknown_id: "<unk>", self.start_id: "<s>"}
        return marks[token_id] if token_id in marks else self.tokens[token_id]

    @requires(_check_stream)
    def stream(self, sequences: Iterable[Sequence[Hashable]]) -> Int[Tensor, " token"]:
        """Write all sequences into one array, each between its start and its end.

        Raises
        ------
        TypeError
            If the sequences are one string, they or one of them cannot be walked, or a token is not hashable.
        """
        numbers: list[int] = []
        for sequence in sequences:
            numbers.append(self.start_id)
            numbers += self.encode(sequence)
            numbers.append(self.end_id)
        return torch.tensor(numbers, dtype=torch.int64)
