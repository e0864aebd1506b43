"""Words to numbers and back, and which occurrences are dropped."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.embeddings import Vocabulary, keep_probability, split_words
from tests.embeddings import text

SENTENCES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "dd", "e"]), max_size=7), max_size=11)


@pytest.mark.parametrize(
    ("given_text", "words"),
    [
        ("The cat's 2nd BED-room, naïve_Müller!", ["the", "cat", "s", "2", "nd", "bed", "room", "naïve", "müller"]),
        ("", []),
        (" \n\t.,;", []),
        ("Größe ΑΒΓ слово", ["größe", "αβγ", "слово"]),
    ],
)
def test_words_are_runs_of_letters_or_of_digits(given_text, words):
    assert split_words(given_text) == words


@given(st.text())
def test_no_word_holds_a_space_or_an_upper_case_letter_that_has_a_lower_one(any_text):
    assert all(word and word == word.lower() and not any(map(str.isspace, word)) for word in split_words(any_text))


@given(SENTENCES, st.integers(1, 4))
def test_vocabulary_agrees_with_a_counter_and_orders_ties_by_the_alphabet(sentences, min_count):
    counter = Counter(word for sentence in sentences for word in sentence)
    kept = {word: count for word, count in counter.items() if count >= min_count}
    if not kept:
        with pytest.raises(ValueError, match="min_count"):
            Vocabulary.count(sentences, min_count=min_count)
        return
    vocabulary = Vocabulary.count(sentences, min_count=min_count)
    assert dict(zip(vocabulary.words, vocabulary.counts, strict=True)) == kept
    assert list(vocabulary.words) == sorted(kept, key=lambda word: (-kept[word], word))


@given(SENTENCES.filter(any), st.integers(1, 3))
def test_encoding_keeps_the_known_words_in_their_sentences(sentences, max_size):
    vocabulary = Vocabulary.count(sentences, min_count=1, max_size=max_size)
    corpus = vocabulary.encode(sentences)
    assert len(vocabulary) <= max_size
    for number, sentence in enumerate(sentences):
        back = [vocabulary.words[i] for i in corpus.ids[corpus.sentence == number]]
        assert back == [word for word in sentence if word in vocabulary]


def test_the_same_text_in_another_order_gives_the_same_vocabulary():
    sentences = text.sentences()
    first, second = (Vocabulary.count(order, min_count=2) for order in (sentences, sentences[::-1]))
    assert (first.words, first.counts) == (second.words, second.counts)


def test_chance_to_keep_a_word_is_word2vecs():
    counts = [700_000, 200_000, 90_000, 10_000]
    share = np.array(counts) / 1e6
    expected = np.minimum(1, (np.sqrt(share / 0.01) + 1) * 0.01 / share)  # as the program writes it
    np.testing.assert_allclose(keep_probability(counts, 0.01), expected, rtol=1e-12)
    assert (np.diff(keep_probability(counts, 0.01)) >= 0).all()


def test_a_threshold_of_zero_keeps_every_word():
    assert (keep_probability([9, 5, 1], 0.0) == 1).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Vocabulary.count(["a string"]), TypeError, "must be a list of words, got the string 'a string'"),
        (lambda: Vocabulary.count("a text"), TypeError, "sentences must be a list of lists of words, got 'a text'"),
        (lambda: Vocabulary.count(None), TypeError, "sentences must be a list of lists of words, got None"),
        (lambda: Vocabulary.count([1]), TypeError, "each sentence must be a list of words, got 1"),
        (
            lambda: Vocabulary.count([[["a"]]]),
            TypeError,
            r"each sentence must be a list of words, got one that holds \[",
        ),
        (
            lambda: Vocabulary.count([["a", None]]),
            TypeError,
            "each sentence must be a list of words, got one that holds None",
        ),
        (lambda: Vocabulary("ab", (1, 1)), TypeError, "words must be a list of strings, got 'ab'"),
        (lambda: Vocabulary(("a",), (1,)).encode("a"), TypeError, "sentences must be a list of lists of words"),
        (lambda: Vocabulary(("a",), (1,)).encode([None]), TypeError, "each sentence must be a list of words, got None"),
        (lambda: Vocabulary.count([["a"]], min_count=0), ValueError, "min_count must be at least 1, got 0"),
        (lambda: Vocabulary.count([["a"]], min_count=1.5), TypeError, "min_count must be an integer"),
        (lambda: Vocabulary.count([["a"]], max_size=0), ValueError, "max_size must be at least 1"),
        (lambda: Vocabulary.count([]), ValueError, "but no words"),
        (lambda: Vocabulary.count([["a", "b", "a"]]), ValueError, "the 2 distinct words are seen 2 times at most"),
        (lambda: Vocabulary(("a", "a"), (1, 1)), ValueError, "words must be distinct, got 'a' twice"),
        (lambda: Vocabulary(("a", "b"), (1,)), ValueError, "one count a word, got 1 for 2"),
        (lambda: Vocabulary(("a", "b"), (1, 0)), ValueError, "counts must be at least 1, got 0"),
        (lambda: Vocabulary((), ()), ValueError, "at least one word"),
        (lambda: Vocabulary(("a",), (1,)).encode([["b"], []]), ValueError, "a word of the vocabulary, got none"),
        (lambda: Vocabulary(("a",), (1,)).encode(["a"]), TypeError, "got the string 'a'"),
        (lambda: keep_probability([1], -0.1), ValueError, "sample must be at least 0"),
        (lambda: keep_probability([1], "much"), TypeError, "sample must be a number"),
        (lambda: split_words(b"bytes"), TypeError, "text must be a string"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
