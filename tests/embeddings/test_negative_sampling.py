"""Skip-gram and CBOW: the losses against loops, the gradients against autograd, the windows against a loop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.embeddings import (
    Vocabulary,
    cbow_gradients,
    cbow_loss,
    skipgram_gradients,
    skipgram_loss,
    train_cbow,
    train_skipgram,
)
from companion.embeddings.negative_sampling import noise_table, step_size, walk
from tests.attention.compare import assert_agree
from tests.embeddings import text
from tests.embeddings.naive import naive_cbow_loss, naive_skipgram_loss

BLOCK, POS, CONTEXT, NOISE, D_MODEL = 3, 5, 11, 7, 13
OBJECTIVES = {
    "skip-gram": (skipgram_loss, skipgram_gradients, naive_skipgram_loss, (POS, CONTEXT, NOISE)),
    "CBOW": (cbow_loss, cbow_gradients, naive_cbow_loss, (CONTEXT, POS, NOISE)),
}
TRAINERS = {"skip-gram": train_skipgram, "CBOW": train_cbow}
each_objective = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
each_trainer = pytest.mark.parametrize("train", TRAINERS.values(), ids=TRAINERS.keys())


def draw(lengths, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    vectors = [torch.randn(BLOCK, n, D_MODEL, generator=generator, dtype=torch.float64).to(dtype) for n in lengths]
    in_window = torch.rand(BLOCK, POS, CONTEXT, generator=generator) < 0.4
    in_window[1, 2] = False  # a word with nothing around it
    return vectors, in_window


@each_objective
def test_loss_agrees_with_the_loop_over_pairs(objective):
    loss, _, naive, lengths = objective
    vectors, in_window = draw(lengths)
    torch.testing.assert_close(loss(*vectors, in_window, 3), naive(*vectors, in_window, 3), rtol=1e-12, atol=0)


@each_objective
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
def test_gradients_by_hand_are_autograds(objective, dtype, tolerance):
    loss, gradients, _, lengths = objective
    vectors, in_window = draw(lengths, dtype)
    leaves = [vector.clone().requires_grad_() for vector in vectors]
    loss(*leaves, in_window, 3).backward()
    assert_agree(gradients(*vectors, in_window, 3), [leaf.grad for leaf in leaves], tolerance)


@each_objective
def test_loss_passes_torchs_finite_differences(objective):
    loss, _, _, lengths = objective
    vectors, in_window = draw(lengths)
    leaves = [vector[..., :2].clone().requires_grad_() for vector in vectors]
    assert torch.autograd.gradcheck(lambda *v: loss(*v, in_window, 3), leaves)


@each_objective
def test_words_with_empty_windows_pull_nothing(objective):
    _, gradients, _, lengths = objective
    vectors, in_window = draw(lengths)
    assert all((gradient == 0).all() for gradient in gradients(*vectors, in_window & False, 3))


def windows(corpus, **options):
    """Walk a corpus and list its pairs of places' words, (word, context), from all blocks."""
    generator = torch.Generator().manual_seed(5)
    pairs = []
    for blocks in walk(corpus, generator=generator, **options):
        b, i, j = blocks.in_window.nonzero(as_tuple=True)
        pairs += zip(blocks.words[b, i].tolist(), blocks.contexts[b, j].tolist(), strict=True)
    return sorted(pairs)


@given(st.integers(1, 3), st.integers(1, 13), st.integers(0, 99))
def test_walk_finds_the_pairs_of_a_loop_however_it_is_cut(window, length, seed):
    corpus = text.corpus(seed=seed, n=5, longest=11)
    cuts = [windows(corpus, window=window, sample=0.0, step=step, length=length) for step in (1, 64)]
    generator = torch.Generator().manual_seed(5)
    torch.rand(len(corpus), generator=generator)
    reach = torch.randint(1, window + 1, (len(corpus),), generator=generator).tolist()
    expected = sorted(
        (int(corpus.ids[i]), int(corpus.ids[j]))
        for i in range(len(corpus))
        for j in range(max(0, i - reach[i]), min(len(corpus), i + reach[i] + 1))
        if i != j and corpus.sentence[i] == corpus.sentence[j]
    )
    assert cuts == [expected, expected]


def test_walk_goes_over_every_word_once():
    corpus = text.corpus()
    words = [b.words for b in walk(corpus, window=2, sample=0.0, step=10, length=5, generator=torch.Generator())]
    assert torch.cat(words).flatten()[: len(corpus)].tolist() == corpus.ids.tolist()


def test_frequent_words_are_thinned_out_as_often_as_promised():
    sentences = [["often"] * 9 + ["rare"]] * 5000
    corpus = Vocabulary.count(sentences).encode(sentences)
    generator = torch.Generator().manual_seed(0)
    steps = walk(corpus, window=1, sample=0.1, step=10**6, generator=generator)
    words = torch.cat([blocks.words.flatten() for blocks in steps])
    # √(0.1/0.9) + 0.1/0.9 of 45,000, and all 5,000; padding of one block at most
    assert (words == 1).sum() == 5000
    assert abs(int((words == 0).sum()) - 45000 * 0.4444) < 4 * np.sqrt(45000 * 0.25) + 32


def test_noise_is_drawn_in_proportion_to_counts_to_the_power_of_three_quarters():
    counts = torch.tensor([1000, 500, 16, 1], dtype=torch.float64)
    table = noise_table(counts)
    share = table.bincount() / len(table)
    torch.testing.assert_close(share.double(), counts**0.75 / (counts**0.75).sum(), rtol=0, atol=2e-6)


def test_steps_are_shorter_where_one_word_makes_up_more_of_the_text():
    half = [["a"] * 50 + [f"w{i}" for i in range(50)]]
    tenth = [["a"] * 10 + [f"w{i}" for i in range(90)]]
    corpora = [Vocabulary.count(t, min_count=1).encode(t) for t in (half, tenth)]
    sizes = [step_size(corpus, 0.0, n_negative=2, pull=0.15) for corpus in corpora]
    # 4 moves, over the share of the word (0.5 and 0.1) and that of the word as noise (its count to the power 3/4)
    noise = [50**0.75 / (50**0.75 + 50), 10**0.75 / (10**0.75 + 90)]
    assert sizes == [int(4 / (0.15 * 0.5 + 0.15 * noise[0])), int(4 / (0.15 * 0.1 + 0.15 * noise[1]))]
    assert sizes[0] < sizes[1]
    assert step_size(corpora[0], 0.0, n_negative=2, pull=100.0) == 32


@each_trainer
def test_words_of_a_topic_end_up_together(train):
    sentences = text.two_topics()
    corpus = Vocabulary.count(sentences).encode(sentences)
    trained = train(corpus, 11, epochs=5, learning_rate=0.05, sample=0.0, progress=False)
    assert trained.losses[-1] < trained.losses[0] < 6 * np.log(2)
    vectors = trained.vectors
    same = np.mean([vectors.similarity("sea0", f"sea{i}") for i in range(1, 10)])
    other = np.mean([vectors.similarity("sea0", f"sky{i}") for i in range(1, 10)])
    assert same > other + 0.5


@each_trainer
def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(train):
    runs = [train(text.corpus(), 7, epochs=2, seed=seed, progress=False).vectors.matrix for seed in (3, 3, 4)]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()


@each_trainer
def test_a_text_of_the_same_word_only_trains_and_stays_finite(train):
    sentences = [["a"] * 41]
    trained = train(Vocabulary.count(sentences).encode(sentences), 3, epochs=3, sample=0.0, progress=False)
    assert np.isfinite(trained.vectors.matrix).all()


@each_trainer
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"corpus": ["a", "b"]}, TypeError, "corpus must be a Corpus, got .* Vocabulary.encode makes one"),
        ({"d_model": 0}, ValueError, "d_model must be at least 1"),
        ({"window": 0}, ValueError, "window must be at least 1"),
        ({"n_negative": 0}, ValueError, "n_negative must be at least 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"sample": -1e-3}, ValueError, "sample must be at least 0"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate must be finite"),
    ],
)
def test_bad_input_is_named(train, options, error, message):
    with pytest.raises(error, match=message):
        train(**({"corpus": text.corpus(), "progress": False} | options))


@each_trainer
def test_a_text_of_which_nothing_is_kept_is_refused(train):
    sentences = [["a", "b"]]
    with pytest.raises(ValueError, match="sample must be larger, or 0, for so short a text: none of its 2 words"):
        train(Vocabulary.count(sentences, min_count=1).encode(sentences), 3, sample=1e-9, progress=False)


@each_trainer
def test_a_text_without_neighbours_is_refused(train):
    sentences = [["a"], ["b"], []]
    with pytest.raises(ValueError, match="corpus must hold a sentence of two words or more"):
        train(Vocabulary.count(sentences, min_count=1).encode(sentences), 3, sample=0, progress=False)


@each_trainer
def test_a_training_that_diverges_says_so(train):
    with pytest.raises(ValueError, match="diverge"):
        train(text.corpus(), 7, learning_rate=1e30, epochs=2, progress=False)
