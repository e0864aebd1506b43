"""Do the vectors agree with people? Similarity and analogy sets, each result with its bootstrap interval."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.stats import bootstrap, rankdata

from companion._validation import describe, require_count, require_finite, requires
from companion.embeddings.vectors import WordVectors

SCORES_AT_ONCE = 2**25  # 128 MB of float32


@dataclass(frozen=True, kw_only=True)
class Score:
    """A figure, the bounds between which it would lie for 95% of resampled test sets, and what it rests on.

    ``n`` items were scored; ``n_missing`` were left out since a word of theirs has no vector.
    """

    value: float
    low: float
    high: float
    n: int
    n_missing: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] on {self.n} of {self.n + self.n_missing}"


def spearman(x: Float64[np.ndarray, "..."], y: Float64[np.ndarray, "..."], axis: int = -1) -> np.ndarray | np.float64:
    """Correlate ranks: Pearson's correlation of the places in which x and y put the items.

    As ``scipy.stats.spearmanr``, but along an axis, so that all resamples of a bootstrap are one call, and 0 instead of
    NaN where all items share a place: few pairs, resampled, are sometimes one pair many times.
    """
    ranks = (rankdata(values, axis=axis) for values in (x, y))
    x, y = (rank - rank.mean(axis=axis, keepdims=True) for rank in ranks)
    scale = np.sqrt((x**2).sum(axis=axis) * (y**2).sum(axis=axis))
    return (x * y).sum(axis=axis) / np.where(scale == 0, 1, scale)


def _check_similarity(*arguments: Any, resamples: Any = 2000, seed: Any = 0) -> None:
    _check_scoring(arguments, _pair, resamples, seed)


def _check_analogy(*arguments: Any, resamples: Any = 2000, seed: Any = 0) -> None:
    _check_scoring(arguments, _question, resamples, seed)


def _check_scoring(arguments: tuple[Any, ...], check: Callable[[Any], Any], resamples: Any, seed: Any) -> None:
    *models, items = arguments
    for vectors in models:
        if not isinstance(vectors, WordVectors):
            raise TypeError(f"vectors must be WordVectors, got {describe(vectors)}")
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise TypeError(f"pairs or questions must be a list of tuples, got {describe(items)}")
    if isinstance(items, Collection):  # an iterator can be walked only once
        for item in items:
            check(item)
    require_count("resamples", resamples, minimum=100)
    require_count("seed", seed, minimum=0)


@requires(_check_similarity)
def similarity_score(
    vectors: WordVectors, pairs: Iterable[Sequence[Any]], *, resamples: int = 2000, seed: int = 0
) -> Score:
    """Correlate (Spearman) the cosines of word pairs with how similar people find the words.

    Parameters
    ----------
    vectors
        The vectors.
    pairs
        Two words and their score; pairs with a word that has no vector are left out and counted.
    resamples, seed
        How many test sets the percentile bootstrap draws from these pairs, and the seed of the draw.

    Raises
    ------
    TypeError
        If an argument is not of its type.
    ValueError
        If fewer than three pairs have vectors, all people's scores or all cosines are the same, a pair is not two
        words and a score, or a number is too small.

    References
    ----------
    Finkelstein et al. (2002), Placing Search in Context, for WordSim-353; Hill et al. (2015), SimLex-999.
    """
    (cosines,), people, n_missing = _cosines([vectors], pairs)
    return _score(spearman, (cosines, people), n_missing, resamples, seed)


@requires(_check_similarity)
def similarity_difference(
    ours: WordVectors,
    theirs: WordVectors,
    pairs: Iterable[Sequence[Any]],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Score:
    """Say how much better ours agree with people than theirs, on the pairs for which both have vectors.

    The difference of the two correlations, with an interval from resampling the pairs for both together: narrower
    than two separate intervals, since both find the same pairs hard. An interval around 0 is a draw.

    Parameters and errors are those of :func:`similarity_score`.
    """
    (mine, other), people, n_missing = _cosines([ours, theirs], pairs)

    def difference(x: Any, y: Any, people: Any, axis: int = -1) -> Any:
        return spearman(x, people, axis) - spearman(y, people, axis)

    return _score(difference, (mine, other, people), n_missing, resamples, seed)


def _cosines(models: Sequence[WordVectors], pairs: Iterable[Sequence[Any]]) -> tuple[list[np.ndarray], np.ndarray, int]:
    pairs = [_pair(pair) for pair in pairs]
    known = [(a, b, score) for a, b, score in pairs if all(a in model and b in model for model in models)]
    if len(known) < 3:
        raise ValueError(
            f"pairs must hold three pairs or more whose words have vectors, got {len(known)} of {len(pairs)}; "
            "check the spelling and case of the words"
        )
    if len({score for *_, score in known}) == 1:
        raise ValueError(
            f"pairs must have different scores to be put in order, got the same score {known[0][2]} for all"
        )
    cosines = [np.array([model.similarity(a, b) for a, b, _ in known], dtype=np.float64) for model in models]
    if any((row == row[0]).all() for row in cosines):
        raise ValueError("vectors must tell the pairs apart, got the same cosine for all; were they trained?")
    return cosines, np.array([score for *_, score in known], dtype=np.float64), len(pairs) - len(known)


@requires(_check_analogy)
def analogy_score(
    vectors: WordVectors,
    questions: Iterable[Sequence[str]],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Score:
    """Return the share of analogies "a is to b as c is to d" that 3CosAdd answers with d, the first three excluded.

    Questions that share the pair (a, b) succeed or fail together, so the bootstrap resamples pairs, not questions.

    Parameters
    ----------
    vectors
        The vectors; every one of their words may be the answer.
    questions
        Four words each; questions with a word that has no vector are left out and counted.
    resamples, seed
        How many test sets the percentile bootstrap draws, and the seed of the draw.

    Raises
    ------
    TypeError
        If an argument is not of its type.
    ValueError
        If fewer than two pairs (a, b) have vectors, a question is not four words, or a number is too small.

    References
    ----------
    Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space, section 4.1.
    """
    questions = [_question(question) for question in questions]
    known = [question for question in questions if all(word in vectors for word in question)]
    by_pair = defaultdict(list)
    for question, is_right in zip(known, _answers_right(vectors, known), strict=True):
        by_pair[question[:2]].append(is_right)
    if len(by_pair) < 2:
        raise ValueError(
            f"questions must hold two pairs (a, b) or more whose words have vectors, got {len(by_pair)} from "
            f"{len(questions)} questions; check the spelling and case of the words"
        )
    right = np.array([sum(answers) for answers in by_pair.values()], dtype=np.float64)
    asked = np.array([len(answers) for answers in by_pair.values()], dtype=np.float64)

    def share(right: Any, asked: Any, axis: int = -1) -> Any:
        return right.sum(axis=axis) / asked.sum(axis=axis)

    return _score(share, (right, asked), len(questions) - len(known), resamples, seed, n=len(known))


def _pair(pair: Any) -> tuple[str, str, float]:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 3:
        raise ValueError(f"each of pairs must be two words and a score, got {describe(pair)}")
    a, b, score = pair
    if not isinstance(a, str) or not isinstance(b, str):
        raise TypeError(f"each of pairs must begin with two words, got {describe(pair)}")
    require_finite("the score of a pair", score)
    return a, b, score


def _question(question: Any) -> tuple[str, str, str, str]:
    if isinstance(question, str) or not isinstance(question, Sequence) or len(question) != 4:
        raise ValueError(f"each of questions must be four words, got {describe(question)}")
    a, b, c, d = question
    if not all(isinstance(word, str) for word in (a, b, c, d)):
        raise TypeError(f"each of questions must be four words, got {describe(question)}")
    return a, b, c, d


def _answers_right(vectors: WordVectors, questions: Sequence[tuple[str, str, str, str]]) -> list[bool]:
    """Answer questions many at a time: one product with all vectors for as many as memory is set aside for."""
    rows = np.array([[vectors.row(word) for word in question] for question in questions]).reshape(-1, 4)
    right, at_once = [], max(1, SCORES_AT_ONCE // len(vectors))
    for start in range(0, len(rows), at_once):
        chunk = rows[start : start + at_once]
        a, b, c, d = chunk.T
        scores = (vectors.unit[b] - vectors.unit[a] + vectors.unit[c]) @ vectors.unit.T
        np.put_along_axis(scores, chunk[:, :3], -np.inf, axis=1)
        right += (scores.argmax(axis=1) == d).tolist()
    return right


def _score(
    statistic: Any, samples: tuple[np.ndarray, ...], n_missing: int, resamples: int, seed: int, n: int | None = None
) -> Score:
    interval = bootstrap(
        samples,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Score(
        value=float(statistic(*samples)),
        low=float(interval.low),
        high=float(interval.high),
        n=len(samples[0]) if n is None else n,
        n_missing=n_missing,
    )
