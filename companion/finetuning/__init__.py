"""Fine-tuning: heads on pretrained models, users' own data, and the same training three ways."""

from companion.finetuning.heads import (
    SpanReader,
    TextClassifier,
    TextRegressor,
    TokenTagger,
    default_pooling,
    hidden_states,
    pool,
)
from companion.finetuning.inputs import Encoded, LabelledBatches, TextInputs, find_words
from companion.finetuning.labels import LabelEncoder
from companion.finetuning.loops import train_by_hand, train_with_companion, train_with_transformers
from companion.finetuning.losses import (
    balanced_weights,
    classification_loss,
    regression_loss,
    span_loss,
    tagging_loss,
)
from companion.finetuning.optimization import freeze_body, layer_groups
from companion.finetuning.predicting import evaluate, predict
from companion.finetuning.rows import LeftOut, RowError, Table, read_rows
from companion.finetuning.splitting import Distinct, drop_repeated, same_text, split_rows
from companion.finetuning.task import Task
from companion.finetuning.tasks import TASKS, Classification, Pairs, Regression, Spans, Tagging, make_task

__all__ = [
    "TASKS",
    "Classification",
    "Distinct",
    "Encoded",
    "LabelEncoder",
    "LabelledBatches",
    "LeftOut",
    "Pairs",
    "Regression",
    "RowError",
    "SpanReader",
    "Spans",
    "Table",
    "Tagging",
    "Task",
    "TextClassifier",
    "TextInputs",
    "TextRegressor",
    "TokenTagger",
    "balanced_weights",
    "classification_loss",
    "default_pooling",
    "drop_repeated",
    "evaluate",
    "find_words",
    "freeze_body",
    "hidden_states",
    "layer_groups",
    "make_task",
    "pool",
    "predict",
    "read_rows",
    "regression_loss",
    "same_text",
    "span_loss",
    "split_rows",
    "tagging_loss",
    "train_by_hand",
    "train_with_companion",
    "train_with_transformers",
]
