"""The reliability chart draws the bins that have examples, and says what it cannot draw."""

import math

import matplotlib as mpl
import pytest

from companion.metrics import reliability
from companion.viz import reliability_chart
from companion.viz.style import COLOURS

mpl.use("Agg")
GOOD = {"confidence": [math.nan, 0.3, 0.9], "accuracy": [math.nan, 0.2, 0.7], "n_examples": [0, 5, 20]}


def test_bins_with_examples_are_dots_and_their_size_is_the_count():
    ax = reliability_chart(**GOOD, title="Too sure", label="MiniLM")
    (dots,) = ax.collections
    assert dots.get_offsets().tolist() == [[0.3, 0.2], [0.9, 0.7]]
    sizes = dots.get_sizes()
    assert sizes[0] < sizes[1]
    assert ax.get_title(loc="left") == "Too sure" or ax.get_title() == "Too sure"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["MiniLM"]


def test_two_models_share_one_picture_and_one_diagonal():
    ax = reliability_chart(**GOOD)
    assert reliability_chart(**GOOD, ax=ax, colour="second") is ax
    assert len(ax.collections) == 2
    assert [line.get_color() for line in ax.get_lines()] == [COLOURS[name] for name in ("rule", "ours", "second")]


def test_it_draws_what_the_metric_returns():
    bins = reliability([0, 1, 1, 0], [0.1, 0.8, 0.4, 0.2])
    ax = reliability_chart(bins.confidence, bins.accuracy, bins.n_examples)
    assert len(ax.collections[0].get_offsets()) == (bins.n_examples > 0).sum()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n_examples": [0, 0, 0]}, "somewhere above"),
        ({"n_examples": [0, -1, 3]}, "at least 0"),
        ({"accuracy": [0.2, 0.7]}, "accuracy must be as many as n_examples, 3"),
        ({"confidence": [0.1, 1.2, 0.9]}, "confidence must lie between 0 and 1"),
        ({"accuracy": [0.1, math.nan, 0.9]}, "accuracy must be finite"),
        ({"colour": "pink"}, "colour must be one of ours"),
    ],
)
def test_bad_input(changed, message):
    with pytest.raises(ValueError, match=message):
        reliability_chart(**(GOOD | changed))
