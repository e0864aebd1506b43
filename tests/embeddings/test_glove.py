"""GloVe: the loss against a loop, the gradients against autograd, the training against one pair after the other."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from companion.embeddings import Vocabulary, count_cooccurrences, glove_loss, glove_weight, train_glove
from companion.embeddings.glove import half_gradients, split, with_biases
from tests.attention.compare import assert_agree
from tests.embeddings import text
from tests.embeddings.naive import article_glove, naive_glove_loss

D_MODEL, X_MAX = 7, 3.0


def parameters(size, seed=2):
    generator = torch.Generator().manual_seed(seed)
    shapes = (size, D_MODEL), (size, D_MODEL), (size,), (size,)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def counted():
    corpus = text.corpus()
    return count_cooccurrences(corpus, window=3).astype(np.float64), corpus.vocabulary


def as_dictionary(counts):
    coordinates = counts.tocoo()
    return {(int(i), int(j)): float(x) for i, j, x in zip(*coordinates.coords, coordinates.data, strict=True)}


def test_loss_agrees_with_the_loop_over_pairs():
    counts, vocabulary = counted()
    ours = glove_loss(*parameters(len(vocabulary)), counts, X_MAX)
    theirs = naive_glove_loss(*parameters(len(vocabulary)), as_dictionary(counts), X_MAX)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_loss_passes_torchs_finite_differences():
    counts, vocabulary = counted()
    leaves = [tensor.requires_grad_() for tensor in parameters(len(vocabulary))]
    assert torch.autograd.gradcheck(lambda *tensors: glove_loss(*tensors, counts, X_MAX), leaves)


@pytest.mark.parametrize("n_parts", [1, 5, 251])
def test_parts_add_up_to_the_loss_and_to_half_of_autograds_gradients(n_parts):
    counts, vocabulary = counted()
    leaves = [tensor.requires_grad_() for tensor in parameters(len(vocabulary))]
    loss = glove_loss(*leaves, counts, X_MAX)
    loss.backward()
    tables = [table.detach() for table in with_biases(*leaves)]
    parts = split(counts, n_parts, X_MAX, 0.75, torch.Generator().manual_seed(0))
    results = [half_gradients(part, *tables) for part in parts]
    left, right = (sum(firsts[side] for _, firsts, _ in results) for side in (0, 1))
    ours = [sum(result[0] for result in results), left[:, :-2], right[:, :-2], left[:, -2], right[:, -1]]
    theirs = [loss.detach(), *(leaf.grad / 2 for leaf in leaves)]
    assert_agree(ours, theirs, 1e-10)
    assert (left[:, -1] == 0).all()
    assert (right[:, -2] == 0).all()


def test_sums_of_squares_are_those_of_each_pair_by_itself():
    counts, vocabulary = counted()
    tables = with_biases(*parameters(len(vocabulary)))
    (part,) = split(counts, 1, X_MAX, 0.75, torch.Generator())
    _, _, seconds = half_gradients(part, *tables)
    expected = [torch.zeros_like(table) for table in tables]
    for (i, j), x in as_dictionary(counts).items():
        one = csr_array(([x], ([i], [j])), shape=counts.shape)
        (alone,) = split(one, 1, X_MAX, 0.75, torch.Generator())
        for total, gradient in zip(expected, half_gradients(alone, *tables)[1], strict=True):
            total += gradient**2
    assert_agree(list(seconds), expected, 1e-10)


@pytest.mark.parametrize("n_parts", [1, 3, 50])
def test_every_pair_is_in_exactly_one_part(n_parts):
    counts, _ = counted()
    total = csr_array(counts.shape)
    for part in split(counts, n_parts, X_MAX, 0.75, torch.Generator().manual_seed(0)):
        places = part.pairs.columns, part.pairs.row_starts
        total += csr_array((part.log_counts.exp(), *places), shape=counts.shape)
    np.testing.assert_allclose(total.toarray(), counts.toarray(), rtol=1e-12)


def test_weight_rises_to_one_at_x_max_and_stays():
    x = torch.tensor([1.0, 50.0, 100.0, 1e6], dtype=torch.float64)
    expected = torch.tensor([0.01**0.75, 0.5**0.75, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(glove_weight(x), expected)


def sequential_loss(counts, size, epochs, rate=0.05, seed=0):
    """AdaGrad one pair after the other, as the published program does it; return the loss of a pair at the end."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (size, D_MODEL), (size, D_MODEL), (size,), (size,)
    tables = [(torch.rand(shape, generator=generator) - 0.5) / D_MODEL for shape in shapes]
    squares = [torch.ones_like(table) for table in tables]
    pairs = list(as_dictionary(counts).items())
    w, v, b, c = tables
    for _ in range(epochs):
        for number in torch.randperm(len(pairs), generator=generator).tolist():
            (i, j), x = pairs[number]
            slope = glove_weight(torch.tensor(x), X_MAX) * (w[i] @ v[j] + b[i] + c[j] - np.log(x))
            gradients = slope * v[j], slope * w[i], slope, slope
            for table, square, place, gradient in zip(tables, squares, (i, j, i, j), gradients, strict=True):
                table[place] -= rate * gradient / square[place].sqrt()
                square[place] += gradient**2
    return float(glove_loss(*tables, counts, X_MAX)) / counts.nnz


def test_training_in_parts_gets_as_far_as_one_pair_after_the_other():
    counts, vocabulary = counted()
    theirs = sequential_loss(counts, len(vocabulary), epochs=7)
    # The loss of the eighth epoch as it goes, hence no later than where seven epochs end.
    ours = train_glove(counts, vocabulary, D_MODEL, epochs=8, x_max=X_MAX, progress=False).losses
    assert ours == sorted(ours, reverse=True)
    assert ours[-1] == pytest.approx(theirs, rel=0.1)


def test_words_of_a_topic_end_up_together():
    sentences = text.two_topics()
    corpus = Vocabulary.count(sentences).encode(sentences)
    counts = count_cooccurrences(corpus)
    vectors = train_glove(counts, corpus.vocabulary, 11, progress=False).vectors
    for i in range(10):
        assert {word[:3] for word, _ in vectors.most_similar(f"sea{i}", 9)} == {"sea"}


def test_the_same_seed_gives_the_same_vectors_and_another_seed_others():
    counts, vocabulary = counted()
    runs = [train_glove(counts, vocabulary, 5, epochs=2, seed=s, progress=False).vectors.matrix for s in (3, 3, 4)]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()


def test_training_leaves_the_counts_as_they_were():
    counts, vocabulary = counted()
    unsorted = csr_array((counts.data[::-1], counts.indices[::-1], counts.indptr), shape=counts.shape)
    before = unsorted.data.copy(), unsorted.indices.copy()
    train_glove(unsorted, vocabulary, 3, epochs=1, progress=False)
    assert (unsorted.data == before[0]).all()
    assert (unsorted.indices == before[1]).all()


COUNTS, VOCABULARY = counted()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"counts": np.eye(3)}, TypeError, "counts must be a sparse matrix of scipy"),
        ({"counts": csr_array((3, 3))}, ValueError, "a row and a column a word"),
        ({"counts": COUNTS * 0}, ValueError, "all above 0 and finite"),
        ({"counts": csr_array(COUNTS.shape)}, ValueError, "a pair of words that were seen together, got none"),
        ({"counts": -COUNTS}, ValueError, "all above 0 and finite"),
        ({"counts": COUNTS * np.inf}, ValueError, "all above 0 and finite"),
        ({"vocabulary": ["a"]}, TypeError, "vocabulary must be a Vocabulary"),
        ({"d_model": 0}, ValueError, "d_model must be at least 1"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"x_max": 0}, ValueError, "x_max must be above 0"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate must be above 0"),
        ({"alpha": float("nan")}, ValueError, "alpha must be finite"),
        ({"seed": 0.5}, TypeError, "seed must be an integer"),
    ],
)
def test_bad_input_is_named(options, error, message):
    with pytest.raises(error, match=message):
        train_glove(**({"counts": COUNTS, "vocabulary": VOCABULARY, "progress": False} | options))


def test_a_training_that_diverges_says_so():
    with pytest.raises(ValueError, match="diverge"):
        train_glove(COUNTS, VOCABULARY, 5, learning_rate=1e30, epochs=2, progress=False)


def test_the_articles_formula_neither_sees_co_occurrence_counts_nor_is_a_probability():
    vectors = torch.randn(11, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    frequencies = torch.arange(1, 12, dtype=torch.float64)
    values = torch.stack([article_glove(vectors, frequencies, 0, j) for j in range(11)])
    # Each word's term in the sum is divided by its frequency, but the one above the line is not.
    assert values.sum() > 1.5
    torch.testing.assert_close((values / frequencies).sum(), torch.tensor(1.0, dtype=torch.float64))
    # The gradient of GloVe vanishes when products of vectors equal log counts. The article's has no counts of pairs
    # to equal: the same vectors and frequencies give the same value, whatever was seen together.
    assert article_glove.__code__.co_varnames[:4] == ("vectors", "counts", "i", "j")
