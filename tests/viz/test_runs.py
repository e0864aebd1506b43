"""The curve of a run shows the numbers of its log, from wherever they come."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from companion.viz import COLOURS, plot_run

COLUMNS = {
    "step": [0, 1, 2, 3],
    "loss": [None, 3.5, 3.0, 2.5],
    "tokens": [0, 10, 20, 30],
    "validation_loss_short": [3.6, None, None, 2.75],
    "ema_validation_loss_short": [3.6, None, None, 2.9],
}
LOG = """step,loss,tokens,validation_loss_short,ema_validation_loss_short
0,,0,3.6,3.6
1,3.5,10,,
2,3.0,20,,
3,2.5,30,2.75,2.9
4,2."""


class History:
    columns = COLUMNS


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    return tmp_path


@pytest.mark.parametrize("kind", ["columns", "history", "folder", "log"])
def test_the_curve_has_the_numbers_of_the_run(kind, folder):
    runs = {"columns": COLUMNS, "history": History(), "folder": folder, "log": str(folder / "log.csv")}
    ax = plot_run(runs[kind], x="tokens")
    training, validation, average = ax.get_lines()
    np.testing.assert_array_equal(training.get_xydata(), [[10, 3.5], [20, 3.0], [30, 2.5]])
    np.testing.assert_array_equal(validation.get_xydata(), [[0, 3.6], [30, 2.75]])
    np.testing.assert_array_equal(average.get_xydata(), [[0, 3.6], [30, 2.9]])
    assert "The loss fell from 3.50 to 2.50" in (ax.get_title(), ax.get_title(loc="left"))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["training", "validation short", "average of weights, validation short"]
    colours = {line.get_color() for line in ax.get_lines()}
    assert len(colours) == 3
    assert colours <= set(COLOURS.values())


def test_a_title_and_axes_of_ones_own():
    ax = plt.subplots()[1]
    drawn = plot_run({"step": [1, 2], "loss": [2.0, 1.0]}, title="It learned", ax=ax)
    assert drawn is ax
    assert "It learned" in (ax.get_title(), ax.get_title(loc="left"))
    assert ax.get_legend() is None


CASES = {
    "x": (
        lambda: plot_run(COLUMNS, x="loss"),
        ValueError,
        "x must be step, tokens, seconds or cpu_seconds, got 'loss'",
    ),
    "absent": (lambda: plot_run(COLUMNS, x="seconds"), ValueError, "x must be step"),
    "no run": (lambda: plot_run(3), TypeError, "run must be a folder, a log, a history or columns"),
    "no losses": (lambda: plot_run({"step": [1]}), TypeError, "columns with step and loss"),
    "empty": (lambda: plot_run({"step": [0], "loss": [None]}), ValueError, "at least one finite loss"),
    "ragged": (lambda: plot_run({"step": [0, 1], "loss": [1.0]}), ValueError, "columns of one length"),
    "nowhere": (lambda: plot_run("no/such/folder"), FileNotFoundError, "no/such/folder"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_empty_log(tmp_path):
    (tmp_path / "log.csv").write_text("")
    with pytest.raises(ValueError, match="is empty: the run has not begun"):
        plot_run(tmp_path)
