"""`load` and `model_path` on the real, fetched data."""

import base64
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from functools import cache

import numpy as np
import pytest
from datasets import Dataset

from companion.data import cache_dir, load, load_vectors, model_path, sources
from companion.data.loading import part, rows_of
from companion.data.registry import get

TEXT = {"text": "string"}
WIKI = {"title": "string", "description": "string", "text": "string", "topic": "string"}
COLUMNS = {
    "wiki": WIKI,
    "wiki_fr": WIKI,
    "wiki_es": WIKI,
    "movie_snippets": TEXT | {"label": "int64", "score": "float64"},
    "amazon_snippets": TEXT | {"label": "int64", "score": "float64", "review": "string"},
    "sms_spam": TEXT | {"label": "int64"},
    "trec_questions": TEXT | {"label": "string", "fine": "string"},
    "recipes": TEXT | {"title": "string", "category": "string", "ingredients": "list", "steps": "list"},
    "boolq": TEXT | {"title": "string"},
    "kjv": TEXT | {"book": "string", "chapter": "int64"},
    "factbook": TEXT | {"country": "string", "section": "string", "field": "string"},
    "zh_reviews": TEXT | {"label": "int64"},
    "zh_news": TEXT | {"words": "list", "tags": "list"},
    "hsk": TEXT | {"chinese": "string", "pinyin": "string", "english": "string", "level": "int64"},
    "interface_strings": TEXT | {"key": "string", "language": "string"},
    "word_pairs": {"set": "string", "word1": "string", "word2": "string", "score": "float64"},
    "analogies": {"section": "string", "a": "string", "b": "string", "c": "string", "d": "string"},
}
DATASETS = [source.name for source in sources() if source.kind == "dataset"]
TEXTS = [source.name for source in sources() if source.characters]
PARTS = ("test", "validation", "train")
# Of the others: 30.
SHORTEST = {"zh_reviews": 5, "zh_news": 10, "hsk": 3, "interface_strings": 1, "movie_snippets": 3}
SHORTEST |= {"amazon_snippets": 4, "sms_spam": 2, "trec_questions": 12}


read = cache(rows_of)  # each dataset once for all tests


def test_missing_data_names_the_command_and_the_size(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"dataset 'wiki' is not in .* \(4\.9 MB\) with `companion data fetch wiki`"
    ):
        load("wiki")
    with pytest.raises(FileNotFoundError, match=r"model 'minilm' .*companion data fetch minilm"):
        model_path("minilm")


@pytest.mark.parametrize("name", [source.name for source in sources()])
def test_every_name_says_which_function_reads_it(name):
    functions = {"dataset": load, "vectors": load_vectors, "model": model_path, "vocabulary": model_path}
    right = functions[get(name).kind]
    for function in {load, load_vectors, model_path} - {right}:
        with pytest.raises(ValueError, match=rf"use companion\.data\.{right.__name__}\('{name}'\)"):
            function(name)


@pytest.mark.parametrize("function", [load, load_vectors, model_path])
def test_an_unknown_name_is_refused(function):
    with pytest.raises(ValueError, match="name must be one of"):
        function("imdb")


@pytest.mark.data
@pytest.mark.parametrize("name", DATASETS)
def test_the_card_s_counts_are_the_data_s(name):
    rows = read(name)
    assert len(rows) == get(name).rows
    assert sum(len(row.get("text", "")) for row in rows) == (get(name).characters or 0)


@pytest.mark.data
@pytest.mark.parametrize("name", DATASETS)
def test_columns_and_types_are_as_documented_and_named_in_the_card(name):
    features = Dataset.from_list(read(name)).features
    assert {column: getattr(kind, "dtype", "list") for column, kind in features.items()} == COLUMNS[name]
    assert all(re.search(rf"\b{column}\b", get(name).holds) for column in features)


@pytest.mark.data
@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_clean(name):
    texts = [row["text"] for row in read(name)]
    for text in texts:
        assert not re.search(r"  |[\u00ad\u200b\u2060\ufeff\u00a0\ufffd\t]|^\s|\s$", text), text
        assert unicodedata.is_normalized("NFC", text)
    assert min(map(len, texts)) >= SHORTEST.get(name, 30)


@pytest.mark.data
@pytest.mark.parametrize("name", [name for name in TEXTS if get(name).use == "plain text" or name.startswith("wiki")])
def test_no_markup_is_left_in_running_text(name):
    for row in read(name):
        assert not re.search(r"\(\)|''|``|\{\{|\[\[|\[\]|<br|&nbsp;", row["text"]), row


@pytest.mark.data
@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_unique_up_to_case_and_punctuation(name):
    # Two English strings may have one translation, so of the interface strings the English ones count.
    texts = [row["text"] for row in read(name) if row.get("language", "en") == "en"]
    assert len({re.sub(r"\W+", "", text.lower()) for text in texts}) == len(texts)


@pytest.mark.data
@pytest.mark.parametrize("name", TEXTS)
def test_parts_do_not_overlap_and_are_together_everything(name):
    by = get(name).split_by
    everything = {row[by] for row in read(name)}
    test, validation, train = ({row[by] for row in part(read(name), split, 3, by)} for split in PARTS)
    assert len(test) == len(validation) == round(0.05 * len(everything))
    assert len(test) + len(validation) + len(train) == len(everything)
    assert test | validation | train == everything


@pytest.mark.data
@pytest.mark.parametrize("name", sorted({*DATASETS} - {*TEXTS}))
def test_a_test_set_has_no_parts(name):
    with pytest.raises(ValueError, match="split must be None for a test set, which has no parts; got 'train'"):
        load(name, split="train")


@pytest.mark.data
def test_load_is_deterministic():
    first, second = (load("recipes", split="test", seed=3).to_list() for _ in range(2))
    assert first == second == part(read("recipes"), "test", 3)


@pytest.mark.data
def test_load_needs_no_network_and_writes_nothing(tmp_path):
    code = """
import socket
def refuse(*arguments, **keywords):
    raise AssertionError("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import companion.data
for name in ("wiki", "recipes", "zh_news", "analogies"):
    assert companion.data.load(name).cache_files == []
companion.data.load_vectors("glove50")
companion.data.fetch()
"""
    environment = os.environ | {
        "COMPANION_CACHE": str(cache_dir()),
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hub"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.data
def test_minilm_is_the_trained_encoder_its_card_describes():
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = model_path("minilm")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    config = model.config
    assert (config.num_hidden_layers, config.num_attention_heads, config.hidden_size) == (6, 12, 384)
    assert config.vocab_size == len(tokenizer) == 30_522
    batch = tokenizer(["cat", "kitten", "car"], return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    cat, kitten, car = vectors
    assert cat @ kitten > cat @ car + 0.2


@pytest.mark.data
def test_glove_vectors_are_aligned_with_their_words_and_hold_what_they_are_known_for():
    words, matrix = load_vectors("glove50")
    assert matrix.shape == (len(words), 50) == (get("glove50").rows, 50)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
    assert words[:3] == ["the", ",", "."]
    assert len(set(words)) == len(words)
    row = {word: index for index, word in enumerate(words)}
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    target = matrix[row["king"]] - matrix[row["man"]] + matrix[row["woman"]]
    best = [words[index] for index in np.argsort(-(unit @ target))[:5]]
    assert next(word for word in best if word not in {"king", "man", "woman"}) == "queen"


@pytest.mark.data
def test_gpt2_ranks_are_byte_strings_that_begin_with_the_256_bytes():
    lines = (model_path("gpt2_ranks") / "gpt2.tiktoken").read_text().splitlines()
    pairs = [(base64.b64decode(token), int(rank)) for token, rank in map(str.split, lines)]
    assert [rank for _, rank in pairs] == list(range(50_256))
    assert {token for token, _ in pairs[:256]} == {bytes([value]) for value in range(256)}
    assert dict(pairs)[b"Hello"] == 15_496
    assert dict(pairs)[b" world"] == 995


@pytest.mark.data
def test_the_chinese_vocabulary_is_bert_s():
    # Not splitlines(): one of the pieces is Unicode's line separator.
    pieces = (model_path("bert_chinese_vocab") / "vocab.txt").read_text("utf8").removesuffix("\n").split("\n")
    assert len(set(pieces)) == len(pieces) == 21_128
    assert [pieces[index] for index in (0, 100, 101, 102, 103)] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert {"我", "爱", "你", "##你"} <= set(pieces)


@pytest.mark.data
def test_each_bible_chapter_stands_once_and_in_order():
    data = read("kjv")
    assert len({(row["book"], row["chapter"]) for row in data}) == 1_189
    assert len({row["book"] for row in data}) == 66
    assert data[0]["text"].startswith("In the beginning God created the heaven and the earth. And the earth was")
    assert data[-1]["text"].endswith("The grace of our Lord Jesus Christ be with you all. Amen.")


@pytest.mark.data
def test_the_newspaper_s_words_make_up_its_text():
    for row in read("zh_news"):
        assert "".join(row["words"]) == row["text"]
        assert len(row["words"]) == len(row["tags"])
        assert all(row["words"])


@pytest.mark.data
def test_no_review_has_two_labels_and_both_labels_are_common():
    labels = [row["label"] for row in read("zh_reviews")]
    assert 0.45 < sum(labels) / len(labels) < 0.55


@pytest.mark.data
def test_every_interface_string_has_its_english_and_no_other_is_left_in_english():
    english, others = {}, []
    for row in read("interface_strings"):
        if row["language"] == "en":
            english[row["key"]] = row["text"]
        else:
            others.append(row)
    assert all(english[row["key"]] != row["text"] for row in others)
    assert len({row["language"] for row in others}) == 10


@pytest.mark.data
def test_the_word_tests_are_whole():
    pairs = read("word_pairs")
    assert Counter(row["set"] for row in pairs) == {"wordsim353": 353, "simlex999": 999}
    assert 0 <= min(row["score"] for row in pairs) < max(row["score"] for row in pairs) == 10
    analogies = read("analogies")
    assert len({row["section"] for row in analogies}) == 14
    assert analogies[0] == {
        "section": "capital-common-countries",
        "a": "Athens",
        "b": "Greece",
        "c": "Baghdad",
        "d": "Iraq",
    }
