"""What the book says about each source, taken from the registry."""

from __future__ import annotations

import re
from collections.abc import Iterable

from companion.data.registry import sources
from companion.data.source import Source


def card(source: Source) -> dict[str, str]:
    """Describe one source as ordered label and text pairs."""
    fields = {
        "name": source.name,
        "kind": source.kind,
        "use": source.use,
        "holds": source.holds,
        "rows": f"{source.rows:,}" if source.rows else "",
        "characters": f"{source.characters:,}" if source.characters else "",
        "licence": source.licence,
        "origin": source.origin,
        "package": f"{source.distribution} {source.version}",
        "file": source.filename,
        "download": megabytes(source.size),
        "unpacked": megabytes(source.unpacked),
        "sha256": source.sha256,
        "hub": source.hub or "",
    }
    return {label: text for label, text in fields.items() if text}


def card_table() -> list[dict[str, str]]:
    """List the cards of all sources; a label that does not apply to a source is missing from its card."""
    return [card(source) for source in sources()]


def short_licence(source: Source) -> str:
    """Return the licence's name without its explanation, for a table."""
    return re.split(r" \(|[:;,]", source.licence)[0]


def download_size(wanted: Iterable[Source]) -> int:
    """Add up the bytes to download for several sources; those of one package share it."""
    return sum({source.sha256: source.size for source in wanted}.values())


def megabytes(size: int) -> str:
    """Write a number of bytes in megabytes (10^6 bytes)."""
    return f"{size / 1e6:.1f} MB"
