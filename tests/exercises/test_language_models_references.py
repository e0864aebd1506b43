"""The references of the lab on language models are what nltk and torch compute elsewhere."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nltk.lm import KneserNeyInterpolated, Lidstone
from nltk.lm.preprocessing import padded_everygram_pipeline
from nltk.util import bigrams, ngrams

from companion.exercises.language_models import EXERCISES

REFERENCE = {exercise.name: exercise.reference for exercise in EXERCISES if not exercise.manual}

words = st.sampled_from(["stir", "Stir", "the", "soup", "汤", "."])
texts = st.lists(st.lists(words, max_size=9), min_size=1, max_size=9)


def trained(model, sentences):
    """Fit one of nltk's models of pairs."""
    model.fit(*padded_everygram_pipeline(2, sentences))
    return model


def table_of(model, contexts, columns):
    """Return nltk's counts of pairs."""
    return torch.tensor([[model.counts[[context]][word] for word in columns] for context in contexts])


def scores_of(model, contexts, columns):
    """Return nltk's probabilities."""
    rows = [[model.score(word, [context]) for word in columns] for context in contexts]
    return torch.tensor(rows, dtype=torch.float64)


@given(sentences=texts, n=st.integers(1, 6))
def test_n_grams_are_those_of_nltk(sentences, n):
    expected = {}
    for sentence in sentences:
        for gram in ngrams([*sentence, "</s>"], n, pad_left=True, left_pad_symbol="<s>"):
            expected[gram] = expected.get(gram, 0) + 1
    assert REFERENCE["count_ngrams"](sentences, n) == expected


@given(sentences=texts, k=st.sampled_from([1, 0.5, 0.1, 0.003]))
def test_adding_k_is_nltks_lidstone(sentences, k):
    model = trained(Lidstone(k, 2), sentences)
    contexts, columns = ["<s>", "stir", "the", "never"], sorted(model.vocab)
    expected = scores_of(model, contexts, columns)
    found = REFERENCE["add_k_probabilities"](table_of(model, contexts, columns), k)
    torch.testing.assert_close(found, expected, check_dtype=False)


@given(sentences=texts, discount=st.sampled_from([0.1, 0.5, 0.7, 0.9]))
def test_kneser_ney_is_nltks(sentences, discount):
    model = trained(KneserNeyInterpolated(2, discount), sentences)
    contexts = ["<s>", *sorted({word for sentence in sentences for word in sentence}), "never"]
    columns = sorted({*contexts[1:-1], "</s>"})
    expected = scores_of(model, contexts, columns)
    found = REFERENCE["kneser_ney_bigram"](table_of(model, contexts, columns), discount)
    torch.testing.assert_close(found, expected, check_dtype=False)
    torch.testing.assert_close(expected.sum(-1), torch.ones(len(contexts), dtype=torch.float64))


def test_perplexity_is_nltks_on_the_same_probabilities():
    sentences = [["stir", "the", "soup", "."], ["the", "soup"], ["stir", "."]]
    model = trained(Lidstone(0.1, 2), [*sentences, ["serve", "the", "soup", "."]])
    pairs = [list(bigrams(["<s>", *sentence, "</s>"])) for sentence in sentences]
    log_probs = torch.full((3, 6), math.nan, dtype=torch.float64)
    for row, grams in zip(log_probs, pairs, strict=True):
        row[: len(grams)] = torch.tensor([math.log(model.score(word, [context])) for context, word in grams])
    found = REFERENCE["perplexity"](log_probs, ~log_probs.isnan())
    assert found.item() == pytest.approx(model.perplexity([gram for grams in pairs for gram in grams]))


@given(n_words=st.integers(1, 100), length=st.integers(1, 50))
def test_guessing_blindly_among_v_words_has_perplexity_v(n_words, length):
    log_probs = torch.full((2, length), -math.log(n_words), dtype=torch.float64)
    found = REFERENCE["perplexity"](log_probs, torch.ones(2, length, dtype=torch.bool))
    assert found.item() == pytest.approx(n_words)


@given(text=st.text(min_size=1, max_size=40))
def test_guessing_bytes_blindly_costs_eight_bits_however_they_are_joined(text):
    size = len(text.encode())
    for n_tokens in {1, size}:
        log_probs = torch.full((n_tokens,), -math.log(256) * size / n_tokens, dtype=torch.float64)
        assert REFERENCE["bits_per_byte"](log_probs, text).item() == pytest.approx(8)


def test_the_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    targets = torch.tensor([3, -100, 0, 6, 3])
    kept = targets >= 0

    def log_likelihood(scores):
        return torch.log_softmax(scores, -1)[kept, targets[kept]].sum()

    numeric = torch.zeros_like(logits)
    for i, j in torch.cartesian_prod(torch.arange(5), torch.arange(7)).tolist():
        nudge = torch.zeros_like(logits)
        nudge[i, j] = 1e-6
        numeric[i, j] = (log_likelihood(logits + nudge) - log_likelihood(logits - nudge)) / 2e-6
    torch.testing.assert_close(REFERENCE["log_likelihood_gradient"](logits, targets), numeric, atol=1e-8, rtol=1e-6)


def test_the_step_is_that_of_torchs_optimiser_told_to_maximise():
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    contexts, targets = torch.tensor([2, 6, 2, 2, 0]), torch.tensor([1, 4, 1, 3, 0])
    parameter = torch.nn.Parameter(table.clone())
    torch.log_softmax(parameter[contexts], -1)[torch.arange(5), targets].sum().backward()
    torch.optim.SGD([parameter], lr=0.3, maximize=True).step()
    found = REFERENCE["bigram_sgd_step"](table, contexts, targets, 0.3)
    torch.testing.assert_close(found, parameter.detach())
    assert not found.requires_grad
