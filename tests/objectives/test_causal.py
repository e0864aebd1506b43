"""Causal labels, against a loop: the next token, of the same document, and no padding."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.objectives import causal_labels
from tests.objectives import naive

ROWS = st.integers(1, 9).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 1), min_size=n, max_size=n), min_size=1, max_size=4)
)


def draw(batch, length):
    return torch.randint(97, (batch, length), generator=torch.Generator().manual_seed(0))


@given(ROWS, st.booleans())
def test_by_a_loop_with_any_mask(mask, as_bool):
    ids = draw(len(mask), len(mask[0]))
    given_mask = torch.tensor(mask)
    labels = causal_labels(ids, attention_mask=given_mask.bool() if as_bool else given_mask)
    assert labels.tolist() == naive.causal_labels(ids, mask)


@given(ROWS)
def test_by_a_loop_with_documents(steps):
    documents = torch.tensor(steps).cumsum(1) - 1  # the first may be padding
    ids = draw(*documents.shape)
    labels = causal_labels(ids, document_ids=documents)
    assert labels.tolist() == naive.causal_labels(ids, documents=documents.tolist())


def test_a_whole_row():
    assert causal_labels(torch.tensor([[7, 8, 9]])).tolist() == [[8, 9, -100]]
    assert causal_labels(torch.tensor([[7]], dtype=torch.int32)).dtype == torch.int32


def test_padding_on_the_left_is_not_asked_for_the_first_token():
    labels = causal_labels(torch.tensor([[0, 0, 7, 8]]), attention_mask=torch.tensor([[0, 0, 1, 1]]))
    assert labels.tolist() == [[-100, -100, 8, -100]]


def test_the_texts_stay_as_they_were():
    ids = draw(2, 5)
    before = ids.clone()
    causal_labels(ids).fill_(3)
    assert ids.equal(before)


IDS = draw(2, 5)


@pytest.mark.parametrize(
    ("ids", "options", "error", "message"),
    [
        (IDS.tolist(), {}, TypeError, "input_ids must be a tensor of torch.int64 or int32 (batch pos)"),
        (IDS.float(), {}, TypeError, "input_ids must be a tensor of torch.int64 or int32 (batch pos)"),
        (IDS[0], {}, ValueError, "input_ids must have exactly 2 axes (batch pos)"),
        (IDS[:, :0], {}, ValueError, "input_ids has an empty axis 'pos'"),
        (IDS, {"attention_mask": [1]}, TypeError, "attention_mask must be an integer or boolean tensor"),
        (IDS, {"attention_mask": torch.ones(2, 5)}, TypeError, "attention_mask must be an integer or boolean tensor"),
        (IDS, {"attention_mask": IDS[:, 1:]}, ValueError, "attention_mask must have input_ids' shape (2, 5)"),
        (IDS, {"document_ids": IDS.bool()}, TypeError, "document_ids must be a tensor of torch.int64 or int32"),
        (IDS, {"document_ids": IDS.T}, ValueError, "document_ids must have input_ids' shape (2, 5)"),
    ],
)
def test_wrong_arguments(ids, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        causal_labels(ids, **options)
