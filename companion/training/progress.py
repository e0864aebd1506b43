"""What a person sees while a model trains: a bar with the loss, the speed and the time left."""

import sys
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from companion.training.history import Record


class ProgressBar:
    """A bar in the terminal or under the cell of a notebook.

    Parameters
    ----------
    steps
        How many the run has.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.shown: dict[str, Any] = {"loss": "", "speed": "", "validation": ""}
        columns = (
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[loss]}{task.fields[validation]}{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns)
        self.task = self.progress.add_task("", total=steps, **self.shown)

    def start(self, step: int) -> None:
        """Show the bar."""
        self.progress.update(self.task, completed=step)
        self.progress.start()

    def advance(self, step: int) -> None:
        """Say how many steps are done."""
        self.progress.update(self.task, completed=step)

    def write(self, record: Record) -> None:
        """Show the numbers of a record."""
        if record.loss is not None:
            self.shown["loss"] = f"loss {record.loss:.3f}"
        if record.tokens_per_second is not None:
            self.shown["speed"] = f"  {record.tokens_per_second:,.0f} tokens/s"
        if record.validation:
            self.shown["validation"] = f"  validation {next(iter(record.validation.values())):.3f}"
        self.progress.update(self.task, **self.shown)

    def close(self) -> None:
        """Leave the bar as it is."""
        self.progress.stop()


def is_watched() -> bool:
    """Whether a person can see a bar: in a terminal or a notebook."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules
