"""Progress bars on standard error, so that what a command prints can be piped."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def shown(items: Sequence[T], what: str, progress: bool) -> Iterable[T]:
    """Go through items, with a bar if one is wanted."""
    return track(items, what, console=Console(stderr=True), disable=not progress)
