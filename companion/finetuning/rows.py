"""Reading a user's table: TSV, CSV, JSON or JSON lines. What cannot be read is reported by line, with the reason."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from companion._validation import describe, requires

FORMATS = ("tsv", "csv", "jsonl", "json")
SUFFIXES = {".tsv": "tsv", ".tab": "tsv", ".txt": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".json": "json"}
SHOWN = 10
LONGEST_SHOWN = 80  # characters of a bad row


class RowError(ValueError):
    """A row cannot be used; the message is the reason, without the line."""


class LeftOut(NamedTuple):
    """A row that is not used."""

    line: int
    """Where it begins in the file; the first line is 1."""
    reason: str
    content: str
    """Its beginning."""


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
        The file, in UTF-8.
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
    text = _decode(path, table)
    readers = {"json": _read_json, "jsonl": _read_json_lines}
    rows = readers[kind](text, table) if kind in readers else _read_table(text, kind, columns, table)
    for line, values, content in rows:
        try:
            table.rows.append({**(parse(values) if parse else values), "line": line})
        except RowError as error:
            table.left_out.append(_left_out(line, str(error), content))
    table.left_out.sort()
    if not table.rows and not table.left_out:
        raise ValueError(f"{path} must hold at least one row, got none")
    return table


Read = Iterator[tuple[int, dict[str, Any], str]]


def _left_out(line: int, reason: str, content: str) -> LeftOut:
    short = " ".join(content.split())
    return LeftOut(line, reason, short if len(short) <= LONGEST_SHOWN else short[: LONGEST_SHOWN - 3] + "...")


def _decode(path: Path, table: Table) -> str:
    """Decode line by line, so that one line in another encoding does not cost the file."""
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    decoded = []
    for number, line in enumerate(lines, start=1):
        try:
            decoded.append(line.decode())
        except UnicodeDecodeError as error:
            content = line.decode(errors="replace")
            table.left_out.append(_left_out(number, f"not UTF-8 ({error.reason} at byte {error.start + 1})", content))
            decoded.append("")  # keeps the numbers of the lines after it
    return "\n".join(decoded)


def _read_table(text: str, kind: str, columns: Sequence[str] | None, table: Table) -> Read:
    options: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if kind == "tsv" else {"strict": True}
    reader = csv.reader(io.StringIO(text, newline=""), **options)
    names = list(columns) if columns is not None else None
    if names is not None:
        _require_names(names, table.source)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            table.left_out.append(_left_out(line, f"no {kind.upper()}: {error}", _line_at(text, line)))
            continue
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):  # an empty line holds no row
            continue
        if names is None:
            names = [cell.strip() for cell in cells]
            _require_names(names, table.source)
        elif len(cells) != len(names):
            separator = "tabs" if kind == "tsv" else "commas"
            reason = f"{len(cells)} values, not one for each of {', '.join(names)} ({separator} too many or missing)"
            table.left_out.append(_left_out(line, reason, " | ".join(cells)))
        else:
            yield line, dict(zip(names, cells, strict=True)), " | ".join(cells)


def _line_at(text: str, line: int) -> str:
    return text.split("\n", line)[line - 1]


def _require_names(names: Sequence[str], source: str) -> None:
    if len(set(names)) < len(names) or not all(names):
        raise ValueError(
            f"{source} must begin with a line of different column names, got {list(names)}; give columns if it has none"
        )


def _read_json_lines(text: str, table: Table) -> Read:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            table.left_out.append(_left_out(line, f"no JSON: {_why(error, 0)}", content))
            continue
        yield from _object(line, values, content, table)


def _object(line: int, values: Any, content: str, table: Table) -> Read:
    if isinstance(values, dict):
        yield line, values, content
    else:
        table.left_out.append(_left_out(line, f"no JSON object but {type(values).__name__}", content))


def _read_json(text: str, table: Table) -> Read:
    """Read a list of objects one by one, which tells in which line each begins; or objects one after the other."""
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
            why = _why(error, position)
            table.left_out.append(_left_out(line, f"no JSON from here to the end of the file: {why}", text[position:]))
            return
        yield from _object(line, values, text[position:end], table)
        position = _skip(text, end)
        if is_list and text.startswith(",", position):
            position = _skip(text, position + 1)
    if is_list and position >= len(text):
        table.left_out.append(_left_out(line, "the list has no end: ']' is missing, and rows may be, too", text[-80:]))
    elif is_list and (left := text[position + 1 :].strip()):
        line += text.count("\n", counted, position)
        table.left_out.append(_left_out(line, "something stands behind the end of the list", left))


def _why(error: Exception, start: int) -> str:
    """Say what is wrong with JSON and at which character of the row; its own message counts lines of another text."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at its character {error.pos - start + 1}"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
