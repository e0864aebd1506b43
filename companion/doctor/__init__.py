"""``companion doctor``: look at this machine and say what to do about each thing that is not well."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from companion.doctor.checks import Check

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check this machine: one line each, and what to do about each line that is not well."""
    from companion.doctor.checks import CHECKS

    console = Console(soft_wrap=True, highlight=False)
    report = []
    for run in CHECKS:
        report.append(run())
        if not as_json:
            _print_line(report[-1], console)
    is_fine = all(check.status != "failed" for check in report)
    if as_json:
        typer.echo(json.dumps({"ok": is_fine, "checks": [asdict(check) for check in report]}, indent=1))
    if not is_fine:
        raise typer.Exit(1)


def _print_line(check: Check, console: Console) -> None:
    console.print(f"[{STYLES[check.status]}]{check.status:8}[/] {check.name:16} {escape(check.found)}")
    if check.remedy:
        console.print(f"{'':8} {'':16} -> {escape(check.remedy)}", style="dim")
