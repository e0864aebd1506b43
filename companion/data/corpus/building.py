"""Writing shards: part by part, each named by what it holds, and the folder whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from companion._optional import optional_import
from companion._validation import describe, require_count
from companion.data.corpus.encoding import (
    Encode,
    EncodeBatch,
    batch_encoder,
    digest,
    fingerprint_of,
    ids_of,
    tokenizer_of,
)
from companion.data.errors import DataError
from companion.tokenization import Tokenizer
from companion.tokenization.base import require_text, require_texts

MANIFEST = "shards.json"
FORMAT = 1  # raised when the same texts and settings give other files
PART = 2_000_000  # characters of the texts in one file, about: what a build that was killed loses at most


def check_folder(folder: Any) -> None:
    """Raise unless this is a path."""
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a path, got {describe(folder)}")


def check_build(
    texts: Any,
    encode: Any,
    folder: Any,
    *,
    begin: Any = (),
    end: Any = (),
    vocab_size: Any = None,
    fingerprint: Any = None,
    progress: Any = True,
) -> None:
    """Raise unless these are arguments of `Shards.build`."""
    require_texts("texts", texts)
    check_folder(folder)
    if vocab_size is not None:
        require_count("vocab_size", vocab_size)
    fingerprint_of(encode, fingerprint)
    ids_of("begin", begin, vocab_size)
    ids_of("end", end, vocab_size)


def build_shards(
    texts: Iterable[str],
    encode: Encode,
    folder: Path,
    *,
    begin: Sequence[int],
    end: Sequence[int],
    vocab_size: int | None,
    fingerprint: str | None,
    progress: bool,
) -> None:
    """Do what `Shards.build` says."""
    name = fingerprint_of(encode, fingerprint)
    if vocab_size is None and isinstance(tokenizer := tokenizer_of(encode), Tokenizer):
        vocab_size = tokenizer.vocab_size
    before, after = ids_of("begin", begin, vocab_size), ids_of("end", end, vocab_size)
    settings = {
        "format": FORMAT,
        "encode": name,
        "begin": before.tolist(),
        "end": after.tolist(),
        "vocab_size": vocab_size,
    }
    console = Console(stderr=True, quiet=not progress)
    writer = Writer(folder, settings, batch_encoder(encode, before, after, vocab_size))
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder, console):
        writer.write(texts, console)


def parts_of(texts: Iterable[str]) -> Iterator[list[str]]:
    """Cut a stream of texts into lists of about ``PART`` characters."""
    held: list[str] = []
    size = 0
    for index, text in enumerate(texts):
        require_text(f"texts[{index}]", text)
        held.append(text)
        size += len(text) + 1
        if size >= PART:
            yield held
            held, size = [], 0
    if held:
        yield held


class Writer:
    """The files of one corpus on their way to its folder.

    They are written into a folder beside it, each under a name that has the hash of the settings and of its texts: one
    that is there already need not be made again, and one of other texts or another tokenizer is never taken for it.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], encode: EncodeBatch):
        self.folder = folder
        self.work = folder.parent / f".{folder.name}.building"
        self.settings = settings
        self.encode = encode
        self.key = json.dumps(settings, sort_keys=True).encode()
        wide = settings["vocab_size"] is None or settings["vocab_size"] > 2**16
        self.dtype = "int32" if wide else "uint16"

    def write(self, texts: Iterable[str], console: Console) -> None:
        """Write what is missing, then move the folder to its place; or see that it is there and holds just this."""
        done = self._finished()
        parts: list[dict[str, Any]] = []
        with bar(console) as shown:
            task = shown.add_task(
                f"tokenising {self.folder.name}", total=len(texts) if isinstance(texts, Sized) else None
            )
            for number, held in enumerate(parts_of(texts)):
                content = digest(self.key, *(text.encode() for text in held))
                parts.append(self._part(number, content, held) if done is None else self._same(number, content, done))
                shown.advance(task, len(held))
        if done is not None:
            if len(done["parts"]) != len(parts):
                raise self._other(done)
            return
        if not parts:
            raise ValueError("texts must hold at least one document, got none")
        manifest = {
            "fingerprint": digest(self.key, *(part["texts"].encode() for part in parts)),
            "documents": sum(part["documents"] for part in parts),
            "tokens": sum(part["tokens"] for part in parts),
            "settings": self.settings,
            "parts": parts,
        }
        with explained(self.folder):
            self._publish(manifest)

    def _finished(self) -> dict[str, Any] | None:
        if (self.folder / MANIFEST).exists():
            return read_manifest(self.folder)
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(f"folder must be a new one or hold shards, but {self.folder} holds something else")
        return None

    def _same(self, number: int, content: str, done: dict[str, Any]) -> dict[str, Any]:
        if number >= len(done["parts"]) or done["parts"][number]["texts"] != content:
            raise self._other(done)
        return done["parts"][number]

    def _other(self, done: dict[str, Any]) -> ValueError:
        changed = [name for name, value in self.settings.items() if done["settings"].get(name) != value]
        return ValueError(
            f"folder must be a new one or hold the same documents, but {self.folder} holds others "
            f"(changed: {', '.join(changed) or 'texts'}); choose another folder or delete that one"
        )

    def _part(self, number: int, content: str, texts: list[str]) -> dict[str, Any]:
        record = self.work / f"part-{number:05d}-{content}.json"
        if record.exists():
            return json.loads(record.read_text(encoding="utf-8"))
        documents = self.encode(texts)
        path = record.with_suffix(".arrow")
        with explained(self.folder):
            self.work.mkdir(exist_ok=True)
            write_arrow(path, documents, self.dtype)
            with path.open("rb") as file:
                checksum = file_digest(file, "sha256").hexdigest()
            described = {
                "file": path.name,
                "texts": content,
                "documents": len(documents),
                "tokens": sum(map(len, documents)),
                "bytes": path.stat().st_size,
                "sha256": checksum,
            }
            write_whole(record, json.dumps(described))  # last: its presence means that the part is whole
        return described

    def _publish(self, manifest: dict[str, Any]) -> None:
        write_whole(self.work / MANIFEST, json.dumps(manifest, indent=1))
        wanted = {MANIFEST, *(part["file"] for part in manifest["parts"])}
        if self.folder.exists():
            self.folder.rmdir()  # an empty one
        self.work.replace(self.folder)
        for path in list(self.folder.iterdir()):  # records, and parts of a build that went another way
            if path.name not in wanted:
                path.unlink()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a finished folder holds.

    Raises
    ------
    FileNotFoundError
        If nothing was built there.
    DataError
        If the file is damaged or of another version of this package.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["settings"]["format"]
        if not all(isinstance(part["file"], str) and part["bytes"] >= 0 for part in manifest["parts"]):
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there are no shards in {folder}: make them with Shards.build") from None
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{path} is damaged: delete the folder and build it again") from None
    if version != FORMAT:
        raise DataError(f"{folder} has the format {version}, not {FORMAT}: delete the folder and build it again")
    return manifest


def write_arrow(path: Path, documents: list[np.ndarray], dtype: str) -> None:
    """Write documents as one Arrow file that `datasets` maps into memory."""
    purpose = "to write tokenised texts"
    pa = optional_import("pyarrow", extra="labs", purpose=purpose)
    datasets = optional_import("datasets", extra="labs", purpose=purpose)
    writing = optional_import("datasets.arrow_writer", extra="labs", purpose=purpose)
    offsets = np.cumsum([0] + [len(document) for document in documents])
    if offsets[-1] >= 2**31:
        raise ValueError(f"a document must have fewer than 2**31 tokens, got {offsets[-1]}; cut it")
    features = datasets.Features({"input_ids": datasets.Sequence(datasets.Value(dtype))})
    values = np.concatenate(documents).astype(dtype)
    column = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))
    with path.open("wb") as file:
        with writing.ArrowWriter(features=features, stream=pa.PythonFile(file)) as writer:
            writer.write_table(pa.table({"input_ids": column}))
            writer.finalize(close_stream=False)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # another process may be writing the same
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def bar(console: Console) -> Progress:
    """Return a progress bar that counts texts."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} texts"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


@contextmanager
def locked(folder: Path, console: Console) -> Iterator[None]:
    """Keep other builds out of a folder; the system frees the lock of a process that dies."""
    lock = FileLock(folder.parent / f".{folder.name}.lock")
    with explained(folder):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            console.print(f"waiting for another process that is building {folder}", soft_wrap=True)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            reason = f"the disk is full ({shutil.disk_usage(folder.parent).free / 1e6:.1f} MB are free)"
        raise DataError(
            f"cannot write shards into {folder}: {reason}. Make room there or choose a folder on another disk; "
            "the same call goes on where it stopped."
        ) from error
