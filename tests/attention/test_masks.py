"""The masks say who may look at whom."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.attention import causal_mask, combine_masks, padding_mask


@given(st.integers(1, 13), st.integers(1, 13))
def test_causal_mask_is_aligned_at_the_bottom_right(n_query, n_key):
    expected = [[key - n_key <= query - n_query for key in range(n_key)] for query in range(n_query)]
    assert causal_mask(n_query, n_key).tolist() == expected


def test_causal_mask_is_square_by_default_and_lives_where_asked():
    mask = causal_mask(3, device="meta")
    assert mask.shape == (3, 3)
    assert mask.device.type == "meta"
    assert causal_mask(2).tolist() == [[True, False], [True, True]]


@given(
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from(["long", "int", "bool"]),
)
def test_padding_mask_keeps_the_tokens_for_every_head_and_query(rows, dtype):
    attention_mask = getattr(torch.tensor(rows), dtype)()
    mask = padding_mask(attention_mask)
    assert mask.shape == (len(rows), 1, 1, 3)
    assert mask.dtype == torch.bool
    assert mask[:, 0, 0].tolist() == rows


def test_padding_mask_of_an_empty_batch_is_empty():
    assert padding_mask(torch.ones(0, 3, dtype=torch.long)).shape == (0, 1, 1, 3)


def test_combined_masks_allow_what_all_allow():
    causal, padding = causal_mask(3), padding_mask(torch.tensor([[1, 1, 0], [0, 1, 1]]))
    combined = combine_masks(causal, None, padding)
    assert combined.shape == (2, 1, 3, 3)
    for text in range(2):
        for query in range(3):
            for key in range(3):
                assert combined[text, 0, query, key] == (causal[query, key] and padding[text, 0, 0, key])


def test_no_mask_is_no_constraint():
    assert combine_masks() is None
    assert combine_masks(None, None) is None
    assert combine_masks(None, causal_mask(2)).tolist() == causal_mask(2).tolist()
