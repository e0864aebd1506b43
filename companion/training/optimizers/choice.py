"""Which parameters decay, which are matrices of hidden layers, and the optimizer that a config names."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from companion._validation import describe
from companion.training.config import TrainerConfig
from companion.training.optimizers._written import Group, as_groups, require_at_least_zero
from companion.training.optimizers.adamw import AdamW
from companion.training.optimizers.muon import Muon
from companion.training.optimizers.sgd import SGD


def split_by_decay(group: Group) -> list[Group]:
    """Split a group into its matrices, which decay, and its vectors, which do not."""
    matrices = [parameter for parameter in group["params"] if parameter.dim() >= 2]
    vectors = [parameter for parameter in group["params"] if parameter.dim() < 2]
    groups: list[Group] = [group | {"params": matrices}, group | {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def split_by_matrix(group: Group, matrices: set[int]) -> tuple[Group, Group]:
    """Split a group into the parameters whose identities are given, and the others."""
    inside = [parameter for parameter in group["params"] if id(parameter) in matrices]
    outside = [parameter for parameter in group["params"] if id(parameter) not in matrices]
    return group | {"params": inside}, group | {"params": outside}


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """Return the weights of the linear layers between features and features.

    A linear layer is taken to score the vocabulary, and left out, when its weight has the shape of an embedding's.
    """
    shapes = {module.weight.shape for module in model.modules() if isinstance(module, nn.Embedding)}
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    return [weight for weight in weights if weight.requires_grad and weight.shape not in shapes]


def make_groups(model: nn.Module, config: TrainerConfig, parameter_groups: Sequence[Any] | None) -> list[Group]:
    """Return what is trained in groups that have a learning rate and a weight decay; freeze what is in none.

    Raises
    ------
    TypeError, ValueError
        If a group is not a dict of parameters of the model with numbers of at least 0, or there is nothing to train.
    """
    if parameter_groups is None:
        parameter_groups = [{"params": list(model.parameters())}]
    groups = [_make_group(f"parameter_groups[{i}]", group, config) for i, group in enumerate(parameter_groups)]
    known = {id(parameter) for parameter in model.parameters()}
    chosen = [id(parameter) for group in groups for parameter in group["params"]]
    if not known.issuperset(chosen):
        raise ValueError("parameter_groups must hold parameters of the model only, got others")
    if len(set(chosen)) < len(chosen):
        raise ValueError("parameter_groups must hold every parameter at most once, got one twice")
    for parameter in model.parameters():
        if id(parameter) not in chosen:
            parameter.requires_grad_(False)
    if not chosen:
        raise ValueError("model must hold something to train, got none that requires a gradient")
    return [group for group in groups if group["params"]]


def _make_group(name: str, group: Any, config: TrainerConfig) -> Group:
    if not isinstance(group, Mapping) or not {"params"} <= set(group) <= {"params", "lr_scale", "weight_decay"}:
        raise TypeError(f"{name} must be a dict of params, lr_scale and weight_decay, got {describe(group)[:200]}")
    numbers = {"lr_scale": group.get("lr_scale", 1.0), "weight_decay": group.get("weight_decay", config.weight_decay)}
    require_at_least_zero(**{f"{name}[{key!r}]": value for key, value in numbers.items()})
    (given,) = as_groups(name, [{"params": group["params"]}]) or [{"params": []}]
    trained = [parameter for parameter in given["params"] if parameter.requires_grad]
    return {"params": trained, "lr": config.lr * numbers["lr_scale"], "weight_decay": numbers["weight_decay"]}


def make_optimizer(
    model: nn.Module, config: TrainerConfig, parameter_groups: Sequence[Any] | None = None
) -> torch.optim.Optimizer:
    """Make the optimizer that a config names, over all that a model trains.

    Parameters
    ----------
    model
        Whose parameters. Matrices decay, vectors do not.
    config
        Names the optimizer and has its numbers.
    parameter_groups
        Dicts of ``params``, and if wanted ``lr_scale``, which multiplies the learning rate, and ``weight_decay``. What
        is in none is frozen. All parameters alike by default.

    Raises
    ------
    TypeError, ValueError
        If a group is not such a dict of parameters of the model, or there is nothing to train.
    """
    groups = make_groups(model, config, parameter_groups)
    c = config
    if c.optimizer == "muon":
        found = {id(matrix) for matrix in hidden_matrices(model)}
        pairs = [split_by_matrix(group, found) for group in groups]
        return Muon(
            [inside for inside, _ in pairs],
            [part for _, outside in pairs for part in split_by_decay(outside)],
            lr=c.lr,
            momentum=c.momentum,
            nesterov=c.nesterov,
            betas=c.betas,
            dtype=c.mode.autocast,
        )
    groups = [part for group in groups for part in split_by_decay(group)]
    if c.optimizer == "sgd":
        return SGD(groups, lr=c.lr, momentum=c.momentum, nesterov=c.nesterov and c.momentum > 0)
    if c.mode.is_fused:
        return torch.optim.AdamW(groups, lr=c.lr, betas=c.betas, fused=True)
    return AdamW(groups, lr=c.lr, betas=c.betas)
