"""Scaled dot-product attention against the equation, and the laws it must keep."""

import ast
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.attention import attention_weights, causal_mask, dot_product_attention
from tests.attention import naive
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree, heads, value_and_gradients

# Distinct primes for every axis: a wrong transpose cannot pass.
BATCH, HEAD, QUERY, KEY, D_HEAD, D_VALUE = 2, 3, 5, 11, 7, 13


def draw(dtype=torch.float64, *, n_query=QUERY, n_key=KEY, n_heads=HEAD, n_kv_heads=HEAD, d_value=D_VALUE, batch=BATCH):
    return (
        heads(batch, n_heads, n_query, D_HEAD, dtype=dtype, seed=1),
        heads(batch, n_kv_heads, n_key, D_HEAD, dtype=dtype, seed=2),
        heads(batch, n_kv_heads, n_key, d_value, dtype=dtype, seed=3),
    )


def some_mask(*shape, seed=4):
    """A mask that leaves every query at least one key."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[..., 0] = True
    return mask


def names(options):
    return " ".join(options) or "plain"


MASKS = {
    "none": None,
    "over query and key": some_mask(QUERY, KEY),
    "over key": some_mask(KEY),
    "by head": some_mask(HEAD, 1, KEY),
    "by batch": some_mask(BATCH, 1, 1, KEY),
    "full": some_mask(BATCH, HEAD, QUERY, KEY),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_fast_version_agrees_with_the_naive_one_in_value_and_gradient(dtype, mask):
    ours = value_and_gradients(lambda *qkv: dot_product_attention(*qkv, mask), *draw(dtype))
    theirs = value_and_gradients(lambda *qkv: naive.naive_attention(*qkv, mask), *draw(dtype))
    assert_agree(ours, theirs, TOLERANCE[dtype])


def test_the_chapter_shows_this_naive_version(repository_root):
    chapter = (repository_root / "book" / "attention.md").read_text(encoding="utf-8")
    shown = re.search(r"^def naive_attention\(.*?(?=^\S|^```)", chapter, flags=re.MULTILINE | re.DOTALL)
    assert shown, "book/attention.md defines no naive_attention"
    source = (repository_root / "tests" / "attention" / "naive.py").read_text(encoding="utf-8")
    (tested,) = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert ast.dump(ast.parse(shown[0]).body[0]) == ast.dump(tested)


@pytest.mark.parametrize("leading", [(), (2,), (2, 5), (0,)], ids=str)
def test_any_number_of_batch_axes(leading):
    shapes = ((HEAD, QUERY, D_HEAD), (HEAD, KEY, D_HEAD), (HEAD, KEY, D_VALUE))
    qkv = [heads(*leading, *shape, seed=seed) for seed, shape in enumerate(shapes)]
    for mask in (None, some_mask(QUERY, KEY)):
        ours = value_and_gradients(lambda *t, mask=mask: dot_product_attention(*t, mask), *qkv)
        theirs = value_and_gradients(lambda *t, mask=mask: naive.naive_attention(*t, mask), *qkv)
        assert_agree(ours, theirs, 1e-10)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 6])
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"mask": some_mask(6, QUERY, KEY)}], ids=names)
def test_grouped_queries_share_key_heads_in_order(n_kv_heads, options):
    qkv = draw(n_heads=6, n_kv_heads=n_kv_heads)

    def repeated(query, key, value):
        key, value = (t.repeat_interleave(6 // n_kv_heads, dim=1) for t in (key, value))
        mask = causal_mask(QUERY, KEY) if options.get("is_causal") else options.get("mask")
        return naive.naive_attention(query, key, value, mask)

    ours = value_and_gradients(lambda *t: dot_product_attention(*t, **options), *qkv)
    assert_agree(ours, value_and_gradients(repeated, *qkv), 1e-10)


@pytest.mark.parametrize("n_query", [1, 5, KEY])
@pytest.mark.parametrize("padded", [False, True])
def test_causal_queries_are_the_last_positions(n_query, padded):
    qkv = draw(n_query=n_query)
    padding = some_mask(BATCH, 1, 1, KEY) if padded else None
    mask = causal_mask(n_query, KEY) if padding is None else causal_mask(n_query, KEY) & padding
    ours = value_and_gradients(lambda *t: dot_product_attention(*t, padding, is_causal=True), *qkv)
    assert_agree(ours, value_and_gradients(lambda *t: naive.naive_attention(*t, mask), *qkv), 1e-10)


def test_causal_queries_before_the_first_key_see_nothing():
    output = dot_product_attention(*draw(n_query=KEY, n_key=QUERY), is_causal=True)
    n_blind = KEY - QUERY
    assert output[:, :, :n_blind].eq(0).all()
    assert output[:, :, n_blind:].ne(0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n_kv_heads", [1, 6])
@pytest.mark.parametrize("d_value", [D_HEAD, D_VALUE], ids=["fused", "math"])  # torch fuses equal sizes only
def test_fully_masked_rows_are_zeros_with_zero_gradient(dtype, n_kv_heads, d_value):
    mask = some_mask(BATCH, 1, QUERY, KEY)
    mask[0, :, 2] = False  # one query of one text sees nothing,
    mask[1] = False  # and the other text is all padding
    qkv = draw(dtype, n_heads=6, n_kv_heads=n_kv_heads, d_value=d_value)
    output, *gradients = value_and_gradients(lambda *t: dot_product_attention(*t, mask), *qkv)
    for tensor in (output, *gradients):
        assert tensor.isfinite().all()
        assert tensor[1].eq(0).all()
    assert output[0, :, 2].eq(0).all()
    assert gradients[0][0, :, 2].eq(0).all()
    assert output[0, :, 3].ne(0).any()

    weights, *gradients = value_and_gradients(lambda q, k: attention_weights(q, k, mask), *qkv[:2])
    assert weights[1].eq(0).all()
    assert weights[0, :, 2].eq(0).all()
    assert gradients[0][0, :, 2].eq(0).all()
    assert all(gradient.isfinite().all() and gradient[1].eq(0).all() for gradient in gradients)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)], ids=str)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"mask": MASKS["full"]}], ids=names)
def test_half_precision_is_as_exact_as_its_digits_allow(dtype, tolerance, options):
    qkv = draw(dtype)
    ours = value_and_gradients(lambda *t: dot_product_attention(*t, **options), *qkv)
    exact = value_and_gradients(lambda *t: dot_product_attention(*t, **options), *(t.double() for t in qkv))
    for mine, reference in zip(ours, exact, strict=True):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine.double(), reference, rtol=tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"mask": MASKS["full"]}, {"scale": 0.3}], ids=names)
def test_weights_are_the_matrix_that_mixes_the_values(options):
    query, key, value = draw(n_heads=6, n_kv_heads=3) if "mask" not in options else draw()
    weights = attention_weights(query, key, **options)
    repeated = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
    assert_agree([weights @ repeated], [dot_product_attention(query, key, value, **options)], 1e-10)
    assert_agree([weights.sum(-1)], [torch.ones(weights.shape[:-1], dtype=torch.float64)], 1e-10)


def test_weights_have_the_gradient_of_the_softmax():
    mask = MASKS["full"]
    query, key, _ = draw()

    def equation(q, k):
        return (q @ k.mT / D_HEAD**0.5).masked_fill(~mask, -torch.inf).softmax(-1)

    ours = value_and_gradients(lambda q, k: attention_weights(q, k, mask), query, key)
    assert_agree(ours, value_and_gradients(equation, query, key), 1e-10)


@pytest.mark.parametrize("scale", [0.25, 2.0, 0.0, -1.0])
def test_scale_multiplies_the_scores(scale):
    query, key, value = draw()
    expected = naive.naive_attention(query * scale * D_HEAD**0.5, key, value)
    assert_agree([dot_product_attention(query, key, value, scale=scale)], [expected], 1e-10)


def test_large_scores_do_not_overflow():
    query, key, value = draw(torch.float32)
    assert dot_product_attention(query * 1e4, key * 1e4, value).isfinite().all()


def test_dropout_drops_weights_and_keeps_the_mean():
    query, key, value = draw(torch.float32, batch=1)
    kept = torch.stack([dot_product_attention(query, key, value, dropout_p=0.3) for _ in range(500)])
    torch.testing.assert_close(kept.mean(0), dot_product_attention(query, key, value), rtol=0, atol=0.12)
    assert kept.std(0).gt(0.05).all()


@given(st.integers(1, 13), st.integers(1, 13), st.integers(0, 2**32 - 1))
def test_order_of_the_keys_does_not_matter_and_that_of_the_queries_carries_over(n_query, n_key, seed):
    generator = torch.Generator().manual_seed(seed)
    query, key, value = draw(n_query=n_query, n_key=n_key)
    of_query, of_key = torch.randperm(n_query, generator=generator), torch.randperm(n_key, generator=generator)
    mask = torch.rand(n_query, n_key, generator=generator) < 0.5
    output = dot_product_attention(query, key, value, mask)
    shuffled = dot_product_attention(
        query[:, :, of_query], key[:, :, of_key], value[:, :, of_key], mask[of_query][:, of_key]
    )
    assert_agree([shuffled], [output[:, :, of_query]], 1e-10)


@given(st.integers(2, 13), st.data())
def test_a_later_position_never_changes_an_earlier_output(n, data):
    changed = data.draw(st.integers(1, n - 1))
    query, key, value = draw(n_query=n, n_key=n)
    before = dot_product_attention(query, key, value, is_causal=True)
    for tensor in (query, key, value):
        tensor[:, :, changed:] += 1.0
    after = dot_product_attention(query, key, value, is_causal=True)
    assert_agree([after[:, :, :changed]], [before[:, :, :changed]], 1e-12)
    assert not torch.allclose(after[:, :, changed:], before[:, :, changed:])


@given(st.integers(1, 11), st.integers(1, 7), st.booleans())
def test_masked_keys_and_values_change_nothing(n_key, n_padding, left):
    query, key, value = draw(n_key=n_key)
    expected = dot_product_attention(query, key, value)
    mask = torch.ones(n_key, dtype=torch.bool)

    def pad(tensor, fill):
        padding = torch.full((*tensor.shape[:-2], n_padding, tensor.shape[-1]), fill).to(tensor)
        return torch.cat([padding, tensor] if left else [tensor, padding], dim=-2)

    padded_mask = pad(mask[:, None], False)[:, 0]
    assert_agree([dot_product_attention(query, pad(key, 9.0), pad(value, 9.0), padded_mask)], [expected], 1e-10)


def test_arguments_are_left_as_they_were():
    tensors = [*draw(), MASKS["full"].clone()]
    copies = [t.clone() for t in tensors]
    dot_product_attention(*tensors, is_causal=True)
    attention_weights(tensors[0], tensors[1], tensors[3], is_causal=True)
    for tensor, copy in zip(tensors, copies, strict=True):
        assert torch.equal(tensor, copy)


def test_works_under_vmap():
    query, key, value = draw(torch.float32, batch=3)
    batched = torch.func.vmap(lambda *qkv: dot_product_attention(*qkv))(query, key, value)
    assert_agree([batched], [dot_product_attention(query, key, value)], 1e-5)
