"""The feed-forward half is two or three projections around a bend, for every bend there is."""

import math

import pytest
import torch

from companion._validation import NotFiniteError
from companion.transformer import FeedForward
from tests.attention.compare import assert_agree, heads, value_and_gradients

BATCH, POS, D_MODEL, D_FF = 2, 5, 21, 31

BENDS = {
    "relu": lambda h: h * (h > 0),
    "gelu": lambda h: h * (1 + torch.erf(h / math.sqrt(2))) / 2,
    "gelu_tanh": lambda h: 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))),
    "silu": lambda h: h / (1 + torch.exp(-h)),
}


@pytest.mark.parametrize("activation", BENDS)
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_feed_forward_is_projections_around_a_bend(activation, gated, bias):
    layer = FeedForward(D_MODEL, D_FF, activation=activation, gated=gated, bias=bias).double()
    assert all((part.bias is not None) == bias for part in layer.children())
    bend = BENDS[activation]

    def equation(x):
        inner = bend(layer.gate(x)) * layer.up(x) if gated else bend(layer.up(x))
        return layer.down(inner)

    x = heads(BATCH, POS, D_MODEL)
    assert_agree(value_and_gradients(layer, x), value_and_gradients(equation, x), 1e-10)


def test_feed_forward_keeps_positions_apart():
    layer, x = FeedForward(D_MODEL, D_FF).double(), heads(BATCH, POS, D_MODEL)
    assert_agree([layer(x)[:, 2]], [layer(x[:, 2])], 1e-10)


def test_dropout_drops_inner_features_in_training_only():
    layer, x = FeedForward(D_MODEL, D_FF, dropout=0.5).double(), heads(BATCH, POS, D_MODEL)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


X = heads(BATCH, POS, D_MODEL)
CASES = {
    "features": (lambda: FeedForward(D_MODEL, D_FF).double()(X[..., 1:]), ValueError, r"x must have 21 features"),
    "integers": (lambda: FeedForward(D_MODEL, D_FF)(X.long()), TypeError, "x must be floating point"),
    "dtype": (lambda: FeedForward(D_MODEL, D_FF)(X), TypeError, "x must have this module's dtype torch.float32"),
    "NaN": (lambda: FeedForward(D_MODEL, D_FF).double()(X * torch.nan), ValueError, "x must be finite"),
    "d_ff": (lambda: FeedForward(D_MODEL, 0), ValueError, "d_ff must be at least 1, got 0"),
    "d_model": (lambda: FeedForward(2.0, 3), TypeError, "d_model must be an integer"),
    "activation": (
        lambda: FeedForward(D_MODEL, D_FF, activation="swish"),
        ValueError,
        "activation must be one of relu, gelu, gelu_tanh, silu, got 'swish'",
    ),
    "dropout": (lambda: FeedForward(D_MODEL, D_FF, dropout=1.0), ValueError, "dropout must be at least 0 and below 1"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) in (error, NotFiniteError)
