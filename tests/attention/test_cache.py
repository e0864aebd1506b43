"""A cache changes what decoding costs and nothing else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.attention import KVCache, MultiHeadAttention
from tests.attention.compare import assert_agree, heads

D_MODEL, N_HEADS, BATCH, LENGTH = 30, 6, 2, 13


def chunks_of(total):
    """Ways to cut a text into pieces."""
    return st.lists(st.booleans(), min_size=total - 1, max_size=total - 1).map(
        lambda cuts: [len(piece) + 1 for piece in "".join("x" if cut else "." for cut in cuts).split("x")]
    )


@given(chunks_of(LENGTH), st.sampled_from([1, 2, 6]))
def test_reading_in_any_chunks_equals_reading_at_once(sizes, n_kv_heads):
    assert sum(sizes) == LENGTH
    attention = MultiHeadAttention(D_MODEL, N_HEADS, n_kv_heads=n_kv_heads).double()
    x = heads(BATCH, LENGTH, D_MODEL)
    with torch.no_grad():
        cache = KVCache(BATCH, n_kv_heads, LENGTH, D_MODEL // N_HEADS, dtype=torch.float64)
        pieces = [attention(piece, is_causal=True, cache=cache) for piece in x.split(sizes, dim=1)]
        assert_agree([torch.cat(pieces, dim=1)], [attention(x, is_causal=True)], 1e-10)
    assert cache.length == LENGTH


@given(chunks_of(LENGTH))
def test_a_mask_covers_cached_and_new_positions(sizes):
    attention = MultiHeadAttention(D_MODEL, N_HEADS).double()
    x = heads(BATCH, LENGTH, D_MODEL)
    padding = torch.ones(BATCH, 1, 1, LENGTH, dtype=torch.bool)
    padding[1, ..., :4] = False
    with torch.no_grad():
        cache = KVCache(BATCH, N_HEADS, LENGTH, D_MODEL // N_HEADS, dtype=torch.float64)
        pieces = []
        for piece in x.split(sizes, dim=1):
            mask = padding[..., : cache.length + piece.shape[1]]
            pieces.append(attention(piece, mask=mask, is_causal=True, cache=cache))
        assert_agree([torch.cat(pieces, dim=1)], [attention(x, mask=padding, is_causal=True)], 1e-10)


def test_append_returns_what_was_appended_so_far_without_copying():
    cache = KVCache(2, 3, 7, 5)
    first, second = heads(2, 3, 4, 5, dtype=torch.float32), heads(2, 3, 3, 5, dtype=torch.float32, seed=1)
    assert cache.max_len == 7
    cache.append(first, -first)
    keys, values = cache.append(second, -second)
    assert torch.equal(keys, torch.cat([first, second], dim=2))
    assert torch.equal(values, -keys)
    assert keys.data_ptr() == cache.keys.data_ptr()
    assert values.data_ptr() == cache.values.data_ptr()


def test_reset_forgets_and_keeps_the_room():
    cache = KVCache(1, 1, 2, 3)
    room = cache.keys.data_ptr()
    cache.append(torch.ones(1, 1, 2, 3), torch.ones(1, 1, 2, 3))
    cache.reset()
    keys, values = cache.append(torch.zeros(1, 1, 1, 3), torch.zeros(1, 1, 1, 3))
    assert cache.length == keys.shape[2] == 1
    assert not keys.any()
    assert not values.any()
    assert cache.keys.data_ptr() == room


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_decodes(dtype):
    attention = MultiHeadAttention(D_MODEL, N_HEADS).to(dtype)
    x = heads(BATCH, LENGTH, D_MODEL, dtype=dtype)
    with torch.no_grad():
        cache = KVCache(BATCH, N_HEADS, LENGTH, D_MODEL // N_HEADS, dtype=dtype)
        pieces = [attention(piece, is_causal=True, cache=cache) for piece in x.split(1, dim=1)]
        assert_agree([torch.cat(pieces, dim=1)], [attention(x, is_causal=True)], 2e-2)
