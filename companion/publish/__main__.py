"""``python -m companion.publish``: the notebooks, their test run, and what the site build needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from companion.publish.commands import release
from companion.publish.project import repository_root

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(release)
console = Console(soft_wrap=True, highlight=False)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows how far each notebook is: its name, cells run, cells in all."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield progress


@app.command()
def notebooks(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail unless every file is up to date.")
    ] = False,
) -> None:
    """Write the .ipynb beside each chapter and lab; run those whose code changed."""
    from companion.publish.notebooks import check_notebooks, targets, write_notebooks

    root = repository_root()
    if check:
        problems = check_notebooks(root)
        for problem in problems:
            console.print(f"[red]{problem.name}[/]: {problem.what}")
            console.print(problem.detail, markup=False)
        if problems:
            console.print("`make notebooks` writes them anew.")
            raise typer.Exit(1)
        console.print(f"{len(targets(root))} notebooks are what their sources say.")
        return
    with progress_bars() as progress:
        written = write_notebooks(root, progress)
    for name in written:
        console.print(f"wrote {name}")
    if not written:
        console.print("All notebooks were up to date.")


@app.command()
def nbval(
    paths: Annotated[list[Path] | None, typer.Argument(help="Notebooks (default: chapters and solved labs).")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    record: Annotated[bool, typer.Option(help="Write run times to book/runtimes.md.")] = True,
) -> None:
    """Run every notebook and compare what its checked cells print with what is stored."""
    from companion.publish.nbval import run_nbval

    raise typer.Exit(run_nbval(repository_root(), paths or [], device, record))


@app.command()
def prepare() -> None:
    """Do what the site build needs first: drop stale results, copy JavaScript, run the pages side by side."""
    from companion.publish.cache import execute_pages, invalidate_cache
    from companion.publish.vendor import vendor_scripts

    root = repository_root()
    if invalidate_cache(root):
        console.print("The code changed: executed pages are run again.")
    if vendor_scripts(root):
        console.print("Copied MathJax and Vega.")
    with progress_bars() as progress:
        executed = execute_pages(root, progress)
    console.print(f"Executed {len(executed)} pages; the others were in the cache.")


def main() -> int:
    """Run a command; what the caller can put right becomes a message and exit code 1."""
    from companion.publish.execute import ExecutionFailedError

    try:
        app(prog_name="python -m companion.publish")
    except (ValueError, OSError, ExecutionFailedError) as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(str(error), style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
