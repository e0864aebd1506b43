"""Which .ipynb files the repository holds, and keeping them equal to what their sources say."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from companion.publish.convert import SETUP, Source, content_hash, convert, sealed_bytes, to_bytes
from companion.publish.execute import execute, reuse_outputs
from companion.publish.project import setup_line, write_bytes
from companion.publish.release import student_notebook, validate_lab
from companion.publish.sources import SiteIndex, notebook_sources

DIFF_LINES = 12
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Target:
    """An .ipynb of the repository and the page it comes from."""

    source: Source
    name: str
    executed: bool

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.source.root / self.name


@dataclass(frozen=True)
class Problem:
    """What is wrong with a committed notebook."""

    name: str
    what: str
    detail: str = ""


def targets(root: Path) -> list[Target]:
    """Return what is generated: a chapter's notebook; of a lab, the solved one and the students'."""
    found = []
    for path in notebook_sources(root):
        source = Source(root, path)
        if source.is_lab:
            found.append(Target(source, f"labs/instructor/{path.stem}.ipynb", executed=True))
            found.append(Target(source, f"labs/{path.stem}.ipynb", executed=False))
        else:
            found.append(Target(source, f"{source.docname}.ipynb", executed=True))
    return found


def executed_notebooks(root: Path) -> list[Path]:
    """Return the notebooks that nbval runs: chapters and solved labs."""
    return [target.path for target in targets(root) if target.executed]


def generate(target: Target, index: SiteIndex) -> tuple[NotebookNode, bool]:
    """Return a target's notebook with the outputs its file has stored, and whether these are still good."""
    if not target.executed:
        return student_notebook(target.source, index), True
    notebook = convert(target.source, index, target.name)
    if target.source.is_lab:
        validate_lab(notebook, target.source.name)
    stored = read_stored(target.path)
    return notebook, stored is not None and reuse_outputs(notebook, stored)


def read_stored(path: Path) -> NotebookNode | None:
    """Read a generated notebook, or return None where there is none that can be read."""
    try:
        content = json.loads(path.read_text("utf8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("nbformat") != 4 or not {"cells", "metadata"} <= content.keys():
        return None
    return nbformat.read(path, as_version=4)


def write_notebooks(root: Path, progress: Progress) -> list[str]:
    """Bring every generated notebook up to date and return the names of those that were written.

    Raises
    ------
    ValueError
        When a source cannot be converted.
    ExecutionFailedError
        When a cell fails; the notebook's old file stays as it was.
    """
    written = []
    for path in notebook_sources(root):
        if rewrite_setup_cell(path):
            written.append(path.relative_to(root).as_posix())
    index = SiteIndex(root)
    for target in targets(root):
        notebook, current = generate(target, index)
        if not current:
            execute(notebook, target.path.parent, target.name, partial(progress, target.name))
        content = sealed_bytes(notebook)
        if not target.path.exists() or target.path.read_bytes() != content:
            write_bytes(target.path, content)
            written.append(target.name)
    return written


def check_notebooks(root: Path) -> list[Problem]:
    """Compare every generated notebook with its source, byte by byte, without running anything."""
    index, expected = SiteIndex(root), targets(root)
    problems = [problem for target in expected if (problem := _check(target, index))]
    names = {target.name for target in expected}
    present = itertools.chain.from_iterable((root / folder).rglob("*.ipynb") for folder in ("book", "labs"))
    for path in sorted(present):
        name = path.relative_to(root).as_posix()
        if name not in names and ".ipynb_checkpoints" not in path.parts:
            problems.append(Problem(name, "has no source; remove it or add its .md"))
    return problems


def _check(target: Target, index: SiteIndex) -> Problem | None:
    if not target.path.exists():
        return Problem(target.name, "missing")
    try:
        notebook, current = generate(target, index)
    except ValueError as error:
        return Problem(target.name, "its source cannot be converted", str(error))
    committed, content = target.path.read_bytes(), sealed_bytes(notebook)
    if committed == content and current:
        return None
    what = "stale" if is_sealed(target.path) else "edited by hand"
    if what == "stale" and not current:
        what = "stale: its code changed since its outputs were stored"
    return Problem(target.name, what, "\n".join(itertools.islice(_diff(committed, content, target.name), DIFF_LINES)))


def _diff(committed: bytes, content: bytes, name: str) -> Iterator[str]:
    old, new = (text.decode("utf8", "replace").splitlines() for text in (committed, content))
    return difflib.unified_diff(old, new, f"{name} (committed)", f"{name} (from its source)", n=1, lineterm="")


def is_sealed(path: Path) -> bool:
    """Tell whether a file is as it was generated."""
    notebook = read_stored(path)
    known = notebook.metadata.get("companion", {}).get("content_hash") if notebook else None
    return notebook is not None and known == content_hash(notebook) and to_bytes(notebook) == path.read_bytes()


def rewrite_setup_cell(path: Path) -> bool:
    """Put the current setup line into a source whose setup cell has another; tell whether that was needed."""
    text = path.read_text("utf8")
    cells = [cell for cell in Source(path.parent, path).read().cells if SETUP in cell.metadata.get("tags", [])]
    old = cells[0].source if cells else ""
    if not old or old == setup_line():
        return False
    if text.count(old) != 1:
        raise ValueError(f"{path.name}: cannot tell which lines are the setup cell; replace them with setup_line().")
    write_bytes(path, text.replace(old, setup_line()).encode("utf8"))
    return True
