"""What other models than GPT-2 need of attention: a bias, a scale, wide heads, turned keys, keys worked out once."""

import pytest
import torch

from companion._validation import NotFiniteError
from companion.attention import (
    KeysValues,
    KVCache,
    MultiHeadAttention,
    Rotation,
    attention_weights,
    causal_mask,
    dot_product_attention,
    merge_heads,
    rotate,
    split_heads,
)
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree, heads, value_and_gradients

BATCH, HEAD, QUERY, KEY, D_HEAD, D_VALUE, D_MODEL = 2, 3, 5, 11, 7, 13, 17
BIASES = {
    "over query and key": (QUERY, KEY),
    "over key": (KEY,),
    "by head": (HEAD, 1, KEY),
    "of all texts": (1, HEAD, QUERY, KEY),
    "of each text": (BATCH, HEAD, QUERY, KEY),
}
MASK = torch.rand(BATCH, 1, QUERY, KEY, generator=torch.Generator().manual_seed(4)) < 0.6
MASK[..., 0] = True


def draw(dtype=torch.float64):
    return (
        heads(BATCH, HEAD, QUERY, D_HEAD, dtype=dtype, seed=1),
        heads(BATCH, HEAD, KEY, D_HEAD, dtype=dtype, seed=2),
        heads(BATCH, HEAD, KEY, D_VALUE, dtype=dtype, seed=3),
    )


def naive(query, key, value, bias, mask, scale):
    scores = scale * query @ key.mT + bias
    return torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-1) @ value


@pytest.mark.parametrize("shape", BIASES.values(), ids=BIASES.keys())
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("masking", ["none", "mask", "causal", "both"])
def test_bias_is_added_to_the_scores(dtype, shape, masking):
    mask = MASK if masking in ("mask", "both") else None
    is_causal = masking in ("causal", "both")
    allowed = torch.ones(1, 1, QUERY, KEY).bool() if mask is None else mask
    allowed = allowed & causal_mask(QUERY, KEY) if is_causal else allowed
    tensors = (*draw(dtype), heads(*shape, dtype=dtype, seed=6))
    ours = value_and_gradients(
        lambda q, k, v, b: dot_product_attention(q, k, v, mask, bias=b, is_causal=is_causal, scale=0.4), *tensors
    )
    theirs = value_and_gradients(lambda q, k, v, b: naive(q, k, v, b, allowed, 0.4), *tensors)
    assert_agree(ours, theirs, TOLERANCE[dtype])
    query, key, value, bias = tensors
    weights = attention_weights(query, key, mask, bias=bias, is_causal=is_causal, scale=0.4)
    assert_agree([weights @ value], [ours[0]], TOLERANCE[dtype])


def test_a_query_that_sees_nothing_gets_zeros_whatever_the_bias():
    mask = torch.ones(QUERY, KEY).bool()
    mask[2] = False
    tensors = (*draw(), heads(HEAD, QUERY, KEY, seed=6))
    output, *gradients = value_and_gradients(lambda q, k, v, b: dot_product_attention(q, k, v, mask, bias=b), *tensors)
    assert output[:, :, 2].eq(0).all()
    assert gradients[0][:, :, 2].eq(0).all()
    assert gradients[3][:, 2].eq(0).all()
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("d_head", [4, 9])
@pytest.mark.parametrize("n_kv_heads", [1, 3])
@pytest.mark.parametrize("scale", [None, 1.0])
def test_heads_may_be_of_any_width_and_scale(d_head, n_kv_heads, scale):
    module = MultiHeadAttention(D_MODEL, HEAD, n_kv_heads=n_kv_heads, d_head=d_head, scale=scale).double()
    assert module.query.out_features == module.output.in_features == HEAD * d_head
    assert module.key.out_features == module.value.out_features == n_kv_heads * d_head
    bias, x = heads(HEAD, QUERY, QUERY, seed=6), heads(BATCH, QUERY, D_MODEL)

    def equation(x):
        query = split_heads(module.query(x), HEAD)
        key, value = (
            split_heads(part(x), n_kv_heads).repeat_interleave(HEAD // n_kv_heads, dim=1)
            for part in (module.key, module.value)
        )
        everything = torch.ones(QUERY, QUERY).bool()
        return module.output(merge_heads(naive(query, key, value, bias, everything, scale or d_head**-0.5)))

    assert_agree(value_and_gradients(lambda t: module(t, bias=bias), x), value_and_gradients(equation, x), 1e-10)
    weights = module.weights(x, bias=bias)
    value = split_heads(module.value(x), n_kv_heads).repeat_interleave(HEAD // n_kv_heads, dim=1)
    assert_agree([module.output(merge_heads(weights @ value))], [module(x, bias=bias)], 1e-10)


def rotation(n, d_head=4, start=0):
    angles = (torch.arange(start, start + n)[:, None] * torch.tensor([0.5, 0.03]))[None].double()
    assert angles.shape[-1] == d_head // 2
    return Rotation(angles.cos(), angles.sin())


def test_queries_and_keys_are_turned_and_values_are_not():
    module, x = MultiHeadAttention(12, HEAD).double(), heads(BATCH, QUERY, 12)
    query, key, value = (split_heads(part(x), HEAD) for part in (module.query, module.key, module.value))
    turned = rotate(query, rotation(QUERY)), rotate(key, rotation(QUERY))
    expected = module.output(merge_heads(dot_product_attention(*turned, value, is_causal=True)))
    assert_agree([module(x, rotation=rotation(QUERY), is_causal=True)], [expected], 1e-10)
    weights = module.weights(x, rotation=rotation(QUERY), is_causal=True)
    assert_agree([weights], [attention_weights(*turned, is_causal=True)], 1e-10)


def test_a_cache_holds_turned_keys():
    module, x = MultiHeadAttention(12, HEAD).double(), heads(BATCH, QUERY, 12)
    with torch.no_grad():
        cache, pieces = KVCache(BATCH, HEAD, QUERY, 4, dtype=torch.float64), []
        for piece in x.split([2, 1, 2], dim=1):
            turn = rotation(piece.shape[1], start=cache.length)
            pieces.append(module(piece, rotation=turn, is_causal=True, cache=cache))
        assert_agree([torch.cat(pieces, dim=1)], [module(x, rotation=rotation(QUERY), is_causal=True)], 1e-10)


def test_keys_worked_out_once_are_those_of_the_context():
    module = MultiHeadAttention(12, HEAD, n_kv_heads=1).double()
    x, context = heads(BATCH, QUERY, 12), heads(BATCH, KEY, 12, seed=1)
    mask = torch.rand(BATCH, 1, 1, KEY) < 0.7

    def known(x, context):
        return module(x, module.keys_values(context), mask)

    ours = value_and_gradients(known, x, context)
    assert_agree(ours, value_and_gradients(lambda x, c: module(x, c, mask), x, context), 1e-12)
    assert_agree([module.weights(x, module.keys_values(context))], [module.weights(x, context)], 1e-12)


Q, K, V = draw(torch.float32)
X, CONTEXT = torch.ones(BATCH, QUERY, 12), torch.ones(BATCH, KEY, 12)


def module(**options):
    return MultiHeadAttention(12, HEAD, **options)


def known(batch=BATCH, n_heads=HEAD, d_head=4):
    part = torch.ones(batch, n_heads, KEY, d_head)
    return KeysValues(part, part)


CASES = {
    "bias list": (lambda: dot_product_attention(Q, K, V, bias=[1.0]), TypeError, "bias must be a floating point"),
    "bias mask": (
        lambda: dot_product_attention(Q, K, V, bias=MASK),
        TypeError,
        "bias must be.*torch.bool; a boolean tensor that hides keys is a mask",
    ),
    "bias shape": (
        lambda: dot_product_attention(Q, K, V, bias=torch.ones(KEY, QUERY)),
        ValueError,
        r"bias must broadcast to.*\(2, 3, 5, 11\).*\(11, 5\)",
    ),
    "bias dtype": (
        lambda: dot_product_attention(Q, K, V, bias=torch.ones(QUERY, KEY).double()),
        TypeError,
        "bias must have the queries' dtype torch.float32",
    ),
    "bias device": (
        lambda: dot_product_attention(Q, K, V, bias=torch.ones(QUERY, KEY, device="meta")),
        ValueError,
        "bias must be on the queries' device cpu, got one on meta",
    ),
    "weights bias": (lambda: attention_weights(Q, K, bias=torch.ones(4, KEY)), ValueError, "bias must broadcast"),
    "module bias": (lambda: module()(X, bias=torch.ones(4, QUERY)), ValueError, r"bias must.*\(2, 3, 5, 5\)"),
    "d_head": (lambda: module(d_head=0), ValueError, "d_head must be at least 1, got 0"),
    "scale": (lambda: module(scale=float("inf")), ValueError, "scale must be finite, got inf"),
    "rotation": (lambda: module()(X, rotation=X), TypeError, "rotation must be a Rotation, as Rotary makes it"),
    "rotation length": (
        lambda: module()(X, rotation=Rotation(*(part.float() for part in rotation(4)))),
        ValueError,
        r"rotation.cos must have shape \(1 or 2, 5, 2\).*\(1, 4, 2\)",
    ),
    "rotation and context": (
        lambda: module()(X, CONTEXT, rotation=rotation(QUERY)),
        ValueError,
        "rotation turns the keys of x, so it cannot be used together with context",
    ),
    "known batch": (lambda: module()(X, known(batch=3)), ValueError, r"context.keys must have shape \(2, 3, 11, 4\)"),
    "known heads": (lambda: module()(X, known(n_heads=1)), ValueError, r"context.keys must have shape \(2, 3, 11, 4\)"),
    "known width": (lambda: module()(X, known(d_head=5)), ValueError, r"got.*\(2, 3, 11, 5\)"),
    "known integers": (
        lambda: module()(X, KeysValues(known().keys, known().values.long())),
        TypeError,
        "context.values must be floating point",
    ),
    "known mask": (lambda: module()(X, known(), MASK[..., 1:]), ValueError, "mask must broadcast"),
    "keys of": (lambda: module().keys_values(X[0]), ValueError, "context must have exactly 3 axes"),
    "keys of NaN": (lambda: module().keys_values(X * torch.nan), ValueError, "context must be finite"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) in (error, NotFiniteError)
