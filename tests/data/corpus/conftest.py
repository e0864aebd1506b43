"""Shards of documents that a test writes down as lists of token ids."""

import json
import tempfile
from pathlib import Path

import pytest

from companion.data.corpus import Shards


@pytest.fixture(scope="session")
def shards_of(tmp_path_factory):
    """A function from lists of token ids to shards that hold them."""
    root = tmp_path_factory.mktemp("shards")

    def build(documents, **options):
        folder = Path(tempfile.mkdtemp(dir=root)) / "shards"
        texts = [json.dumps([int(token) for token in document]) for document in documents]
        return Shards.build(texts, json.loads, folder, fingerprint="json", progress=False, **options)

    return build
