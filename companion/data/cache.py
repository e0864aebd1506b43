"""Where fetched files live, and whether a source is there in full."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import platformdirs

from companion.data.source import Source

MANIFEST = "manifest.json"


def cache_dir() -> Path:
    """Return the folder of everything fetched: ``COMPANION_CACHE`` if set, else the user's cache folder."""
    chosen = os.environ.get("COMPANION_CACHE")
    folder = Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("plm-companion"))
    return folder.absolute()


def is_offline() -> bool:
    """Tell whether ``COMPANION_OFFLINE`` forbids the network."""
    return os.environ.get("COMPANION_OFFLINE", "").lower() not in {"", "0", "false", "no"}


def folder_of(source: Source) -> Path:
    """Return the folder of a source's files, whether or not they are there."""
    return cache_dir() / f"{source.name}-{source.version}"


def is_fetched(source: Source) -> bool:
    """Tell whether every file of a source is there with its full size, in a few file look-ups."""
    folder = folder_of(source)
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8")) == _manifest(source, folder)
    except (OSError, ValueError):
        return False


def write_manifest(source: Source, folder: Path) -> None:
    """Record what was extracted; written last, so that its presence means the folder is whole."""
    (folder / MANIFEST).write_text(json.dumps(_manifest(source, folder), indent=1), encoding="utf-8")


def _manifest(source: Source, folder: Path) -> dict[str, Any]:
    sizes = {name: (folder / name).stat().st_size for name in sorted(source.files)}
    made = {"conversion": source.conversion.version} if source.conversion else {}
    return {"sha256": source.sha256, "files": sizes} | made


def require(source: Source) -> Path:
    """Return the folder of a fetched source.

    Raises
    ------
    FileNotFoundError
        When it has not been fetched; the message says how.
    """
    if not is_fetched(source):
        raise FileNotFoundError(
            f"{source.kind} {source.name!r} is not in {cache_dir()}. Fetch it once ({source.size / 1e6:.1f} MB) with "
            f"`companion data fetch {source.name}`, or companion.data.fetch({source.name!r}) in Python."
        )
    return folder_of(source)
