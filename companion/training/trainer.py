"""The trainer: it takes a model it does not know from one step to the next, and can be killed at any of them."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from companion._validation import NotFiniteError, describe, requires
from companion.training import state
from companion.training.batches import Batch, require_batch
from companion.training.checkpoint import Checkpoint, Checkpoints
from companion.training.config import TrainerConfig
from companion.training.ema import WeightAverage
from companion.training.errors import NonFiniteError, RunError
from companion.training.history import History, Record
from companion.training.log import CsvLog
from companion.training.meter import Meter
from companion.training.mode import run_in
from companion.training.optimizers.choice import make_optimizer
from companion.training.progress import ProgressBar, is_watched
from companion.training.randomness import RandomStream
from companion.training.recompute import recomputed
from companion.training.shards import like
from companion.training.signals import politely
from companion.training.stepper import Objective, Stepper
from companion.training.team import Team
from companion.training.tensorboard import TensorBoardLog
from companion.training.validation import as_sets, mean_loss

LOG = "log.csv"


def _check_trainer(
    trainer: Any,
    model: Any,
    loss: Any,
    batches: Any,
    config: Any,
    *,
    validation: Any = None,
    folder: Any = None,
    callbacks: Any = (),
    settings: Any = None,
    parameter_groups: Any = None,
    show_progress: Any = None,
    tensorboard: Any = False,
) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {describe(model)}")
    if not callable(loss):
        raise TypeError(f"loss must be a function of a model and a batch, got {describe(loss)}")
    if not callable(batches):
        raise TypeError(f"batches must be a function from a step to a batch, got {describe(batches)[:200]}")
    if not isinstance(config, TrainerConfig):
        raise TypeError(f"config must be a TrainerConfig, got {describe(config)}")
    if folder is not None and not isinstance(folder, (str, Path)):
        raise TypeError(f"folder must be a path or None, got {describe(folder)}")
    if folder is None and (tensorboard or config.save_every):
        raise ValueError("folder must be given for checkpoints or TensorBoard, got None")
    if settings is not None and not isinstance(settings, Mapping):
        raise TypeError(f"settings must be a dict that JSON can hold, or None, got {describe(settings)}")
    for i, callback in enumerate(callbacks):
        if not callable(callback):
            raise TypeError(f"callbacks[{i}] must be a function of the trainer and a record, got {describe(callback)}")


class Trainer:
    """Train a model: steps, log, validation and checkpoints, in one process or many.

    Parameters
    ----------
    model
        What to train. It is moved to the device, and changed in place.
    loss
        From the model and a batch to a sum of losses (``total``) and the number of tokens it is over (``count``), as
        :func:`companion.objectives.token_loss` returns them.
    batches
        From a step, counted from 0, to its batch: a dict of tensors that have one row an example. The same step must
        give the same batch in every process and at any time; a run that is taken up again asks for the next step.
    config
        How to train it.
    validation
        A list of batches, or a function like ``batches`` that has a length; or a dict of names to these. Measured at
        the first and the last step, and every ``eval_every``.
    folder
        Where log and checkpoints go; nothing is written without one.
    callbacks
        Called with the trainer and each record of the log; they may :meth:`stop` the run.
    settings
        What else decides what is computed, such as the names of the texts, as JSON can hold it. A checkpoint with other
        settings is refused.
    parameter_groups
        Dicts of ``params``, and if wanted ``lr_scale``, which multiplies the learning rate, and ``weight_decay``. What
        is in none is frozen. All parameters alike by default; of any group, matrices decay and vectors do not.
    show_progress
        Whether to show a bar; where somebody can see it by default.
    tensorboard
        Whether to log for TensorBoard, too.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or there is nothing to train.
    """

    @requires(_check_trainer)
    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Any, dict[str, Tensor]], Any],
        batches: Callable[[int], dict[str, Tensor]],
        config: TrainerConfig,
        *,
        validation: Any = None,
        folder: str | Path | None = None,
        callbacks: Sequence[Callable[..., Any]] = (),
        settings: Mapping[str, Any] | None = None,
        parameter_groups: Sequence[Any] | None = None,
        show_progress: bool | None = None,
        tensorboard: bool = False,
    ) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.validation = as_sets(validation)
        self.folder = None if folder is None else Path(folder)
        self.callbacks = list(callbacks)
        self.settings = dict(settings or {})
        self.step = 0
        self.stopped: str | None = None
        self.records: list[Record] = []
        self.meter = Meter()
        self._is_resumed = False
        self._lr: float | None = None
        self._grad_norm: float | None = None

        self.team = Team()
        self.random = RandomStream(config.seed + self.team.rank, self.team.device)
        optimizer = make_optimizer(model, config, parameter_groups)
        self.objective = self.team.prepare(Objective(model, loss), optimizer)
        self.optimizer = optimizer
        self.stepper = Stepper(self.team, self.objective, optimizer, config)
        self.ema = None if config.ema is None else WeightAverage(model, decay=config.ema)
        self._names = {parameter: name for name, parameter in model.named_parameters()}
        # Validation batches come in many shapes; each would be compiled anew.
        plain = replace(config.mode, is_compiled=False)
        self._compute = run_in(plain, lambda batch: self.objective(batch), self.team.device.type)
        self._checkpoints = None if self.folder is None else Checkpoints(self.folder / "checkpoints", keep=config.keep)
        self._csv, self._watchers = self._make_logs(show_progress, tensorboard)

    def _make_logs(self, show_progress: bool | None, tensorboard: bool) -> tuple[CsvLog | None, list[Any]]:
        if not self.team.is_first:
            return None, []
        watchers: list[Any] = []
        if is_watched() if show_progress is None else show_progress:
            watchers.append(ProgressBar(self.config.steps))
        if self.folder is None:
            return None, watchers
        if tensorboard:
            watchers.append(TensorBoardLog(self.folder / "tensorboard"))
        return CsvLog(self.folder / LOG, self._columns()), watchers

    def _columns(self) -> list[str]:
        names = list(self.validation)
        return names + [f"ema_{name}" for name in names] if self.ema else names

    def resume(self) -> int:
        """Go on from the newest checkpoint in the folder that is whole, or begin when there is none.

        Returns
        -------
        int
            The step that comes next.

        Raises
        ------
        RunError
            If the checkpoint is of another run (the message says in what they differ), or all of them are damaged.
        """
        if self._checkpoints is None:
            raise RunError("a run without a folder has no checkpoint to resume from; give the trainer its folder")
        found = self._checkpoints.newest()
        self._is_resumed = True
        if found is not None:
            self._load(found)
        return self.step

    def run(self) -> History:
        """Train up to the last step, or until something asks to stop.

        Ctrl-C and SIGTERM let the step end, save a checkpoint and return; a second Ctrl-C does not wait.

        Returns
        -------
        History
            All records since the first step, those of earlier runs in this folder too.

        Raises
        ------
        NonFiniteError
            If the loss or the gradient is NaN or infinite; the weights are those before that step.
        RunError
            If the folder holds a run that was not resumed, or a checkpoint cannot be written.
        """
        self._begin()
        self.stopped = None
        with contextlib.ExitStack() as stack:
            stack.enter_context(politely(self.stop))
            stack.enter_context(self.random.active())
            if self.config.gradient_checkpointing:
                stack.enter_context(recomputed(self.model))
            for watcher in self._watchers:
                watcher.start(self.step)
                stack.callback(watcher.close)
            self.meter.start()
            self.objective.train()
            if self.step == 0 and self.validation and not self.records:
                self._record()
            while self.step < self.config.steps and self.stopped is None:
                self._advance()
        return History(self.records, self.stopped)

    def stop(self, reason: str = "asked to") -> None:
        """End the run after this step; it is saved, and can be resumed."""
        self.stopped = reason

    def save(self) -> None:
        """Write a checkpoint of this moment.

        Raises
        ------
        RunError
            If it cannot be written; the earlier ones stay.
        """
        if self._checkpoints is None:
            return
        parts = {
            "model": state.model_tensors(self.model),
            "optimizer": state.optimizer_tensors(self.optimizer, self._names),
            "random": self.team.collect(self.random.current()),
        }
        if self.ema is not None:
            parts["ema"] = {name: state.saved(tensor) for name, tensor in self.ema.averages.items()}
        facts = {"config": self.config.to_json(), "settings": self.settings, "meter": self.meter.to_json()}
        facts |= {"processes": self.team.size}
        with self.team.alone() as is_first:
            if is_first:
                if self._csv is not None:
                    self._csv.sync()
                self._checkpoints.write(self.step, parts, facts)

    def _begin(self) -> None:
        if self.folder is None or self._csv is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.step == 0 and not self._is_resumed and (self.folder / LOG).exists():
            raise RunError(f"{self.folder} holds a run already; resume() goes on with it, or choose another folder")
        self.records = self._csv.start(self.step if self._is_resumed or self.step else -1)

    def _advance(self) -> None:
        began = time.perf_counter()
        batch = self.batches(self.step)
        require_batch(batch, f"batches({self.step})")
        loaded = time.perf_counter()
        try:
            outcome = self.stepper.gradients(batch)
        except NotFiniteError:  # a model that looks at its own numbers saw it first
            self._require_finite("model's output", math.nan, batch)
            raise
        self._require_finite("loss", outcome.total, batch)
        self._require_finite("gradient's norm", outcome.grad_norm, batch)
        self._lr, self._grad_norm = self.stepper.update(self.step), outcome.grad_norm
        if self.ema is not None:
            self.ema.update()
        self.step += 1
        self.meter.add(outcome.total, outcome.n_counted, outcome.tokens)
        self.meter.loading_seconds += loaded - began
        self.meter.window_seconds += time.perf_counter() - began
        self._after_step()

    def _after_step(self) -> None:
        for watcher in self._watchers:
            watcher.advance(self.step)
        is_last = self.step == self.config.steps
        if is_last or self._is_due(self.config.log_every) or self._is_due(self.config.eval_every):
            self._record()
        if self.team.size > 1 and self.team.sum([float(self.stopped is not None)])[0]:
            self.stopped = self.stopped or "another process asked to"
        if is_last or self.stopped or self._is_due(self.config.save_every):
            self.save()

    def _is_due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def _record(self) -> None:
        numbers = self.meter.read()
        is_end = self.step in (0, self.config.steps)
        validation = self._validate() if is_end or self._is_due(self.config.eval_every) else {}
        record = Record(step=self.step, lr=self._lr, grad_norm=self._grad_norm, validation=validation, **numbers)
        self.records.append(record)
        for log in [self._csv, *self._watchers]:
            if log is not None:
                log.write(record)
        for callback in self.callbacks:
            callback(self, record)

    def _validate(self) -> dict[str, float]:
        measured = {}
        for name, batches in self.validation.items():
            measured[name] = mean_loss(self._compute, self.objective, batches, self.team, seed=self.config.seed)
        if self.ema is not None:
            with self.ema.applied():
                for name, batches in self.validation.items():
                    measured[f"ema_{name}"] = mean_loss(
                        self._compute, self.objective, batches, self.team, seed=self.config.seed
                    )
        return measured

    def _require_finite(self, what: str, value: float, batch: Batch) -> None:
        if math.isfinite(value):
            return
        saved = None
        if self.folder is not None:
            saved = self.folder / f"batch-of-step-{self.step:08d}.safetensors"
            with self.team.alone() as is_first:
                if is_first:
                    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in batch.items()}, saved)
        where = "give the trainer a folder to have it saved" if saved is None else f"its batch is in {saved}"
        raise NonFiniteError(
            f"the {what} of step {self.step} is {value}; {where}. The weights are those before this step. A lower "
            "learning rate, a longer warm-up or clipping (max_norm) may help",
            step=self.step,
            saved=saved,
        )

    def _load(self, found: Checkpoint) -> None:
        facts = found.facts
        differences = self.config.differences(facts["config"])
        theirs = facts["settings"]
        differences += [
            f"{name} was {theirs.get(name)!r} and is {self.settings.get(name)!r}"
            for name in sorted({*theirs, *self.settings})
            if theirs.get(name) != self.settings.get(name)
        ]
        if differences:
            raise RunError(
                f"{found.path} is of a run with other settings: {'; '.join(differences)}. Use the same, or another "
                "folder"
            )
        state.load_model(self.model, found.load("model"))
        state.load_optimizer(self.optimizer, self._names, found.load("optimizer"))
        if self.ema is not None:
            for name, tensor in found.load("ema").items():
                self.ema.averages[name].copy_(like(tensor, self.ema.averages[name]))
        self.random.load(found.load("random"), self.team.rank)
        self.meter = Meter(**facts["meter"])
        self.step = found.step
