"""A grading process that dies on one submission, to show what that costs."""

import os

from companion.grading import grade, grader


def grade_or_die(path, lab, secret, timeout):
    """Give everybody nothing, and die of one."""
    if path.stem == "deadly":
        os.abort()
    if path.stem == "broken":
        raise RuntimeError("the grader has a bug")
    return grade.unread_verdict(lab, "graded by nobody")


if __name__ == "__main__":
    grade.grade_submission = grade_or_die
    grader.serve()
