"""Short English texts with a label that people gave: praise or blame, spam or not, what a question asks for."""

from __future__ import annotations

import csv
import html
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from companion.data.readers.cleaning import letters, plain, tidy, unique

# As the Penn Treebank writes them: a clitic and the question mark set apart, ``quoted ''.
SET_APART = re.compile(r" (?='(?:s|re|ve|ll|d|m)\b|n't\b|\?)")
QUOTED = re.compile(r"`` (.*?) ''")
QUOTED_ONCE = re.compile(r"` (.*?) '")
LOST = re.compile(r"\ufffd| NNP ")  # a character that an encoding did not have; words lost behind their tags


def read_movie_snippets(folder: Path) -> list[dict[str, Any]]:
    """Read sentences of film reviews with people's mean rating; its sign is the label, and zeros are left out."""
    rows = (
        {"text": plain(html.unescape(text)), "label": int(float(score) > 0), "score": float(score)}
        for _, score, text in _table(folder / "movieReviewSnippets_GroundTruth.txt")
    )
    return _decided(row for row in rows if row["score"])


def read_amazon_snippets(folder: Path) -> list[dict[str, Any]]:
    """Read sentences of product reviews with people's mean rating; sentences of one review have its number."""
    rows = (
        {
            "text": plain(html.unescape(text)),
            "label": int(float(score) > 0),
            "score": float(score),
            "review": number.partition("_")[0],
        }
        for number, score, text in _table(folder / "amazonReviewSnippets_GroundTruth.txt")
    )
    return _decided(row for row in rows if row["score"])


def read_sms_spam(folder: Path) -> list[dict[str, Any]]:
    """Read the text messages, each once."""
    with (folder / "sms-spam.csv").open(encoding="utf-8", newline="") as file:
        return _decided(
            {"text": plain(html.unescape(row["text"])), "label": int(row["spam"])} for row in csv.DictReader(file)
        )


def read_trec_questions(folder: Path) -> list[dict[str, Any]]:
    """Read the questions, each once, with the six coarse classes as the label and the fine one beside it."""
    lines = (folder / "question_labels.txt").read_text(encoding="utf-8").splitlines()
    return _decided(_question(line) for line in lines if line and not LOST.search(line))


def _question(line: str) -> dict[str, Any]:
    kind, _, words = line.partition(" ")
    label, _, fine = kind.partition(":")
    words = QUOTED_ONCE.sub(r"'\1'", QUOTED.sub(r'"\1"', tidy(words)))
    return {"text": SET_APART.sub("", words), "label": label, "fine": fine}


def _table(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = line.split("\t")
        if cells[0] != "id":  # the head of the table
            yield cells


def _decided(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep each text once, and none that is found with two labels."""
    rows = list(rows)
    labels = defaultdict(set)
    for row in rows:
        labels[letters(row["text"])].add(row["label"])
    return unique((row for row in rows if len(labels[letters(row["text"])]) == 1), shortest=1)
