"""The curve of a training run: what was lost at each step, and what is left on texts not trained on."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from companion.viz.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours of the validation sets, and of their averages, in order; each has a marker of its own too.
MARKS = (("wrong", "o"), ("second", "s"), ("third", "^"), ("rule", "D"))
STEPS_SHOWN_AS_DOTS = 40


def plot_run(run: Any, *, x: str = "step", title: str = "", ax: "Axes | None" = None) -> "Axes":
    """Draw the training loss of a run as a line, and its validation losses as points joined by lines.

    Parameters
    ----------
    run
        The run's folder, its ``log.csv``, its history (what has ``columns``), or the columns as a dict.
    x
        What to draw against: ``"step"``, ``"tokens"``, ``"seconds"`` or ``"cpu_seconds"``.
    title
        What the picture shows, as a finding; by default, how far the loss fell.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The matplotlib axes drawn on.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        If this is no run, it has no losses, or x is no column of it.
    """
    import matplotlib.pyplot as plt

    columns = _columns(run)
    if x not in columns or x not in ("step", "tokens", "seconds", "cpu_seconds"):
        raise ValueError(f"x must be step, tokens, seconds or cpu_seconds, got {x!r}")
    if ax is None:
        ax = plt.subplots()[1]
    across, loss = _pairs(columns, x, "loss")
    if not len(loss):
        raise ValueError("run must have at least one finite loss, got none; train it for a step")
    dots = "." if len(loss) < STEPS_SHOWN_AS_DOTS else ""
    ax.plot(across, loss, dots + "-", color=COLOURS["ours"], linewidth=1.2, label="training")
    names = [name for name in columns if "validation_loss" in name]
    for i, name in enumerate(names):
        colour, marker = MARKS[i % len(MARKS)]
        ax.plot(*_pairs(columns, x, name), f"{marker}-", color=COLOURS[colour], label=_label(name), zorder=3)
    ax.set(xlabel=x.replace("cpu_seconds", "CPU-seconds"), ylabel="mean loss a token (nats)")
    ax.set_title(title or f"The loss fell from {loss[0]:.2f} to {loss[-1]:.2f}")
    if names:
        ax.legend()
    return ax


def _label(name: str) -> str:
    words = name.replace("ema_", "average of weights, ", 1).replace("validation_loss", "validation")
    return words.replace("_", " ")


def _pairs(columns: Mapping[str, NDArray[np.float64]], x: str, y: str) -> tuple[NDArray[Any], NDArray[Any]]:
    is_there = np.isfinite(columns[x]) & np.isfinite(columns[y])
    return columns[x][is_there], columns[y][is_there]


def _columns(run: Any) -> dict[str, NDArray[np.float64]]:
    if isinstance(run, (str, Path)):
        raw = _read(Path(run))
    else:
        raw = run if isinstance(run, Mapping) else getattr(run, "columns", None)
    if not isinstance(raw, Mapping) or not {"step", "loss"} <= set(raw):
        raise TypeError(f"run must be a folder, a log, a history or columns with step and loss, got {run!r}"[:200])
    columns = {name: _as_floats(values) for name, values in raw.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"run must have columns of one length, got {lengths}")
    return columns


def _read(path: Path) -> dict[str, list[str]]:
    path = path / "log.csv" if path.is_dir() else path
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    if not rows:
        raise ValueError(f"{path} is empty: the run has not begun")
    whole = [row for row in rows[1:] if len(row) == len(rows[0])]  # the last may be cut off
    return {name: [row[i] for row in whole] for i, name in enumerate(rows[0])}


def _as_floats(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([float("nan") if value in (None, "") else float(value) for value in values], dtype=np.float64)
