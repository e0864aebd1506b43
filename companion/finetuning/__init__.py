"""Fine-tuning: heads on pretrained models, users' own data, and the same training three ways.

Names are imported on first use, so that the command line can list its commands without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion.finetuning.baseline import tfidf_classifier
    from companion.finetuning.bodies import load_body
    from companion.finetuning.calibration import fit_temperature
    from companion.finetuning.examples import Examples, gather
    from companion.finetuning.heads import (
        Head,
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
    from companion.finetuning.results import Run, Study, load_study
    from companion.finetuning.rows import LeftOut, RowError, Table, read_rows
    from companion.finetuning.run import FineTuning, finetune
    from companion.finetuning.saving import FineTuned
    from companion.finetuning.splitting import Distinct, drop_repeated, same_text, split_rows
    from companion.finetuning.task import Task
    from companion.finetuning.tasks import TASKS, Classification, Pairs, Regression, Spans, Tagging, make_task

__all__ = [
    "TASKS",
    "Classification",
    "Distinct",
    "Encoded",
    "Examples",
    "FineTuned",
    "FineTuning",
    "Head",
    "LabelEncoder",
    "LabelledBatches",
    "LeftOut",
    "Pairs",
    "Regression",
    "RowError",
    "Run",
    "SpanReader",
    "Spans",
    "Study",
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
    "finetune",
    "fit_temperature",
    "freeze_body",
    "gather",
    "hidden_states",
    "layer_groups",
    "load_body",
    "load_study",
    "make_task",
    "pool",
    "predict",
    "read_rows",
    "regression_loss",
    "same_text",
    "span_loss",
    "split_rows",
    "tagging_loss",
    "tfidf_classifier",
    "train_by_hand",
    "train_with_companion",
    "train_with_transformers",
]

_HOMES = {
    "baseline": ("tfidf_classifier",),
    "bodies": ("load_body",),
    "calibration": ("fit_temperature",),
    "examples": (
        "Examples",
        "gather",
    ),
    "heads": (
        "Head",
        "SpanReader",
        "TextClassifier",
        "TextRegressor",
        "TokenTagger",
        "default_pooling",
        "hidden_states",
        "pool",
    ),
    "inputs": (
        "Encoded",
        "LabelledBatches",
        "TextInputs",
        "find_words",
    ),
    "labels": ("LabelEncoder",),
    "loops": (
        "train_by_hand",
        "train_with_companion",
        "train_with_transformers",
    ),
    "losses": (
        "balanced_weights",
        "classification_loss",
        "regression_loss",
        "span_loss",
        "tagging_loss",
    ),
    "optimization": (
        "freeze_body",
        "layer_groups",
    ),
    "predicting": (
        "evaluate",
        "predict",
    ),
    "results": (
        "Run",
        "Study",
        "load_study",
    ),
    "rows": (
        "LeftOut",
        "RowError",
        "Table",
        "read_rows",
    ),
    "run": (
        "FineTuning",
        "finetune",
    ),
    "saving": ("FineTuned",),
    "splitting": (
        "Distinct",
        "drop_repeated",
        "same_text",
        "split_rows",
    ),
    "task": ("Task",),
    "tasks": (
        "Classification",
        "Pairs",
        "Regression",
        "Spans",
        "TASKS",
        "Tagging",
        "make_task",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
