"""Who may look at whom: boolean masks, where True means "may be attended to"."""

import functools
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from companion._validation import describe, require_axes, require_count, requires


def _check_causal(n_query: Any, n_key: Any = None, *, device: Any = None) -> None:
    require_count("n_query", n_query)
    if n_key is not None:
        require_count("n_key", n_key)


@requires(_check_causal)
def causal_mask(
    n_query: int, n_key: int | None = None, *, device: torch.device | str | None = None
) -> Bool[Tensor, "query key"]:
    """Let each position see itself and the past.

    With fewer queries than keys the queries are the last positions, as when a cache holds the earlier keys: the mask
    is aligned at the bottom right. With more queries than keys the first queries see nothing.

    Parameters
    ----------
    n_query, n_key
        Numbers of queries and keys; as many keys as queries by default.
    device
        Where the mask lives.

    Raises
    ------
    TypeError, ValueError
        If a number is not an integer of at least 1.
    """
    n_key = n_query if n_key is None else n_key
    return torch.ones(n_query, n_key, dtype=torch.bool, device=device).tril(n_key - n_query)


def require_attention_mask(attention_mask: Any, name: str = "attention_mask") -> None:
    """Raise unless the mask is one of transformers': 1 for a token, 0 for padding."""
    if not isinstance(attention_mask, Tensor) or attention_mask.is_floating_point() or attention_mask.is_complex():
        raise TypeError(
            f"{name} must be an integer or boolean tensor (batch key), 1 for a token and 0 for padding, "
            f"got {describe(attention_mask)}"
        )
    require_axes(name, attention_mask, "batch key")
    # Asking another device would make it wait, once for every token that is written.
    looked_at = attention_mask.dtype != torch.bool and attention_mask.device.type == "cpu"
    if looked_at and not ((attention_mask == 0) | (attention_mask == 1)).all():
        raise ValueError(f"{name} must hold only 1 (a token) and 0 (padding), got other values")


@requires(require_attention_mask)
def padding_mask(attention_mask: Int[Tensor, "batch key"] | Bool[Tensor, "batch key"]) -> Bool[Tensor, "batch 1 1 key"]:
    """Hide the padding of a batch of ragged sequences from every head and every query.

    Parameters
    ----------
    attention_mask
        1 for a token and 0 for padding, as transformers' tokenizers return it.

    Raises
    ------
    TypeError
        If the mask is not of integers or booleans.
    ValueError
        If it is not of two axes, has no key, or holds anything but 0 and 1 (looked for on the CPU).
    """
    return attention_mask.bool()[:, None, None, :]


def require_document_ids(document_ids: Any, name: str = "document_ids") -> None:
    """Raise unless these number the documents that share a row: integers, equal ones side by side."""
    if not isinstance(document_ids, Tensor) or document_ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"{name} must be a tensor of torch.int64 or int32 (batch pos), got {describe(document_ids)}")
    require_axes(name, document_ids, "batch pos")
    if document_ids.device.type != "cpu":  # asking would make it wait
        return
    changes, sorted_changes = ((ids.diff() != 0).sum(1) for ids in (document_ids, document_ids.sort(1).values))
    if not changes.equal(sorted_changes):
        row = int((changes != sorted_changes).nonzero()[0])
        raise ValueError(
            f"{name} must have the positions of a document side by side, but a number of row {row} comes back after "
            "another; give every document of a row a number of its own"
        )


@requires(require_document_ids)
def document_mask(document_ids: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch 1 pos pos"]:
    """Keep the documents that share a row apart: each position may see those of its own document.

    Parameters
    ----------
    document_ids
        A number for each position; positions of one document have the same and stand side by side. Padding, if there
        is any, has a number of its own, such as -1.

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        If they are not of two axes, have no position, or a number comes back after another (looked for on the CPU).

    References
    ----------
    Krell et al. (2021), Efficient Sequence Packing without Cross-contamination: Accelerating Large Language Models
    without Impacting Performance, section 3.2.
    """
    return (document_ids[:, :, None] == document_ids[:, None, :])[:, None]


def _check_combine(*masks: Any) -> None:
    for i, mask in enumerate(masks):
        if mask is not None:
            require_mask(f"masks[{i}]", mask)
    shapes = [tuple(mask.shape) for mask in masks if isinstance(mask, Tensor)]
    try:
        torch.broadcast_shapes(*shapes)
    except RuntimeError as error:
        raise ValueError(f"masks must broadcast together, got shapes {shapes}") from error


@requires(_check_combine)
def combine_masks(*masks: Bool[Tensor, "..."] | None) -> Bool[Tensor, "..."] | None:
    """Allow what every mask allows; None stands for no constraint.

    Raises
    ------
    TypeError
        If a mask is not boolean.
    ValueError
        If the masks do not broadcast together.
    """
    constraints = [mask for mask in masks if mask is not None]
    return functools.reduce(torch.logical_and, constraints) if constraints else None


def require_mask(name: str, mask: Any) -> None:
    """Raise unless ``mask`` is a boolean tensor."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(
            f"{name} must be a boolean tensor, True where a key may be attended to, got {describe(mask)}; "
            "a 1/0 attention_mask becomes one with padding_mask"
        )


def require_fitting_mask(mask: Any, shape: tuple[int, ...], device: torch.device) -> None:
    """Raise unless ``mask`` is boolean, broadcasts to ``shape`` (..., head, query, key), and is on the device."""
    require_mask("mask", mask)
    _require_fitting("mask", mask, shape, device)


def require_fitting_bias(bias: Any, shape: tuple[int, ...], like: Tensor) -> None:
    """Raise unless ``bias`` broadcasts to ``shape`` (..., head, query, key), with the dtype and device of ``like``."""
    if not isinstance(bias, Tensor) or not bias.is_floating_point():
        raise TypeError(
            f"bias must be a floating point tensor that is added to the scores, got {describe(bias)}; "
            "a boolean tensor that hides keys is a mask"
        )
    _require_fitting("bias", bias, shape, like.device)
    if bias.dtype != like.dtype and not torch.is_autocast_enabled(like.device.type):
        raise TypeError(f"bias must have the queries' dtype {like.dtype}, got {describe(bias)}")


def _require_fitting(name: str, tensor: Tensor, shape: tuple[int, ...], device: torch.device) -> None:
    trailing = zip(reversed(tensor.shape), reversed(shape), strict=False)
    if tensor.dim() > len(shape) or any(size not in (1, wanted) for size, wanted in trailing):
        raise ValueError(f"{name} must broadcast to (..., head, query, key) = {shape}, got {describe(tensor)}")
    if tensor.device != device:
        raise ValueError(f"{name} must be on the queries' device {device}, got one on {tensor.device}")
