"""What book/embeddings.md says in prose or in a solution, and no cell of it computes."""

import ast
import math

import jupytext
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from companion.data import load
from companion.data.senses import bank_senses
from companion.embeddings import (
    Vocabulary,
    WordVectors,
    count_cooccurrences,
    glove_loss,
    glove_weight,
    similarity_score,
    split_words,
    train_skipgram,
)
from tests.embeddings.naive import naive_cooccurrences


def functions(source):
    return {node.name: ast.dump(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}


def test_the_chapter_shows_the_tested_naive_code(repository_root):
    chapter = jupytext.read(repository_root / "book" / "embeddings.md", fmt="md:myst")
    shown = {}
    for cell in chapter.cells:
        if cell.cell_type == "code":
            shown |= functions(cell.source)
    tested = functions((repository_root / "tests" / "embeddings" / "naive.py").read_text("utf8"))
    assert shown["naive_cooccurrences"] == tested["naive_cooccurrences"]


def scores_of(word1, word2):
    return [row["score"] for row in load("word_pairs") if (row["word1"], row["word2"]) == (word1, word2)]


@pytest.mark.data
def test_people_gave_the_pairs_of_the_opening_these_marks():
    assert 7.35 in scores_of("tiger", "cat")
    assert 0.23 in scores_of("king", "cabbage")


def test_ten_words_and_a_window_of_two_make_34_pairs():
    words = [str(i) for i in range(10)]
    corpus = Vocabulary.count([words], min_count=1).encode([words])
    assert count_cooccurrences(corpus, window=2, weighting="flat").sum() == 34
    assert 10 * 2 * 2 == 40


def test_a_rose_is_a_rose():
    counts = naive_cooccurrences([["a", "rose", "is", "a", "rose"]], window=2)
    assert counts["a", "rose"] == counts["rose", "a"] == 2.5
    assert ("rose", "rose") not in counts


def test_the_noise_word_moves_the_centre_by_the_larger_factor():
    scores = torch.tensor([2.0, -1.0], requires_grad=True)
    parts = torch.stack([-torch.nn.functional.logsigmoid(scores[0]), -torch.nn.functional.logsigmoid(-scores[1])])
    parts.sum().backward()
    assert [round(part, 3) for part in parts.tolist()] == [0.127, 0.313]
    assert scores.grad is not None
    assert [round(slope, 2) for slope in scores.grad.tolist()] == [-0.12, 0.27]


def test_about_32_pairs_seen_once_weigh_as_much_as_one_seen_100_times():
    once, often = glove_weight(torch.tensor([1.0, 100.0])).tolist()
    assert round(often / once) == 32


def test_a_rotation_changes_neither_glove_nor_cosines():
    draw = torch.Generator().manual_seed(0)
    words, contexts = torch.randn(2, 11, 5, generator=draw, dtype=torch.float64)
    biases = torch.randn(2, 11, generator=draw, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=draw, dtype=torch.float64))
    text = [[f"w{i}" for i in torch.randint(11, (60,), generator=draw).tolist()]]
    counts = count_cooccurrences(Vocabulary([f"w{i}" for i in range(11)], [1] * 11).encode(text))
    before, after = (glove_loss(words @ r, contexts @ r, *biases, counts) for r in (torch.eye(5).double(), rotation))
    torch.testing.assert_close(before, after)
    names = [f"w{i}" for i in range(11)]
    plain, turned = (WordVectors(names, (words @ r).numpy()) for r in (torch.eye(5).double(), rotation))
    assert [w for w, _ in plain.most_similar("w0")] == [w for w, _ in turned.most_similar("w0")]


def test_the_empty_analogy_answers_the_nearest_neighbour():
    matrix = np.random.default_rng(0).normal(size=(23, 7))
    vectors = WordVectors([f"w{i}" for i in range(23)], matrix)
    nearest = [word for word, _ in vectors.most_similar("w2", 5) if word != "w1"]
    assert [word for word, _ in vectors.analogy("w1", "w1", "w2", 3)] == nearest[:3]


def test_one_swap_among_four_places_correlates_at_0_8_cubed_or_not():
    people, cosines = [9, 7, 3, 1], np.array([0.9, 0.2, 0.3, 0.1])
    for values in (cosines, cosines**3):
        assert spearmanr(people, values).statistic == pytest.approx(0.8)


def test_the_best_score_of_a_pair_is_its_shifted_mutual_information():
    x, row, q, n = 3.0, 40.0, 0.01, 5
    s = torch.linspace(-10, 10, 200_001, dtype=torch.float64)
    loss = -x * torch.nn.functional.logsigmoid(s) - n * row * q * torch.nn.functional.logsigmoid(-s)
    assert float(s[loss.argmin()]) == pytest.approx(math.log(x / (row * q)) - math.log(n), abs=1e-3)


@pytest.mark.parametrize("cosine", [-1.0, 0.0, 1.0])
def test_the_articles_numerator_for_its_cat_and_dog_is_one_whatever_the_vectors(cosine):
    assert 0.99 < math.exp(cosine / math.sqrt(100 * 200)) < 1.01


@pytest.mark.data
def test_the_sentences_with_bank_are_divided_as_the_chapter_says():
    examples = bank_senses()
    senses = [row["sense"] for row in examples]
    assert (senses.count("money"), senses.count("river")) == (168, 86)
    plural = {sense: np.mean([r["word"] == "banks" for r in examples if r["sense"] == sense]) for sense in senses}
    assert plural["river"] > plural["money"]
    wiki = {sense: np.mean([r["source"] == "wiki" for r in examples if r["sense"] == sense]) for sense in senses}
    assert wiki["river"] > 0.5
    assert np.mean([r["source"] == "boolq" for r in examples if r["sense"] == "money"]) > 0.5


@pytest.fixture(scope="module")
def corpus():
    texts = [*load("wiki", split="train")["text"], *load("boolq", split="train")["text"]]
    sentences = [split_words(text) for text in texts]
    return Vocabulary.count(sentences, min_count=10).encode(sentences)


@pytest.mark.data
@pytest.mark.slow
def test_the_text_has_the_sizes_that_the_chapter_names_and_its_counts_are_mostly_small(corpus):
    assert len(corpus.vocabulary) == 12_907
    assert round(6e9 / len(corpus), -2) == 3700
    flat = count_cooccurrences(corpus, window=10, weighting="flat").data
    assert (flat <= 2).mean() > 0.5


@pytest.mark.data
@pytest.mark.slow
def test_three_rounds_of_skipgram_with_the_packages_own_settings_end_below_one_half(corpus):
    pairs = [
        (row["word1"].lower(), row["word2"].lower(), row["score"])
        for row in load("word_pairs")
        if row["set"] == "wordsim353"
    ]
    vectors = train_skipgram(corpus, 50, epochs=3, progress=False).vectors
    assert similarity_score(vectors, pairs).value < 0.5
