"""Which sources there are, and finding one by its name."""

from __future__ import annotations

from companion.data.catalogue import REGISTRY
from companion.data.source import Source


def sources() -> tuple[Source, ...]:
    """List every source that can be fetched, in the order of the book's data page."""
    return REGISTRY


def get(name: str) -> Source:
    """Find a source by its name.

    Raises
    ------
    ValueError
        When there is no such source; the message lists those there are.
    """
    for source in REGISTRY:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in REGISTRY)
    raise ValueError(f"name must be one of {known}; got {name!r}")
