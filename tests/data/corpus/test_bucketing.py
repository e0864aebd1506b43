"""Batches of similar lengths: every token once an epoch, and less padding than by chance."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.data.corpus import Bucketed

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=25).filter(any)


def numbered(lengths):
    """Documents of these lengths in which no token occurs twice."""
    starts = np.cumsum([0, *lengths])
    return [range(start, start + length) for start, length in zip(starts.tolist(), lengths, strict=False)]


@given(
    lengths=LENGTHS,
    length=st.integers(1, 17),
    batch_size=st.integers(1, 5),
    pool=st.integers(1, 4),
    multiple_of=st.integers(1, 8),
    epoch=st.integers(0, 3),
)
def test_every_token_is_in_one_place_of_an_epoch(shards_of, lengths, length, batch_size, pool, multiple_of, epoch):
    options = {"length": length, "batch_size": batch_size, "pool": pool, "multiple_of": multiple_of, "pad_id": 7}
    batches = Bucketed(shards_of(numbered(lengths)), **options)
    seen = Counter()
    for step in range(epoch * len(batches), (epoch + 1) * len(batches)):
        ids, mask = batches(step)["input_ids"], batches(step)["attention_mask"]
        assert ids.dtype == torch.int64
        assert mask.dtype == torch.bool
        assert (ids[~mask] == 7).all()
        assert len(ids) <= batch_size
        longest = int(mask.sum(1).max())
        assert longest <= length
        assert ids.shape[1] == -(-longest // multiple_of) * multiple_of
        assert (mask.sum(1) > 0).all()
        assert torch.equal(mask, torch.arange(ids.shape[1]) < mask.sum(1, keepdim=True))
        seen.update(ids[mask].tolist())
    assert seen == Counter(range(sum(lengths)))


def test_a_row_is_a_whole_document_or_a_piece_of_a_long_one(shards_of):
    documents = numbered([3, 9, 20, 1, 7])
    batches = Bucketed(shards_of(documents), length=9, batch_size=2)
    rows = [
        ids[mask].tolist()
        for batch in map(batches, range(len(batches)))
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    expected = [list(document[start : start + 9]) for document in documents for start in range(0, len(document), 9)]
    assert sorted(rows) == sorted(expected)


def test_the_more_is_sorted_together_the_less_is_padding(shards_of):
    rng = np.random.default_rng(0)
    shards = shards_of([[1] * int(size) for size in rng.geometric(0.02, 2000)])
    padding = [Bucketed(shards, length=256, batch_size=16, pool=pool).padding for pool in (1, 10, 125)]
    assert padding[0] > 0.5
    assert padding[1] < 0.25
    assert padding[2] < 0.05


def test_padding_is_what_the_masks_say(shards_of):
    batches = Bucketed(shards_of(numbered([3, 9, 20, 1, 7, 5, 5])), length=9, batch_size=3, pool=2)
    masks = [batches(step)["attention_mask"] for step in range(len(batches))]
    assert batches.padding == pytest.approx(1 - sum(mask.sum() for mask in masks) / sum(mask.numel() for mask in masks))


@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_a_batch_does_not_depend_on_what_was_asked_before(shards_of, steps):
    shards = shards_of(numbered([3, 5, 2, 7, 11, 4]))
    batches = Bucketed(shards, length=8, batch_size=2, seed=3, pool=2)
    for step in steps:
        fresh = Bucketed(shards, length=8, batch_size=2, seed=3, pool=2)(step)
        assert all(torch.equal(value, fresh[name]) for name, value in batches(step).items())


def test_epochs_and_seeds_have_orders_of_their_own(shards_of):
    shards = shards_of(numbered([3, 5, 2, 7, 1, 4] * 10))

    def epoch_of(seed, epoch):
        batches = Bucketed(shards, length=8, batch_size=4, seed=seed)
        steps = range(epoch * len(batches), (epoch + 1) * len(batches))
        return tuple(token for step in steps for token in batches(step)["input_ids"].flatten().tolist())

    assert len({epoch_of(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"length": 0}, ValueError, "length must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer"),
        ({"pool": 0}, ValueError, "pool must be at least 1"),
        ({"multiple_of": 0}, ValueError, "multiple_of must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"pad_id": -1}, ValueError, "pad_id must be at least 0"),
    ],
)
def test_wrong_options_are_named(shards_of, options, error, message):
    with pytest.raises(error, match=message):
        Bucketed(shards_of([[1, 2]]), **({"length": 4, "batch_size": 2} | options))


def test_what_is_no_corpus_is_named(shards_of):
    with pytest.raises(TypeError, match="shards must be Shards, got None"):
        Bucketed(None, length=4, batch_size=2)
    with pytest.raises(ValueError, match="shards must hold at least one token"):
        Bucketed(shards_of([[], []]), length=4, batch_size=2)
    with pytest.raises(ValueError, match="step must be at least 0"):
        Bucketed(shards_of([[1]]), length=4, batch_size=2)(-1)
