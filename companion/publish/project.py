"""Where the course lives: the repository's addresses, its folders, and the setup line built from them.

The addresses stand in one place, ``[project.urls]`` of pyproject.toml; everything else asks this module.
"""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlparse

DISTRIBUTION = "plm-companion"
BRANCH = "main"


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and (folder / "companion" / "__init__.py").is_file()


def repository_root() -> Path:
    """Find the checkout that this process works on: around the current folder, else around the package.

    Raises
    ------
    FileNotFoundError
        When neither lies in a checkout.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if _is_checkout(folder):
            return folder
    raise FileNotFoundError(
        f"No checkout of the course around {here} (a folder with pyproject.toml and companion/). "
        f"Clone {project_urls()['Repository']} and run the command inside it."
    )


@cache
def project_urls() -> dict[str, str]:
    """Return the addresses of ``[project.urls]``: ``Repository`` and ``Homepage``.

    A checkout's own pyproject.toml is asked first, because the metadata of an editable install is as old as the
    install; an installed package asks its metadata.

    Raises
    ------
    RuntimeError
        When an address is missing from both.
    """
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if _is_checkout(pyproject.parent):
        urls = tomllib.loads(pyproject.read_text("utf8"))["project"]["urls"]
    else:
        lines = importlib.metadata.metadata(DISTRIBUTION).get_all("Project-URL") or []
        urls = dict(line.split(", ", 1) for line in lines)
    missing = {"Repository", "Homepage"} - urls.keys()
    if missing:
        raise RuntimeError(f"[project.urls] of pyproject.toml lacks {', '.join(sorted(missing))}; found {urls}.")
    return {name: url.rstrip("/") for name, url in urls.items()}


def colab_url(path: str | PurePosixPath) -> str:
    """Return the address that opens a notebook of the repository in Colab.

    Parameters
    ----------
    path
        The notebook's path from the repository's root, such as ``labs/attention.ipynb``.

    Raises
    ------
    ValueError
        When the path is absolute or no notebook, or the repository is not on GitHub (Colab opens no other).
    """
    path = PurePosixPath(path)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".ipynb":
        raise ValueError(f"path: expected an .ipynb relative to the repository's root, got {str(path)!r}.")
    repository = urlparse(project_urls()["Repository"])
    if repository.netloc != "github.com":
        raise ValueError(f"Colab opens notebooks from github.com only, and Repository is {repository.geturl()!r}.")
    return f"https://colab.research.google.com/github{repository.path}/blob/{BRANCH}/{quote(str(path))}"


def page_url(docname: str) -> str:
    """Return the address of a page of the site, given its path without suffix (``book/attention``)."""
    return f"{project_urls()['Homepage']}/{docname}.html"


def setup_line() -> str:
    """Return the first code cell of every notebook: one line that installs the companion where it is missing.

    The line uses the standard library alone. Where `companion` can be imported it does nothing. Otherwise pip installs
    ``COMPANION_SOURCE`` if that is set, else the checkout that holds the notebook, else the repository; without
    ``--upgrade``, so that a preinstalled torch or numpy stays as it is.
    """
    requirement = f"{DISTRIBUTION}[labs] @ git+{project_urls()['Repository']}"
    return (
        "import importlib.util, os, pathlib, subprocess, sys; "
        'assert importlib.util.find_spec("companion") or subprocess.run([sys.executable, "-m", "pip", "install", "-q", '
        'os.environ.get("COMPANION_SOURCE") or next((f"{d}[labs]" for d in pathlib.Path.cwd().parents '
        f'if (d / "companion/__init__.py").exists()), "{requirement}")]).returncode == 0, '
        '"The companion package could not be installed. Go online and run this cell again, or set COMPANION_SOURCE to '
        'a checkout or wheel of it first."'
    )


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path` that takes its place when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp gives 0o600, and other people read these files
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
