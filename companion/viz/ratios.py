"""How many times as fast: measured ratios beside what they are held to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from companion.viz._checks import as_numbers, as_words
from companion.viz.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def ratio_chart(
    names: Sequence[str],
    ratios: ArrayLike,
    *,
    low: ArrayLike,
    high: ArrayLike,
    targets: ArrayLike,
    title: str = "",
    label: str = "ratio",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw ratios as dots with their spread on a line each, and a tick where the target is.

    Names stand above their lines, so that the picture stays legible on a narrow page; a ratio below its target has the
    colour of what is wrong and an open dot.

    Parameters
    ----------
    names
        What each ratio compares.
    ratios, low, high, targets
        The ratio, its spread, and what it should reach; all above 0.
    title
        What the picture shows, as a finding.
    label
        What the ratio is of.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The matplotlib axes drawn on.

    Raises
    ------
    TypeError, ValueError
        If the numbers are not finite, not above 0, or not as many as the names, or a ratio lies outside its spread.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    values = as_numbers("ratios", ratios, ("ratio",))
    labels = as_words("names", names, len(values))
    columns = {"low": as_numbers("low", low, ("ratio",)), "high": as_numbers("high", high, ("ratio",))}
    columns["targets"] = as_numbers("targets", targets, ("ratio",))
    for name, column in columns.items():
        if len(column) != len(values):
            raise ValueError(f"{name} must be as many as ratios, {len(values)}, got {len(column)}")
    for name, column in {"ratios": values, **columns}.items():
        if not (column > 0).all():
            raise ValueError(f"{name} must be above 0, got {column.min()}")
    if not ((columns["low"] <= values) & (values <= columns["high"])).all():
        raise ValueError("low must be at most its ratio, and high at least; they are the ends of its spread")
    if ax is None:
        ax = plt.subplots(figsize=(5.0, 0.9 + 0.42 * len(values)))[1]
    is_met = values >= columns["targets"]
    for row, value in enumerate(values):
        colour = COLOURS["ours" if is_met[row] else "wrong"]
        ax.plot([columns["low"][row], columns["high"][row]], [row, row], color=colour, linewidth=2, zorder=2)
        ax.plot(value, row, "o", color=colour, markerfacecolor=colour if is_met[row] else "white", zorder=3)
        ax.plot(columns["targets"][row], row, "|", color=COLOURS["ink"], markersize=11, markeredgewidth=1.5, zorder=4)
        ax.annotate(
            f"{labels[row]}: {value:.2f}",
            (0, row),
            xycoords=ax.get_yaxis_transform(),
            xytext=(2, 7),
            textcoords="offset points",
            fontsize=8.5,
        )
    ax.axvline(1, color=COLOURS["rule"], linewidth=1, zorder=1)
    lowest, highest = (f(np.concatenate([[1.0], values, *columns.values()])) for f in (np.min, np.max))
    ax.set_xscale("log", base=2)
    ax.set_xlim(lowest / 1.15, highest * 1.15)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(len(values) - 0.5, -0.9)
    ax.set_yticks([])
    ax.set(xlabel=f"{label}   (| target)")
    ax.set_title(title)
    ax.spines["left"].set_visible(False)
    return ax
