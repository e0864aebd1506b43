"""The softmax over the vocabulary, the log-likelihood of what came, and its gradient, written by hand.

The sign is part of each name: a log-likelihood is to be made large, and its gradient points uphill. The loss of the
deep learning libraries is its negative.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from companion._validation import describe, require_all_finite, require_float_tensor, requires


def _check_scores(scores: Any) -> None:
    require_float_tensor("scores", scores, "*batch vocab")
    require_all_finite("scores", scores)


def _check_pair(scores: Any, targets: Any) -> None:
    require_float_tensor("scores", scores, "token vocab")
    require_all_finite("scores", scores)
    if not isinstance(targets, Tensor) or targets.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"targets must be a tensor of token numbers, int64 or int32, got {describe(targets)}")
    if targets.shape != scores.shape[:1]:
        raise ValueError(f"targets must have one number for each of {len(scores)} rows, got {describe(targets)}")
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < scores.shape[-1]:
        raise ValueError(
            f"targets must be at least 0 and below the vocabulary's {scores.shape[-1]}, "
            f"got values from {int(targets.min())} to {int(targets.max())}"
        )


@requires(_check_scores)
def log_softmax(scores: Float[Tensor, "*batch vocab"]) -> Float[Tensor, "*batch vocab"]:
    """Turn scores into logarithms of probabilities, without overflow.

    Parameters
    ----------
    scores
        One score for each token of the vocabulary.

    Raises
    ------
    TypeError, ValueError
        If the scores are no floating point tensor, empty, or not finite.
    """
    shifted = scores - scores.amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


@requires(_check_pair)
def log_likelihood(scores: Float[Tensor, "token vocab"], targets: Int[Tensor, " token"]) -> Float[Tensor, ""]:
    """Sum the log-probabilities of the tokens that came: the larger, the better the model.

    Parameters
    ----------
    scores
        One row for each prediction.
    targets
        The token that came, for each row.

    Raises
    ------
    TypeError, ValueError
        If the scores are not finite floating point numbers, or the targets not numbers of tokens, one for each row.
    """
    return log_softmax(scores).gather(-1, targets[:, None].long()).sum()


@requires(_check_pair)
def log_likelihood_gradient(
    scores: Float[Tensor, "token vocab"], targets: Int[Tensor, " token"]
) -> Float[Tensor, "token vocab"]:
    """Return the gradient of :func:`log_likelihood` in the scores, one-hot minus probabilities: the way uphill.

    Parameters
    ----------
    scores, targets
        As for :func:`log_likelihood`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`log_likelihood`.

    References
    ----------
    Bengio et al. (2003), A Neural Probabilistic Language Model, section 3.1, "backward phase".
    """
    gradient = log_softmax(scores).exp().neg_()
    gradient[torch.arange(len(targets), device=scores.device), targets.long()] += 1
    return gradient
