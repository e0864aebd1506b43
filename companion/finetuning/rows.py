"""Reading a user's table: TSV, CSV, JSON or JSON lines. What cannot be read is reported by line, with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from companion._validation import describe, requires
from companion.finetuning.lines import (
    LeftOut,
    Line,
    Record,
    TableError,
    as_record,
    left_out,
    read_lines,
    read_records,
    why_no_json,
)

FORMATS = ("tsv", "csv", "jsonl", "json")
SUFFIXES = {".tsv": "tsv", ".tab": "tsv", ".txt": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "json"}
SHOWN = 10


class RowError(ValueError):
    """A row cannot be used; the message is the reason, without the line."""


@dataclass
class Table:
    """The rows of a file that can be used, and those that cannot, each with the line it begins in."""

    source: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def require_whole(self) -> None:
        """Raise if a row cannot be used; the first of them are listed with line and reason.

        Raises
        ------
        ValueError
            If there is one.
        """
        if self.left_out:
            raise ValueError(
                f"{self.source} has {len(self.left_out)} rows that cannot be used, beside {len(self.rows)} that can:\n"
                f"{report(self.left_out)}\nCorrect them, or say that bad rows may be skipped."
            )


def report(left_out: Sequence[LeftOut]) -> str:
    """List rows that are not used, one a line; the first ones when they are many."""
    lines = [f"  line {one.line}: {one.reason} | {one.content}" for one in left_out[:SHOWN]]
    if len(left_out) > SHOWN:
        lines.append(f"  and {len(left_out) - SHOWN} more")
    return "\n".join(lines)


def _check(path: Any, parse: Any = None, *, kind: Any = None, columns: Any = None) -> None:
    if not isinstance(path, str | Path):
        raise TypeError(f"path must be a string or a path, got {describe(path)}")
    if parse is not None and not callable(parse):
        raise TypeError(f"parse must be a function from a row to a row, got {describe(parse)}")
    if kind is not None and kind not in FORMATS:
        raise ValueError(f"kind must be one of {', '.join(FORMATS)}, got {describe(kind)}")
    if kind is None and Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"path must end in {', '.join(SUFFIXES)}, or kind must be given, got {str(path)!r}")
    if columns is not None and (isinstance(columns, str) or not all(isinstance(name, str) for name in columns)):
        raise TypeError(f"columns must be a list of names, got {describe(columns)}")


@requires(_check)
def read_rows(
    path: str | Path,
    parse: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    *,
    kind: str | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """Read a table, row by row; a row that is damaged or refused is reported and the next one is read.

    Parameters
    ----------
    path
        The file, in UTF-8 (or in UTF-16 that begins with its mark).
    parse
        From the values of a row by column to what is kept; it raises :class:`RowError` for one that cannot be used.
        Such are :meth:`Task.parse <companion.finetuning.Task.parse>`.
    kind
        ``"tsv"``, ``"csv"``, ``"jsonl"`` or ``"json"``; by default what the file's name ends in. In a TSV a quotation
        mark is a character like any other, in a CSV it may stand around a value.
    columns
        The names of the columns of a TSV or CSV that has no line of names.

    Returns
    -------
    Table
        The rows, each with its ``line``, and what was left out.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or the file holds no table of that kind at all.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    kind = kind or SUFFIXES[path.suffix.lower()]
    if columns is not None and kind.startswith("json"):
        raise ValueError(f"columns are for files without names, and {path} is {kind}, which has them in every row")
    table = Table(str(path))
    try:
        with path.open("rb") as stream:
            lines = read_lines(stream)
            rows = _read_json(lines) if kind == "json" else read_records(lines, kind, columns=columns)
            for row in rows:
                _keep(table, row, parse)
    except TableError as error:
        raise ValueError(f"{path} {error}") from error
    table.left_out.sort()
    if not table.rows and not table.left_out:
        raise ValueError(f"{path} must hold at least one row, got none")
    return table


def _keep(table: Table, row: Record | LeftOut, parse: Callable[[dict[str, Any]], dict[str, Any]] | None) -> None:
    if isinstance(row, LeftOut):
        table.left_out.append(row)
        return
    try:
        table.rows.append({**(parse(row.values) if parse else row.values), "line": row.line})
    except RowError as error:
        table.left_out.append(left_out(row.line, str(error), row.content))


def _read_json(lines: Iterator[Line | LeftOut]) -> Iterator[Record | LeftOut]:
    """Read a list of objects one by one, which tells in which line each begins; or objects one after the other."""
    texts = []
    for line in lines:
        if isinstance(line, LeftOut):
            yield line
        texts.append("" if isinstance(line, LeftOut) else line.text)  # keeps the numbers of the lines after it
    text = "\n".join(texts)
    decoder = json.JSONDecoder()
    position = _skip(text, 0)
    is_list = text.startswith("[", position)
    position = _skip(text, position + is_list)
    line, counted = 1, 0
    while position < len(text) and not (is_list and text[position] == "]"):
        line, counted = line + text.count("\n", counted, position), position
        try:
            values, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            # Where the next row begins cannot be told, so the rest is one bad row.
            why = why_no_json(error, position)
            yield left_out(line, f"no JSON from here to the end of the file: {why}", text[position:])
            return
        yield as_record(line, values, text[position:end])
        position = _skip(text, end)
        if is_list and text.startswith(",", position):
            position = _skip(text, position + 1)
    if is_list and position >= len(text):
        yield left_out(line, "the list has no end: ']' is missing, and rows may be, too", text[-80:])
    elif is_list and (rest := text[position + 1 :].strip()):
        line += text.count("\n", counted, position)
        yield left_out(line, "something stands behind the end of the list", rest)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
