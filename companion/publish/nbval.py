"""Running the notebooks as tests: nbval over the chapters and the solved labs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from companion.publish.convert import code_cells, is_checked
from companion.publish.execute import CELL_TIMEOUT
from companion.publish.notebooks import executed_notebooks
from companion.publish.runtimes import DEVICES, Run, hardware_name, record_runs

REFUSED = 2
WORKERS = 2
SANITIZE = Path(__file__).with_name("sanitize.cfg")


def run_nbval(root: Path, paths: Sequence[Path], device: str, record: bool) -> int:
    """Run notebooks against their stored outputs and return an exit code: 0 only if all cells passed.

    Parameters
    ----------
    root
        The checkout.
    paths
        The notebooks; all tested ones where none is given.
    device
        What ``COMPANION_DEVICE`` says in the kernels, ``"cpu"`` or ``"cuda"``.
    record
        Whether to write the run times of the notebooks that passed to ``book/runtimes.md``.

    Raises
    ------
    ValueError
        When the device is unknown, there is no notebook, or one has nothing stored to compare with.
    """
    if device not in DEVICES:
        raise ValueError(f"device: expected {' or '.join(DEVICES)}, got {device!r}.")
    if device == "cuda" and not _has_cuda():
        print(
            "No CUDA device is available (torch.cuda.is_available() is false), and the notebooks are not run "
            "on the CPU in its place. Use a machine with a GPU and a CUDA build of torch, or leave --device out.",
            file=sys.stderr,
        )
        return REFUSED
    notebooks = [path.resolve() for path in paths] or executed_notebooks(root)
    if not notebooks:
        raise ValueError(f"There is no notebook to run in {root}: `make notebooks` writes them.")
    for path in notebooks:
        require_checked_outputs(path)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = subprocess.run(
            _command(root, notebooks, Path(folder), report), cwd=root, env=_environment(device), check=False
        ).returncode
        seconds = passed_seconds(report, [_name(path, root) for path in notebooks])
    if record:
        today, hardware = datetime.now(UTC).date().isoformat(), hardware_name(device)
        record_runs(root, [Run(name, device, hardware, taken, today) for name, taken in seconds.items()])
    return code


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def require_checked_outputs(path: Path) -> None:
    """Check that a notebook stores the output of each checked cell, and has one: nbval passes others unread.

    Raises
    ------
    ValueError
        Naming the notebook, and the cell if one is at fault.
    """
    checked = [cell for cell in code_cells(nbformat.read(path, as_version=4)) if is_checked(cell)]
    if not checked:
        raise ValueError(f"{path}: no cell is tagged nbval-check-output, so a run would compare nothing.")
    for cell in checked:
        if not cell.outputs or cell.execution_count is None:
            raise ValueError(f"{path}: checked cell {cell.id!r} has no stored output; run `make notebooks`.")


def _command(root: Path, notebooks: Sequence[Path], scratch: Path, report: Path) -> list[str]:
    # An empty configuration: the suite's own options are for the suite.
    configuration = scratch / "pytest.ini"
    configuration.write_text("[pytest]\njunit_family = xunit1\n")
    workers = min(WORKERS, len(notebooks))
    return [
        *(
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            str(configuration),
            f"--rootdir={root}",
            "-p",
            "no:cacheprovider",
        ),
        *("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", str(CELL_TIMEOUT)),
        *("--nbval-sanitize-with", str(SANITIZE), "-n", str(workers), "--dist", "loadfile"),
        *(f"--junitxml={report}", *map(str, notebooks)),
    ]


def _environment(device: str) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("BOOK_BUILD", "PYTEST_ADDOPTS")}
    return {**inherited, "COMPANION_DEVICE": device}


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def passed_seconds(report: Path, names: Sequence[str]) -> dict[str, float]:
    """Return the run time of each notebook whose cells all passed, from pytest's XML report."""
    if not report.exists():
        return {}
    seconds: dict[str, float] = defaultdict(float)
    failed = set()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 (written by our own pytest just now)
        name = case.get("file", "")
        seconds[name] += float(case.get("time", 0))
        if any(case.find(outcome) is not None for outcome in ("failure", "error", "skipped")):
            failed.add(name)
    return {name: seconds[name] for name in names if name in seconds and name not in failed}
