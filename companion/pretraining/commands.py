"""``companion pretrain``: light to import, the work is imported when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    preset: Annotated[str, typer.Option(help="tiny-gpt, tiny-bert, tiny-t5 or tiny-bert-zh.")],
    out: Annotated[Path, typer.Option(help="A folder for the run and the checkpoint.")],
    data: Annotated[
        list[str] | None, typer.Option(help="Texts (companion data list) in place of the preset's. Repeatable.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="How many steps (default: the preset's).")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="About how long to train on this machine, in place of --steps.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the folder.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps (default: the fastest there is).")] = None,
    plain: Annotated[bool, typer.Option(help="Neither compile nor round to bfloat16: slower, starts at once.")] = False,
) -> None:
    """Pretrain a model on texts of the course: checkpoint, tokenizer, log, curve and card."""
    from companion.pretraining.run import Options
    from companion.pretraining.run import pretrain as run
    from companion.training import PLAIN, NonFiniteError, RunError

    options = Options(
        preset=preset,
        out=out,
        data=tuple(data or ()),
        steps=steps,
        minutes=minutes,
        seed=seed,
        resume=resume,
        device=device,
        mode=PLAIN if plain else None,
    )
    try:
        folder = run(options)
    except (RunError, NonFiniteError) as error:
        raise ValueError(str(error)) from error
    if folder is None:
        typer.echo(f"stopped and saved; go on with the same command and --resume: {out}")
        raise typer.Exit(130)
    typer.echo(folder / "README.md")
