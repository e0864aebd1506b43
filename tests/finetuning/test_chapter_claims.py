"""What book/finetuning.md says in prose or in a solution, and no cell of it computes."""

import math
import re
from statistics import fmean

import numpy as np
import pytest
import scipy.stats
import torch

from companion.data.loading import rows_of
from companion.finetuning import balanced_weights, load_study
from companion.finetuning import study as command
from companion.models import BERT

COUNTS = (50, 100, 200, 500, 1000, 2000, 5000)


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "finetuning.md").read_text("utf8")


@pytest.fixture(scope="module")
def study():
    return load_study()


def mean(study, arm, n, part="labels", what="accuracy", **settings):
    runs = study.select(part, arm=arm, n_labels=n, **settings)
    assert len(runs) >= 1
    return fmean(run[what] for run in runs)


def at_rate(study, lr, what, part="rates"):
    runs = study.select(part, arm="fine-tuned", lr=lr)
    assert len(runs) == 3
    return fmean(run[what] for run in runs)


def test_marking_takes_as_long_as_the_opening_says(chapter):
    assert "about five seconds" in chapter
    assert 14 < 200 * 5 / 60 < 18  # "a quarter of an hour"
    assert 6.5 < 5000 * 5 / 3600 < 8  # "a working day"


def test_the_study_is_the_one_that_is_described(study, chapter):
    assert study.header["command"] == "python -m companion.finetuning.study"
    assert f"`{study.header['command']}` did it once" in chapter
    planned = list(command.plan())
    assert [run.settings for run in study.runs] == planned
    assert command.COUNTS == COUNTS
    assert {run["seed"] for run in study.runs} == {0, 1, 2}
    assert len(study.labels) == 2000
    assert study.header["model"] == "minilm"
    assert study.header["masked_model"] == "tiny-bert"
    assert command.STABILITY_LABELS == 500


def test_the_study_took_about_as_long_as_the_text_says(study):
    minutes = sum(run["cpu_seconds"] for run in study.runs) / 60
    assert 37 < minutes < 53  # "about three quarters of an hour of one core"


def test_200_labels_with_pretraining_are_worth_4000_without(study, chapter):
    curve = [mean(study, "tfidf", n) for n in COUNTS]
    assert curve == sorted(curve)
    needed = float(np.exp(np.interp(mean(study, "fine-tuned", 200), curve, np.log(COUNTS))))
    assert round(needed, -3) == 4000
    assert round(1 - 200 / needed, 2) == 0.95  # "nineteen labels in twenty"
    assert round(2 * needed * 5 / 3600) / 2 == 5.5  # "five hours and a half"
    assert mean(study, "fine-tuned", 500) > max(curve)
    assert "are worth 4,000 without" in chapter


def test_freezing_costs_little_with_few_labels_and_more_with_many(study):
    lost = {n: mean(study, "fine-tuned", n) - mean(study, "frozen", n) for n in COUNTS}
    assert round(100 * lost[50]) == 3
    assert all(lost[n] > 2 * lost[50] for n in (500, 1000, 2000, 5000))


def test_random_weights_are_worse_than_counting_while_labels_are_few(study):
    for n in (50, 100, 200, 500, 1000):
        assert mean(study, "random", n) < mean(study, "tfidf", n)
    ones = study.select("rates", arm="random", lr=command.RATES["random"])
    usual, longer = sorted(ones, key=lambda run: run["steps"])
    assert longer["steps"] == 3 * usual["steps"]
    assert longer["accuracy"] < usual["accuracy"] + 0.02
    best = max(study.select("rates", arm="random", steps=usual["steps"]), key=lambda run: run["accuracy"])
    assert best["lr"] == command.RATES["random"]  # "a rate chosen for it"


def test_the_rate_may_err_by_ten_and_not_by_thirty(study):
    films = {lr: at_rate(study, lr, "accuracy") for lr in (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)}
    top = [films[lr] for lr in (3e-5, 1e-4, 3e-4)]
    assert max(top) - min(top) < 0.03
    assert films[1e-3] < min(top) - 0.03
    assert films[1e-3] < mean(study, "frozen", 500)  # "below what freezing gives"
    topics = {lr: at_rate(study, lr, "topics") for lr in films}
    assert all(abs(topics[lr] - study.header["topics_before"]) < 0.04 for lr in (1e-5, 3e-5, 1e-4))
    assert 0.45 < topics[1e-3] / study.header["topics_before"] < 0.6  # "half of the topics"
    ends = [run["accuracy"] for run in study.select("rates", arm="fine-tuned", lr=1e-3)]
    assert sum(end < 0.55 for end in ends) == 1  # "one seed in three to a coin"
    assert at_rate(study, 3e-4, "similarity") < 0.7  # "far from 1"
    assert topics[3e-4] > 0.6


def test_a_warm_up_and_a_decay_by_block_protect(study):
    assert at_rate(study, 1e-3, "accuracy", "warmup") < 0.55  # "end at a coin"
    assert at_rate(study, 3e-4, "topics", "warmup") < at_rate(study, 3e-4, "topics") - 0.02
    best = max(at_rate(study, lr, "accuracy") for lr in (3e-5, 1e-4, 3e-4))
    assert at_rate(study, 1e-3, "accuracy", "decay") > best - 0.02  # "as good as any"


def test_hidden_words_cost_as_many_bits_as_the_text_says(study):
    def paid(lr):
        return (at_rate(study, lr, "after", "masked") - at_rate(study, lr, "before", "masked")) / math.log(2)

    assert 0 < paid(1e-4) < 0.5 < paid(3e-4) < 0.8  # "over half a bit"
    assert paid(1e-3) > 3  # "several bits"


def test_two_hundred_sentences_are_read_nearly_five_times(study):
    (run,) = study.select("labels", arm="fine-tuned", n_labels=200, seed=0)
    assert round(run["steps"] * command.BATCH_SIZE / 200, 1) == 4.8
    assert 0.76 < run["accuracy"] < 0.8  # "nearly four in five are right"


@pytest.mark.data
def test_one_message_in_nine_is_spam():
    labels = [row["label"] for row in rows_of("sms_spam")]
    assert round(len(labels) / sum(labels)) in (8, 9)


@pytest.mark.data
def test_the_marks_of_people_are_what_the_text_says():
    rows = rows_of("movie_snippets")
    assert all(-4 <= row["score"] <= 4 for row in rows)
    assert all(row["label"] == (row["score"] > 0) for row in rows)


def test_weights_and_threshold_are_what_the_solution_says(chapter):
    weights = balanced_weights([1] * 100 + [0] * 800, 2).tolist()
    assert weights == pytest.approx([0.5625, 4.5])
    assert weights[0] / sum(weights) == pytest.approx(1 / 9)
    assert "4.5$ and $900/(2 \\cdot 800) = 0.5625" in chapter


def test_weights_move_scores_by_their_logarithm():
    """The equation of the shift: the least expected loss is at probabilities multiplied by the weights."""
    q, w = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64), torch.tensor([0.5, 1.5, 3.0], dtype=torch.float64)
    s = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([s], max_iter=100, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = -(w * q * s.log_softmax(-1)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(s.softmax(-1).detach(), w * q / (w * q).sum(), atol=1e-4, rtol=1e-4)


def test_the_gradients_are_those_of_the_equation():
    generator = torch.Generator().manual_seed(0)
    W, z = (torch.randn(shape, generator=generator, requires_grad=True) for shape in ((5, 7), (7,)))
    loss = -(W @ z).log_softmax(-1)[3]
    loss.backward()
    error = (W @ z).softmax(-1) - torch.eye(5)[3]
    torch.testing.assert_close(W.grad, torch.outer(error, z))
    torch.testing.assert_close(z.grad, W.T @ error)


def test_the_slowest_layer_is_as_slow_as_the_solution_says():
    assert round(0.7**6, 2) == 0.12
    assert round(0.5 ** (1 / 6), 2) == 0.89


@pytest.mark.data
def test_minilm_has_six_blocks():
    from companion.data import model_path

    assert BERT.from_pretrained(model_path("minilm")).config.n_layers == 6


def test_the_coins_fall_as_the_solution_says():
    assert round(scipy.stats.binomtest(15, 20).pvalue, 3) == 0.041
    assert round(scipy.stats.binomtest(105, 200).pvalue, 2) == 0.52


def test_the_temperature_of_the_solution():
    given, should = math.log(0.95 / 0.05), math.log(0.8 / 0.2)
    assert [round(given, 2), round(should, 2), round(given / should, 2)] == [2.94, 1.39, 2.12]
    assert round(0.95 - 0.8, 2) == 0.15


def test_the_padding_of_the_solution():
    vectors, mask = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) < 6
    hidden = vectors * mask[:, None]
    torch.testing.assert_close(hidden.mean(0), hidden[mask].mean(0) / 5)


@pytest.mark.data
def test_the_sentences_that_were_read_are_the_surest_errors(study, chapter):
    (best,) = study.select("labels", arm="fine-tuned", n_labels=5000, seed=0)
    wrong = best.predictions != study.labels
    surest = [i for i in np.argsort(-np.abs(best.log_odds), kind="stable") if wrong[i]][:24]
    groups = re.search(r"^GROUPS = \{(.*?)^\}", chapter, re.DOTALL | re.MULTILINE)
    assert groups is not None
    read = [int(number) for number in re.findall(r"\b\d+\b", groups[1])]
    assert len(set(read)) == 12  # "a dozen stand above"
    assert set(read) <= set(surest)
    marks = rows_of("movie_snippets")
    rows = command.load_rows().test
    assert sum(abs(marks[rows[i]["line"] - 1]["score"]) <= 0.5 for i in surest) == 10  # "In ten of the 24"
