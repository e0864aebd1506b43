"""The ``companion`` command: one door to every part that is used from a terminal."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from companion import __version__
from companion._optional import MissingPackageError
from companion.applications.commands import classify
from companion.data.commands import app as data_app
from companion.data.errors import DataError
from companion.doctor import doctor
from companion.exercises.commands import exercises, mutants
from companion.finetuning.commands import finetune
from companion.grading.commands import grade
from companion.pretraining.commands import pretrain
from companion.publish.commands import release

# What a user can cause and put right: a wrong value, a missing or unreadable file, data that cannot be
# fetched, an extra that is not installed.
USER_ERRORS = (ValueError, OSError, DataError, MissingPackageError)


class Group(TyperGroup):
    """A command group that reports a user's mistake in one line and keeps tracebacks for our own."""

    def invoke(self, ctx: Any) -> Any:  # typer's context: its own class or click's, by version
        """Run the command; a user error becomes a message and exit code 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of `companion ... | head` went away: click's to handle
            raise
        except USER_ERRORS as error:
            if ctx.params.get("traceback"):
                raise
            Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="companion",
    cls=Group,
    help="Tools of the course Pretrained Language Models: From Theory to Practice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"companion {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def companion(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show Python's traceback of an error.")] = False,
) -> None:
    """Tools of the course Pretrained Language Models: From Theory to Practice."""


app.add_typer(data_app, name="data")
app.command()(classify)
app.command()(doctor)
app.command()(exercises)
app.command()(finetune)
app.command()(grade)
app.command()(mutants)
app.command()(pretrain)
app.command()(release)
