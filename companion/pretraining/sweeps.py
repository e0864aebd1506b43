"""What each number of a training run does: ``python -m companion.pretraining.sweeps``.

Small runs of one decoder on recipes, one number changed at a time, all on the same rows. The command writes
``sweeps.json``, which the chapter on training draws. About a quarter of an hour of one core.
"""

import argparse
import datetime
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from companion.data.corpus import PackedRows, prepare_corpus
from companion.models import ModernDecoder, ModernDecoderConfig
from companion.objectives import Loss, causal_labels, token_loss
from companion.tokenization import ByteLevelBPE
from companion.training import Mode, NonFiniteError, Trainer, TrainerConfig

VOCAB_SIZE = 512
LENGTH = 128  # tokens in a row
ROWS = 8  # in a batch, unless a sweep says otherwise
SEEDS = 2
STEPS = 300  # of such batches; a sweep of the batch size reads as many rows in fewer or more steps
WARMUP = 30
PROMPT = "Preheat the oven to"
SIZES: dict[str, Any] = {"d_model": 64, "n_heads": 4, "n_layers": 2}
DEFAULTS: dict[str, Any] = {
    "optimizer": "adamw",
    "lr": 1e-2,
    "rows": ROWS,
    "warmup": WARMUP,
    "schedule": "cosine",
    "max_norm": 1.0,
    "ema": None,
    "seed": 0,
}
RATES = {
    "adamw": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "sgd": (3e-2, 1e-1, 3e-1, 1e0),
    "muon": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
}


class Texts(NamedTuple):
    """The recipes as rows to learn from and to measure on, how many characters a token has, and what was dropped."""

    train: PackedRows
    validation: PackedRows
    tokenizer: ByteLevelBPE
    characters_per_token: float
    report: str


@dataclass(frozen=True)
class Result:
    """What came of one run; no bits where it diverged.

    Parameters
    ----------
    bits
        The model's surprise at unseen recipes, in bits for each character.
    average_bits
        The same of the moving average of its weights, where one was kept.
    curve
        The mean surprise at what it learned from, in bits for each character, over each twentieth of the run.
    continuation
        What the model writes after `PROMPT`, always the likeliest token.
    cpu_seconds
        What the run took.
    """

    bits: float | None
    average_bits: float | None
    curve: list[float]
    continuation: str
    cpu_seconds: float


def load_texts(folder: Path, rows: int = ROWS) -> Texts:
    """Tokenise the recipes, split without leaks, and pack them into rows."""
    import companion.data

    companion.data.fetch(["recipes"])
    texts = companion.data.load("recipes", split="train")["text"]
    tokenizer = ByteLevelBPE.train(texts, VOCAB_SIZE, special_tokens=["<|endoftext|>"])
    end = [tokenizer.special_tokens["<|endoftext|>"]]
    corpus = prepare_corpus("recipes", tokenizer, folder=folder, begin=end, progress=False)
    ids = [token for document in corpus.validation for token in document.tolist()[1:]]
    return Texts(
        PackedRows(corpus.train, length=LENGTH, batch_size=rows),
        PackedRows(corpus.validation, length=LENGTH, batch_size=32),
        tokenizer,
        len(tokenizer.decode(ids)) / len(ids),
        corpus.report,
    )


def new_model(seed: int) -> ModernDecoder:
    """Draw a small decoder."""
    config = ModernDecoderConfig(vocab_size=VOCAB_SIZE, max_len=LENGTH, **SIZES)
    return ModernDecoder(config, torch.Generator().manual_seed(seed))


def next_token_loss(model: ModernDecoder, batch: dict[str, Tensor]) -> Loss:
    """Measure the surprise at every token that follows another of the same recipe."""
    ids, documents = batch["input_ids"], batch["document_ids"]
    return token_loss(model(ids, document_ids=documents), causal_labels(ids, document_ids=documents))


@torch.no_grad()
def measure(model: ModernDecoder, texts: Texts, n_batches: int = 4) -> float:
    """Return the surprise at unseen recipes, in bits for each character."""
    device = next(model.parameters()).device
    batches = (texts.validation(step) for step in range(n_batches))
    losses = [next_token_loss(model, {name: part.to(device) for name, part in batch.items()}) for batch in batches]
    total = sum(float(loss.total) for loss in losses) / sum(float(loss.count) for loss in losses)
    return total / math.log(2) / texts.characters_per_token


@torch.no_grad()
def continued(model: ModernDecoder, tokenizer: ByteLevelBPE, prompt: str = PROMPT, length: int = 24) -> str:
    """Write on after a prompt, always the likeliest token."""
    ids, device = tokenizer.encode(prompt), next(model.parameters()).device
    n_given = len(ids)
    for _ in range(length):
        ids.append(int(model(torch.tensor([ids], device=device))[0, -1].argmax()))
    return tokenizer.decode(ids[n_given:])


def run(texts: Texts, **changes: Any) -> Result:
    """Train one small model; ``changes`` are to `DEFAULTS`."""
    settings = {**DEFAULTS, **changes}
    rows, seed = settings.pop("rows"), settings.pop("seed")
    steps = STEPS * ROWS // rows
    # The share of the run that warms up stays the same when batches grow and steps become fewer.
    settings["warmup"] = settings["warmup"] * steps // STEPS
    config = TrainerConfig(steps=steps, floor=0.0, seed=seed, mode=Mode(is_fused=True), **settings)
    model = new_model(seed)
    batches = PackedRows(texts.train.shards, length=LENGTH, batch_size=rows, seed=seed)
    start = time.process_time()
    trainer = Trainer(model, next_token_loss, batches, config)
    try:
        history = trainer.run()
    except NonFiniteError:
        return Result(None, None, [], "", time.process_time() - start)
    if history.stopped:  # by Ctrl-C, say: half a run is no result
        raise SystemExit(f"stopped in mid-run: {history.stopped}")
    losses = [loss for loss in history.columns["loss"] if loss is not None]
    to_bits = 1 / math.log(2) / texts.characters_per_token
    part = max(1, steps // 20)
    curve = [to_bits * statistics.fmean(losses[i : i + part]) for i in range(0, steps - part + 1, part)]
    taken = time.process_time() - start
    average = trainer.ema
    with_average = None
    if average is not None:
        with average.applied():
            with_average = measure(model, texts)
    return Result(measure(model, texts), with_average, curve, continued(model, texts.tokenizer), taken)


def sweeps(seeds: int = SEEDS) -> Iterator[tuple[str, dict[str, Any]]]:
    """List every run: its sweep, and what is changed in it."""
    for seed in range(seeds):
        for sweep, changes in one_seed():
            yield sweep, {**changes, "seed": seed}


def one_seed() -> Iterator[tuple[str, dict[str, Any]]]:
    """List the runs of one seed."""
    for optimizer, rates in RATES.items():
        for lr in rates:
            yield "rates", {"optimizer": optimizer, "lr": lr}
    # A larger batch bears a larger rate, so the two ranges overlap.
    for rows, rates in ((2, (1e-3, 3e-3, 1e-2)), (32, (3e-3, 1e-2, 3e-2))):
        for lr in rates:
            yield "batches", {"rows": rows, "lr": lr}
    for warmup in (0, 100):
        for lr in (1e-2, 3e-2, 1e-1):
            yield "warmups", {"warmup": warmup, "lr": lr}
    for lr in (1e-2, 3e-2, 1e-1):
        yield "clipping", {"max_norm": None, "warmup": 0, "lr": lr}
    for schedule in ("constant", "linear", "wsd", "cosine"):
        yield "schedules", {"schedule": schedule, "ema": 0.97}


def rounded(result: Result) -> dict[str, Any]:
    """Keep the decimals that mean something."""
    return {
        "bits": None if result.bits is None else round(result.bits, 3),
        "average_bits": None if result.average_bits is None else round(result.average_bits, 3),
        "curve": [round(bits, 3) for bits in result.curve],
        "continuation": result.continuation,
        "cpu_seconds": round(result.cpu_seconds, 1),
    }


def stored() -> dict[str, Any]:
    """Return what the command wrote when it ran for the book."""
    return json.loads(resources.files("companion.pretraining").joinpath("sweeps.json").read_text("utf-8"))


def main() -> None:
    """Run everything and write the results after each run."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("sweeps.json"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    content: dict[str, Any] = {
        "command": "python -m companion.pretraining.sweeps",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "model": SIZES,
        "defaults": DEFAULTS,
        "steps": STEPS,
        "length": LENGTH,
        "prompt": PROMPT,
        "runs": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        texts = load_texts(Path(folder))
        content["characters_per_token"] = round(texts.characters_per_token, 3)
        for sweep, changes in track(list(sweeps(options.seeds)), "runs"):
            result = rounded(run(texts, **changes))
            content["runs"].append({"sweep": sweep, "settings": {**DEFAULTS, **changes}, **result})
            options.out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
