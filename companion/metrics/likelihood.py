"""Scores of a language model: what its log-likelihood of a text says, in units that can be compared."""

import math
from collections.abc import Iterable
from typing import Any

from companion._validation import describe, require_count, require_finite, requires


def _check_nats(nats: Any, n: Any, name: str) -> None:
    require_finite("nats", nats)
    if nats < 0:
        raise ValueError(f"nats must be the negative log-likelihood, which is at least 0, got {nats}")
    require_count(name, n)


@requires(lambda nats, n_tokens: _check_nats(nats, n_tokens, "n_tokens"))
def perplexity(nats: float, n_tokens: int) -> float:
    """Return the perplexity: among how many equally likely tokens the model is torn, on the geometric mean.

    Models with different tokenizers cannot be compared by it; by :func:`bits_per_byte` they can.

    Parameters
    ----------
    nats
        The negative log-likelihood of the whole text, natural logarithm: the sum of the tokens' losses.
    n_tokens
        Over how many tokens it was summed.

    Raises
    ------
    TypeError, ValueError
        If a number is negative or not finite, or there is no token.

    References
    ----------
    Jelinek et al. (1977), Perplexity: a measure of the difficulty of speech recognition tasks.
    """
    try:
        return math.exp(nats / n_tokens)
    except OverflowError:  # beyond 709 nats a token
        return math.inf


@requires(lambda nats, n_bytes: _check_nats(nats, n_bytes, "n_bytes"))
def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Return the bits that an ideal coder with this model needs for a byte of the text, whatever its tokens are.

    Parameters
    ----------
    nats
        The negative log-likelihood of the whole text, natural logarithm.
    n_bytes
        The text's length in UTF-8, from :func:`count_bytes`.

    Raises
    ------
    TypeError, ValueError
        If a number is negative or not finite, or there is no byte.
    """
    return nats / math.log(2) / n_bytes


def _check_texts(texts: Any) -> None:
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"texts must be a text or several, got {describe(texts)}")


@requires(_check_texts)
def count_bytes(texts: str | Iterable[str]) -> int:
    """Return the length of a text, or of several together, in UTF-8.

    Raises
    ------
    TypeError
        If it is neither a text nor several.
    """
    return sum(len(text.encode()) for text in ([texts] if isinstance(texts, str) else texts))
