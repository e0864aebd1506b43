"""The students' version of a lab, made by nbgrader's own preprocessors."""

from __future__ import annotations

import logging
from pathlib import Path

from nbformat import NotebookNode

from companion.publish.convert import Source, convert, sealed_bytes
from companion.publish.project import write_bytes
from companion.publish.sources import SiteIndex

BEGIN_SOLUTION = "BEGIN SOLUTION"


def release_lab(root: Path, lab: str, out: Path) -> Path:
    """Write the students' version of a lab from its source and return where it is.

    Parameters
    ----------
    root
        The checkout.
    lab
        The lab's name: its source is ``labs/<lab>.md``.
    out
        The folder to write ``<lab>.ipynb`` to.

    Raises
    ------
    FileNotFoundError
        When there is no such lab; the message lists those there are.
    ValueError
        When the source is not a valid lab.
    """
    path = root / "labs" / f"{lab}.md"
    if not path.is_file():
        known = ", ".join(sorted(page.stem for page in (root / "labs").glob("*.md"))) or "none"
        raise FileNotFoundError(f"There is no lab {lab!r} ({path}). Labs of this checkout: {known}.")
    written = out / f"{lab}.ipynb"
    write_bytes(written, sealed_bytes(student_notebook(Source(root, path), SiteIndex(root))))
    return written


def student_notebook(source: Source, index: SiteIndex) -> NotebookNode:
    """Return a lab with its solutions, hidden tests and outputs cleared and its checks locked.

    Raises
    ------
    ValueError
        When nbgrader refuses a cell; the message names it.
    """
    notebook = convert(source, index, f"{source.docname}.ipynb")
    validate_lab(notebook, source.name)
    clear_for_students(notebook, source.name)
    return notebook


def validate_lab(notebook: NotebookNode, name: str) -> None:
    """Check a lab's nbgrader metadata, and that each solution says where it begins.

    Raises
    ------
    ValueError
        Naming the cell at fault.
    """
    from nbgrader.nbgraderformat import MetadataValidator

    validator = MetadataValidator()
    graded = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    if not graded:
        raise ValueError(f"{name}: no cell has nbgrader metadata, so there is nothing to hand in or to grade.")
    for cell in graded:
        try:
            validator.validate_cell(cell)
        except Exception as error:  # nbgrader raises jsonschema errors, its own, and KeyErrors alike
            raise ValueError(f"{name}: nbgrader refuses cell {cell.id!r}: {_first_line(error)}") from error
        given = cell.metadata.nbgrader
        if cell.cell_type == "code" and given.solution and not given.grade and BEGIN_SOLUTION not in cell.source:
            raise ValueError(
                f"{name}: solution cell {cell.id!r} has no '### {BEGIN_SOLUTION}', so students would not even see "
                "the function's signature."
            )


def clear_for_students(notebook: NotebookNode, name: str) -> None:
    """Clear a lab in place as nbgrader releases it.

    Raises
    ------
    ValueError
        When a region of solution or hidden tests is never closed, or stands in a cell that is not marked for it.
    """
    from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions, LockCells

    steps = [LockCells(), ClearSolutions(), ClearHiddenTests(), ClearOutput()]
    for step in steps:
        step.log = logging.getLogger("nbgrader.silent")  # what it logs, the error below says better
        step.log.disabled = True
    for number, cell in enumerate(notebook.cells):
        try:
            for step in steps:
                step.preprocess_cell(cell, {"language": "python"}, number)
        except RuntimeError as error:
            raise ValueError(f"{name}: nbgrader cannot release cell {cell.get('id', number)!r}: {error}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
