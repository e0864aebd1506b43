"""The same fine-tuning three ways: a loop written out, the companion's trainer, and transformers' Trainer.

Each takes the same model, loss, batches and configuration, and leaves the same weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from companion._optional import optional_import
from companion._validation import describe, requires
from companion.finetuning.heads import Head
from companion.finetuning.inputs import LabelledBatches
from companion.finetuning.optimization import layer_groups
from companion.objectives import Loss
from companion.training import Trainer, TrainerConfig, clip_gradients, make_optimizer

Batch = dict[str, Tensor]
LossFunction = Callable[[nn.Module, Batch], Loss]
Groups = Sequence[dict[str, Any]]


def _check(model: Any, loss: Any, batches: Any, config: Any, **_: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if not callable(loss):
        raise TypeError(f"loss must be a function of a model and a batch, got {describe(loss)}")
    if not isinstance(batches, LabelledBatches):
        raise TypeError(f"batches must be LabelledBatches, got {type(batches).__name__}")
    if not isinstance(config, TrainerConfig):
        raise TypeError(f"config must be a TrainerConfig, got {describe(config)}")


@requires(_check)
def train_by_hand(
    model: nn.Module,
    loss: LossFunction,
    batches: LabelledBatches,
    config: TrainerConfig,
    *,
    parameter_groups: Groups | None = None,
) -> list[float]:
    """Fine-tune with a loop that shows every step; it knows nothing of devices, logs, checkpoints and processes.

    Parameters
    ----------
    model
        A head on a body; changed in place.
    loss
        From the model and a batch to its loss, such as :meth:`Task.loss`.
    batches
        From a step to its batch.
    config
        How to train; ``accumulation``, ``ema`` and what is logged and saved are left to the trainers.
    parameter_groups
        As in :class:`companion.training.Trainer`, such as :func:`layer_groups` makes.

    Returns
    -------
    list of float
        The loss at each step, before its update.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or there is nothing to train.
    """
    optimizer = make_optimizer(model, config, _groups(model, parameter_groups))
    first_rates = [group["lr"] for group in optimizer.param_groups]
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    schedule = config.make_schedule()
    device = trained[0].device
    torch.manual_seed(config.seed)
    model.train()
    losses = []
    for step in range(config.steps):
        batch = {name: tensor.to(device) for name, tensor in batches(step).items()}
        value = loss(model, batch).mean
        value.backward()
        clip_gradients(trained, config.max_norm)
        for group, rate in zip(optimizer.param_groups, first_rates, strict=True):
            group["lr"] = rate * schedule(step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.item())
    return losses


def _groups(model: nn.Module, given: Groups | None) -> Groups:
    if given is not None:
        return given
    return layer_groups(model) if isinstance(model, Head) else [{"params": list(model.parameters())}]


@requires(_check)
def train_with_companion(
    model: nn.Module,
    loss: LossFunction,
    batches: LabelledBatches,
    config: TrainerConfig,
    *,
    parameter_groups: Groups | None = None,
    **options: Any,
) -> list[float]:
    """Fine-tune with :class:`companion.training.Trainer`.

    Parameters
    ----------
    model, loss, batches, config, parameter_groups
        As in :func:`train_by_hand`.
    **options
        More of the trainer's arguments, such as ``validation`` and ``folder``.

    Returns
    -------
    list of float
        The loss at each logged step, before its update.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or there is nothing to train.
    """
    groups = _groups(model, parameter_groups)
    trainer = Trainer(model, loss, batches, config, parameter_groups=groups, **options)
    history = trainer.run()
    return [record.loss for record in history.records if record.loss is not None]


class _WithLoss(nn.Module):
    """A model that computes its own loss, as transformers' Trainer wants it."""

    def __init__(self, model: nn.Module, loss: LossFunction, logits: Callable[[nn.Module, Batch], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.logits = logits
        self.losses: list[float] = []

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        loss = self.loss(self.model, batch).mean
        if self.training:
            self.losses.append(loss.item())
            return {"loss": loss}
        return {"loss": loss, "logits": self.logits(self.model, batch)}


class _Numbered(torch.utils.data.Dataset[int]):
    """The numbers of the steps or rows: what a loader asks for, and what its collate function looks up."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, number: int) -> int:
        return number


def _check_transformers(model: Any, loss: Any, batches: Any, config: Any, **_: Any) -> None:
    _check(model, loss, batches, config)
    for name, plain in (("accumulation", 1), ("ema", None)):
        if getattr(config, name) != plain:
            raise ValueError(f"config.{name} must be {plain} with transformers' Trainer here, got {config}")


@requires(_check_transformers)
def train_with_transformers(
    model: nn.Module,
    loss: LossFunction,
    batches: LabelledBatches,
    config: TrainerConfig,
    *,
    logits: Callable[[nn.Module, Batch], Tensor],
    parameter_groups: Groups | None = None,
    evaluation: Sequence[dict[str, Any]] | None = None,
    compute_metrics: Callable[[Any], dict[str, float]] | None = None,
    folder: str | Path | None = None,
    **arguments: Any,
) -> tuple[list[float], dict[str, float]]:
    """Fine-tune with transformers' ``Trainer``, ``TrainingArguments`` and ``compute_metrics``.

    Parameters
    ----------
    model, loss, batches, config, parameter_groups
        As in :func:`train_by_hand`.
    logits
        From the model and a batch to its scores, such as :meth:`Task.logits`.
    evaluation
        Examples to score at the end.
    compute_metrics
        From an ``EvalPrediction`` (``predictions`` and ``label_ids``) to scores by name. It is an argument of the
        ``Trainer``, so it must exist before the trainer does.
    folder
        Where the trainer may write; a temporary one by default.
    **arguments
        More of ``TrainingArguments``.

    Returns
    -------
    losses : list of float
        The loss at each step, before its update.
    scores : dict
        What ``trainer.evaluate()`` returned; empty without ``evaluation``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or there is nothing to train.
    ImportError
        If transformers or accelerate is missing.
    """
    transformers = optional_import("transformers", extra="labs", purpose="to train with its Trainer")
    optional_import("accelerate", extra="labs", purpose="by transformers' Trainer")
    wrapped = _WithLoss(model, loss, logits)
    optimizer = make_optimizer(model, config, _groups(model, parameter_groups))
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, config.make_schedule())

    class StepTrainer(transformers.Trainer):
        """One batch a step, in the order of ``batches``."""

        def get_train_dataloader(self) -> Any:
            # A loader of its own, since the default one shuffles in another order and pads nothing.
            steps = _Numbered(config.steps)
            return torch.utils.data.DataLoader(steps, batch_size=1, collate_fn=lambda step: batches(step[0]))

    with tempfile.TemporaryDirectory() as temporary:
        settings = transformers.TrainingArguments(
            output_dir=str(folder or temporary),
            max_steps=config.steps,
            max_grad_norm=config.max_norm or 0.0,  # 0 for no clipping
            per_device_eval_batch_size=64,
            seed=config.seed,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            remove_unused_columns=False,
            label_names=["labels"],
            use_cpu=next(model.parameters()).device.type == "cpu",
            **arguments,
        )
        trainer = StepTrainer(
            model=wrapped,
            args=settings,
            train_dataset=_Numbered(config.steps),
            eval_dataset=None if evaluation is None else _Examples(evaluation),
            data_collator=batches.inputs.collate,
            optimizers=(optimizer, rates),
            compute_metrics=compute_metrics,
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
        scores = {} if evaluation is None else trainer.evaluate()
    return wrapped.losses, scores


class _Examples(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self, examples: Sequence[dict[str, Any]]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.examples[number]
