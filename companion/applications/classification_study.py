"""What a pretrained model is worth as a classifier: ``python -m companion.applications.classification_study``.

Seven tasks on real text, each learned by a fine-tuned MiniLM and by TF-IDF with logistic regression from the same rows,
and reviews by our own small BERT and, in Chinese, by the same architecture from random weights too. The command writes
``classification_study.json``, which the chapter on classification draws: the scores of every run, and of the first seed
what was answered to every row. About ten minutes of one core; stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from companion import metrics
from companion.data.corpus.order import permutation
from companion.data.loading import rows_of
from companion.finetuning import (
    Classification,
    FineTuned,
    LabelledBatches,
    TextInputs,
    drop_repeated,
    fit_temperature,
    freeze_body,
    layer_groups,
    load_body,
    same_text,
    split_rows,
    tfidf_classifier,
    train_with_companion,
)
from companion.finetuning.baseline import Analyzer
from companion.training import Mode, TrainerConfig, fast_mode

SEEDS: Mapping[str, int] = {}  # of a task; one where it is not named
FROM_SCRATCH = ("zh_reviews",)  # what the same is asked with random weights
TEST, VALIDATION = 1000, 300  # rows, where there are as many
SHARES = (0.4, 0.1)  # of the rows, of which these are taken
MAX_LEN = 64
LANGUAGE_KEYS = 900  # strings of the interface, each with its translations
Row = dict[str, Any]
PRAISE = {"0": "blame", "1": "praise"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A task: where its rows come from, and which models are asked.

    Parameters
    ----------
    data
        The dataset.
    column
        That of its labels.
    names
        What its labels are called here; all, as they are, by default.
    group
        The column of what stays together when rows are set apart.
    train
        How many rows to learn from.
    tiny
        Our own small model of the language.
    is_in_english
        Whether MiniLM, which has read English, is asked too; of eleven languages one is.
    analyzer
        What TF-IDF counts.
    elsewhere
        The task with the same labels on whose test rows the model is measured too.
    """

    data: str
    column: str = "label"
    names: Mapping[str, str] | None = None
    group: str | None = None
    train: int = 1000
    tiny: str = "tiny-bert"
    is_in_english: bool = True
    analyzer: Analyzer = "words"
    elsewhere: str | None = None


QUESTIONS: Mapping[str, Question] = {
    "films": Question(data="movie_snippets", names=PRAISE, elsewhere="products"),
    "products": Question(data="amazon_snippets", names=PRAISE, group="review", elsewhere="films"),
    "zh_reviews": Question(
        data="zh_reviews", names=PRAISE, tiny="tiny-bert-zh", is_in_english=False, analyzer="characters"
    ),
    "topics": Question(data="wiki", column="topic"),
    "technology": Question(data="wiki", column="topic", names={"Arts": "Arts", "Technology": "Technology"}, train=500),
    "spam": Question(data="sms_spam", names={"0": "message", "1": "spam"}),
    "languages": Question(data="interface_strings", column="language", group="key", analyzer="characters"),
}


class Recipe(NamedTuple):
    """How a model is fine-tuned."""

    lr: float
    epochs: int
    batch_size: int
    is_random: bool = False


RECIPES = {
    "minilm": Recipe(1e-4, 3, 16),
    "tiny": Recipe(5e-4, 4, 32),
    "random": Recipe(5e-4, 4, 32, is_random=True),
}
ARMS = ("tfidf", *RECIPES)


class Parts(NamedTuple):
    """Rows to learn from, to choose with, and to measure on: no text is in two of them."""

    train: list[Row]
    validation: list[Row]
    test: list[Row]


def read(name: str) -> list[Row]:
    """Read the rows of a task, each text once, and none that has two labels."""
    question = QUESTIONS[name]
    rows = [
        {"line": line, "text": row["text"], "label": str(row[question.column]), "source": row}
        for line, row in enumerate(rows_of(question.data), start=1)
        if row[question.column] is not None and str(row[question.column]) != "Uncategorized"
    ]
    if question.names is not None:
        rows = [row | {"label": question.names[row["label"]]} for row in rows if row["label"] in question.names]
    if (group := question.group) is not None:
        rows = [row | {"group": cast(Any, row["source"])[group]} for row in rows]
    if name == "languages":
        keys = sorted({row["group"] for row in rows})
        kept = {keys[i] for i in permutation(len(keys), "languages")[:LANGUAGE_KEYS]}
        rows = [row for row in rows if row["group"] in kept]
    return drop_repeated(rows, lambda row: same_text(row["text"]), lambda row: row["label"]).rows


def parts(name: str, seed: int = 0) -> Parts:
    """Set rows apart: the seed draws those to learn from, and what they are tested on is always the same."""
    pool, test, validation = split_rows(read(name), SHARES, seed=0)
    order = permutation(len(pool), "train", seed)[: QUESTIONS[name].train]
    return Parts([pool[i] for i in order], validation[:VALIDATION], test[:TEST])


def fingerprint(rows: Sequence[Row]) -> int:
    """Return a number that other rows, or the same in another order, would not have."""
    return zlib.crc32("\n".join(f"{row['label']}\t{row['text']}" for row in rows).encode())


Scores = Callable[[Sequence[Row]], np.ndarray]


def learn_tfidf(question: Question, rows: Parts, labels: Sequence[str], seed: int) -> Scores:
    """Fit TF-IDF with logistic regression; return what gives the logarithms of its probabilities."""
    pipeline = tfidf_classifier(seed=seed, analyzer=question.analyzer)
    pipeline.fit([row["text"] for row in rows.train], [row["label"] for row in rows.train])
    columns = [list(pipeline.classes_).index(name) for name in labels]
    return lambda some: np.asarray(pipeline.predict_log_proba([row["text"] for row in some]))[:, columns]


def fine_tune(name: str, arm: str, rows: Parts, seed: int, *, frozen: int = 0, epochs: int | None = None) -> FineTuned:
    """Fine-tune the model of an arm on the rows to learn from.

    Parameters
    ----------
    name
        The task, of `QUESTIONS`.
    arm
        The model and how it is trained, of `RECIPES`.
    rows
        As :func:`parts` returns them.
    seed
        Of the head's first weights and the order of the rows, and of all weights where they are random.
    frozen
        How many of the lowest blocks stay as they are; the study trains all.
    epochs
        How often each row is seen; as the recipe has it by default.
    """
    question, recipe = QUESTIONS[name], RECIPES[arm]
    task = Classification()
    task.fit(rows.train)
    generator = torch.Generator().manual_seed(seed)
    checkpoint = arm if arm == "minilm" else question.tiny
    body, tokenizer = load_body(checkpoint, is_random=recipe.is_random, generator=generator)
    inputs = TextInputs(tokenizer, body, max_len=MAX_LEN)
    model = task.make_model(body, pooling="mean", generator=generator)
    if frozen:
        freeze_body(model, frozen)
    examples = [task.example(row, inputs) for row in rows.train]
    batches = LabelledBatches(examples, inputs, batch_size=recipe.batch_size, seed=seed)
    steps = (epochs or recipe.epochs) * len(batches)
    config = TrainerConfig(
        steps=steps,
        lr=recipe.lr,
        weight_decay=0.01,
        betas=(0.9, 0.999),
        schedule="linear",
        floor=0.0,
        warmup=steps // 10,
        max_norm=1.0,
        mode=Mode(autocast=fast_mode("cpu").autocast, is_fused=True),
        seed=seed,
    )
    groups = layer_groups(model, head_lr_scale=10.0)
    train_with_companion(model, task.loss, batches, config, parameter_groups=groups, show_progress=False)
    return FineTuned(task, model, inputs)


def learn_by_tuning(name: str, arm: str, rows: Parts, labels: Sequence[str], seed: int) -> Scores:
    """Fine-tune; return what gives the logarithms of its probabilities."""
    tuned = fine_tune(name, arm, rows, seed)

    def scores(some: Sequence[Row]) -> np.ndarray:
        answers = tuned.predict([{"text": row["text"]} for row in some])
        table = np.array([[answer["probabilities"][label] for label in labels] for answer in answers])
        return np.log(np.maximum(table, 1e-12))

    return scores


def run(name: str, arm: str, seed: int) -> dict[str, Any]:
    """Learn a task and measure."""
    question, rows = QUESTIONS[name], parts(name, seed)
    labels = sorted({row["label"] for row in rows.train})
    start = time.process_time()
    if arm == "tfidf":
        scores = learn_tfidf(question, rows, labels, seed)
    else:
        scores = learn_by_tuning(name, arm, rows, labels, seed)
    taken = time.process_time() - start
    held_out, tested = scores(rows.validation), scores(rows.test)
    temperature = fit_temperature(torch.tensor(held_out), numbers(rows.validation, labels))
    result: dict[str, Any] = {"task": name, "arm": arm, "seed": seed, "cpu_seconds": round(taken, 1)}
    result |= measured(rows.test, tested, temperature, labels)
    result["temperature"] = round(temperature, 3)
    result["calibration_error_before"] = measured(rows.test, tested, 1.0, labels)["calibration_error"]
    answers = {"test": answered(tested, temperature), "validation": answered(held_out, temperature)}
    if question.elsewhere is not None:
        other = parts(question.elsewhere).test
        found = scores(other)
        result["elsewhere"] = measured(other, found, temperature, labels)
        answers["elsewhere"] = answered(found, temperature)
    return result | ({"answers": answers} if seed == 0 else {})


def numbers(rows: Sequence[Row], labels: Sequence[str]) -> torch.Tensor:
    """Return the number of each row's label."""
    return torch.tensor([labels.index(row["label"]) for row in rows])


def calibrated(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities that scores have at a temperature."""
    return torch.tensor(scores / temperature).softmax(-1).numpy()


def measured(rows: Sequence[Row], scores: np.ndarray, temperature: float, labels: Sequence[str]) -> dict[str, float]:
    """Score what was answered to rows."""
    right, probabilities = numbers(rows, labels).numpy(), calibrated(scores, temperature)
    predicted = probabilities.argmax(-1)
    return {
        "accuracy": round(metrics.accuracy(right, predicted), 4),
        "macro_f1": round(metrics.f1(right, predicted), 4),
        "mcc": round(metrics.mcc(right, predicted), 4),
        "calibration_error": round(metrics.expected_calibration_error(right, probabilities), 4),
    }


def answered(scores: np.ndarray, temperature: float) -> dict[str, list[int]]:
    """Keep what was answered: of two classes the probability of the second, of more the best class and its own.

    Probabilities are in parts of ten thousand.
    """
    probabilities = np.rint(10_000 * calibrated(scores, temperature)).astype(int)
    if probabilities.shape[1] == 2:
        return {"second": probabilities[:, 1].tolist()}
    return {"best": probabilities.argmax(-1).tolist(), "probability": probabilities.max(-1).tolist()}


def plan() -> Iterator[tuple[str, str, int]]:
    """List every run: its task, its arm and its seed."""
    for arm in ARMS:
        for name, question in QUESTIONS.items():
            if {"minilm": question.is_in_english, "random": name in FROM_SCRATCH}.get(arm, True):
                for seed in range(SEEDS.get(name, 1)):
                    yield name, arm, seed


def stored() -> dict[str, Any]:
    """Return what the command wrote when it ran for the book."""
    source = resources.files("companion.applications").joinpath("classification_study.json")
    return json.loads(source.read_text("utf-8"))


def begin() -> dict[str, Any]:
    """Return what is written before there is any run: what decides the results."""
    return {
        "command": "python -m companion.applications.classification_study",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "recipes": {arm: recipe._asdict() for arm, recipe in RECIPES.items()},
        "test_rows": {name: fingerprint(parts(name).test) for name in QUESTIONS},
        "runs": [],
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the results, whole or not at all, a line for each run."""
    runs = ",\n".join("  " + json.dumps(one, separators=(",", ":")) for one in content["runs"])
    head = json.dumps(content | {"runs": []}, indent=1).removesuffix("[]\n}")
    aside = path.with_suffix(".part")
    aside.write_text(f"{head}[\n{runs}\n ]\n}}\n", "utf-8")
    aside.replace(path)


def key_of(run: dict[str, Any]) -> tuple[str, str, int]:
    """Name a run as the plan does."""
    return run["task"], run["arm"], run["seed"]


def main() -> None:
    """Run what has not been run yet, and write the results after each run."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("classification_study.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    content = begin()
    if options.out.exists():
        before = json.loads(options.out.read_text("utf-8"))
        for fact in ("recipes", "test_rows"):
            if before[fact] != content[fact]:
                raise SystemExit(
                    f"{options.out} is of another study: its {fact} differ. Move it, or give another --out"
                )
        content["runs"] = before["runs"]
    planned = list(plan())
    done = [key_of(one) for one in content["runs"]]
    for name, arm, seed in track([one for one in planned if one not in done], "runs"):
        content["runs"].append(run(name, arm, seed))
        content["runs"].sort(key=lambda one: planned.index(key_of(one)))
        write(options.out, content)


if __name__ == "__main__":
    main()
