"""A moving average of the weights: what the model would be if its last steps had cancelled each other's noise."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from companion._validation import describe, require_probability, requires


def _check_average(average: Any, model: Any, *, decay: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {describe(model)}")
    require_probability("decay", decay)


class WeightAverage:
    """Keep, beside a model, an exponential moving average of its parameters.

    Parameters
    ----------
    model
        Whose parameters.
    decay
        How much of the average stays at each update: average = decay * average + (1 - decay) * parameter.

    Raises
    ------
    TypeError, ValueError
        If the model is not a module, or the decay is not in [0, 1).

    References
    ----------
    Polyak and Juditsky (1992), Acceleration of Stochastic Approximation by Averaging.
    """

    @requires(_check_average)
    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.parameters = dict(model.named_parameters())
        self.averages = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average a little towards the parameters as they are now."""
        for name, average in self.averages.items():
            average.lerp_(self.parameters[name].detach(), 1 - self.decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the average for its weights, as long as the block lasts."""
        kept = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._set(self.averages)
        try:
            yield
        finally:
            self._set(kept)

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
