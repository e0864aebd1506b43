"""How many labels pretraining saves, what is stable, and what is forgotten: ``python -m companion.finetuning.study``.

One question, whether a sentence of a film review is praise, answered by a pretrained model that is fine-tuned, by the
same one frozen, by the same architecture with random weights, and by TF-IDF, from few labels to many. The command
writes ``study.json``, which the chapter on fine-tuning draws, after each run, and goes on where it stopped. About
three quarters of an hour of one core that multiplies bfloat16.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from companion.finetuning.baseline import tfidf_classifier
from companion.finetuning.bench import (
    DATA,
    MASKED_MODEL,
    MAX_LEN,
    MODEL,
    OTHER,
    Bench,
    Rows,
    Settings,
    features,
    linear_probe,
    load_rows,
    log_odds,
    other_rows,
    train_rows,
    unlabelled,
)
from companion.finetuning.heads import IGNORED, Head
from companion.finetuning.inputs import LabelledBatches
from companion.finetuning.optimization import layer_groups
from companion.finetuning.predicting import evaluating
from companion.finetuning.results import NAME, pack_answers, pack_log_odds
from companion.models import BERT
from companion.objectives import mask_tokens, token_loss
from companion.tokenization.base import write_text
from companion.training import NonFiniteError, Trainer, TrainerConfig

__all__ = ["MAX_LEN", "Bench", "Rows", "go", "load_rows", "plan", "run", "sure", "train_rows"]

COUNTS = (50, 100, 200, 500, 1000, 2000, 5000)
ARMS = ("tfidf", "frozen", "fine-tuned", "random")
SEEDS = 3
BATCH_SIZE = 16
EPOCHS = 3
STEPS = (60, 500)  # few labels are read more often, many not to the end
RATES = {"fine-tuned": 1e-4, "random": 3e-4}
DEFAULTS: dict[str, Any] = {"warmup": 0.1, "layer_decay": 1.0, "head_lr_scale": 10.0, "weight_decay": 0.01}
STABILITY_LABELS = 500
MASKED_ROWS = 400


def steps_for(n_labels: int) -> int:
    """Return how many batches are read of so many labels."""
    fewest, most = STEPS
    return min(max(EPOCHS * -(-n_labels // BATCH_SIZE), fewest), most)


def plan(seeds: int = SEEDS, counts: Sequence[int] = COUNTS) -> Iterator[Settings]:
    """List every run; first those that the learning rates of the two arms were chosen by."""
    for seed in range(seeds):
        if seed == 0:
            yield from _rates(seed)
        for arm in ARMS:
            for n_labels in counts:
                yield _trained("labels", arm, n_labels, seed)
    for seed in range(seeds):
        if seed > 0:
            yield from _rates(seed)
        yield from _stability(seed)


def _trained(part: str, arm: str, n_labels: int, seed: int, **changes: Any) -> Settings:
    settings: Settings = {"part": part, "arm": arm, "n_labels": n_labels, "seed": seed}
    if arm in RATES:
        settings |= {"lr": RATES[arm], "steps": steps_for(n_labels)} | DEFAULTS | changes
    return settings


def _rates(seed: int) -> Iterator[Settings]:
    for lr in (1e-5, 3e-5, 1e-4, 3e-4, 1e-3):
        yield _trained("rates", "fine-tuned", STABILITY_LABELS, seed, lr=lr)
    if seed == 0:
        for lr in (1e-4, 3e-4, 1e-3):
            yield _trained("rates", "random", 1000, seed, lr=lr)
        # Random weights may need longer; whether they gain by it is seen, not assumed.
        yield _trained("rates", "random", 1000, seed, steps=3 * steps_for(1000))


def _stability(seed: int) -> Iterator[Settings]:
    for lr in (3e-4, 1e-3):  # below these there is nothing to mend
        yield _trained("warmup", "fine-tuned", STABILITY_LABELS, seed, lr=lr, warmup=0.0)
        yield _trained("decay", "fine-tuned", STABILITY_LABELS, seed, lr=lr, layer_decay=0.7)
    for lr in (1e-4, 3e-4, 1e-3):
        yield _trained("masked", "fine-tuned", STABILITY_LABELS, seed, lr=lr)


def fine_tune(bench: Bench, settings: Settings, kind: str = "pretrained") -> Head | None:
    """Train head and body; None where the run diverged."""
    generator = torch.Generator().manual_seed(settings["seed"])
    body, _ = bench.body(kind)
    body = type(body)(body.config, generator) if settings["arm"] == "random" else copy.deepcopy(body)
    model = bench.task.make_model(body, pooling="mean", generator=generator)
    examples = bench.examples("pool", kind)
    batches = LabelledBatches(
        [examples[i] for i in bench.chosen(settings)],
        bench.inputs(kind),
        batch_size=BATCH_SIZE,
        seed=settings["seed"],
        multiple_of=8,
    )
    config = TrainerConfig(
        steps=settings["steps"],
        lr=settings["lr"],
        weight_decay=settings["weight_decay"],
        betas=(0.9, 0.999),
        schedule="linear",
        floor=0.0,
        warmup=round(settings["warmup"] * settings["steps"]),
        seed=settings["seed"],
        mode=bench.mode,
        log_every=settings["steps"],
    )
    groups = layer_groups(model, layer_decay=settings["layer_decay"], head_lr_scale=settings["head_lr_scale"])
    trainer = Trainer(model, bench.task.loss, batches, config, parameter_groups=groups, show_progress=False)
    try:
        history = trainer.run()
    except NonFiniteError:
        return None
    if history.stopped:  # by Ctrl-C, say: half a run is no result
        raise SystemExit(f"stopped in mid-run: {history.stopped}; the same command goes on with it")
    return model


def sure(bench: Bench, settings: Settings, parts: Sequence[str]) -> tuple[dict[str, np.ndarray], Head | None]:
    """Train one classifier, and return how sure it is of praise at each row of the parts."""
    arm, chosen = settings["arm"], bench.chosen(settings)
    labels = bench.labels("pool")[chosen]
    if arm == "tfidf":
        classifier = tfidf_classifier(seed=settings["seed"])
        classifier.fit([bench.rows.pool[i]["text"] for i in chosen], labels)
        texts = {part: [row["text"] for row in getattr(bench.rows, part)] for part in parts}
        return {part: classifier.decision_function(texts[part]) for part in parts}, None
    if arm == "frozen":
        body, _ = bench.body("pretrained")
        vectors = {
            part: bench.cached(f"features {part}", lambda part=part: features(bench, body, bench.examples(part)))
            for part in ("pool", *parts)
        }
        classifier = linear_probe(seed=settings["seed"]).fit(vectors["pool"][chosen], labels)
        return {part: classifier.decision_function(vectors[part]) for part in parts}, None
    model = fine_tune(bench, settings)
    if model is None:
        return {}, None
    return {part: log_odds(bench, model, part) for part in parts}, model


def share_right(bench: Bench, part: str, odds: np.ndarray) -> float:
    """Return the share of a part's rows that is on the right side of even odds."""
    return round(float(((odds > 0) == bench.labels(part)).mean()), 4)


def label_run(bench: Bench, settings: Settings) -> dict[str, Any]:
    """Score one classifier on the test rows."""
    keeps = settings["seed"] == 0
    odds, _ = sure(bench, settings, ("test", "validation") if keeps else ("test",))
    facts = {"accuracy": share_right(bench, "test", odds["test"]), "predictions": pack_answers(odds["test"] > 0)}
    if keeps:
        facts["log_odds"] = pack_log_odds(odds["test"])
        facts["validation_log_odds"] = pack_log_odds(odds["validation"])
    return facts


def stability_run(bench: Bench, settings: Settings) -> dict[str, Any]:
    """Score one classifier on the validation rows, and what its body still knows of something else."""
    odds, model = sure(bench, settings, ("validation",))
    if model is None:
        return {"accuracy": None, "topics": None, "similarity": None}
    facts: dict[str, Any] = {"accuracy": share_right(bench, "validation", odds["validation"])}
    if settings["arm"] == "random":
        return facts
    body: Any = model.body
    return facts | told_topics(bench, body)


def told_topics(bench: Bench, body: BERT) -> dict[str, float]:
    """Say whether a linear layer can still tell topics by a body's vectors, and whether these are where they were."""
    examples, topics = bench.probe()
    original, _ = bench.body("pretrained")
    before = bench.cached("probe features", lambda: features(bench, original, examples))
    after = features(bench, body, examples)
    half = len(topics) // 2
    right = linear_probe(seed=0).fit(after[:half], topics[:half]).predict(after[half:]) == topics[half:]
    cosine = (before * after).sum(1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    return {"topics": round(float(right.mean()), 4), "similarity": round(float(cosine.mean()), 4)}


def masked_run(bench: Bench, settings: Settings) -> dict[str, Any]:
    """Measure how well a body fills masks in what it was pretrained on, before it is fine-tuned and after."""
    original, _ = bench.body("masked")
    before = bench.cached("masked loss", lambda: masked_loss(bench, original))
    model = fine_tune(bench, settings, "masked")
    if model is None:
        return {"accuracy": None, "before": before, "after": None}
    body: Any = model.body
    odds = log_odds(bench, model, "validation", "masked")
    return {"accuracy": share_right(bench, "validation", odds), "before": before, "after": masked_loss(bench, body)}


@torch.no_grad()
def masked_loss(bench: Bench, body: BERT) -> float:
    """Return the mean surprise, in nats, at hidden tokens of encyclopaedia articles, always the same ones."""
    inputs = bench.inputs("masked")
    batch = inputs.collate([unlabelled(inputs, row["text"]) for row in other_rows("masked", MASKED_ROWS)])
    special = inputs.tokenizer.special_tokens
    is_special = torch.isin(batch["input_ids"], torch.tensor(sorted(special.values())))
    masked = mask_tokens(
        batch["input_ids"],
        mask_id=special["[MASK]"],
        vocab_size=inputs.tokenizer.vocab_size,
        maskable=(batch["attention_mask"] == 1) & ~is_special,
        generator=torch.Generator().manual_seed(0),
    )
    device = next(body.parameters()).device
    ids, mask, types = (
        values.to(device) for values in (masked.input_ids, batch["attention_mask"], batch["token_type_ids"])
    )
    labels = masked.labels.to(device)
    counted = labels != IGNORED
    with evaluating(body):
        hidden = body(ids, attention_mask=mask, token_type_ids=types)
        loss = token_loss(body.mlm_logits(hidden[counted]), labels[counted])
    return round(loss.mean.item(), 4)


def run(bench: Bench, settings: Settings) -> dict[str, Any]:
    """Make one run of the plan."""
    start = time.process_time()
    kinds = {"labels": label_run, "masked": masked_run}
    facts = kinds.get(settings["part"], stability_run)(bench, settings)
    return facts | {"cpu_seconds": round(time.process_time() - start, 1)}


def header(bench: Bench) -> dict[str, Any]:
    """Say what all runs share."""
    content = json.dumps(bench.rows, ensure_ascii=False, sort_keys=True)
    return {
        "command": "python -m companion.finetuning.study",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numbers": str(bench.mode.autocast or torch.float32),
        "model": MODEL,
        "masked_model": MASKED_MODEL,
        "data": DATA,
        "other_data": OTHER,
        "rows": {name: len(rows) for name, rows in bench.rows._asdict().items()},
        "fingerprint": hashlib.sha256(content.encode()).hexdigest()[:16],
        "labels": pack_answers(bench.labels("test")),
        "validation_labels": pack_answers(bench.labels("validation")),
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a study whole or not at all, a line for each run."""
    facts = ",\n ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items() if name != "runs")
    runs = ",\n  ".join(json.dumps(one) for one in content["runs"])
    write_text(path, f'{{\n {facts},\n "runs": [\n  {runs}\n ]\n}}\n')


def read(path: Path, fresh: dict[str, Any]) -> dict[str, Any]:
    """Return a study to go on with, or a fresh one; one of other rows is refused.

    Raises
    ------
    ValueError
        If the file holds a study of other rows.
    """
    if not path.exists():
        return fresh | {"runs": []}
    content = json.loads(path.read_text("utf-8"))
    if content["fingerprint"] != fresh["fingerprint"]:
        raise ValueError(f"{path} holds a study of other rows; choose another file with --out")
    return content


def go(bench: Bench, planned: Sequence[Settings], path: Path, track: Callable[[list[Settings]], Any] = iter) -> None:
    """Make the planned runs that the file does not hold yet, and write it after each.

    Parameters
    ----------
    bench
        Models and rows.
    planned
        The settings of every run; the file has them in this order at the end.
    path
        The file.
    track
        Shows how far it is.
    """
    content = read(path, header(bench))
    if "topics_before" not in content:  # takes some seconds, so only once
        content["topics_before"] = told_topics(bench, bench.body("pretrained")[0])["topics"]
        write(path, content)
    made = {json.dumps(one["settings"], sort_keys=True): one for one in content["runs"]}
    keys = [json.dumps(settings, sort_keys=True) for settings in planned]
    missing = [settings for settings, key in zip(planned, keys, strict=True) if key not in made]
    for settings in track(missing):
        made[json.dumps(settings, sort_keys=True)] = {"settings": settings, "facts": run(bench, settings)}
        # What is planned no more is left out.
        write(path, content | {"runs": [made[key] for key in keys if key in made]})


def main() -> None:
    """Make the study, or what is missing of it."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name(NAME))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(load_rows())
    go(bench, list(plan(options.seeds)), options.out, lambda missing: track(missing, "runs"))


if __name__ == "__main__":
    main()
