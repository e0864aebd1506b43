"""From a name to a dataset or vectors in memory, or to the folder of a model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion._optional import optional_import
from companion.data.cache import require
from companion.data.registry import get
from companion.data.source import Row, Source

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.05  # of the rows, for each of validation and test


def load(name: str, split: str | None = None, seed: int = 0) -> Dataset:
    """Load a fetched dataset into memory, clean and without duplicates.

    Parameters
    ----------
    name : str
        A dataset of `companion.data.sources`.
    split : {"train", "validation", "test"} or None
        One of three disjoint parts (90, 5 and 5 percent), or all rows in the source's order.
    seed : int
        Chooses which rows are held out. The choice depends on the rows' texts alone (for the interface strings on
        their keys, so that the translations of a string stay together): it is the same on every system and with every
        version of the libraries.

    Raises
    ------
    ValueError
        For an unknown name, a name that is no dataset's, an unknown split, or a split of a test set.
    FileNotFoundError
        When the source has not been fetched.
    ImportError
        When the ``datasets`` library is missing; the message says how to install it.
    """
    rows = rows_of(name)
    if split is not None:
        rows = part(rows, split, seed, get(name).split_by)
    datasets = optional_import("datasets", extra="labs", purpose="to return rows as a table")
    return datasets.Dataset.from_list(rows)


def rows_of(name: str) -> list[Row]:
    """Read all clean rows of a fetched dataset as dictionaries, without the ``datasets`` library."""
    return _read(get(name), "dataset")


def load_vectors(name: str) -> tuple[list[str], np.ndarray]:
    """Load fetched word vectors.

    Returns
    -------
    words : list of str
        In the order of the rows of ``matrix``, the most frequent first.
    matrix : ndarray of float32
        One row a word.

    Raises
    ------
    ValueError
        For an unknown name, or one that does not hold vectors.
    FileNotFoundError
        When the source has not been fetched.
    ImportError
        When a package that reads them is missing; the message says how to install it.
    """
    return _read(get(name), "vectors")


def model_path(name: str) -> Path:
    """Return the folder of a fetched model (fit for transformers' ``from_pretrained``) or vocabulary.

    Raises
    ------
    ValueError
        For an unknown name, or one that is read with `load` or `load_vectors`.
    FileNotFoundError
        When the source has not been fetched.
    """
    source = get(name)
    _require_kind(source, "model", "vocabulary")
    return require(source)


_FUNCTIONS = {"dataset": "load", "vectors": "load_vectors", "vocabulary": "model_path", "model": "model_path"}


def _require_kind(source: Source, *kinds: str) -> None:
    if source.kind not in kinds:
        raise ValueError(
            f"{source.name!r} is of the kind {source.kind!r}, not {' or '.join(map(repr, kinds))}: "
            f"use companion.data.{_FUNCTIONS[source.kind]}({source.name!r})"
        )


def _read(source: Source, kind: str) -> Any:
    _require_kind(source, kind)
    assert source.reader is not None  # as its declaration was checked
    return source.reader(require(source))


def part(rows: list[Row], split: str, seed: int, by: str | None = "text") -> list[Row]:
    """Return one of three disjoint parts of the rows, in an order drawn from the seed.

    Rows whose column ``by`` is equal stay together: the translations of one sentence, say.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}")
    if by is None:
        raise ValueError(f"split must be None for a test set, which has no parts; got {split!r}")
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[by], []).append(row)
    # Sorted by a keyed hash instead of shuffled: NumPy does not promise the same permutation in its next version.
    key = str(seed).encode()[:64]
    shuffled = sorted(groups, key=lambda value: hashlib.blake2b(value.encode(), key=key).digest())
    held_out = round(HELD_OUT * len(groups))
    bounds = {"test": (0, held_out), "validation": (held_out, 2 * held_out), "train": (2 * held_out, len(groups))}
    return [row for value in shuffled[slice(*bounds[split])] for row in groups[value]]
