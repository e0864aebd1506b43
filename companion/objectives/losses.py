"""The loss of every objective: cross-entropy over the labels that count, and how many they are."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from companion._validation import describe, require_float_tensor, requires
from companion.objectives._checks import IGNORED


class Loss(NamedTuple):
    """A sum and what to divide it by, kept apart so that losses of unequal batches add up to the right mean.

    The mean of two means is not the mean of all tokens where one batch holds more of them; totals and counts add up.

    Parameters
    ----------
    total
        The sum of the losses of all tokens that count, in nats.
    count
        How many they are.
    """

    total: Float[Tensor, ""]
    count: Float[Tensor, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  # nobody counts in a pair

    @property
    def mean(self) -> Float[Tensor, ""]:
        """The loss of a token; zero where none counts."""
        return self.total / self.count.clamp(min=1)


def _check_token_loss(logits: Any, labels: Any) -> None:
    require_float_tensor("logits", logits, "*batch vocab")
    require_labels(labels, "logits", logits, "the vocabulary", (logits.shape[-1], "scores of logits"))


def require_labels(labels: Any, name: str, scored: Tensor, last_axis: str, known: tuple[int, str]) -> None:
    """Raise unless there is a known label, or -100, for each position of what is scored, or is to be."""
    if not isinstance(labels, Tensor) or labels.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"labels must be a tensor of torch.int64 or int32 (*batch), got {describe(labels)}")
    if labels.shape != scored.shape[:-1]:
        raise ValueError(
            f"labels must have the shape of {name} without {last_axis}, {tuple(scored.shape[:-1])}, "
            f"got {describe(labels)}"
        )
    if labels.device != scored.device:
        raise ValueError(f"labels must be on the device of {name}, {scored.device}, got one on {labels.device}")
    if labels.device.type == "cpu":  # another device would have to wait
        unknown = labels[(labels != IGNORED) & ((labels < 0) | (labels >= known[0]))]
        if unknown.numel():
            raise ValueError(
                f"labels must be {IGNORED} (ignored) or at least 0 and below the {known[0]} {known[1]}, "
                f"got {unknown[0].item()}"
            )


@requires(_check_token_loss)
def token_loss(logits: Float[Tensor, "*batch vocab"], labels: Int[Tensor, "*batch"]) -> Loss:
    """Add up how surprised the scores are by their labels, and count the labels.

    Parameters
    ----------
    logits
        A score of every token of the vocabulary, at each position.
    labels
        The right token of each position; -100 where there is none, such as at padding: it is neither added nor
        counted.

    Raises
    ------
    TypeError
        If the scores are not floating point or the labels not integers.
    ValueError
        If the shapes or devices differ, or a label is no token (looked for on the CPU).

    References
    ----------
    Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, section
    3.1: the mean of -log p over the predicted tokens.
    """
    # Sums of half precision lose the small losses; under autocast the logits are of it.
    scores = logits.flatten(0, -2).to(torch.promote_types(logits.dtype, torch.float32))
    total = F.cross_entropy(scores, labels.flatten().long(), ignore_index=IGNORED, reduction="sum")
    return Loss(total, (labels != IGNORED).sum().to(total.dtype))
