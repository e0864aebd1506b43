"""Counts by sorting against counts by a dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.embeddings import Corpus, Vocabulary, count_cooccurrences
from tests.embeddings import text
from tests.embeddings.naive import naive_cooccurrences

SENTENCES = st.lists(st.lists(st.integers(0, 6), max_size=13), max_size=7).filter(any)


def encode(sentences):
    words = [[f"w{number}" for number in sentence] for sentence in sentences]
    return Vocabulary.count(words, min_count=1).encode(words)


def dense(corpus, window):
    """Count with a dictionary; sentences come back out of the corpus."""
    size = len(corpus.vocabulary)
    sentences = [corpus.ids[corpus.sentence == number].tolist() for number in np.unique(corpus.sentence)]
    matrix = np.zeros((size, size))
    for pair, count in naive_cooccurrences(sentences, window).items():
        matrix[pair] = count
    return matrix


@given(SENTENCES, st.integers(1, 17))
def test_agrees_with_the_dictionary(sentences, window):
    corpus = encode(sentences)
    counts = count_cooccurrences(corpus, window=window)
    np.testing.assert_allclose(counts.toarray(), dense(corpus, window), rtol=1e-6)


@given(SENTENCES, st.integers(1, 5))
def test_matrix_is_symmetric_sorted_and_stores_no_zero(sentences, window):
    counts = count_cooccurrences(encode(sentences), window=window)
    assert (counts != counts.T).nnz == 0
    assert counts.has_canonical_format
    assert (counts.data > 0).all()
    assert counts.dtype == np.float32


def test_flat_weights_count_each_pair_once_whatever_the_distance():
    corpus = encode([[0, 1, 2]])
    expected = np.ones((3, 3)) - np.eye(3)
    np.testing.assert_array_equal(count_cooccurrences(corpus, window=2, weighting="flat").toarray(), expected)


def test_a_word_beside_itself_counts_from_both_sides():
    assert count_cooccurrences(encode([[0, 0]])).toarray().tolist() == [[2.0]]


def test_large_vocabularies_do_not_overflow_the_keys():
    size = 2**16 + 5  # its square needs more than 32 bits
    vocabulary = Vocabulary([f"w{i}" for i in range(size)], [1] * size)
    ids = np.array([size - 1, size - 2, 0, size - 1], dtype=np.int32)
    counts = count_cooccurrences(Corpus(vocabulary, ids, np.zeros(4, dtype=np.int32)), window=1)
    assert counts[size - 2, size - 1] == counts[size - 1, size - 2] == counts[0, size - 2] == counts[0, size - 1] == 1
    assert counts.nnz == 6


def test_one_word_has_no_neighbours():
    assert count_cooccurrences(encode([[0]])).nnz == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"window": 0}, ValueError, "window must be at least 1"),
        ({"window": 2.0}, TypeError, "window must be an integer"),
        ({"weighting": "square"}, ValueError, "weighting must be one of inverse, flat, got 'square'"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        count_cooccurrences(text.corpus(), **options)


@pytest.mark.parametrize("corpus", ["a text", [["a", "list"]], None])
def test_what_is_no_corpus_is_named(corpus):
    with pytest.raises(TypeError, match=r"corpus must be a Corpus, got .* Vocabulary.encode makes one"):
        count_cooccurrences(corpus, window=2)
