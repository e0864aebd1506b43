"""The loss of a matrix that scores every token, without ever holding all the scores."""

import functools
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from companion._validation import describe, require_count, require_float_tensor, requires
from companion.objectives._checks import IGNORED
from companion.objectives.losses import Loss, require_labels

# The scores of so many positions of a vocabulary of 8,192 fit a processor's cache in bfloat16, and a product of so many
# rows is as fast as one of more.
ROWS = 1024


def _check(hidden: Any, weight: Any, labels: Any, *, rows: Any = ROWS) -> None:
    require_float_tensor("hidden", hidden, "*batch d_model")
    require_float_tensor("weight", weight, "vocab d_model")
    if weight.dim() != 2 or weight.shape[1] != hidden.shape[-1]:
        raise ValueError(f"weight must have the axes (vocab, d_model={hidden.shape[-1]}), got {describe(weight)}")
    if weight.device != hidden.device:
        raise ValueError(f"weight must be on the device of hidden, {hidden.device}, got one on {weight.device}")
    require_labels(labels, "hidden", hidden, "the features", (weight.shape[0], "rows of weight"))
    require_count("rows", rows)


@requires(_check)
def linear_cross_entropy(
    hidden: Float[Tensor, "*batch d_model"],
    weight: Float[Tensor, "vocab d_model"],
    labels: Int[Tensor, "*batch"],
    *,
    rows: int = ROWS,
) -> Loss:
    """Add up how surprised the scores ``hidden · weightᵀ`` are by their labels, a few positions at a time.

    The same as :func:`token_loss` of the scores, and as its gradients. But the scores of all positions, a vocabulary
    wide, take more memory than all else in a small model, and most of the time that is not spent on products goes into
    fetching it. Here each stretch of positions is scored, and its gradient taken, while its scores are in the
    processor's cache; only the gradients' products with the weights stay.

    Parameters
    ----------
    hidden
        The features of each position, after the last normalisation.
    weight
        What scores the tokens: in a tied model, their embedding.
    labels
        The right token of each position; -100 where there is none.
    rows
        How many positions are scored at a time.

    Raises
    ------
    TypeError
        If the features or the weights are not floating point or the labels not integers.
    ValueError
        If shapes or devices do not fit together, or a label is no token (looked for on the CPU).

    References
    ----------
    Wijmans et al. (2025), Cut Your Losses in Large-Vocabulary Language Models, for the same saving with kernels of its
    own.
    """
    flat, targets = hidden.flatten(0, -2), labels.flatten()
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        total = _LinearCrossEntropy.apply(flat, weight, targets, rows)
        assert isinstance(total, Tensor)
    else:
        x, w = _rounded(flat, weight)
        total = _sum([_losses(part, w, label)[0].sum() for part, label in _stretches(x, targets, rows)])
    return Loss(total, (labels != IGNORED).sum().to(total.dtype))


class _LinearCrossEntropy(torch.autograd.Function):
    """The sum of the losses; its gradient is taken along with it, and later multiplied by what comes back."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, rows: int) -> Tensor:
        x, w = _rounded(hidden, weight)
        totals, to_hidden, to_weight = [], [], []
        for part, label in _stretches(x, labels, rows):
            losses, weights, sums, of_label = _losses(part, w, label)
            # A score's gradient is its token's probability, less 1 for the label's own: weights / sums, less 1. What
            # is a row's alone is multiplied at the narrow ends of the products.
            gradient = weights.to(w.dtype).scatter(-1, _tokens(label), (of_label - sums).to(w.dtype))
            factor = (label != IGNORED)[:, None] / sums
            totals.append(losses.sum())
            to_hidden.append((gradient @ w) * factor)
            to_weight.append((gradient.mT @ (part * factor).to(part.dtype)).to(weight.dtype))
        ctx.save_for_backward(torch.cat(to_hidden).to(hidden.dtype), _sum(to_weight))
        return _sum(totals)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_hidden, to_weight = ctx.saved_tensors
        (gradient,) = gradients
        return (gradient * to_hidden).to(to_hidden.dtype), (gradient * to_weight).to(to_weight.dtype), None, None


def _rounded(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round both as autocast would for their product: once, and not for every stretch."""
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    return hidden.to(dtype), weight.to(dtype)


def _stretches(x: Tensor, labels: Tensor, rows: int) -> list[tuple[Tensor, Tensor]]:
    return [(x[i : i + rows], labels[i : i + rows]) for i in range(0, max(1, x.shape[0]), rows)]


def _tokens(labels: Tensor) -> Tensor:
    """Return the column of each label's score; any, where there is no label."""
    return labels.clamp(min=0).long()[:, None]


def _losses(x: Tensor, w: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the loss of each position, 0 without a label; all tokens' weights in it, their sum, and the label's."""
    with torch.autocast(x.device.type, enabled=False):
        scores = x @ w.mT
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    largest = scores.amax(-1, keepdim=True)
    weights = (scores - largest).exp()
    sums = weights.sum(-1, keepdim=True)
    of_label = scores.gather(-1, _tokens(labels)) - largest
    losses = (sums.log() - of_label).where((labels != IGNORED)[:, None], 0.0)
    return losses, weights, sums, of_label.exp()


def _sum(tensors: list[Tensor]) -> Tensor:
    """Add tensors up."""
    return functools.reduce(torch.add, tensors)
