"""Small checkouts to publish from."""

import shutil
import sys
from pathlib import Path

import pytest

from companion.publish.sources import SiteIndex

sys.path.insert(0, str(Path(__file__).parent))
from notebook_samples import fill


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a chapter and a lab, nothing generated yet."""
    return fill(tmp_path)


@pytest.fixture
def index(checkout: Path) -> SiteIndex:
    return SiteIndex(checkout)


@pytest.fixture(scope="session")
def generated_once(tmp_path_factory) -> Path:
    """The small checkout with its notebooks written, made once: executing them takes seconds."""
    from companion.publish.notebooks import write_notebooks

    root = fill(tmp_path_factory.mktemp("generated"))
    write_notebooks(root, lambda *_: None)
    return root


@pytest.fixture
def generated(generated_once: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(generated_once, tmp_path / "copy"))
