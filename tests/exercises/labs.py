"""Each lab as its readers have it: the source, the solved functions, and the released notebook."""

import ast
import contextlib
import io
import sys
from functools import cache
from pathlib import Path

import jupytext
import matplotlib as mpl
import matplotlib.pyplot as plt

from companion.exercises import SLUGS, exercises_of
from companion.publish.release import clear_for_students

LABS = Path(__file__).resolve().parents[2] / "labs"
EXERCISES = [exercise for slug in SLUGS for exercise in exercises_of(slug)]
CHECKED = [exercise for exercise in EXERCISES if not exercise.manual]


def read(slug):
    return jupytext.reads((LABS / f"{slug}.md").read_text("utf8"), fmt="md:myst")


@cache
def source(slug):
    return read(slug)


@cache
def released(slug):
    notebook = read(slug)
    clear_for_students(notebook, f"{slug}.md")
    return notebook


@cache
def solutions(slug):
    """The solved functions, by name."""
    return functions_of(slug, source(slug))


@cache
def stubs(slug):
    """The functions as students find them."""
    return functions_of(slug, released(slug))


def functions_of(slug, notebook):
    """Run the answers' cells alone: one may need no more than the standard library and torch."""
    names = {}
    exec(plain_imports(notebook), names)
    for exercise in exercises_of(slug):
        if not exercise.manual:
            exec(compile(graded(notebook, exercise.name).source, exercise.name, "exec"), names)
    return names


def plain_imports(notebook):
    """What the lab's own cells import from the standard library and from torch."""
    statements = [each for cell in code_cells(notebook) if nbgrader(cell).get("locked") for each in imports(cell)]
    return "\n".join(ast.unparse(each) for each in statements if modules(each) <= {*sys.stdlib_module_names, "torch"})


def imports(cell):
    return [each for each in ast.parse(cell.source).body if isinstance(each, (ast.Import, ast.ImportFrom))]


def modules(statement):
    if isinstance(statement, ast.ImportFrom):
        return {(statement.module or "").partition(".")[0]}
    return {name.name.partition(".")[0] for name in statement.names}


def nbgrader(cell):
    return cell.metadata.get("nbgrader", {})


def graded(notebook, grade_id):
    """Find the one cell with this id."""
    (cell,) = [cell for cell in notebook.cells if nbgrader(cell).get("grade_id") == grade_id]
    return cell


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def run_solved(slug):
    """Run a lab as it is when solved, without set-up and checks; return the lines it printed and the names it left."""
    skipped = {"setup"} | {f"check_{exercise.name}" for exercise in exercises_of(slug)}
    shown, plt.show = plt.show, plt.close
    try:
        printed, names = run([cell for cell in code_cells(source(slug)) if nbgrader(cell)["grade_id"] not in skipped])
    finally:
        plt.show = shown
    return printed.splitlines(), names


def run(cells, names=None):
    """Run code cells as the notebook would, and return what they printed and the names they left."""
    mpl.use("Agg")
    names = names if names is not None else {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells:
            exec(compile(cell.source, nbgrader(cell)["grade_id"], "exec"), names)
    return printed.getvalue(), names
