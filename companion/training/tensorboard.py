"""The log of a run for TensorBoard."""

from pathlib import Path
from typing import Any

from companion._optional import optional_import
from companion.training.history import Record


class TensorBoardLog:
    """Write the records of a run as TensorBoard reads them; ``tensorboard --logdir FOLDER`` shows them.

    Parameters
    ----------
    folder
        Where its files go.
    """

    def __init__(self, folder: Path) -> None:
        optional_import("tensorboard", extra="labs", purpose="to log for TensorBoard")
        self.folder = folder
        self.writer: Any = None

    def start(self, step: int) -> None:
        """Open the log; what it has after a step is hidden, since it will be made again."""
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(self.folder, purge_step=step + 1)

    def advance(self, step: int) -> None:
        """Do nothing: only records are logged."""

    def write(self, record: Record) -> None:
        """Add one record."""
        for name, value in record.columns().items():
            if value is not None and name != "step":
                self.writer.add_scalar(name, value, record.step)

    def close(self) -> None:
        """Push what was written to the disk."""
        self.writer.close()
