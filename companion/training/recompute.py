"""Gradient checkpointing: compute a block again in the backward pass, instead of remembering what it computed."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from companion._validation import describe, requires


def find_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model: what its lists of modules hold, the outermost lists only."""
    blocks: list[nn.Module] = []
    for child in model.children():
        blocks += list(child) if isinstance(child, nn.ModuleList) else find_blocks(child)
    return blocks


def _check_recomputed(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {describe(model)}")
    if not find_blocks(model):
        raise ValueError(
            "model must have its blocks in an nn.ModuleList for gradient checkpointing, got none in "
            f"{type(model).__name__}; leave gradient checkpointing off"
        )


@requires(_check_recomputed)
@contextlib.contextmanager
def recomputed(model: nn.Module) -> Iterator[None]:
    """Let a model remember only the input of each block while it trains, as long as the context lasts.

    A block is whatever stands in an ``nn.ModuleList``, so the model need not know of it. The results and the gradients
    are the same, dropout included; a step takes about a third longer.

    Parameters
    ----------
    model
        Whose blocks.

    Raises
    ------
    TypeError, ValueError
        If this is not a module, or it has no blocks.

    References
    ----------
    Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost, section 3.
    """
    blocks = find_blocks(model)
    for block in blocks:
        block.forward = functools.partial(_recomputed_forward, block, block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the class's own shows again


def _recomputed_forward(block: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # Writing with a cache, and validation, need no gradient: there is nothing to save, and a cache would grow twice.
    if not (block.training and torch.is_grad_enabled()):
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
