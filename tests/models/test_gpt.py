"""The laws of a GPT: causal, cached or not, padded or not, and initialised as GPT-2 is."""

import copy
import dataclasses
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.attention import KVCache
from companion.models import GPT, GPTConfig
from tests.attention.compare import assert_agree

CONFIG = GPTConfig(vocab_size=101, max_len=13, d_model=15, n_heads=5, n_layers=2, d_ff=23)


def make(**changes):
    config = dataclasses.replace(CONFIG, **changes)
    return GPT(config, torch.Generator().manual_seed(0)).double().eval()


def tokens(batch, length, seed=0):
    return torch.randint(CONFIG.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))


@given(st.integers(2, 13), st.data())
def test_a_later_token_never_changes_earlier_logits(length, data):
    changed = data.draw(st.integers(1, length - 1))
    model, input_ids = make(), tokens(2, length)
    other = input_ids.clone()
    other[:, changed] = (other[:, changed] + 1) % CONFIG.vocab_size
    with torch.no_grad():
        before, after = model(input_ids), model(other)
    assert_agree([after[:, :changed]], [before[:, :changed]], 1e-12)
    assert not torch.allclose(after[:, changed], before[:, changed])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) <= 13))
def test_reading_in_any_chunks_equals_reading_at_once(sizes):
    model, input_ids = make(), tokens(3, sum(sizes))
    with torch.no_grad():
        caches = model.new_caches(3)
        pieces = [model(piece, caches) for piece in input_ids.split(sizes, dim=1)]
        assert_agree([torch.cat(pieces, dim=1)], [model(input_ids)], 1e-10)


@given(st.integers(1, 7), st.integers(1, 6), st.booleans())
def test_padding_on_either_side_changes_no_tokens_logits(length, n_padding, left):
    model, input_ids = make(), tokens(2, length)
    padding, ones = tokens(2, n_padding, seed=1), torch.ones(2, length, dtype=torch.long)
    order = (lambda a, b: (b, a)) if left else (lambda a, b: (a, b))
    padded = torch.cat(order(input_ids, padding), dim=1)
    mask = torch.cat(order(ones, torch.zeros_like(padding)), dim=1)
    with torch.no_grad():
        logits = model(padded, attention_mask=mask)
        assert logits.isfinite().all()
        assert_agree([logits[:, n_padding:] if left else logits[:, :length]], [model(input_ids)], 1e-10)


def test_gradients_are_finite_where_a_whole_text_is_padding():
    model = make()
    mask = torch.tensor([[1, 1, 1], [0, 0, 0]])
    model(tokens(2, 3), attention_mask=mask)[0].sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_same_matrix_embeds_and_scores():
    model = make()
    before = model(tokens(1, 3))
    with torch.no_grad():
        model.token_embedding.weight[50] += torch.randn(CONFIG.d_model)
    assert tokens(1, 3).ne(50).all()
    changed = (model(tokens(1, 3)) - before).abs().amax((0, 1)) > 1e-12
    assert changed.nonzero().flatten().tolist() == [50]


def test_initial_weights_are_gpt2s():
    model = GPT(
        GPTConfig(vocab_size=997, max_len=499, d_model=256, n_heads=4, n_layers=3), torch.Generator().manual_seed(0)
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.eq(0).all(), name
        elif "norm" in name:
            assert parameter.eq(1).all(), name
        else:
            std = 0.02 / 6**0.5 if re.search(r"attention\.output|feed_forward\.down", name) else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.02), name
            assert abs(parameter.mean().item()) < 5 * std / parameter.numel() ** 0.5, name


def test_the_generator_decides_the_weights():
    one, same, other = (GPT(CONFIG, torch.Generator().manual_seed(seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["token_embedding.weight"], other["token_embedding.weight"])


def test_config_holds_what_the_model_uses():
    assert {field.name for field in dataclasses.fields(GPTConfig)} == {
        "vocab_size", "max_len", "d_model", "n_heads", "n_layers", "d_ff", "dropout", "bias", "norm_eps",
    }  # fmt: skip
    assert make(d_ff=None).decoder.blocks[0].feed_forward.up.out_features == 4 * 15
    without = make(bias=False)
    assert not [name for name, _ in without.named_parameters() if name.endswith("bias")]
    assert without(tokens(2, 5)).shape == (2, 5, 101)
    noisy = make(dropout=0.5)
    assert torch.equal(noisy(tokens(1, 5)), noisy(tokens(1, 5)))
    noisy.train()
    assert not torch.equal(noisy(tokens(1, 5)), noisy(tokens(1, 5)))


def test_config_is_frozen_and_takes_names_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.d_model = 3
    with pytest.raises(TypeError, match="positional"):
        GPTConfig(1, 2, 3, 4, 5)


def test_caches_have_the_models_sizes_and_dtype():
    caches = make().new_caches(7)
    assert len(caches) == 2
    assert caches[0].keys.shape == (7, 5, 13, 3)
    assert caches[0].keys.dtype == torch.float64


def uneven_caches(model):
    caches = model.new_caches(2)
    caches[0].append(torch.ones(2, 5, 1, 3).double(), torch.ones(2, 5, 1, 3).double())
    return caches


BAD_CALLS = {
    "float tokens": (lambda m: m(torch.ones(2, 3)), TypeError, r"input_ids must be.*int64.*\(2, 3\).*float32"),
    "boolean tokens": (lambda m: m(torch.ones(2, 3) > 0), TypeError, "input_ids must be.*torch.bool"),
    "list": (lambda m: m([[1]]), TypeError, "input_ids must be a tensor"),
    "rank": (lambda m: m(tokens(2, 3)[0]), ValueError, r"input_ids must have exactly 2 axes.*\(3,\)"),
    "empty": (lambda m: m(tokens(2, 0)), ValueError, "input_ids has an empty axis 'pos'"),
    "too long": (lambda m: m(tokens(2, 14)), ValueError, "14 positions after 0 cached ones, more than max_len=13"),
    "unknown token": (
        lambda m: m(tokens(2, 3) + 101),
        ValueError,
        "input_ids.*below vocab_size=101, got values",
    ),
    "negative token": (lambda m: m(tokens(2, 3) - 102), ValueError, "input_ids must be at least 0"),
    "mask shape": (
        lambda m: m(tokens(2, 3), attention_mask=torch.ones(2, 4).long()),
        ValueError,
        r"\(2, 3\).*\(2, 4\)",
    ),
    "mask dtype": (
        lambda m: m(tokens(2, 3), attention_mask=torch.ones(2, 3)),
        TypeError,
        "attention_mask must be an int",
    ),
    "mask list": (lambda m: m(tokens(2, 3), attention_mask=[[1] * 3] * 2), TypeError, "attention_mask must be"),
    "mask values": (lambda m: m(tokens(2, 3), attention_mask=tokens(2, 3) + 2), ValueError, "attention_mask must hold"),
    "caches type": (
        lambda m: m(tokens(2, 3), KVCache(2, 5, 13, 3)),
        TypeError,
        "caches must be the list",
    ),
    "caches count": (lambda m: m(tokens(2, 3), m.new_caches(2)[:1]), ValueError, "each of the 2 blocks, got 1"),
    "caches batch": (
        lambda m: m(tokens(2, 3), m.new_caches(3)),
        ValueError,
        "batch of 3, but the input has a batch of 2",
    ),
    "caches uneven": (lambda m: m(tokens(2, 3), uneven_caches(m)), ValueError, r"same positions, got lengths \[1, 0\]"),
    "caches and gradients": (lambda m: m(tokens(2, 3), m.new_caches(2)), ValueError, "torch.no_grad"),
    "no caches": (lambda m: m.new_caches(0), ValueError, "batch must be at least 1, got 0"),
    "config": (lambda m: GPT({"d_model": 3}), TypeError, "config must be a GPTConfig"),
    "generator": (lambda m: GPT(CONFIG, 3), TypeError, "generator must be a torch.Generator, got 3 of type int"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=re.compile(message, re.DOTALL)) as caught:
        call(make())
    assert type(caught.value) is error


BAD_CONFIGS = [
    ({"d_model": 16}, ValueError, "d_model=16 and n_heads=5"),
    ({"n_heads": 0}, ValueError, "n_heads must be at least 1, got 0"),
    ({"n_layers": -1}, ValueError, "n_layers must be at least 1, got -1"),
    ({"vocab_size": 101.0}, TypeError, "vocab_size must be an integer, got 101.0 of type float"),
    ({"max_len": True}, TypeError, "max_len must be an integer"),
    ({"d_ff": 0}, ValueError, "d_ff must be at least 1, got 0"),
    ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1, got 1.0"),
    ({"dropout": float("nan")}, ValueError, "dropout must be finite"),
    ({"bias": 1}, TypeError, "bias must be True or False"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD_CONFIGS)
def test_config_says_which_numbers_are_wrong(changes, error, message):
    with pytest.raises(error):
        dataclasses.replace(CONFIG, **changes)
    # Under pytest jaxtyping's hook looks at a dataclass's types before the class does: ask the class itself.
    config = copy.copy(CONFIG)
    for name, value in changes.items():
        object.__setattr__(config, name, value)
    with pytest.raises(error, match=message):
        config.__post_init__()
