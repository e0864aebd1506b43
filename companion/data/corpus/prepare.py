"""From names of texts to a training and a validation corpus on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from companion.data.corpus.building import digest, fingerprint_of, write_whole
from companion.data.corpus.cleaning import clean_texts
from companion.data.corpus.duplicates import drop_duplicates
from companion.data.corpus.shards import Shards
from companion.data.corpus.splitting import split_documents
from companion.data.loading import rows_of
from companion.tokenization import Tokenizer

VERSION = 1  # raised when the same names and settings give other documents


class Corpus(NamedTuple):
    """A corpus in two parts, and what was dropped on the way and why."""

    train: Shards
    validation: Shards
    report: str


def prepare_corpus(
    names: str | Iterable[str],
    tokenizer: Tokenizer | Callable[[str], Sequence[int]],
    *,
    folder: str | os.PathLike[str],
    validation: float = 0.05,
    seed: int = 0,
    threshold: float = 0.8,
    begin: Sequence[int] = (),
    end: Sequence[int] = (),
    vocab_size: int | None = None,
    fingerprint: str | None = None,
    progress: bool = True,
) -> Corpus:
    """Clean, deduplicate, split and tokenise texts of this course.

    Everything that changes the result is in the name of the folder it goes to, so that changed texts, another tokenizer
    or another setting never meet old files; what is there already is opened.

    Parameters
    ----------
    names
        One name or several of those that `companion.data.load` knows.
    tokenizer, begin, end, vocab_size, fingerprint
        As ``encode`` and the others of `Shards.build`.
    folder
        The folder in which a folder for this corpus is made.
    validation
        The share of the characters that is held out.
    seed
        Chooses what is held out.
    threshold
        The least similarity of near duplicates, which are dropped.
    progress
        Show progress on standard error.

    Raises
    ------
    TypeError, ValueError, DataError
        As by the steps.
    FileNotFoundError
        When a source has not been fetched; the message says how.
    """
    names = [names] if isinstance(names, str) else list(names)
    rows = [row for name in names for row in rows_of(name)]
    titles = [row.get("title") for row in rows]
    texts = [row["text"] for row in rows]
    encoder = fingerprint or fingerprint_of(tokenizer)
    settings = [VERSION, names, validation, seed, threshold, list(begin), list(end), vocab_size, encoder]
    key = digest(json.dumps(settings).encode(), *(text.encode("utf-8", "surrogatepass") for text in texts))
    place = Path(folder).absolute() / key
    report = place / "report.txt"
    if not report.exists():
        _build(texts, titles, tokenizer, place, validation, seed, threshold, begin, end, vocab_size, encoder, progress)
    return Corpus(Shards.open(place / "train"), Shards.open(place / "validation"), report.read_text(encoding="utf-8"))


def _build(texts, titles, tokenizer, place, validation, seed, threshold, begin, end, vocab_size, encoder, progress):
    cleaned = clean_texts(texts)
    unique = drop_duplicates(cleaned.texts, threshold=threshold, seed=seed)
    groups = [titles[cleaned.report.kept[index]] for index in unique.report.kept]
    split = split_documents(unique.texts, validation=validation, seed=seed, groups=groups)
    for name, part in (("train", split.train), ("validation", split.validation)):
        Shards.build(
            part,
            tokenizer,
            place / name,
            begin=begin,
            end=end,
            vocab_size=vocab_size,
            fingerprint=encoder,
            progress=progress,
        )
    write_whole(place / "report.txt", "\n".join(map(str, (cleaned.report, unique.report, split.report))) + "\n")
