"""A MyST notebook as an .ipynb: plain Markdown, stable cell ids, the badge that opens it in Colab, the setup cell."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from companion.publish.markdown import PlainMarkdown
from companion.publish.myst import block_tokens
from companion.publish.project import colab_url, setup_line
from companion.publish.sources import SiteIndex, read_page

CHECKED = "nbval-check-output"
SETUP = "setup"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
MAX_ID = 64  # nbformat's limit


@dataclass(frozen=True)
class Source:
    """A MyST notebook of the checkout."""

    root: Path
    path: Path

    @property
    def name(self) -> str:
        """Its path from the root, such as ``book/attention.md``."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def docname(self) -> str:
        """Its name on the site, such as ``book/attention``."""
        return self.name.removesuffix(".md")

    @property
    def is_lab(self) -> bool:
        """Whether it is an instructor's lab, with solutions."""
        return self.name.startswith("labs/")

    def read(self) -> NotebookNode:
        """Read the page into a notebook whose text is still MyST."""
        return jupytext.reads(self.path.read_text("utf8"), fmt="md:myst")


def convert(source: Source, index: SiteIndex, target: str) -> NotebookNode:
    """Return the notebook of a page, without outputs.

    Parameters
    ----------
    source
        The page.
    index
        What the other pages define.
    target
        Where the notebook will stand, from the root: its badge opens this file.

    Raises
    ------
    ValueError
        When the page has no setup cell, two cells with the same id, or text that has no plain Markdown.
    """
    notebook = source.read()
    require_setup_cell(notebook, source.name)
    _, own = read_page(source.docname, source.path.read_text("utf8"))
    plain = PlainMarkdown(source.root, source.docname, index, own)
    ids = assign_ids(notebook.cells, source.name)
    cells = [nbformat.v4.new_markdown_cell(f"[![Open In Colab]({BADGE})]({colab_url(target)})", id="open-in-colab")]
    for cell, cell_id in zip(notebook.cells, ids, strict=True):
        text = plain(cell.source) if cell.cell_type == "markdown" else cell.source.strip("\n")
        if not text:
            continue  # a cell of nothing but targets and comments
        metadata = {key: value for key, value in cell.metadata.items() if key != "id"}
        make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        cells.append(make(text, id=cell_id, metadata=metadata))
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}, "companion": {"source": source.name}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def require_setup_cell(notebook: NotebookNode, name: str) -> None:
    """Check that the first code cell is the setup line, and is tagged as such.

    Raises
    ------
    ValueError
        When it is not.
    """
    first = next((cell for cell in notebook.cells if cell.cell_type == "code"), None)
    if first is None or SETUP not in first.metadata.get("tags", []):
        raise ValueError(f"{name}: the first code cell must be the setup line, tagged {SETUP!r}.")
    if first.source != setup_line():
        raise ValueError(
            f"{name}: the setup cell is not what companion.publish.setup_line() returns; "
            "`python -m companion.publish notebooks` puts it right."
        )


def assign_ids(cells: list[NotebookNode], name: str) -> list[str]:
    """Give each cell an id that its neighbours' text cannot change.

    A cell's own ``id`` or nbgrader ``grade_id`` comes first. Other cells are counted within their section, so that
    what is inserted in one section leaves the ids of all others alone.

    Raises
    ------
    ValueError
        When two cells claim the same id, or a claimed id is not one that nbformat allows.
    """
    claimed = [_claimed_id(cell) for cell in cells]
    taken: set[str] = set()
    for claim in filter(None, claimed):
        if claim in taken:
            raise ValueError(f"{name}: two cells have the id {claim!r}.")
        if not re.fullmatch(rf"[\w-]{{1,{MAX_ID}}}", claim, flags=re.ASCII):
            raise ValueError(
                f"{name}: a cell's id is made of at most {MAX_ID} letters, digits, - and _; got {claim!r}."
            )
        taken.add(claim)
    ids, section, counts = [], "top", {}
    for cell, claim in zip(cells, claimed, strict=True):
        headings = _headings(cell)
        if headings:
            section = headings[0]
        cell_id = claim
        while cell_id is None or (claim is None and cell_id in taken):
            counts[section] = counts.get(section, 0) + 1
            cell_id = f"{section}-{counts[section]}"
        taken.add(cell_id)
        ids.append(cell_id)
        if headings:
            section = headings[-1]
    return ids


def _claimed_id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("id") or cell.metadata.get("nbgrader", {}).get("grade_id")


def _headings(cell: NotebookNode) -> list[str]:
    """Return the slugs of a text cell's headings."""
    if cell.cell_type != "markdown":
        return []
    tokens = block_tokens(cell.source)
    texts = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return [slug(text) for text in texts]


def slug(text: str) -> str:
    """Return a heading as part of an id: short, lower case, ASCII letters and digits with hyphens between."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not words:  # a heading in another script: its hash is as stable as its text
        return hashlib.sha256(text.encode()).hexdigest()[:8]
    return words[: MAX_ID - 8].rstrip("-")


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that are executed."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_checked(cell: NotebookNode) -> bool:
    """Tell whether a cell's printed output is stored and compared by nbval."""
    return CHECKED in cell.metadata.get("tags", [])


def code_hash(notebook: NotebookNode) -> str:
    """Return a hash of what decides the stored outputs: the code, and which cells are checked."""
    code = [[cell.source, is_checked(cell)] for cell in code_cells(notebook)]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def to_bytes(notebook: NotebookNode) -> bytes:
    """Return the file: sorted keys, LF, one newline at the end."""
    return (nbformat.writes(notebook).rstrip("\n") + "\n").encode("utf8")


def sealed_bytes(notebook: NotebookNode) -> bytes:
    """Return the notebook's file, with a hash of its own content in it by which an edit shows."""
    notebook.metadata.companion["content_hash"] = content_hash(notebook)
    return to_bytes(notebook)


def content_hash(notebook: NotebookNode) -> str:
    """Return a hash of everything in a notebook but the hash itself."""
    metadata = {**notebook.metadata, "companion": {**notebook.metadata.get("companion", {}), "content_hash": None}}
    content = json.dumps([notebook.cells, metadata], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
