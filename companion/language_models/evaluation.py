"""How good a language model is: one number from the log-probabilities it gave to a text it had not seen."""

from __future__ import annotations

import math
from typing import Any

from jaxtyping import Float
from torch import Tensor

from companion._validation import describe, require_count, requires


def _check_log_probabilities(log_probabilities: Any, n_bytes: Any = None) -> None:
    if not isinstance(log_probabilities, Tensor) or not log_probabilities.is_floating_point():
        raise TypeError(f"log_probabilities must be a floating point tensor, got {describe(log_probabilities)}")
    if log_probabilities.dim() != 1 or not len(log_probabilities):
        raise ValueError(
            f"log_probabilities must be one row with at least one number, got {describe(log_probabilities)}"
        )
    if bool(log_probabilities.isnan().any()) or float(log_probabilities.max()) > 1e-6:
        raise ValueError(
            "log_probabilities must be logarithms of probabilities, at most 0, got "
            f"{float(log_probabilities.max())} as the largest"
        )
    if n_bytes is not None:
        require_count("n_bytes", n_bytes)


@requires(_check_log_probabilities)
def cross_entropy(log_probabilities: Float[Tensor, " token"]) -> float:
    """Return the mean surprise in bits for each token; infinite if the model thought a token impossible.

    Parameters
    ----------
    log_probabilities
        Natural logarithms of the probabilities of the tokens that came.

    Raises
    ------
    TypeError, ValueError
        If they are no floating point tensor of one axis, empty, NaN, or above 0.
    """
    return -float(log_probabilities.double().mean()) / math.log(2)


@requires(_check_log_probabilities)
def perplexity(log_probabilities: Float[Tensor, " token"]) -> float:
    """Return among how many equally likely tokens the model hesitated, in the geometric mean.

    It depends on what a token is, so it compares models with the same vocabulary only.

    Parameters
    ----------
    log_probabilities
        Natural logarithms of the probabilities of the tokens that came.

    Raises
    ------
    TypeError, ValueError
        As for :func:`cross_entropy`.

    References
    ----------
    Jelinek, Mercer, Bahl and Baker (1977), Perplexity: a Measure of the Difficulty of Speech Recognition Tasks.
    """
    bits = cross_entropy(log_probabilities)
    return 2**bits if bits < 1024 else math.inf


@requires(_check_log_probabilities)
def bits_per_byte(log_probabilities: Float[Tensor, " token"], n_bytes: int) -> float:
    """Return the surprise of a whole text, in bits, for each of its bytes.

    The text has the same bytes whatever it is cut into, so models with different tokens can be compared, as long as the
    tokens tell the whole text: not if some of them are "unknown".

    Parameters
    ----------
    log_probabilities
        Natural logarithms of the probabilities of all tokens of the text.
    n_bytes
        The text's length in UTF-8.

    Raises
    ------
    TypeError, ValueError
        As for :func:`cross_entropy`, and if the number of bytes is not an integer of at least 1.
    """
    return -float(log_probabilities.double().sum()) / math.log(2) / n_bytes
