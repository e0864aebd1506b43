"""Find the submissions of a lab, and whose they are."""

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

MAX_NAME = 100


@dataclass(frozen=True)
class Submissions:
    """Where each student's notebook is, by student; how they are laid out; and what was passed over."""

    paths: dict[str, Path]
    layout: str
    passed_over: list[str]


def find_submissions(folder: Path, lab: str) -> Submissions:
    """List the submissions in a folder, in either layout or both.

    Raises
    ------
    ValueError
        If there are none, or two of one student, or a student's name that cannot be a file's.
    NotADirectoryError
        If it is no folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"submissions = {folder} is not a folder")
    entries = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    flat = [(each.stem, each) for each in entries if each.suffix == ".ipynb"]
    nested = [(each.name, each / lab / f"{lab}.ipynb") for each in entries if _is_students(each, lab)]
    found = flat + nested
    if not found:
        raise ValueError(
            f"submissions = {folder} holds neither <student>.ipynb nor <student>/{lab}/{lab}.ipynb: nothing to grade"
        )
    _refuse_bad_names(found)
    layouts = [(flat, "<student>.ipynb"), (nested, f"<student>/{lab}/{lab}.ipynb")]
    taken = {path for _, path in flat} | {path.parent.parent for _, path in nested}
    return Submissions(
        paths=dict(sorted(found)),
        layout=", ".join(f"{len(each)} as {name}" for each, name in layouts if each),
        passed_over=[each.name for each in entries if each not in taken],
    )


def _is_students(path: Path, lab: str) -> bool:
    """Tell a student's folder; one that is a link could lead anywhere."""
    return all(each.is_dir() and not each.is_symlink() for each in (path, path / lab))


def _refuse_bad_names(found: list[tuple[str, Path]]) -> None:
    bad = [str(path) for student, path in found if not _is_safe(student)]
    if bad:
        raise ValueError(
            f"a student's name must be 1 to {MAX_NAME} letters, digits, spaces and signs, and these are not "
            f"(rename them): {', '.join(map(repr, bad))}"
        )
    same = defaultdict(list)
    for student, path in found:
        same[unicodedata.normalize("NFC", student).casefold()].append(path)
    twice = [" and ".join(map(str, paths)) for paths in same.values() if len(paths) > 1]
    if twice:
        raise ValueError(f"two submissions of one student, keep one: {'; '.join(twice)}")


def _is_safe(student: str) -> bool:
    # Categories C are control, direction and undecodable characters; Zl and Zp break lines.
    plain = all(
        unicodedata.category(each)[0] != "C" and unicodedata.category(each) not in ("Zl", "Zp") for each in student
    )
    return plain and 0 < len(student) <= MAX_NAME and len(student.encode()) <= 200 and student == student.strip()
