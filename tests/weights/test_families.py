"""Every family: a checkpoint of transformers is read, computes the same, and goes back without a bit changed."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
)

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


def as_gpt2_on_the_hub(tensors):
    named = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    return named | {
        "h.0.attn.bias": torch.ones(1, 1, 19, 19).tril().to(torch.uint8),
        "h.1.attn.masked_bias": torch.tensor(-1e4),
    }


def as_bert_on_the_hub(tensors):
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    named = {}
    for name, tensor in tensors.items():
        for new, before in old.items():
            name = name.replace(new, before)
        named[name] = tensor
    return named | {
        "bert.embeddings.position_ids": torch.arange(23)[None],
        "cls.predictions.decoder.weight": named["bert.embeddings.word_embeddings.weight"].clone(),
        "cls.predictions.decoder.bias": named["cls.predictions.bias"].clone(),
    }


def as_t5_on_the_hub(tensors):
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    return tensors | {name: tensors["shared.weight"].clone() for name in copies} | {unused: torch.randn(32, 3)}


def as_llama_on_the_hub(tensors):
    return tensors | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(2) for i in range(2)}


HUB_FORMS = {
    "gpt2": (as_gpt2_on_the_hub, 2, 0),
    "bert": (as_bert_on_the_hub, 1, 2),
    "t5": (as_t5_on_the_hub, 1, 3),
    "llama": (as_llama_on_the_hub, 2, 0),
}


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "plain"], ids=str)
def test_older_files_with_buffers_copies_and_old_names_are_read_alike(tmp_path, case):
    case.reference().save_pretrained(tmp_path)
    expected = case.ours.from_pretrained(tmp_path).state_dict()
    change, n_ignored, n_tied = HUB_FORMS[case.family]
    save_file(change(load_file(tmp_path / "model.safetensors")), tmp_path / "model.safetensors")
    ours = case.ours.from_pretrained(tmp_path)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    assert len(ours.load_report.ignored) == n_ignored
    assert len(ours.load_report.tied) == n_tied
    assert ours.load_report.fresh == ()


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


def test_a_bert_is_read_by_the_classes_of_its_parts(tmp_path):
    case = Case("bert", "plain")
    case.reference().save_pretrained(tmp_path / "theirs")
    folder = case.ours.from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    for part in (AutoModel, AutoModelForMaskedLM, AutoModelForNextSentencePrediction):
        _, told = part.from_pretrained(folder, output_loading_info=True)
        assert told["missing_keys"] == set()
        assert told["mismatched_keys"] == set()


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
