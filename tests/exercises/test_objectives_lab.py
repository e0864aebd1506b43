"""What the objectives lab's text promises is what its cells show."""

import math

import matplotlib.pyplot as plt
import pytest
import torch

from companion.exercises import Mistake, get, local_call
from tests.exercises.labs import graded, run, solutions, source

SLUG = "objectives"
LAB = source(SLUG)


def names(**more):
    return {**solutions(SLUG), "plt": plt, **more}


def demonstration(name):
    return run([graded(LAB, name)], names())[0].splitlines()


def test_the_three_exams_ask_what_the_text_says():
    printed = demonstration("demo_exams")
    assert printed[1].endswith("-> ['for', 'last']")
    assert "ten questions" in graded(LAB, "text_warm_up_2").source
    whole = demonstration("demo_spans")[-1].removeprefix("whole again: ")
    assert len(whole.split()) - 1 == 10


def test_three_of_the_four_means_of_the_ragged_batch_are_not_the_right_one():
    assert demonstration("demo_ragged") == [
        "your loss:                   3.38",
        "averaged, then masked:       1.9",
        "divided by all positions:    1.86",
        "mean of each text, averaged: 3.37",
    ]


def test_whole_words_hide_with_all_their_pieces():
    single, whole = demonstration("demo_words")
    assert "the ? ##le ?" in single
    assert "the ? ? ?" in whole


def test_the_head_where_it_is_asked_gives_the_same_loss():
    assert demonstration("demo_head") == ["the same loss: True", "multiplications of the head: 15%"]


def test_cut_and_filled_the_sentence_is_whole_again():
    assert demonstration("demo_spans") == [
        "reads: thank you <X> me to your party <Y> week . <end>",
        "writes: <X> for inviting <Y> last <Z> <end>",
        "whole again: thank you for inviting me to your party last week .",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_what_was_cut_always_comes_back_as_try_next_supposes(seed):
    lab, generator = solutions(SLUG), torch.Generator().manual_seed(seed)
    tokens = torch.randint(10, 40, (25,), generator=generator).tolist()
    hidden = (torch.rand(25, generator=generator) < 0.3).tolist()
    marks = list(range(100, 120))
    read, written = lab["cut_spans"](tokens, hidden, marks, 1)
    assert lab["fill_spans"](read, written, marks, 1) == tokens


def test_a_million_fates_give_eighty_ten_and_ten():
    shape = (1000, 1000)
    generator = torch.Generator().manual_seed(0)
    ids, chosen = torch.zeros(shape, dtype=torch.long), torch.ones(shape, dtype=torch.bool)
    read, _ = solutions(SLUG)["hide_tokens"](ids, chosen, torch.rand(shape, generator=generator), ids + 1, 2)
    shares = read.flatten().bincount() / read.numel()
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.1, 0.8]), atol=1e-3, rtol=0)


def test_doubling_the_padding_changes_nothing():
    mean = solutions(SLUG)["mean_token_loss"]
    logits, targets = torch.randn(3, 5, 7), torch.randint(7, (3, 5))
    weights = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    wider = mean(
        torch.cat([logits, torch.randn(3, 5, 7)], 1),
        torch.cat([targets, targets], 1),
        torch.cat([weights, torch.zeros_like(weights)], 1),
    )
    torch.testing.assert_close(mean(logits, targets, weights), wider)


def test_a_loss_that_was_averaged_before_it_was_masked_is_caught_and_named():
    """The line of a widely read course."""

    def averaged_first(logits, targets, weights):
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()) * weights
        return loss.sum() / (weights.sum() + 1e-8)

    exercise = get("mean_token_loss")
    for seed in range(5):
        with pytest.raises(Mistake, match="the losses were averaged before they met it"):
            exercise.verify(local_call(averaged_first), seed)


@pytest.mark.data
@pytest.mark.slow
def test_the_model_learns_and_the_open_answer_says_what_its_measurement_says():
    cells = [graded(LAB, name) for name in ("imports", "read_recipes", "fact_recipes", "what_a_wrong_mean_costs_code")]
    printed, left = run(cells, names(math=math))
    assert "the model needs at least half a bit fewer: True" in printed
    crossing = next(
        i for i in range(5, 150) if sum(left["shown"][i - 5 : i]) / 5 / math.log(2) < left["frequency_bits"]
    )
    assert crossing < 60  # as the figure's description says
    shown, measured = ({name: [run[i] for run in runs] for name, runs in left["measured"].items()} for i in range(2))
    assert max(shown["averaged, then masked"]) < min(shown["each token once"]) - 2
    assert min(measured["averaged, then masked"]) > max(measured["each token once"])
