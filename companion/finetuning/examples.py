"""The rows of a run: read, made distinct, split, and each that is not used told with its reason."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from companion.data.corpus.order import permutation
from companion.data.loading import rows_of
from companion.data.registry import get, sources
from companion.finetuning.rows import LeftOut, RowError, Table, read_rows
from companion.finetuning.splitting import drop_repeated, split_rows
from companion.finetuning.task import Row, Task

PARTS = ("train", "validation", "test")


@dataclass
class Examples:
    """Rows to train on, to watch the training by, and to score at the end."""

    train: list[Row]
    validation: list[Row]
    test: list[Row]
    left_out: dict[str, list[LeftOut]] = field(default_factory=dict)
    """What is not used, by the file it stands in."""

    def fingerprint(self) -> str:
        """Return a checksum of all rows in their parts; other data, or another split, has another."""
        content = json.dumps([self.train, self.validation, self.test], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_source(task: Task, data: str | Path, columns: list[str] | None = None) -> Table:
    """Read a dataset of :mod:`companion.data` by name, or a file.

    Raises
    ------
    ValueError
        If it is neither, or its rows have none of the task's columns.
    FileNotFoundError
        If there is no such file, or the dataset has not been fetched.
    """
    datasets = [source.name for source in sources() if source.kind == "dataset"]
    if str(data) in datasets:
        return _read_dataset(task, str(data))
    if not Path(data).exists():
        raise FileNotFoundError(f"data must be a file or one of {', '.join(datasets)}, got {str(data)!r}")
    return read_rows(data, task.parse, columns=columns)


def _read_dataset(task: Task, name: str) -> Table:
    table, group = Table(name), get(name).split_by
    for line, values in enumerate(rows_of(name), start=1):
        try:
            row = task.parse(values)
        except RowError as error:
            table.left_out.append(LeftOut(line, str(error), ""))
            continue
        if group not in (None, "text"):
            row["group"] = values[group]
        table.rows.append(row | {"line": line})
    return table


def gather(
    task: Task,
    data: str | Path,
    *,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    held_out: float = 0.1,
    limit: int | None = None,
    columns: list[str] | None = None,
    skips_bad_rows: bool = False,
    seed: int = 0,
) -> Examples:
    """Read the rows of a run, in three parts that share no example.

    Parameters
    ----------
    task
        Reads the rows.
    data
        A dataset's name or a file to train on.
    validation, test
        Files for these parts; what is not given is set apart from the training data.
    held_out
        The share that is set apart for each such part.
    limit
        Train on so many rows at most, drawn at random.
    columns
        The names of a table's columns if it has no line of names.
    skips_bad_rows
        Whether rows that cannot be used are left out, with a report; else they are an error.
    seed
        Of all drawing.

    Raises
    ------
    ValueError
        If a row cannot be used and none may be skipped, or too few rows are left.
    OSError
        If a file cannot be read.
    """
    given = {"train": data, "validation": validation, "test": test}
    left_out: dict[str, list[LeftOut]] = {}
    rows: dict[str, list[Row]] = {}
    for part, source in given.items():
        if source is None:
            continue
        table = read_source(task, source, columns)
        if not skips_bad_rows:
            table.require_whole()
        distinct = drop_repeated(table.rows, task.key, task.answer)
        rows[part] = distinct.rows
        left_out[str(source)] = sorted([*table.left_out, *distinct.left_out])
    _keep_apart(task, rows, {part: str(source) for part, source in given.items()}, left_out)
    missing = [part for part in PARTS if part not in rows]
    if len(rows["train"]) <= len(missing):
        reasons = sum(map(len, left_out.values()))
        raise ValueError(
            f"{data} must hold more examples, got {len(rows['train'])} that can be used, {reasons} left out"
        )
    train, *parts = split_rows(rows["train"], [held_out] * len(missing), seed=seed)
    rows |= dict(zip(missing, parts, strict=True))
    if limit is not None and limit < len(train):
        train = [train[i] for i in permutation(len(train), "limit", seed)[:limit].tolist()]
    return Examples(train, rows["validation"], rows["test"], left_out)


def _keep_apart(
    task: Task, rows: dict[str, list[Row]], names: dict[str, str], left_out: dict[str, list[LeftOut]]
) -> None:
    """Take out of each part what stands in a later one: the test stays as it was given."""
    for part, later in (("validation", ["test"]), ("train", ["validation", "test"])):
        where = {task.key(row): (other, row["line"]) for other in later for row in rows.get(other, [])}
        kept: list[Any] = []
        for row in rows.get(part, []):
            key = task.key(row)
            if key in where:
                other, line = where[key]
                reason = f"also line {line} of the {other} data"
                left_out[names[part]].append(LeftOut(row["line"], reason, key[:80]))
            else:
                kept.append(row)
        if part in rows:
            rows[part] = kept
