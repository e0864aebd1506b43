"""The interactive charts draw what the arrays say: checked against numpy, in a JavaScript engine where it matters."""

import json
import math
import re

import numpy as np
import pytest
import vl_convert

from companion.viz import heads_chart, temperature_chart

WORDS = ["the", "cat", "and", "the", "dog"]


@pytest.fixture
def weights():
    return np.random.default_rng(0).dirichlet(np.ones(5), size=(2, 3, 5))


def drawn_labels(spec):
    """Texts of the chart as Vega draws it."""
    svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
    return [part.split("</text>")[0].split(">")[-1] for part in svg.split("<text")[1:]]


def test_temperature_bars_are_the_softmax_of_the_divided_scores():
    scores, divisor = np.array([1.0, 3.0, -2.0, 0.5, 2.0]), 2.0
    spec = temperature_chart(scores, WORDS, start=divisor).to_dict()
    expected = np.exp(scores / divisor) / np.exp(scores / divisor).sum()
    assert {f"{weight:.2f}" for weight in expected} <= set(drawn_labels(spec))


def test_temperature_chart_survives_scores_that_overflow_exp():
    spec = temperature_chart([1000.0, 0.0], ["a", "b"], start=0.5).to_dict()
    labels = drawn_labels(spec)
    assert "1.00" in labels
    assert "NaN" not in labels


def test_repeated_words_keep_their_own_rows(weights):
    labels = drawn_labels(heads_chart(weights, WORDS).to_dict())
    assert labels.count("the") == 4  # twice on each axis


@pytest.mark.parametrize(("layer", "head"), [(1, 1), (2, 3)])
def test_heads_chart_shows_the_head_that_was_asked_for(weights, layer, head):
    spec = heads_chart(weights, WORDS, layer=layer, head=head).to_dict()
    svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
    cells = re.findall(r"\(key\): (\d); looking \(query\): (\d); weight: ([\d.]+)", svg)
    shown = np.full((5, 5), np.nan)
    for key, query, weight in cells:
        shown[int(query), int(key)] = float(weight)
    np.testing.assert_allclose(shown, weights[layer - 1, head - 1], atol=1e-3)


def test_heads_chart_starts_with_the_values_in_its_menus(weights):
    spec = heads_chart(weights, WORDS, layer=2, head=3).to_dict()
    menus = {param["name"]: param for param in spec["params"]}
    assert menus["layer"]["value"] == 2
    assert menus["layer"]["bind"]["options"] == [1, 2]
    assert menus["head"]["value"] == 3
    assert menus["head"]["bind"]["options"] == [1, 2, 3]


def test_charts_are_as_wide_as_the_page_and_white_underneath(weights):
    for chart in (heads_chart(weights, WORDS), temperature_chart([1.0, 2.0], ["a", "b"])):
        spec = chart.to_dict()
        assert spec["width"] == "container"
        assert spec["background"] == "white"


def test_words_with_quotes_and_chinese_survive_the_trip_through_vega():
    words = ['"it"', "它", "a'b", "\\"]
    spec = temperature_chart([1.0, 2.0, 3.0, 4.0], words).to_dict()
    labels = " ".join(drawn_labels(spec))
    for word in ("它", "&quot;it&quot;", "a'b"):
        assert word in labels or word.replace("&quot;", '"') in labels
    assert json.loads(json.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("scores", "words", "options", "message"),
    [
        ([[1.0]], ["a"], {}, "1 axes"),
        ([], [], {}, "must not be empty"),
        ([1.0, math.nan], ["a", "b"], {}, "finite"),
        ([1.0, 2.0], ["a"], {}, "2 tokens, got 1"),
        ([1.0], ["a"], {"low": 0.0}, "0 < low"),
        ([1.0], ["a"], {"start": 99.0}, "start=99.0"),
        ([1.0], ["a"], {"step": 0.0}, "step > 0"),
    ],
)
def test_temperature_chart_names_what_is_wrong(scores, words, options, message):
    with pytest.raises(ValueError, match=message):
        temperature_chart(scores, words, **options)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 5, 5), {}, "4 axes"),
        ((2, 3, 4, 5), {}, "4 queries and 5 keys"),
        ((2, 3, 5, 5), {"layer": 3}, "layer must be from 1 to 2"),
        ((2, 3, 5, 5), {"head": 0}, "head must be from 1 to 3"),
    ],
)
def test_heads_chart_names_what_is_wrong(shape, options, message):
    with pytest.raises(ValueError, match=message):
        heads_chart(np.full(shape, 0.1), WORDS, **options)


def test_scores_instead_of_weights_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="apply softmax"):
        heads_chart(np.full((1, 1, 5, 5), 3.0), WORDS)


def test_a_string_is_not_a_list_of_tokens():
    with pytest.raises(TypeError, match="sequence of strings"):
        temperature_chart([1.0, 2.0], "ab")


def test_words_instead_of_numbers_are_refused():
    with pytest.raises(TypeError, match="array of numbers"):
        temperature_chart(["a", "b"], ["a", "b"])
