"""The gradients of a batch, cut into parts over time and over processes, and the update they lead to."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from companion._validation import describe
from companion.training.batches import Batch, count_tokens, cut, on
from companion.training.clipping import clip_gradients
from companion.training.config import TrainerConfig
from companion.training.mode import run_in
from companion.training.team import Team

#: From a model and a batch to what has a ``total`` and a ``count``; the loss of a lower layer, known by its shape only.
LossFunction = Callable[[Any, Batch], Any]


class Objective(nn.Module):
    """A model and its loss as one module: what is spread over processes may then call any method of the model."""

    def __init__(self, model: nn.Module, loss: LossFunction) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Batch) -> Any:
        """Compute the loss of a batch."""
        return self.loss(self.model, batch)


class Outcome(NamedTuple):
    """What a step found: sums over all processes, and the length of the gradient before it was clipped."""

    total: float
    n_counted: float
    tokens: int
    grad_norm: float


class Stepper:
    """Compute gradients of the mean loss over a whole batch, however it is cut, and update by them.

    The parts have unequal numbers of tokens that count. So the gradients of the sums are added up, over parts and
    processes, and divided by the number of all tokens at the end: a mean of the parts' means would be another number.

    Parameters
    ----------
    team
        The processes.
    objective
        The model and its loss, as the team has prepared it.
    optimizer
        Updates the parameters.
    config
        How the model is trained.
    """

    def __init__(
        self, team: Team, objective: nn.Module, optimizer: torch.optim.Optimizer, config: TrainerConfig
    ) -> None:
        self.team = team
        self.objective = objective
        self.optimizer = optimizer
        self.config = config
        self.parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.schedule = config.make_schedule()
        self.compute = run_in(config.mode, lambda batch: objective(batch), team.device.type)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def gradients(self, batch: Batch) -> Outcome:
        """Leave the clipped gradients of the mean loss with the parameters."""
        n_parts = self.config.accumulation
        first = self.team.rank * n_parts
        parts = cut(batch, self.team.size * n_parts)[first : first + n_parts]
        # Alone there is nobody to keep in step with.
        parts = [part for part in parts if part.weight or self.team.size > 1]
        sums = torch.zeros(2, device=self.team.device)
        for i, part in enumerate(parts):
            with self.team.syncing(self.objective, is_last=i == len(parts) - 1):
                loss = self.compute(on(self.team.device, part.rows))
                _require_loss(loss)
                self.team.backward(loss.total if part.weight else loss.total * 0)
            sums += part.weight * torch.stack([loss.total.detach().float(), loss.count.detach().float()])
        counted = [count_tokens(part.rows) if part.weight else 0 for part in parts]
        total, count = sums.tolist()
        tokens = count if None in counted else sum(counted)  # pyright: ignore[reportArgumentType, reportCallIssue]
        total, count, tokens = self.team.sum([total, count, float(tokens)])
        # Data parallel takes the mean over the processes.
        scale = self.team.size / max(count, 1.0)
        norm = clip_gradients(self.parameters, self.config.max_norm, scale=scale)
        return Outcome(total, count, int(tokens), norm)

    def update(self, step: int) -> float:
        """Change the parameters, and forget the gradients; return the learning rate of this step."""
        factor = self.schedule(step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return self.config.lr * factor


def _require_loss(loss: Any) -> None:
    for name in ("total", "count"):
        value = getattr(loss, name, None)
        if not isinstance(value, Tensor) or value.dim() != 0:
            raise TypeError(
                f"loss must return a Loss, whose total and count are tensors without axes, got {describe(loss)[:200]}; "
                "companion.objectives.token_loss makes one"
            )
