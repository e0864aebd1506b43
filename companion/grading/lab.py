"""What the instructor released: the exercises to grade, and the cells that are not the student's."""

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import companion
from companion.exercises import Exercise, exercises_of
from companion.grading.notebook import Cell, code_cells

PACKAGE = Path(companion.__file__).parent
# Counts the changes to grading itself that can change a score: old results are then graded again.
GRADER_VERSION = 1


@dataclass(frozen=True)
class Lab:
    """A released lab.

    Parameters
    ----------
    slug
        The lab's name.
    exercises
        Its exercises, in order.
    unrun_ids, unrun_sources
        How the cells that are not run are recognised: the instructor's own, and experiments that a person reads.
    prelude
        The import statements of the instructor's cells, which answers rely on.
    version
        Names the released notebook and the exercises' specifications.
    """

    slug: str
    exercises: tuple[Exercise, ...]
    unrun_ids: frozenset[str]
    unrun_sources: frozenset[str]
    prelude: str
    version: str

    @property
    def checked(self) -> list[Exercise]:
        """The exercises that are graded by running them."""
        return [exercise for exercise in self.exercises if not exercise.manual]

    def students_cells(self, cells: list[Cell]) -> list[Cell]:
        """Leave out the cells that are not to be run, edited or not, wherever they are."""
        return [
            cell for cell in cells if not cell.ids & self.unrun_ids and cell.source.strip() not in self.unrun_sources
        ]


def load_lab(slug: str, released: Path | None = None) -> Lab:
    """Read a released lab.

    Raises
    ------
    ValueError
        If no lab has this name, or the released notebook locks no cell.
    FileNotFoundError
        If the released notebook is not found.
    """
    exercises = tuple(exercises_of(slug))
    path = released or _find(slug)
    data = path.read_bytes()
    cells = code_cells(data)
    locked = [cell for cell, raw in zip(cells, _code(data), strict=True) if _is_locked(raw)]
    if not locked:
        raise ValueError(f"released = {path} has no cell that nbgrader's metadata locks: give the released notebook")
    by_hand = tuple(exercise.name for exercise in exercises if exercise.manual)
    ids = {name for cell in locked for name in cell.ids}
    ids |= {name for cell in cells for name in cell.ids if by_hand and name.startswith(by_hand)}
    return Lab(
        slug=slug,
        exercises=exercises,
        unrun_ids=frozenset(ids),
        unrun_sources=frozenset({"", *(cell.source.strip() for cell in locked)}),
        prelude="\n".join(filter(None, (_imports(cell.source) for cell in locked))),
        version=_version(slug, data),
    )


def _find(slug: str) -> Path:
    candidates = [folder / "labs" / f"{slug}.ipynb" for folder in (Path.cwd(), PACKAGE.parent)]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"the released notebook labs/{slug}.ipynb is neither here nor in the checkout: give it with --released"
        )
    return found


def _code(data: bytes) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(data)["cells"] if cell["cell_type"] == "code"]


def _is_locked(cell: dict[str, Any]) -> bool:
    nbgrader = cell.get("metadata", {}).get("nbgrader", {})
    return bool(nbgrader.get("locked")) and not nbgrader.get("solution")


def _imports(source: str) -> str:
    """Keep what a cell imports at its top level, the companion left out: answers must not see it."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a cell of magics
        return ""
    return "\n".join(
        ast.unparse(each)
        for each in statements
        if (isinstance(each, ast.Import) and not any(_is_ours(name.name) for name in each.names))
        or (isinstance(each, ast.ImportFrom) and not _is_ours(each.module or ""))
    )


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE.name


def _version(slug: str, released: bytes) -> str:
    """Digest all that a score depends on beside the submission and the seed."""
    state = hashlib.sha256(f"{GRADER_VERSION} {slug}".encode())
    state.update(released)
    for path in sorted((PACKAGE / "exercises").rglob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]
