"""Commands about exercises: list them, and test the checks against known wrong answers."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

Slug = Annotated[str | None, typer.Argument(help="Only this lab; all of them if left out.")]


def exercises(slug: Slug = None) -> None:
    """List the exercises of a lab, with their points and minutes."""
    from companion.exercises import SLUGS, exercises_of

    table = Table("lab", "exercise", "points", "minutes", "difficulty", "title")
    for each in _known(slug, SLUGS):
        for exercise in exercises_of(each):
            points = f"{exercise.points} by hand" if exercise.manual else str(exercise.points)
            numbers = (points, str(exercise.minutes), f"{exercise.difficulty}/5")
            table.add_row(each, exercise.name, *numbers, exercise.title)
    Console().print(table)


def mutants(
    slug: Slug = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many secret seeds to try, beside the public one.")] = 5,
    out: Annotated[Path, typer.Option(help="Where to write the counts.")] = Path("_build/mutants.json"),
) -> None:
    """Show that every known wrong answer is caught, and each known mistake named."""
    from companion.exercises import SLUGS, exercises_of, mutants_of
    from companion.exercises.trial import try_mutants

    table = Table("lab", "exercise", "mutants", "caught", "named")
    report = {}
    failures = []
    for each in _known(slug, SLUGS):
        report[each] = {}
        checked = [exercise for exercise in exercises_of(each) if not exercise.manual]
        for exercise in track(checked, description=each, console=Console(stderr=True)):
            trial = try_mutants(exercise, mutants_of(each)[exercise.name], seeds)
            report[each][exercise.name] = trial.counts()
            failures += trial.failures
            counts = (str(trial.mutants), str(trial.caught), f"{trial.named} of {trial.known}")
            table.add_row(each, exercise.name, *counts)
    Console().print(table)
    for failure in failures:
        typer.echo(failure, err=True)
    _write_atomically(out, json.dumps(report, indent=2, sort_keys=True) + "\n")
    if failures:
        raise typer.Exit(1)


def _known(slug: str | None, slugs: tuple[str, ...]) -> tuple[str, ...]:
    if slug is None:
        return slugs
    if slug not in slugs:
        raise typer.BadParameter(f"{slug!r} is no lab; the labs are: {', '.join(slugs)}")
    return (slug,)


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
