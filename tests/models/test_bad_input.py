"""Every wrong argument of a model is named, and a config with impossible sizes says which two disagree."""

import copy
import dataclasses
import re

import pytest
import torch

from companion.attention import KVCache
from companion.models import BERT, GPT, T5, BERTConfig, ModernDecoder
from tests.models.families import CONFIGS, make, tokens

IDS, MASK = tokens(2, 3), torch.ones(2, 3).long()
DECODERS = [GPT, ModernDecoder]


def call(kind, input_ids, **options):
    """Any model on a text, T5 both on its encoder's and its decoder's side."""
    return make(kind)(input_ids, input_ids, **options) if kind is T5 else make(kind)(input_ids, **options)


def uneven_caches(model):
    caches = model.new_caches(2)
    attention = model.decoder.blocks[0].attention
    one = torch.ones(2, attention.n_kv_heads, 1, attention.d_head).double()
    caches[0].append(one, one)
    return caches


SHARED = {
    "float tokens": (lambda k: call(k, IDS.float()), TypeError, r"input_ids must be.*int64.*\(2, 3\).*float32"),
    "boolean tokens": (lambda k: call(k, IDS > 0), TypeError, "input_ids must be.*torch.bool"),
    "list": (lambda k: call(k, [[1]]), TypeError, "input_ids must be a tensor"),
    "rank": (lambda k: call(k, IDS[0]), ValueError, r"input_ids must have exactly 2 axes.*\(3,\)"),
    "empty": (lambda k: call(k, IDS[:, :0]), ValueError, "input_ids has an empty axis 'pos'"),
    "unknown token": (lambda k: call(k, IDS + 101), ValueError, "input_ids.*below vocab_size=101, got values"),
    "negative token": (lambda k: call(k, IDS - 102), ValueError, "input_ids must be at least 0"),
    "mask shape": (
        lambda k: call(k, IDS, attention_mask=torch.ones(2, 4).long()),
        ValueError,
        r"attention_mask must have shape \(2, 3\).*\(2, 4\)",
    ),
    "mask dtype": (lambda k: call(k, IDS, attention_mask=MASK.float()), TypeError, "attention_mask must be an int"),
    "mask list": (lambda k: call(k, IDS, attention_mask=[[1] * 3] * 2), TypeError, "attention_mask must be"),
    "mask values": (lambda k: call(k, IDS, attention_mask=MASK + 1), ValueError, "attention_mask must hold only 1"),
    "config": (lambda k: k({"d_model": 3}), TypeError, r"config must be a \w+Config, got {'d_model': 3}"),
    "other config": (lambda k: k(CONFIGS[BERT if k is GPT else GPT]), TypeError, r"config must be a \w+Config, got"),
    "generator": (lambda k: k(CONFIGS[k], 3), TypeError, "generator must be a torch.Generator, got 3 of type int"),
}
CACHED = {
    "too long": (lambda m: m(tokens(2, 14)), ValueError, "14 positions after 0 cached ones, more than max_len=13"),
    "caches type": (lambda m: m(IDS, KVCache(2, 5, 13, 3)), TypeError, "caches must be the list"),
    "caches count": (lambda m: m(IDS, m.new_caches(2)[:1]), ValueError, "each of the 2 blocks, got 1"),
    "caches batch": (lambda m: m(IDS, m.new_caches(3)), ValueError, r"batch of 3, but the input.*new_caches\(2\)"),
    "caches uneven": (lambda m: m(IDS, uneven_caches(m)), ValueError, r"same positions, got lengths \[1, 0\]"),
    "caches and gradients": (lambda m: m(IDS, m.new_caches(2)), ValueError, "torch.no_grad"),
    "no caches": (lambda m: m.new_caches(0), ValueError, "batch must be at least 1, got 0"),
    "short caches": (lambda m: m.new_caches(2, -1), ValueError, "max_len must be at least 1, got -1"),
    "mask over the cache": (
        lambda m: m(IDS, uneven_caches(m)[1:] * 2, attention_mask=MASK[:, 1:]),
        ValueError,
        r"attention_mask must have shape \(2, 3\), the cached positions and the new ones",
    ),
}
HIDDEN = torch.ones(2, 3, 15).double()
OF_BERT = {
    "too long": (lambda m: m(tokens(2, 14)), ValueError, "14 positions after 0 cached ones, more than max_len=13"),
    "segments": (lambda m: m(IDS, token_type_ids=IDS.float()), TypeError, "token_type_ids must be a tensor"),
    "segments' shape": (lambda m: m(IDS, token_type_ids=IDS[:1]), ValueError, r"input_ids' shape \(2, 3\).*\(1, 3\)"),
    "unknown segment": (lambda m: m(IDS, token_type_ids=MASK + 1), ValueError, "token_type_ids.*below n_segments=2"),
    "pool": (lambda m: m.pool(HIDDEN[:, 0]), ValueError, "hidden must have exactly 3 axes"),
    "mlm": (lambda m: m.mlm_logits(HIDDEN[..., 1:]), ValueError, "hidden must have 15 features"),
    "mlm dtype": (lambda m: m.mlm_logits(HIDDEN.float()), TypeError, "hidden must have this module's dtype"),
    "nsp": (lambda m: m.nsp_logits(IDS), TypeError, "hidden must be floating point"),
}
ENCODED = torch.ones(2, 7, 15).double()
OF_T5 = {
    "written floats": (lambda m: m(IDS, IDS.float()), TypeError, "decoder_input_ids must be a tensor"),
    "batches": (lambda m: m(IDS, IDS[:1]), ValueError, "decoder_input_ids must have input_ids' batch of 2"),
    "unknown written": (lambda m: m(IDS, IDS + 101), ValueError, "decoder_input_ids.*below vocab_size=101"),
    "written mask": (
        lambda m: m(IDS, IDS, decoder_attention_mask=MASK[:, 1:]),
        ValueError,
        r"decoder_attention_mask must have shape \(2, 3\), one number for each token written",
    ),
    "encoded": (lambda m: m.decode(IDS, None), TypeError, "encoded must be what encode or cross_keys_values returned"),
    "encoded batch": (lambda m: m.decode(IDS, ENCODED[:1]), ValueError, "encoded holds 1 texts.*has a batch of 2"),
    "encoded mask": (
        lambda m: m.decode(IDS, ENCODED, attention_mask=MASK),
        ValueError,
        r"attention_mask must have shape \(2, 7\), one number for each encoded token",
    ),
    "encoded features": (lambda m: m.decode(IDS, ENCODED[..., 1:]), ValueError, "context must have 15 features"),
    "cross": (lambda m: m.cross_keys_values(IDS), TypeError, "encoded must be floating point"),
    "caches": (lambda m: m.decode(IDS, ENCODED, m.new_caches(3, 5)), ValueError, "caches are for a batch of 3"),
    "caches' length": (lambda m: m.new_caches(3, 0), ValueError, "max_len must be at least 1, got 0"),
    "labels": (lambda m: m.shift_right(IDS.float()), TypeError, "labels must be a tensor of torch.int64"),
}


def named(cases):
    return pytest.mark.parametrize(("call", "error", "message"), cases.values(), ids=cases.keys())


def assert_refused(call, error, message, argument):
    with pytest.raises(error, match=re.compile(message, re.DOTALL)) as caught:
        call(argument)
    assert type(caught.value) is error  # not the annotation checker's


@pytest.mark.parametrize("kind", CONFIGS)
@named(SHARED)
def test_wrong_argument_of_any_model(kind, call, error, message):
    assert_refused(call, error, message, kind)


@pytest.mark.parametrize("kind", DECODERS)
@named(CACHED)
def test_wrong_argument_of_a_decoder(kind, call, error, message):
    assert_refused(call, error, message, make(kind))


@named(OF_BERT)
def test_wrong_argument_of_bert(call, error, message):
    assert_refused(call, error, message, make(BERT))


@named(OF_T5)
def test_wrong_argument_of_t5(call, error, message):
    assert_refused(call, error, message, make(T5))


ANY = list(CONFIGS)
BAD_CONFIGS = [
    ([GPT, BERT], {"d_model": 16}, ValueError, "d_model=16 and n_heads=5"),
    ([ModernDecoder, T5], {"d_model": 16, "d_head": None, "n_heads": 5}, ValueError, "d_model=16 and n_heads=5"),
    ([ModernDecoder], {"d_head": None, "n_kv_heads": None}, ValueError, "d_model=18 and n_heads=6 make heads of 3"),
    ([ModernDecoder], {"d_head": 7}, ValueError, "d_head must be even.*got 7"),
    ([ModernDecoder], {"n_kv_heads": 4}, ValueError, "n_heads=6 and n_kv_heads=4"),
    ([ModernDecoder], {"theta": 1.0}, ValueError, "theta must be above 1, got 1.0"),
    ([ModernDecoder], {"theta": "1e4"}, TypeError, "theta must be a number, got '1e4'"),
    ([ModernDecoder], {"tied": None}, TypeError, "tied must be True or False, got None"),
    ([T5], {"gated": "gelu"}, TypeError, "gated must be True or False, got 'gelu'"),
    ([T5], {"n_buckets": 7}, ValueError, "n_buckets must be even and at least 4, got 7"),
    ([T5], {"n_buckets": 30, "max_distance": 15}, ValueError, "max_distance=15 and n_buckets=30"),
    ([T5], {"start_id": 101}, ValueError, "start_id=101 and vocab_size=101"),
    ([T5], {"start_id": -1}, ValueError, "start_id must be at least 0, got -1"),
    ([T5], {"n_decoder_layers": 0}, ValueError, "n_decoder_layers must be at least 1, got 0"),
    ([BERT], {"n_segments": 0}, ValueError, "n_segments must be at least 1, got 0"),
    ([GPT], {"bias": 1}, TypeError, "bias must be True or False, got 1"),
    ([GPT, BERT, ModernDecoder], {"max_len": True}, TypeError, "max_len must be an integer"),
    (ANY, {"n_heads": 0}, ValueError, "n_heads must be at least 1, got 0"),
    (ANY, {"n_layers": -1}, ValueError, "n_layers must be at least 1, got -1"),
    (ANY, {"vocab_size": 101.0}, TypeError, "vocab_size must be an integer, got 101.0 of type float"),
    (ANY, {"d_ff": 0}, ValueError, "d_ff must be at least 1, got 0"),
    (ANY, {"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1, got 1.0"),
    (ANY, {"dropout": float("nan")}, ValueError, "dropout must be finite"),
    (ANY, {"norm_eps": 0.0}, ValueError, "norm_eps must be above 0, got 0.0"),
    (ANY, {"norm_eps": "small"}, TypeError, "norm_eps must be a number, got 'small'"),
]
EACH = [(kind, *rest) for kinds, *rest in BAD_CONFIGS for kind in kinds]


@pytest.mark.parametrize(("kind", "changes", "error", "message"), EACH)
def test_config_says_which_numbers_are_wrong(kind, changes, error, message):
    with pytest.raises(error):
        dataclasses.replace(CONFIGS[kind], **changes)
    # Under pytest jaxtyping's hook looks at a dataclass's types before the class does: ask the class itself.
    config = copy.copy(CONFIGS[kind])
    for name, value in changes.items():
        object.__setattr__(config, name, value)
    with pytest.raises(error, match=message):
        config.__post_init__()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=lambda config: type(config).__name__)
def test_config_is_frozen_and_takes_names_only(config):
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.d_model = 3
    with pytest.raises(TypeError, match="positional"):
        type(config)(1, 2, 3, 4, 5)


def test_a_heads_width_is_free_where_the_config_gives_it():
    assert BERTConfig not in {type(config) for config in CONFIGS.values() if hasattr(config, "d_head")}
    assert make(T5).encoder.blocks[0].attention.query.out_features == 10
    assert make(ModernDecoder).decoder.blocks[0].attention.query.out_features == 24
