"""Stochastic gradient descent, with momentum."""

from typing import Any

import torch
from torch import Tensor

from companion._validation import describe, require_probability, requires
from companion.training.optimizers._written import (
    Group,
    State,
    WrittenOptimizer,
    as_groups,
    require_at_least_zero,
    require_some,
)


def _check_sgd(
    optimizer: Any, parameters: Any, *, lr: Any, momentum: Any = 0.0, nesterov: Any = False, weight_decay: Any = 0.0
) -> None:
    require_at_least_zero(lr=lr, weight_decay=weight_decay)
    require_probability("momentum", momentum)
    if not isinstance(nesterov, bool):
        raise TypeError(f"nesterov must be True or False, got {describe(nesterov)}")
    if nesterov and momentum == 0:
        raise ValueError("nesterov looks ahead along the momentum, got momentum=0; give one, or nesterov=False")


class SGD(WrittenOptimizer):
    """Step against the gradient, or against a running sum of the gradients.

    Parameters
    ----------
    parameters
        What to train, or groups of it as torch's optimizers take them.
    lr
        The learning rate.
    momentum
        How much of the running sum stays at each step; 0 for none.
    nesterov
        Whether to step by the sum as it will be at the next step, if the gradient stays.
    weight_decay
        Added to the gradient, times the parameter: the derivative of half its square.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, there is nothing to train, or nesterov has no momentum.

    Notes
    -----
    With the gradient g and the running sum b, 0 at first::

        g <- g + weight_decay parameter
        b <- momentum b + g
        parameter <- parameter - lr (g + momentum b  if nesterov,  else b)

    References
    ----------
    Sutskever et al. (2013), On the Importance of Initialization and Momentum in Deep Learning, section 2.
    """

    @requires(_check_sgd)
    def __init__(
        self,
        parameters: Any,
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        groups = as_groups("parameters", parameters)
        require_some(groups)
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(groups, defaults)

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        """Change one parameter by its gradient."""
        momentum = group["momentum"]
        gradient = gradient + group["weight_decay"] * parameter
        direction = gradient
        if momentum:
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            total = state["momentum_buffer"].mul_(momentum).add_(gradient)
            direction = gradient + momentum * total if group["nesterov"] else total
        parameter.sub_(group["lr"] * direction)
