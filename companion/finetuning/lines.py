"""From bytes to rows, line by line and in little memory; what cannot be read is told by line, with the reason."""

from __future__ import annotations

import codecs
import csv
import json
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

LONGEST_SHOWN = 80  # characters of a bad row
CHUNK = 1 << 16
NEEDED = 4  # bytes, to know a text's encoding by its mark
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@runtime_checkable
class ByteStream(Protocol):
    """What bytes can be read from: an open file, ``sys.stdin.buffer``, ``io.BytesIO``."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most so many bytes; none at the end."""
        ...


class TableError(ValueError):
    """A file holds no rows of the kind at all; the message has the reason, without the file's name."""


class LeftOut(NamedTuple):
    """A row that is not used."""

    line: int
    """Where it begins in the file; the first line is 1."""
    reason: str
    content: str
    """Its beginning."""


class Line(NamedTuple):
    """A line without its end."""

    number: int
    text: str


class Record(NamedTuple):
    """A row of a table, and the line it begins in."""

    line: int
    values: dict[str, Any]
    content: str


def left_out(line: int, reason: str, content: str) -> LeftOut:
    """Report a row with its beginning, in one line and without characters that steer a terminal."""
    start = " ".join(content[: 4 * LONGEST_SHOWN].split())
    short = "".join(character if character.isprintable() else "\ufffd" for character in start)
    is_short = len(short) <= LONGEST_SHOWN and len(content) <= 4 * LONGEST_SHOWN
    return LeftOut(line, reason, short if is_short else short[: LONGEST_SHOWN - 3] + "...")


def read_lines(stream: ByteStream, *, longest: int | None = None) -> Iterator[Line | LeftOut]:
    """Read a text in UTF-8, or in UTF-16 that begins with its mark, line by line.

    Parameters
    ----------
    stream
        Read as it comes, and no more than a part and a line of it kept.
    longest
        A line of more bytes than this is passed over and reported.

    Raises
    ------
    TableError
        If the text is in UTF-32.
    """
    for number, (content, size) in enumerate(_cut(_as_utf8(_chunks(stream)), longest), start=1):
        if longest is not None and size > longest:
            shown = content[:longest].decode(errors="replace")
            yield left_out(number, f"longer than {longest:,} bytes ({size:,})", shown)
        elif b"\0" in content:
            yield left_out(number, "has NUL bytes, so it is no text in UTF-8", content.decode(errors="replace"))
        else:
            try:
                yield Line(number, content.removesuffix(b"\r").decode())
            except UnicodeDecodeError as error:
                reason = f"not UTF-8 ({error.reason} at byte {error.start + 1})"
                yield left_out(number, reason, content.decode(errors="replace"))


def _chunks(stream: ByteStream) -> Iterator[bytes]:
    read = getattr(stream, "read1", stream.read)  # read1 gives what a pipe has, and does not wait for more
    while chunk := read(CHUNK):
        yield chunk


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= NEEDED or not any(mark.startswith(head) for mark in MARKS):
            break
    mark = next((mark for mark in MARKS if head.startswith(mark)), b"")
    encoding = MARKS.get(mark, "UTF-8")
    if encoding == "UTF-32":
        raise TableError("must be in UTF-8, and is in UTF-32; save it as UTF-8")
    if encoding == "UTF-8":
        yield head.removeprefix(mark)
        yield from chunks
        return
    # Halves of characters pass through, and are found not to be UTF-8 in the line where they stand.
    decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
    yield decoder.decode(head).encode("utf-8", "surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    try:
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # an odd number of bytes
        yield b"\xff"


def _cut(chunks: Iterator[bytes], longest: int | None) -> Iterator[tuple[bytes, int]]:
    """Give lines with their sizes; of one that is too long, the beginning."""
    parts: list[bytes] = []
    size = 0

    def add(part: bytes) -> None:
        nonlocal size
        if longest is None or size <= longest:
            parts.append(part if longest is None else part[: longest + 1])
        size += len(part)

    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            add(end)
            yield b"".join(parts), size
            parts, size = [], 0
        if rest:
            add(rest)
    if size:
        yield b"".join(parts), size


def read_records(
    lines: Iterator[Line | LeftOut], kind: str, *, columns: Sequence[str] | None = None, tells_empty: bool = False
) -> Iterator[Record | LeftOut]:
    """Read rows out of lines: JSON objects, or values in columns.

    Parameters
    ----------
    lines
        As :func:`read_lines` gives them; what it reports is passed on.
    kind
        ``"jsonl"``, ``"csv"`` or ``"tsv"``.
    columns
        The names of the columns of a table that has no line of names.
    tells_empty
        Whether an empty line is reported too; by default it holds no row.

    Raises
    ------
    TableError
        If the names of the columns cannot be read or used.
    """
    rows = _json_rows(lines) if kind == "jsonl" else _table_rows(lines, kind, columns)
    for row in rows:
        if isinstance(row, Line):
            if tells_empty:
                yield LeftOut(row.number, "the line is empty", "")
        else:
            yield row


def _json_rows(lines: Iterator[Line | LeftOut]) -> Iterator[Record | LeftOut | Line]:
    for line in lines:
        if isinstance(line, LeftOut) or not line.text.strip():
            yield line
            continue
        try:
            values = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            yield left_out(line.number, f"no JSON: {why_no_json(error, 0)}", line.text)
            continue
        yield as_record(line.number, values, line.text)


def as_record(line: int, values: Any, content: str) -> Record | LeftOut:
    """Take a JSON value for a row if it is an object."""
    if isinstance(values, dict):
        return Record(line, values, content)
    return left_out(line, f"no JSON object but {type(values).__name__}", content)


def why_no_json(error: Exception, start: int) -> str:
    """Say what is wrong with JSON and at which character of the row; its own message counts lines of another text."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at its character {error.pos - start + 1}"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)


def _table_rows(
    lines: Iterator[Line | LeftOut], kind: str, columns: Sequence[str] | None
) -> Iterator[Record | LeftOut | Line]:
    names = None if columns is None else _names(columns)
    for row in _csv_cells(lines) if kind == "csv" else _tsv_cells(lines):
        if isinstance(row, LeftOut):
            if names is None:
                raise TableError(f"has a line of names that cannot be read: line {row.line}: {row.reason}")
            yield row
            continue
        line, cells = row
        if not any(cell.strip() for cell in cells):
            yield Line(line, "")
        elif names is None:
            names = _names([cell.strip() for cell in cells])
        elif len(cells) != len(names):
            separator = "tabs" if kind == "tsv" else "commas"
            reason = f"{len(cells)} values, not one for each of {', '.join(names)} ({separator} too many or missing)"
            yield left_out(line, reason, " | ".join(cells))
        else:
            yield Record(line, dict(zip(names, cells, strict=True)), " | ".join(cells))


def _names(given: Sequence[str]) -> list[str]:
    if len(set(given)) < len(given) or not all(given):
        listed = ", ".join(repr(name[:LONGEST_SHOWN]) for name in given[:20])
        raise TableError(f"must begin with a line of different column names, got {listed}; give columns if it has none")
    return list(given)


Cells = Iterator[tuple[int, list[str]] | LeftOut]


def _tsv_cells(lines: Iterator[Line | LeftOut]) -> Cells:
    for line in lines:
        yield line if isinstance(line, LeftOut) else (line.number, line.text.split("\t"))


def _csv_cells(lines: Iterator[Line | LeftOut]) -> Cells:
    """Read rows of a CSV; after one whose quotation mark is never closed, go on in the line behind its first."""
    again: deque[Line | LeftOut] = deque()
    while (first := again.popleft() if again else next(lines, None)) is not None:
        if isinstance(first, LeftOut):
            yield first
            continue
        taken: list[Line | LeftOut] = []
        try:
            cells = next(csv.reader(_with_next(first, again, lines, taken), strict=True), [])
        except csv.Error as error:
            again.extendleft(reversed(taken))
            yield left_out(first.number, f"no CSV: {error}", first.text)
        else:
            yield first.number, cells


def _with_next(
    first: Line, again: deque[Line | LeftOut], lines: Iterator[Line | LeftOut], taken: list[Line | LeftOut]
) -> Iterator[str]:
    """Give the lines that a row may go on in, and note them; the reader asks only within quotation marks."""
    yield first.text + "\n"
    size = len(first.text)
    while size <= csv.field_size_limit() and (line := again.popleft() if again else next(lines, None)) is not None:
        taken.append(line)
        if isinstance(line, LeftOut):
            return
        size += len(line.text) + 1
        yield line.text + "\n"
