"""The errors of a run: what went wrong, at which step, and what to do."""

from pathlib import Path


class RunError(RuntimeError):
    """A run cannot be saved or resumed; the message says why, and what the last good checkpoint is."""


class NonFiniteError(ArithmeticError):
    """The loss or the gradient became NaN or infinite.

    Parameters
    ----------
    message
        What became of which number.
    step
        The step that failed, counted from 0 as the batches are.
    saved
        Where the batch was saved, or None when the run has no folder.
    """

    def __init__(self, message: str, *, step: int, saved: Path | None) -> None:
        super().__init__(message)
        self.step = step
        self.saved = saved
