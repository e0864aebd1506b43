"""The publishing commands of ``companion``: light to import, the work is imported when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def release(
    lab: Annotated[str, typer.Argument(help="The lab's name, such as attention.")],
    out: Annotated[Path | None, typer.Option(help="Where to write it (default: release/LAB in the checkout).")] = None,
) -> None:
    """Write the students' version of a lab: nbgrader's release step, without a course folder."""
    from companion.publish.project import repository_root
    from companion.publish.release import release_lab

    root = repository_root()
    path = release_lab(root, lab, out or root / "release" / lab)
    typer.echo(f"The students' version of {lab} is {path}")
