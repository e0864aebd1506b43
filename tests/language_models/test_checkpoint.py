"""Checkpoints: what is written is what is read, and the released one is as good as its record says."""

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

import companion.data
from companion.language_models import (
    NeuralConfig,
    NeuralModel,
    NGramModel,
    Vocabulary,
    checkpoint,
    log_probabilities,
    perplexity,
    split_words,
)
from companion.language_models.__main__ import main

TEXTS = ["stir the soup until it boils", "boil the soup", "stir it"]


def test_words_joined_are_the_text():
    text = "Preheat  the oven\tto 350°F (175 °C).\n½ cup_of 盐, naïve 12a"
    assert "".join(split_words(text)) == text
    assert split_words("Stir the soup, 350°F.") == ["Stir", " the", " soup", ",", " ", "350", "°", "F", "."]


def test_a_saved_model_is_the_one_that_is_loaded(tmp_path):
    vocabulary = Vocabulary.build([split_words(text) for text in TEXTS])
    model = NeuralModel(NeuralConfig(vocab_size=len(vocabulary), d_embedding=5, d_hidden=3)).half().float()
    checkpoint.save(tmp_path / "new" / "soup", model, vocabulary, {"data": "soup"})
    loaded, record = checkpoint.load(tmp_path / "new" / "soup", vocabulary)
    assert record["data"] == "soup"
    assert loaded.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["soup.json", "soup.safetensors"]


def test_another_vocabulary_is_refused_and_a_missing_checkpoint_named(tmp_path):
    vocabulary = Vocabulary("ab")
    model = NeuralModel(NeuralConfig(vocab_size=4))
    checkpoint.save(tmp_path / "ab", model, vocabulary, {"data": "letters"})
    with pytest.raises(ValueError, match="must be the one that 'ab' was trained with"):
        checkpoint.load(tmp_path / "ab", Vocabulary("ba"))
    with pytest.raises(FileNotFoundError, match=r"nothing.json does not exist; the package's own are recipes"):
        checkpoint.load("nothing", vocabulary)
    with pytest.raises(TypeError, match="vocabulary must be a Vocabulary, got 'ab'"):
        checkpoint.load(tmp_path / "ab", "ab")


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_a_damaged_checkpoint_is_named(tmp_path, ending):
    vocabulary = Vocabulary("ab")
    checkpoint.save(tmp_path / "ab", NeuralModel(NeuralConfig(vocab_size=4)), vocabulary, {"data": "letters"})
    file = tmp_path / f"ab.{ending}"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"path must be that of a whole checkpoint, but .*ab is damaged"):
        checkpoint.load(tmp_path / "ab", vocabulary)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=rf"ab\.{ending} does not exist"):
        checkpoint.load(tmp_path / "ab", vocabulary)


def test_the_command_trains_and_writes_a_checkpoint_with_its_log(tmp_path):
    app = typer.Typer()
    app.command()(main)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    for name in ("train", "held-out"):
        (tmp_path / f"{name}.jsonl").write_text(lines, "utf8")
    arguments = [tmp_path / "train.jsonl", tmp_path / "held-out.jsonl", "--out", tmp_path / "soup", "--data", "soup"]
    arguments += ["--min-count", 1, "--epochs", 20, "--batch-tokens", 10, "--d-embedding", 8, "--also", 1]
    threads = torch.get_num_threads()
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "soup.json").read_text("utf8"))
    assert record["smaller"][0]["texts"] == 1
    curve = [point["held_out_perplexity"] for point in record["curve"]]
    assert curve[-1] < curve[0]
    vocabulary = Vocabulary.build([split_words(text) for text in TEXTS])
    model, _ = checkpoint.load(tmp_path / "soup", vocabulary)
    assert perplexity(log_probabilities(model, vocabulary, [split_words(text) for text in TEXTS])) == pytest.approx(
        curve[-1], rel=0.02
    )


@pytest.fixture(scope="module")
def recipes():
    companion.data.fetch(["recipes"])
    return {
        split: [split_words(text) for text in companion.data.load("recipes", split=split)["text"]]
        for split in ("train", "validation", "test")
    }


@pytest.mark.data
def test_the_released_model_beats_every_n_gram_on_the_same_unseen_text(recipes):
    vocabulary = Vocabulary.build(recipes["train"], min_count=5)
    model, record = checkpoint.load("recipes", vocabulary)
    watched = perplexity(log_probabilities(model, vocabulary, recipes["validation"]))
    assert watched == pytest.approx(record["curve"][-1]["held_out_perplexity"], rel=0.01)
    neural = perplexity(log_probabilities(model, vocabulary, recipes["test"]))
    ngrams = NGramModel.fit(recipes["train"], order=7, vocabulary=vocabulary)
    best = min(perplexity(ngrams.change(order=n).log_probabilities(recipes["test"])) for n in range(1, 8))
    assert neural < 0.95 * best


@pytest.mark.data
def test_the_record_names_what_made_it_and_the_weights_are_small(recipes):
    _, record = checkpoint.load("recipes", Vocabulary.build(recipes["train"], min_count=5))
    assert record["command"].startswith("python -m companion.language_models")
    assert record["training"]["seed"] == 0
    assert record["texts"] == len(recipes["train"])
    assert (checkpoint.FOLDER / "recipes.safetensors").stat().st_size < 2e6
