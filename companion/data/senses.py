"""Sentences with the word "bank", and which bank each of them means.

The sentences come out of fetched texts. Their senses were told apart by a person reading them; what is stored here is
only that judgement, under a hash of the sentence.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from importlib import resources

from companion.data.loading import rows_of
from companion.data.source import Row

SOURCES = ("wiki", "boolq", "factbook")
WORD = re.compile(r"\bbanks?\b")
END_OF_SENTENCE = re.compile(r"(?<=[.!?]) +(?=[A-Z])")
SHORTEST, LONGEST = 30, 400  # characters


def bank_senses() -> list[Row]:
    """Read the sentences in which a bank is one of money or one of a river.

    Sentences where it is neither (a blood bank, a bank holiday, a sand bank) were left out by the reader.

    Returns
    -------
    list of dict
        ``text``, ``word`` (as it is written there, ``bank`` or ``banks``), ``sense`` (``money`` or ``river``) and
        ``source``.

    Raises
    ------
    FileNotFoundError
        When a source has not been fetched.
    """
    labels = json.loads(resources.files("companion.data").joinpath("bank_senses.json").read_text("utf8"))
    return [
        {"text": text, "word": WORD.findall(text)[0], "sense": labels[key], "source": source}
        for source, text in sentences()
        if (key := key_of(text)) in labels
    ]


def sentences() -> Iterator[tuple[str, str]]:
    """Yield each source's sentences with the word, each once."""
    seen = set()
    for source in SOURCES:
        for row in rows_of(source):
            for text in END_OF_SENTENCE.split(row["text"]):
                if WORD.search(text) and SHORTEST < len(text) < LONGEST and text not in seen:
                    seen.add(text)
                    yield source, text


def key_of(text: str) -> str:
    """Name a sentence without quoting it."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
