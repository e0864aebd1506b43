"""What a task is: it reads rows, makes a model and its loss, predicts, and scores what it predicted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from companion._validation import describe
from companion.finetuning.heads import Head, Pooling
from companion.finetuning.inputs import Example, TextInputs
from companion.finetuning.labels import LabelEncoder, label_name
from companion.finetuning.losses import balanced_weights
from companion.finetuning.rows import RowError
from companion.finetuning.splitting import same_text
from companion.models import PretrainedModel
from companion.objectives import Loss

Row = dict[str, Any]
Batch = dict[str, Tensor]


class Task(ABC):
    """What is asked of a text.

    Parameters
    ----------
    columns
        The names that the task's columns have in the data, where they differ from the task's own.

    Raises
    ------
    ValueError
        If the task has no such column.
    """

    name: ClassVar[str]
    text_columns: ClassVar[tuple[str, ...]]
    answer_column: ClassVar[str] = "label"
    reads_labels: ClassVar[bool] = True
    """Whether answers are labels of a closed set, with a :class:`LabelEncoder`."""

    def __init__(self, columns: dict[str, str] | None = None) -> None:
        own = (*self.text_columns, self.answer_column)
        self.columns = {name: name for name in own} | (columns or {})
        if unknown := sorted(set(self.columns) - set(own)):
            raise ValueError(f"columns must be of {', '.join(own)} for {self.name}, got {', '.join(unknown)}")
        self.labels: LabelEncoder | None = None
        self.class_weights: Tensor | None = None
        self.temperature = 1.0
        """What scores are divided by before they become probabilities; see :func:`fit_temperature`."""

    # Rows

    def parse(self, values: Row, *, is_labelled: bool = True) -> Row:
        """Take what the task needs out of a row of the data.

        Raises
        ------
        RowError
            If something is missing, empty or of the wrong kind.
        """
        row = {name: self.parse_text(name, self._value(values, name)) for name in self.text_columns}
        if is_labelled:
            row |= self.parse_answer(self._value(values, self.answer_column), row)
        return row

    def _value(self, values: Row, name: str) -> Any:
        column = self.columns[name]
        if column not in values:
            raise RowError(f"there is no {column!r}, only {', '.join(map(repr, values)) or 'nothing'}")
        return values[column]

    def parse_text(self, name: str, value: Any) -> Any:
        """Check a text."""
        if not isinstance(value, str):
            raise RowError(f"{self.columns[name]!r} must be a text, got {describe(value)}")
        if not value.strip():
            raise RowError(f"{self.columns[name]!r} is empty")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise RowError(f"{self.columns[name]!r} has half a character (a lone surrogate)")
        return value.strip()

    def parse_answer(self, value: Any, row: Row) -> Row:
        """Check an answer."""
        try:
            return {self.answer_column: label_name(value)}
        except (TypeError, ValueError) as error:
            raise RowError(f"{self.columns[self.answer_column]!r}: {error}") from error

    def key(self, row: Row) -> str:
        """Return what makes two rows the same example."""
        return same_text(*(row[name] for name in self.text_columns))

    def answer(self, row: Row) -> Hashable:
        """Return a row's answer, for finding contradictions."""
        return row[self.answer_column]

    # Labels

    def fit(self, rows: Sequence[Row], *, is_balanced: bool = False) -> None:
        """Learn the labels from the training rows, and their weights if they are to count the same.

        Raises
        ------
        ValueError
            If there is one label only.
        """
        if not self.reads_labels:
            if is_balanced:
                raise ValueError(f"class weights are for tasks with labels, and {self.name} has none")
            return
        occurring = [name for row in rows for name in self.names(row)]
        self.labels = LabelEncoder.fit(occurring)
        if len(self.labels) < 2:
            raise ValueError(f"the training data must have two labels or more, got only {self.labels.names}")
        if is_balanced:
            self.class_weights = balanced_weights(self.labels.encode(occurring), len(self.labels))

    def names(self, row: Row) -> list[str]:
        """Return the labels in a row's answer."""
        return [row[self.answer_column]]

    def check(self, rows: Sequence[Row]) -> None:
        """Raise if rows have labels that were not in training.

        Raises
        ------
        ValueError
            Listing them.
        """
        if self.labels is not None:
            self.labels.encode(name for row in rows for name in self.names(row))

    # Model

    @abstractmethod
    def make_model(
        self, body: PretrainedModel, *, pooling: Pooling | None = None, generator: torch.Generator | None = None
    ) -> Head:
        """Put the task's head on a body."""

    @abstractmethod
    def example(self, row: Row, inputs: TextInputs) -> Example:
        """Encode a row; its answer, where it has one, becomes ``labels``."""

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        """Run the model on a batch."""
        names = ("input_ids", "attention_mask", "token_type_ids")
        return model(**{name: batch[name] for name in names if name in batch})

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Compute the loss of a batch, as the trainer wants it."""

    # Answers

    @abstractmethod
    def predictions(self, logits: Tensor, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        """Return what the scores of one batch say of its rows, as JSON can hold it: ``predicted`` and how sure."""

    @abstractmethod
    def score(self, rows: Sequence[Row], predictions: Sequence[Row]) -> dict[str, float]:
        """Score predictions; the first is the task's main figure."""

    def _n_labels(self) -> int:
        if self.labels is None:
            raise RuntimeError("the task knows no labels yet: fit it to the training rows first")
        return len(self.labels)
