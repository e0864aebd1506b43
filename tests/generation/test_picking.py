"""Changes to the scores against their definitions and transformers' own; draws against the distribution."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from companion.generation import greedy, sampler, temperature, top_k, top_p

scores = st.integers(0, 2**31).map(
    lambda seed: torch.randn(3, 17, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(scores, st.floats(0.05, 20))
def test_temperature(logits, t):
    torch.testing.assert_close(temperature(t)(logits), TemperatureLogitsWarper(t)(None, logits), rtol=1e-12, atol=0)


@given(scores, st.integers(1, 25))
def test_top_k(logits, k):
    changed = top_k(k)(logits)
    assert torch.equal(changed, TopKLogitsWarper(k)(None, logits))
    assert (changed.isfinite().sum(-1) == min(k, 17)).all()


def test_top_k_keeps_what_is_as_good_as_the_last():
    assert top_k(2)(torch.tensor([[1.0, 3.0, 1.0, 0.0]])).isfinite().tolist() == [[True, True, True, False]]


@given(scores, st.floats(0.01, 1))
def test_top_p_keeps_the_fewest_best_that_reach_p(logits, p):
    kept = top_p(p)(logits).isfinite()
    for row, is_kept in zip(logits.softmax(-1), kept, strict=True):
        best = row.sort(descending=True).values
        n = int(is_kept.sum())
        assert row[is_kept].min() == best[n - 1]
        assert best[:n].sum() >= p - 1e-12
        assert n == 1 or best[: n - 1].sum() < p
    assert torch.equal(kept, TopPLogitsWarper(p)(None, logits).isfinite()) or p == 1


def test_top_p_of_equal_scores_keeps_no_more_than_it_must():
    assert top_p(0.5)(torch.zeros(1, 4)).isfinite().sum() == 2
    assert top_p(1.0)(torch.zeros(1, 4)).isfinite().sum() == 4
    assert top_p(1e-9)(torch.zeros(1, 4)).isfinite().sum() == 1


def test_greedy_takes_the_first_of_the_best():
    logits = torch.tensor([[0.0, 5.0, 5.0], [7.0, -math.inf, 7.0]])
    assert greedy(logits).tolist() == [1, 0]


CHANGES = {
    "none": (),
    "temperature": (temperature(0.6),),
    "temperature, then top-k": (temperature(1.7), top_k(5)),
    "temperature, then top-p": (temperature(2.0), top_p(0.8)),
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_draws_follow_the_softmax_of_the_changed_scores(changes):
    logits = torch.tensor([0.3, -1.0, 2.0, 1.9, 0.0, -4.0, 1.0, -0.2], dtype=torch.float64)
    draws = 20_000
    tokens = sampler(*changes)(logits.expand(draws, -1), seeded())
    expected = logits[None]
    for change in changes:
        expected = change(expected)
    probabilities = expected.softmax(-1)[0]
    counts = torch.bincount(tokens, minlength=len(logits))
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible], draws * probabilities[possible]).pvalue > 1e-3


def test_the_order_of_changes_matters():
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    hot_first = top_p(0.8)(temperature(3.0)(logits)).isfinite().sum()
    cut_first = temperature(3.0)(top_p(0.8)(logits)).isfinite().sum()
    assert hot_first > cut_first


def test_each_text_has_a_random_number_of_its_own():
    logits = torch.zeros(50, 1000)
    assert len(set(sampler()(logits, seeded()).tolist())) > 40


def test_one_number_a_text_and_step_whatever_the_vocabulary():
    generator = seeded()
    sampler()(torch.zeros(3, 11), generator)
    after = torch.rand(1, dtype=torch.float64, generator=generator)
    expected = torch.rand(4, dtype=torch.float64, generator=seeded())[3:]
    assert torch.equal(after, expected)


@pytest.mark.parametrize("drawn", [0.0, 1.0 - 2.0**-53])
def test_the_least_and_the_largest_random_number_never_draw_a_forbidden_token(drawn, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *shape, dtype, **options: torch.full(shape, drawn, dtype=dtype))
    logits = torch.tensor([[-math.inf, 0.1, -math.inf, 0.7, -math.inf]])
    assert sampler()(logits, seeded()).item() == (1 if drawn == 0 else 3)


def test_one_token_left():
    logits = torch.full((2, 9), -math.inf)
    logits[:, 4] = 0.0
    assert sampler()(logits, seeded()).tolist() == [4, 4]


def test_half_precision_scores():
    logits = torch.tensor([[0.0, 8.0]], dtype=torch.bfloat16)
    assert sampler(temperature(0.1), top_k(2), top_p(0.9))(logits, seeded()).tolist() == [1]
