"""Pretrain a preset from its texts to a checkpoint with its log, its curve and its card."""

import json
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from companion._validation import describe, require_count, require_finite, requires
from companion.device import VARIABLE, pick_device
from companion.models import BERT, GPT, T5
from companion.pretraining.batches import make_batches
from companion.pretraining.files import write_json
from companion.pretraining.losses import LOSSES
from companion.pretraining.names import RECORD, RUN
from companion.pretraining.presets import Preset, get_preset
from companion.pretraining.texts import Texts, prepare_texts
from companion.training import Mode, RunError, Trainer, TrainerConfig, fast_mode
from companion.transformer import SinusoidalPositions

CLASSES: dict[str, type[GPT] | type[BERT] | type[T5]] = {"causal": GPT, "masked": BERT, "spans": T5}
VALIDATION_BATCHES = 8
LOG_ROWS, EVALUATIONS, SAVES = 500, 16, 10  # of a whole run
# How much less the heads of a T5 look at each position farther away, at first.
SLOPES = torch.tensor([1.0, 1.0, 0.5, 0.0])
FIRST_STD = 0.02  # of BERT's first weights
WARM_STEPS, TIMED_STEPS = 3, 8  # the first steps compile


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run is asked to be.

    Parameters
    ----------
    preset
        What to train.
    out
        The folder that all goes to.
    data
        Names of texts in place of the preset's.
    steps, minutes
        How long: a number of steps, or about so many minutes of training on this machine, from which the number is
        worked out; with neither, as many steps as the preset says.
    seed
        Of the first weights, the order of the texts and all else that is drawn.
    resume
        Whether to go on with the run in the folder.
    device
        Where to train; the fastest there is by default.
    mode
        How steps are computed; the fastest there is by default.
    corpora
        The folder of tokenised texts; one in the cache by default.

    Raises
    ------
    TypeError, ValueError
        If an option is of the wrong type or out of range.
    """

    preset: Preset | str
    out: Path
    data: tuple[str, ...] = ()
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    resume: bool = False
    device: str | None = None
    mode: Mode | None = None
    corpora: Path | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.preset, (Preset, str)):
            raise TypeError(f"preset must be a Preset or the name of one, got {describe(self.preset)}")
        if self.steps is not None and self.minutes is not None:
            raise ValueError("give steps or minutes, not both")
        if self.steps is not None:
            require_count("steps", self.steps)
        if self.minutes is not None:
            require_finite("minutes", self.minutes)
            if self.minutes <= 0:
                raise ValueError(f"minutes must be above 0, got {self.minutes}")
        require_count("seed", self.seed, minimum=0)

    def resolve(self) -> Preset:
        """Return the preset with its texts exchanged, if others are asked for."""
        preset = get_preset(self.preset) if isinstance(self.preset, str) else self.preset
        return replace(preset, data=self.data) if self.data else preset


def _check_pretrain(options: Any, *, show_progress: Any = None) -> None:
    if not isinstance(options, Options):
        raise TypeError(f"options must be Options, got {describe(options)}")


@requires(_check_pretrain)
def pretrain(options: Options, *, show_progress: bool | None = None) -> Path | None:
    """Train a preset, and write the checkpoint, its log, its curve and its card.

    A run that was interrupted, even killed, goes on from its last saved step with ``resume`` and ends with the same
    log and the same weights.

    Parameters
    ----------
    options
        What to train, how long, and where it goes.
    show_progress
        Whether to show progress; where somebody can see it by default.

    Returns
    -------
    Path or None
        The folder of the finished checkpoint; None when the run was asked to stop before its end.

    Raises
    ------
    ValueError
        If an option is wrong, or the time is too short for a run.
    OSError
        If the folder cannot be written or a text is missing.
    companion.training.RunError, companion.training.NonFiniteError
        If the folder holds another run, or the loss is no number.
    """
    preset = options.resolve()
    if options.device is not None:
        os.environ[VARIABLE] = options.device
    device = pick_device()
    mode = options.mode or fast_mode(device)
    out = options.out.expanduser().absolute()
    _require_new(out, options)
    (out / RUN).mkdir(parents=True, exist_ok=True)
    texts = prepare_texts(preset, folder=options.corpora, progress=show_progress is not False)
    steps = _steps(options, preset, texts, mode, out)
    record = _record(options, preset, texts, steps)
    write_json(out / RECORD, record)
    trainer = make_trainer(preset, texts, steps, seed=options.seed, mode=mode, folder=out / RUN, show=show_progress)
    if options.resume:
        trainer.resume()
    history = trainer.run()
    if history.stopped is not None:
        return None
    from companion.pretraining.finishing import finish  # draws and measures: not needed to train

    finish(out, trainer.model, preset, texts)
    return out


def make_trainer(
    preset: Preset,
    texts: Texts,
    steps: int,
    *,
    seed: int,
    mode: Mode,
    folder: Path | None = None,
    show: bool | None = None,
    **changes: Any,
) -> Trainer:
    """Make the trainer of a run: its model, its batches, its recipe."""
    batches = make_batches(preset, texts, texts.train, seed=seed)
    validation = make_batches(preset, texts, texts.validation, seed=0)
    recipe = recipe_of(preset, steps, seed=seed, mode=mode, **changes)
    settings = {"preset": preset.to_json() | {"recipe": None}, "texts": texts.facts["fingerprint"]}
    model = new_model(preset, texts, seed)
    return Trainer(
        model,
        LOSSES[preset.objective],
        batches,
        recipe if folder is not None else replace(recipe, save_every=None),
        validation=[validation(index) for index in range(min(VALIDATION_BATCHES, len(validation)))],
        folder=folder,
        settings=settings,
        parameter_groups=rate_groups(model),
        show_progress=show,
    )


def rate_groups(model: nn.Module) -> list[dict[str, Any]] | None:
    """Say which parameters of a model learn at another rate; None if all learn alike.

    T5 divides its queries' weights by √d_head where others divide the scores. A step of the usual size would change its
    scores √d_head times as much: attention settles on single tokens before it has learned which, and the decoder never
    comes to read the encoder.
    """
    if not isinstance(model, T5):
        return None
    queries = [weight for name, weight in model.named_parameters() if name.endswith("query.weight")]
    others = [weight for name, weight in model.named_parameters() if not name.endswith("query.weight")]
    d_head = model.config.d_head or model.config.d_model // model.config.n_heads
    return [{"params": queries, "lr_scale": d_head**-0.5}, {"params": others}]


def new_model(preset: Preset, texts: Texts, seed: int) -> nn.Module:
    """Make the untrained model, with as many tokens as the tokenizer has learned."""
    config: Any = replace(preset.model, vocab_size=texts.tokenizer.vocab_size)
    model = CLASSES[preset.objective](config, torch.Generator().manual_seed(seed))
    if isinstance(model, BERT):
        start_with_waves(model)
    if isinstance(model, T5):
        start_near(model)
    return model


@torch.no_grad()
def start_with_waves(model: BERT) -> None:
    """Let the learned positions of a BERT begin as sines and cosines, as strong as its other first weights.

    To fill a gap is to look at its neighbours. Between vectors drawn at random that has to be learned for each position
    anew; between waves one matrix does it for all.
    """
    weight = model.position_embedding.weight
    waves = SinusoidalPositions(model.config.d_model)(torch.arange(len(weight)))
    weight.copy_(waves * (FIRST_STD / waves.square().mean().sqrt()))


def recipe_of(preset: Preset, steps: int, *, seed: int, mode: Mode, **changes: Any) -> TrainerConfig:
    """Return how a run of so many steps is trained: what is logged, measured and saved follows from their number."""
    cadence: dict[str, Any] = {
        "log_every": max(1, steps // LOG_ROWS),
        "eval_every": max(1, steps // EVALUATIONS),
        "save_every": max(1, steps // SAVES),
    }
    return preset.recipe_for(steps, **(cadence | {"seed": seed, "mode": mode} | changes))


@torch.no_grad()
def start_near(model: T5) -> None:
    """Let the heads of a T5 begin by looking near: the first to the left, the second to the right, the others around.

    A bias of a few units decides where a head looks, and steps of a thousandth take long to get there. And where the
    decoder looks into the text that was read, its queries begin as the keys: a mark first looks for the same mark.
    """
    for block in model.decoder.blocks:
        cross: Any = block.cross_attention
        cross.query.weight.copy_(cross.key.weight / (model.config.d_model / model.config.n_heads) ** 0.5)
    reach = 8  # positions; all that are farther are alike
    for bias in (model.encoder_bias, model.decoder_bias):
        distances = torch.arange(-bias.max_distance, bias.max_distance + 1)
        distances = distances[distances <= 0] if not bias.bidirectional else distances
        buckets = bias.buckets(distances)
        for bucket in buckets.unique().tolist():
            held = distances[buckets == bucket]
            nearest = held[held.abs().argmin()]
            bias.weight[bucket] -= SLOPES[: bias.weight.shape[1]] * nearest.abs().clamp(max=reach)
            if bias.bidirectional and nearest != 0:
                bias.weight[bucket, 0 if nearest > 0 else 1] -= reach / 2


def _require_new(out: Path, options: Options) -> None:
    if options.resume or not (out / RECORD).exists():
        return
    raise ValueError(f"out must be a new folder, and {out} holds a run already: add --resume, or choose another")


def _steps(options: Options, preset: Preset, texts: Texts, mode: Mode, out: Path) -> int:
    """Return the number of steps: the one asked for, or that of the run that goes on, or what fits into the time."""
    if options.resume and (out / RECORD).exists():
        recorded = json.loads((out / RECORD).read_text("utf-8"))["steps"]
        if options.steps not in (None, recorded):
            raise ValueError(f"steps must be those of the run that goes on, {recorded}, got {options.steps}")
        return recorded
    if options.minutes is None:
        return options.steps or preset.recipe.steps
    seconds = seconds_per_step(preset, texts, seed=options.seed, mode=mode)
    steps = int(60 * options.minutes / seconds)
    if steps < 1:
        raise ValueError(
            f"minutes must be at least {seconds / 60:.3g}, one step's time on this machine, got {options.minutes}"
        )
    return steps


def seconds_per_step(preset: Preset, texts: Texts, *, seed: int, mode: Mode) -> float:
    """Take a few steps with a model that is then thrown away, and return how long one takes."""
    trainer = make_trainer(
        preset,
        texts,
        WARM_STEPS + TIMED_STEPS,
        seed=seed,
        mode=mode,
        show=False,
        log_every=1,
        eval_every=None,
    )
    trainer.validation = {}
    times: list[float] = []
    trainer.callbacks.append(lambda *_: times.append(time.perf_counter()))
    trainer.run()
    spans = sorted(later - earlier for earlier, later in zip(times[WARM_STEPS - 1 :], times[WARM_STEPS:], strict=False))
    return spans[len(spans) // 2]


def command_of(options: Options, preset: Preset, steps: int) -> str:
    """Return the command that makes this run again, on any machine and however it was first asked for."""
    words: Sequence[str] = ["companion", "pretrain", "--preset", preset.name]
    for name in preset.data:
        words = [*words, "--data", name]
    words = [*words, "--steps", str(steps), "--seed", str(options.seed), "--out", options.out.name]
    return shlex.join(words)


def _record(options: Options, preset: Preset, texts: Texts, steps: int) -> dict[str, Any]:
    recipe = recipe_of(preset, steps, seed=options.seed, mode=options.mode or fast_mode(pick_device()))
    record = {
        "command": command_of(options, preset, steps),
        "steps": steps,
        "seed": options.seed,
        "preset": preset.to_json() | {"recipe": recipe.to_json()},
        "texts": texts.facts,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    path = options.out.expanduser().absolute() / RECORD
    if options.resume and path.exists():
        before = json.loads(path.read_text("utf-8"))
        if before["command"] != record["command"]:
            raise RunError(f"the run in {path.parent} was `{before['command']}`, not `{record['command']}`")
        return before
    return record
