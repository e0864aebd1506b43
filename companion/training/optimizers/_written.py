"""What the written-out optimizers share: the loop over the parameters, and the checks of their numbers."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from companion._validation import describe, require_finite, require_probability

State = dict[str, Any]
Group = dict[str, Any]


class WrittenOptimizer(torch.optim.Optimizer, ABC):
    """An optimizer that says what happens to one parameter; the loop is here."""

    @abstractmethod
    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        """Change one parameter by its gradient."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change every parameter that has a gradient.

        Parameters
        ----------
        closure
            Computes the loss and its gradients first, when given; its result is returned.

        Returns
        -------
        float or None
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update(parameter, parameter.grad, self.state[parameter], group)
        return loss


def require_at_least_zero(**numbers: Any) -> None:
    """Raise unless every number is finite and not below 0."""
    for name, value in numbers.items():
        require_finite(name, value)
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")


def require_betas(betas: Any) -> None:
    """Raise unless these are two numbers in [0, 1)."""
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise TypeError(f"betas must be two numbers, got {describe(betas)}")
    for i, beta in enumerate(betas):
        require_probability(f"betas[{i}]", beta)


def as_groups(name: str, parameters: Any) -> list[Group]:
    """Return parameters, or groups of them, as groups."""
    if isinstance(parameters, Tensor):
        raise TypeError(f"{name} must be parameters in a list or groups of them, got {describe(parameters)}")
    try:
        given = list(parameters)
    except TypeError as error:
        raise TypeError(f"{name} must be parameters or groups of them, got {describe(parameters)}") from error
    groups = [dict(group) for group in given] if given and isinstance(given[0], dict) else [{"params": given}]
    for group in groups:
        group["params"] = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        for parameter in group["params"]:
            if not isinstance(parameter, nn.Parameter):
                raise TypeError(f"{name} must hold torch.nn.Parameter only, got {describe(parameter)}")
    return [group for group in groups if group["params"]]


def require_some(groups: list[Group]) -> None:
    """Raise if there is nothing to train."""
    if not any(group["params"] for group in groups):
        raise ValueError("parameters must hold something to train, got none")
