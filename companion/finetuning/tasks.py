"""The five tasks: how each reads a row, what its model and its loss are, what it predicts, and how that is scored."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from companion import metrics
from companion.finetuning.heads import IGNORED, Head, Pooling, SpanReader, TextClassifier, TextRegressor, TokenTagger
from companion.finetuning.inputs import Encoded, Example, TextInputs, find_words
from companion.finetuning.losses import classification_loss, regression_loss, span_loss, tagging_loss
from companion.finetuning.rows import RowError
from companion.finetuning.splitting import same_text
from companion.finetuning.task import Batch, Row, Task
from companion.models import PretrainedModel
from companion.objectives import Loss

LONGEST_ANSWER = 30  # words


def _inputs_of(encoded: Encoded) -> Example:
    return {"input_ids": encoded.input_ids, "token_type_ids": encoded.token_type_ids}


class Classification(Task):
    """One label a text, such as praise or blame."""

    name = "classification"
    text_columns = ("text",)

    def encode(self, row: Row, inputs: TextInputs) -> Encoded:
        """Encode the row's text."""
        return inputs.encode(row["text"])

    def example(self, row: Row, inputs: TextInputs) -> Example:  # noqa: D102
        example = _inputs_of(self.encode(row, inputs))
        if self.answer_column in row:
            assert self.labels is not None
            example["labels"] = self.labels.encode([row[self.answer_column]])[0]
        return example

    def make_model(  # noqa: D102
        self, body: PretrainedModel, *, pooling: Pooling | None = None, generator: torch.Generator | None = None
    ) -> Head:
        return TextClassifier(body, self._n_labels(), pooling=pooling, generator=generator)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:  # noqa: D102
        weights = None if self.class_weights is None else self.class_weights.to(batch["labels"].device)
        return classification_loss(self.logits(model, batch), batch["labels"], class_weights=weights)

    def predictions(self, logits: Tensor, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:  # noqa: D102
        assert self.labels is not None
        # In double precision: numbers that are printed add up to 1.
        probabilities = (logits.float().cpu().double() / self.temperature).softmax(-1)
        best = probabilities.argmax(-1).tolist()
        return [
            {
                "predicted": name,
                "probability": row[number],
                "probabilities": dict(zip(self.labels.names, row, strict=True)),
            }
            for name, number, row in zip(self.labels.decode(best), best, probabilities.tolist(), strict=True)
        ]

    def score(self, rows: Sequence[Row], predictions: Sequence[Row]) -> dict[str, float]:  # noqa: D102
        assert self.labels is not None
        right = [row[self.answer_column] for row in rows]
        predicted = [one["predicted"] for one in predictions]
        probabilities = [list(one["probabilities"].values()) for one in predictions]
        scores = {
            "accuracy": metrics.accuracy(right, predicted),
            "macro_f1": metrics.f1(right, predicted),
            "mcc": metrics.mcc(right, predicted),
            "calibration_error": metrics.expected_calibration_error(self.labels.encode(right), probabilities),
        }
        if len(set(right)) == len(self.labels):  # without an example of each class there is nothing to rank
            scores["auc"] = metrics.auc(self.labels.encode(right), probabilities)
        return scores


class Pairs(Classification):
    """One label for two texts, such as whether one follows from the other."""

    name = "pairs"
    text_columns = ("text", "pair")

    def encode(self, row: Row, inputs: TextInputs) -> Encoded:
        """Encode the row's two texts."""
        return inputs.encode(row["text"], row["pair"])


class Regression(Task):
    """One number a text, such as a rating."""

    name = "regression"
    text_columns = ("text",)
    reads_labels = False

    def parse_answer(self, value: Any, row: Row) -> Row:
        """Check a number."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not math.isfinite(number):
            raise RowError(f"{self.columns[self.answer_column]!r} must be a number, got {value!r}")
        return {self.answer_column: number}

    def example(self, row: Row, inputs: TextInputs) -> Example:  # noqa: D102
        answer = {"labels": row[self.answer_column]} if self.answer_column in row else {}
        return _inputs_of(inputs.encode(row["text"])) | answer

    def make_model(  # noqa: D102
        self, body: PretrainedModel, *, pooling: Pooling | None = None, generator: torch.Generator | None = None
    ) -> Head:
        return TextRegressor(body, pooling=pooling, generator=generator)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:  # noqa: D102
        return regression_loss(self.logits(model, batch), batch["labels"])

    def predictions(self, logits: Tensor, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:  # noqa: D102
        return [{"predicted": value} for value in logits.float().tolist()]

    def score(self, rows: Sequence[Row], predictions: Sequence[Row]) -> dict[str, float]:  # noqa: D102
        right = torch.tensor([row[self.answer_column] for row in rows], dtype=torch.float64)
        predicted = torch.tensor([one["predicted"] for one in predictions], dtype=torch.float64)
        error = (right - predicted).square().mean().item()
        scores = {"mean_squared_error": error, "mean_absolute_error": (right - predicted).abs().mean().item()}
        if len(right) > 1 and right.std() > 0 and predicted.std() > 0:
            scores["pearson"] = torch.corrcoef(torch.stack([right, predicted]))[0, 1].item()
        return scores


class Tagging(Task):
    """One tag a word, such as B-person, I-person and O."""

    name = "tagging"
    text_columns = ("tokens",)
    answer_column = "tags"

    def parse_text(self, name: str, value: Any) -> list[str]:
        """Check a text that is cut into words."""
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(word, str) and word.strip() for word in value)
        ):
            raise RowError(f"{self.columns[name]!r} must be a list of words, none empty, got {value!r:.60}")
        return [super(Tagging, self).parse_text(name, word) for word in value]

    def parse_answer(self, value: Any, row: Row) -> Row:
        """Check the words' tags."""
        if not isinstance(value, list) or not all(isinstance(tag, str) and tag.strip() for tag in value):
            raise RowError(f"{self.columns[self.answer_column]!r} must be a list of tags, got {value!r:.60}")
        if len(value) != len(row["tokens"]):
            raise RowError(f"{len(value)} tags for {len(row['tokens'])} words")
        return {self.answer_column: value}

    def key(self, row: Row) -> str:
        """Return what makes two rows the same example."""
        return same_text(" ".join(row["tokens"]))

    def answer(self, row: Row) -> Hashable:
        """Return a row's answer, for finding contradictions."""
        return tuple(row[self.answer_column])

    def names(self, row: Row) -> list[str]:
        """Return the tags of a row."""
        return row[self.answer_column]

    def example(self, row: Row, inputs: TextInputs) -> Example:
        """Encode a row; a word's tag stands at its first piece."""
        encoded = inputs.encode_words(row["tokens"])
        first = [word if word != before else -1 for before, word in zip([-1, *encoded.words], encoded.words)]  # noqa: B905
        example = _inputs_of(encoded) | {"words": first}
        if self.answer_column in row:
            assert self.labels is not None
            numbers = self.labels.encode(row[self.answer_column])
            example["labels"] = [IGNORED if word < 0 else numbers[word] for word in first]
        return example

    def make_model(  # noqa: D102
        self, body: PretrainedModel, *, pooling: Pooling | None = None, generator: torch.Generator | None = None
    ) -> Head:
        if pooling is not None:
            raise ValueError(f"pooling must be None for tagging, which reads every token, got {pooling!r}")
        return TokenTagger(body, self._n_labels(), generator=generator)

    def loss(self, model: nn.Module, batch: Batch) -> Loss:  # noqa: D102
        weights = None if self.class_weights is None else self.class_weights.to(batch["labels"].device)
        return tagging_loss(self.logits(model, batch), batch["labels"], class_weights=weights)

    def predictions(self, logits: Tensor, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        """Return each word's tag; a word that was cut off with the text's end gets ``None``."""
        assert self.labels is not None
        predicted = []
        for scores, row, example in zip(logits.argmax(-1).tolist(), rows, examples, strict=True):
            tags: list[str | None] = [None] * len(row["tokens"])
            for position, word in enumerate(example["words"]):
                if word >= 0:
                    tags[word] = self.labels.names[scores[position]]
            predicted.append({"predicted": tags})
        return predicted

    def score(self, rows: Sequence[Row], predictions: Sequence[Row]) -> dict[str, float]:
        """Score tags, and entities where the tags are of that form; a word that was cut off counts as O."""
        right = [row[self.answer_column] for row in rows]
        predicted = [["O" if tag is None else tag for tag in one["predicted"]] for one in predictions]
        flat = [[tag for tags in side for tag in tags] for side in (right, predicted)]
        scores = {"accuracy": metrics.accuracy(*flat), "macro_f1": metrics.f1(*flat)}
        if all(tag == "O" or tag[:2] in ("B-", "I-") for side in flat for tag in side):
            entities = metrics.entity_f1(right, predicted)
            found = {"entity_f1": entities.f1, "precision": entities.precision, "recall": entities.recall}
            scores = found | scores
        return scores


class Spans(Task):
    """The answer to a question as a stretch of a text."""

    name = "spans"
    text_columns = ("question", "context")
    answer_column = "answer"
    reads_labels = False

    def parse_answer(self, value: Any, row: Row) -> Row:
        """Find the answer in the text: its first place, or the one that is given as ``{"text": ..., "start": ...}``."""
        start = None
        if isinstance(value, dict):
            value, start = value.get("text"), value.get("start")
        if not isinstance(value, str) or not value.strip():
            raise RowError(f"{self.columns[self.answer_column]!r} must be a text that is not empty, got {value!r:.60}")
        value = value.strip()
        if start is None:
            start = row["context"].find(value)
        if not isinstance(start, int) or row["context"][start : start + len(value)] != value or start < 0:
            raise RowError(f"the answer {value!r:.60} is not in the context" + (f" at {start}" if start >= 0 else ""))
        if not self._words(row["context"], start, start + len(value)):
            raise RowError(f"the answer {value!r:.60} has no word")
        return {self.answer_column: value, "start": start}

    @staticmethod
    def _words(context: str, start: int, end: int) -> list[int]:
        return [number for number, (a, b) in enumerate(find_words(context)) if a < end and b > start]

    def example(self, row: Row, inputs: TextInputs) -> Example:
        """Encode a row; an answer that was cut off with the text's end is no label."""
        spans = find_words(row["context"])
        # With the space before it, which tokenizers of bytes keep.
        before = [0, *(end for _, end in spans[:-1])]
        encoded = inputs.encode_question(
            row["question"], [row["context"][a:end] for a, (_, end) in zip(before, spans, strict=True)]
        )
        example = _inputs_of(encoded) | {"words": encoded.words}
        example["is_context"] = [int(word >= 0) for word in encoded.words]
        if self.answer_column in row:
            wanted = self._words(row["context"], row["start"], row["start"] + len(row[self.answer_column]))
            places = [position for position, word in enumerate(encoded.words) if word in (wanted[0], wanted[-1])]
            whole = places and encoded.words[places[0]] == wanted[0] and encoded.words[places[-1]] == wanted[-1]
            example["first"], example["last"] = (places[0], places[-1]) if whole else (IGNORED, IGNORED)
        return example

    def make_model(  # noqa: D102
        self, body: PretrainedModel, *, pooling: Pooling | None = None, generator: torch.Generator | None = None
    ) -> Head:
        if pooling is not None:
            raise ValueError(f"pooling must be None for spans, which reads every token, got {pooling!r}")
        return SpanReader(body, generator=generator)

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:  # noqa: D102
        names = ("input_ids", "attention_mask", "token_type_ids", "is_context")
        return model(**{name: batch[name] for name in names if name in batch})

    def loss(self, model: nn.Module, batch: Batch) -> Loss:  # noqa: D102
        return span_loss(self.logits(model, batch), torch.stack([batch["first"], batch["last"]], dim=1))

    def predictions(self, logits: Tensor, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:  # noqa: D102
        return [self._best(*one) for one in zip(logits.float().cpu(), rows, examples, strict=True)]

    def _best(self, scores: Tensor, row: Row, example: Example) -> Row:
        """Choose the likeliest stretch that ends behind its beginning and is not too long."""
        words = torch.tensor(example["words"])
        inside = (words >= 0).nonzero().flatten()
        if not len(inside):  # the question alone filled the row
            return {"predicted": "", "probability": 0.0}
        words = words[inside]
        chances = scores[:, : len(example["words"])].softmax(-1)[:, inside]
        length = words[None] - words[:, None]
        joint = chances[0][:, None] * chances[1][None]
        joint = joint.masked_fill((torch.ones_like(joint).tril(-1) == 1) | (length >= LONGEST_ANSWER), -1.0)
        best = int(joint.argmax())
        first, last = divmod(best, len(words))
        spans = find_words(row["context"])
        answer = row["context"][spans[int(words[first])][0] : spans[int(words[last])][1]]
        return {"predicted": answer, "probability": float(joint.flatten()[best])}

    def score(self, rows: Sequence[Row], predictions: Sequence[Row]) -> dict[str, float]:  # noqa: D102
        right = [row[self.answer_column] for row in rows]
        predicted = [one["predicted"] for one in predictions]
        return {
            "exact_match": metrics.exact_match(right, predicted),
            "token_f1": metrics.token_f1(right, predicted),
        }


TASKS: dict[str, type[Task]] = {task.name: task for task in (Classification, Pairs, Regression, Tagging, Spans)}


def make_task(name: str, columns: dict[str, str] | None = None) -> Task:
    """Make a task by its name.

    Raises
    ------
    ValueError
        If there is none of that name, or it has no such column.
    """
    if name not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {name!r}")
    return TASKS[name](columns)
