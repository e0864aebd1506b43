"""Chinese text: reviews with their labels, a newspaper cut into words, graded sentences with English."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from companion.data.readers.cleaning import letters, plain, unique

SHORTEST_REVIEW = 5  # characters: one word of praise or blame
SHORTEST_PARAGRAPH = 10  # characters: shorter lines of the newspaper are names of authors and captions
LOST = re.compile(r"[\u4e00-\u9fff]\?+(?=[\u4e00-\u9fff])|\ufffd")  # a character that an encoding did not have
MOST_LOST = 2


def read_zh_reviews(folder: Path) -> list[dict[str, Any]]:
    """Read the reviews, each once; those found with both labels or garbled by an encoding are left out."""
    rows = [
        {"text": plain(line), "label": label}
        for label, name in enumerate(("neg.txt", "pos.txt"))
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]
    labels = defaultdict(set)
    for row in rows:
        labels[letters(row["text"])].add(row["label"])
    return unique(
        (row for row in rows if len(labels[letters(row["text"])]) == 1 and len(LOST.findall(row["text"])) <= MOST_LOST),
        shortest=SHORTEST_REVIEW,
    )


def read_zh_news(folder: Path) -> list[dict[str, Any]]:
    """Read the newspaper's paragraphs with their words and the words' part-of-speech tags."""
    lines = (folder / "199801.txt").read_text(encoding="utf-8").splitlines()
    return unique(map(_paragraph, lines), shortest=SHORTEST_PARAGRAPH)


def _paragraph(line: str) -> dict[str, Any]:
    pairs = [token.rsplit("/", 1) for token in plain(line).split(" ") if token]
    words, tags = [word for word, _ in pairs], [tag for _, tag in pairs]
    return {"text": "".join(words), "words": words, "tags": tags}


def read_hsk(folder: Path) -> list[dict[str, Any]]:
    """Read the graded sentences with pinyin and an English translation."""
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    return unique(map(_sentence, sentences), shortest=1)


def _sentence(sentence: dict[str, Any]) -> dict[str, Any]:
    chinese = plain(sentence["chinese"])
    return {
        "chinese": chinese,
        "pinyin": plain(sentence["pinyin"]),
        "english": plain(sentence["translation"]["en"]),
        "level": sentence["hsk_level"],
        "text": chinese,
    }
