"""A tokenised corpus on disk: Arrow files that are mapped into memory, so that opening them reads next to nothing."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from companion._optional import optional_import
from companion._validation import require_count, requires
from companion.data.corpus.building import build_shards, check_build, check_folder, read_manifest
from companion.data.corpus.encoding import Encode
from companion.data.errors import DataError


class Shards:
    """The documents of a corpus as lists of token ids, read from files where they lie.

    Opening maps the files into memory and reads only their outline; a document is read from the disk when it is asked
    for, and the system may forget it again. So a corpus may be larger than the memory.

    Use `build` to make one and `open` to read one.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        datasets = optional_import("datasets", extra="labs", purpose="to read tokenised texts from files")
        self.folder = folder
        self.manifest = manifest
        parts = [datasets.Dataset.from_file(str(folder / part["file"])) for part in manifest["parts"]]
        #: The same documents as a `datasets.Dataset` of one column, ``input_ids``.
        self.dataset = datasets.concatenate_datasets(parts)
        chunks = [chunk for part in parts for chunk in part.data.column("input_ids").chunks]
        # Views of the mapped files, not copies.
        self._values = [chunk.values.to_numpy(zero_copy_only=True) for chunk in chunks]
        self._offsets = [chunk.offsets.to_numpy(zero_copy_only=True) for chunk in chunks]
        self._starts = np.cumsum([0] + [len(chunk) for chunk in chunks]).tolist()

    @staticmethod
    @requires(check_build)
    def build(
        texts: Iterable[str],
        encode: Encode,
        folder: str | os.PathLike[str],
        *,
        begin: Sequence[int] = (),
        end: Sequence[int] = (),
        vocab_size: int | None = None,
        fingerprint: str | None = None,
        progress: bool = True,
    ) -> Shards:
        """Encode texts and write them into a folder, or open the folder if it holds just that already.

        The folder appears whole or not at all. A build that was interrupted, even killed, is taken up where it was.

        Parameters
        ----------
        texts
            The documents, read once and in order: a list, a column of a dataset, a generator.
        encode
            A tokenizer of this course, or any function from a text to ids.
        folder
            Where the files go. It must not exist, or hold the same documents.
        begin, end
            Ids that are put before and after each document, such as that of ``<|endoftext|>``.
        vocab_size
            The number of ids there are; by default that of the tokenizer.
        fingerprint
            A name of what ``encode`` does, which must change when it changes. A tokenizer of this course has its own.
        progress
            Show a progress bar on standard error.

        Raises
        ------
        TypeError, ValueError
            If a text is no string, or ``encode`` gives what are no ids of the vocabulary; and if the folder holds
            something else.
        DataError
            If the files cannot be written, because the disk is full, say.
        """
        folder = Path(folder).absolute()
        build_shards(
            texts,
            encode,
            folder,
            begin=begin,
            end=end,
            vocab_size=vocab_size,
            fingerprint=fingerprint,
            progress=progress,
        )
        return Shards.open(folder)

    @staticmethod
    @requires(lambda folder: check_folder(folder))
    def open(folder: str | os.PathLike[str]) -> Shards:
        """Open a folder that `build` made.

        Raises
        ------
        FileNotFoundError
            If nothing was built there.
        DataError
            If a file is missing or has not the size it was written with.
        """
        folder = Path(folder).absolute()
        manifest = read_manifest(folder)
        for part in manifest["parts"]:
            path = folder / part["file"]
            size = path.stat().st_size if path.exists() else None
            if size != part["bytes"]:
                found = "is missing" if size is None else f"has {size} bytes, not {part['bytes']}"
                raise DataError(f"{path} {found}: delete the folder and build it again")
        return Shards(folder, manifest)

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises
        ------
        DataError
            If a file has changed since it was written.
        """
        for part in self.manifest["parts"]:
            with (self.folder / part["file"]).open("rb") as file:
                if file_digest(file, "sha256").hexdigest() != part["sha256"]:
                    raise DataError(f"{self.folder / part['file']} has changed: delete the folder and build it again")

    @property
    def fingerprint(self) -> str:
        """A name of the contents, another one for other texts, another tokenizer or another setting."""
        return self.manifest["fingerprint"]

    @property
    def n_tokens(self) -> int:
        """The number of tokens in all documents together."""
        return self.manifest["tokens"]

    @property
    def vocab_size(self) -> int | None:
        """One more than the largest id there may be, or None if it was not said."""
        return self.manifest["settings"]["vocab_size"]

    @property
    def lengths(self) -> Int64[np.ndarray, " document"]:
        """The number of tokens of each document."""
        parts = [np.diff(offsets).astype(np.int64) for offsets in self._offsets]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    def __len__(self) -> int:
        return self._starts[-1]

    @requires(lambda self, index: require_count("index", index, minimum=0))
    def __getitem__(self, index: int) -> np.ndarray:
        """Return the ids of one document; a view of the file, which cannot be written to."""
        if index >= len(self):
            raise IndexError(f"index must be below the number of documents, {len(self)}, got {index}")
        return self.piece(index, 0, None)

    def piece(self, document: int, start: int, stop: int | None) -> np.ndarray:
        """Return some of the ids of one document, unchecked and without reading the others."""
        chunk = bisect_right(self._starts, document) - 1
        offsets = self._offsets[chunk]
        at = document - self._starts[chunk]
        first, last = int(offsets[at]), int(offsets[at + 1])
        return self._values[chunk][first + start : last if stop is None else first + stop]

    def __reduce__(self) -> Any:
        return Shards.open, (self.folder,)  # another process maps the files itself instead of being sent a copy

    def __repr__(self) -> str:
        return f"Shards({len(self)} documents, {self.n_tokens} tokens, {str(self.folder)!r})"
