"""The strings of a program's interface in several languages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from companion.data.readers.cleaning import json_lines, letters, plain

SOURCE_LANGUAGE = "en"


def read_interface_strings(folder: Path) -> list[dict[str, Any]]:
    """Read the strings, one row a key and language.

    Of the keys with the same English text (many are "Username") only the one with the most translations is kept, and a
    string that was left in English is no translation.
    """
    languages = {path.stem: dict(_strings(path)) for path in sorted(folder.glob("*.jsonl"))}
    english = languages.pop(SOURCE_LANGUAGE)
    rows: dict[str, list[dict[str, Any]]] = {}
    for key, source in english.items():
        texts = {
            name: text for name, strings in languages.items() if (text := strings.get(key)) not in {None, "", source}
        }
        same = letters(source)
        if same and len(texts) >= len(rows.get(same, [])):
            rows[same] = [
                {"key": key, "language": language, "text": text}
                for language, text in ({SOURCE_LANGUAGE: source} | texts).items()
            ]
    return [row for group in rows.values() for row in group]


def _strings(path: Path) -> Iterator[tuple[str, str]]:
    for name, text in json_lines(path):
        yield from _flat(json.loads(text), PurePosixPath(name).parts[2])


def _flat(tree: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.{name}")
        elif isinstance(value, str):
            yield f"{key}.{name}", plain(value)
