"""Read what a student handed in, believing nothing about it but that it is bytes."""

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 20 << 20
MAX_CELLS = 2_000
MAX_CODE = 1 << 20


class UnreadableError(ValueError):
    """A submission that is no notebook; the message says why, in words for the student."""


@dataclass(frozen=True)
class Cell:
    """One code cell: its number in the notebook from 1, its ids, and its source."""

    number: int
    ids: frozenset[str]
    source: str


def read_bytes(path: Path) -> bytes:
    """Read a submission's file, if it is a plain file of reasonable size.

    Raises
    ------
    UnreadableError
        If it is missing, a link, a device, or too large.
    """
    try:
        # Neither follow a link out of the folder, nor wait for a named pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UnreadableError("there is no notebook where one was expected") from None
    except OSError as error:
        raise UnreadableError(f"the file cannot be opened, or is a link: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableError("it is not a plain file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UnreadableError(f"the file is larger than {MAX_BYTES >> 20} MB: clear its outputs and hand it in again")
    return data


def digest(data: bytes) -> str:
    """Name the contents of a file."""
    return hashlib.sha256(data).hexdigest()


def code_cells(data: bytes) -> list[Cell]:
    """Find the code cells of a notebook.

    Only what grading needs must be right: outputs and most metadata may be missing, damaged or forged.

    Raises
    ------
    UnreadableError
        If the bytes are no notebook of format 4.
    """
    cells = _parse(data).get("cells")
    if type(cells) is not list:
        raise UnreadableError("it is no notebook of format 4: open it in Jupyter or Colab and save it again")
    if len(cells) > MAX_CELLS:
        raise UnreadableError(f"the notebook has {len(cells)} cells, more than {MAX_CELLS}")
    found = [
        Cell(number, _ids(cell), _source(cell, number))
        for number, cell in enumerate(cells, start=1)
        if type(cell) is dict and cell.get("cell_type") == "code"
    ]
    if sum(len(cell.source) for cell in found) > MAX_CODE:
        raise UnreadableError(f"the notebook holds more than {MAX_CODE >> 20} MB of code")
    return found


def _parse(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise UnreadableError("the file is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"the file is not UTF-8 text (byte {error.start})") from None
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip() or "Unterminated string" in error.msg:
            raise UnreadableError("the file breaks off before its end: the upload was probably cut short") from None
        raise UnreadableError(f"the file is not a notebook: it is not JSON at line {error.lineno}") from None
    except (ValueError, RecursionError):
        raise UnreadableError("the file is not a notebook: its JSON cannot be read") from None
    if type(notebook) is not dict:
        raise UnreadableError("the file is JSON, but not a notebook")
    return notebook


def _source(cell: dict[str, Any], number: int) -> str:
    source = cell.get("source", "")
    if type(source) is list and all(type(line) is str for line in source):
        source = "".join(source)
    if type(source) is not str:
        raise UnreadableError(f"the source of cell {number} is not text")
    return source


def _ids(cell: dict[str, Any]) -> frozenset[str]:
    """Collect the names a cell goes by; nothing depends on their being there."""
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if type(metadata) is dict else None
    names = (cell.get("id"), nbgrader.get("grade_id") if type(nbgrader) is dict else None)
    return frozenset(name for name in names if type(name) is str)
