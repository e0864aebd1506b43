"""What is trained and how fast: freezing, and learning rates that fall from the head to the embedding."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from companion._validation import describe, require_count, require_finite, requires
from companion.finetuning.heads import Head

# Blocks of the stack that the tokens' vectors pass through: the first part of the name is the stack's.
BLOCK = re.compile(r"^body\.(?:encoder|decoder)\.blocks\.(\d+)\.")

# What stands behind the last block.
BEHIND = ("body.encoder.norm", "body.decoder.norm", "body.pooler")


def _require_head(model: Any) -> None:
    if not isinstance(model, Head):
        raise TypeError(f"model must be a head on a body, such as TextClassifier(...), got {type(model).__name__}")


def count_blocks(model: Head) -> int:
    """Return the number of blocks that the tokens' vectors pass through."""
    return model.body.config.n_layers


def depth_of(name: str, n_blocks: int) -> int:
    """Return how many blocks a parameter is below the head: 0 for the head, n_blocks + 1 for the embedding.

    What stands behind the last block, such as a final normalisation or BERT's pooler, is beside it.
    """
    if not name.startswith("body."):
        return 0
    if found := BLOCK.match(name):
        return n_blocks - int(found[1])
    return 1 if name.startswith(BEHIND) else n_blocks + 1


def _check_groups(model: Any, *, layer_decay: Any = 1.0, head_lr_scale: Any = 1.0) -> None:
    _require_head(model)
    require_finite("layer_decay", layer_decay)
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay must be above 0 and at most 1, got {layer_decay}")
    require_finite("head_lr_scale", head_lr_scale)
    if head_lr_scale <= 0:
        raise ValueError(f"head_lr_scale must be above 0, got {head_lr_scale}")


@requires(_check_groups)
def layer_groups(model: Head, *, layer_decay: float = 1.0, head_lr_scale: float = 1.0) -> list[dict[str, Any]]:
    """Sort a model's trained parameters into groups with a learning rate of their own, for the trainer.

    The layers near the input hold what is general; they should move less. The head is new and should move more.

    Parameters
    ----------
    model
        A head on a body.
    layer_decay
        By how much the learning rate is multiplied from one block to the one before it.
    head_lr_scale
        By how much that of the head is, against the topmost block.

    Returns
    -------
    list of dict
        ``params`` and ``lr_scale``, from the head to the embedding.

    Raises
    ------
    TypeError, ValueError
        If the model has no head and body, or a number is out of range.

    References
    ----------
    Howard and Ruder (2018), Universal Language Model Fine-tuning for Text Classification, section 3.2. Clark et al.
    (2020), ELECTRA, section 3.1.
    """
    n_blocks = count_blocks(model)
    groups: dict[int, list[nn.Parameter]] = {depth: [] for depth in range(n_blocks + 2)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[depth_of(name, n_blocks)].append(parameter)
    scale = {depth: layer_decay ** (depth - 1) if depth else head_lr_scale for depth in groups}
    return [{"params": params, "lr_scale": scale[depth]} for depth, params in groups.items() if params]


def _check_freeze(model: Any, n_blocks: Any = None) -> None:
    _require_head(model)
    if n_blocks is None:
        return
    if isinstance(n_blocks, bool) or not isinstance(n_blocks, int):
        raise TypeError(f"n_blocks must be an integer or None, got {describe(n_blocks)}")
    require_count("n_blocks", n_blocks, minimum=0)
    if n_blocks > count_blocks(model):
        raise ValueError(f"n_blocks must be at most the model's {count_blocks(model)}, got {n_blocks}")


@requires(_check_freeze)
def freeze_body(model: Head, n_blocks: int | None = None) -> int:
    """Keep the body, or its lower part, as it was pretrained.

    Parameters
    ----------
    model
        A head on a body; changed in place.
    n_blocks
        Freeze the embedding and so many blocks above it; the whole body by default.

    Returns
    -------
    int
        How many parameters (numbers) are still trained.

    Raises
    ------
    TypeError, ValueError
        If the model has no head and body, or not so many blocks.
    """
    total = count_blocks(model)
    lowest = 0 if n_blocks is None else total - n_blocks
    for name, parameter in model.named_parameters():
        if depth_of(name, total) > lowest and (n_blocks is None or not name.startswith(BEHIND)):
            parameter.requires_grad_(False)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
