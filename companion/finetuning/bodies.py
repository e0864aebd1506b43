"""A pretrained model with its tokenizer, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from companion._validation import requires
from companion.models import BERT, GPT, T5, ModernDecoder, PretrainedModel
from companion.tokenization import Tokenizer, WordPiece
from companion.tokenization import load as load_tokenizer
from companion.weights import CheckpointError, open_checkpoint
from companion.weights.files import require_name

MODELS: dict[str, type[PretrainedModel]] = {model.family.model_type: model for model in (BERT, GPT, T5, ModernDecoder)}
TOKENIZER, VOCABULARY = "tokenizer.json", "vocab.txt"


@requires(lambda name_or_path, **_: require_name(name_or_path, None))
def load_body(
    name_or_path: str | Path, *, is_random: bool = False, generator: torch.Generator | None = None
) -> tuple[PretrainedModel, Tokenizer]:
    """Load a model of whatever family, and the tokenizer beside it.

    Parameters
    ----------
    name_or_path
        A folder, a model of :mod:`companion.data` such as ``"minilm"``, or a name on the Hugging Face hub.
    is_random
        Whether to draw the weights anew instead: the same architecture that has read nothing, to compare with.
    generator
        Source of weights that are drawn; torch's global one by default.

    Raises
    ------
    TypeError
        If the name is neither a string nor a path.
    companion.weights.CheckpointError
        If the model is of a family that is not built here, or has no tokenizer that is.
    FileNotFoundError, ConnectionError
        If there is no such checkpoint, it has not been fetched, or the hub cannot be reached.
    """
    with open_checkpoint(name_or_path) as checkpoint:
        kind, folder = checkpoint.config.get("model_type"), checkpoint.folder
    if kind not in MODELS:
        raise CheckpointError(f"{name_or_path} is of model_type {kind!r}, and those built here are {', '.join(MODELS)}")
    tokenizer = read_tokenizer(folder, str(name_or_path))
    body: Any = MODELS[kind].from_pretrained(name_or_path, generator=generator)
    return (type(body)(body.config, generator) if is_random else body), tokenizer


def read_tokenizer(folder: Path, source: str) -> Tokenizer:
    """Read the tokenizer in a checkpoint's folder.

    Raises
    ------
    companion.weights.CheckpointError
        If there is none, or none that is built here.
    """
    try:
        if (folder / TOKENIZER).is_file():
            return load_tokenizer(folder / TOKENIZER)
        if (folder / VOCABULARY).is_file():
            return WordPiece.from_vocab_file(folder / VOCABULARY)
    except ValueError as error:
        raise CheckpointError(f"the tokenizer of {source} cannot be read: {error}") from error
    raise CheckpointError(f"{source} has neither {TOKENIZER} nor {VOCABULARY}; put its tokenizer into {folder}")
