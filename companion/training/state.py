"""A model and its optimizer as tensors by name, and back: whole ones, also where each process holds a shard."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from companion.training.errors import RunError
from companion.training.shards import like, whole


def saved(tensor: Tensor) -> Tensor:
    """Return a tensor as a checkpoint holds it: whole, on the processor."""
    return whole(tensor).detach().cpu()


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model; one that has two names under the first."""
    tensors, seen = {}, set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = saved(tensor)
    return tensors


@torch.no_grad()
def load_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model the tensors of :func:`model_tensors`.

    Raises
    ------
    RunError
        If they are another model's; the message names the first that do not fit.
    """
    ours, seen = {}, set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            ours[name] = tensor
    problems = [f"{name} is missing" for name in ours if name not in tensors]
    problems += [f"{name} is unknown" for name in tensors if name not in ours]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)} and not {tuple(tensor.shape)}"
        for name, tensor in ours.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if problems:
        raise RunError(f"the checkpoint is of another model ({len(problems)} differences): {'; '.join(problems[:3])}")
    for name, tensor in ours.items():
        tensor.copy_(like(tensors[name], tensor))


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]) -> dict[str, Tensor]:
    """Return what an optimizer remembers of each parameter, named ``<what>/<parameter>``."""
    tensors = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for what, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{what}/{names[parameter]}"] = saved(torch.as_tensor(value))
    return tensors


def load_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str], tensors: Mapping[str, Tensor]
) -> None:
    """Give an optimizer back what it remembered.

    Raises
    ------
    RunError
        If it remembered something of a parameter that it does not train.
    """
    indices, parameters = {}, {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            indices[names[parameter]] = len(indices)
            parameters[names[parameter]] = parameter
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        what, _, name = key.partition("/")
        if name not in indices:
            raise RunError(f"the checkpoint has an optimizer's state of {name}, which is not trained now")
        # Scalars, such as the number of steps, are not sharded, and torch itself knows where it wants them.
        value = like(tensor, parameters[name]) if tensor.dim() else tensor.clone()
        state.setdefault(indices[name], {})[what] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
