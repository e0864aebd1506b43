"""What the readers share: Unicode and whitespace, leftovers of markup, duplicates."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SHORTEST = 30  # characters; below it a row of running text is a stub
INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200d\u200e\u200f\u202a\u202c\u2060\ufeff"))
EMPTY = re.compile(r"\(\s*[,;]?\s*\)")
HOLLOW = re.compile(r"\(\s*[,;]?\s*")
# Punctuation a space away from its word; not the dots of " ...". French has a space before its colon and semicolon.
DRIFTED = re.compile(r" ([,.;:)])(?=[\s)]|$)")
DRIFTED_FRENCH = re.compile(r" ([,.)])(?=[\s)]|$)")
NOT_LETTERS = re.compile(r"\W+")
REFERENCE = re.compile(r"<ref[^>]*/>|<ref[^>]*>.*?</ref>", re.DOTALL)
TAG = re.compile(r"</?[a-z][^>]*>")
EMPHASIS = re.compile(r"'{2,}")


def plain(text: str) -> str:
    """Normalise Unicode to NFC and whitespace to single spaces, and drop invisible characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(INVISIBLE))
    return " ".join(text.split())


def tidy(text: str, *, drifted: re.Pattern[str] = DRIFTED) -> str:
    """Make text plain and close the holes of removed templates."""
    text = plain(text)
    if "(" in text:
        text = " ".join(HOLLOW.sub("(", EMPTY.sub(" ", text)).split())
    return drifted.sub(r"\1", text)


def strip_markup(text: str) -> str:
    """Remove references, tags and emphasis marks of wiki markup, and resolve HTML entities."""
    text = REFERENCE.sub(" ", html.unescape(text))
    return EMPHASIS.sub("", TAG.sub(" ", text))


def letters(text: str) -> str:
    """Return what makes two texts the same: letters and digits, without case, spaces and punctuation."""
    return NOT_LETTERS.sub("", text.lower())


def unique(rows: Iterable[dict[str, Any]], *, shortest: int = SHORTEST) -> list[dict[str, Any]]:
    """Keep the first of the rows whose texts differ only in case, spaces and punctuation; drop stubs."""
    seen: set[str] = set()
    kept = []
    for row in rows:
        key = letters(row["text"])
        if len(row["text"]) >= shortest and key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def json_lines(path: Path) -> Iterator[Any]:
    """Read a file with one JSON value a line."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
