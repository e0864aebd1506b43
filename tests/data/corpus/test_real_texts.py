"""What the pages say about real texts."""

import pytest

from companion.data.corpus import Bucketed, PackedRows, Shards, split_documents
from companion.data.loading import part, rows_of

pytestmark = pytest.mark.data


def windows(texts, size=100):
    encoded = [text.encode() for text in texts]
    return {text[start : start + size] for text in encoded for start in range(len(text) - size + 1)}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Encyclopaedia leads, a token a word: only the lengths matter here."""
    texts = [row["text"] for row in rows_of("wiki")[:4000]]
    folder = tmp_path_factory.mktemp("wiki") / "shards"
    return Shards.build(texts, lambda text: [1] * len(text.split()), folder, fingerprint="words", progress=False)


def test_packing_leaves_little_empty(shards):
    assert PackedRows(shards, length=128, batch_size=32).fill > 0.96
    assert PackedRows(shards, length=512, batch_size=32).fill > 0.99


def test_sorting_by_length_saves_nearly_all_padding(shards):
    by_chance, sorted_by_length = (Bucketed(shards, length=512, batch_size=32, pool=pool).padding for pool in (1, 100))
    assert by_chance > 0.5
    assert sorted_by_length < 0.04


def test_rows_split_at_random_leak_and_ours_do_not():
    rows = rows_of("boolq")[:2500]
    train, held_out = (windows(row["text"] for row in part(rows, name, 0)) for name in ("train", "validation"))
    assert len(train & held_out) > 0.03 * len(held_out)
    split = split_documents([row["text"] for row in rows])
    assert not windows(split.train) & windows(split.validation)
