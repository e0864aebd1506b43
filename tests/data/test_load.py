"""`load` and `model_path` on the real, fetched data."""

import os
import re
import subprocess
import sys

import pytest

from companion.data import cache_dir, load, model_path, sources
from companion.data.registry import get

COLUMNS = {
    "wiki": {"title": "string", "description": "string", "text": "string", "topic": "string"},
    "recipes": {"title": "string", "category": "string", "ingredients": "list", "steps": "list", "text": "string"},
}
DATASETS = [source.name for source in sources() if source.kind == "dataset"]


def test_missing_data_names_the_command_and_the_size(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"dataset 'wiki' is not in .* \(4\.9 MB\) with `companion data fetch wiki`"
    ):
        load("wiki")
    with pytest.raises(FileNotFoundError, match=r"model 'minilm' .*companion data fetch minilm"):
        model_path("minilm")


def test_a_model_is_no_dataset_and_a_dataset_no_model():
    with pytest.raises(ValueError, match=r"use companion\.data\.model_path\('minilm'\)"):
        load("minilm")
    with pytest.raises(ValueError, match=r"use companion\.data\.load\('wiki'\)"):
        model_path("wiki")
    with pytest.raises(ValueError, match="name must be one of"):
        load("imdb")


@pytest.fixture(scope="module", params=DATASETS)
def loaded(request):
    """Each dataset's declaration and all of its rows, read once."""
    return get(request.param), load(request.param)


@pytest.mark.data
def test_the_card_s_counts_are_the_data_s(loaded):
    source, data = loaded
    assert (data.num_rows, sum(map(len, data["text"]))) == (source.rows, source.characters)


@pytest.mark.data
def test_columns_and_types_are_as_documented(loaded):
    source, data = loaded
    assert {column: getattr(kind, "dtype", "list") for column, kind in data.features.items()} == COLUMNS[source.name]


@pytest.mark.data
def test_texts_are_clean_and_unique(loaded):
    texts = loaded[1]["text"]
    assert len({re.sub(r"\W+", "", text.lower()) for text in texts}) == len(texts)
    for text in texts:
        assert not re.search(r"  |\(\)|[\u00ad\u200b\u2060\ufeff\u00a0\t]|''|\{\{|\[\[|^\s|\s$", text), text
    assert min(map(len, texts)) >= 30


@pytest.mark.data
def test_load_is_deterministic_and_its_parts_do_not_overlap(loaded):
    source, data = loaded
    first, second = (load(source.name, split="test", seed=3)["text"][:] for _ in range(2))
    assert first == second
    assert len(first) == round(0.05 * source.rows)
    rest = set(load(source.name, split="train", seed=3)["text"])
    assert not rest & set(first)
    assert rest | set(first) < set(data["text"])


@pytest.mark.data
def test_load_needs_no_network_and_writes_nothing(tmp_path):
    code = """
import socket
def refuse(*arguments, **keywords):
    raise AssertionError("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import companion.data
for name in ("wiki", "recipes"):
    assert companion.data.load(name, split="train").cache_files == []
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
