"""Attention as the compiler gets it, block by block and divided at the end: the numbers and gradients of the kernel.

What is written for the compiler also runs without it, so these tests do not compile. The kernel is held to the equation
by the tests of the dot product.
"""

import pytest
import torch
import torch.nn.functional as F

from companion.attention import dot_product, dot_product_attention
from companion.transformer import FeedForward
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree, heads, value_and_gradients

BATCH, HEAD, LENGTH, D_HEAD = 2, 3, 11, 7


@pytest.fixture(autouse=True)
def _for_the_compiler(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)


def some_mask(*shape):
    """A mask that hides all keys from some queries."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(4)) < 0.6
    mask[..., 2:4, :] = False
    return mask


MASKS = {
    "none": None,
    "over query and key": some_mask(LENGTH, LENGTH),
    "over key": some_mask(1, LENGTH)[0] | (torch.arange(LENGTH) == 0),
    "over query": some_mask(LENGTH, 1),
    "full": some_mask(BATCH, HEAD, LENGTH, LENGTH),
    "nothing": torch.tensor(False),
}


def draw(dtype=torch.float64, n_query=LENGTH, n_kv_heads=HEAD):
    """Queries, keys and values."""
    return (
        heads(BATCH, HEAD, n_query, D_HEAD, dtype=dtype, seed=1),
        heads(BATCH, n_kv_heads, LENGTH, D_HEAD, dtype=dtype, seed=2),
        heads(BATCH, n_kv_heads, LENGTH, 5, dtype=dtype, seed=3),
    )


def assert_as_the_kernel(function, tensors, tolerance):
    """Compare with what runs when nothing is compiled."""
    ours = value_and_gradients(function, *tensors)
    with pytest.MonkeyPatch.context() as eager:
        eager.setattr(torch.compiler, "is_compiling", lambda: False)
        theirs = value_and_gradients(function, *tensors)
    assert_agree(ours, theirs, tolerance)


@pytest.mark.parametrize("block", [1, 4, 11, 128])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_causal_attention_in_blocks_is_the_equation(dtype, mask, block, monkeypatch):
    monkeypatch.setattr(dot_product, "QUERIES", block)
    assert_as_the_kernel(lambda *qkv: dot_product_attention(*qkv, mask, is_causal=True), draw(dtype), TOLERANCE[dtype])


@pytest.mark.parametrize("n_query", [1, 5, LENGTH])
@pytest.mark.parametrize("is_causal", [False, True])
def test_other_shapes_biases_and_shared_heads_are_the_kernels(n_query, is_causal, monkeypatch):
    monkeypatch.setattr(dot_product, "QUERIES", 3)
    for bias in (heads(HEAD, n_query, LENGTH, seed=5), heads(1, LENGTH, seed=6), heads(HEAD, n_query, 1, seed=7)):

        def function(*tensors):
            *qkv, bias = tensors
            return dot_product_attention(*qkv, bias=bias, is_causal=is_causal, scale=0.3)

        assert_as_the_kernel(function, (*draw(n_query=n_query, n_kv_heads=1), bias), 1e-10)


def test_rounded_it_is_near_the_truth():
    rounded = draw(torch.bfloat16)
    ours = value_and_gradients(lambda *qkv: dot_product_attention(*qkv, is_causal=True), *rounded)
    exact = [tensor.double() for tensor in rounded]
    with pytest.MonkeyPatch.context() as eager:
        eager.setattr(torch.compiler, "is_compiling", lambda: False)
        true = value_and_gradients(lambda *qkv: dot_product_attention(*qkv, is_causal=True), *exact)
    for mine, other in zip(ours, true, strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine - other).norm() <= 0.02 * other.norm()


def test_huge_scores_neither_overflow_nor_vanish():
    query = torch.full((1, 1, 4, 1), 1e4, dtype=torch.float64)
    key = torch.tensor([1.0, 2.0, -3.0, 2.0], dtype=torch.float64)[None, None, :, None]
    value = torch.arange(4.0, dtype=torch.float64)[None, None, :, None]
    mixed = dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(mixed.flatten(), torch.tensor([0.0, 1.0, 1.0, 2.0], dtype=torch.float64))


def test_dropped_weights_are_made_up_for_by_the_others():
    ones = torch.ones(1, 1, 400, 1)
    torch.manual_seed(0)
    mixed = dot_product_attention(torch.zeros_like(ones), torch.zeros_like(ones), ones, is_causal=True, dropout_p=0.5)
    assert mixed[0, 0, 0, 0] in (0.0, 2.0)
    assert abs(mixed[..., 200:, :].mean() - 1) < 0.02


def test_the_bend_of_gpt2_is_the_one_that_torch_has():
    layer = FeedForward(5, 9, activation="gelu_tanh").double()

    def kernel(x):
        return layer.down(F.gelu(layer.up(x), approximate="tanh"))

    x = 4 * heads(50, 5)
    assert_agree(value_and_gradients(layer, x), value_and_gradients(kernel, x), 1e-12)
