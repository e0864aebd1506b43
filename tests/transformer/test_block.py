"""A block is its equation whatever it is composed of, and refuses what does not fit."""

import functools

import pytest
import torch

from companion._validation import NotFiniteError
from companion.attention import KVCache, MultiHeadAttention
from companion.transformer import Block, FeedForward, LayerNorm, RMSNorm
from tests.attention.compare import assert_agree, heads, value_and_gradients

BATCH, POS, OTHER, D_MODEL, N_HEADS, D_FF = 2, 5, 7, 21, 3, 31
NORM = functools.partial(LayerNorm, D_MODEL)


def make(cross=False, norm=NORM, **options):
    attention = functools.partial(MultiHeadAttention, D_MODEL, N_HEADS)
    feed_forward = FeedForward(D_MODEL, D_FF)
    cross_attention = attention() if cross else None
    return Block(attention(), feed_forward, norm, cross_attention=cross_attention, **options).double().eval()


@pytest.mark.parametrize("norm", [NORM, functools.partial(RMSNorm, D_MODEL)], ids=["layer", "rms"])
def test_pre_norm_normalises_what_enters_each_half(norm):
    block = make(norm=norm)

    def equation(x):
        h = x + block.attention(block.attention_norm(x), is_causal=True)
        return h + block.feed_forward(block.feed_forward_norm(h))

    x = heads(BATCH, POS, D_MODEL)
    assert_agree(value_and_gradients(lambda t: block(t, is_causal=True), x), value_and_gradients(equation, x), 1e-10)


def test_post_norm_normalises_the_sum_that_leaves_each_half():
    block = make(pre_norm=False)

    def equation(x):
        h = block.attention_norm(x + block.attention(x))
        return block.feed_forward_norm(h + block.feed_forward(h))

    x = heads(BATCH, POS, D_MODEL)
    assert_agree(value_and_gradients(block, x), value_and_gradients(equation, x), 1e-10)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_cross_attention_stands_between_the_halves(pre_norm):
    block = make(cross=True, pre_norm=pre_norm)
    context_mask = torch.rand(BATCH, 1, 1, OTHER) < 0.7

    def equation(x, context):
        def add(x, half, norm):
            return x + half(norm(x)) if pre_norm else norm(x + half(x))

        x = add(x, lambda x: block.attention(x, is_causal=True), block.attention_norm)
        x = add(x, lambda x: block.cross_attention(x, context, context_mask), block.cross_attention_norm)
        return add(x, block.feed_forward, block.feed_forward_norm)

    x, context = heads(BATCH, POS, D_MODEL), heads(BATCH, OTHER, D_MODEL, seed=1)
    mine = value_and_gradients(lambda x, c: block(x, is_causal=True, context=c, context_mask=context_mask), x, context)
    assert_agree(mine, value_and_gradients(equation, x, context), 1e-10)
    known = block.cross_attention.keys_values(context)
    again = block(x, is_causal=True, context=known, context_mask=context_mask)
    assert_agree([again], [equation(x, context)], 1e-10)


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


def parts(d_model=D_MODEL):
    return MultiHeadAttention(d_model, N_HEADS), FeedForward(d_model, D_FF)


X = heads(BATCH, POS, D_MODEL)
CASES = {
    "attention": (lambda: Block(parts()[1], parts()[1], NORM), TypeError, "attention must be a MultiHeadAttention"),
    "feed-forward": (lambda: Block(parts()[0], parts()[0], NORM), TypeError, "feed_forward must be a FeedForward"),
    "cross": (lambda: Block(*parts(), NORM, cross_attention=1), TypeError, "cross_attention must be a Multi.*got 1"),
    "one norm": (lambda: Block(*parts(), NORM()), TypeError, "norm must be a function that makes a new"),
    "norm": (lambda: Block(*parts(), None), TypeError, "norm must be a function.*got None"),
    "sizes": (
        lambda: Block(parts()[0], FeedForward(20, D_FF), NORM),
        ValueError,
        "feed_forward must take attention's d_model=21 features, got one that takes 20",
    ),
    "cross size": (
        lambda: Block(*parts(), NORM, cross_attention=parts(24)[0]),
        ValueError,
        "cross_attention must take attention's d_model=21 features, got one that takes 24",
    ),
    "dropout": (lambda: make(dropout=-0.5), ValueError, "dropout must be at least 0"),
    "rank": (lambda: make()(X[0]), ValueError, "x must have exactly 3 axes"),
    "features": (lambda: make()(X[..., 1:]), ValueError, "x must have 21 features"),
    "integers": (lambda: make()(X.long()), TypeError, "x must be floating point"),
    "NaN": (lambda: make()(X * torch.nan), ValueError, "x must be finite"),
    "mask": (lambda: make()(X, torch.ones(3, 3) > 0), ValueError, "mask must broadcast"),
    "context": (lambda: make()(X, context=X), ValueError, "context needs a block with cross-attention"),
    "no context": (lambda: make(cross=True)(X), ValueError, "context must be given"),
    "context size": (lambda: make(cross=True)(X, context=X[..., 1:]), ValueError, "context must have 21 features"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) in (error, NotFiniteError)
