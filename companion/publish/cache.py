"""Executed pages are reused only while everything they were computed with is the same."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from time import perf_counter

from nbformat import NotebookNode

from companion.publish.convert import assign_ids
from companion.publish.execute import run_cells
from companion.publish.lab_pages import page_text
from companion.publish.project import write_bytes
from companion.publish.sources import notebook_sources

CACHE = "_build/.jupyter_cache"
STAMP = "companion.sha256"
WORKERS = 2


def environment_hash(root: Path) -> str:
    """Return a hash of what a page's results depend on beside its own code.

    That is the companion's files, the pinned versions, and the Python and torch that run it. jupyter-cache itself
    only looks at the page.
    """
    digest = hashlib.sha256()
    files = (path for path in (root / "companion").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in sorted(files):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes() + b"\0")
    pins = root / "constraints.txt"
    digest.update(pins.read_bytes() if pins.exists() else b"")
    digest.update(f"{sys.version_info[:2]} torch {importlib.metadata.version('torch')}".encode())
    return digest.hexdigest()


def invalidate_cache(root: Path) -> bool:
    """Remove the executed pages when what they depend on has changed; tell whether they were removed."""
    cache, current = root / CACHE, environment_hash(root)
    stamp = cache / STAMP
    if stamp.exists() and stamp.read_text() == current:
        return False
    removed = cache.exists()
    if removed:
        shutil.rmtree(cache)
    write_bytes(stamp, current.encode())
    return removed


def execute_pages(root: Path, progress: Callable[[str, int, int], None]) -> list[str]:
    """Run the pages that are not in the cache, two at once, and store them where the site build looks.

    Raises
    ------
    ExecutionFailedError
        When a cell of a page fails; the pages that succeeded are kept.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    cache = get_cache(root / CACHE)
    pages = {path: _read_page(path, root) for path in notebook_sources(root)}
    missing = {path: page for path, page in pages.items() if not _is_cached(cache, page)}
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = {pool.submit(_run_page, page, path, root, progress): path for path, page in missing.items()}
        failures = []
        for job in as_completed(jobs):
            if error := job.exception():
                failures.append(error)
                continue
            path, data = jobs[job], {"execution_seconds": job.result()}
            bundle = CacheBundleIn(missing[path], str(path), data=data)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if failures:
        raise failures[0]
    return [path.relative_to(root).as_posix() for path in missing]


def _read_page(path: Path, root: Path) -> NotebookNode:
    from myst_nb.core.read import read_myst_markdown_notebook

    name = path.relative_to(root).as_posix()
    page = read_myst_markdown_notebook(page_text(path.read_text("utf8"), name.removesuffix(".md")), path=path)
    for cell, cell_id in zip(page.cells, assign_ids(page.cells, name), strict=True):
        cell.id = cell_id
    return page


def _is_cached(cache, page: NotebookNode) -> bool:
    try:
        cache.match_cache_notebook(page)
    except KeyError:
        return False
    return True


def _run_page(page: NotebookNode, path: Path, root: Path, progress: Callable[[str, int, int], None]) -> float:
    name, start = path.relative_to(root).as_posix(), perf_counter()
    run_cells(page, path.parent, name, partial(progress, name), book_build=True)
    return perf_counter() - start
