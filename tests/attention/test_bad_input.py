"""Every wrong argument is named, with what it is and what was expected.

The package runs its preconditions outside jaxtyping's hook (see companion/_validation.py), so these are the errors
that users get, although the annotations are checked while the tests run.
"""

import re

import pytest
import torch

from companion._validation import NotFiniteError
from companion.attention import (
    KVCache,
    MultiHeadAttention,
    attention_weights,
    causal_mask,
    combine_masks,
    merge_heads,
    padding_mask,
    split_heads,
)
from companion.attention import dot_product_attention as attend

Q, K, V = torch.ones(2, 6, 5, 7), torch.ones(2, 3, 11, 7), torch.ones(2, 3, 11, 13)
X = torch.ones(2, 5, 42)
NAN, INF = float("nan"), float("inf")


def module():
    return MultiHeadAttention(42, 6)


def cache(**options):
    return KVCache(2, 6, 8, 7, **options)


def spoilt(tensor, number):
    tensor = tensor.clone()
    tensor[1, 0, 0] = number
    return tensor


CASES = {
    # attention
    "list": (lambda: attend([1.0], K, V), TypeError, "query must be a floating point tensor"),
    "integer query": (lambda: attend(Q.long(), K, V), TypeError, "query must be floating point.*int64"),
    "boolean key": (lambda: attend(Q, K.bool(), V), TypeError, "key must be floating point.*bool"),
    "complex value": (lambda: attend(Q, K, V + 0j), TypeError, "value must be floating point.*complex"),
    "rank of query": (lambda: attend(Q[0, 0], K, V), ValueError, r"query.*at least 3 axes.*\(5, 7\)"),
    "rank of key": (lambda: attend(Q, K[0, 0], V), ValueError, r"key.*at least 3 axes.*\(11, 7\)"),
    "batch": (lambda: attend(Q, K[:1], V), ValueError, r"key.*leading axes \(2,\).*\(1, 3, 11, 7\)"),
    "batch of value": (lambda: attend(Q, K, V[:1]), ValueError, r"value.*leading axes \(2,\)"),
    "d_head": (lambda: attend(Q, K[..., :5], V), ValueError, r"key.*d_head 7.*\(2, 3, 11, 5\)"),
    "heads": (lambda: attend(Q[:, :5], K, V), ValueError, "heads.*multiple.*5 = 1 x 3 . 2"),
    "length": (lambda: attend(Q, K, V[:, :, 1:]), ValueError, r"value.*\(3, 11\).*\(2, 3, 10, 13\)"),
    "value heads": (lambda: attend(Q, K, V[:, :1]), ValueError, "value must have key's heads"),
    "no query": (lambda: attend(Q[:, :, :0], K, V), ValueError, "query has an empty axis 'query'"),
    "no key": (lambda: attend(Q, K[:, :, :0], V[:, :, :0]), ValueError, "key has an empty axis 'key'"),
    "no head": (lambda: attend(Q[:, :0], K, V), ValueError, "query has an empty axis 'head'"),
    "no feature": (lambda: attend(Q[..., :0], K, V), ValueError, "query has an empty axis 'd_head'"),
    "no value": (lambda: attend(Q, K, V[..., :0]), ValueError, "value has an empty axis 'd_value'"),
    "dtypes": (lambda: attend(Q, K.double(), V), TypeError, "key must have query's dtype torch.float32"),
    "devices": (lambda: attend(Q, K, V.to("meta")), ValueError, "value must be on query's device cpu"),
    "float mask": (
        lambda: attend(Q, K, V, torch.zeros(5, 11)),
        TypeError,
        "mask must be a boolean.*float32",
    ),
    "integer mask": (lambda: attend(Q, K, V, torch.ones(5, 11).int()), TypeError, "padding_mask"),
    "mask shape": (
        lambda: attend(Q, K, V, torch.ones(11, 5) > 0),
        ValueError,
        r"mask must broadcast.*\(2, 6, 5, 11\).*\(11, 5\)",
    ),
    "mask rank": (
        lambda: attend(Q, K, V, torch.ones(1, 1, 1, 1, 1) > 0),
        ValueError,
        "mask must broadcast",
    ),
    "mask device": (
        lambda: attend(Q, K, V, torch.ones(5, 11, device="meta") > 0),
        ValueError,
        "mask must be on the queries' device cpu",
    ),
    "NaN query": (
        lambda: attend(spoilt(Q, NAN), K, V),
        ValueError,
        "query must be finite.*7 of the 420",
    ),
    "infinite key": (lambda: attend(Q, spoilt(K, INF), V), ValueError, "key must be finite"),
    "infinite value": (lambda: attend(Q, K, spoilt(V, -INF)), ValueError, "value must be finite"),
    "NaN scale": (lambda: attend(Q, K, V, scale=NAN), ValueError, "scale must be finite, got nan"),
    "scale": (lambda: attend(Q, K, V, scale="1"), TypeError, "scale must be a number, got '1'"),
    "dropout 1": (lambda: attend(Q, K, V, dropout_p=1.0), ValueError, "dropout_p.*below 1, got 1.0"),
    "dropout -1": (lambda: attend(Q, K, V, dropout_p=-0.1), ValueError, "dropout_p.*at least 0"),
    "weights rank": (lambda: attention_weights(Q[0, 0], K), ValueError, "query must have at least 3 axes"),
    "weights NaN": (lambda: attention_weights(Q, spoilt(K, NAN)), ValueError, "key must be finite"),
    "weights mask": (lambda: attention_weights(Q, K, torch.ones(4, 11) > 0), ValueError, "mask must broadcast"),
    # masks
    "zero queries": (lambda: causal_mask(0), ValueError, "n_query must be at least 1, got 0"),
    "negative keys": (lambda: causal_mask(3, -2), ValueError, "n_key must be at least 1, got -2"),
    "float size": (lambda: causal_mask(3.0), TypeError, "n_query must be an integer, got 3.0 of type float"),
    "boolean size": (lambda: causal_mask(True), TypeError, "n_query must be an integer"),
    "float padding": (lambda: padding_mask(torch.ones(2, 3)), TypeError, "attention_mask must be an integer.*float32"),
    "padding rank": (lambda: padding_mask(torch.ones(3).long()), ValueError, "attention_mask.*exactly 2 axes"),
    "padding values": (lambda: padding_mask(torch.tensor([[0, 2]])), ValueError, "attention_mask must hold only 1"),
    "empty padding": (lambda: padding_mask(torch.ones(2, 0).long()), ValueError, "attention_mask.*empty axis 'key'"),
    "combine floats": (lambda: combine_masks(None, torch.ones(2)), TypeError, r"masks\[1\] must be a boolean tensor"),
    "combine shapes": (
        lambda: combine_masks(causal_mask(3), causal_mask(5)),
        ValueError,
        r"masks must broadcast together, got shapes \[\(3, 3\), \(5, 5\)\]",
    ),
    # heads
    "split rank": (lambda: split_heads(torch.ones(6), 2), ValueError, "x must have at least 2 axes"),
    "split uneven": (lambda: split_heads(X, 5), ValueError, "d_model=42 and n_heads=5"),
    "split zero": (lambda: split_heads(X, 0), ValueError, "n_heads must be at least 1"),
    "split integers": (lambda: split_heads(X.long(), 6), TypeError, "x must be floating point"),
    "merge rank": (lambda: merge_heads(torch.ones(2, 3)), ValueError, "x must have at least 3 axes"),
    # module
    "module heads": (lambda: MultiHeadAttention(42, 5), ValueError, "d_model=42 and n_heads=5"),
    "module kv heads": (lambda: MultiHeadAttention(42, 6, n_kv_heads=4), ValueError, "n_heads=6 and n_kv_heads=4"),
    "too many kv heads": (lambda: MultiHeadAttention(42, 6, n_kv_heads=12), ValueError, "n_heads=6 and n_kv_heads=12"),
    "negative model": (lambda: MultiHeadAttention(-42, 6), ValueError, "d_model must be at least 1, got -42"),
    "zero heads": (lambda: MultiHeadAttention(42, 0), ValueError, "n_heads must be at least 1, got 0"),
    "zero kv heads": (lambda: MultiHeadAttention(42, 6, n_kv_heads=0), ValueError, "n_kv_heads must be at least 1"),
    "module dropout": (lambda: MultiHeadAttention(42, 6, dropout=1.5), ValueError, "dropout must be.*1.5"),
    "x rank": (lambda: module()(X[0]), ValueError, r"x must have exactly 3 axes.*\(5, 42\)"),
    "x empty": (lambda: module()(X[:, :0]), ValueError, "x has an empty axis 'query'"),
    "x features": (lambda: module()(X[..., :41]), ValueError, r"x must have 42 features.*\(2, 5, 41\)"),
    "x integers": (lambda: module()(X.long()), TypeError, "x must be floating point.*int64"),
    "x dtype": (lambda: module()(X.double()), TypeError, "x must have this module's dtype torch.float32.*float64"),
    "x NaN": (lambda: module()(spoilt(X, NAN)), ValueError, "x must be finite"),
    "context rank": (lambda: module()(X, X[0]), ValueError, "context must have exactly 3 axes"),
    "context batch": (lambda: module()(X, X[:1]), ValueError, r"context must have x's batch of 2.*\(1, 5, 42\)"),
    "context NaN": (lambda: module()(X, spoilt(X, NAN)), ValueError, "context must be finite"),
    "module mask": (lambda: module()(X, mask=torch.ones(4, 5) > 0), ValueError, r"mask must broadcast.*\(2, 6, 5, 5\)"),
    "cache type": (lambda: module()(X, cache=[]), TypeError, r"cache must be a KVCache, got \[\] of type list"),
    "cache and context": (lambda: module()(X, X, cache=cache()), ValueError, "cache.*together with context"),
    "cache and gradients": (lambda: module()(X, cache=cache()), ValueError, "requires gradients.*torch.no_grad"),
    "weights context": (lambda: module().weights(X, X[:1]), ValueError, "context must have x's batch"),
    # cache
    "cache size": (lambda: KVCache(2, 0, 8, 7), ValueError, "n_kv_heads must be at least 1, got 0"),
    "cache dtype": (lambda: cache(dtype=torch.int64), TypeError, "dtype must be a floating point torch.dtype"),
    "append rank": (lambda: cache().append(Q[0], Q[0]), ValueError, "key must have exactly 4 axes"),
    "append shape": (
        lambda: cache().append(K, K),
        ValueError,
        r"key must have shape \(2, 6, any, 7\).*\(2, 3, 11, 7\)",
    ),
    "append dtype": (lambda: cache().append(Q.double(), Q.double()), TypeError, "key must have this cache's dtype"),
    "append lengths": (
        lambda: cache().append(Q, Q[:, :, 1:]),
        ValueError,
        r"value.*key's shape \(2, 6, 5, 7\)",
    ),
    "append nothing": (lambda: cache().append(Q[:, :, :0], Q[:, :, :0]), ValueError, "key has an empty axis 'pos'"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=re.compile(message, re.DOTALL)) as caught:
        call()
    assert type(caught.value) in (error, NotFiniteError)  # not the annotation checker's


def test_a_full_cache_says_what_it_holds_and_stays_as_it_was():
    full = cache()
    full.append(Q, Q)
    with pytest.raises(ValueError, match="holds 5 of max_len=8 positions and got 5 more"):
        full.append(Q, Q)
    assert full.length == 5


def test_a_refused_call_leaves_the_cache_as_it_was():
    mine = cache()
    with torch.no_grad(), pytest.raises(ValueError, match="mask"):
        module()(X, mask=torch.ones(5, 4) > 0, cache=mine)
    assert mine.length == 0


def test_large_but_finite_numbers_are_no_error():
    huge = torch.full((1, 1, 300, 8), 3e38)
    attend(huge * 1e-30, huge * 1e-30, huge)
    huge_half = torch.full((1, 1, 300, 8), 6e4, dtype=torch.float16)
    attend(huge_half * 1e-4, huge_half * 1e-4, huge_half)


def test_no_number_is_asked_of_a_graph_being_compiled(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert attend(Q, K, spoilt(V, NAN)).isnan().any()


def test_inference_mode_looks_for_no_nan_and_still_for_shapes():
    with torch.inference_mode():
        assert attend(Q, K, spoilt(V, NAN)).isnan().any()
        with pytest.raises(ValueError, match="key must have query's d_head"):
            attend(Q, K[..., :5], V)
