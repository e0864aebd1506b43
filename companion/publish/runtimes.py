"""The page that says how long each notebook takes and on which devices it has been run."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from companion.publish.project import write_bytes

PAGE = "book/runtimes.md"
DEVICES = ("cpu", "cuda")
HEADER = "| Notebook | Device | Hardware | Run time | Date (UTC) |"
INTRODUCTION = """\
# Run times

Every notebook is run from top to bottom, and what its checked cells print is compared with what is stored in it. The
same stored output has to come out on a CPU and on a GPU. The table is written by that run: `make nbval` for the CPU,
`make nbval DEVICE=cuda` for a GPU, which refuses to start where there is none. Two notebooks run at once.
"""


@dataclass(frozen=True, order=True)
class Run:
    """One successful run of a notebook."""

    notebook: str
    device: str
    hardware: str
    seconds: float
    date: str


def record_runs(root: Path, runs: Iterable[Run]) -> None:
    """Write runs to the page, each in place of the notebook's last one on that device; rows of lost notebooks go."""
    path = root / PAGE
    known = read_runs(path.read_text("utf8")) if path.exists() else []
    rows = {(run.notebook, run.device): run for run in [*known, *runs]}
    kept = [run for run in rows.values() if (root / run.notebook).exists()]
    write_bytes(path, render_page(kept).encode("utf8"))


def read_runs(page: str) -> list[Run]:
    """Return the rows of the page's table."""
    row = re.compile(r"^\| `([^`]+)` \| (\w+) \| ([^|]+) \| ([\d.]+) s \| ([\d-]+) \|$", flags=re.MULTILINE)
    return [Run(name, device, hardware, float(time), date) for name, device, hardware, time, date in row.findall(page)]


def render_page(runs: Iterable[Run]) -> str:
    """Return the page: what was run on which device, what never was, and the table."""
    runs = sorted(runs)
    lines = [INTRODUCTION, *(_device_line(device, runs) for device in DEVICES)]
    if runs:
        lines += ["", HEADER, "|---|---|---|---:|---|", *map(_row, runs)]
    return "\n".join(lines) + "\n"


def _row(run: Run) -> str:
    notebook, device, hardware, seconds, date = astuple(run)
    return f"| `{notebook}` | {device} | {hardware} | {seconds:.1f} s | {date} |"


def _device_line(device: str, runs: list[Run]) -> str:
    dates = [run.date for run in runs if run.device == device]
    if not dates:
        return f"- {device.upper()}: not yet run."
    never = sorted({run.notebook for run in runs} - {run.notebook for run in runs if run.device == device})
    missing = f" Not yet: {', '.join(f'`{name}`' for name in never)}." if never else ""
    return f"- {device.upper()}: run, last on {max(dates)}.{missing}"


def hardware_name(device: str) -> str:
    """Return what a reader would call this machine's device, such as the model of the processor and its cores."""
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        name = f"{_processor()}, {cores} cores"
    return name.replace("|", "/")


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), flags=re.MULTILINE) if cpuinfo.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()
