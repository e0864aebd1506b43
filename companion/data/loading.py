"""From a name to a dataset in memory or to the folder of a model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from companion.data.cache import require
from companion.data.registry import Row, get

if TYPE_CHECKING:
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
        Chooses which rows are held out. The choice depends on the rows' texts alone, so it is the same on every
        system and with every version of the libraries.

    Raises
    ------
    ValueError
        For an unknown name, a model's name, or an unknown split.
    FileNotFoundError
        When the source has not been fetched.
    """
    rows = rows_of(name)
    if split is not None:
        rows = part(rows, split, seed)
    from datasets import Dataset

    return Dataset.from_list(rows)


def rows_of(name: str) -> list[Row]:
    """Read all clean rows of a fetched dataset as dictionaries, without the ``datasets`` library."""
    source = get(name)
    if source.reader is None:
        raise ValueError(f"{name!r} is a model, not a dataset: use companion.data.model_path({name!r})")
    return source.reader(require(source))


def model_path(name: str) -> Path:
    """Return the folder of a fetched model, fit for transformers' ``from_pretrained``.

    Raises
    ------
    ValueError
        For an unknown name or a dataset's name.
    FileNotFoundError
        When the source has not been fetched.
    """
    source = get(name)
    if source.reader is not None:
        raise ValueError(f"{name!r} is a dataset, not a model: use companion.data.load({name!r})")
    return require(source)


def part(rows: list[Row], split: str, seed: int) -> list[Row]:
    """Return one of three disjoint parts of the rows, in an order drawn from the seed."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}")
    # Sorted by a keyed hash instead of shuffled: NumPy does not promise the same permutation in its next version.
    key = str(seed).encode()
    shuffled = sorted(rows, key=lambda row: hashlib.blake2b(row["text"].encode(), key=key[:64]).digest())
    held_out = round(HELD_OUT * len(rows))
    bounds = {"test": (0, held_out), "validation": (held_out, 2 * held_out), "train": (2 * held_out, len(rows))}
    return shuffled[slice(*bounds[split])]
