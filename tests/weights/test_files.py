"""Files that are damaged, hostile or do not belong together: each is refused in words, and nothing in it runs."""

import contextlib
import json
import os
import pickle
import re
import struct
import time
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from companion.models import BERT, GPT, GPTConfig
from companion.weights import CheckpointError, find_checkpoint, open_checkpoint, write_checkpoint
from tests.weights.references import Case, assert_same, exact, ours_computes, theirs_computes

CONFIG = GPTConfig(vocab_size=7, max_len=5, d_model=6, n_heads=2, n_layers=1, d_ff=3)


@pytest.fixture
def folder(tmp_path):
    """A good checkpoint, for a test to damage."""
    return GPT(CONFIG).save_pretrained(tmp_path / "good")


def change_config(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def change_tensors(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def refused(folder):
    with pytest.raises(CheckpointError) as caught:
        GPT.from_pretrained(folder)
    return str(caught.value)


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (open, (self.mark, "w"))


@pytest.mark.parametrize("write", ["torch", "torch old", "pickle"])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.ckpt", "weights.pt"])
def test_a_pickle_is_refused_with_the_reason_and_is_not_run(tmp_path, folder, write, name):
    mark = tmp_path / "it ran"
    (folder / "model.safetensors").unlink()
    if write == "pickle":
        (folder / name).write_bytes(pickle.dumps({"a": Bomb(mark)}, protocol=2))
    else:
        torch.save({"a": Bomb(mark)}, folder / name, _use_new_zipfile_serialization=write == "torch")
    for given_path in (folder, folder / name) if not name.endswith("safetensors") else (folder,):
        message = refused(given_path)
        assert (
            f"{name} is refused: it is or may be a pickle, and reading a pickle runs whatever code is in it" in message
        )
        assert "model.safetensors" in message
        assert "save_pretrained" in message
    assert not mark.exists()


def test_a_pickle_beside_the_weights_is_not_touched(tmp_path, folder):
    mark = tmp_path / "it ran"
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Bomb(mark)))
    GPT.from_pretrained(folder)
    assert not mark.exists()


def test_weights_cut_short_anywhere_are_refused(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for length in [*range(300), *range(300, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert "model.safetensors is" in refused(folder)


@given(st.data())
def test_a_damaged_header_is_refused_or_changes_nothing(tmp_path_factory, data):
    folder = GPT(CONFIG).save_pretrained(tmp_path_factory.mktemp("damaged") / "checkpoint")
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    position = data.draw(st.integers(0, 8 + length - 1))
    content[position] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        GPT.from_pretrained(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file or is damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS .* run `git lfs pull`"),
        (b"<!DOCTYPE html><html></html>", "no safetensors file or is damaged"),
        (b"\x93NUMPY\x01\x00", "no safetensors file or is damaged"),
        (struct.pack("<Q", 2**60) + b"{}", "damaged or cut short"),
        (struct.pack("<Q", 2) + b"{]", "damaged or cut short"),
        (
            struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}      ',
            "damaged or cut short",
        ),
    ],
)
def test_what_only_has_the_name_of_weights_is_refused(folder, content, message):
    (folder / "model.safetensors").write_bytes(content)
    assert re.search(message, refused(folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "config.json of .* is not JSON"),
        (b"{", "config.json of .* is not JSON"),
        (b"\xff\xfe{}", "config.json of .* is not JSON"),
        (b"[1, 2]", "must hold an object, got a list"),
        (b"null", "must hold an object, got a NoneType"),
        (b'{"n_layer": NaN}', "NaN is no JSON"),
        (b"[" * 100_000, "config.json of .* is not JSON"),
        (b'{"n_layer": ' + b"1" * 5000 + b"}", "config.json of .* is not JSON"),
        (b"{}", "is of model_type None, and GPT reads 'gpt2'"),
    ],
)
def test_settings_that_are_none_are_refused(folder, content, message):
    (folder / "config.json").write_bytes(content)
    assert re.search(message, refused(folder))


def test_a_folder_without_settings_or_weights_says_what_it_holds(tmp_path, folder):
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert "has no model.safetensors, nor model.safetensors.index.json and its parts" in refused(folder)
    assert "config.json, weights.safetensors" in refused(folder)
    (folder / "config.json").unlink()
    assert "has no config.json (its folder holds weights.safetensors)" in refused(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "its folder holds nothing" in refused(empty)


def test_all_that_does_not_fit_is_told_in_one_error(folder):
    def spoil(tensors):
        del tensors["transformer.ln_f.bias"], tensors["transformer.h.0.mlp.c_fc.weight"]
        tensors["transformer.h.7.mlp.c_fc.weight"] = torch.zeros(2)
        tensors["mystery"] = torch.zeros(())
        tensors["transformer.wte.weight"] = torch.zeros(7, 5)
        tensors["transformer.h.0.attn.c_attn.weight"] = torch.zeros(18, 6)
        tensors["h.0.ln_1.bias"] = torch.zeros(6)

    change_tensors(folder, spoil)
    message = refused(folder)
    assert "do not fit the model that its config.json describes" in message
    assert "2 missing: transformer.h.0.mlp.c_fc.weight, transformer.ln_f.bias\n" in message
    assert "2 unexpected: mystery, transformer.h.7.mlp.c_fc.weight\n" in message
    assert "transformer.wte.weight is (7, 5), expected (7, 6)" in message
    assert "transformer.h.0.attn.c_attn.weight is (18, 6), expected (6, 18)" in message
    assert "1 there twice: h.0.ln_1.bias and transformer.h.0.ln_1.bias" in message


def test_a_tied_head_must_be_equal_and_may_be_there(folder):
    change_tensors(
        folder, lambda tensors: tensors.update({"lm_head.weight": tensors["transformer.wte.weight"].clone()})
    )
    report = GPT.from_pretrained(folder).load_report
    assert report.tied == {"lm_head.weight": "transformer.wte.weight"}
    assert "the same as another tensor: lm_head.weight" in str(report)
    change_tensors(folder, lambda tensors: tensors["lm_head.weight"].add_(1))
    assert "1 to be the same tensor and different: lm_head.weight and transformer.wte.weight" in refused(folder)
    change_tensors(folder, lambda tensors: tensors.update({"lm_head.weight": torch.zeros(3)}))
    assert "lm_head.weight is (3,), expected (7, 6)" in refused(folder)


def test_tensors_that_are_no_floating_point_are_refused_by_name(folder):
    def quantise(tensors):
        tensors["transformer.wpe.weight"] = tensors["transformer.wpe.weight"].to(torch.int8)

    change_tensors(folder, quantise)
    assert "not of floating point, or quantised: transformer.wpe.weight (I8)" in refused(folder)


def test_numbers_that_are_none_or_too_large_are_refused_by_name(folder):
    change_tensors(folder, lambda tensors: tensors["transformer.wpe.weight"].fill_(1e6))
    GPT.from_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"infinity in transformer\.wpe\.weight \(read as torch\.float16\)"):
        GPT.from_pretrained(folder, dtype=torch.float16)
    change_tensors(folder, lambda tensors: tensors["transformer.h.0.attn.c_attn.bias"].fill_(float("nan")))
    assert "holds NaN or infinity in transformer.h.0.attn.c_attn.bias (read as torch.float32)" in refused(folder)


def test_masks_in_any_format_are_left_alone(folder):
    change_tensors(folder, lambda tensors: tensors.update({"h.0.attn.bias": torch.ones(1, 1, 5, 5, dtype=torch.uint8)}))
    report = GPT.from_pretrained(folder).load_report
    assert report.ignored == ("h.0.attn.bias",)
    assert report.dtypes == ("F32",)
    assert "1 left alone that hold nothing learned: h.0.attn.bias" in str(report)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_layer": 10**9},
        {"n_layer": 17},
        {"n_layer": True},
        {"n_layer": "2"},
        {"n_embd": 2**24, "vocab_size": 2**24, "n_positions": 2**24},
        {"n_embd": 10**40},
        {"n_inner": 2**24},
        {"n_head": -3},
    ],
)
def test_hostile_sizes_are_refused_before_memory_is_taken(folder, settings):
    resource = pytest.importorskip("resource")
    change_config(folder, **settings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    refused(folder)
    assert time.process_time() - start < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 200e6


def test_parts_are_read_as_one(tmp_path):
    theirs = Case("gpt2", "plain").reference()
    theirs.save_pretrained(tmp_path, max_shard_size="8KB")
    parts = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(parts) > 2
    assert not (tmp_path / "model.safetensors").exists()
    assert_same(ours_computes(GPT.from_pretrained(tmp_path, dtype=torch.float64)), theirs_computes(exact(theirs)))


@pytest.fixture
def parts(folder):
    """The checkpoint in two parts and an index; the second part holds what the last layer norm needs."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    second = {name: tensors.pop(name) for name in list(tensors) if "ln_f" in name}
    files = {"model-00001-of-00002.safetensors": tensors, "model-00002-of-00002.safetensors": second}
    for file, held in files.items():
        save_file(held, folder / file)
    write_index(folder, {name: file for file, held in files.items() for name in held})
    GPT.from_pretrained(folder)
    return folder


def write_index(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def read_index(folder):
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


def test_a_part_that_is_not_there_is_named(parts):
    (parts / "model-00002-of-00002.safetensors").unlink()
    assert "lacks 1 of its files: model-00002-of-00002.safetensors; download it again" in refused(parts)


def test_a_part_that_is_a_pickle_is_refused(parts):
    torch.save({}, parts / "model-00002-of-00002.safetensors")
    assert "model-00002-of-00002.safetensors is refused: it is or may be a pickle" in refused(parts)


@pytest.mark.parametrize(
    "file", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", "..\\x.safetensors"]
)
def test_an_index_may_name_files_beside_it_alone(parts, file):
    write_index(parts, read_index(parts) | {"transformer.wte.weight": file})
    assert f"it names {file!r}, not .safetensors files beside it" in refused(parts)


@pytest.mark.parametrize("index", [{}, [], {"a": 3}, "model.safetensors", None])
def test_an_index_that_is_none_is_refused(parts, index):
    write_index(parts, index)
    assert "must have a weight_map from tensors to files" in refused(parts)


def test_an_index_and_its_files_must_agree(parts):
    index = read_index(parts)
    first, second = sorted(set(index.values()))
    write_index(parts, index | {"transformer.wte.weight": second, "nowhere": first})
    message = refused(parts)
    assert f"transformer.wte.weight, which is in {first}" in message
    assert "nowhere, which is in none of the files" in message
    del index["transformer.ln_f.bias"]
    write_index(parts, index)
    assert f"transformer.ln_f.bias, which is in {second}" in refused(parts)


def test_a_tensor_in_two_parts_is_refused(parts):
    first, second = sorted(set(read_index(parts).values()))
    save_file(load_file(parts / second) | {"transformer.wte.weight": torch.zeros(7, 6)}, parts / second)
    assert f"has the tensor transformer.wte.weight in {first} and in {second}" in refused(parts)


def test_a_model_without_its_heads_is_read_and_the_report_says_what_is_new(tmp_path):
    whole = Case("bert", "plain").reference()
    whole.bert.save_pretrained(tmp_path / "with pooler")
    ours = BERT.from_pretrained(
        tmp_path / "with pooler", dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )
    heads = ("mlm_transform.", "mlm_norm.", "mlm_bias", "nsp.")
    assert {name for name in ours.state_dict() if name.startswith(heads)} == set(ours.load_report.fresh)
    assert "drawn at random and to be trained: mlm_transform.weight" in str(ours.load_report)
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float64}
    hidden, pooled, *_ = theirs_computes(whole)
    assert_same(ours_computes(ours)[:2], (hidden, pooled))
    again = BERT.from_pretrained(tmp_path / "with pooler", generator=torch.Generator().manual_seed(5))
    assert torch.equal(again.nsp.weight, ours.nsp.weight.float())
    assert not torch.equal(BERT.from_pretrained(tmp_path / "with pooler").nsp.weight, again.nsp.weight)


@pytest.mark.parametrize(
    ("kind", "fresh"),
    [
        ("BertModel", {"mlm_transform", "mlm_norm", "mlm_bias", "nsp"}),
        ("BertForMaskedLM", {"pooler", "nsp"}),
        ("BertForNextSentencePrediction", {"mlm_transform", "mlm_norm", "mlm_bias"}),
        ("bare", {"pooler", "mlm_transform", "mlm_norm", "mlm_bias", "nsp"}),
    ],
)
def test_each_class_of_bert_is_read_with_the_parts_that_it_has(tmp_path, kind, fresh):
    config = Case("bert", "plain").reference().config
    part = (
        transformers.BertModel(config, add_pooling_layer=False)
        if kind == "bare"
        else getattr(transformers, kind)(config)
    )
    part.save_pretrained(tmp_path)
    report = BERT.from_pretrained(tmp_path).load_report
    assert {name.partition(".")[0] for name in report.fresh} == fresh
    assert set(report.read.values()) == set(load_file(tmp_path / "model.safetensors"))


def test_a_head_that_is_there_by_half_is_missing_the_rest(tmp_path):
    Case("bert", "plain").reference().save_pretrained(tmp_path)
    change_tensors(tmp_path, lambda tensors: tensors.pop("cls.predictions.transform.dense.bias"))
    with pytest.raises(CheckpointError, match=r"1 missing: cls\.predictions\.transform\.dense\.bias"):
        BERT.from_pretrained(tmp_path)


def test_tensors_and_headers_are_read_one_by_one(folder):
    with open_checkpoint(folder) as checkpoint:
        one = checkpoint.tensors["transformer.wte.weight"]
        assert (one.file, one.shape, one.dtype) == ("model.safetensors", (7, 6), "F32")
        assert checkpoint.read("transformer.wte.weight").shape == (7, 6)
        assert checkpoint.config["n_embd"] == 6


def test_writing_is_whole_or_not_at_all(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr("companion.weights.files.save_file", fail)
    for target in (folder, folder.parent / "new"):
        with pytest.raises(OSError, match="the disk is full"):
            GPT(CONFIG).save_pretrained(target)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["good"]


def test_writing_into_a_folder_leaves_its_other_files_alone_and_others_may_read(folder):
    (folder / "notes.txt").write_text("mine")
    model = GPT(CONFIG)
    assert model.save_pretrained(str(folder)) == folder
    assert (folder / "notes.txt").read_text() == "mine"
    assert torch.equal(GPT.from_pretrained(folder).token_embedding.weight, model.token_embedding.weight)
    if os.name == "posix":
        assert all((folder / name).stat().st_mode & 0o044 == 0o044 for name in ("config.json", "model.safetensors"))
    assert [path.name for path in folder.parent.iterdir()] == ["good"]


@pytest.mark.parametrize("wrong", [None, 3, b"folder", ["folder"]])
def test_a_name_of_another_type_is_refused(wrong):
    for function in (GPT.from_pretrained, find_checkpoint, open_checkpoint):
        with pytest.raises(TypeError, match="name_or_path must be a string or a path"):
            function(wrong)
    with pytest.raises(TypeError, match="folder must be a string or a path"):
        GPT(CONFIG).save_pretrained(wrong)
    with pytest.raises(TypeError, match="folder must be a string or a path"):
        write_checkpoint(wrong, {}, {})
