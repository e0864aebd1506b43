"""How many labels pretraining saves, what is stable, and what is forgotten: ``python -m companion.finetuning.study``.

One question, whether a sentence of a film review is praise, answered by a pretrained model that is fine-tuned, by the
same one frozen, by the same architecture with random weights, and by TF-IDF, from few labels to many. The command
writes ``study.json``, which the chapter on fine-tuning draws, after each run, and goes on where it stopped. About
three quarters of an hour of one core that multiplies bfloat16.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import datetime
import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from companion._optional import optional_import
from companion.data.corpus.order import permutation
from companion.data.loading import rows_of
from companion.finetuning.baseline import tfidf_classifier
from companion.finetuning.bodies import load_body
from companion.finetuning.examples import read_source
from companion.finetuning.heads import TextClassifier, hidden_states, pool
from companion.finetuning.inputs import Example, LabelledBatches, TextInputs
from companion.finetuning.optimization import layer_groups
from companion.finetuning.predicting import evaluating
from companion.finetuning.results import NAME, pack_answers, pack_log_odds
from companion.finetuning.splitting import drop_repeated
from companion.finetuning.task import Row
from companion.finetuning.tasks import Classification
from companion.models import BERT
from companion.objectives import mask_tokens, token_loss
from companion.tokenization.base import write_text
from companion.training import NonFiniteError, Trainer, TrainerConfig, fast_mode

MODEL, DATA, OTHER = "minilm", "movie_snippets", "wiki"
MASKED_MODEL = "tiny-bert"  # MiniLM came without the head that fills masks
N_TEST, N_VALIDATION = 2000, 500
MAX_LEN = 64  # tokens; 1 sentence in 1,000 is longer
COUNTS = (50, 100, 200, 500, 1000, 2000, 5000)
ARMS = ("tfidf", "frozen", "fine-tuned", "random")
SEEDS = 3
BATCH_SIZE = 16
EPOCHS = 3
STEPS = (60, 500)  # few labels are read more often, many not to the end
RATES = {"fine-tuned": 1e-4, "random": 3e-4}
DEFAULTS: dict[str, Any] = {"warmup": 0.1, "layer_decay": 1.0, "head_lr_scale": 10.0, "weight_decay": 0.01}
STABILITY_LABELS = 500
PROBE_ROWS, PROBE_LEN = 500, 48  # to learn topics from, and as many to tell them
MASKED_ROWS = 400

Settings = dict[str, Any]


class Rows(NamedTuple):
    """The sentences: a pool to take labels from, some to choose by, and some that score."""

    pool: list[Row]
    validation: list[Row]
    test: list[Row]


def load_rows(n_test: int = N_TEST, n_validation: int = N_VALIDATION) -> Rows:
    """Read the sentences and split them, the same way on every machine.

    Parameters
    ----------
    n_test, n_validation
        How many are set apart.
    """
    task = Classification()
    rows = drop_repeated(read_source(task, DATA).rows, task.key, task.answer).rows
    order = [rows[i] for i in permutation(len(rows), "study").tolist()]
    behind = n_test + n_validation
    return Rows(order[behind:], order[n_test:behind], order[:n_test])


def steps_for(n_labels: int) -> int:
    """Return how many batches are read of so many labels."""
    fewest, most = STEPS
    return min(max(EPOCHS * -(-n_labels // BATCH_SIZE), fewest), most)


def plan(seeds: int = SEEDS, counts: Sequence[int] = COUNTS) -> Iterator[Settings]:
    """List every run; first those that the learning rates are chosen by."""
    for seed in range(seeds):
        yield from _rates(seed)
        for arm in ARMS:
            for n_labels in counts:
                yield _trained("labels", arm, n_labels, seed)
    for seed in range(seeds):
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
    for lr in (1e-4, 3e-4, 1e-3):
        yield _trained("warmup", "fine-tuned", STABILITY_LABELS, seed, lr=lr, warmup=0.0)
        yield _trained("decay", "fine-tuned", STABILITY_LABELS, seed, lr=lr, layer_decay=0.7)
    for lr in (1e-4, 3e-4, 1e-3):
        yield _trained("masked", "fine-tuned", STABILITY_LABELS, seed, lr=lr)


class Bench:
    """The models and the encoded rows, each made when it is first wanted and used by many runs.

    Parameters
    ----------
    rows
        As :func:`load_rows` splits them.
    model, masked_model
        What is fine-tuned, and what is asked for masked words before and after.
    probe_rows
        How many texts of another kind there are to learn from, and to test on.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        model: str | Path = MODEL,
        masked_model: str | Path = MASKED_MODEL,
        probe_rows: int = PROBE_ROWS,
    ) -> None:
        self.rows = rows
        self.mode = dataclasses.replace(fast_mode(), is_compiled=False)  # shapes are many and runs short
        self.task = Classification()
        self.task.fit(rows.pool)
        self._names = {"pretrained": model, "masked": masked_model}
        self._bodies: dict[str, Any] = {}
        self._probe_rows = probe_rows
        self._cache: dict[str, Any] = {}

    def cached(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under a name, making it if it is not there."""
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    def body(self, kind: str) -> tuple[Any, Any]:
        """Return the ``"pretrained"`` or the ``"masked"`` model as it came, and its tokenizer."""
        return self.cached(f"body {kind}", lambda: load_body(self._names[kind]))

    def inputs(self, kind: str) -> TextInputs:
        """Return what encodes texts for a model."""
        body, tokenizer = self.body(kind)
        return self.cached(f"inputs {kind}", lambda: TextInputs(tokenizer, body, max_len=MAX_LEN))

    def examples(self, part: str, kind: str = "pretrained") -> list[Example]:
        """Return the rows of a part, encoded."""
        inputs = self.inputs(kind)
        return self.cached(
            f"examples {part} {kind}", lambda: [self.task.example(row, inputs) for row in getattr(self.rows, part)]
        )

    def labels(self, part: str) -> np.ndarray:
        """Return the right answers of a part."""
        assert self.task.labels is not None
        return np.array(self.task.labels.encode(row["label"] for row in getattr(self.rows, part)))

    def chosen(self, settings: Settings) -> list[int]:
        """Return which rows of the pool have labels in a run; more labels have the fewer ones among them."""
        return permutation(len(self.rows.pool), "labels", settings["seed"])[: settings["n_labels"]].tolist()

    def probe(self) -> tuple[list[Example], np.ndarray]:
        """Return texts of an encyclopaedia and their topics, which fine-tuning on films is no reason to forget."""
        return self.cached("probe", self._make_probe)

    def _make_probe(self) -> tuple[list[Example], np.ndarray]:
        table = rows_of(OTHER)
        order = permutation(len(table), "probe")[: 2 * self._probe_rows].tolist()
        body, tokenizer = self.body("pretrained")
        inputs = TextInputs(tokenizer, body, max_len=PROBE_LEN)
        encoded = [inputs.encode(table[i]["text"]) for i in order]
        examples = [{"input_ids": one.input_ids, "token_type_ids": one.token_type_ids} for one in encoded]
        return examples, np.array([table[i]["topic"] for i in order])


def over(bench: Bench, examples: Sequence[Example], compute: Callable[[dict[str, Tensor]], Tensor]) -> np.ndarray:
    """Compute something of every example in batches of like lengths; return it in the order of the examples."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i]["input_ids"]))
    parts = []
    with torch.autocast("cpu", bench.mode.autocast, enabled=bench.mode.autocast is not None):
        for start in range(0, len(order), 64):
            batch = bench.inputs("pretrained").collate([examples[i] for i in order[start : start + 64]])
            parts.append(compute(batch).float())
    found = torch.cat(parts).numpy()
    return found[np.argsort(order)]


def log_odds(bench: Bench, model: TextClassifier, examples: Sequence[Example]) -> np.ndarray:
    """Return how sure a model is of praise."""

    def compute(batch: dict[str, Tensor]) -> Tensor:
        logits = bench.task.logits(model, batch).float()
        return logits[:, 1] - logits[:, 0]

    with evaluating(model):
        return over(bench, examples, compute)


def features(bench: Bench, body: BERT, examples: Sequence[Example]) -> np.ndarray:
    """Return the mean of each text's token vectors."""

    def compute(batch: dict[str, Tensor]) -> Tensor:
        hidden = hidden_states(body, batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
        return pool(hidden.float(), batch["attention_mask"], pooling="mean")

    with evaluating(body):
        return over(bench, examples, compute)


def linear_probe(*, seed: int) -> Any:
    """Make the one linear layer that learns from vectors."""
    linear = optional_import("sklearn.linear_model", extra="labs", purpose="to learn from a frozen body")
    scaling = optional_import("sklearn.preprocessing", extra="labs", purpose="to learn from a frozen body")
    pipeline = optional_import("sklearn.pipeline", extra="labs", purpose="to learn from a frozen body")
    layer = linear.LogisticRegression(C=0.01, max_iter=1000, random_state=seed)
    return pipeline.make_pipeline(scaling.StandardScaler(), layer)


def fine_tune(bench: Bench, settings: Settings, kind: str = "pretrained") -> TextClassifier | None:
    """Train head and body; None where the run diverged."""
    generator = torch.Generator().manual_seed(settings["seed"])
    body, _ = bench.body(kind)
    body = type(body)(body.config, generator) if settings["arm"] == "random" else copy.deepcopy(body)
    model = bench.task.make_model(body, pooling="mean", generator=generator)
    assert isinstance(model, TextClassifier)
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


def sure(bench: Bench, settings: Settings, parts: Sequence[str]) -> tuple[dict[str, np.ndarray], TextClassifier | None]:
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
    return {part: log_odds(bench, model, bench.examples(part)) for part in parts}, model


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
    odds = log_odds(bench, model, bench.examples("validation", "masked"))
    return {"accuracy": share_right(bench, "validation", odds), "before": before, "after": masked_loss(bench, body)}


@torch.no_grad()
def masked_loss(bench: Bench, body: BERT) -> float:
    """Return the mean surprise, in nats, at hidden tokens of encyclopaedia articles, always the same ones."""
    inputs = bench.inputs("masked")
    table = rows_of(OTHER)
    order = permutation(len(table), "masked")[:MASKED_ROWS].tolist()
    encoded = [inputs.encode(table[i]["text"]) for i in order]
    batch = inputs.collate([{"input_ids": one.input_ids, "token_type_ids": one.token_type_ids} for one in encoded])
    special = inputs.tokenizer.special_tokens
    ids = batch["input_ids"]
    maskable = (batch["attention_mask"] == 1) & ~torch.isin(ids, torch.tensor(sorted(special.values())))
    masked = mask_tokens(
        ids,
        mask_id=special["[MASK]"],
        vocab_size=inputs.tokenizer.vocab_size,
        maskable=maskable,
        generator=torch.Generator().manual_seed(0),
    )
    with evaluating(body):
        hidden = body(masked.input_ids, attention_mask=batch["attention_mask"], token_type_ids=batch["token_type_ids"])
        counted = masked.labels != -100
        loss = token_loss(body.mlm_logits(hidden[counted]), masked.labels[counted])
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
    """Return a study to go on with; one of other rows is refused.

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
