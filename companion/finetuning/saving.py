"""A fine-tuned model in a folder: weights as safetensors, the rest as JSON, the tokenizer beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from companion._validation import require_finite
from companion.finetuning.bodies import MODELS, TOKENIZER, read_tokenizer
from companion.finetuning.heads import Head
from companion.finetuning.inputs import TextInputs
from companion.finetuning.labels import LabelEncoder
from companion.finetuning.predicting import predict
from companion.finetuning.rows import RowError
from companion.finetuning.task import Task
from companion.finetuning.tasks import make_task
from companion.weights import CheckpointError, open_checkpoint
from companion.weights.files import write_checkpoint

KIND = "companion-finetuned"


@dataclass(frozen=True)
class FineTuned:
    """A model that answers: the task, the head on its body, and what encodes texts for it.

    Parameters
    ----------
    task
        Fitted to the training rows.
    model
        As the task made it.
    inputs
        With the body's tokenizer.
    """

    task: Task
    model: Head
    inputs: TextInputs

    def predict(self, rows: Sequence[dict[str, Any]], *, batch_size: int = 64) -> list[dict[str, Any]]:
        """Answer rows such as ``{"text": "A fine film."}``.

        Parameters
        ----------
        rows
            The task's columns; answers are not needed.
        batch_size
            How many go through the model together.

        Raises
        ------
        ValueError
            If a row lacks a column or has an empty text; the message says which row.
        """
        parsed = []
        for number, row in enumerate(rows):
            try:
                parsed.append(self.task.parse(row, is_labelled=False))
            except RowError as error:
                raise ValueError(f"rows[{number}]: {error}") from error
        return predict(self.task, self.model, self.inputs, parsed, batch_size=batch_size)

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json``, ``model.safetensors`` and ``tokenizer.json``, each whole or not at all.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        body = self.model.body
        config = {
            "model_type": KIND,
            "task": self.task.name,
            "columns": self.task.columns,
            "labels": None if self.task.labels is None else self.task.labels.names,
            "temperature": self.task.temperature,
            "pooling": self.model.pooling,
            "max_len": self.inputs.max_len,
            "body": type(body).family.model_type,
            "body_config": asdict(body.config),
        }
        path = write_checkpoint(folder, config, self.model.state_dict())
        self.inputs.tokenizer.save(path / TOKENIZER)
        return path

    @classmethod
    def load(cls, folder: str | Path) -> FineTuned:
        """Read what :meth:`save` wrote; nothing in it is run.

        Raises
        ------
        companion.weights.CheckpointError
            If it is something else, or damaged.
        FileNotFoundError
            If there is no such folder.
        """
        with open_checkpoint(Path(folder)) as checkpoint:
            config = checkpoint.config
            if config.get("model_type") != KIND:
                raise CheckpointError(
                    f"{folder} is of model_type {config.get('model_type')!r}, not a fine-tuned model; load it with "
                    "load_body, and fine-tune it"
                )
            try:
                task, body, max_len, pooling = _parts(config)
            except (KeyError, TypeError, ValueError) as error:
                raise CheckpointError(f"config.json of {folder} contradicts itself: {error!r}") from error
            tokenizer = read_tokenizer(checkpoint.folder, str(folder))
            model = task.make_model(body, pooling=pooling)
            shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
            found = {name: one.shape for name, one in checkpoint.tensors.items()}
            if shapes != found:
                wrong = sorted(name for name in {*shapes, *found} if shapes.get(name) != found.get(name))
                raise CheckpointError(f"{folder} has tensors that do not fit its config.json: {', '.join(wrong[:5])}")
            model.load_state_dict({name: checkpoint.read(name) for name in shapes})
        return cls(task, model.eval(), TextInputs(tokenizer, body, max_len=max_len))


def _parts(config: dict[str, Any]) -> tuple[Task, Any, int, Any]:
    task = make_task(config["task"], config["columns"])
    task.labels = None if config["labels"] is None else LabelEncoder(config["labels"])
    task.temperature = config.get("temperature", 1.0)
    require_finite("temperature", task.temperature)
    if task.temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {task.temperature}")
    kind: Any = MODELS[config["body"]]
    body = kind(kind.config_class(**config["body_config"]), torch.Generator().manual_seed(0))
    return task, body, config["max_len"], config["pooling"]
