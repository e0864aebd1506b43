"""Span corruption: the definition by a loop, its inverse, and placements that are all equally likely."""

import itertools
import re
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from companion.objectives import corrupt_spans, restore_spans
from tests.objectives import naive

END = 1
SENTINELS = range(1000, 1400)
LENGTHS = st.integers(2, 300)
DENSITIES = st.floats(0.01, 0.99)
MEANS = st.floats(1.0, 20.0)
SEEDS = st.integers(0, 2**63 - 1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def corrupt(text, seed=0, **options):
    return corrupt_spans(text, sentinels=SENTINELS, end_id=END, generator=generator(seed), **options)


def hidden_of(text, corrupted):
    """Find which tokens of a text of distinct tokens are hidden."""
    return [token not in corrupted.input_ids.tolist() for token in text.tolist()]


@given(LENGTHS, DENSITIES, MEANS, SEEDS)
def test_by_a_loop(length, density, mean, seed):
    text = torch.arange(2, 2 + length)
    corrupted = corrupt(text, seed, density=density, mean_length=mean)
    read, written = naive.corrupt(text.tolist(), hidden_of(text, corrupted), SENTINELS, END)
    assert corrupted.input_ids.tolist() == read
    assert corrupted.labels.tolist() == written


@given(LENGTHS, DENSITIES, MEANS, SEEDS)
def test_how_much_is_hidden(length, density, mean, seed):
    """As T5 counts: the share of the tokens, at least one, never all; the spans of the mean length, at least one."""
    text = torch.arange(2, 2 + length)
    hidden = hidden_of(text, corrupt(text, seed, density=density, mean_length=mean))
    n_hidden = min(max(round(length * density), 1), length - 1)
    n_spans = len([span for span, _ in itertools.groupby(hidden) if span])
    assert sum(hidden) == n_hidden
    # Where little is kept, there is no room between so many spans.
    assert n_spans == min(max(round(n_hidden / mean), 1), n_hidden, length - n_hidden + 1)


@given(st.lists(st.integers(1, 999), min_size=2, max_size=99), DENSITIES, MEANS, SEEDS)
def test_restoring_undoes_it(text, density, mean, seed):
    """Also with the end token inside, tokens that repeat, and spans that begin or end the text."""
    text = torch.tensor(text)
    corrupted = corrupt(text, seed, density=density, mean_length=mean)
    restored = restore_spans(*corrupted, sentinels=SENTINELS, end_id=END)
    assert restored.equal(text)


@given(LENGTHS, DENSITIES, MEANS, SEEDS)
def test_sentinels_come_in_order_and_one_more_ends_the_labels(length, density, mean, seed):
    corrupted = corrupt(torch.arange(2, 2 + length), seed, density=density, mean_length=mean)
    asked, told = ([token for token in part.tolist() if token >= 1000] for part in corrupted)
    assert asked == list(range(1000, 1000 + len(asked)))
    assert told == [*asked, 1000 + len(asked)]
    assert corrupted.labels.tolist()[-2:] == [told[-1], END]
    assert corrupted.input_ids[-1] == END


@given(LENGTHS, DENSITIES, MEANS)
def test_texts_of_one_length_give_rows_of_one_length(length, density, mean):
    sizes = {
        tuple(len(part) for part in corrupt(torch.arange(2, 2 + length), seed, density=density, mean_length=mean))
        for seed in range(5)
    }
    assert len(sizes) == 1


def test_every_placement_is_equally_likely():
    """Seven tokens, three hidden in two spans: a count of every way there is."""
    text, source = torch.arange(2, 9), generator()
    ways = [
        way
        for way in itertools.product([False, True], repeat=7)
        if sum(way) == 3 and len([span for span, _ in itertools.groupby(way) if span]) == 2
    ]
    counts = Counter(
        tuple(
            hidden_of(
                text,
                corrupt_spans(text, density=0.43, sentinels=SENTINELS, end_id=END, generator=source, mean_length=1.5),
            )
        )
        for _ in range(4000)
    )
    assert set(counts) == set(ways)
    assert chisquare([counts[way] for way in ways]).pvalue > 1e-4


def test_the_same_seed_hides_the_same_and_another_does_not():
    text = torch.arange(2, 200)
    assert all(a.equal(b) for a, b in zip(corrupt(text, 3), corrupt(text, 3), strict=True))
    assert not corrupt(text, 3).input_ids.equal(corrupt(text, 4).input_ids)
    source = generator(3)
    epochs = [
        corrupt_spans(text, sentinels=SENTINELS, end_id=END, generator=source).input_ids.tolist() for _ in range(2)
    ]
    assert epochs[0] != epochs[1]


def test_the_paper_s_example():
    """Figure 2: the marks are in order, and the last one ends the labels."""
    words = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week", "."]
    text = torch.arange(2, 2 + len(words))
    hidden = [word in ("for", "inviting", "last") for word in words]
    read, written = naive.corrupt(words, hidden, ["<X>", "<Y>", "<Z>"], "</s>")
    assert " ".join(read[:-1]) == "Thank you <X> me to your party <Y> week ."
    assert " ".join(written[:-1]) == "<X> for inviting <Y> last <Z>"
    corrupted = next(
        c
        for c in (corrupt(text, s, density=0.25, mean_length=1.5) for s in range(9999))
        if hidden_of(text, c) == hidden
    )
    names = {1000: "<X>", 1001: "<Y>", 1002: "<Z>", END: "</s>"}
    assert [names.get(token) or words[token - 2] for token in corrupted.labels.tolist()] == written


def test_dtype_is_kept():
    corrupted = corrupt(torch.arange(2, 30, dtype=torch.int32))
    assert {part.dtype for part in corrupted} == {torch.int32}
    assert restore_spans(*corrupted, sentinels=SENTINELS, end_id=END).dtype == torch.int32


def test_an_answer_of_another_length_is_put_in_too():
    read, answer = torch.tensor([5, 1000, 6, 1001, END]), torch.tensor([1000, 7, 8, 9, 1001, 1002, END])
    assert restore_spans(read, answer, sentinels=SENTINELS, end_id=END).tolist() == [5, 7, 8, 9, 6]


# bad input


TEXT = torch.arange(2, 60)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input_ids": [2, 3]}, TypeError, "input_ids must be a tensor of torch.int64 or int32 (pos)"),
        ({"input_ids": TEXT.float()}, TypeError, "input_ids must be a tensor of torch.int64 or int32 (pos)"),
        ({"input_ids": TEXT[None]}, ValueError, "input_ids must have exactly 1 axes (pos)"),
        ({"input_ids": TEXT[:1]}, ValueError, "input_ids must hold at least 2 tokens"),
        ({"input_ids": TEXT[:0]}, ValueError, "input_ids has an empty axis 'pos'"),
        ({"input_ids": torch.tensor([2, 1003])}, ValueError, "input_ids must not hold a sentinel"),
        ({"density": 0.0}, ValueError, "density must be above 0 and below 1, got 0.0"),
        ({"density": 1.0}, ValueError, "density must be above 0 and below 1, got 1.0"),
        ({"density": float("nan")}, ValueError, "density must be finite, got nan"),
        ({"density": "0.1"}, TypeError, "density must be a number"),
        ({"mean_length": 0.5}, ValueError, "mean_length must be at least 1, got 0.5"),
        ({"sentinels": range(1000, 1003)}, ValueError, "sentinels must be at least 4, one for each of 3 spans"),
        ({"sentinels": []}, ValueError, "sentinels must be at least 4"),
        ({"sentinels": "abc"}, TypeError, "sentinels must be a list of token ids"),
        ({"sentinels": [1000, 1000, 1001, 1002]}, ValueError, "sentinels must all differ"),
        ({"sentinels": [1000, -1, 1001, 1002]}, ValueError, "sentinels[1] must be at least 0, got -1"),
        ({"sentinels": [1000, 2.0, 1001, 1002]}, TypeError, "sentinels[1] must be an integer"),
        ({"end_id": 1001}, ValueError, "end_id must not be a sentinel, got 1001"),
        ({"end_id": True}, TypeError, "end_id must be an integer"),
        ({"generator": 0}, TypeError, "generator must be a torch.Generator, e.g."),
        ({"generator": None}, TypeError, "generator must be a torch.Generator, e.g."),
    ],
)
def test_wrong_arguments(changes, error, message):
    arguments = {"input_ids": TEXT, "sentinels": SENTINELS, "end_id": END, "generator": generator()} | changes
    with pytest.raises(error, match=re.escape(message)):
        corrupt_spans(arguments.pop("input_ids"), **arguments)


READ, ANSWER = [5, 1000, 6, 1001, END], [1000, 7, 1001, 8, 1002, END]


@pytest.mark.parametrize(
    ("read", "answer", "message"),
    [
        (READ[:-1], ANSWER, "input_ids must end with end_id=1, got 1001; cut padding off"),
        ([*READ, 0], ANSWER, "input_ids must end with end_id=1, got 0; cut padding off"),
        (READ, ANSWER[:-1], "labels must end with end_id=1, got 1002"),
        ([1001, 5, 1000, END], ANSWER, "input_ids must hold the sentinels in their order, each once, got [1001, 1000]"),
        ([1000, 5, 1000, END], ANSWER, "input_ids must hold the sentinels in their order, each once, got [1000, 1000]"),
        (READ, [1000, 7, END], "labels must hold the sentinels [1000, 1001, 1002]"),
        (READ, [1000, 7, 1000, 8, 1001, END], "labels must hold the sentinels [1000, 1001, 1002]"),
        (READ, [7, 1000, 1001, 8, 1002, END], "labels must begin with a sentinel"),
        (READ, [1000, 7, 1001, 1002, 8, END], "labels must begin with a sentinel, and end with one"),
    ],
)
def test_parts_that_do_not_fit(read, answer, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        restore_spans(torch.tensor(read), torch.tensor(answer), sentinels=SENTINELS, end_id=END)
