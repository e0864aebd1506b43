"""The laid-out step computes what the decoder's own forward does, for every kind of block."""

import functools

import pytest
import torch
from torch import nn

from companion.attention import MultiHeadAttention, Rotation
from companion.generation import linear
from companion.generation.linear import blocks_are_available, lay_out, multiply_by
from companion.generation.one_token import Clock, make_step, turner
from companion.transformer import Block, Decoder, FeedForward, LayerNorm, RMSNorm, Rotary

D_MODEL, BATCH, STEPS = 30, 3, 5
NORMS = {
    "layer norm": functools.partial(LayerNorm, D_MODEL),
    "layer norm without bias": functools.partial(LayerNorm, D_MODEL, eps=0.1, bias=False),
    "rms norm": functools.partial(RMSNorm, D_MODEL),
    "a norm of somebody's own": functools.partial(nn.LayerNorm, D_MODEL),
}
FEEDS = {
    "relu": {"activation": "relu"},
    "gated": {"activation": "silu", "gated": True, "bias": False},
}


def decoder(norm, feed, pre_norm, is_across):
    attention = functools.partial(MultiHeadAttention, D_MODEL, 6, n_kv_heads=2, d_head=14, scale=0.3)
    blocks = [
        Block(
            attention(),
            FeedForward(D_MODEL, 17, **feed),
            norm,
            cross_attention=attention() if is_across else None,
            pre_norm=pre_norm,
        )
        for _ in range(2)
    ]
    return Decoder(blocks, norm() if pre_norm else None).double()


@pytest.mark.parametrize("is_across", [False, True], ids=["alone", "with another text"])
@pytest.mark.parametrize("pre_norm", [True, False], ids=["pre-norm", "post-norm"])
@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS.keys())
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())
@torch.no_grad()
def test_steps_are_what_the_decoder_computes(norm, feed, pre_norm, is_across):
    model = decoder(norm, feed, pre_norm, is_across)
    x = torch.randn(BATCH, STEPS, D_MODEL, dtype=torch.float64)
    rotary, across = Rotary(14), {}
    if is_across:
        across["context"] = torch.randn(BATCH, 7, D_MODEL, dtype=torch.float64)
    expected = model(x, rotation=rotary(torch.arange(STEPS)[None]), **across)

    caches, clock = model.new_caches(BATCH, STEPS + 2), Clock(slot=0)
    context = model.keys_values(across["context"]) if is_across else None
    step = make_step(model, caches, clock, 100, context)
    for i in range(STEPS):
        rotation = rotary(torch.tensor([[i]]))
        clock.slot, clock.turn = i, turner(Rotation(rotation.cos[:, 0], rotation.sin[:, 0]), torch.float64)
        torch.testing.assert_close(step(x[:, i]), expected[:, i], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("times", [1, 100], ids=["few times", "many times"])
@pytest.mark.parametrize("rows", [1, 2, 3, 8, 31])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("with_blocks", [True, False])
@torch.inference_mode()
def test_every_layout_multiplies_alike(rows, with_bias, times, with_blocks, monkeypatch):
    if not with_blocks:
        monkeypatch.setattr(linear, "blocks_are_available", lambda: False)
    weight, bias = torch.randn(53, 37), torch.randn(53) if with_bias else None
    x = torch.randn(rows, 37)
    product = multiply_by(weight, bias, rows, times)
    torch.testing.assert_close(product(x), nn.functional.linear(x, weight, bias), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_layers_side_by_side():
    parts, x = [nn.Linear(7, 3), nn.Linear(7, 5)], torch.randn(2, 7)
    expected = torch.cat([part(x) for part in parts], dim=1)
    torch.testing.assert_close(lay_out(parts, 2, 100)(x), expected, rtol=1e-5, atol=1e-5)


def test_a_torch_without_blocks_is_noticed(monkeypatch):
    blocks_are_available.cache_clear()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not blocks_are_available()
    blocks_are_available.cache_clear()
    monkeypatch.undo()

    class Without:
        pass

    monkeypatch.setattr(torch.ops, "mkldnn", Without(), raising=False)
    assert not blocks_are_available()
    blocks_are_available.cache_clear()
