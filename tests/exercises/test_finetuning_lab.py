"""What the fine-tuning lab's text promises is what its cells show."""

import math
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.exercises import ExerciseFailed, check
from tests.exercises.labs import graded, run, solutions, source, stubs

SLUG = "finetuning"
LAB = source(SLUG)
DEMOS = ("demo_head", "demo_strings", "demo_padding", "demo_spam", "demo_rates", "demo_tags")


def names(**more):
    import collections

    plain = {"plt": plt, "torch": torch, "F": F, "nn": nn, "math": math, "collections": collections}
    return {**solutions(SLUG), **plain, **more}


@pytest.mark.data
def test_the_demonstrations_show_what_the_text_says():
    printed, _ = run([graded(LAB, name) for name in DEMOS], names())
    assert printed.splitlines() == [
        "pretrained: 23 million numbers in 6 blocks",
        "new: 770 numbers, all random",
        "with texts: TypeError",
        "with numbers: 0.69",
        "mean of all places: a longer neighbour moves the text's vector by more than a tenth: True",
        "your mean: a longer neighbour moves the text's vector by more than a tenth: False",
        "share of spam: 0.12  weights: [0.57, 4.11]",
        "equal weights: best to say spam with 0.12",
        "balanced weights: best to say spam with 0.5",
        "head.weight: 1.0e-03",
        "body.encoder.blocks.5.feed_forward.up.weight: 1.0e-04",
        "body.encoder.blocks.0.feed_forward.up.weight: 3.3e-05",
        "body.token_embedding.weight: 2.6e-05",
        "[CLS]      -",
        "angela     PERSON",
        "mer        PERSON",
        "##kel      -",
        "visited    O",
        "ou         PLACE",
        "##aga      -",
        "##dou      -",
        "##go       -",
        "##u        -",
        "[SEP]      -",
    ]
    assert "Those 770 numbers" in graded(LAB, "text_warm_up_2").source
    assert "one message of eight is spam" in graded(LAB, "text_weighted_loss").source
    assert round(8 * 0.12) == 1


def test_an_error_that_names_the_first_unseen_label_alone_is_not_enough():
    def first_alone(labels, names):
        for label in labels:
            if label not in names:
                raise ValueError(f"{label} is unknown")
        return [names.index(label) for label in labels]

    with pytest.raises(ExerciseFailed, match=r"raised ValueError: .* is unknown.*; the message does not name"):
        check("label_numbers", first_alone)
    with pytest.raises(ExerciseFailed, match="label_numbers is not implemented yet"):
        check("label_numbers", stubs(SLUG)["label_numbers"])


def test_losses_go_on_falling_when_a_head_is_trained_on():
    """The proposal to try next after the loop."""
    train_head = solutions(SLUG)["train_head"]
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(12, 6, generator=generator), torch.arange(12) % 3
    rows = [list(range(6)), list(range(6, 12))] * 5
    weight, bias, first = train_head(features, labels, torch.zeros(3, 6), torch.zeros(3), rows, 0.3)
    _, _, second = train_head(features, labels, weight, bias, rows, 0.3)
    assert first[0] == pytest.approx(math.log(3))
    assert sum(second[-2:]) < sum(second[:2]) < sum(first[:2])


def test_a_temperature_changes_the_calibration_error_and_not_the_accuracy():
    calibration_error = solutions(SLUG)["calibration_error"]
    scores = 3 * torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    labels = scores.argmax(1)
    errors = [calibration_error((scores / t).softmax(1), labels, 10) for t in (0.5, 1.0, 2.0)]
    assert errors == sorted(errors)
    assert errors[0] < errors[2] - 0.1
    assert all(torch.equal((scores / t).argmax(1), labels) for t in (0.5, 2.0))


@pytest.fixture(scope="module")
def trained():
    """Run the cells that train, once."""
    from companion.device import pick_device

    if pick_device().type != "cpu":
        pytest.skip("the numbers are those of a CPU")
    shown, plt.show = plt.show, plt.close
    try:
        _, left = run([graded(LAB, "demo_head")], names())
        yield run([graded(LAB, name) for name in ("read_reviews", "fact_reviews", "draw_temperature")], left)
    finally:
        plt.show = shown


@pytest.mark.data
@pytest.mark.slow
def test_a_model_that_has_read_before_learns_from_few_sentences(trained):
    printed, left = trained
    assert printed == (
        "better than TF-IDF by 5 points or more: True\nchance would do that once in twenty times, or less often: True\n"
    )
    assert len(left["reviews"]["train"][0]) == 240
    assert "from 240 sentences" in LAB.cells[0].source
    # As the figure's description says: about a half, little more, about three quarters.
    frequent, counted, tuned = left["accuracy"].values()
    assert 0.5 <= frequent < 0.56
    assert frequent < counted < 0.68
    assert 0.68 < tuned < 0.82
    assert min(left["errors"]) < max(left["errors"]) / 2
    assert torch.equal((left["scores"] / left["temperature"]).argmax(1), left["scores"].argmax(1))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_model_answer_to_the_open_question_says_what_its_measurement_says(trained):
    left: dict[str, Any] = run([graded(LAB, "who_has_to_learn_code")], trained[1])[1]
    answer = " ".join(graded(LAB, "who_has_to_learn").source.split())
    assert f"MiniLM, {len(left['few'][0])} sentences, 3 epochs in batches of 8" in answer
    assert f"{len(left['unseen'])} unseen sentences" in answer
    assert round(math.sqrt(0.72 * 0.28 / len(left["unseen"])), 3) == 0.026
    assert "near 0.026" in answer
    assert left["critic"].body.config.d_model == 384
    means = {way: sum(shares) / 2 for way, shares in left["measured"].items()}
    without = means.pop("from random weights")
    # The figure's title: what was pretrained matters more than what is trained.
    assert min(means.values()) - without > max(means.values()) - min(means.values())
