"""Schedules fall as transformers' do, and keep their laws for any length."""

import math

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from companion.training import warmup_constant, warmup_cosine, warmup_linear, wsd

SCHEDULES = {"cosine": warmup_cosine, "linear": warmup_linear, "wsd": wsd}


def factors(make, steps, **options):
    """Ask a scheduler of transformers for its factor at every step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = make(optimizer, **options)
    return [scheduler.lr_lambdas[0](step) for step in range(steps + 1)]


PEERS = {
    "cosine": (warmup_cosine, transformers.get_cosine_schedule_with_warmup, "num_training_steps"),
    "linear": (warmup_linear, transformers.get_linear_schedule_with_warmup, "num_training_steps"),
}


@pytest.mark.parametrize(("ours", "peer", "name"), PEERS.values(), ids=PEERS.keys())
@pytest.mark.parametrize("warmup", [0, 7])
def test_the_fall_is_that_of_transformers(ours, peer, name, warmup):
    expected = factors(peer, 31, num_warmup_steps=warmup, **{name: 31})
    schedule = ours(steps=31, warmup=warmup)
    assert [schedule(step) for step in range(warmup, 32)] == pytest.approx(expected[warmup:], abs=1e-12)


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_the_rise_is_that_of_transformers_without_its_first_step(make):
    """Theirs begins with a step of length 0; ours rises over the same line, one step ahead."""
    expected = factors(transformers.get_linear_schedule_with_warmup, 31, num_warmup_steps=8, num_training_steps=31)
    assert expected[0] == 0
    schedule = make(steps=31, warmup=7)
    assert [schedule(step) for step in range(8)] == pytest.approx(expected[1:9], abs=1e-12)


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_wsd_is_that_of_transformers(floor):
    options = {"num_warmup_steps": 5, "num_decay_steps": 8, "num_training_steps": 40, "decay_type": "linear"}
    expected = factors(transformers.get_wsd_schedule, 40, min_lr_ratio=floor, **options)
    schedule = wsd(steps=40, warmup=5, decay=0.2, floor=floor)
    assert [schedule(step) for step in range(5, 41)] == pytest.approx(expected[5:], abs=1e-12)


LENGTHS = st.integers(1, 300).flatmap(lambda steps: st.tuples(st.just(steps), st.integers(0, steps)))
SHARES = st.floats(0, 1)


@given(lengths=LENGTHS, floor=SHARES, decay=SHARES, name=st.sampled_from(sorted(SCHEDULES)))
def test_a_schedule_rises_to_one_and_falls_to_its_floor(lengths, floor, decay, name):
    steps, warmup = lengths
    options = {"decay": decay} if name == "wsd" else {}
    schedule = SCHEDULES[name](steps=steps, warmup=warmup, floor=floor, **options)
    values = [schedule(step) for step in range(steps + 3)]
    assert all(0 < value <= 1 for value in values[:warmup])
    assert all(floor - 1e-12 <= value <= 1 for value in values[warmup:])
    rise, fall = values[: warmup + 1], values[warmup:]
    assert rise[:-1] == sorted(rise[:-1])
    assert fall == sorted(fall, reverse=True)
    if warmup < steps and not (name == "wsd" and round(decay * steps) == 0):
        assert math.isclose(values[warmup], 1.0)
        assert values[-1] == values[-2] == pytest.approx(floor)


def test_wsd_stays_until_its_last_part():
    schedule = wsd(steps=100, warmup=10, decay=0.2)
    assert {schedule(step) for step in range(10, 81)} == {1.0}
    assert schedule(90) == pytest.approx(0.5)
    assert schedule(100) == 0


def test_constant():
    schedule = warmup_constant(steps=10, warmup=4)
    assert [schedule(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert schedule(10**6) == 1.0


CASES = {
    "no steps": (lambda: warmup_cosine(steps=0), ValueError, "steps must be at least 1, got 0"),
    "half a step": (lambda: warmup_linear(steps=2.5), TypeError, "steps must be an integer, got 2.5"),
    "warmup": (lambda: wsd(steps=3, warmup=4), ValueError, "warmup must be at most steps, got 4 of 3"),
    "negative": (lambda: warmup_constant(steps=3, warmup=-1), ValueError, "warmup must be at least 0, got -1"),
    "floor": (lambda: warmup_cosine(steps=3, floor=1.5), ValueError, "floor must be from 0 to 1, got 1.5"),
    "nan": (lambda: warmup_cosine(steps=3, floor=float("nan")), ValueError, "floor must be finite, got nan"),
    "decay": (lambda: wsd(steps=3, decay="all"), TypeError, "decay must be a number, got 'all'"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
