"""Results on disk: one JSON and one page of feedback each, and the tables for all."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from companion.grading.lab import Lab
from companion.grading.text import clean

MANUAL_COLUMNS = ("student", "exercise", "points", "comment")
MAX_ROWS = 100

Marks = dict[tuple[str, str], tuple[float, str]]


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that nobody ever finds half of it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8", newline="")
    unfinished.replace(path)


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write one verdict; the same verdict gives the same bytes."""
    write_atomically(path, json.dumps(_cleaned(result), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def read_result(path: Path) -> dict[str, Any] | None:
    """Read an earlier verdict; None if there is none that can be read."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return result if isinstance(result, dict) else None


def read_marks(path: Path, lab: Lab) -> Marks:
    """Read the marks that a person gave, from a table with the columns student, exercise, points and comment.

    Raises
    ------
    ValueError
        If a row names no exercise marked by hand, or points out of its range.
    """
    if not path.exists():
        return {}
    most = {each.name: each.points for each in lab.exercises if each.manual}
    marks: Marks = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if not {"student", "exercise", "points"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path}: expected the columns {', '.join(MANUAL_COLUMNS)}, separated by commas")
        for row in rows:
            if not (row["points"] or "").strip():
                continue
            points = _points(row["points"])
            if row["exercise"] not in most or not 0 <= points <= most[row["exercise"]]:
                raise ValueError(
                    f"{path}, line {rows.line_num}: expected 0 to the exercise's points for one of {most}, "
                    f"got {row['points']!r} for {row['exercise']!r}"
                )
            marks[row["student"], row["exercise"]] = (points, clean(row.get("comment") or ""))
    return marks


def write_marks_to_fill_in(path: Path, lab: Lab, students: list[str]) -> None:
    """Add an empty row for each answer to mark that has none; what a person wrote stays as it is."""
    present: set[tuple[str, str]] = set()
    text = ""
    if path.exists():
        text = path.read_text(encoding="utf-8-sig")
        present = {(row["student"], row["exercise"]) for row in csv.DictReader(io.StringIO(text, newline=""))}
    wanted = [(guarded(student), each.name) for student in students for each in lab.exercises if each.manual]
    missing = [row for row in wanted if row not in present]
    if missing:
        start = text if not text or text.endswith("\n") else text + "\n"
        write_atomically(path, (start or _csv([MANUAL_COLUMNS])) + _csv([(*row, "", "") for row in missing]))


def write_grades(path: Path, lab: Lab, results: dict[str, dict[str, Any]], marks: Marks) -> None:
    """Write the gradebook: a row for each student."""
    names = [each.name for each in lab.exercises]
    rows: list[tuple[str, ...]] = [("student", *names, "total", "max", "manual_pending", "note")]
    most = sum(each.points for each in lab.exercises)
    for student, result in results.items():
        scores = scores_of(student, result, marks)
        total = sum(score for score in scores.values() if score is not None)
        cells = [*(scores[name] for name in names), total if result["score"] is not None else None, most]
        rows.append(
            (guarded(student), *map(_number, cells), _number(pending(lab, student, marks)), guarded(note_of(result)))
        )
    write_atomically(path, _csv(rows))


def write_feedback(path: Path, lab: Lab, student: str, result: dict[str, Any], marks: Marks) -> None:
    """Write what a student is told: the score of each exercise, and what is wrong with it."""
    scores = scores_of(student, result, marks)
    lines = [f"# {lab.slug}: feedback for {student}", ""]
    if result["reason"]:
        lines += [f"**{result['reason']}**", ""]
    for each in result["exercises"]:
        score = scores[each["name"]]
        shown = "not marked yet," if score is None else _number(score)
        _, comment = marks.get((guarded(student), each["name"]), (0, ""))
        lines += [f"## {each['title']}: {shown} of {each['points']}", "", each["feedback"] or comment, ""]
    if result["notes"]:
        lines += ["## About your notebook", "", *(f"- {note}" for note in result["notes"]), ""]
    write_atomically(path, "\n".join(lines))


def table_of(lab: Lab, results: dict[str, dict[str, Any]], marks: Marks) -> Table:
    """Draw up the scores for the terminal."""
    legend = ", ".join(f"{number} {each.name}" for number, each in enumerate(lab.exercises, start=1))
    table = Table(title=f"Scores of the lab {lab.slug}", caption=legend)
    table.add_column("student", no_wrap=True)
    for number, each in enumerate(lab.exercises, start=1):
        table.add_column(f"{number}\n/{each.points}", justify="right", no_wrap=True)
    table.add_column("total", justify="right", no_wrap=True)
    table.add_column("note")
    for student, result in list(results.items())[:MAX_ROWS]:
        scores = scores_of(student, result, marks)
        total = sum(score for score in scores.values() if score is not None)
        shown = [_number(scores[each.name]) or "?" for each in lab.exercises]
        table.add_row(escape(student), *shown, _number(total), escape(clean(note_of(result), 60)))
    return table


def scores_of(student: str, result: dict[str, Any], marks: Marks) -> dict[str, int | float | None]:
    """Return the score of each exercise, with the marks given by hand; None where there is none yet."""
    return {
        each["name"]: marks.get((guarded(student), each["name"]), (None, ""))[0] if each["manual"] else each["score"]
        for each in result["exercises"]
    }


def pending(lab: Lab, student: str, marks: Marks) -> int:
    """Count the points that a person has still to give."""
    return sum(each.points for each in lab.exercises if each.manual and (guarded(student), each.name) not in marks)


def note_of(result: dict[str, Any]) -> str:
    """Say in a few words what an instructor should know."""
    return result["reason"] or "; ".join(result["notes"][:1])


def guarded(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "'")) else text


def _cleaned(value: Any) -> Any:
    """Clean every text of a verdict: much of it comes from students."""
    if isinstance(value, str):
        return clean(value, 1000)
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {name: _cleaned(each) for name, each in value.items()}
    return value


def _points(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return -1.0


def _number(value: int | float | None) -> str:
    return "" if value is None else f"{value:g}"


def _csv(rows: list[tuple]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
