"""``companion classify``: light to import, the work is imported when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def classify(
    model: Annotated[Path, typer.Option(help="A folder that companion finetune wrote.")],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="What to read; stdin without any, or for -.")
    ] = None,
    text: Annotated[list[str] | None, typer.Option(help="A text, in place of files. Repeatable.")] = None,
    column: Annotated[
        str | None, typer.Option(help="The column or key of the text (default: text).", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", help="text (one a line), jsonl, csv or tsv (default: by name, or by the first line)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write here in place of stdout.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts that go through the model together.")] = 32,
    probabilities: Annotated[bool, typer.Option(help="Write the probability of every label.")] = False,
    longest: Annotated[int, typer.Option(min=1, help="Pass over lines of more bytes than this.")] = 1 << 20,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps (default: the fastest there is).")] = None,
) -> None:
    """Label texts: one JSON object a line, with its number, label and probability.

    A line that holds no text is told on stderr, with its number and the reason, and stands in the output with its
    error; the next one is read. The exit code is 3 if there was such a line, and 0 if not. Files may be of any size:
    only a few lines are in memory.
    """
    from companion.applications.stream import Options, run

    options = Options(
        model=model,
        files=tuple(files or ()),
        texts=tuple(text or ()),
        column=column,
        kind=kind,
        out=out,
        batch_size=batch_size,
        has_probabilities=probabilities,
        longest=longest,
        device=device,
    )
    raise typer.Exit(run(options))
