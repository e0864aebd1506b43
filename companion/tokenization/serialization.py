"""Read a ``tokenizer.json`` of whatever kind."""

import json
import os
from pathlib import Path

from companion.tokenization.base import Tokenizer
from companion.tokenization.bpe import ByteLevelBPE
from companion.tokenization.unigram import Unigram
from companion.tokenization.wordpiece import WordPiece

_READERS = {"BPE": ByteLevelBPE.from_json, "WordPiece": WordPiece.from_json, "Unigram": Unigram.from_json}


def load(path: str | os.PathLike[str]) -> Tokenizer:
    """Load a tokenizer that `Tokenizer.save` or ``tokenizers`` saved.

    Its ids are those of ``tokenizers`` with ``add_special_tokens=False`` and ``encode_special_tokens=True``: nothing is
    put around the text, and a special token in the text is ordinary characters.

    Parameters
    ----------
    path
        The file, usually called ``tokenizer.json``.

    Raises
    ------
    ValueError
        If the file is not such a file, or asks for something that no tokenizer here does.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        model = content["model"]
        read = _READERS[model.get("type", "BPE" if "merges" in model else None)]  # GPT-2's own file gives no type
    except (ValueError, TypeError, AttributeError):
        raise ValueError(f"path must be a tokenizer.json, got {os.fspath(path)!r}") from None
    except KeyError as error:
        raise ValueError(
            f"path must be a tokenizer.json whose model has one of the types {sorted(_READERS)}, "
            f"got {os.fspath(path)!r} with {error}"
        ) from None
    try:
        return read(content)
    except KeyError as error:
        raise ValueError(f"path must be a whole tokenizer.json, but {os.fspath(path)!r} lacks {error}") from None
