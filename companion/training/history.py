"""What happened in a run: one record for each row of its log."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known after a step.

    Parameters
    ----------
    step
        How many updates were made.
    loss
        Mean over the tokens that counted since the last record; None before the first step.
    lr, grad_norm
        Of the last step; the norm is the one before clipping.
    tokens
        How many were read since the beginning, padding left out.
    tokens_per_second
        Since the last record, without validation and saving.
    loader_share
        What share of the time of a step went into getting its batch.
    seconds, cpu_seconds
        Since the beginning, everything included, over all resumptions.
    validation
        The mean loss of each validation set, where it was just computed.
    """

    step: int
    loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tokens: int = 0
    tokens_per_second: float | None = None
    loader_share: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    validation: Mapping[str, float] = field(default_factory=dict)

    def columns(self) -> dict[str, float | int | None]:
        """Return every number under the name of its column."""
        numbers = {name: value for name, value in vars(self).items() if name != "validation"}
        return {**numbers, **self.validation}


#: The columns of a log before those of the validation sets.
COLUMNS = [name for name in Record.__dataclass_fields__ if name != "validation"]


class History:
    """The records of a run, from its first step on.

    Parameters
    ----------
    records
        In the order of their steps.
    stopped
        Why the run stopped before its last step, or None when it did not.
    """

    def __init__(self, records: list[Record], stopped: str | None = None) -> None:
        self.records = records
        self.stopped = stopped

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __getitem__(self, index: int) -> Record:
        return self.records[index]

    @property
    def columns(self) -> dict[str, list[float | int | None]]:
        """Every column by its name; None where a record lacks the number."""
        rows = [record.columns() for record in self.records]
        names = list(COLUMNS)
        for row in rows:
            names += [name for name in row if name not in names]
        return {name: [row.get(name) for row in rows] for name in names}
