"""What the runs of :mod:`companion.finetuning.study` share: the rows, the models, and how rows are put through them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from companion._optional import optional_import
from companion.data.corpus.order import permutation
from companion.data.loading import rows_of
from companion.device import pick_device
from companion.finetuning.bodies import load_body
from companion.finetuning.examples import read_source
from companion.finetuning.heads import Head, hidden_states, pool
from companion.finetuning.inputs import Example, TextInputs
from companion.finetuning.predicting import evaluating
from companion.finetuning.splitting import drop_repeated
from companion.finetuning.task import Row
from companion.finetuning.tasks import Classification
from companion.models import BERT
from companion.training import fast_mode

MODEL, DATA, OTHER = "minilm", "movie_snippets", "wiki"
MASKED_MODEL = "tiny-bert"  # MiniLM came without the head that fills masks
N_TEST, N_VALIDATION = 2000, 500
MAX_LEN = 64  # tokens
PROBE_ROWS, PROBE_LEN = 500, 48  # to learn topics from, and as many to tell them

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


def train_rows(n_labels: int, seed: int, rows: Rows | None = None) -> list[Row]:
    """Return the rows that the runs of a seed had so many labels of; more labels have the fewer ones among them.

    Parameters
    ----------
    n_labels, seed
        Of the runs.
    rows
        As :func:`load_rows` splits them, which is called by default.
    """
    pool = (rows or load_rows()).pool
    return [pool[i] for i in _chosen(len(pool), n_labels, seed)]


def _chosen(n_pool: int, n_labels: int, seed: int) -> list[int]:
    if n_labels > n_pool:
        raise ValueError(f"n_labels must be at most the {n_pool} rows of the pool, got {n_labels}")
    return permutation(n_pool, "labels", seed)[:n_labels].tolist()


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
        self.mode = dataclasses.replace(fast_mode(pick_device()), is_compiled=False)  # many shapes, short runs
        self.task = Classification()
        self.task.fit(rows.pool)
        self._names = {"pretrained": model, "masked": masked_model}
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
        """Return which rows of the pool have labels in a run."""
        return _chosen(len(self.rows.pool), settings["n_labels"], settings["seed"])

    def probe(self) -> tuple[list[Example], np.ndarray]:
        """Return texts of an encyclopaedia and their topics, which fine-tuning on films is no reason to forget."""
        return self.cached("probe", self._make_probe)

    def _make_probe(self) -> tuple[list[Example], np.ndarray]:
        body, tokenizer = self.body("pretrained")
        rows = other_rows("probe", 2 * self._probe_rows)
        inputs = TextInputs(tokenizer, body, max_len=PROBE_LEN)
        return [unlabelled(inputs, row["text"]) for row in rows], np.array([row["topic"] for row in rows])


def other_rows(purpose: str, count: int) -> list[dict[str, Any]]:
    """Draw rows of the other data, always the same ones for a purpose."""
    table = rows_of(OTHER)
    return [table[i] for i in permutation(len(table), purpose)[:count].tolist()]


def unlabelled(inputs: TextInputs, text: str) -> Example:
    """Encode a text alone."""
    encoded = inputs.encode(text)
    return {"input_ids": encoded.input_ids, "token_type_ids": encoded.token_type_ids}


def over(
    bench: Bench,
    model: nn.Module,
    inputs: TextInputs,
    examples: Sequence[Example],
    compute: Callable[[dict[str, Tensor]], Tensor],
) -> np.ndarray:
    """Compute something of every example in batches of like lengths; return it in the order of the examples."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i]["input_ids"]))
    device, numbers = next(model.parameters()).device, bench.mode.autocast
    parts = []
    with evaluating(model), torch.autocast(device.type, numbers, enabled=numbers is not None):
        for start in range(0, len(order), 64):
            batch = inputs.collate([examples[i] for i in order[start : start + 64]])
            parts.append(compute({name: values.to(device) for name, values in batch.items()}).float().cpu())
    found = torch.cat(parts).numpy()
    return found[np.argsort(order)]


def log_odds(bench: Bench, model: Head, part: str, kind: str = "pretrained") -> np.ndarray:
    """Return how sure a classifier is of praise at each row of a part."""

    def compute(batch: dict[str, Tensor]) -> Tensor:
        logits = bench.task.logits(model, batch).float()
        return logits[:, 1] - logits[:, 0]

    return over(bench, model, bench.inputs(kind), bench.examples(part, kind), compute)


def features(bench: Bench, body: BERT, examples: Sequence[Example]) -> np.ndarray:
    """Return the mean of each text's token vectors."""

    def compute(batch: dict[str, Tensor]) -> Tensor:
        hidden = hidden_states(body, batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
        return pool(hidden.float(), batch["attention_mask"], pooling="mean")

    return over(bench, body, bench.inputs("pretrained"), examples, compute)


def linear_probe(*, seed: int) -> Any:
    """Make the one linear layer that learns from vectors."""
    linear = optional_import("sklearn.linear_model", extra="labs", purpose="to learn from a frozen body")
    scaling = optional_import("sklearn.preprocessing", extra="labs", purpose="to learn from a frozen body")
    pipeline = optional_import("sklearn.pipeline", extra="labs", purpose="to learn from a frozen body")
    layer = linear.LogisticRegression(C=0.01, max_iter=1000, random_state=seed)
    return pipeline.make_pipeline(scaling.StandardScaler(), layer)
