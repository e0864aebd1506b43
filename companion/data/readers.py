"""From the fetched files to clean rows: whitespace, leftovers of markup, duplicates.

Both texts were taken from wiki pages by their packagers, who dropped templates. What a template produced (a formula,
a temperature) is lost, so a reader tidies the hole it left or, where the sentence cannot be read, drops the row.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SHORTEST = 30  # characters; below it a row is a stub
EMPTY_FORMULA = "\u2060\u2060"  # the word joiners that stood around a formula
INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200d\u2060\ufeff"))
EMPTY = re.compile(r"\(\s*[,;]?\s*\)")
HOLLOW = re.compile(r"\(\s*[,;]?\s*")
DRIFTED = re.compile(r" ([,.;:)])(?=[\s)]|$)")  # punctuation a space away from its word; not the dots of " ..."
NOT_LETTERS = re.compile(r"\W+")
REFERENCE = re.compile(r"<ref[^>]*/>|<ref[^>]*>.*?</ref>", re.DOTALL)
TAG = re.compile(r"</?[a-z][^>]*>")
EMPHASIS = re.compile(r"'{2,}")
MARKUP_LEFT = re.compile(r"\{\{|\}\}|\[\[|\]\]|\[?https?:|\|")


def tidy(text: str) -> str:
    """Normalise Unicode to NFC, whitespace to single spaces, and close the holes of removed templates."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(INVISIBLE)
    if "(" in text:
        text = HOLLOW.sub("(", EMPTY.sub(" ", text))
    text = " ".join(text.split())
    return DRIFTED.sub(r"\1", text)


def strip_markup(text: str) -> str:
    """Remove references, tags and emphasis marks of wiki markup, and resolve HTML entities."""
    text = REFERENCE.sub(" ", html.unescape(text))
    return EMPHASIS.sub("", TAG.sub(" ", text))


def unique(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the first of the rows whose texts differ only in case, spaces and punctuation; drop stubs."""
    seen: set[str] = set()
    kept = []
    for row in rows:
        letters = NOT_LETTERS.sub("", row["text"].lower())
        if len(row["text"]) >= SHORTEST and letters not in seen:
            seen.add(letters)
            kept.append(row)
    return kept


def read_wiki(folder: Path) -> list[dict[str, Any]]:
    """Read the encyclopaedia leads; articles whose text has lost its formulas are left out."""
    articles = json.loads((folder / "summaries_en-us.json").read_text(encoding="utf-8")).values()
    return unique(
        {
            "title": tidy(article["title"]),
            "description": tidy(article["description"] or ""),
            "text": tidy(article["extract"]),
            "topic": article["topic"],
        }
        for article in articles
        if EMPTY_FORMULA not in article["extract"]
    )


def read_recipes(folder: Path) -> list[dict[str, Any]]:
    """Read the recipes; those with markup that cannot be removed safely are left out."""
    recipes = json.loads((folder / "recipes_en-us.json").read_text(encoding="utf-8")).values()
    rows = map(_recipe, recipes)
    return unique(row for row in rows if not MARKUP_LEFT.search(row["text"]))


def _recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    title = tidy(strip_markup(recipe["title"]))
    ingredients, steps = _items(recipe["ingredients"]), _items(recipe["steps"])
    text = f"{title}\nIngredients: {'; '.join(ingredients)}\n{' '.join(steps)}"
    return {
        "title": title,
        "category": tidy(recipe["category"] or ""),
        "ingredients": ingredients,
        "steps": steps,
        "text": text,
    }


def _items(lines: list[str]) -> list[str]:
    # A line that began a nested list still carries its bullet; a line that was only a template is now empty.
    items = (tidy(strip_markup(line)).lstrip("* ") for line in lines)
    return [item for item in items if item]
