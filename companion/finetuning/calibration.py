"""Temperature: one number that makes a classifier's probabilities mean what they say."""

from __future__ import annotations

import math
from typing import Any

import scipy.optimize
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from companion._validation import requires
from companion.finetuning.losses import check_classes

BOUNDS = (math.log(0.05), math.log(20.0))


def _check(logits: Any, labels: Any) -> None:
    check_classes(logits, labels)
    if not len(labels):
        raise ValueError("labels must hold at least one example, got none")


@requires(_check)
def fit_temperature(logits: Float[Tensor, "batch class"], labels: Int[Tensor, " batch"]) -> float:
    """Find the number to divide scores by so that the labels become as likely as can be.

    It changes no decision: the best class stays the best. Above 1 the model was too sure of itself.

    Parameters
    ----------
    logits
        Scores of examples that the model was not trained on, nor will be tested on.
    labels
        Their classes.

    Returns
    -------
    float
        Between 1/20 and 20.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, or there is no example.

    References
    ----------
    Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2.
    """
    scores, answers = logits.detach().double().cpu(), labels.cpu().long()

    def surprise(log_temperature: float) -> float:
        return F.cross_entropy(scores / math.exp(log_temperature), answers).item()

    found = scipy.optimize.minimize_scalar(surprise, bounds=BOUNDS, method="bounded", options={"xatol": 1e-6})
    return math.exp(float(found.x))
