"""Models in another form: ONNX is read as its own library reads it, and made into a folder as the hub has one."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data import Conversion, DataError, cache_dir, fetch, is_fetched, model_path, registry
from companion.data.cache import MANIFEST, folder_of
from companion.data.conversion import FLAN_T5_FILES, convert_flan_t5
from companion.data.conversion import flan_t5 as flan
from companion.data.conversion.onnx_file import Node, read_onnx

RANDOM = np.random.default_rng(0)
TENSORS = {
    "floats": RANDOM.normal(size=(5, 3)).astype("f4"),
    "signed": RANDOM.integers(-128, 128, (2, 7, 3)).astype("i1"),
    "unsigned": RANDOM.integers(0, 256, 11).astype("u1"),
    "negative": np.array(-117, "i1"),
    "scale": np.array(0.013, "f4"),
    "nothing": np.zeros((0, 3), "f4"),
}


def write_onnx(path, tensors, nodes=(), typed=()):
    """Write a graph with the onnx library; the tensors named in ``typed`` as numbers, the others as raw bytes."""
    stored = [
        onnx.helper.make_tensor(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape, value.flatten())
        if name in typed
        else onnx.numpy_helper.from_array(value, name)
        for name, value in tensors.items()
    ]
    made = [onnx.helper.make_node(op, list(inputs), [f"{name}_out"], name) for op, name, inputs in nodes]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(made, "graph", [], [], stored)), path)
    return path


@pytest.mark.parametrize("typed", [(), tuple(TENSORS)], ids=["raw bytes", "numbers"])
def test_tensors_and_operations_are_read_as_the_onnx_library_reads_them(tmp_path, typed):
    nodes = [("MatMulInteger", "/enc/q/MatMul_quant", ("x", "signed", "zero")), ("Add", "", ("x", "y"))]
    path = write_onnx(tmp_path / "model.onnx", TENSORS, nodes, typed)
    tensors, read = read_onnx(path)
    expected = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    assert tensors.keys() == expected.keys() == TENSORS.keys()
    for name, value in expected.items():
        assert tensors[name].dtype == value.dtype
        assert np.array_equal(tensors[name], value)
        assert np.array_equal(tensors[name], TENSORS[name])
    assert read == [Node(operation, name, inputs) for operation, name, inputs in nodes]


def test_a_graph_cut_short_anywhere_is_refused_unless_all_weights_are_there(tmp_path):
    whole = write_onnx(tmp_path / "whole.onnx", TENSORS).read_bytes()
    path = tmp_path / "cut.onnx"
    refused = 0
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        try:
            tensors, _ = read_onnx(path)
        except DataError:
            refused += 1
        else:
            assert all(np.array_equal(tensors[name], value) for name, value in TENSORS.items())
    assert refused > 0.9 * len(whole)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused_in_words(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match="ONNX file"):
        read_onnx(path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (onnx.numpy_helper.from_array(np.zeros(2, "f8"), "w"), "tensor 'w' is of type 11; only float32, int8"),
        (onnx.TensorProto(name="w", data_type=1, dims=[3], raw_data=b"1234"), r"'w' of shape \(3,\) has 1 values"),
        (onnx.TensorProto(name="w", data_type=1, dims=[-1], raw_data=b"1234"), r"'w' of shape \(-1,\) has 1 values"),
        (onnx.TensorProto(name="w", data_type=3, dims=[1], int32_data=[300]), "damaged or no ONNX file"),
    ],
)
def test_a_tensor_that_is_not_what_it_says_is_refused(tmp_path, tensor, message):
    path = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "graph", [], [], [tensor])), path)
    with pytest.raises(DataError, match=message):
        read_onnx(path)


def shout(source, target):
    (target / "loud.txt").write_text((source / "rows.txt").read_text().upper())


SHOUTED = Conversion(run=shout, files=("loud.txt",), size=11)


def test_a_conversion_s_files_are_kept_in_the_place_of_the_members(publish):
    source = publish(content=b"a few rows\n", conversion=SHOUTED)
    folder = fetch("tiny", progress=False)["tiny"]
    assert sorted(path.name for path in folder.iterdir()) == ["loud.txt", MANIFEST]
    assert (folder / "loud.txt").read_text() == "A FEW ROWS\n"
    assert [path.name for path in cache_dir().iterdir() if not path.name.endswith(".lock")] == [folder.name]
    assert is_fetched(source)


def test_a_new_version_of_a_conversion_makes_the_files_anew(publish, monkeypatch):
    old = publish(conversion=SHOUTED)
    fetch("tiny", progress=False)
    new = dataclasses.replace(old, conversion=dataclasses.replace(SHOUTED, version=2))
    monkeypatch.setattr(registry, "REGISTRY", (new,))
    assert not is_fetched(new)
    fetch("tiny", progress=False)
    assert is_fetched(new)
    assert not is_fetched(old)


def test_a_conversion_that_fails_leaves_nothing_and_the_download_is_kept(publish, index, monkeypatch):
    def fail(source, target):
        (target / "loud.txt").write_text("half")
        raise DataError("the graph is damaged")

    bad = publish(conversion=dataclasses.replace(SHOUTED, run=fail))
    with pytest.raises(DataError, match="the graph is damaged"):
        fetch("tiny", progress=False)
    assert not folder_of(bad).exists()
    good = dataclasses.replace(bad, conversion=SHOUTED)
    monkeypatch.setattr(registry, "REGISTRY", (good,))
    fetch("tiny", progress=False)
    assert is_fetched(good)
    assert index.downloads == 1


def test_a_conversion_cannot_write_a_pickled_format():
    with pytest.raises(ValueError, match="may hold a pickle"):
        dataclasses.replace(registry.get("kjv"), conversion=dataclasses.replace(SHOUTED, files=("model.bin",)))


@pytest.fixture
def tiny_flan(monkeypatch):
    """Two graphs of a model of the same form with 1 layer, and the integers that they hold."""
    for name, value in {"VOCABULARY": 13, "FEATURES": 5}.items():
        monkeypatch.setattr(flan, name, value)
    integers = {}

    def quantised(name, shape, kind):
        low, high = (0, 256) if kind == "u1" else (-128, 128)
        integers[name] = RANDOM.integers(low, high, shape).astype(kind)
        parts = {"quantized": integers[name], "scale": np.array(0.01, "f4"), "zero_point": np.array(3, kind)}
        return {f"{name}_{part}": value for part, value in parts.items()}

    def graph(embedding, norm, multiplications):
        tensors = quantised(embedding, (13, 5), "u1") | {norm: RANDOM.normal(size=5).astype("f4")}
        for number, (_, shape) in enumerate(multiplications):
            tensors |= quantised(f"onnx::MatMul_{embedding}_{number}", shape, "i1")
        nodes = [
            ("MatMulInteger", name, ("x_quantized", f"onnx::MatMul_{embedding}_{number}_quantized", "zero"))
            for number, (name, _) in enumerate(multiplications)
        ]
        return tensors, nodes

    def write(folder, *, alike=True):
        encoder = graph("enc.embed_tokens.weight", "enc.final_layer_norm.weight", [("/enc/b/q/MatMul_quant", (5, 7))])
        decoder = graph(
            "m.shared.weight",
            "m.decoder.final_layer_norm.weight",
            [("/m/decoder/b/EncDecAttention/k/MatMul_quant", (5, 7)), ("/m/lm_head/MatMul_3_quant", (5, 13))],
        )
        if alike:
            integers["m.shared.weight"] = integers["enc.embed_tokens.weight"]
            decoder[0]["m.shared.weight_quantized"] = integers["m.shared.weight"]
        write_onnx(folder / "encoder.onnx", *encoder)
        write_onnx(folder / "decoder.onnx", *decoder)
        cut = {"truncation": {"max_length": 48}, "padding": {"pad_id": 0}, "model": {"vocab": [["<pad>", 0.0]]}}
        (folder / "tokenizer.json").write_text(json.dumps(cut))
        return integers

    return write


def test_the_conversion_gives_each_matrix_its_name_its_scale_and_its_direction(tmp_path, tiny_flan):
    from safetensors.numpy import load_file

    integers = tiny_flan(tmp_path)
    target = tmp_path / "made"
    target.mkdir()
    convert_flan_t5(tmp_path, target)
    assert sorted(path.name for path in target.iterdir()) == sorted(FLAN_T5_FILES)
    weights = load_file(target / "model.safetensors")
    expected = {
        "shared.weight": integers["m.shared.weight"],
        "encoder.b.q.weight": integers["onnx::MatMul_enc.embed_tokens.weight_0"].T,
        "decoder.b.EncDecAttention.k.weight": integers["onnx::MatMul_m.shared.weight_0"].T,
        "lm_head.weight": integers["onnx::MatMul_m.shared.weight_1"].T,
    }
    norms = {"encoder.final_layer_norm.weight", "decoder.final_layer_norm.weight"}
    assert weights.keys() == expected.keys() | norms
    for name, values in expected.items():
        assert weights[name].dtype == np.float16
        np.testing.assert_allclose(weights[name], (values.astype(float) - 3) * 0.01, rtol=1e-3)
    assert {weights[name].dtype for name in norms} == {np.dtype("f4")}
    tokenizer = json.loads((target / "tokenizer.json").read_text())
    assert tokenizer == {"truncation": None, "padding": None, "model": {"vocab": [["<pad>", 0.0]]}}


def test_two_graphs_that_embed_tokens_differently_are_refused(tmp_path, tiny_flan):
    tiny_flan(tmp_path, alike=False)
    with pytest.raises(DataError, match="must embed tokens alike"):
        convert_flan_t5(tmp_path, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.data
def test_flan_t5_is_a_folder_that_transformers_loads_whole_and_answers_from_a_text():
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    folder = model_path("flan_t5_small")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("<extra_id_0> " + "long " * 60).input_ids
    assert len(ids) > 48
    assert set(tokenizer("text")) == {"input_ids", "attention_mask"}
    assert (ids[0], ids[-1]) == (32_099, tokenizer.eos_token_id)
    model, told = T5ForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values())
    assert not (model.lm_head.weight == model.shared.weight).all()
    question = "Answer based on context: What is the capital of France? Context: Paris is the capital of France."
    inputs = tokenizer(question, return_tensors="pt")
    answer = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    assert tokenizer.decode(answer[0], skip_special_tokens=True) == "Paris"
