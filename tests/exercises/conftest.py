"""The attention lab as its readers have it: the source, the solved functions, and the released notebook."""

import math
from pathlib import Path

import jupytext
import pytest
import torch

from companion.publish.release import clear_for_students

LAB = Path(__file__).resolve().parents[2] / "labs" / "attention.md"


def read_lab():
    return jupytext.reads(LAB.read_text("utf8"), fmt="md:myst")


def nbgrader_of(cell):
    return cell.metadata.get("nbgrader", {})


def functions_of(notebook):
    """Run the solution cells alone: an answer may need no more than math and torch."""
    names = {"math": math, "torch": torch}
    for cell in notebook.cells:
        if cell.cell_type == "code" and nbgrader_of(cell).get("solution"):
            if nbgrader_of(cell)["grade_id"].startswith("scale_and_length"):
                continue
            exec(compile(cell.source, nbgrader_of(cell)["grade_id"], "exec"), names)
    return names


@pytest.fixture(scope="session")
def lab():
    return read_lab()


@pytest.fixture(scope="session")
def released():
    notebook = read_lab()
    clear_for_students(notebook, LAB.name)
    return notebook


@pytest.fixture(scope="session")
def solutions(lab):
    return functions_of(lab)


@pytest.fixture(scope="session")
def stubs(released):
    return functions_of(released)
