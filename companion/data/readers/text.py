"""Running text: the encyclopaedia's editions, recipes, passages, the Bible, the Factbook.

The wiki texts were taken from their pages by their packagers, who dropped templates. What a template produced (a
formula, a temperature) is lost, so a reader tidies the hole it left or, where the sentence cannot be read, drops the
row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from companion.data.readers.cleaning import (
    DRIFTED,
    DRIFTED_FRENCH,
    EMPHASIS,
    json_lines,
    plain,
    strip_markup,
    tidy,
    unique,
)

EMPTY_FORMULA = "\u2060\u2060"  # the word joiners that stood around a formula
LINK_MARK = re.compile(r" ?\((?:en|es|ru)\)| ?\[\d*\]| ?\[cita requerida\]")  # to another edition, or a footnote
MARKUP_LEFT = re.compile(r"\{\{|\}\}|\[\[|\]\]|\[?https?:|\|")
TREEBANK_QUOTE = re.compile(r"``|''")
TREEBANK_CLITIC = re.compile(r" (?='s\b)")
NO_VERSE = "[]"  # the last of 3 John, which other editions number apart
FEWEST_WORDS = 12  # of a Factbook entry: shorter ones are figures and names


def read_wiki(folder: Path) -> list[dict[str, Any]]:
    """Read one edition's encyclopaedia leads; articles whose text has lost its formulas are left out."""
    (path,) = folder.glob("summaries_*.json")
    drifted = DRIFTED_FRENCH if path.stem.endswith("fr-fr") else DRIFTED
    articles = json.loads(path.read_text(encoding="utf-8")).values()
    return unique(
        {
            "title": tidy(article["title"], drifted=drifted),
            "description": tidy(article["description"] or "", drifted=drifted),
            "text": tidy(EMPHASIS.sub("", LINK_MARK.sub("", article["extract"])), drifted=drifted),
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


def read_boolq(folder: Path) -> list[dict[str, Any]]:
    """Read the passages behind the questions, each once; the questions are not kept."""
    # The file of all questions has "Title -- passage", except for the development questions, which have a file of
    # their own with the title apart.
    titles = {row["passage"]: row["title"] for row in json_lines(folder / "dev.jsonl")}
    passages = (
        row["passage"] for name in ("combined.jsonl", "dev.jsonl", "test.jsonl") for row in json_lines(folder / name)
    )
    return unique(_passage(passage, titles.get(passage)) for passage in passages)


def _passage(passage: str, title: str | None) -> dict[str, Any]:
    if title is None:
        title, dash, rest = passage.partition(" -- ")
        title, passage = (title, rest) if dash else ("", passage)
    return {"title": tidy(_straighten(title)), "text": tidy(_straighten(passage))}


def _straighten(text: str) -> str:
    # As the Penn Treebank writes them: ``quoted'' and a clitic set apart ("the king 's").
    return TREEBANK_CLITIC.sub("", TREEBANK_QUOTE.sub('"', text))


def read_kjv(folder: Path) -> list[dict[str, Any]]:
    """Read the Bible, one row a chapter."""
    chapters: dict[tuple[str, int], list[str]] = {}
    for verse in json_lines(folder / "kjv.jsonl"):
        if verse["text"] != NO_VERSE:
            chapters.setdefault((verse["book"], verse["chapter"]), []).append(plain(verse["text"]))
    return unique(
        {"book": book, "chapter": chapter, "text": " ".join(verses)} for (book, chapter), verses in chapters.items()
    )


def read_factbook(folder: Path) -> list[dict[str, Any]]:
    """Read the Factbook's entries of a sentence or more, one row an entry."""
    countries = (_entries(path, json.loads(text)) for path, text in json_lines(folder / "countries.jsonl"))
    rows = (row for entries in countries for row in entries)
    return unique(row for row in rows if len(row["text"].split()) >= FEWEST_WORDS)


def _entries(path: str, country: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = _country_name(country) or PurePosixPath(path).parent.name.capitalize()  # the World has no name of its own
    for section, fields in country.items():
        for field, text in _texts(fields):
            yield {
                "country": name,
                "section": section,
                "field": field,
                "text": tidy(strip_markup(text).replace("**", "")),
            }


def _country_name(country: dict[str, Any]) -> str:
    government = country.get("Government", {})
    names = government.get("Country name") or government.get("Union name") or {}
    short, long = (names.get(f"conventional {form} form", {}).get("text", "") for form in ("short", "long"))
    return tidy(strip_markup(long if short in {"", "none"} else short))


def _texts(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Walk through nested fields to their texts."""
    for name, value in fields.items():
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                yield name.strip(), value["text"]
            yield from ((f"{name.strip()}, {inner}", text) for inner, text in _texts(value))
