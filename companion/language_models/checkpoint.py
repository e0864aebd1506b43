"""Trained models on disk: weights as safetensors, and beside them a record of how they came to be."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from companion._validation import describe, requires
from companion.language_models.neural import NeuralConfig, NeuralModel
from companion.language_models.vocabulary import Vocabulary

FOLDER = Path(__file__).parent / "checkpoints"


def fingerprint(vocabulary: Vocabulary) -> str:
    """Return a checksum of the tokens in their order: the words themselves are not stored."""
    return hashlib.sha256(json.dumps(vocabulary.tokens, ensure_ascii=True).encode()).hexdigest()


def save(path: Path, model: NeuralModel, vocabulary: Vocabulary, record: dict[str, Any]) -> None:
    """Write a model in 16 bits as ``path``.safetensors and its record as ``path``.json, each whole or not at all.

    Parameters
    ----------
    path
        Where to write, without an ending.
    model
        The model.
    vocabulary
        Its tokens, of which a checksum is kept.
    record
        How it was made, for people: command, data, figures. Numbers, strings, lists and dictionaries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: weight.half().contiguous() for name, weight in model.state_dict().items()}
    record = {**record, "config": asdict(model.config), "vocabulary_sha256": fingerprint(vocabulary)}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        weights, notes = Path(folder) / "weights", Path(folder) / "notes"
        save_file(halves, weights)
        notes.write_text(json.dumps(record, indent=1) + "\n", "utf8")
        weights.chmod(0o644)
        weights.replace(path.with_suffix(".safetensors"))
        notes.replace(path.with_suffix(".json"))


def _check_load(path: Any, vocabulary: Any) -> None:
    if not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"vocabulary must be a Vocabulary, got {describe(vocabulary)}")


@requires(_check_load)
def load(path: Path | str, vocabulary: Vocabulary) -> tuple[NeuralModel, dict[str, Any]]:
    """Read a model and its record.

    Parameters
    ----------
    path
        Where they are, without an ending; a bare name is looked up among the package's own.
    vocabulary
        The tokens it was trained with, in their order.

    Returns
    -------
    model, record
        The model in 32 bits and evaluation mode, and what :func:`save` was told.

    Raises
    ------
    FileNotFoundError
        If there is no such checkpoint.
    TypeError
        If the vocabulary is none.
    ValueError
        If the vocabulary is another one, or a file is damaged.
    """
    path = FOLDER / path if Path(path).name == str(path) else Path(path)
    for file in (path.with_suffix(".json"), path.with_suffix(".safetensors")):
        if not file.is_file():
            raise FileNotFoundError(
                f"path must be that of a checkpoint, without an ending, but {file} does not exist; "
                f"the package's own are {', '.join(sorted(own.stem for own in FOLDER.glob('*.json')))}"
            )
    try:
        return _read(path, vocabulary)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, SafetensorError) as error:
        raise ValueError(f"path must be that of a whole checkpoint, but {path} is damaged: {error}") from error


def _read(path: Path, vocabulary: Vocabulary) -> tuple[NeuralModel, dict[str, Any]]:
    record = json.loads(path.with_suffix(".json").read_text("utf8"))
    if fingerprint(vocabulary) != record["vocabulary_sha256"]:
        raise ValueError(
            f"vocabulary must be the one that {path.name!r} was trained with ({record['data']}), got another one of "
            f"{len(vocabulary)} tokens"
        )
    model = NeuralModel(NeuralConfig(**record["config"]))
    weights = load_file(path.with_suffix(".safetensors"))
    model.load_state_dict({name: weight.to(torch.float32) for name, weight in weights.items()})
    return model.eval(), record
