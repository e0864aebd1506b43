"""Vectors by name: cosines, neighbours, analogies, and the file they are kept in."""

import json

import numpy as np
import pytest
import scipy.spatial.distance
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from companion.embeddings import WordVectors

WORDS = ("king", "queen", "man", "woman", "naïve", "中文", "")


def vectors(seed=0, n=7, d_model=5):
    words = WORDS[:n] if n <= len(WORDS) else [f"w{i}" for i in range(n)]
    return WordVectors(words, np.random.default_rng(seed).normal(size=(n, d_model)))


def test_similarity_is_scipys_cosine():
    v = vectors()
    for first in WORDS:
        for second in WORDS:
            expected = 1 - scipy.spatial.distance.cosine(v[first].astype(float), v[second].astype(float))
            assert v.similarity(first, second) == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 99), st.floats(0.01, 100))
def test_similarity_is_symmetric_and_blind_to_length(seed, length):
    v = vectors(seed)
    longer = WordVectors(WORDS, v.matrix * np.float32(length))
    assert v.similarity("man", "king") == pytest.approx(v.similarity("king", "man"), abs=1e-6)
    assert v.similarity("man", "king") == pytest.approx(longer.similarity("man", "king"), abs=1e-5)


@given(st.integers(0, 99), st.integers(1, 40))
def test_neighbours_are_the_sorted_cosines_without_the_word(seed, n):
    v = vectors(seed, n=31)
    found = v.most_similar("w7", n)
    expected = sorted(((v.similarity("w7", word), word) for word in v.words if word != "w7"), reverse=True)[:n]
    assert [score for _, score in found] == pytest.approx([score for score, _ in expected], abs=1e-6)
    assert "w7" not in dict(found)


@given(st.integers(0, 99))
def test_analogy_is_3cosadd_over_all_other_words(seed):
    v = vectors(seed, n=31)

    def score(word):  # Levy and Goldberg (2014), the sum that gives 3CosAdd its name
        return v.similarity(word, "w2") - v.similarity(word, "w1") + v.similarity(word, "w3")

    others = [word for word in v.words if word not in ("w1", "w2", "w3")]
    assert [word for word, _ in v.analogy("w1", "w2", "w3", n=28)] == sorted(others, key=score, reverse=True)


def test_without_leaving_the_question_out_it_would_answer_itself():
    v = WordVectors(["a", "b", "c", "d"], [[1, 0, 0], [0.9, 0.1, 0], [0, 0, 1], [0, 1, 0.2]])
    target = v.unit[1] - v.unit[0] + v.unit[2]
    assert v.words[int((v.unit @ target).argmax())] == "c"
    assert v.analogy("a", "b", "c")[0][0] == "d"


def test_vectors_of_zeros_are_like_nothing():
    v = WordVectors(["zero", "one"], [[0.0, 0.0], [1.0, 0.0]])
    assert v.similarity("zero", "one") == v.similarity("zero", "zero") == 0.0
    assert v.analogy("one", "one", "zero") == []


def test_head_keeps_the_first_words():
    assert vectors().head(2).words == ("king", "queen")
    assert len(vectors().head(99)) == len(WORDS)


def test_words_can_be_asked_for():
    v = vectors()
    assert "queen" in v
    assert "Queen" not in v
    assert ["unhashable"] not in v.words
    assert len(v) == 7
    assert repr(v) == "WordVectors(7 words, d_model=5)"
    with pytest.raises(KeyError, match=r"'Queen' has no vector among the 7 words; check the spelling and case"):
        v["Queen"]


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0), (True, 1e-3)])
def test_saving_and_loading_gives_the_same_vectors(tmp_path, half, tolerance):
    v = vectors()
    v.save(tmp_path / "v.safetensors", half=half)
    loaded = WordVectors.load(tmp_path / "v.safetensors")
    assert loaded.words == v.words
    assert loaded.matrix.dtype == np.float32
    np.testing.assert_allclose(loaded.matrix, v.matrix, rtol=tolerance, atol=tolerance)
    assert [file.name for file in tmp_path.iterdir()] == ["v.safetensors"]


def test_saving_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    v, path = vectors(), tmp_path / "v.safetensors"
    v.save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        vectors(seed=1).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["v.safetensors"]


def test_files_that_hold_no_word_vectors_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        WordVectors.load(path)
    path.write_bytes(b"not a safetensors file")
    with pytest.raises(ValueError, match="is not a file of word vectors"):
        WordVectors.load(path)
    save_file({"matrix": np.ones((2, 3))}, path)
    with pytest.raises(ValueError, match="is not a file of word vectors"):
        WordVectors.load(path)
    save_file({"matrix": np.ones((2, 3))}, path, metadata={"words": json.dumps(["a"])})
    with pytest.raises(ValueError, match=r"not a file of word vectors: .*one row a word \(1\), got shape \(2, 3\)"):
        WordVectors.load(path)
    for words in ("ab", 5, [1, 2]):
        save_file({"matrix": np.ones((2, 3))}, path, metadata={"words": json.dumps(words)})
        with pytest.raises(ValueError, match="not a file of word vectors: words must be"):
            WordVectors.load(path)


def test_a_folder_that_does_not_exist_is_named_before_anything_is_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder that exists.*make .*no first"):
        vectors().save(tmp_path / "no" / "v.safetensors")


@pytest.mark.parametrize(
    ("words", "matrix", "message"),
    [
        (["a", "a"], np.ones((2, 3)), "distinct and at least one, got 2, 1 distinct"),
        ([], np.ones((0, 3)), "at least one, got 0"),
        (["a"], np.ones((2, 3)), r"one row a word \(1\), got shape \(2, 3\)"),
        (["a"], np.ones(3), r"got shape \(3,\)"),
        (["a"], np.ones((1, 0)), r"got shape \(1, 0\)"),
        (["a"], [[np.nan, 1.0]], "matrix must be finite"),
    ],
)
def test_bad_vectors_are_named(words, matrix, message):
    with pytest.raises(ValueError, match=message):
        WordVectors(words, matrix)


@pytest.mark.parametrize(
    ("words", "matrix", "message"),
    [
        ("ab", np.ones((2, 3)), "words must be a list of strings, got 'ab'"),
        (None, np.ones((2, 3)), "words must be a list of strings, got None"),
        ([1, 2], np.ones((2, 3)), "words must be strings, got 1 of type int"),
        ([["a"]], np.ones((1, 3)), "words must be strings"),
        (["a"], "x", "matrix must be a table of numbers, got str"),
        (["a", "b"], [[1.0], [1.0, 2.0]], "matrix must be a table of numbers, got list"),
        (["a"], torch.ones(1, 2, requires_grad=True), r"matrix must be a table of numbers, got Tensor.*detach\(\)"),
    ],
)
def test_what_is_no_words_or_no_table_is_named(words, matrix, message):
    with pytest.raises(TypeError, match=message):
        WordVectors(words, matrix)


def test_bad_numbers_are_named():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        vectors().most_similar("king", 0)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        vectors().head(0)
