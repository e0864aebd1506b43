"""Figures of the book: they take arrays and strings, and know nothing of models."""

from companion.viz.charts import heads_chart, temperature_chart
from companion.viz.display import explore, is_book_build, show
from companion.viz.heatmap import attention_heatmap
from companion.viz.pieces import pieces_chart
from companion.viz.ratios import ratio_chart
from companion.viz.reliability import reliability_chart
from companion.viz.rotation import rotation_chart
from companion.viz.runs import plot_run
from companion.viz.style import COLOURS, SEQUENTIAL, use_book_style

__all__ = [
    "COLOURS",
    "SEQUENTIAL",
    "attention_heatmap",
    "explore",
    "heads_chart",
    "is_book_build",
    "pieces_chart",
    "plot_run",
    "ratio_chart",
    "reliability_chart",
    "rotation_chart",
    "show",
    "temperature_chart",
    "use_book_style",
]
