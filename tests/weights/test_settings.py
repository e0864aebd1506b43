"""Settings: what is not built here is named, all of it at once; what transformers leaves out has its meaning there."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from companion.models import BERT, GPT, T5, BERTConfig, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config
from companion.weights import CheckpointError
from tests.weights.references import CASES, assert_same, exact, ours_computes, theirs_computes

SMALL = {"vocab_size": 7, "d_model": 6, "n_heads": 3, "n_layers": 1, "d_ff": 5}
MODELS = {
    "gpt2": GPT(GPTConfig(max_len=5, **SMALL)),
    "bert": BERT(BERTConfig(max_len=5, **SMALL)),
    "gpt2 wide": GPT(GPTConfig(max_len=5, **(SMALL | {"d_ff": 24}))),
    "t5": T5(T5Config(**SMALL)),
    "llama": ModernDecoder(ModernDecoderConfig(max_len=5, **SMALL)),
}
UNBUILT = [
    (
        "gpt2",
        {"activation_function": "relu"},
        "activation_function is 'relu', which is not built here; only 'gelu_new'",
    ),
    ("gpt2", {"activation_function": ["gelu_new"]}, r"activation_function is \['gelu_new'\]"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is False"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
    ("gpt2", {"add_cross_attention": True}, "add_cross_attention is True"),
    ("gpt2", {"tie_word_embeddings": False}, "tie_word_embeddings is False, which is not built here; only True is"),
    ("gpt2", {"quantization_config": {"bits": 4}}, "quantization_config is set, and quantised weights are not read"),
    ("gpt2", {"resid_pdrop": 1.0}, r"resid_pdrop must be at least 0 and below 1\.0, got 1\.0"),
    ("gpt2", {"layer_norm_epsilon": "small"}, "layer_norm_epsilon must be a number, got 'small'"),
    ("gpt2", {"layer_norm_epsilon": 0.0}, "contradicts itself: norm_eps must be above 0"),
    ("gpt2", {"n_head": 4}, "contradicts itself: d_model must be a multiple of n_heads"),
    ("gpt2", {"n_embd": -6}, "n_embd must be from 1 to 16777216, got -6"),
    ("gpt2", {"n_embd": 6.0}, r"n_embd must be an integer, got 6\.0"),
    ("gpt2", {"n_embd": None}, "n_embd is missing"),
    ("gpt2", {"vocab_size": 10**40}, "vocab_size must be from 1 to 16777216, got an integer of more than 30 digits"),
    ("gpt2", {"vocab_size": "x" * 999}, r"vocab_size must be an integer, got 'xxxx.*\.\.\.$"),
    ("bert", {"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'"),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
    ("bert", {"is_decoder": True}, "is_decoder is True"),
    ("bert", {"is_decoder": 0}, "is_decoder is 0"),
    ("bert", {"intermediate_size": None}, "intermediate_size is missing"),
    ("t5", {"feed_forward_proj": "gated-silu"}, "feed_forward_proj is 'gated-silu'"),
    ("t5", {"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false, got 'yes'"),
    ("t5", {"relative_attention_num_buckets": 7}, "contradicts itself: n_buckets must be even"),
    ("t5", {"decoder_start_token_id": -1}, "decoder_start_token_id must be from 0 to 16777216, got -1"),
    ("t5", {"decoder_start_token_id": 7}, "contradicts itself: start_id must be below vocab_size"),
    ("llama", {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
    ("llama", {"attention_bias": True}, "attention_bias is True"),
    ("llama", {"mlp_bias": True}, "mlp_bias is True"),
    ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_type is 'yarn', and scaled positions"),
    ("llama", {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type is 'linear'"),
    ("llama", {"rope_parameters": [1]}, "rope_parameters must be an object, got a list"),
    ("llama", {"rope_parameters": {"rope_theta": -1.0}}, "rope_theta must be at least 0"),
    ("llama", {"rope_parameters": None, "rope_theta": 0.5}, "contradicts itself: theta must be above 1"),
    ("llama", {"partial_rotary_factor": 0.5}, r"partial_rotary_factor is 0\.5, and here whole heads are turned"),
    ("llama", {"num_key_value_heads": 2}, "contradicts itself: n_heads must be a multiple of n_kv_heads"),
    ("llama", {"head_dim": 3}, "contradicts itself: d_head must be even"),
]


@pytest.fixture
def write(tmp_path):
    """Write a family's small checkpoint with some settings changed; None takes one out."""

    def _write(family, settings):
        folder = MODELS[family].save_pretrained(tmp_path / family)
        path = folder / "config.json"
        changed = json.loads(path.read_text()) | settings
        path.write_text(json.dumps({name: value for name, value in changed.items() if value is not None}))
        return folder

    return _write


@pytest.mark.parametrize(("family", "settings", "message"), UNBUILT)
def test_what_is_not_built_here_or_impossible_is_named(write, family, settings, message):
    folder = write(family, settings)
    with pytest.raises(CheckpointError, match=message):
        type(MODELS[family]).from_pretrained(folder)


def test_all_wrong_settings_are_told_in_one_error(write):
    folder = write("llama", {"hidden_act": "relu", "hidden_size": 0, "mlp_bias": True, "vocab_size": None})
    with pytest.raises(CheckpointError) as caught:
        ModernDecoder.from_pretrained(folder)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("describes no model that is built here:")
    assert lines[1:] == [
        "- hidden_act is 'relu', which is not built here; only 'silu' is",
        "- mlp_bias is True, which is not built here; only False is",
        "- hidden_size must be from 1 to 16777216, got 0",
        "- vocab_size is missing",
    ]


# What released checkpoints leave out, and another way in which they write the same.
LEFT_OUT = [
    ("gpt2 wide", {"n_inner": None, "scale_attn_weights": None, "tie_word_embeddings": None}, {"d_ff": 24}),
    ("gpt2", {"activation_function": "gelu_pytorch_tanh"}, {}),
    ("bert", {"hidden_act": None, "type_vocab_size": None, "layer_norm_eps": None}, {"n_segments": 2}),
    ("t5", {"feed_forward_proj": None, "tie_word_embeddings": None, "num_decoder_layers": None}, {"tied": True}),
    ("t5", {"relative_attention_max_distance": None, "decoder_start_token_id": None}, {"max_distance": 128}),
    ("llama", {"head_dim": None, "num_key_value_heads": None}, {"d_head": 2, "n_kv_heads": 3}),
    ("llama", {"rope_parameters": None, "rope_theta": 777.0}, {"theta": 777.0}),
    ("llama", {"rope_parameters": None, "rope_theta": None}, {"theta": 10_000.0}),
    ("llama", {"rope_parameters": {"rope_theta": 55.0}, "rope_theta": None}, {"theta": 55.0}),
]


@pytest.mark.parametrize(("family", "settings", "expected"), LEFT_OUT)
def test_what_a_checkpoint_leaves_out_has_the_meaning_that_it_has_in_transformers(write, family, settings, expected):
    model = type(MODELS[family]).from_pretrained(write(family, settings))
    for name, value in expected.items():
        assert getattr(model.config, name) == value


def test_dropouts_that_differ_are_told_in_the_report(write):
    model = GPT.from_pretrained(write("gpt2", {"resid_pdrop": 0.1, "attn_pdrop": 0.3}))
    assert model.config.dropout == 0.3
    assert model.load_report.notes == (
        "config.json has resid_pdrop=0.1, embd_pdrop=0.0, attn_pdrop=0.3; this model drops with 0.3 everywhere, "
        "in training",
    )
    assert "drops with 0.3 everywhere" in str(model.load_report)


def test_a_t5_head_that_the_settings_promise_must_be_there(tmp_path):
    folder = T5(T5Config(tied=False, **SMALL)).save_pretrained(tmp_path / "mine")
    assert not T5.from_pretrained(folder).config.tied
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"tie_word_embeddings is False, but the files hold no lm_head\.weight"):
        T5.from_pretrained(folder)


def test_a_t5_head_that_is_tied_without_the_scale_is_read_as_a_head_of_its_own(tmp_path):
    (case,) = [case for case in CASES if str(case) == "t5-1.1"]
    theirs = case.reference()
    assert theirs.lm_head.weight is theirs.shared.weight  # transformers 5 ties it whatever the setting
    theirs.save_pretrained(tmp_path / "tied")
    ours = T5.from_pretrained(tmp_path / "tied", dtype=torch.float64)
    assert not ours.config.tied
    assert torch.equal(ours.head.weight, ours.token_embedding.weight)
    with torch.no_grad():
        ours.head.weight.mul_(1.5).add_(0.1)
    apart = ours.to_transformers()
    assert not torch.equal(apart.lm_head.weight, apart.shared.weight)
    apart.save_pretrained(tmp_path / "apart")
    again = T5.from_pretrained(tmp_path / "apart", dtype=torch.float64)
    assert torch.equal(again.head.weight, ours.head.weight)
    assert_same(ours_computes(again), theirs_computes(exact(apart)))
