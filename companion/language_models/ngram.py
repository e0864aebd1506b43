"""The n-gram model: the next token from the last n - 1, by counting."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from companion._validation import describe, require_count, requires
from companion.language_models.counts import MISSING, Table, count, follow
from companion.language_models.smoothing import KneserNey, Smoothing
from companion.language_models.vocabulary import Vocabulary, check_sequences


def _check_fit(cls: Any, sequences: Any, *, order: Any, smoothing: Any = None, vocabulary: Any = None) -> None:
    check_sequences(sequences)
    require_count("order", order)
    _check_smoothing(smoothing)
    if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"vocabulary must be a Vocabulary, got {describe(vocabulary)}")


def _check_smoothing(smoothing: Any) -> None:
    if isinstance(smoothing, type):
        raise TypeError(f"smoothing must be made first, got the class; write {smoothing.__name__}()")
    if smoothing is not None and not isinstance(smoothing, Smoothing):
        raise TypeError(f"smoothing must be AddK(...) or KneserNey(...), got {describe(smoothing)}")


def _check_change(model: NGramModel, *, order: Any = None, smoothing: Any = None) -> None:
    _check_smoothing(smoothing)
    if order is not None:
        require_count("order", order)
        if order > len(model.tables):
            raise ValueError(f"order must be at most {len(model.tables)}, the longest n-grams counted, got {order}")


def _check_score(model: Any, sequences: Any) -> None:
    check_sequences(sequences)


def _check_context(model: Any, context: Any = ()) -> None:
    if not isinstance(context, Sequence):
        raise TypeError(f"context must be a string or a list of tokens, got {describe(context)}")


def _check_probability(model: Any, token: Any, context: Any = ()) -> None:
    if not isinstance(token, Hashable):
        raise TypeError(f"token must be hashable, such as a string or a number, got {describe(token)}")
    _check_context(model, context)


def _check_sample(model: Any, generator: Any, context: Any = (), *, max_len: Any = 1000) -> None:
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {describe(generator)}")
    _check_context(model, context)
    require_count("max_len", max_len)


class NGramModel:
    """Predict the next token of a sequence from the ``order - 1`` before it.

    Make one with :meth:`fit`. The probabilities of all tokens, the end of the sequence and "unknown" sum to one after
    every context (but for maximum likelihood after a context it never saw).

    Attributes
    ----------
    order
        The n of the n-grams.
    smoothing
        How counts become probabilities.
    vocabulary
        What can be predicted.
    tables
        The n-grams counted, order by order.
    """

    def __init__(self, vocabulary: Vocabulary, tables: tuple[Any, ...], order: int, smoothing: Smoothing) -> None:
        self.vocabulary, self.order, self.smoothing = vocabulary, order, smoothing
        self.tables: tuple[Table, ...] = tables
        self._levels = smoothing.levels(tables[:order], len(vocabulary))

    @classmethod
    @requires(_check_fit)
    def fit(
        cls,
        sequences: Iterable[Sequence[Hashable]],
        *,
        order: int,
        smoothing: Smoothing | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> NGramModel:
        """Count the n-grams of some sequences.

        Parameters
        ----------
        sequences
            Strings, for their characters, or lists of tokens. Each gets a start and an end.
        order
            How many tokens an n-gram has.
        smoothing
            ``AddK(...)`` or ``KneserNey(...)``; modified interpolated Kneser-Ney by default.
        vocabulary
            What can be predicted; all tokens of the sequences by default. Any other token becomes "unknown".

        Raises
        ------
        TypeError
            If an argument is not of these types, or a token is not hashable.
        ValueError
            If the order is below 1 or there are no sequences.
        """
        sequences = list(sequences)
        if not sequences:
            raise ValueError("sequences must hold at least one sequence, got none")
        vocabulary = vocabulary or Vocabulary.build(sequences)
        tables = count(vocabulary.stream(sequences).numpy(), order, vocabulary.start_id)
        return cls(vocabulary, tables, order, smoothing or KneserNey())

    @requires(_check_change)
    def change(self, *, order: int | None = None, smoothing: Smoothing | None = None) -> NGramModel:
        """Return a model with a lower order or another smoothing, from the same counts.

        Raises
        ------
        TypeError, ValueError
            If the smoothing is none, or the order is not from 1 to the longest n-grams counted.
        """
        return NGramModel(self.vocabulary, self.tables, order or self.order, smoothing or self.smoothing)

    @requires(_check_score)
    def log_probabilities(self, sequences: Iterable[Sequence[Hashable]]) -> Float[Tensor, " token"]:
        """Return the natural logarithm of the probability of every token, and of the end of every sequence.

        Raises
        ------
        TypeError
            If the sequences are one string, or cannot be walked.
        """
        start_id = self.vocabulary.start_id
        stream = self.vocabulary.stream(sequences).numpy()
        p = np.full(len(stream), 1 / len(self.vocabulary))
        if len(stream):
            for level, (contexts, grams) in zip(self._levels, follow(self.tables, stream, start_id), strict=False):
                p *= np.where(contexts == MISSING, level.unseen, level.gamma[contexts])
                p += np.where(grams == MISSING, 0.0, level.alpha[grams])
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(p[stream != start_id]))

    @requires(_check_context)
    def distribution(self, context: Sequence[Hashable] = ()) -> Float[Tensor, " vocab"]:
        """Return the probability of every token of the vocabulary after a sequence that begins with ``context``.

        Raises
        ------
        TypeError
            If the context is no sequence.
        """
        start_id = self.vocabulary.start_id
        stream = np.array([start_id, *self.vocabulary.encode(context)], dtype=np.int64)
        contexts = [0, *(int(grams[-1]) for _, grams in follow(self.tables[: self.order - 1], stream, start_id))]
        p = np.full(len(self.vocabulary), 1 / len(self.vocabulary))
        for level, table, number in zip(self._levels, self.tables, contexts, strict=False):
            if number == MISSING:
                p *= level.unseen
            else:
                followers = table.after(number)
                p *= level.gamma[number]
                tokens = table.keys[followers] % table.n_tokens
                real = tokens != start_id
                p[tokens[real]] += level.alpha[followers][real]
        return torch.from_numpy(p)

    @requires(_check_probability)
    def probability(self, token: Hashable, context: Sequence[Hashable] = ()) -> float:
        """Return the probability of one token after a sequence that begins with ``context``.

        Raises
        ------
        TypeError
            If the context is no sequence.
        """
        return float(self.distribution(context)[self.vocabulary.encode([token])[0]])

    @requires(_check_sample)
    def sample(
        self, generator: torch.Generator, context: Sequence[Hashable] = (), *, max_len: int = 1000
    ) -> list[Hashable]:
        """Draw a sequence token by token, until its end or ``max_len`` tokens.

        Parameters
        ----------
        generator
            Source of the choices.
        context
            How the sequence begins; returned as its beginning.
        max_len
            The longest sequence to return.

        Raises
        ------
        TypeError, ValueError
            If the generator is none, or max_len not an integer of at least 1.
        ValueError
            If maximum likelihood is asked what follows a context it never saw.
        """
        sequence = list(context)
        while len(sequence) < max_len:
            p = self.distribution(sequence)
            if not p.any():
                raise ValueError(f"maximum likelihood knows nothing after {sequence[-self.order + 1 :]!r}; smooth it")
            token_id = int(torch.multinomial(p, 1, generator=generator))
            if token_id == self.vocabulary.end_id:
                break
            sequence.append(self.vocabulary.label(token_id))
        return sequence
