"""The log of a run as CSV, where a run that is taken up again goes on without a gap or a step twice."""

import csv
import io
import os
from pathlib import Path

from companion.training.errors import RunError
from companion.training.history import COLUMNS, Record

INTEGERS = ("step", "tokens")


def read_log(path: Path) -> list[Record]:
    """Read the records of a log; a last line that was cut off is left out.

    Raises
    ------
    RunError
        If the file is no log of a run.
    """
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(whole)))
    if not rows:
        return []
    if rows[0][: len(COLUMNS)] != COLUMNS:
        raise RunError(f"{path} is not the log of a run: its columns are {', '.join(rows[0])}; move it away")
    return [_read_row(path, rows[0], row) for row in rows[1:]]


def _read_row(path: Path, names: list[str], row: list[str]) -> Record:
    try:
        cells = {name: text for name, text in zip(names, row, strict=True) if text}
        numbers = {name: int(text) if name in INTEGERS else float(text) for name, text in cells.items()}
        validation = {name: numbers.pop(name) for name in list(numbers) if name not in COLUMNS}
        return Record(**numbers, validation=validation)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError) as error:
        raise RunError(f"{path} has a row that is none of a run's log: {','.join(row)}; move the file away") from error


class CsvLog:
    """Append the records of a run to a file.

    Parameters
    ----------
    path
        The file.
    validation
        Names of the columns after the usual ones.
    """

    def __init__(self, path: Path, validation: list[str]) -> None:
        self.path = path
        self.names = [*COLUMNS, *validation]

    def start(self, step: int) -> list[Record]:
        """Forget the records after a step, which will be made again; return the others."""
        records = [record for record in read_log(self.path) if record.step <= step] if self.path.exists() else []
        aside = self.path.with_name(f".{self.path.name}")
        aside.write_text(self._lines([self.names]) + "".join(self._line(record) for record in records), "utf-8")
        aside.replace(self.path)
        return records

    def write(self, record: Record) -> None:
        """Append one record; it is in the file when this returns.

        Raises
        ------
        RunError
            If it cannot be written, such as to a full disk.
        """
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(self._line(record))
        except OSError as error:
            raise RunError(
                f"the log of step {record.step} could not be written: {error}. Make room, then resume the run"
            ) from error

    def sync(self) -> None:
        """Push what was written to the disk."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())

    def _line(self, record: Record) -> str:
        columns = record.columns()
        return self._lines([["" if columns.get(name) is None else repr(columns[name]) for name in self.names]])

    @staticmethod
    def _lines(rows: list[list[str]]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()
