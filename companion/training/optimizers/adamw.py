"""AdamW: every number has a step length of its own."""

from typing import Any

import torch
from torch import Tensor

from companion._validation import requires
from companion.training.optimizers._written import (
    Group,
    State,
    WrittenOptimizer,
    as_groups,
    require_at_least_zero,
    require_betas,
    require_some,
)


def _check_adamw(
    optimizer: Any, parameters: Any, *, lr: Any, betas: Any = (0.9, 0.999), eps: Any = 1e-8, weight_decay: Any = 0.01
) -> None:
    require_at_least_zero(lr=lr, eps=eps, weight_decay=weight_decay)
    require_betas(betas)


def adamw_update(parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
    """Apply algorithm 2 of Loshchilov and Hutter to one parameter."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    beta1, beta2 = group["betas"]
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    state["step"] += 1
    t = state["step"].item()

    parameter.mul_(1 - group["lr"] * group["weight_decay"])
    mean.mul_(beta1).add_(gradient, alpha=1 - beta1)
    square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    # Both began at 0, and are too small by these factors.
    mean_hat = mean / (1 - beta1**t)
    square_hat = square / (1 - beta2**t)
    parameter.sub_(group["lr"] * mean_hat / (square_hat.sqrt() + group["eps"]))


class AdamW(WrittenOptimizer):
    """Step by the mean of the gradients over the root of the mean of their squares, and decay apart from that.

    Parameters
    ----------
    parameters
        What to train, or groups of it as torch's optimizers take them.
    lr
        The learning rate, about the length of a step in every direction.
    betas
        How much of the mean and of the mean square stays at each step.
    eps
        Added to the root, against division by zero.
    weight_decay
        What share of itself a parameter loses at each step, times the learning rate.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or there is nothing to train.

    Notes
    -----
    With the gradient g, the mean m and the mean square v, both 0 at first::

        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        parameter <- (1 - lr weight_decay) parameter - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    The moments have the names of :class:`torch.optim.AdamW`, so that either can go on where the other stopped.

    References
    ----------
    Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, algorithm 2.
    """

    @requires(_check_adamw)
    def __init__(
        self,
        parameters: Any,
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        groups = as_groups("parameters", parameters)
        require_some(groups)
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        """Change one parameter by its gradient."""
        adamw_update(parameter, gradient, state, group)
