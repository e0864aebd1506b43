"""``companion grade``: light to import, the work is imported when the command runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def grade(
    submissions: Annotated[
        Path, typer.Argument(help="A folder of <student>.ipynb files, or nbgrader's <student>/<lab>/<lab>.ipynb.")
    ],
    lab: Annotated[str, typer.Option(help="The lab's name, such as attention.")],
    seed_file: Annotated[
        Path,
        typer.Option(help="A file with your secret, 8 characters or more: hidden inputs are drawn from it."),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the scores and the feedback.")] = Path("results"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Submissions graded at once (default: one a core).")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.5, max=600, help="CPU seconds that one cell or one call of an answer may take.")
    ] = 10.0,
    released: Annotated[
        Path | None, typer.Option(help="The released notebook (default: labs/LAB.ipynb, here or in the checkout).")
    ] = None,
) -> None:
    """Grade a pile of submissions: each in a sandbox of its own, one verdict each whatever it does."""
    from companion.grading.batch import Options, grade_all

    options = Options(
        submissions=submissions,
        lab=lab,
        seed_file=seed_file,
        out=out,
        jobs=jobs or os.cpu_count() or 1,
        timeout=timeout,
        released=released,
    )
    if not grade_all(options):
        raise typer.Exit(1)
