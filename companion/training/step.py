"""One step of training: a loss, its gradient, an update."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from companion._validation import describe, require_finite, require_probability, requires
from companion.training.mode import PLAIN, Mode, run_in


def _check_adamw(
    parameters: Any,
    *,
    lr: Any,
    weight_decay: Any = 0.01,
    betas: Any = (0.9, 0.999),
    mode: Any = PLAIN,
) -> None:
    require_finite("lr", lr)
    require_finite("weight_decay", weight_decay)
    for name, value in {"lr": lr, "weight_decay": weight_decay}.items():
        if value < 0:
            raise ValueError(f"{name} must be at least 0, got {value}")
    if not isinstance(betas, tuple) or len(betas) != 2:
        raise TypeError(f"betas must be two numbers, got {describe(betas)}")
    for i, beta in enumerate(betas):
        require_probability(f"betas[{i}]", beta)
    _require_mode(mode)


def _require_mode(mode: Any) -> None:
    if not isinstance(mode, Mode):
        raise TypeError(f"mode must be a Mode, such as fast_mode(), got {describe(mode)}")


@requires(_check_adamw)
def adamw(
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    mode: Mode = PLAIN,
) -> torch.optim.AdamW:
    """Make torch's AdamW as the mode has it: in one pass over all parameters, or one after the other.

    Matrices decay; vectors (biases, the scales of normalisations) do not: nothing is gained by keeping them small.

    Parameters
    ----------
    parameters
        What to train.
    lr, weight_decay, betas
        As in :class:`torch.optim.AdamW`.
    mode
        How steps are computed.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or there is nothing to train.

    References
    ----------
    Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, algorithm 2.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        raise ValueError("parameters must hold something to train, got none that requires a gradient")
    matrices = [parameter for parameter in trained if parameter.dim() >= 2]
    vectors = [parameter for parameter in trained if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    # None lets torch choose by itself, as it does for those who do not ask.
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True if mode.is_fused else None)


def _check_step(step: Any, loss: Any, optimizer: Any, *, mode: Any = PLAIN, max_norm: Any = None) -> None:
    if not callable(loss):
        raise TypeError(f"loss must be a function from a batch to a number, got {describe(loss)}")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer must be a torch optimizer, such as adamw(...), got {describe(optimizer)}")
    _require_mode(mode)
    if max_norm is not None:
        require_finite("max_norm", max_norm)
        if max_norm <= 0:
            raise ValueError(f"max_norm must be above 0, got {max_norm}")


class TrainingStep:
    """Make a model a little better at a batch: forward, backward, update.

    Parameters
    ----------
    loss
        From a batch to a number, for instance ``lambda ids, labels: cross_entropy(model(ids).flatten(0, 1),
        labels.flatten())``. When it is compiled, batches of one shape share one compilation.
    optimizer
        Updates the parameters, and says on which device they are.
    mode
        How to compute it; :func:`fast_mode` says what is fastest here.
    max_norm
        Gradients longer than this are shortened to it, all by one factor.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.
    """

    @requires(_check_step)
    def __init__(
        self,
        loss: Callable[..., Tensor],
        optimizer: torch.optim.Optimizer,
        *,
        mode: Mode = PLAIN,
        max_norm: float | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.max_norm = max_norm
        self.loss = run_in(mode, loss, self.parameters[0].device.type)

    def __call__(self, *batch: Any) -> Float[Tensor, ""]:
        """Take one step; return the loss before it.

        Raises
        ------
        ValueError
            If the loss is not a single number.
        """
        loss = self.backward(*batch)
        self.update()
        return loss

    def backward(self, *batch: Any) -> Float[Tensor, ""]:
        """Add a batch's gradients to those already there; return its loss.

        Several of these before one :meth:`update` make a large batch out of small ones.

        Raises
        ------
        ValueError
            If the loss is not a single number.
        """
        loss = self.loss(*batch)
        if not isinstance(loss, Tensor) or loss.dim() != 0:
            raise ValueError(f"loss must return a single number (a tensor without axes), got {describe(loss)}")
        loss.backward()
        return loss.detach()

    def update(self) -> None:
        """Change the parameters by their gradients, and forget the gradients."""
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.max_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
