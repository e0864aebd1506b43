"""The block is its equation, and its parts refuse what does not fit."""

import math

import pytest
import torch

from companion.attention import KVCache
from companion.transformer import FeedForward, PreNormBlock
from tests.attention.compare import assert_agree, heads, value_and_gradients

BATCH, POS, D_MODEL, N_HEADS, D_FF = 2, 5, 21, 3, 31


def make(**options):
    return PreNormBlock(D_MODEL, N_HEADS, D_FF, **options).double().eval()


@pytest.mark.parametrize("bias", [True, False])
def test_block_attends_then_feeds_forward_and_adds_each(bias):
    block = make(bias=bias)
    assert all(("bias" not in name) or bias for name, _ in block.named_parameters())

    def equation(x):
        h = x + block.attention(block.attention_norm(x), is_causal=True)
        return h + block.feed_forward(block.feed_forward_norm(h))

    x = heads(BATCH, POS, D_MODEL)
    assert_agree(value_and_gradients(lambda t: block(t, is_causal=True), x), value_and_gradients(equation, x), 1e-10)


def test_feed_forward_is_two_projections_around_a_gelu():
    layer = FeedForward(D_MODEL, D_FF).double()

    def equation(x):
        h = layer.up(x)
        gelu = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        return layer.down(gelu)

    x = heads(BATCH, POS, D_MODEL)
    assert_agree(value_and_gradients(layer, x), value_and_gradients(equation, x), 1e-10)


def test_feed_forward_keeps_positions_apart():
    layer, x = FeedForward(D_MODEL, D_FF).double(), heads(BATCH, POS, D_MODEL)
    assert_agree([layer(x)[:, 2]], [layer(x[:, 2])], 1e-10)


def test_a_block_with_silent_projections_is_the_identity():
    block, x = make(), heads(BATCH, POS, D_MODEL)
    for layer in (block.attention.output, block.feed_forward.down):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    assert torch.equal(block(x), x)


def test_cached_equals_uncached():
    block, x = make(), heads(BATCH, POS, D_MODEL)
    with torch.no_grad():
        cache = KVCache(BATCH, N_HEADS, POS, D_MODEL // N_HEADS, dtype=torch.float64)
        pieces = [block(piece, is_causal=True, cache=cache) for piece in x.split([2, 1, 2], dim=1)]
        assert_agree([torch.cat(pieces, dim=1)], [block(x, is_causal=True)], 1e-10)


def test_dropout_acts_in_training_only():
    block, x = make(dropout=0.5), heads(BATCH, POS, D_MODEL)
    assert torch.equal(block(x), block(x))
    block.train()
    assert not torch.equal(block(x), block(x))


X = heads(BATCH, POS, D_MODEL)
CASES = {
    "features": (lambda: FeedForward(D_MODEL, D_FF).double()(X[..., 1:]), ValueError, r"x must have 21 features"),
    "integers": (lambda: FeedForward(D_MODEL, D_FF)(X.long()), TypeError, "x must be floating point"),
    "dtype": (lambda: FeedForward(D_MODEL, D_FF)(X), TypeError, "x must have this module's dtype torch.float32"),
    "NaN": (lambda: FeedForward(D_MODEL, D_FF).double()(X * torch.nan), ValueError, "x must be finite"),
    "d_ff": (lambda: FeedForward(D_MODEL, 0), ValueError, "d_ff must be at least 1, got 0"),
    "d_model": (lambda: FeedForward(2.0, 3), TypeError, "d_model must be an integer"),
    "heads": (lambda: PreNormBlock(D_MODEL, 4, D_FF), ValueError, "d_model=21 and n_heads=4"),
    "block size": (lambda: PreNormBlock(-1, 1, 1), ValueError, "d_model must be at least 1, got -1"),
    "block d_ff": (lambda: PreNormBlock(D_MODEL, N_HEADS, -3), ValueError, "d_ff must be at least 1, got -3"),
    "dropout": (lambda: make(dropout=-0.5), ValueError, "dropout must be at least 0"),
    "block rank": (lambda: make()(X[0]), ValueError, "x must have exactly 3 axes"),
    "block features": (lambda: make()(X[..., 1:]), ValueError, "x must have 21 features"),
    "block integers": (lambda: make()(X.long()), TypeError, "x must be floating point"),
    "block NaN": (lambda: make()(X * torch.nan), ValueError, "x must be finite"),
    "block mask": (lambda: make()(X, torch.ones(3, 3) > 0), ValueError, "mask must broadcast"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
