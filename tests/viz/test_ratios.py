"""The chart of ratios draws what it is given, and says what it cannot draw."""

import matplotlib as mpl
import pytest

from companion.viz import ratio_chart
from companion.viz.style import COLOURS

mpl.use("Agg")
GOOD = {"low": [1.1, 0.8], "high": [1.6, 1.2], "targets": [1.2, 1.1]}


def test_dots_spreads_targets_and_names():
    ax = ratio_chart(["decoding", "training"], [1.5, 0.9], **GOOD, title="One of two", label="times as fast")
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["decoding: 1.50", "training: 0.90"]
    lines = [(tuple(map(float, line.get_xdata())), line.get_color()) for line in ax.get_lines()[:6]]
    assert lines[:3] == [
        ((1.1, 1.6), COLOURS["ours"]),
        ((1.5,), COLOURS["ours"]),
        ((1.2,), COLOURS["ink"]),
    ]
    assert lines[4] == ((0.9,), COLOURS["wrong"])
    assert ax.get_title(loc="left") == "One of two" or ax.get_title() == "One of two"
    assert ax.get_xlim()[0] < 0.8
    assert ax.get_xlim()[1] > 1.6


@pytest.mark.parametrize(
    ("names", "ratios", "changed", "message"),
    [
        (["a"], [1.5, 0.9], {}, "names"),
        (["a", "b"], [1.5, float("nan")], {}, "finite"),
        (["a", "b"], [1.5, 0.9], {"targets": [1.0]}, "targets must be as many as ratios, 2, got 1"),
        (["a", "b"], [1.5, 0.9], {"targets": [1.0, 0.0]}, "targets must be above 0"),
        (["a", "b"], [1.0, 0.9], {}, "low must be at most its ratio"),
    ],
)
def test_bad_input(names, ratios, changed, message):
    with pytest.raises(ValueError, match=message):
        ratio_chart(names, ratios, **(GOOD | changed))
