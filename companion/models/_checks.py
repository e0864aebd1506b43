"""Argument checks that all models share."""

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from companion._validation import (
    describe,
    require_axes,
    require_count,
    require_divisible,
    require_finite,
    require_probability,
)
from companion.transformer.initialization import require_generator


def require_sizes(config: Any) -> None:
    """Raise unless a config's numbers are each possible on their own: sizes, switches, dropout and the like."""
    for field in fields(config):
        name, value = field.name, getattr(config, field.name)
        if value is None and field.type == int | None:
            continue
        if field.type in (int, int | None):
            require_count(name, value, minimum=0 if name.endswith("_id") else 1)
        elif field.type is bool and not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {describe(value)}")
        elif name == "dropout":
            require_probability(name, value)
        elif field.type is float:
            _require_positive(name, value)


def _require_positive(name: str, value: Any) -> None:
    require_finite(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be above 0, got {value}")


def require_heads(config: Any) -> None:
    """Raise unless the heads divide the features, where nothing else says how wide a head is."""
    if getattr(config, "d_head", None) is None:
        require_divisible("d_model", config.d_model, "n_heads", config.n_heads)


def require_config(config: Any, kind: type, generator: Any) -> None:
    """Raise unless a model is made from its own kind of config."""
    if not isinstance(config, kind):
        raise TypeError(f"config must be a {kind.__name__}, got {describe(config)}")
    require_generator(generator)


def require_input_ids(name: str, input_ids: Any) -> None:
    """Raise unless these are integers (batch pos)."""
    if not isinstance(input_ids, Tensor) or input_ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"{name} must be a tensor of torch.int64 or int32 (batch pos), got {describe(input_ids)}")
    require_axes(name, input_ids, "batch pos")


def require_room(name: str, n_new: int, n_read: int, max_len: int) -> None:
    """Raise unless the text fits the model."""
    if n_read + n_new > max_len:
        raise ValueError(
            f"{name} has {n_new} positions after {n_read} cached ones, more than max_len={max_len}; shorten the text"
        )


def look_up(embedding: nn.Embedding, name: str, ids: Tensor, limit: str) -> Tensor:
    """Embed ids; an unknown one is named.

    On the CPU the look-up itself finds it. Looking for it beforehand would make a GPU wait.
    """
    try:
        return embedding(ids)
    except IndexError as error:
        raise ValueError(
            f"{name} must be at least 0 and below {limit}={embedding.num_embeddings}, "
            f"got values from {ids.min()} to {ids.max()}"
        ) from error
