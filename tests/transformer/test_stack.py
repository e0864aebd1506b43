"""A stack is its blocks one after the other, with masks and caches made once for all of them."""

import functools

import pytest
import torch

from companion.attention import KVCache, MultiHeadAttention, causal_mask
from companion.transformer import Block, Decoder, Encoder, FeedForward, LayerNorm, Rotary, T5RelativeBias
from tests.attention.compare import assert_agree, heads

BATCH, POS, OTHER, D_MODEL, N_HEADS, D_FF = 2, 5, 7, 12, 3, 17
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
OTHER_MASK = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
NORM = functools.partial(LayerNorm, D_MODEL)


def blocks(cross=False, n=2, **options):
    attention = functools.partial(MultiHeadAttention, D_MODEL, N_HEADS, **options)
    return [
        Block(attention(), FeedForward(D_MODEL, D_FF), NORM, cross_attention=attention() if cross else None)
        for _ in range(n)
    ]


def encoder():
    return Encoder(blocks(), NORM()).double()


def decoder(cross=False):
    return Decoder(blocks(cross), NORM()).double()


def scheme(name, n_query, n_key):
    if name == "T5":
        return {"bias": T5RelativeBias(N_HEADS).double()(n_query, n_key).detach()}
    if name == "rotary":
        return {"rotation": Rotary(D_MODEL // N_HEADS)(torch.arange(n_key - n_query, n_key)[None])}
    return {}


@pytest.mark.parametrize("positions", ["none", "T5", "rotary"])
@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_is_its_blocks_and_a_norm(positions, masked):
    model, x, options = encoder(), heads(BATCH, POS, D_MODEL), scheme(positions, POS, POS)
    h = x
    for block in model.blocks:
        h = block(h, MASK.bool()[:, None, None] if masked else None, **options)
    assert torch.equal(model(x, MASK if masked else None, **options), model.norm(h))
    assert torch.equal(Encoder(list(model.blocks))(x, MASK if masked else None, **options), h)


@pytest.mark.parametrize("positions", ["none", "T5", "rotary"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_a_decoder_is_its_causal_blocks_and_a_norm(positions, masked, cross):
    model, x, options = decoder(cross), heads(BATCH, POS, D_MODEL), scheme(positions, POS, POS)
    other = heads(BATCH, OTHER, D_MODEL, seed=1)
    mask = causal_mask(POS) & (MASK.bool()[:, None, None] if masked else torch.tensor(True))
    h = x
    for block in model.blocks:
        context = {"context": other, "context_mask": OTHER_MASK.bool()[:, None, None]} if cross else {}
        h = block(h, mask, **options, **context)
    context = {"context": other, "context_mask": OTHER_MASK} if cross else {}
    ours = model(x, MASK if masked else None, **options, **context)
    assert_agree([ours], [model.norm(h)], 1e-12)


@pytest.mark.parametrize("positions", ["none", "T5", "rotary"])
@pytest.mark.parametrize("cross", [False, True])
def test_reading_in_pieces_equals_reading_at_once(positions, cross):
    torch.manual_seed(0)
    model, x = decoder(cross), heads(BATCH, POS, D_MODEL)
    other = heads(BATCH, OTHER, D_MODEL, seed=1)
    relative, rotary = T5RelativeBias(N_HEADS).double(), Rotary(D_MODEL // N_HEADS)

    def read(piece, n_read, context, caches=None):
        n_key = n_read + piece.shape[1]
        options = {"context": context, "context_mask": OTHER_MASK} if cross else {}
        if positions == "T5":
            options["bias"] = relative(piece.shape[1], n_key)
        if positions == "rotary":
            options["rotation"] = rotary(torch.arange(n_read, n_key)[None])
        return model(piece, MASK[:, :n_key], caches=caches, **options)

    with torch.no_grad():
        caches, known, pieces = model.new_caches(BATCH, POS), model.keys_values(other) if cross else None, []
        for piece in x.split([2, 1, 2], dim=1):
            pieces.append(read(piece, caches[0].length, known, caches))
        assert_agree([torch.cat(pieces, dim=1)], [read(x, 0, other)], 1e-10)


def test_new_caches_fit_the_decoder():
    model = Decoder(blocks(n_kv_heads=1, d_head=5), NORM()).double()
    caches = model.new_caches(BATCH, 11)
    assert len(caches) == 2
    assert caches[0].keys.shape == (BATCH, 1, 11, 5)
    assert caches[0].keys.dtype == torch.float64


X, C = heads(BATCH, POS, D_MODEL), heads(BATCH, OTHER, D_MODEL, seed=1)
CASES = {
    "blocks": (lambda: Encoder([NORM()]), TypeError, "blocks must be a list of at least one Block"),
    "no blocks": (lambda: Decoder([]), TypeError, r"blocks must be a list of at least one Block, got \[\]"),
    "norm": (lambda: Encoder(blocks(), 3), TypeError, "norm must be a torch.nn.Module or None, got 3"),
    "x": (lambda: encoder()(X[..., 1:]), ValueError, "x must have 12 features"),
    "x rank": (lambda: decoder()(X[0]), ValueError, "x must have exactly 3 axes"),
    "encoder mask": (
        lambda: encoder()(X, MASK[:, 1:]),
        ValueError,
        r"attention_mask must have shape \(2, 5\).*\(2, 4\)",
    ),
    "mask floats": (lambda: encoder()(X, MASK.float()), TypeError, "attention_mask must be an integer or boolean"),
    "decoder mask": (
        lambda: decoder()(X, MASK[:1]),
        ValueError,
        r"attention_mask must have shape \(2, 5\), the cached",
    ),
    "context": (lambda: decoder()(X, context=C), ValueError, "context needs blocks with cross-attention"),
    "no context": (lambda: decoder(cross=True)(X), ValueError, "context must be given"),
    "context size": (lambda: decoder(cross=True)(X, context=C[..., 1:]), ValueError, "context must have 12 features"),
    "context batch": (lambda: decoder(cross=True)(X, context=C[:1]), ValueError, "context must have x's batch of 2"),
    "context list": (
        lambda: decoder(cross=True)(X, context=[C]),
        ValueError,
        "context must be features, or the list of 2",
    ),
    "context mask": (
        lambda: decoder(cross=True)(X, context=C, context_mask=MASK),
        ValueError,
        r"context_mask must have shape \(2, 7\), one number for each position of the context",
    ),
    "mask alone": (lambda: decoder()(X, context_mask=OTHER_MASK), ValueError, "context_mask needs a context"),
    "caches": (lambda: decoder()(X, caches=KVCache(2, 3, 5, 4)), TypeError, "caches must be the list that new_caches"),
    "caches count": (
        lambda: decoder()(X, caches=decoder().new_caches(2, 9)[:1]),
        ValueError,
        "each of the 2 blocks, got 1",
    ),
    "caches size": (lambda: decoder().new_caches(2, 0), ValueError, "max_len must be at least 1, got 0"),
    "keys": (lambda: decoder().keys_values(C), ValueError, "context needs blocks with cross-attention"),
    "keys size": (lambda: decoder(cross=True).keys_values(C[..., 1:]), ValueError, "context must have 12 features"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
