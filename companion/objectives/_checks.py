"""Argument checks that the objectives share."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from companion._validation import describe, require_axes, require_count

#: A label that no loss counts, as in torch and transformers.
IGNORED = -100


def require_ids(name: str, value: Any, axes: str) -> None:
    """Raise unless these are integers with the named axes."""
    if not isinstance(value, Tensor) or value.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"{name} must be a tensor of torch.int64 or int32 ({axes}), got {describe(value)}")
    require_axes(name, value, axes)


def require_bool_like(name: str, value: Any, input_ids: Tensor) -> None:
    """Raise unless ``value`` is a boolean tensor of the tokens' shape and on their device."""
    if not isinstance(value, Tensor) or value.dtype != torch.bool:
        raise TypeError(f"{name} must be a boolean tensor, got {describe(value)}; compare, e.g. {name} == 1")
    require_shape_of(name, value, input_ids)


def require_shape_of(name: str, value: Tensor, input_ids: Tensor) -> None:
    """Raise unless a tensor has the tokens' shape and is on their device."""
    if value.shape != input_ids.shape:
        raise ValueError(f"{name} must have input_ids' shape {tuple(input_ids.shape)}, got {describe(value)}")
    if value.device != input_ids.device:
        raise ValueError(f"{name} must be on input_ids' device {input_ids.device}, got one on {value.device}")


def require_generator(generator: Any) -> None:
    """Raise unless this is a source of random numbers: without one nothing here could be repeated."""
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator, e.g. torch.Generator().manual_seed(0), got {describe(generator)}"
        )


def require_id(name: str, value: Any) -> None:
    """Raise unless this is a token's number."""
    require_count(name, value, minimum=0)


def require_id_list(name: str, values: Any) -> None:
    """Raise unless these are tokens' numbers, in a list or the like."""
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise TypeError(f"{name} must be a list of token ids, got {describe(values)}")
    if all(type(value) is int and value >= 0 for value in values):  # the many are looked at in one go
        return
    for i, value in enumerate(values):
        require_id(f"{name}[{i}]", value)
