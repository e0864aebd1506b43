"""Packed rows: every token once an epoch, documents apart, and the same batch for the same step in every process."""

import os
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.data.corpus import PackedRows
from companion.data.corpus.packing import best_fit
from companion.models import GPT, GPTConfig

DOCUMENTS = st.lists(st.integers(0, 40), min_size=1, max_size=25).filter(any)
DIGEST = "5c77c887e6e357fa007d13adfb0e0a7e7b52b68e0f8a5087379bd3e12587205b"
CUTS = st.sampled_from(["long", "anywhere"])


def numbered(lengths):
    """Documents of these lengths in which no token occurs twice."""
    starts = np.cumsum([0, *lengths])
    return [range(start, start + length) for start, length in zip(starts.tolist(), lengths, strict=False)]


def pieces_of(batch):
    """The stretches of one document in each row."""
    for ids, documents in zip(batch["input_ids"].tolist(), batch["document_ids"].tolist(), strict=True):
        for document in sorted(set(documents) - {-1}):
            places = [place for place, value in enumerate(documents) if value == document]
            assert places == list(range(places[0], places[-1] + 1))
            yield tuple(ids[places[0] : places[-1] + 1])


def epoch_of(batches, epoch):
    return [batches(step) for step in range(epoch * len(batches), (epoch + 1) * len(batches))]


@given(lengths=DOCUMENTS, length=st.integers(1, 17), batch_size=st.integers(1, 5), cut=CUTS, epoch=st.integers(0, 3))
def test_every_token_is_in_one_place_of_an_epoch(shards_of, lengths, length, batch_size, cut, epoch):
    batches = PackedRows(shards_of(numbered(lengths)), length=length, batch_size=batch_size, cut=cut, pad_id=7)
    seen = Counter()
    for batch in epoch_of(batches, epoch):
        ids, documents = batch["input_ids"], batch["document_ids"]
        assert ids.shape == documents.shape == (batch_size, length)
        assert ids.dtype == documents.dtype == torch.int64
        assert (ids[documents < 0] == 7).all()
        seen.update(ids[documents >= 0].tolist())
    assert seen == Counter(range(sum(lengths)))


@given(lengths=DOCUMENTS, length=st.integers(1, 17), batch_size=st.integers(1, 5), cut=CUTS)
def test_a_piece_is_a_stretch_of_one_document(shards_of, lengths, length, batch_size, cut):
    documents = numbered(lengths)
    batches = PackedRows(shards_of(documents), length=length, batch_size=batch_size, cut=cut)
    pieces = [piece for batch in epoch_of(batches, 1) for piece in pieces_of(batch)]
    for piece in pieces:
        (home,) = (document for document in documents if piece[0] in document)
        start = home.index(piece[0])
        assert list(home[start : start + len(piece)]) == list(piece)
    if cut == "long":
        whole = {tuple(document) for document in documents if 0 < len(document) <= length}
        assert whole <= set(pieces)


@given(lengths=DOCUMENTS, length=st.integers(1, 17), cut=CUTS)
def test_documents_are_numbered_from_the_left_and_padding_is_on_the_right(shards_of, lengths, length, cut):
    batches = PackedRows(shards_of(numbered(lengths)), length=length, batch_size=3, cut=cut)
    for batch in epoch_of(batches, 0):
        for row in batch["document_ids"].tolist():
            held = [value for value in row if value >= 0]
            assert row == held + [-1] * (length - len(held))
            assert held == sorted(held)
            assert set(held) == set(range(len(set(held))))


@given(sizes=st.lists(st.integers(1, 13), max_size=60), length=st.integers(13, 20))
def test_best_fit_is_that_of_the_definition(sizes, length):
    rooms = []
    for size in sorted(sizes, reverse=True):
        fitting = [row for row, room in enumerate(rooms) if room >= size]
        if not fitting:
            rooms.append(length)
        row = min(fitting, key=lambda row: rooms[row]) if fitting else -1
        rooms[row] -= size
    rows, n_rows = best_fit(np.array(sizes, dtype=np.int64), length)
    loads = np.bincount(rows, weights=sizes, minlength=n_rows) if sizes else []
    assert sorted(length - load for load in loads) == sorted(rooms)


def test_anywhere_fills_all_rows_but_the_last(shards_of):
    batches = PackedRows(shards_of(numbered([5, 0, 31, 2, 17])), length=7, batch_size=2, cut="anywhere")
    documents = torch.cat([batch["document_ids"] for batch in epoch_of(batches, 0)])
    assert (documents < 0).sum(1).tolist() == [0] * 7 + [1]
    assert batches.fill == 55 / 56


def test_rows_that_are_too_few_for_the_last_batch_are_empty(shards_of):
    batches = PackedRows(shards_of(numbered([5, 5, 5, 5])), length=6, batch_size=3, pad_id=2)
    assert len(batches) == 2
    assert (batches(1)["document_ids"][1:] == -1).all()
    assert (batches(1)["input_ids"][1:] == 2).all()
    assert batches.fill == 5 / 6  # the empty rows are not the packing's fault


def test_epochs_and_seeds_have_orders_of_their_own(shards_of):
    shards = shards_of(numbered([3, 5, 2, 7, 1, 4] * 10))

    def first_rows(seed, epoch):
        batches = PackedRows(shards, length=8, batch_size=4, seed=seed)
        return tuple(batches(epoch * len(batches))["input_ids"].flatten().tolist())

    assert len({first_rows(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9


@given(steps=st.lists(st.integers(0, 40), min_size=1, max_size=8), cut=CUTS)
def test_a_batch_does_not_depend_on_what_was_asked_before(shards_of, steps, cut):
    shards = shards_of(numbered([3, 5, 2, 7, 11, 4]))
    batches = PackedRows(shards, length=8, batch_size=2, seed=3, cut=cut)
    for step in steps:
        fresh = PackedRows(shards, length=8, batch_size=2, seed=3, cut=cut)(step)
        assert all(torch.equal(value, fresh[name]) for name, value in batches(step).items())


SCRIPT = """
import hashlib, sys
from companion.data.corpus import Bucketed, PackedRows, Shards
shards = Shards.open(sys.argv[1])
result = hashlib.sha256()
for batches in (PackedRows(shards, length=8, batch_size=3, seed=5), Bucketed(shards, length=8, batch_size=3, seed=5)):
    for step in map(int, sys.argv[2].split()):
        for name, value in batches(step).items():
            result.update(name.encode() + value.numpy().tobytes())
print(result.hexdigest())
"""


def test_another_process_with_another_hash_seed_sees_the_same_bytes(shards_of):
    folder = shards_of(numbered([3, 5, 2, 7, 11, 4, 9, 9])).folder
    digests = set()
    for hash_seed in ("0", "1234"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", SCRIPT, str(folder), "0 1 2 17 40"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        digests.add(ran.stdout)
    assert digests == {DIGEST + "\n"}  # and on another machine


def test_no_document_sees_another_in_its_row(shards_of):
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=61, max_len=13, d_model=24, n_heads=3, n_layers=2)).eval()
    batch = PackedRows(shards_of(numbered([3, 5, 2, 7, 11, 4, 29])), length=13, batch_size=3)(0)
    packed = model(batch["input_ids"], document_ids=batch["document_ids"])
    for row, documents in enumerate(batch["document_ids"]):
        for document in documents.unique():
            at = documents == document
            alone = model(batch["input_ids"][row, at][None])
            torch.testing.assert_close(packed[row, at], alone[0], atol=1e-5, rtol=1e-5)


def test_loading_costs_little_of_a_training_step(shards_of):
    rng = np.random.default_rng(0)
    shards = shards_of([rng.integers(0, 1000, size) for size in rng.integers(5, 300, 500)])
    batches = PackedRows(shards, length=128, batch_size=32)
    model = GPT(GPTConfig(vocab_size=1000, max_len=128, d_model=32, n_heads=2, n_layers=1))
    loads, steps = [], []
    for step in range(5):
        start = time.process_time()
        batch = batches(step)
        loaded = time.process_time()
        model(batch["input_ids"], document_ids=batch["document_ids"]).square().mean().backward()
        loads.append(loaded - start)
        steps.append(time.process_time() - start)
    # Measured 0.3 ms of 40; the models that are trained here are a hundred times larger.
    assert min(loads) < 0.05 * min(steps)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"length": 0}, ValueError, "length must be at least 1, got 0"),
        ({"length": 8.0}, TypeError, "length must be an integer"),
        ({"batch_size": True}, TypeError, "batch_size must be an integer"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"pad_id": -1}, ValueError, "pad_id must be at least 0"),
        ({"cut": "never"}, ValueError, "cut must be one of long, anywhere, got 'never'"),
    ],
)
def test_wrong_options_are_named(shards_of, options, error, message):
    with pytest.raises(error, match=message):
        PackedRows(shards_of([[1, 2]]), **({"length": 4, "batch_size": 2} | options))


def test_what_is_no_corpus_is_named(shards_of):
    with pytest.raises(TypeError, match=r"shards must be Shards, got .*list"):
        PackedRows([[1, 2]], length=4, batch_size=2)
    with pytest.raises(ValueError, match="shards must hold at least one token"):
        PackedRows(shards_of([[], []]), length=4, batch_size=2)


@pytest.mark.parametrize("step", [-1, 1.0, None])
def test_a_wrong_step_is_named(shards_of, step):
    with pytest.raises((TypeError, ValueError), match="step must be"):
        PackedRows(shards_of([[1, 2]]), length=4, batch_size=2)(step)
