"""What is GPT's own: one matrix that embeds and scores, first weights as GPT-2's, and what its config holds."""

import dataclasses
import re

import pytest
import torch

from companion.models import GPT, GPTConfig
from tests.models.families import CONFIGS, tokens

CONFIG = CONFIGS[GPT]


def make(**changes):
    config = dataclasses.replace(CONFIG, **changes)
    return GPT(config, torch.Generator().manual_seed(0)).double().eval()


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
