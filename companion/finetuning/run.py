"""A whole run: from data and a pretrained model to a fine-tuned one, its scores and its predictions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch

from companion import metrics
from companion._validation import describe, require_count, require_finite
from companion.finetuning.bodies import load_body
from companion.finetuning.calibration import fit_temperature
from companion.finetuning.examples import Examples, gather
from companion.finetuning.heads import POOLINGS, Pooling
from companion.finetuning.inputs import LabelledBatches, TextInputs
from companion.finetuning.optimization import freeze_body, layer_groups
from companion.finetuning.predicting import class_scores, predict
from companion.finetuning.saving import FineTuned
from companion.finetuning.task import Row, Task
from companion.finetuning.tasks import TASKS, Classification, make_task
from companion.tokenization.base import write_text
from companion.training import PLAIN, RunError, Trainer, TrainerConfig, fast_mode

Say = Callable[[str], None]
MODEL, METRICS, PREDICTIONS, LEFT_OUT = "model", "metrics.json", "predictions.jsonl", "left_out.jsonl"
WIDTHS = 16  # batches are padded to multiples, so that few shapes are compiled
RESAMPLES = 1000
LEAST_TO_CALIBRATE = 30  # validation rows


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """What to fine-tune, on what, and how.

    Parameters
    ----------
    task
        ``"classification"``, ``"pairs"``, ``"regression"``, ``"tagging"`` or ``"spans"``.
    data
        The training data: a file, or a dataset of :mod:`companion.data`.
    model
        The pretrained model: a folder, a model of :mod:`companion.data`, or one of the hub.
    out
        The folder for log, checkpoints, model, scores and predictions.
    validation, test
        Files for these parts; what is not given is set apart from the data.
    held_out
        The share that is set apart for each.
    columns
        Where the task's columns have other names in the data.
    header
        The names of a table's columns if it has no line of names.
    limit
        Train on so many rows at most.
    skips_bad_rows
        Whether rows that cannot be used are left out instead of being an error; either way each is reported.
    epochs, batch_size, lr, weight_decay
        How long, and how fast.
    warmup
        The share of the steps in which the learning rate rises; afterwards it falls to zero in a line.
    head_lr_scale, layer_decay
        As in :func:`layer_groups`.
    frozen
        None to train all, ``"body"`` to train the head alone, or the number of lowest blocks that stay as they are.
    is_random
        Whether to begin with random weights, to see what pretraining is worth.
    is_balanced
        Whether rare classes count more.
    pooling, max_len
        As in :class:`TextClassifier` and :class:`TextInputs`.
    seed
        Of everything random.
    is_fast
        Whether steps are computed as :func:`companion.training.fast_mode` has it.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong type, out of range or unknown.
    """

    task: str
    data: str | Path
    model: str | Path
    out: str | Path
    validation: str | Path | None = None
    test: str | Path | None = None
    held_out: float = 0.1
    columns: dict[str, str] | None = None
    header: tuple[str, ...] | None = None
    limit: int | None = None
    skips_bad_rows: bool = False
    epochs: int = 3
    batch_size: int = 16
    lr: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    head_lr_scale: float = 10.0
    layer_decay: float = 1.0
    frozen: str | int | None = None
    is_random: bool = False
    is_balanced: bool = False
    pooling: str | None = None
    max_len: int = 128
    seed: int = 0
    is_fast: bool = False

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {', '.join(TASKS)}, got {self.task!r}")
        for name in ("epochs", "batch_size"):
            require_count(name, getattr(self, name))
        require_count("max_len", self.max_len, minimum=8)
        require_count("seed", self.seed, minimum=0)
        if self.limit is not None:
            require_count("limit", self.limit, minimum=2)
        for name in ("held_out", "warmup"):
            require_finite(name, getattr(self, name))
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be a share from 0 to 1, got {getattr(self, name)}")
        if self.held_out == 0 and None in (self.validation, self.test):
            raise ValueError("held_out must be above 0 unless both validation and test are given, got 0")
        if self.frozen not in (None, "body") and (isinstance(self.frozen, (bool, str)) or self.frozen < 0):
            raise ValueError(f'frozen must be None, "body" or a number of blocks, got {describe(self.frozen)}')
        if self.pooling not in (None, *POOLINGS):
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)} or None, got {describe(self.pooling)}")

    def trainer_config(self, n_batches: int) -> TrainerConfig:
        """Return the trainer's part, for so many batches an epoch."""
        steps = self.epochs * n_batches
        return TrainerConfig(
            steps=steps,
            lr=self.lr,
            weight_decay=self.weight_decay,
            betas=(0.9, 0.999),
            schedule="linear",
            floor=0.0,
            warmup=round(self.warmup * steps),
            max_norm=1.0,
            mode=fast_mode() if self.is_fast else PLAIN,
            seed=self.seed,
            log_every=max(1, steps // 200),
            eval_every=n_batches,
            save_every=n_batches,
        )

    def settings(self, examples: Examples) -> dict[str, Any]:
        """Return what decides the result and is not the trainer's, for the check at resumption."""
        kept = ("task", "columns", "batch_size", "head_lr_scale", "layer_decay", "frozen", "is_random", "is_balanced")
        facts = {name: getattr(self, name) for name in (*kept, "pooling", "max_len")}
        return facts | {"model": str(self.model), "data": examples.fingerprint()}


def _prepare(options: FineTuning, say: Say) -> tuple[FineTuned, Examples]:
    task = make_task(options.task, options.columns)
    examples = gather(
        task,
        options.data,
        validation=options.validation,
        test=options.test,
        held_out=options.held_out,
        limit=options.limit,
        columns=None if options.header is None else list(options.header),
        skips_bad_rows=options.skips_bad_rows,
        seed=options.seed,
    )
    for source, left_out in examples.left_out.items():
        if left_out:
            kinds = Counter(_kind(one.reason) for one in left_out)
            listed = "; ".join(f"{count} because: {reason}" for reason, count in kinds.most_common(5))
            say(f"{source}: {len(left_out)} rows are not used ({listed}). Each is in {LEFT_OUT}.")
    say(f"rows: {len(examples.train)} to train, {len(examples.validation)} to validate, {len(examples.test)} to test")
    task.fit(examples.train, is_balanced=options.is_balanced)
    for part in ("validation", "test"):
        try:
            task.check(getattr(examples, part))
        except ValueError as error:
            raise ValueError(f"the {part} data: {error}") from error
    if task.labels is not None:
        say(f"labels: {', '.join(task.labels.names[:20])}")
    generator = torch.Generator().manual_seed(options.seed)
    body, tokenizer = load_body(options.model, is_random=options.is_random, generator=generator)
    room = getattr(body.config, "max_len", options.max_len)
    inputs = TextInputs(tokenizer, body, max_len=min(options.max_len, room))
    model = task.make_model(body, pooling=cast("Pooling | None", options.pooling), generator=generator)
    if options.frozen is not None:
        freeze_body(model, None if options.frozen == "body" else int(options.frozen))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    say(f"model: {options.model}, {trained:,} parameters to train")
    return FineTuned(task, model, inputs), examples


def _kind(reason: str) -> str:
    """Leave the other line's number out of a reason, so that alike ones can be counted together."""
    return "repeats another row" if reason.startswith(("repeats line ", "also line ")) else reason


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _calibrate(tuned: FineTuned, rows: list[Row], say: Say) -> dict[str, float]:
    """Fit the temperature to the validation rows; a few of them, or no error among them, would say nothing."""
    task = tuned.task
    if not isinstance(task, Classification) or task.labels is None:
        return {}
    scores = class_scores(task, tuned.model, tuned.inputs, rows)
    answers = torch.tensor(task.labels.encode(row[task.answer_column] for row in rows))
    n_wrong = int((scores.argmax(-1) != answers).sum())
    if len(rows) < LEAST_TO_CALIBRATE or not n_wrong:
        say(f"the temperature stays 1: {len(rows)} validation rows with {n_wrong} errors are too few to fit it")
        return {}
    task.temperature = fit_temperature(scores, answers)
    say(f"temperature {task.temperature:.3f} fits the {len(rows)} validation rows; probabilities are computed with it")
    return {"temperature": task.temperature}


def _finish(options: FineTuning, tuned: FineTuned, examples: Examples, say: Say) -> dict[str, float]:
    out = Path(options.out)
    fitted = _calibrate(tuned, examples.validation, say)
    tuned.save(out / MODEL)
    scores: dict[str, float] = {}
    for part, rows in (("validation", examples.validation), ("test", examples.test)):
        answers = predict(tuned.task, tuned.model, tuned.inputs, rows)
        scores |= {f"{part}_{name}": value for name, value in tuned.task.score(rows, answers).items()}
        if part == "test":
            scores |= _interval(tuned.task, rows, answers)
            _write_lines(out / PREDICTIONS, (row | answer for row, answer in zip(rows, answers, strict=True)))
    facts = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}
    scores |= fitted
    write_text(out / METRICS, json.dumps({"scores": scores, "options": facts}, indent=1, ensure_ascii=False) + "\n")
    return scores


def _interval(task: Task, rows: list[Row], answers: list[Row]) -> dict[str, float]:
    if task.name not in ("classification", "pairs") or len(rows) < 2:
        return {}
    right, predicted = [row[task.answer_column] for row in rows], [answer["predicted"] for answer in answers]
    _, low, high = metrics.bootstrap_interval(metrics.accuracy, right, predicted, n_resamples=RESAMPLES)
    return {"test_accuracy_low": low, "test_accuracy_high": high}


def finetune(
    options: FineTuning,
    *,
    is_resumed: bool = False,
    show_progress: bool | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, float] | None:
    """Fine-tune, score, and write everything into the folder.

    The folder gets ``log.csv`` and ``checkpoints`` while the model trains, and at the end ``model`` (which
    :meth:`FineTuned.load` reads), ``metrics.json`` and ``predictions.jsonl``, a JSON object for each row of the test
    data. ``left_out.jsonl`` names every row that was not used, with line and reason. A classifier's temperature is
    fitted to the validation rows, if there are at least 30 with an error among them, and saved with the model.

    Parameters
    ----------
    options
        What to do.
    is_resumed
        Whether to go on with the run in the folder.
    show_progress
        Whether to show a bar; where somebody can see it by default.
    say
        Called with each message.

    Returns
    -------
    dict or None
        The scores; None when the run was asked to stop before its end, and can be resumed.

    Raises
    ------
    ValueError
        If the data or the options cannot be used; the message says why.
    companion.training.RunError
        If the folder holds another run.
    OSError
        If something cannot be read or written.
    """
    if not isinstance(options, FineTuning):
        raise TypeError(f"options must be FineTuning(...), got {describe(options)}")
    out = Path(options.out)
    tuned, examples = _prepare(options, say)
    task, inputs = tuned.task, tuned.inputs
    encoded = {part: [task.example(row, inputs) for row in getattr(examples, part)] for part in ("train", "validation")}
    n_cut = sum(len(example["input_ids"]) >= inputs.max_len for example in encoded["train"])
    if n_cut:
        say(f"about {n_cut} of the {len(encoded['train'])} training texts are cut off at {inputs.max_len} tokens")
    width = WIDTHS if options.is_fast else 1
    batches = LabelledBatches(
        encoded["train"], inputs, batch_size=options.batch_size, seed=options.seed, multiple_of=width
    )
    watched = LabelledBatches(encoded["validation"], inputs, batch_size=64, pool=len(encoded["validation"]))
    trainer = Trainer(
        tuned.model,
        task.loss,
        batches,
        options.trainer_config(len(batches)),
        validation=watched,
        folder=out,
        settings=options.settings(examples),
        parameter_groups=layer_groups(
            tuned.model, layer_decay=options.layer_decay, head_lr_scale=options.head_lr_scale
        ),
        show_progress=show_progress,
    )
    if is_resumed:
        step = trainer.resume()
        say(f"going on at step {step} of {trainer.config.steps}")
    elif (out / "log.csv").exists():
        raise RunError(f"{out} holds a run already; resume it, or choose another folder")
    _write_lines(
        out / LEFT_OUT,
        (one._asdict() | {"source": source} for source, some in examples.left_out.items() for one in some),
    )
    history = trainer.run()
    if history.stopped is not None:
        say(f"stopped at step {trainer.step} of {trainer.config.steps} ({history.stopped}); resume to go on")
        return None
    return _finish(options, tuned, examples, say)
