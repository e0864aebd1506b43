"""Our own checkpoints by name: the model, its tokenizer, and the records of how both were made."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from companion._validation import describe, requires
from companion.data import PACKAGED, packaged_path
from companion.models import BERT, GPT, T5, PretrainedModel
from companion.pretraining.names import CONFIG, EVALUATION, RECORD, TOKENIZER
from companion.tokenization import Tokenizer
from companion.tokenization import load as load_tokenizer
from companion.weights import CheckpointError

CLASSES: dict[str, type[PretrainedModel]] = {one.family.model_type: one for one in (GPT, BERT, T5)}


class Pretrained(NamedTuple):
    """A trained model and the tokenizer that it reads with."""

    model: Any
    tokenizer: Tokenizer


def _check_name(name: Any) -> None:
    if not isinstance(name, (str, Path)):
        raise TypeError(f"name must be a string or a path, got {describe(name)}")


def checkpoint_folder(name: str | Path) -> Path:
    """Return the folder of a checkpoint: one that is named, or that of one of our own.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    """
    folder = Path(name).expanduser()
    if str(name) and folder.is_dir():
        return folder
    if str(name) in PACKAGED:
        return packaged_path(str(name))
    raise FileNotFoundError(f"name must be a folder or one of {', '.join(PACKAGED)}, got {str(name)!r}")


@requires(_check_name)
def load_checkpoint(name: str | Path) -> Pretrained:
    """Load one of our own checkpoints, or one that ``companion pretrain`` has written.

    Parameters
    ----------
    name
        ``"tiny-gpt"``, ``"tiny-bert"``, ``"tiny-t5"`` or ``"tiny-bert-zh"``; or a folder.

    Returns
    -------
    Pretrained
        The model, in 32 bits and evaluation mode, and its tokenizer.

    Raises
    ------
    TypeError
        If the name is neither a string nor a path.
    FileNotFoundError
        If there is no such checkpoint.
    companion.weights.CheckpointError
        If a file of it is missing or damaged, or it is of a family that is not pretrained here.
    """
    folder = checkpoint_folder(name)
    try:
        kind = json.loads((folder / CONFIG).read_text("utf-8")).get("model_type")
        tokenizer = load_tokenizer(folder / TOKENIZER)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} is no whole checkpoint: {error}") from error
    if kind not in CLASSES:
        raise CheckpointError(f"{folder} is of model_type {kind!r}, and those pretrained here are {', '.join(CLASSES)}")
    return Pretrained(CLASSES[kind].from_pretrained(folder), tokenizer)


def read_record(name: str | Path) -> dict[str, Any]:
    """Return how a checkpoint was made: command, steps, seed, preset, texts and versions."""
    return json.loads((checkpoint_folder(name) / RECORD).read_text("utf-8"))


def read_evaluation(name: str | Path) -> dict[str, Any]:
    """Return what was measured of a checkpoint: parameters, figures and examples."""
    return json.loads((checkpoint_folder(name) / EVALUATION).read_text("utf-8"))
