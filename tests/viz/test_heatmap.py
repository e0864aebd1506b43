"""The heat map's pixels, labels and refusals."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from companion.viz import COLOURS, attention_heatmap, use_book_style


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_picture_holds_the_weights_query_by_row():
    weights = np.random.default_rng(0).dirichlet(np.ones(3), size=2)
    ax = attention_heatmap(weights, ["x", "y", "z"], query_tokens=["a", "b"], title="found", digits=2)
    np.testing.assert_array_equal(ax.images[0].get_array(), weights)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["x", "y", "z"]
    assert [text.get_text() for text in ax.texts] == [f"{weight:.2f}" for weight in weights.ravel()]
    assert ax.get_title(loc="left") or ax.get_title() == "found"


def test_equal_weights_look_equal_in_different_pictures():
    pale = attention_heatmap(np.array([[0.1, 0.2]]), ["x", "y"], query_tokens=["a"])
    dark = attention_heatmap(np.array([[0.1, 0.9]]), ["x", "y"], query_tokens=["a"])
    assert pale.images[0].get_clim() == dark.images[0].get_clim() == (0, 1)


def test_it_draws_on_the_axes_it_is_given():
    _, ax = plt.subplots()
    assert attention_heatmap(np.eye(2), ["x", "y"], ax=ax) is ax


@pytest.mark.parametrize(
    ("weights", "tokens", "options", "message"),
    [
        (np.eye(3)[0], ["x"] * 3, {}, "2 axes"),
        (np.eye(3), ["x"] * 2, {}, "tokens must have one string for each of the 3"),
        (np.eye(3)[:2], ["x"] * 3, {}, "tokens must have one string for each of the 2"),
        (np.eye(3)[:2], ["x"] * 3, {"query_tokens": ["x"] * 3}, "query_tokens"),
        (np.eye(3) * 2, ["x"] * 3, {}, "between 0 and 1"),
        (np.full((3, 3), np.inf), ["x"] * 3, {}, "finite"),
    ],
)
def test_wrong_arguments_are_named(weights, tokens, options, message):
    with pytest.raises(ValueError, match=message):
        attention_heatmap(weights, tokens, **options)


def test_the_palette_differs_in_lightness_where_colours_meet():
    """A grey printer and every kind of colour vision must tell our line from a wrong one by lightness or by marker."""

    def lightness(colour):
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2

    values = sorted(lightness(COLOURS[name]) for name in ("ink", "ours", "second"))
    assert all(high / low > 1.8 for low, high in itertools.pairwise(values))


def test_the_style_has_a_white_ground_and_legible_type():
    with mpl.rc_context():
        use_book_style()
        assert mpl.rcParams["figure.facecolor"] == "white"
        assert mpl.rcParams["font.size"] >= 12
