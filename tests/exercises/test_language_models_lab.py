"""What the text of the lab on language models promises is what its cells show."""

import math
import re

import pytest
import torch

from companion.exercises import local_call
from companion.exercises.language_models import EXERCISES
from tests.exercises.labs import graded, run_solved, solutions, source

SLUG = "language_models"
LAB = source(SLUG)


@pytest.fixture(scope="module")
def solved():
    return run_solved(SLUG)


def text_of(grade_id):
    return " ".join(graded(LAB, grade_id).source.split())


def test_the_way_round_exercise_6_that_the_text_offers_is_right():
    (code,) = re.findall(r"it is `(torch\.autograd.*?)`\.", text_of("text_bigram_sgd_step"))

    def step(table, contexts, targets, learning_rate):
        rows = table[contexts].requires_grad_()
        found = eval(code, {"torch": torch, "rows": rows, "targets": targets})
        return table.index_add(0, contexts, learning_rate * found)

    (exercise,) = [exercise for exercise in EXERCISES if exercise.name == "bigram_sgd_step"]
    exercise.verify(local_call(step), 0)


def test_the_sentence_that_the_text_takes_apart_holds_these_pairs():
    counts = solutions(SLUG)["count_ngrams"]([["serve", "hot", "."]], 2)
    pairs = re.findall(r'`\("(.*?)", "(.*?)"\)`', text_of("text_count_ngrams"))
    assert list(counts) == pairs


@pytest.mark.data
@pytest.mark.slow
def test_the_solved_lab_prints_what_its_text_says(solved):
    printed, _ = solved
    assert printed == [
        "2806 recipes to learn from, 312 held out",
        "25263 sentences, 2895 held out",
        "The first: prepare noodles according to package directions and drain .",
        "preheat the: 124 times, 8 different words, oven 107 times",
        "add the: 1792 times, 442 different words, chopped 108 times",
        "n = 1: 6007 n-grams, of the held-out ones 99% seen before",
        "n = 2: 57240 n-grams, of the held-out ones 91% seen before",
        "n = 3: 141310 n-grams, of the held-out ones 72% seen before",
        "n = 4: 207499 n-grams, of the held-out ones 53% seen before",
        "n = 5: 245010 n-grams, of the held-out ones 41% seen before",
        "2002 columns, 361872 pairs; 99% of the table is 0",
        "Every word equally likely: 2002",
        "Pairs, with k = 1: 79.2",
        "Pairs, with k = 0.01: 35.5",
        "From 1 byte: 3.5 bits per byte",
        "From 2 bytes: 2.6 bits per byte",
        "bz2: 1.9 bits per byte",
        "as: 831 times, after 308 different words",
        "f: 829 times, after 3 different words",
        "Best k: 0.01, perplexity 35.5; Kneser-Ney: 32.2",
        "The first 50 steps beat equal probabilities: True",
        "400 steps beat add-1: True",
        "400 steps beat Kneser-Ney: False",
        "Downhill, every stretch of 50 steps makes it worse: True",
        "Half the text is enough for Kneser-Ney to beat add-0.01, at every amount: True",
        "add 1: twice the text takes off 28% at first and 27% at the end",
        "add 0.01: twice the text takes off 33% at first and 13% at the end",
        "Kneser-Ney: twice the text takes off 27% at first and 8% at the end",
        "Largest spread of three draws: 8%",
    ]


@pytest.mark.data
@pytest.mark.slow
def test_the_figures_descriptions_say_what_the_figures_show(solved):
    _, names = solved
    by_k, uphill, downhill, mean = (names[name] for name in ("by_k", "uphill", "downhill", "mean"))
    assert [round(by_k[k], 1) for k in (1, 0.01)] == [79.2, 35.5]
    assert round(uphill[0], 1) == 7.6
    assert round(uphill[400], 1) == 4.1
    assert round(math.log(by_k[1]), 1) == 4.4
    assert round(math.log(names["kneser_ney"]), 1) == 3.5
    assert 270 < downhill[200] < 290
    ends = {name: [round(mean[name, amount]) for amount in (394, 25263)] for name, _ in mean}
    assert ends == {"add 1": [618, 79], "add 0.01": [180, 35], "Kneser-Ney": [95, 32]}


@pytest.mark.data
@pytest.mark.slow
def test_the_model_answer_to_the_open_question_says_what_its_measurement_says(solved):
    _, names = solved
    mean, measured = names["mean"], names["measured"]
    answer = text_of("perplexity_and_data")
    assert int(names["held"][2].sum()) == 41405
    assert "over the same 41,405 tokens" in answer
    gaps = [1 - mean["Kneser-Ney", amount] / mean["add 0.01", amount] for amount in (394, 25263)]
    assert [round(100 * gap) for gap in gaps] == [47, 9]
    assert "from 47% to 9%" in answer
    spreads = {amount: max(draws) / min(draws) - 1 for (_, amount), draws in measured.items()}
    assert max(spread for amount, spread in spreads.items() if amount >= 3157) < 0.02
    plain = names["judge"](names["kneser_ney_bigram"](names["counts"], 0.7))
    assert round(mean["Kneser-Ney", 25263] - plain, 2) == 0.05
    assert round(plain, 1) == 32.2
    assert "costs 0.05 of 32.2" in answer


@pytest.mark.data
@pytest.mark.slow
def test_without_context_394_sentences_do_better_than_add_1_with_it(solved):
    _, names = solved
    _, targets, mask = names["held"]
    found = []
    for seed in range(3):
        order = torch.randperm(len(names["sentences"]), generator=torch.Generator().manual_seed(seed))[:394]
        counts = names["table_of"]([names["sentences"][i] for i in order.tolist()]).sum(0) + 0.1
        found.append((-(counts / counts.sum()).log()[targets][mask].mean()).exp().item())
    assert round(sum(found) / 3) == 244
    assert names["mean"]["add 1", 394] > 2 * 244
