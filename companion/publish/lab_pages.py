"""A lab as a page of the site: executed with its solutions, shown without them."""

from __future__ import annotations

from copy import deepcopy

import jupytext
import nbformat
from nbformat import NotebookNode

from companion.publish.project import colab_url
from companion.publish.release import clear_for_students
from companion.publish.sources import is_notebook


def page_text(text: str, docname: str) -> str:
    """Return what Sphinx reads in place of a page's source: the lab without its answers, other pages as they are.

    The code that is executed stays what it was. A cell whose text students may not see is hidden, and the version
    they get stands before it.
    """
    if not docname.startswith("labs/") or not is_notebook(text):
        return text
    return jupytext.writes(_without_answers(jupytext.reads(text, fmt="md:myst"), docname), fmt="md:myst")


def _without_answers(notebook: NotebookNode, docname: str) -> NotebookNode:
    released = deepcopy(notebook)
    clear_for_students(released, f"{docname}.md")
    cells = []
    for number, (cell, shown) in enumerate(zip(notebook.cells, released.cells, strict=True)):
        if number == 0:
            cells += _opening(cell, docname)
        elif cell.source == shown.source:
            cells.append(cell)
        elif cell.cell_type == "markdown":
            cells.append(shown)
        else:
            cells.append(nbformat.v4.new_markdown_cell(f"```python\n{shown.source}\n```"))
            hide = "remove-cell" if cell.metadata.nbgrader.get("solution") else "remove-input"
            cell.metadata.tags = [*cell.metadata.get("tags", []), hide]
            cells.append(cell)
    notebook.cells = cells
    return notebook


def _opening(cell: NotebookNode, docname: str) -> list[NotebookNode]:
    """Return the first cell, with the note on where to solve the lab under its title."""
    title, _, rest = cell.source.partition("\n")
    if cell.cell_type != "markdown" or not title.startswith("# "):
        raise ValueError(f"{docname}.md: a lab starts with its title, '# ...'; found {title!r}.")
    notebook = f"{docname}.ipynb"
    note = (
        f":::{{admonition}} Solve it in the notebook\n:class: tip\n[Open the students' notebook in Colab]"
        f"({colab_url(notebook)}), or start Jupyter in a checkout and open `{notebook}`. This page is for reading: "
        "it shows each exercise as you get it, and what its check says to a right answer.\n:::"
    )
    return [nbformat.v4.new_markdown_cell(f"{title}\n\n{note}\n\n{rest.lstrip()}", metadata=cell.metadata)]
