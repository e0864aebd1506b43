"""Perplexity and bits per byte: laws and errors."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.metrics import bits_per_byte, count_bytes, perplexity


@given(st.integers(2, 50_000), st.integers(1, 10**6))
def test_a_fair_die_has_the_perplexity_of_its_sides(n_sides, n_tokens):
    nats = n_tokens * math.log(n_sides)
    assert perplexity(nats, n_tokens) == pytest.approx(n_sides)
    assert bits_per_byte(nats, n_tokens) == pytest.approx(math.log2(n_sides))


def test_bits_per_byte_do_not_depend_on_the_cut_into_tokens():
    # Two tokenizers, the same probability of the whole text.
    nats, text = 12.5, "naïve café"
    assert bits_per_byte(nats, count_bytes(text)) == pytest.approx(12.5 / math.log(2) / 12)
    assert perplexity(nats, 2) != perplexity(nats, 5)


@given(st.lists(st.text(alphabet="aé猫🐈", max_size=9)))
def test_bytes_of_texts_add_up(texts):
    assert count_bytes(texts) == sum(map(count_bytes, texts)) == count_bytes("".join(texts))


def test_a_hopeless_model_has_no_finite_perplexity():
    assert perplexity(1e6, 1) == math.inf


@pytest.mark.parametrize("score", [perplexity, bits_per_byte])
@pytest.mark.parametrize(
    ("nats", "n", "error", "message"),
    [
        (-1.0, 3, ValueError, "negative log-likelihood, which is at least 0, got -1.0"),
        (math.nan, 3, ValueError, "nats must be finite"),
        (1.0, 0, ValueError, "must be at least 1, got 0"),
        (1.0, 2.5, TypeError, "must be an integer"),
        ("1", 2, TypeError, "nats must be a number"),
    ],
)
def test_impossible_numbers_are_refused(score, nats, n, error, message):
    with pytest.raises(error, match=message):
        score(nats, n)


def test_what_is_no_text_is_refused():
    with pytest.raises(TypeError, match="texts must be a text or several"):
        count_bytes(b"text")
