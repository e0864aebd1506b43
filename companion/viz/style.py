"""One palette and one style for every figure, so that a colour means the same thing on every page."""

from typing import Any

from cycler import cycler

#: What a colour means, wherever it appears. Okabe and Ito's palette: told apart by every kind of colour vision, and
#: of different lightness, so that it survives a grey printer.
COLOURS = {
    "ours": "#0072B2",  # what the book builds or measures
    "wrong": "#D55E00",  # a mistake, or the thing done without the idea of the chapter
    "rule": "#8A8A8A",  # a baseline: no learning
    "second": "#E69F00",  # a second measured thing beside ours
    "third": "#009E73",
    "ink": "#222222",
}

#: Colour map of everything that runs from nothing to much; its lightness falls steadily, so grey shows the same order.
SEQUENTIAL = "Blues"
#: The same for charts drawn in the page: from nothing, through a half, to everything.
SEQUENTIAL_ENDS = ("#f7fbff", "#6aaed6", "#08306b")

_STYLE: dict[Any, Any] = {
    "figure.figsize": (5.0, 3.4),
    "figure.dpi": 144,  # sharp on dense screens; pages show it narrower than it is
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS["ink"],
    "axes.prop_cycle": cycler(color=[COLOURS[name] for name in ("ours", "wrong", "second", "third", "rule")]),
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "image.cmap": SEQUENTIAL,
}


def use_book_style() -> None:
    """Make matplotlib draw as the book does."""
    import matplotlib as mpl

    mpl.rcParams.update(_STYLE)
