"""One batch of the whole corpus, graded once for all tests that look at it."""

import contextlib
import os
import socket
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from corpus import Lab, Submission, build

from companion.grading.batch import Options, grade_all

TIMEOUT = 2.0
TAG = "COMPANION_TEST_TAG"


@pytest.fixture(scope="session")
def sandbox():
    """Skip, loudly, where no sandbox can be made; in CI that is a failure."""
    from companion.grading.sandbox import available

    works, reason = available()
    if not works and os.environ.get("CI"):
        pytest.fail(f"no sandbox: {reason}")
    if not works:
        pytest.skip(f"NOT TESTED, no sandbox: {reason}")


@pytest.fixture(scope="session")
def released(tmp_path_factory, repository_root) -> Path:
    """The attention lab as students get it."""
    from companion.publish.release import release_lab

    return release_lab(repository_root, "attention", tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="session")
def lab(released, repository_root) -> Lab:
    return Lab(released, repository_root / "labs" / "attention.md")


@pytest.fixture(scope="session")
def seed_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("seed") / "secret.txt"
    path.write_text("correct horse battery staple\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def options(released, seed_file):
    """Make the options of a batch."""

    def make(submissions: Path, out: Path, **more) -> Options:
        settings = {"jobs": 2, "timeout": TIMEOUT, "released": released} | more
        return Options(submissions, "attention", seed_file, out, **settings)

    return make


class Tagged:
    """The processes started while a tag stands in the environment."""

    def __init__(self):
        self.tag = uuid.uuid4().hex

    def alive(self) -> list[psutil.Process]:
        """List those that still run: a process keeps the environment that it was started with."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(TAG) == self.tag and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def wait(self, seconds: float) -> list[psutil.Process]:
        """Wait until all have ended; return those that have not."""
        until = time.monotonic() + seconds
        while self.alive() and time.monotonic() < until:
            time.sleep(0.2)
        return self.alive()


@pytest.fixture
def tagged(monkeypatch) -> Tagged:
    processes = Tagged()
    monkeypatch.setenv(TAG, processes.tag)
    return processes


@dataclass(frozen=True)
class Batch:
    """A folder of submissions, what was handed in, the results, and what still ran when it was done."""

    submissions: Path
    corpus: dict[str, Submission]
    out: Path
    finished: bool
    still_running: list[psutil.Process]


@pytest.fixture(scope="session")
def batch(sandbox, lab, options, seed_file, tmp_path_factory, repository_root) -> Batch:
    """Grade the whole corpus."""
    submissions, out = tmp_path_factory.mktemp("submissions"), tmp_path_factory.mktemp("results")
    forbidden = [repository_root / "pyproject.toml", repository_root / "companion", seed_file, submissions, out]
    processes = Tagged()
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(TAG, processes.tag)
        corpus = build(lab, forbidden, server.getsockname()[1])
        for name, submission in corpus.items():
            (submissions / f"{name}.ipynb").write_bytes(submission.data)
        finished = grade_all(options(submissions, out))
        return Batch(submissions, corpus, out, finished, processes.alive())
