"""Attention against torch's own: scaled_dot_product_attention and nn.MultiheadAttention."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.attention import MultiHeadAttention, dot_product_attention
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree, heads, value_and_gradients

BATCH, HEAD, QUERY, KEY, D_HEAD, D_VALUE = 2, 3, 5, 11, 7, 13
MASK = torch.rand(BATCH, 1, QUERY, KEY, generator=torch.Generator().manual_seed(4)) < 0.6
MASK[..., 0] = True


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    ("n_key", "ours", "theirs"),
    [
        (KEY, {}, {}),
        (KEY, {"mask": MASK}, {"attn_mask": MASK}),
        (KEY, {"scale": 0.3}, {"scale": 0.3}),
        (QUERY, {"is_causal": True}, {"is_causal": True}),
    ],
    ids=["plain", "mask", "scale", "causal"],
)
def test_dot_product_attention_is_torchs(dtype, n_key, ours, theirs):
    qkv = (
        heads(BATCH, HEAD, QUERY, D_HEAD, dtype=dtype, seed=1),
        heads(BATCH, HEAD, n_key, D_HEAD, dtype=dtype, seed=2),
        heads(BATCH, HEAD, n_key, D_VALUE, dtype=dtype, seed=3),
    )
    mine = value_and_gradients(lambda *t: dot_product_attention(*t, **ours), *qkv)
    assert_agree(
        mine, value_and_gradients(lambda *t: F.scaled_dot_product_attention(*t, **theirs), *qkv), TOLERANCE[dtype]
    )


def modules(dtype, d_model=42, n_heads=6):
    """Ours and torch's with the same weights."""
    theirs = nn.MultiheadAttention(d_model, n_heads, batch_first=True).to(dtype)
    nn.init.normal_(theirs.in_proj_bias)
    nn.init.normal_(theirs.out_proj.bias)
    ours = MultiHeadAttention(d_model, n_heads).to(dtype)
    ours.load_state_dict(in_our_names(dict(theirs.named_parameters())))
    return ours, theirs


def in_our_names(tensors):
    """Rename nn.MultiheadAttention's weights, or gradients, to ours."""
    ours = {f"output.{kind}": tensors[f"out_proj.{kind}"] for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        thirds = tensors[f"in_proj_{kind}"].detach().chunk(3)
        ours |= {f"{name}.{kind}": third for name, third in zip(("query", "key", "value"), thirds, strict=True)}
    return ours


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("kind", ["self", "cross", "causal", "padding"])
def test_module_is_torchs(dtype, kind):
    ours, theirs = modules(dtype)
    x, context = heads(BATCH, QUERY, 42, dtype=dtype), heads(BATCH, KEY, 42, dtype=dtype, seed=1)
    tokens = torch.tensor([[True] * QUERY, [True] * 3 + [False] * (QUERY - 3)])

    def run_ours(x, context):
        if kind == "cross":
            return ours(x, context)
        return ours(x, mask=tokens[:, None, None] if kind == "padding" else None, is_causal=kind == "causal")

    def run_theirs(x, context):  # where True means hidden
        source = context if kind == "cross" else x
        future = torch.ones(QUERY, QUERY, dtype=torch.bool).triu(1) if kind == "causal" else None
        padding = ~tokens if kind == "padding" else None
        return theirs(x, source, source, attn_mask=future, key_padding_mask=padding, need_weights=False)[0]

    inputs = (x, context) if kind == "cross" else (x,)
    mine = value_and_gradients(lambda *t: run_ours(*t, *[None] * (2 - len(t))), *inputs)
    other = value_and_gradients(lambda *t: run_theirs(*t, *[None] * (2 - len(t))), *inputs)
    assert_agree(mine, other, TOLERANCE[dtype])
    their_gradients = in_our_names({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        assert_agree([parameter.grad], [their_gradients[name]], TOLERANCE[dtype])


def test_weights_are_those_that_torch_returns():
    ours, theirs = modules(torch.float64)
    x, context = heads(BATCH, QUERY, 42), heads(BATCH, KEY, 42, seed=1)
    expected = theirs(x, context, context, average_attn_weights=False)[1]
    assert_agree([ours.weights(x, context)], [expected], 1e-10)
