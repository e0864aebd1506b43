"""What a source is: its pin, the files that are taken from it, how they are read, and what the book must say of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypedDict

Row = dict[str, Any]
Kind = Literal["dataset", "vectors", "vocabulary", "model"]
Use = Literal["plain text", "labelled text", "several languages", "word tests", "vocabularies and models"]

# .npy is here for arrays of plain numbers: one that holds Python objects is a pickle, and is refused by its header
# when it is unpacked and again when it is read. The other formats cannot hold one.
READABLE = frozenset(
    {
        ".csv",
        ".json",
        ".jsonl",
        ".npy",
        ".npz",
        ".onnx",
        ".parquet",
        ".safetensors",
        ".tab",
        ".tiktoken",
        ".tsv",
        ".txt",
    }
)
PICKLED = frozenset({".bin", ".ckpt", ".joblib", ".marshal", ".pickle", ".pkl", ".pt", ".pth"})


class Pin(TypedDict):
    """One exact file on the package index; sources that share a file share its pin and its download."""

    distribution: str
    version: str
    filename: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """Many small text files of an archive, kept as one file with a JSON list ``[path, text]`` a line.

    Parameters
    ----------
    name : str
        The file that is written, a ``.jsonl``.
    pattern : str
        The paths inside the archive; ``*`` stands for anything within one folder.
    """

    name: str
    pattern: str


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How the members of an archive become other files, which are kept in their place.

    Parameters
    ----------
    run : callable
        Reads the folder of the members and writes into another folder.
    files : tuple of str
        The names of the files that it writes.
    size : int
        Their size in bytes, for the disk's sake; about.
    version : int
        Raised when the same members become other files, so that those in a cache are made anew.
    """

    run: Callable[[Path, Path], None]
    files: tuple[str, ...]
    size: int
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Source:
    """One dataset or model: where it comes from, how it is checked, and what it holds.

    Parameters
    ----------
    name : str
        The name for `load`, `load_vectors`, `model_path` and ``companion data fetch``.
    kind : {"dataset", "vectors", "vocabulary", "model"}
        What it is, and so which of the three functions reads it.
    use : str
        What it is for: the heading under which it is listed.
    distribution, version, filename, sha256, size : str, str, str, str, int
        The pinned file on the package index and its size in bytes.
    members : tuple of str or Bundle
        The paths inside the archive that are kept, each under its base name, or many of them in one file.
    unpacked : int
        Bytes of all kept files together; extraction stops at one byte more.
    holds, licence, origin : str
        For the reader of the book: contents, terms of the text or weights, and where they were first published.
    rows, characters : int or None
        Rows after cleaning, and characters of their ``text`` column where they have one.
    split_by : str or None
        The column whose equal values stay in one part of a split; None for a test set, which has no parts.
    hub : str or None
        The name of the same thing, or of its larger original, on the Hugging Face hub.
    reader : callable or None
        Turns the folder of members into rows (or into words and vectors); None for what is used as files.
    conversion : Conversion or None
        What is made of the members at fetch; None where they are kept as they are.

    Raises
    ------
    ValueError
        When the declaration is not a safe or complete pin.
    """

    name: str
    use: Use
    distribution: str
    version: str
    filename: str
    sha256: str
    size: int
    members: tuple[str | Bundle, ...]
    unpacked: int
    holds: str
    licence: str
    origin: str
    kind: Kind = "dataset"
    rows: int | None = None
    characters: int | None = None
    split_by: str | None = "text"
    hub: str | None = None
    reader: Callable[[Path], Any] | None = None
    conversion: Conversion | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"name must be lower-case letters, digits and '_', got {self.name!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 of {self.name!r} must be 64 hexadecimal digits, got {self.sha256!r}")
        if not re.fullmatch(r"[0-9A-Za-z.+!]+", self.version):
            raise ValueError(f"version of {self.name!r} must be one exact version, got {self.version!r}")
        if not re.fullmatch(r"[0-9A-Za-z._+-]+", self.filename):
            raise ValueError(f"filename of {self.name!r} must be a plain file name, got {self.filename!r}")
        if not self.filename.endswith((".whl", ".tar.gz", ".zip")):
            raise ValueError(f"filename of {self.name!r} must be a .whl, .tar.gz or .zip, got {self.filename!r}")
        if min(self.size, self.unpacked) <= 0:
            raise ValueError(f"sizes of {self.name!r} must be positive, got {self.size} and {self.unpacked}")
        if not self.members or len(set(map(kept_name, self.members))) != len(self.members):
            raise ValueError(f"members of {self.name!r} must be one or more paths with distinct base names")
        for member in (*self.members, *(self.conversion.files if self.conversion else ())):
            check_member(member)
        if (self.reader is not None) != (self.kind in {"dataset", "vectors"}):
            raise ValueError(f"{self.name!r} must have a reader if it is a dataset or vectors, and none else")

    @property
    def files(self) -> frozenset[str]:
        """The names of the files that are kept, which are the members or what was made of them."""
        return frozenset(self.conversion.files if self.conversion else map(kept_name, self.members))


def kept_name(member: str | Bundle) -> str:
    """Return the name of the file that a member becomes."""
    return member.name if isinstance(member, Bundle) else PurePosixPath(member).name


def is_safe_path(path: str) -> bool:
    """Tell whether an archive path stays inside the folder into which it is unpacked, on every system."""
    return bool(path) and not re.match(r"[/\\]|[A-Za-z]:", path) and ".." not in re.split(r"[/\\]", path)


def check_member(member: str | Bundle) -> None:
    """Refuse a path that leaves the folder and a format whose reading runs code.

    Raises
    ------
    ValueError
        Naming the member and the reason.
    """
    if isinstance(member, Bundle):
        if not re.fullmatch(r"[\w.-]+\.jsonl", member.name):
            raise ValueError(f"the bundle of {member.pattern!r} must be kept as a .jsonl file, got {member.name!r}")
        member = member.pattern
    if not is_safe_path(member):
        raise ValueError(f"member {member!r} would be written outside its folder")
    suffix = PurePosixPath(member).suffix.lower()
    if suffix in PICKLED:
        raise ValueError(
            f"member {member!r} is refused: a {suffix} file may hold a pickle, which runs code when it is read; "
            "pin the .safetensors (or .npz) version"
        )
    if suffix not in READABLE:
        raise ValueError(f"member {member!r} is refused: only {', '.join(sorted(READABLE))} are read, not {suffix!r}")
