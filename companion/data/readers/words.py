"""Words: pretrained vectors and the sets on which vectors are tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion._optional import optional_import
from companion.data.arrays import read_array
from companion.data.errors import DataError

if TYPE_CHECKING:
    import numpy as np

WORD_PAIRS = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}


def read_word_pairs(folder: Path) -> list[dict[str, Any]]:
    """Read the pairs with people's mean scores (0 to 10), as published."""
    return [
        {"set": name, "word1": word1, "word2": word2, "score": float(score)}
        for name, file in WORD_PAIRS.items()
        for word1, word2, score in _table(folder / file)
    ]


def _table(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split("\t")


def read_analogies(folder: Path) -> list[dict[str, Any]]:
    """Read the questions "a is to b as c is to d", as published, each with the section it stands in."""
    rows = []
    section = ""
    for line in (folder / "questions-words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(":"):
            section = line[1:].strip()
        else:
            rows.append({"section": section, **dict(zip("abcd", line.split(), strict=True))})
    return rows


def read_glove(folder: Path) -> tuple[list[str], np.ndarray]:
    """Read the words and their vectors, in the order of the words' frequency."""
    parquet = optional_import("pyarrow.parquet", extra="labs", purpose="to read the words of the vectors")
    words = parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    matrix = read_array(folder / "glove_6B_50d_emb.npy")
    if matrix.shape != (len(words), 50):
        raise DataError(f"{folder} holds {len(words)} words but vectors of shape {matrix.shape}; fetch it again")
    return words, matrix
