"""One submission in, one verdict out."""

from pathlib import Path
from typing import Any

from companion.exercises import Exercise, Mistake
from companion.grading.lab import Lab
from companion.grading.notebook import UnreadableError, code_cells, read_bytes
from companion.grading.secret import Secret
from companion.grading.student import Student

MAX_NOTES = 20


def grade_submission(path: Path, lab: Lab, secret: Secret, timeout: float) -> dict[str, Any]:
    """Judge every exercise of a submission.

    Parameters
    ----------
    path
        The submitted notebook.
    lab
        The lab it answers.
    secret
        What the hidden inputs are drawn from.
    timeout
        CPU seconds that one cell or one call may take.

    Returns
    -------
    dict
        The verdict as it is written to the results, without the student's name; it depends on the arguments alone.
    """
    try:
        cells = lab.students_cells(code_cells(read_bytes(path)))
    except UnreadableError as error:
        return unread_verdict(lab, str(error))
    student = Student(cells, lab.prelude, timeout)
    try:
        judged = {each.name: _judge(each, student, secret.seed(lab.slug, each.name)) for each in lab.checked}
    finally:
        student.close()
    notes = [f"cell {number}: {problem}" for number, problem in sorted(student.problems.items())]
    return _verdict(lab, "graded", judged, notes, None)


def unread_verdict(lab: Lab, reason: str) -> dict[str, Any]:
    """Give nothing for a submission that is no notebook, and say why."""
    return _verdict(lab, "unreadable", {each.name: (0, reason) for each in lab.checked}, [], reason)


def failed_verdict(lab: Lab, reason: str) -> dict[str, Any]:
    """Say that it was the grader that failed: no score, and the next run tries again."""
    verdict = _verdict(lab, "error", {each.name: (0, "not graded") for each in lab.checked}, [], reason)
    return verdict | {"score": None, "exercises": [each | {"score": None} for each in verdict["exercises"]]}


def _judge(exercise: Exercise, student: Student, seed: int) -> tuple[int, str]:
    try:
        exercise.verify(student.function(exercise.name), seed)
    except Mistake as mistake:
        return 0, str(mistake)
    return exercise.points, "right"


def _verdict(
    lab: Lab, status: str, judged: dict[str, tuple[int, str]], notes: list[str], reason: str | None
) -> dict[str, Any]:
    exercises = [
        {
            "name": each.name,
            "title": each.title,
            "points": each.points,
            "manual": each.manual,
            "score": None if each.manual else judged[each.name][0],
            "feedback": None if each.manual else judged[each.name][1],
        }
        for each in lab.exercises
    ]
    return {
        "lab": lab.slug,
        "lab_version": lab.version,
        "status": status,
        "reason": reason,
        "score": sum(score for score, _ in judged.values()),
        "max_score": sum(each.points for each in lab.checked),
        "manual_points": sum(each.points for each in lab.exercises if each.manual),
        "exercises": exercises,
        "notes": notes[:MAX_NOTES],
    }
