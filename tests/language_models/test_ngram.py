"""The n-gram model against the equations spelled out, against nltk, and against its own laws."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nltk.lm import KneserNeyInterpolated, Lidstone
from nltk.util import everygrams

from companion.language_models import AddK, KneserNey, NGramModel, Vocabulary
from tests.language_models import reference

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog", "", "on", "the the the the the"]
WORDS = [text.split() for text in TEXTS]
CORPORA = st.lists(st.text("abcd", max_size=9), min_size=1, max_size=6)
SMOOTHINGS = [AddK(0.3), AddK(1), KneserNey(), KneserNey("single"), KneserNey(0.75), KneserNey((0.1, 0.9, 0.5, 0.2))]
DISCOUNTS = {"modified": reference.modified, "single": reference.single, 0.75: reference.fixed(0.75)}


def everything(model, context):
    """All probabilities after a context, by the name of the token."""
    return {model.vocabulary.label(i): float(p) for i, p in enumerate(model.distribution(context))}


@given(CORPORA, st.integers(1, 4), st.sampled_from(SMOOTHINGS), st.text("abcde", max_size=5))
def test_probabilities_sum_to_one_after_any_context(texts, order, smoothing, context):
    p = NGramModel.fit(texts, order=order, smoothing=smoothing).distribution(context)
    assert float(p.min()) >= 0
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)


@given(CORPORA, st.integers(1, 4), st.sampled_from(SMOOTHINGS), CORPORA)
def test_scoring_in_bulk_is_the_chain_rule_over_distributions(texts, order, smoothing, others):
    model = NGramModel.fit(texts, order=order, smoothing=smoothing)
    encoded = [[*model.vocabulary.encode(text), model.vocabulary.end_id] for text in others]
    one_by_one = [
        float(model.distribution(text[:i]).log()[token])
        for text, ids in zip(others, encoded, strict=True)
        for i, token in enumerate(ids)
    ]
    torch.testing.assert_close(model.log_probabilities(others), torch.tensor(one_by_one, dtype=torch.float64))


@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@given(CORPORA, st.text("abcde", max_size=4))
def test_kneser_ney_is_its_equation(discount, order, texts, context):
    ours = NGramModel.fit(texts, order=order, smoothing=KneserNey(discount))
    theirs = reference.ReferenceKneserNey(texts, order, DISCOUNTS[discount])
    for token, p in everything(ours, context).items():
        assert p == pytest.approx(float(theirs.probability(token, context)), abs=1e-12), token


def test_modified_discounts_are_estimated_where_the_corpus_is_large_enough(rng_text):
    ours = NGramModel.fit(rng_text, order=3)
    theirs = reference.ReferenceKneserNey(rng_text, 3, reference.modified)
    assert theirs.discounts[3](1) not in (0.5, 0.75)
    for token, p in everything(ours, "ab").items():
        assert p == pytest.approx(float(theirs.probability(token, "ab")), abs=1e-12)


@pytest.fixture(scope="module")
def rng_text():
    """Texts of skewed letters, long enough for every count of counts."""
    rng = np.random.default_rng(0)
    p = 0.75 ** np.arange(13)
    return ["".join(rng.choice(list("abcdefghijklm"), 37, p=p / p.sum())) for _ in range(31)]


def history(context, order):
    """What an n-gram model reads of a context."""
    tokens = reference.padded(context, order)[:-1]
    return tuple(tokens[len(tokens) - order + 1 :])


def fit_nltk(model, sequences, *, starts=False):
    """Fit nltk's model to sequences padded as ours are; ``starts`` keeps the n-grams that end in a start mark.

    A start mark is no token to predict, so it is not in the vocabulary and nltk reads "<UNK>" for it.
    """
    padded = [reference.padded(sequence, model.order) for sequence in sequences]
    grams = [
        [gram for gram in everygrams(tokens, max_len=model.order) if starts or gram[-1] != reference.START]
        for tokens in padded
    ]
    model.fit(grams, [token for tokens in padded for token in tokens if starts or token != reference.START])
    return model


@pytest.mark.parametrize("order", [2, 3, 4])
def test_kneser_ney_equals_nltk_where_nltk_has_no_start_marks_to_predict(order):
    """nltk neither discounts unigrams nor mixes in a uniform distribution: the same as a discount of 0 for unigrams."""
    ours = NGramModel.fit(WORDS, order=order, smoothing=KneserNey((0.0, *[0.4] * (order - 1))))
    theirs = fit_nltk(KneserNeyInterpolated(order, discount=0.4), WORDS)
    for context in ([], ["the"], ["cat", "sat"], ["sat", "on", "the"], ["log", "log", "log"]):
        for token, p in everything(ours, context).items():
            if token != reference.UNKNOWN:  # nltk folds it into the tokens that it has not seen
                assert p == pytest.approx(theirs.score(token, history(context, order)), abs=1e-12), (context, token)


def test_nltk_loses_mass_to_start_marks_in_trigrams_and_we_do_not():
    """Its pipeline counts <s> as a word that may follow <s>; ours never predicts it (see the class's notes)."""
    theirs = fit_nltk(KneserNeyInterpolated(3, discount=0.4), WORDS, starts=True)
    ours = NGramModel.fit(WORDS, order=3, smoothing=KneserNey((0.0, 0.4, 0.4)))
    outcomes = [*ours.vocabulary.tokens, reference.END]
    assert sum(theirs.score(token, ("cat", "sat")) for token in outcomes) < 0.999
    assert sum(everything(ours, ["cat", "sat"])[token] for token in outcomes) == pytest.approx(1)


@pytest.mark.parametrize("k", [0.1, 1, 2.5])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_add_k_equals_nltk(order, k):
    ours = NGramModel.fit(WORDS, order=order, smoothing=AddK(k))
    theirs = fit_nltk(Lidstone(k, order), WORDS)
    for context in ([], ["the"], ["cat", "sat"], ["log", "sat"]):
        for token, p in everything(ours, context).items():
            assert p == pytest.approx(theirs.score(token, history(context, order)), abs=1e-12), (context, token)


@given(CORPORA, st.integers(1, 4))
def test_maximum_likelihood_is_the_ratio_of_counts(texts, order):
    model = NGramModel.fit(texts, order=order, smoothing=AddK(0))
    grams = reference.ngrams(texts, order, order)
    contexts = Counter()
    for gram, count in grams.items():
        contexts[gram[:-1]] += count
    expected = []
    for text in texts:
        tokens = reference.padded(text, order)
        windows = [tuple(tokens[end - order : end]) for end in range(order, len(tokens) + 1)]
        expected += [math.log(grams[gram] / contexts[gram[:-1]]) for gram in windows]
    torch.testing.assert_close(model.log_probabilities(texts), torch.tensor(expected, dtype=torch.float64))


@given(CORPORA, st.integers(1, 3), st.sampled_from(SMOOTHINGS[:5]))
def test_no_smoothing_makes_the_training_text_likelier_than_maximum_likelihood_does(texts, order, smoothing):
    model = NGramModel.fit(texts, order=order, smoothing=AddK(0))
    best = float(model.log_probabilities(texts).sum())
    assert float(model.change(smoothing=smoothing).log_probabilities(texts).sum()) <= best + 1e-9


def test_maximum_likelihood_finds_the_unseen_impossible_and_smoothing_does_not():
    model = NGramModel.fit(["abab"], order=2, smoothing=AddK(0))
    assert model.probability("a", "a") == 0
    assert not model.distribution("z").any()
    assert model.log_probabilities(["aa"]).isinf().any()
    assert model.change(smoothing=AddK(0.01)).log_probabilities(["aa", "z"]).isfinite().all()
    assert model.change(smoothing=KneserNey()).log_probabilities(["aa", "z"]).isfinite().all()


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_lower_order_of_the_same_counts_is_a_model_of_that_order(smoothing):
    high = NGramModel.fit(WORDS, order=4, smoothing=smoothing)
    for order in (1, 2, 3):
        low = NGramModel.fit(WORDS, order=order, smoothing=smoothing)
        torch.testing.assert_close(high.change(order=order).log_probabilities(WORDS), low.log_probabilities(WORDS))


def test_characters_words_and_ids_are_all_tokens():
    words = NGramModel.fit(WORDS, order=3)
    ids = NGramModel.fit([words.vocabulary.encode(text) for text in WORDS], order=3)
    torch.testing.assert_close(
        words.log_probabilities(WORDS), ids.log_probabilities([words.vocabulary.encode(text) for text in WORDS])
    )
    assert NGramModel.fit(["abc"], order=2).vocabulary.tokens == ("a", "b", "c")


def test_sequences_do_not_hear_of_each_other():
    model = NGramModel.fit(WORDS, order=3)
    apart = torch.cat([model.log_probabilities([text]) for text in WORDS])
    assert torch.equal(model.log_probabilities(WORDS), apart)
    assert model.log_probabilities([]).shape == (0,)


def test_samples_come_from_the_distribution_and_repeat_with_the_generator():
    model = NGramModel.fit(["ab", "ab", "ab", "b"], order=2)
    drawn = Counter(
        model.sample(torch.Generator().manual_seed(seed), max_len=1)[0]
        if model.sample(torch.Generator().manual_seed(seed), max_len=1)
        else "</s>"
        for seed in range(1500)
    )
    for token, p in everything(model, "").items():
        assert drawn.get(token, 0) / 1500 == pytest.approx(p, abs=4 * math.sqrt(0.25 / 1500)), token


def test_a_sample_begins_with_its_context_and_stops_at_its_end():
    model = NGramModel.fit(["abcd"], order=3, smoothing=AddK(0))
    generator = torch.Generator().manual_seed(0)
    assert model.sample(generator, "a") == ["a", "b", "c", "d"]
    assert model.sample(generator, "ab", max_len=3) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="smooth it"):
        model.sample(generator, "z")


def test_a_vocabulary_counts_by_frequency_then_by_first_appearance():
    vocabulary = Vocabulary.build(["bbbca", "ca", "dd"], min_count=2)
    assert vocabulary.tokens == ("b", "c", "a", "d")
    assert Vocabulary.build(["bbbca", "ca", "dd"], max_size=2).tokens == ("b", "c")
    assert len(vocabulary) == 6
    assert vocabulary.encode("bz") == [0, vocabulary.unknown_id]
    assert [vocabulary.label(i) for i in range(7)] == ["b", "c", "a", "d", "</s>", "<unk>", "<s>"]
    assert "b" in vocabulary
    assert "z" not in vocabulary


def test_a_token_that_looks_like_a_mark_is_an_ordinary_token():
    model = NGramModel.fit([["<s>", "</s>", "<unk>"], ["<s>"]], order=2)
    assert len(model.vocabulary) == 5
    assert float(model.distribution(["<s>"]).sum()) == pytest.approx(1)
    assert model.probability("</s>", ["<s>"]) > model.probability("<unk>", ["<s>"])
