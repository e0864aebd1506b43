"""Texts out of files and pipes of any size: one a line, or in a column; a bad line is told and the next one read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from companion._validation import describe, require_count, requires
from companion.finetuning import Classification, LeftOut, RowError
from companion.finetuning.lines import ByteStream, Line, Record, TableError, left_out, read_lines, read_records

KINDS = ("text", "jsonl", "csv", "tsv")
SUFFIXES = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
}
LONGEST = 1 << 20
COLUMN = "text"


class Text(NamedTuple):
    """A text, and the line it begins in."""

    line: int
    text: str


def check_source(source: Any, *, column: Any = None, kind: Any = None, longest: Any = LONGEST, **_: Any) -> None:
    """Raise unless these are arguments of :func:`read_texts`."""
    if not isinstance(source, str | Path) and not callable(getattr(source, "read", None)):
        raise TypeError(f"source must be a path or an open binary file, got {describe(source)[:200]}")
    if column is not None and not isinstance(column, str):
        raise TypeError(f"column must be a name, got {describe(column)}")
    if kind not in (None, *KINDS):
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {describe(kind)}")
    if kind == "text" and column is not None:
        raise ValueError(
            f"column must be None where every line is a text, got {column!r}; say which kind of table it is"
        )
    require_count("longest", longest)


@requires(check_source)
def read_texts(
    source: str | Path | ByteStream, *, column: str | None = None, kind: str | None = None, longest: int = LONGEST
) -> Iterator[Text | LeftOut]:
    """Read texts lazily, keeping no more than a line; tell each line that holds none.

    Parameters
    ----------
    source, column, kind, longest
        As in :func:`classify_file`.

    Raises
    ------
    TableError
        If the file is no table of that kind, when the first text is asked for.
    """
    return _texts(source, column, kind, longest)


def _texts(source: Any, column: str | None, kind: str | None, longest: int) -> Iterator[Text | LeftOut]:
    is_path = isinstance(source, str | Path)
    with Path(source).open("rb") if is_path else nullcontext(source) as stream:
        lines = read_lines(stream, longest=longest)
        kind = kind or (SUFFIXES.get(Path(source).suffix.lower()) if is_path else None)
        if kind is None:
            kind, lines = _guess(lines, column)
        if kind == "text":
            if column is not None:
                raise TableError(f"has no column {column!r}, since every line of it is a text")
            for line in lines:
                yield line if isinstance(line, LeftOut) else _plain(line)
            return
        task = Classification({"text": column or COLUMN})
        for row in read_records(lines, kind, tells_empty=True):
            yield row if isinstance(row, LeftOut) else _of_record(row, task, kind)


def take_texts(texts: Iterable[str]) -> Iterator[Text | LeftOut]:
    """Take texts that are in memory already as if they were lines."""
    task = Classification()
    return (
        _of_record(Record(number, {COLUMN: text}, text), task, "jsonl") for number, text in enumerate(texts, start=1)
    )


def _plain(line: Line) -> Text | LeftOut:
    if not line.text.strip():
        return LeftOut(line.number, "the line is empty", "")
    return Text(line.number, line.text.strip())


def _of_record(row: Record, task: Classification, kind: str) -> Text | LeftOut:
    try:
        return Text(row.line, task.parse(row.values, is_labelled=False)["text"])
    except RowError as error:
        if kind != "jsonl" and task.columns["text"] not in row.values:  # nor will any other row have it
            raise TableError(f"has a table without the column asked for: {error}") from error
        return left_out(row.line, str(error), row.content)


def _guess(lines: Iterator[Line | LeftOut], column: str | None) -> tuple[str, Iterator[Line | LeftOut]]:
    """Tell by the first line what a pipe brings: objects of JSON, a table with the column asked for, or plain text."""
    first = next(lines, None)
    if first is None:
        return "text" if column is None else "jsonl", iter(())
    lines = chain([first], lines)
    text = first.text if isinstance(first, Line) else ""
    if text.lstrip().startswith("["):
        _refuse_list(text)
    if re.match(r'\s*\{\s*"', text):
        return "jsonl", lines
    names = {kind: [name.strip(' "') for name in text.split(sign)] for kind, sign in (("tsv", "\t"), ("csv", ","))}
    if (column or COLUMN) in names["tsv"] and (column is not None or len(names["tsv"]) > 1):
        return "tsv", lines
    if column is None:
        return "text", lines
    if column in names["csv"]:
        return "csv", lines
    raise TableError(
        f"has no column {column!r} in its first line, {text[:80]!r}; give the kind of table, or another column"
    )


def _refuse_list(text: str) -> None:
    try:
        is_json = text.strip() == "[" or isinstance(json.loads(text.strip().removesuffix(",") + "]"), list)
    except (ValueError, RecursionError):
        is_json = text.lstrip().startswith('[{"')
    if is_json:
        raise TableError("is a list of JSON, which is not read line by line; write one object a line (JSON lines)")
