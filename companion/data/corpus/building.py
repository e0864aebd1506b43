"""Writing shards: part by part, each named by what it holds, and the folder whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from companion._optional import optional_import
from companion._validation import describe, require_count
from companion.data.errors import DataError
from companion.tokenization import Tokenizer
from companion.tokenization.base import require_text, require_texts

MANIFEST = "shards.json"
FORMAT = 1  # raised when the same texts and settings give other files
PART = 2_000_000  # characters of the texts in one file, about: what a build that was killed loses at most

Encode = Callable[[list[str]], list[np.ndarray]]


def build_shards(
    texts: Iterable[str],
    encode: Tokenizer | Callable[[str], Sequence[int]],
    folder: Path,
    *,
    begin: Sequence[int],
    end: Sequence[int],
    vocab_size: int | None,
    fingerprint: str | None,
    progress: bool,
) -> None:
    """Do what `Shards.build` says."""
    require_texts("texts", texts)
    if vocab_size is None and isinstance(tokenizer := tokenizer_of(encode), Tokenizer):
        vocab_size = tokenizer.vocab_size
    if vocab_size is not None:
        require_count("vocab_size", vocab_size)
    before, after = (ids_of(name, ids, vocab_size) for name, ids in (("begin", begin), ("end", end)))
    settings = {
        "format": FORMAT,
        "encode": fingerprint or fingerprint_of(encode),
        "begin": before.tolist(),
        "end": after.tolist(),
        "vocab_size": vocab_size,
    }
    writer = Writer(folder, settings, batch_encoder(encode, before, after, vocab_size))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with explained(folder), FileLock(folder.parent / f".{folder.name}.lock"):
        writer.write(texts, progress)


def tokenizer_of(encode: Any) -> Any:
    """Return the tokenizer when ``encode`` is one or its method, else what was given."""
    owner = getattr(encode, "__self__", None)
    return owner if isinstance(owner, Tokenizer) and encode.__name__ == "encode" else encode


def fingerprint_of(encode: Any) -> str:
    """Return a name of what a tokenizer does.

    Raises
    ------
    TypeError
        If ``encode`` cannot be called.
    ValueError
        If it is a function, which cannot say when it changes.
    """
    tokenizer = tokenizer_of(encode)
    if isinstance(tokenizer, Tokenizer):
        content = [type(tokenizer).__name__, tokenizer.to_json(), tokenizer.special_tokens]
        return digest(json.dumps(content, sort_keys=True).encode())
    if not callable(encode):
        raise TypeError(f"encode must be a tokenizer or a function from a text to ids, got {describe(encode)}")
    raise ValueError(
        "fingerprint must be given when encode is a function, which cannot say when it changes: pass a name that "
        "changes whenever the ids do, or pass a tokenizer of companion.tokenization"
    )


def digest(*parts: bytes) -> str:
    """Return a short hash of several byte strings."""
    result = blake2b(digest_size=16)
    for part in parts:
        result.update(len(part).to_bytes(8, "little") + part)
    return result.hexdigest()


def ids_of(name: str, ids: Any, vocab_size: int | None) -> np.ndarray:
    """Return token ids as an array, or say what is wrong with them."""
    try:
        values = np.asarray(ids)
        whole = values.ndim == 1 and (not values.size or np.issubdtype(values.dtype, np.integer))
    except (ValueError, OverflowError):  # a ragged list, or a number beyond 64 bits
        whole = False
    if not whole:
        raise TypeError(f"{name} must be a list of token ids, which are integers, got {describe(ids)}")
    limit = min(vocab_size or 2**31, 2**31)
    least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if least < 0 or most >= limit:
        wrong = least if least < 0 else most
        raise ValueError(f"{name} must be token ids from 0 to {limit - 1}, got {wrong}; is it of another tokenizer?")
    return values.astype(np.int32)


def batch_encoder(encode: Any, before: np.ndarray, after: np.ndarray, vocab_size: int | None) -> Encode:
    """Return a function from texts to checked ids with what goes before and after them."""
    tokenizer = tokenizer_of(encode)
    many = (
        tokenizer.encode_batch if isinstance(tokenizer, Tokenizer) else lambda texts: [encode(text) for text in texts]
    )

    def batch(texts: list[str]) -> list[np.ndarray]:
        return [np.concatenate([before, ids_of("encode(text)", ids, vocab_size), after]) for ids in many(texts)]

    return batch


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

    def __init__(self, folder: Path, settings: dict[str, Any], encode: Encode):
        self.folder = folder
        self.work = folder.parent / f".{folder.name}.building"
        self.settings = settings
        self.encode = encode
        self.key = json.dumps(settings, sort_keys=True).encode()
        wide = settings["vocab_size"] is None or settings["vocab_size"] > 2**16
        self.dtype = "int32" if wide else "uint16"

    def write(self, texts: Iterable[str], progress: bool) -> None:
        """Write what is missing, then move the folder to its place."""
        done = self._finished()
        total = len(texts) if hasattr(texts, "__len__") else None  # type: ignore[arg-type]
        parts: list[dict[str, Any]] = []
        with bar(progress) as shown:
            task = shown.add_task(f"tokenising into {self.folder.name}", total=total)
            for number, held in enumerate(parts_of(texts)):
                parts.append(self._part(number, held, done))
                shown.advance(task, len(held))
        manifest = {
            "fingerprint": digest(self.key, *(part["texts"].encode() for part in parts)),
            "documents": sum(part["documents"] for part in parts),
            "tokens": sum(part["tokens"] for part in parts),
            "vocab_size": self.settings["vocab_size"],
            "settings": self.settings,
            "parts": parts,
        }
        if done is not None:
            if done["fingerprint"] != manifest["fingerprint"]:
                raise self._other(done)
            return
        if not parts:
            raise ValueError("texts must hold at least one document, got none")
        self._publish(manifest)

    def _finished(self) -> dict[str, Any] | None:
        try:
            return json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(f"folder must not exist or hold shards, but {self.folder} holds something else")
        return None

    def _other(self, done: dict[str, Any]) -> ValueError:
        changed = [name for name, value in self.settings.items() if done["settings"].get(name) != value]
        return ValueError(
            f"folder must be a new one or hold the same documents, but {self.folder} holds others "
            f"(changed: {', '.join(changed) or 'texts'}); choose another folder or delete that one"
        )

    def _part(self, number: int, texts: list[str], done: dict[str, Any] | None) -> dict[str, Any]:
        content = digest(self.key, *(text.encode() for text in texts))
        if done is not None:
            same = number < len(done["parts"]) and done["parts"][number]["texts"] == content
            if not same:
                raise self._other(done)
            return done["parts"][number]
        name = f"part-{number:05d}-{content}"
        record = self.work / f"{name}.json"
        if record.exists():
            return json.loads(record.read_text(encoding="utf-8"))
        self.work.mkdir(exist_ok=True)
        documents = self.encode(texts)
        path = self.work / f"{name}.arrow"
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
        write_whole(record, json.dumps(described))
        return described

    def _publish(self, manifest: dict[str, Any]) -> None:
        wanted = {part["file"] for part in manifest["parts"]}
        for path in self.work.iterdir():
            if path.name not in wanted:
                path.unlink()
        write_whole(self.work / MANIFEST, json.dumps(manifest, indent=1))
        if self.folder.exists():
            self.folder.rmdir()  # an empty one
        self.work.replace(self.folder)


def write_arrow(path: Path, documents: list[np.ndarray], dtype: str) -> None:
    """Write documents as one Arrow file that `datasets` maps into memory."""
    pa = optional_import("pyarrow", extra="labs", purpose="to write tokenised texts")
    writing = optional_import("datasets.arrow_writer", extra="labs", purpose="to write tokenised texts")
    datasets = optional_import("datasets", extra="labs", purpose="to write tokenised texts")
    features = datasets.Features({"input_ids": datasets.Sequence(datasets.Value(dtype))})
    offsets = np.cumsum([0] + [len(document) for document in documents]).astype(np.int32)
    values = np.concatenate(documents).astype(dtype)
    column = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
    with writing.ArrowWriter(features=features, path=str(path)) as writer:
        writer.write_table(pa.table({"input_ids": column}))
        writer.finalize()
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_whole(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    beside = path.with_name(path.name + ".tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def bar(progress: bool) -> Progress:
    """Return a progress bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} texts"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not progress)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        free = shutil.disk_usage(folder.parent).free / 1e6 if folder.parent.exists() else 0
        reason = f"the disk is full ({free:.0f} MB free)" if full else str(error.strerror or error)
        raise DataError(
            f"cannot write shards into {folder}: {reason}. Make room there or choose a folder on another disk; "
            "the same command goes on where it stopped."
        ) from error
