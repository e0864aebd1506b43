"""From counts to probabilities: maximum likelihood, add-k, and interpolated Kneser-Ney.

Every method is brought to one form, the recursion over orders 1 to n

    p_n(w | context) = alpha_n(context w) + gamma_n(context) p_(n-1)(w | shorter context),    p_0(w) = 1 / vocabulary

in which alpha is 0 for an n-gram that was never seen, and a context that was never seen passes p_(n-1) on. A method
gives alpha for each n-gram and gamma for each context; the model in `ngram` does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from companion._validation import describe, require_finite
from companion.language_models.counts import Ids, Table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """One order of the recursion: alpha for each n-gram, gamma for each context, and what an unseen one passes on."""

    alpha: Floats
    gamma: Floats
    unseen: float = 1.0


@runtime_checkable
class Smoothing(Protocol):
    """A way to turn the counts of all orders into the levels of the recursion."""

    def levels(self, tables: tuple[Table, ...], vocab_size: int) -> tuple[Level, ...]:
        """Return one level for each order."""
        ...


@dataclass(frozen=True)
class AddK:
    """Pretend that every n-gram was seen ``k`` times more than it was: Lidstone's rule, Laplace's for k = 1.

    Only the longest context counts. With k = 0 this is maximum likelihood, which gives an unseen n-gram probability 0
    and says nothing at all after an unseen context: there every probability is 0 and they do not sum to one.

    Raises
    ------
    TypeError, ValueError
        If k is not a finite number of at least 0.

    References
    ----------
    Chen and Goodman (1999), An Empirical Study of Smoothing Techniques for Language Modeling, section 2.1.
    """

    k: float | int = 1.0

    def __post_init__(self) -> None:
        require_finite("k", self.k)
        if self.k < 0:
            raise ValueError(f"k must be at least 0, got {self.k}")

    def levels(self, tables: tuple[Table, ...], vocab_size: int) -> tuple[Level, ...]:
        """Return levels of which all but the last pass the uniform distribution on."""
        *lower, table = tables
        totals = _sum_by_context(table, table.counts, _n_contexts(tables, len(tables)))
        extra = self.k * vocab_size  # of which the uniform distribution is handed its part
        with np.errstate(invalid="ignore"):
            gamma = np.where(totals > 0, extra / (totals + extra), self._unseen)
        alpha = table.counts / np.maximum(totals + extra, 1e-300)[table.contexts]
        passing = [
            Level(np.zeros(len(below.keys)), np.ones(_n_contexts(tables, order)))
            for order, below in enumerate(lower, start=1)
        ]
        return (*passing, Level(alpha, gamma, self._unseen))

    @property
    def _unseen(self) -> float:
        return 1.0 if self.k > 0 else 0.0


@dataclass(frozen=True)
class KneserNey:
    """Take a little from every count, and give it to the shorter context; there, count contexts and not occurrences.

    Parameters
    ----------
    discount
        What is taken from a count: ``"modified"`` estimates three discounts for each order, for counts of one, of two,
        and of more; ``"single"`` estimates one for each order; a number is used for all; a tuple of numbers has one for
        each order, unigrams first.

    Notes
    -----
    This is *interpolated* Kneser-Ney: every probability mixes in the shorter context's. The longest n-grams use their
    counts, the shorter ones the number of different tokens seen before them. The recursion ends in the uniform
    distribution, so that every token, "unknown" among them, has a probability above 0. Where a corpus is too small for
    the estimates (some count of counts is 0, or a discount falls outside its range), the discounts are 0.5, 1 and 1.5.

    nltk's ``KneserNeyInterpolated`` differs from the papers: it does not discount unigrams nor mix in a uniform
    distribution, which ``discount=(0, d, d)`` does too; and for n above 2, its own padding lets a start mark follow a
    start mark, so that the probabilities of real tokens sum to less than one.

    Raises
    ------
    TypeError, ValueError
        If the discount is neither one of the two names nor a number from 0 to 1, or a tuple of those.

    References
    ----------
    Kneser and Ney (1995), Improved Backing-off for M-gram Language Modeling. Chen and Goodman (1999), An Empirical
    Study of Smoothing Techniques for Language Modeling, sections 2.7 and 3.
    """

    discount: Literal["modified", "single"] | float | int | tuple[float | int, ...] = "modified"

    def __post_init__(self) -> None:
        if self.discount in ("modified", "single"):
            return
        for number in self.discount if isinstance(self.discount, tuple) else (self.discount,):
            if isinstance(number, str):
                raise ValueError(f"discount must be 'modified', 'single', or from 0 to 1, got {describe(number)}")
            require_finite("discount", number)
            if not 0 <= number <= 1:
                raise ValueError(f"discount must be from 0 to 1, got {number}")

    def levels(self, tables: tuple[Table, ...], vocab_size: int) -> tuple[Level, ...]:
        """Return the interpolation weights of every order."""
        if isinstance(self.discount, tuple) and len(self.discount) < len(tables):
            raise ValueError(f"discount must have one number for each of {len(tables)} orders, got {self.discount}")
        return tuple(self._level(tables, order) for order in range(1, len(tables) + 1))

    def _level(self, tables: tuple[Table, ...], order: int) -> Level:
        table = tables[order - 1]
        counts = table.counts if order == len(tables) else table.continuations
        n_contexts = _n_contexts(tables, order)
        taken = np.minimum(self._discounts(counts, order)[np.minimum(counts, 3)], counts)
        totals = _sum_by_context(table, counts, n_contexts)
        total = np.maximum(totals, 1)
        gamma = np.where(totals > 0, _sum_by_context(table, taken, n_contexts) / total, 1.0)
        return Level((counts - taken) / total[table.contexts], gamma)

    def _discounts(self, counts: Ids, order: int) -> Floats:
        """Return what is taken from a count of 0, 1, 2, and 3 or more."""
        if isinstance(self.discount, tuple):
            return np.array([0.0, *[self.discount[order - 1]] * 3])
        if not isinstance(self.discount, str):
            return np.array([0.0, *[self.discount] * 3])
        n1, n2, n3, n4 = (float((counts == c).sum()) for c in (1, 2, 3, 4))
        if self.discount == "single":
            return np.array([0.0, *[n1 / (n1 + 2 * n2) if n1 else 0.5] * 3])
        fallback = np.array([0.0, 0.5, 1.0, 1.5])
        if not (n1 and n2 and n3 and n4):
            return fallback
        y = n1 / (n1 + 2 * n2)
        estimate = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        return estimate if (estimate >= 0).all() else fallback


def _n_contexts(tables: tuple[Table, ...], order: int) -> int:
    return 1 if order == 1 else len(tables[order - 2].keys)


def _sum_by_context(table: Table, numbers: Ids | Floats, n_contexts: int) -> Floats:
    return np.bincount(table.contexts, weights=numbers, minlength=n_contexts).astype(np.float64)
