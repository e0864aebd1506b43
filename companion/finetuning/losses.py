"""Losses of the heads: a sum over the examples that count and their number, as :class:`companion.objectives.Loss`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from companion._validation import describe, require_count, require_float_tensor, requires
from companion.finetuning.heads import IGNORED
from companion.objectives import Loss


def check_classes(logits: Any, labels: Any, *, class_weights: Any = None) -> None:
    """Raise unless these are scores of classes and class numbers, one row a text."""
    if isinstance(logits, Tensor) and logits.dim() == 3:
        raise ValueError(
            f"logits must have one row of scores a text (batch class), got one for every token, {describe(logits)}: "
            "pool the tokens before the head, or use tagging_loss if every token has a label"
        )
    require_float_tensor("logits", logits, "batch class")
    _require_labels(labels, logits.shape[:1], logits.shape[-1])
    _require_weights(class_weights, logits)


def _check_tags(logits: Any, labels: Any, *, class_weights: Any = None) -> None:
    require_float_tensor("logits", logits, "batch pos tag")
    _require_labels(labels, logits.shape[:2], logits.shape[-1])
    _require_weights(class_weights, logits)


def _require_labels(labels: Any, shape: torch.Size, n_classes: int) -> None:
    if not isinstance(labels, Tensor) or labels.dtype not in (torch.int64, torch.int32):
        raise TypeError(
            f"labels must be a tensor of class numbers (torch.int64), got {describe(labels)}; a LabelEncoder makes "
            "numbers of names"
        )
    if labels.shape != shape:
        raise ValueError(
            f"labels must have the shape {tuple(shape)}, one for each row of scores, got {describe(labels)}"
        )
    if labels.device.type == "cpu":  # another device would have to wait
        unknown = labels[(labels != IGNORED) & ((labels < 0) | (labels >= n_classes))]
        if unknown.numel():
            raise ValueError(f"labels must be from 0 to {n_classes - 1}, got {unknown[0].item()}")


def _require_weights(class_weights: Any, logits: Tensor) -> None:
    if class_weights is None:
        return
    require_float_tensor("class_weights", class_weights, "class")
    if class_weights.shape != logits.shape[-1:] or not bool((class_weights >= 0).all()):
        raise ValueError(
            f"class_weights must be one number of at least 0 for each of the {logits.shape[-1]} classes, "
            f"got {describe(class_weights)}"
        )


@requires(check_classes)
def classification_loss(
    logits: Float[Tensor, "batch class"],
    labels: Int[Tensor, " batch"],
    *,
    class_weights: Float[Tensor, " class"] | None = None,
) -> Loss:
    """Add up the cross-entropy of the labels, and count them.

    Parameters
    ----------
    logits
        The score of each class.
    labels
        The right class of each text; -100 for none.
    class_weights
        How much an example of each class counts, as :func:`balanced_weights` makes them.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, the scores are of tokens, or the labels are no class numbers.
    """
    return _cross_entropy(logits, labels, class_weights)


@requires(_check_tags)
def tagging_loss(
    logits: Float[Tensor, "batch pos tag"],
    labels: Int[Tensor, "batch pos"],
    *,
    class_weights: Float[Tensor, " tag"] | None = None,
) -> Loss:
    """Add up the cross-entropy of the tags, and count them.

    Parameters
    ----------
    logits
        The score of each tag at each token.
    labels
        The right tag of each token; -100 where none counts, such as padding and the later pieces of a word.
    class_weights
        How much each tag counts.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit or the labels are no tag numbers.
    """
    return _cross_entropy(logits.flatten(0, 1), labels.flatten(), class_weights)


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Loss:
    # Sums of half precision lose the small losses; under autocast the logits are of it.
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weights = None if weights is None else weights.to(scores)
    labels = labels.long()
    total = F.cross_entropy(scores, labels, weight=weights, ignore_index=IGNORED, reduction="sum")
    counts = labels != IGNORED
    if weights is None:
        return Loss(total, counts.sum().to(total.dtype))
    # As torch has it: the mean is over the weights.
    return Loss(total, (weights[labels.clamp(min=0)] * counts).sum())


def _check_spans(logits: Any, labels: Any) -> None:
    require_float_tensor("logits", logits, "batch 2 pos")
    if logits.shape[1] != 2:
        raise ValueError(f"logits must hold scores of the first and of the last token, got {describe(logits)}")
    _require_labels(labels, logits.shape[:2], logits.shape[-1])


@requires(_check_spans)
def span_loss(logits: Float[Tensor, "batch 2 pos"], labels: Int[Tensor, "batch 2"]) -> Loss:
    """Add up the mean of the two cross-entropies, of the first and of the last token, and count the texts.

    Parameters
    ----------
    logits
        The score of each token as the first of the answer, and as the last.
    labels
        The positions of both.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, or a position is outside the text.

    References
    ----------
    Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, section 4.2.
    """
    loss = _cross_entropy(logits.flatten(0, 1), labels.flatten(), None)
    return Loss(loss.total / 2, loss.count / 2)


def _check_regression(values: Any, targets: Any) -> None:
    require_float_tensor("values", values, "batch")
    if not isinstance(targets, Tensor) or not targets.is_floating_point() or targets.shape != values.shape:
        raise ValueError(
            f"targets must be floating point numbers of shape {tuple(values.shape)}, got {describe(targets)}"
        )


@requires(_check_regression)
def regression_loss(values: Float[Tensor, " batch"], targets: Float[Tensor, " batch"]) -> Loss:
    """Add up the squared errors, and count them.

    Parameters
    ----------
    values
        What was predicted.
    targets
        What is right.

    Raises
    ------
    TypeError, ValueError
        If these are not as many floating point numbers.
    """
    errors = values.to(torch.promote_types(values.dtype, torch.float32)) - targets
    return Loss(errors.square().sum(), errors.new_tensor(float(errors.numel())))


def _check_balanced(labels: Any, n_classes: Any) -> None:
    require_count("n_classes", n_classes)
    if not isinstance(labels, Sequence) or not labels:
        raise ValueError(f"labels must be a list of class numbers, got {describe(labels)[:200]}")
    missing = sorted(set(range(n_classes)) - set(labels))
    if missing:
        raise ValueError(f"labels must have each of the {n_classes} classes, got none of {missing}")


@requires(_check_balanced)
def balanced_weights(labels: Sequence[int], n_classes: int) -> Float[Tensor, " class"]:
    """Return class weights with which every class counts the same in all, however rare it is.

    Parameters
    ----------
    labels
        The class of every training example.
    n_classes
        How many classes there are.

    Raises
    ------
    ValueError
        If a class does not occur.
    """
    counts = torch.bincount(torch.tensor(labels), minlength=n_classes)
    return len(labels) / (n_classes * counts.float())
