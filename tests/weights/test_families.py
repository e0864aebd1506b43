"""Every family: a checkpoint of transformers is read, computes the same, and goes back without a bit changed."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForPreTraining, AutoModelForSeq2SeqLM

from companion.models import GPT, GPTConfig
from companion.weights import CheckpointError
from tests.weights.references import CASES, Case, assert_same, exact, ours_computes, theirs_computes

AUTO = {
    "gpt2": AutoModelForCausalLM,
    "bert": AutoModelForPreTraining,
    "t5": AutoModelForSeq2SeqLM,
    "llama": AutoModelForCausalLM,
}
each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_a_checkpoint_of_transformers_is_read_and_computes_the_same(tmp_path, case):
    theirs = case.reference()
    theirs.save_pretrained(tmp_path)
    ours = case.ours.from_pretrained(tmp_path, dtype=torch.float64)
    assert not ours.training
    assert_same(ours_computes(ours), theirs_computes(exact(theirs)))


@each_case
def test_ours_becomes_a_model_of_transformers_that_computes_the_same(tmp_path, case):
    case.reference().save_pretrained(tmp_path)
    ours = case.ours.from_pretrained(tmp_path, dtype=torch.float64)
    theirs = ours.to_transformers()
    assert not theirs.training
    assert {parameter.dtype for parameter in theirs.parameters()} == {torch.float64}
    assert_same(ours_computes(ours), theirs_computes(exact(theirs)))
    assert ours.train().to_transformers().training


@each_case
def test_what_we_write_transformers_loads_whole_and_it_computes_the_same(tmp_path, case):
    case.reference().save_pretrained(tmp_path / "theirs")
    ours = case.ours.from_pretrained(tmp_path / "theirs", dtype=torch.float64)
    folder = ours.save_pretrained(tmp_path / "ours")
    theirs, told = AUTO[case.family].from_pretrained(folder, output_loading_info=True)
    assert not any(told.values())
    assert theirs.dtype == torch.float64
    assert_same(ours_computes(ours), theirs_computes(exact(theirs.eval())))


@each_case
def test_weights_go_there_and_back_bit_for_bit(tmp_path, case):
    reference = case.reference(dtype=torch.float32)
    reference.save_pretrained(tmp_path / "theirs")
    ours = case.ours.from_pretrained(tmp_path / "theirs")
    back = ours.to_transformers().state_dict()
    assert back.keys() == reference.state_dict().keys()
    for name, tensor in reference.state_dict().items():
        assert torch.equal(back[name], tensor), name
    written = load_file(ours.save_pretrained(tmp_path / "ours") / "model.safetensors")
    for name, tensor in load_file(tmp_path / "theirs" / "model.safetensors").items():
        assert torch.equal(written[name], tensor), name
    again = case.ours.from_pretrained(tmp_path / "ours")
    assert again.config == ours.config
    assert again.state_dict().keys() == ours.state_dict().keys()
    for name, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


@each_case
def test_the_report_names_every_tensor_and_every_parameter_once(tmp_path, case):
    case.reference().save_pretrained(tmp_path)
    ours = case.ours.from_pretrained(tmp_path)
    report = ours.load_report
    assert report.read.keys() == ours.state_dict().keys()
    in_file = load_file(tmp_path / "model.safetensors")
    assert set(report.read.values()) == set(in_file)
    assert report.fresh == report.ignored == ()
    assert report.tied == {}
    assert report.dtypes == ("F64",)
    assert f"{len(in_file)} tensors (F64) read into {len(ours.state_dict())} parameters" in str(report)


@each_case
def test_parameters_share_no_memory_and_can_learn(tmp_path, case):
    case.reference().save_pretrained(tmp_path)
    ours = case.ours.from_pretrained(tmp_path)
    parameters = list(ours.parameters())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in parameters)
    assert all(parameter.is_contiguous() and parameter.dtype == torch.float32 for parameter in parameters)
    assert len({parameter.untyped_storage().data_ptr() for parameter in parameters}) == len(parameters)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16, torch.float64])
def test_numbers_in_16_bits_are_read_into_the_precision_that_is_asked_for(tmp_path, stored, wanted):
    reference = Case("gpt2", "plain").reference(dtype=stored)
    reference.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path, dtype=wanted)
    assert {parameter.dtype for parameter in ours.parameters()} == {wanted}
    expected = reference.state_dict()["transformer.h.1.mlp.c_fc.weight"].mT.to(wanted)
    assert torch.equal(ours.decoder.blocks[1].feed_forward.up.weight, expected)
    assert json.loads((ours.save_pretrained(tmp_path / "again") / "config.json").read_text())["dtype"] == str(
        wanted
    ).removeprefix("torch.")


def test_float32_is_the_default(tmp_path):
    Case("gpt2", "plain").reference(dtype=torch.bfloat16).save_pretrained(tmp_path)
    assert GPT.from_pretrained(tmp_path).token_embedding.weight.dtype == torch.float32


@pytest.mark.parametrize("wrong", [torch.int8, "float32", None, torch.complex64])
def test_a_dtype_that_is_none_for_weights_is_refused(tmp_path, wrong):
    with pytest.raises(TypeError, match=r"dtype must be a floating point torch\.dtype"):
        GPT.from_pretrained(tmp_path, dtype=wrong)


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "plain"], ids=str)
def test_the_checkpoint_of_another_family_is_refused_by_name(tmp_path, case):
    case.reference().save_pretrained(tmp_path)
    for other in CASES:
        if other.family != case.family:
            with pytest.raises(CheckpointError, match=rf"is of model_type '{case.family}', and \w+ reads"):
                other.ours.from_pretrained(tmp_path)


def test_a_gpt_without_biases_has_no_form_in_gpt2(tmp_path):
    model = GPT(GPTConfig(vocab_size=5, max_len=3, d_model=4, n_heads=2, n_layers=1, bias=False))
    for write in (model.to_transformers, lambda: model.save_pretrained(tmp_path / "none")):
        with pytest.raises(ValueError, match=r"config\.bias must be True"):
            write()
    assert not (tmp_path / "none").exists()


def test_a_model_with_default_sizes_is_written_with_the_sizes_that_they_mean(tmp_path):
    generator = torch.Generator().manual_seed(3)
    ours = GPT(GPTConfig(vocab_size=11, max_len=13, d_model=6, n_heads=3, n_layers=2), generator).double().eval()
    assert ours.load_report is None
    again = GPT.from_pretrained(ours.save_pretrained(tmp_path / "deep" / "folder"), dtype=torch.float64)
    ids = torch.arange(11)[None]
    assert torch.equal(again(ids), ours(ids))
    assert again.config.d_ff == 24


def test_transformers_of_another_naming_are_told_apart_from_a_mistake_of_the_user(monkeypatch):
    from transformers import GPT2LMHeadModel

    ours = GPT(GPTConfig(vocab_size=5, max_len=3, d_model=4, n_heads=2, n_layers=1))
    renamed = GPT2LMHeadModel.load_state_dict

    def load(model, tensors, **options):
        return renamed(model, {name.replace("wte", "tokens"): tensor for name, tensor in tensors.items()}, **options)

    monkeypatch.setattr(GPT2LMHeadModel, "load_state_dict", load)
    with pytest.raises(RuntimeError, match=r"names tensors in another way: it wants \['transformer\.wte\.weight'\]"):
        ours.to_transformers()
