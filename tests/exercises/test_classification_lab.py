"""What the classification lab's text promises is what its cells show."""

import collections
import math
import re

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F

from tests.exercises.labs import graded, run, solutions, source

SLUG = "classification"
LAB = source(SLUG)


def names(**more):
    modules = {"collections": collections, "math": math, "re": re, "torch": torch, "F": F, "plt": plt}
    return {**solutions(SLUG), **modules, **more}


def lines(*cells, start=None):
    printed, left = run([graded(LAB, name) for name in cells], names() if start is None else start)
    return printed.splitlines(), left


def test_the_demonstrations_without_data_show_what_the_text_says():
    printed, _ = lines(
        "demo_memory", "demo_memory_again", "demo_weights", "demo_languages", "demo_opinions", "demo_sizes"
    )
    assert printed == [
        "Right answers about a coin: 0.82",
        "467 rows to train, 233 to test",
        "Right answers about a coin: 0.53",
        "the: 0.63",
        "wind: 0.61",
        "rain: 0.48",
        "Where is the station? English",
        "Où est la gare, s'il vous plaît ? French",
        "Wo ist der Bahnhof? English",
        "¿Dónde está la estación? Spanish",
        "the -0.05  film -0.05  was -0.05  good +0.18",
        "the -0.02  film -0.02  was -0.02  not -0.08  good +0.16",
        "the +0.04  film +0.04  was +0.04  not -0.01  bad -0.13",
        "60 texts each: a drop of 0.05, from -0.10 to 0.20",
        "300 texts each: a drop of 0.05, from -0.01 to 0.12",
        "1500 texts each: a drop of 0.05, from 0.02 to 0.08",
    ]


def test_a_gradient_is_what_moving_a_weight_does_to_the_loss():
    """The third exercise's proposal."""
    generator = torch.Generator().manual_seed(0)
    features, weight = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (7, 3))
    labels, bias = torch.tensor([0, 1, 2, 0, 1, 2, 0]), torch.zeros(3, dtype=torch.float64)

    def loss(weight):
        return float(F.cross_entropy(features @ weight.T + bias, labels) + 0.1 / 2 * weight.square().sum())

    by_weight, _ = solutions(SLUG)["softmax_gradient"](features, labels, weight, bias, 0.1)
    moved = weight.clone()
    moved[1, 2] += 1e-6
    assert (loss(moved) - loss(weight)) / 1e-6 == pytest.approx(float(by_weight[1, 2]), abs=1e-5)


def test_an_accuracy_of_99_percent_with_a_high_f1_exists():
    """The fourth exercise's proposal: one percent of ten thousand texts is positive."""
    accuracy, f1, _ = solutions(SLUG)["confusion_scores"](torch.tensor([[9830, 70], [30, 70]]))
    assert accuracy == pytest.approx(0.99)
    assert f1 < 0.8
    accuracy, f1, _ = solutions(SLUG)["confusion_scores"](torch.tensor([[9800, 100], [0, 100]]))
    assert accuracy == pytest.approx(0.99)
    assert f1 > 0.8


def test_leaving_out_one_of_two_equal_words_changes_less():
    """The seventh exercise's proposal."""
    leave_one_out = solutions(SLUG)["leave_one_out"]
    vectors, weight = torch.tensor([[3.0], [0.0]]), torch.ones(1)
    once, twice = (leave_one_out(torch.tensor(ids), vectors, weight, 0.0)[0] for ids in ([0, 1, 1], [0, 0, 1, 1]))
    assert 0 < twice < once / 2


@pytest.fixture(scope="module")
def filtered():
    """Run the cells about spam, once."""
    return lines("demo_weights", "spam", "demo_scores", "costs", "fact_costs")


@pytest.mark.data
@pytest.mark.slow
def test_the_spam_filter_does_what_the_text_says(filtered):
    printed, left = filtered
    assert printed[3:] == [
        "2990 messages to train, 1495 to test, 2836 words",
        "Right on unseen messages: 0.98",
        "Words that speak for spam: txt call free stop to text uk reply",
        "your filter: accuracy 0.98, macro F1 0.95, correlation 0.89",
        "no filter: accuracy 0.88, macro F1 0.47, correlation 0.00",
        "[[1315, 3], [29, 148]]",
        "a lost message costs 10: 25 at the chosen threshold, 27 at 0.5",
        "a spam message costs 10: 56 at the chosen threshold, 171 at 0.5",
    ]
    assert len(left["message_texts"]) == 4485
    assert round(len(left["message_labels"]) / sum(left["message_labels"])) == 8
    assert "4,485 short messages, one in eight" in graded(LAB, "text_spam").source
    assert "right in 88 of 100" in graded(LAB, "text_scores_2").source
    at_chosen, at_half = left["paid"]["a spam message costs 10"]
    assert at_chosen < 0.35 * at_half  # "saves two thirds of the cost"
    described = graded(LAB, "costs").metadata["mystnb"]["image"]["alt"]
    for person, (low, high) in {"a spam message costs 10": (0.1, 0.3), "a lost message costs 10": (0.4, 0.7)}.items():
        curve = {t: left["cost_at"](t, left["paid_on"], *left["PEOPLE"][person]) for t in left["grid"]}
        assert low <= min(curve, key=curve.get) <= high, (person, min(curve, key=curve.get), described)


@pytest.mark.data
@pytest.mark.slow
def test_away_from_home_the_pretrained_vectors_are_better_and_nothing_is_lost(filtered):
    from companion.device import pick_device

    if pick_device().type != "cpu":
        pytest.skip("the numbers are those of a CPU")
    printed, left = lines("demo_sizes", "away", "fact_away", start=dict(filtered[1]))
    assert printed[3:] == [
        "Right more often at home: minilm",
        "Right more often away: minilm",
        "your TF-IDF surely loses accuracy away from home: False",
        "minilm surely loses accuracy away from home: False",
    ]
    assert all(low < drop < 0 for drop, low, _ in left["drops"].values())
    (_, _, highest) = left["drops"]["minilm"]
    assert highest < 0
    assert "MiniLM's interval lies below 0 as a whole" in graded(LAB, "text_away_2").source
    assert [len(part) for part in left["right"]["minilm"]] == [1000, 1000]
