"""``companion finetune``: light to import, the work is imported when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def finetune(
    task: Annotated[str, typer.Option(help="classification, pairs, regression, tagging or spans.")],
    data: Annotated[str, typer.Option(help="A TSV, CSV, JSON or JSON lines file, or a dataset (companion data list).")],
    model: Annotated[str, typer.Option(help="A pretrained model: a folder, a name such as minilm, or one of the hub.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Where log, checkpoints, model, scores and predictions go (default: runs/DATA-MODEL)."),
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="A file to validate on (default: a share of the data).")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="A file to test on (default: a share of the data).")] = None,
    held_out: Annotated[float, typer.Option(help="The share for each part that has no file.")] = 0.1,
    column: Annotated[
        list[str] | None, typer.Option(help="Where a column has another name in the data: label=topic. Repeatable.")
    ] = None,
    header: Annotated[
        str | None, typer.Option(help="Names of the columns of a table without any, such as label,text.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Train on so many rows at most.")] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option(help="Report rows that cannot be used and go on without them.")
    ] = False,
    epochs: Annotated[int, typer.Option(help="How often each row is seen.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Rows in a step.")] = 16,
    lr: Annotated[float, typer.Option(help="The learning rate at its highest.")] = 5e-5,
    head_lr_scale: Annotated[float, typer.Option(help="By how much the head's is larger.")] = 10.0,
    layer_decay: Annotated[float, typer.Option(help="By how much it shrinks from a block to the one below.")] = 1.0,
    warmup: Annotated[float, typer.Option(help="The share of the steps in which it rises.")] = 0.1,
    frozen: Annotated[str | None, typer.Option(help="body, or how many of the lowest blocks stay as they are.")] = None,
    balanced: Annotated[bool, typer.Option(help="Let rare classes count more.")] = False,
    from_scratch: Annotated[bool, typer.Option(help="Begin with random weights, to compare.")] = False,
    pooling: Annotated[
        str | None, typer.Option(help="cls, pooled, mean or last (default: what suits the model).")
    ] = None,
    max_len: Annotated[int, typer.Option(help="Longer texts are cut off; in tokens.")] = 128,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    fast: Annotated[bool, typer.Option(help="Compile the step; worth it from a few minutes on.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the folder.")] = False,
) -> None:
    """Fine-tune a pretrained model on your data, score it, and write its predictions."""
    from companion.finetuning.run import METRICS, MODEL, PREDICTIONS, FineTuning
    from companion.finetuning.run import finetune as run
    from companion.training import NonFiniteError, RunError

    out = Path("runs") / f"{Path(data).stem}-{Path(model).name}" if out is None else out
    options = FineTuning(
        task=task,
        data=data,
        model=model,
        out=out,
        validation=validation,
        test=test,
        held_out=held_out,
        columns=_columns(column),
        header=None if header is None else tuple(name.strip() for name in header.split(",")),
        limit=limit,
        skips_bad_rows=skip_bad_rows,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        head_lr_scale=head_lr_scale,
        layer_decay=layer_decay,
        warmup=warmup,
        frozen=int(frozen) if frozen is not None and frozen.isdigit() else frozen,
        is_balanced=balanced,
        is_random=from_scratch,
        pooling=pooling,
        max_len=max_len,
        seed=seed,
        is_fast=fast,
    )
    try:
        scores = run(options, is_resumed=resume, say=typer.echo)
    except (RunError, NonFiniteError) as error:  # the command line shows these as a user's errors
        raise ValueError(str(error)) from error
    if scores is None:
        typer.echo("resume it with the same command and --resume")
        raise typer.Exit(130)
    for name, value in scores.items():
        typer.echo(f"{name.replace('_', ' ')}: {value:.4f}")
    typer.echo(f"{out / MODEL}, {out / METRICS} and {out / PREDICTIONS} are written")


def _columns(given: list[str] | None) -> dict[str, str] | None:
    pairs = [one.partition("=") for one in given or []]
    wrong = [f"{name}{sign}{column}" for name, sign, column in pairs if not (name and sign and column)]
    if wrong:
        raise ValueError(f"--column must be the task's name, =, and yours, such as label=topic, got {wrong[0]!r}")
    return {name: column for name, _, column in pairs} or None
