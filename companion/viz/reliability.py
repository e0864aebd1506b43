"""Is a model right as often as it says? Its probabilities beside the shares that were right."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from companion.viz._checks import as_numbers
from companion.viz.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reliability_chart(
    confidence: ArrayLike,
    accuracy: ArrayLike,
    n_examples: ArrayLike,
    *,
    title: str = "",
    label: str = "",
    colour: str = "ours",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the bins of :func:`companion.metrics.reliability`: a dot each, the larger the more examples it has.

    On the diagonal a model knows how sure it may be; below it the model is too sure. Bins without examples are left
    out. Two models are drawn in one picture by giving the axes of the first.

    Parameters
    ----------
    confidence, accuracy
        For each bin the mean probability and the share that was right; NaN where it is empty.
    n_examples
        How many examples each bin has.
    title
        What the picture shows, as a finding.
    label
        Whose probabilities these are, for the legend.
    colour
        A name of ``companion.viz.COLOURS``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The matplotlib axes drawn on.

    Raises
    ------
    TypeError, ValueError
        If the numbers are not between 0 and 1, not as many, or all bins are empty, or there is no such colour.
    """
    import matplotlib.pyplot as plt

    counts = as_numbers("n_examples", n_examples, ("bin",))
    if counts.min() < 0 or not counts.any():
        raise ValueError(f"n_examples must be at least 0 and somewhere above, got {counts.tolist()}")
    shown = counts > 0
    columns = {}
    for name, values in {"confidence": confidence, "accuracy": accuracy}.items():
        column = np.asarray(values, dtype=np.float64)
        if column.shape != counts.shape:
            raise ValueError(f"{name} must be as many as n_examples, {len(counts)}, got shape {column.shape}")
        columns[name] = as_numbers(name, column[shown], ("bin",))
        if columns[name].min() < 0 or columns[name].max() > 1:
            raise ValueError(f"{name} must lie between 0 and 1, got {columns[name].min()} to {columns[name].max()}")
    if colour not in COLOURS:
        raise ValueError(f"colour must be one of {', '.join(COLOURS)}, got {colour!r}")
    if ax is None:
        ax = plt.subplots(figsize=(4.2, 4.0))[1]
        ax.plot([0, 1], [0, 1], color=COLOURS["rule"], linewidth=1, zorder=1)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability given", ylabel="share that was right")
        ax.set_aspect("equal")
    area = 20 + 180 * counts[shown] / counts.max()
    ax.plot(columns["confidence"], columns["accuracy"], color=COLOURS[colour], linewidth=1, zorder=2)
    ax.scatter(columns["confidence"], columns["accuracy"], s=area, color=COLOURS[colour], label=label or None, zorder=3)
    if label:
        ax.legend(loc="upper left")
    if title:
        ax.set_title(title)
    return ax
