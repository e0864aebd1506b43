"""Which parameters decay, which are matrices of hidden layers, and the optimizer that a config names."""

import torch
from torch import nn

from companion.training.config import TrainerConfig
from companion.training.optimizers._written import Group
from companion.training.optimizers.adamw import AdamW
from companion.training.optimizers.muon import Muon
from companion.training.optimizers.sgd import SGD
from companion.training.step import adamw


def decay_groups(parameters: list[nn.Parameter], weight_decay: float) -> list[Group]:
    """Split parameters into matrices, which decay, and vectors, which do not."""
    matrices = [parameter for parameter in parameters if parameter.dim() >= 2]
    vectors = [parameter for parameter in parameters if parameter.dim() < 2]
    groups: list[Group] = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the matrices between features and features: no embedding, nor a layer that scores what one embeds.

    A layer is taken to score the vocabulary when its weight has the shape of an embedding's.
    """
    embeddings = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    left_out = {id(weight) for weight in embeddings}
    shapes = {weight.shape for weight in embeddings}
    return [
        parameter
        for parameter in model.parameters()
        if parameter.requires_grad
        and parameter.dim() == 2
        and id(parameter) not in left_out
        and parameter.shape not in shapes
    ]


def make_optimizer(model: nn.Module, config: TrainerConfig) -> torch.optim.Optimizer:
    """Make the optimizer that a config names, over all that a model trains."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("model must hold something to train, got none that requires a gradient")
    c = config
    if c.optimizer == "adamw" and c.mode.is_fused:
        return adamw(trained, lr=c.lr, weight_decay=c.weight_decay, betas=c.betas, mode=c.mode)
    if c.optimizer == "adamw":
        return AdamW(decay_groups(trained, c.weight_decay), lr=c.lr, betas=c.betas)
    if c.optimizer == "sgd":
        nesterov = c.nesterov and c.momentum > 0
        return SGD(decay_groups(trained, c.weight_decay), lr=c.lr, momentum=c.momentum, nesterov=nesterov)
    matrices = hidden_matrices(model)
    chosen = {id(matrix) for matrix in matrices}
    others = [parameter for parameter in trained if id(parameter) not in chosen]
    return Muon(
        matrices,
        decay_groups(others, c.weight_decay),
        lr=c.lr,
        momentum=c.momentum,
        nesterov=c.nesterov,
        weight_decay=c.weight_decay,
        betas=c.betas,
        dtype=c.mode.autocast,
    )
