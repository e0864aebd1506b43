"""The masked benchmark reads every text once, in few rows, and says how ragged it is."""

import torch

from companion.models import BERTConfig
from tests.benchmarks import masked


def test_little_more_than_half_of_the_padded_batch_is_text():
    _, is_text = masked.draw(True)
    assert is_text.shape == (32, 128)
    assert round(100 * is_text.float().mean().item()) == 55
    assert masked.draw(False)[1].all()


def test_packed_and_padded_hold_the_same_texts():
    documents = masked.texts(True)
    ids, labels, numbers = masked.packed(documents)
    padded_ids, padded_labels, mask = masked.padded(documents)
    assert len(ids) < 0.6 * len(padded_ids)
    for number, (text, asked) in enumerate(documents):
        here = numbers == number
        assert ids[here].equal(text)
        assert labels[here].equal(asked)
        assert padded_ids[number, : len(text)].equal(text)
        assert padded_labels[number, : len(text)].equal(asked)
    assert (numbers >= 0).sum() == mask.sum() == sum(len(text) for text, _ in documents)
    assert labels[numbers < 0].eq(-100).all()
    assert padded_labels[mask == 0].eq(-100).all()


def test_both_start_from_the_same_loss(monkeypatch):
    """At a small size; the benchmark itself asserts it at its own."""
    config = BERTConfig(vocab_size=97, max_len=17, d_model=12, n_heads=2, n_layers=2)
    monkeypatch.setattr(masked, "CONFIG", config)
    monkeypatch.setattr(masked, "BATCH", 5)
    monkeypatch.setattr(masked, "SHORTEST", 3)
    for is_ragged in (True, False):
        mine, theirs = masked.against(is_ragged, "plain", "plain")
        torch.testing.assert_close(mine(), theirs(), rtol=1e-5, atol=0)  # and after a step of each
