"""Perplexity, cross-entropy and bits per byte: their laws, and that each is what it says."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.language_models import AddK, NGramModel, bits_per_byte, cross_entropy, perplexity

PROBABILITIES = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=20).map(lambda p: torch.tensor(p).double().log())


@pytest.mark.parametrize("sides", [2, 6, 97])
def test_the_perplexity_of_a_fair_die_is_its_number_of_sides(sides):
    rolls = torch.full((13,), 1 / sides).log()
    assert perplexity(rolls) == pytest.approx(sides, rel=1e-5)
    assert cross_entropy(rolls) == pytest.approx(math.log2(sides), rel=1e-5)


@given(PROBABILITIES)
def test_perplexity_is_two_to_the_cross_entropy_and_the_inverse_of_the_geometric_mean(log_p):
    assert perplexity(log_p) == pytest.approx(2 ** cross_entropy(log_p))
    assert perplexity(log_p) == pytest.approx(math.prod(log_p.exp().tolist()) ** (-1 / len(log_p)))


@given(PROBABILITIES, st.integers(1, 50))
def test_bits_per_byte_counts_the_bits_of_the_whole_text(log_p, n_bytes):
    assert bits_per_byte(log_p, n_bytes) == pytest.approx(-math.log2(math.prod(log_p.exp().tolist())) / n_bytes)


def test_an_impossible_token_makes_everything_infinite():
    log_p = torch.tensor([0.5, 0.0]).log()
    assert perplexity(log_p) == cross_entropy(log_p) == bits_per_byte(log_p, 2) == math.inf


def test_cutting_a_text_otherwise_changes_perplexity_but_not_the_bits_of_a_uniform_guess():
    """One model, two cuts: 4 characters, or 2 pairs of characters with the same probability for the text."""
    characters = torch.full((4,), 1 / 4).log()
    pairs = torch.full((2,), 1 / 16).log()
    assert perplexity(characters) == pytest.approx(4)
    assert perplexity(pairs) == pytest.approx(16)
    assert bits_per_byte(characters, 4) == pytest.approx(bits_per_byte(pairs, 4))


@given(st.lists(st.text("ab", min_size=1, max_size=7), min_size=1, max_size=4))
def test_no_model_is_less_surprised_by_its_own_counts_than_maximum_likelihood(texts):
    """Gibbs: the cross-entropy is least when the model is the distribution of the text itself."""
    model = NGramModel.fit(texts, order=1, smoothing=AddK(0))
    best = cross_entropy(model.log_probabilities(texts))
    assert best <= cross_entropy(model.change(smoothing=AddK(1)).log_probabilities(texts)) + 1e-12
