"""From names of texts to a training and a validation corpus on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from companion._validation import describe, requires
from companion.data.corpus.building import check_folder, explained, write_whole
from companion.data.corpus.cleaning import clean_texts
from companion.data.corpus.duplicates import drop_duplicates
from companion.data.corpus.encoding import Encode, digest, fingerprint_of, ids_of
from companion.data.corpus.shards import Shards
from companion.data.corpus.splitting import check_splitting, split_documents
from companion.data.errors import DataError
from companion.data.loading import rows_of
from companion.tokenization.cleaning import clean_text

VERSION = 1  # raised when the same texts and settings give another choice of documents


class Texts(NamedTuple):
    """The documents of a corpus in two parts, and what was dropped on the way and why."""

    train: list[str]
    validation: list[str]
    report: str


class Corpus(NamedTuple):
    """A tokenised corpus in two parts, and what was dropped on the way and why."""

    train: Shards
    validation: Shards
    report: str


def _check(
    names: Any,
    *,
    folder: Any = None,
    validation: Any = 0.05,
    seed: Any = 0,
    threshold: Any = 0.8,
    stretch: Any = 100,
    **_: Any,
) -> None:
    if not isinstance(names, Iterable):
        raise TypeError(f"names must be the name of a dataset or a list of names, got {describe(names)}")
    if folder is not None:
        check_folder(folder)
    check_splitting(validation=validation, threshold=threshold, stretch=stretch, size=5, seed=seed)


@requires(_check)
def choose_texts(
    names: str | Iterable[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    validation: float = 0.05,
    seed: int = 0,
    threshold: float = 0.8,
    stretch: int = 100,
    progress: bool = True,
) -> Texts:
    """Clean, deduplicate and split texts of this course; what a tokenizer should be trained on is the first part.

    Parameters
    ----------
    names
        One name or several of those that `companion.data.load` knows.
    folder
        Where to remember the choice, so that the next call with the same texts and arguments need not make it again.
    validation
        The share of the characters that is held out, about.
    seed
        Chooses what is held out.
    threshold
        The least similarity of near duplicates, which are dropped.
    stretch
        No stretch of this many bytes is in both parts.
    progress
        Show progress bars on standard error.

    Raises
    ------
    TypeError, ValueError
        For a name that is not known or not that of a dataset with texts, and as by `drop_duplicates` and
        `split_documents`.
    FileNotFoundError
        When a source has not been fetched; the message says how.
    DataError
        When the choice cannot be written.
    """
    rows = _rows(names)
    texts = [row["text"] for row in rows]
    titles = [row.get("title") for row in rows]
    settings = {"validation": validation, "seed": seed, "threshold": threshold, "stretch": stretch}
    kept = None
    if folder is not None:
        key = json.dumps([VERSION, settings, titles]).encode()
        name = digest(key, *(text.encode("utf-8", "surrogatepass") for text in texts))
        kept = Path(folder).absolute() / f"choice-{name}.json"
        if kept.exists():
            return _texts(texts, _read(kept))
    choice = _choose(texts, titles, progress, **settings)
    if kept is not None:
        with explained(kept.parent):
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, json.dumps(choice))
    return _texts(texts, choice)


def _check_prepare(names: Any, tokenizer: Any, *, fingerprint: Any = None, **options: Any) -> None:
    _check(names, **options)
    fingerprint_of(tokenizer, fingerprint)


@requires(_check_prepare)
def prepare_corpus(
    names: str | Iterable[str],
    tokenizer: Encode,
    *,
    folder: str | os.PathLike[str],
    validation: float = 0.05,
    seed: int = 0,
    threshold: float = 0.8,
    stretch: int = 100,
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
    names, validation, seed, threshold, stretch, progress
        As in `choose_texts`.
    tokenizer, begin, end, vocab_size, fingerprint
        As ``encode`` and the others of `Shards.build`.
    folder
        The folder in which a folder for this corpus is made.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError, DataError
        As by `choose_texts` and `Shards.build`.
    """
    encoder = fingerprint_of(tokenizer, fingerprint)
    texts = choose_texts(
        names,
        folder=folder,
        validation=validation,
        seed=seed,
        threshold=threshold,
        stretch=stretch,
        progress=progress,
    )
    around = [ids_of(name, ids, vocab_size).tolist() for name, ids in (("begin", begin), ("end", end))]
    settings = json.dumps([VERSION, encoder, around, vocab_size]).encode()
    place = Path(folder).absolute() / digest(settings, *_parts(texts))
    train, held_out = (
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
        for name, part in (("train", texts.train), ("validation", texts.validation))
    )
    return Corpus(train, held_out, texts.report)


def _parts(texts: Texts) -> list[bytes]:
    """Return what tells one choice of texts from another: where the first part ends matters too."""
    return [digest(*(text.encode() for text in part)).encode() for part in (texts.train, texts.validation)]


def _rows(names: Any) -> list[dict[str, Any]]:
    names = [names] if isinstance(names, str) else list(names)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"names must be one or several different names of datasets, got {names}")
    rows = [row for name in names for row in rows_of(name)]
    if not all("text" in row for row in rows):
        raise ValueError(f"names must be those of datasets with a column of texts, got {names}")
    return rows


def _choose(texts: list[str], titles: list[Any], progress: bool, **settings: Any) -> dict[str, Any]:
    """Return the indices of the documents of both parts, and the reports."""
    cleaned = clean_texts(texts)
    unique = drop_duplicates(cleaned.texts, threshold=settings["threshold"], seed=settings["seed"], progress=progress)
    origin = [cleaned.report.kept[index] for index in unique.report.kept]
    split = split_documents(
        unique.texts,
        groups=[titles[index] for index in origin],
        validation=settings["validation"],
        stretch=settings["stretch"],
        seed=settings["seed"],
        progress=progress,
    )
    return {
        "train": [origin[index] for index in split.report.train],
        "validation": [origin[index] for index in split.report.validation],
        "report": "\n".join(map(str, (cleaned.report, unique.report, split.report))),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise DataError(f"{path} is damaged: delete it, and the choice is made again") from None


def _texts(texts: list[str], choice: dict[str, Any]) -> Texts:
    """Return the chosen texts in the spelling that cleaning gives them."""
    train, held_out = ([clean_text(texts[index]) for index in choice[part]] for part in ("train", "validation"))
    return Texts(train, held_out, choice["report"])
