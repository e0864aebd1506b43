"""The record of gensim's scores that the chapter draws, and the program that wrote it."""

import json
import sys

import pytest

import companion.data
from companion._optional import MissingPackageError
from companion.embeddings import Vocabulary, split_words
from companion.embeddings import __main__ as program


@pytest.fixture
def record(repository_root):
    return json.loads((repository_root / "companion" / "embeddings" / "gensim.json").read_text("utf8"))


@pytest.mark.data
def test_the_record_is_of_the_text_that_the_chapter_reads(record):
    texts = [text for name in ("wiki", "boolq") for text in companion.data.load(name, split="train")["text"]]
    sentences = [split_words(text) for text in texts]
    vocabulary = Vocabulary.count(sentences, min_count=10)
    assert record["vocabulary"] == len(vocabulary)
    assert record["words"] == len(vocabulary.encode(sentences))


def test_the_record_says_how_it_came_to_be(record):
    assert record["command"].startswith("python -m companion.embeddings wiki.jsonl boolq.jsonl")
    assert record["data"] == "companion.data: wiki and boolq, split train, seed 0"
    assert record["models"]["skip-gram"]["settings"] == {
        "model": "skip-gram",
        "learning_rate": 0.05,
        "window": 5,
        "n_negative": 5,
        "sample": 1e-4,
        "epochs": 5,
        "seed": 0,
    }


def test_the_figures_description_has_the_recorded_scores(record, repository_root):
    chapter = (repository_root / "book" / "embeddings.md").read_text("utf8")
    of = {
        (model, who): f"{record['models'][model][who]['wordsim353']['value']:.2f}"
        for model in ("CBOW", "skip-gram")
        for who in ("ours", "gensim")
    }
    assert f"CBOW {of['CBOW', 'ours']} and gensim's {of['CBOW', 'gensim']}" in chapter
    # a hundredth up or down between this training and the chapter's own
    assert abs(float(of["skip-gram", "ours"]) - 0.61) < 0.015
    assert f"skip-gram 0.61 and gensim's {of['skip-gram', 'gensim']}" in chapter


@pytest.mark.data
def test_the_program_trains_both_on_one_text_and_scores_them(tmp_path):
    rows = companion.data.load("wiki", split="train")["text"][:1500]
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), "utf8")
    program.main([texts], tmp_path / "out.json", "a part of wiki", d_model=7, epochs=1)
    made = json.loads((tmp_path / "out.json").read_text("utf8"))
    assert list(made["models"]) == ["skip-gram", "CBOW"]
    for model in made["models"].values():
        for who in ("gensim", "ours"):
            assert model[who]["cpu_seconds"] >= 0
            score = model[who]["wordsim353"]
            assert -1 <= score["low"] <= score["value"] <= score["high"] <= 1
        gap = model["ours"]["wordsim353"]["value"] - model["gensim"]["wordsim353"]["value"]
        assert model["ours less gensim's"]["wordsim353"]["value"] == pytest.approx(gap, abs=2e-4)


def test_a_missing_gensim_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    texts = tmp_path / "texts.jsonl"
    texts.write_text(json.dumps({"text": "a word " * 20}), "utf8")
    with pytest.raises(MissingPackageError, match=r"gensim is needed to train the peer.*plm-companion\[bench\]"):
        program.main([texts], tmp_path / "out.json", "words")
