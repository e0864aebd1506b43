"""How much was read, how long it took, and the mean loss since the last record."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Meter:
    """Sums over a run and over the steps since the last record; they survive in its checkpoints.

    Parameters
    ----------
    total, count
        Of the losses since the last record.
    window_tokens, window_seconds, loading_seconds
        Since the last record: tokens read, seconds in steps, and how many of these went into getting batches.
    tokens, seconds, cpu_seconds
        Since the beginning.
    """

    total: float = 0.0
    count: float = 0.0
    window_tokens: int = 0
    window_seconds: float = 0.0
    loading_seconds: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    _clocks: tuple[float, float] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Let the clocks run from now on."""
        self._clocks = (time.perf_counter(), time.process_time())

    def tick(self) -> None:
        """Add what has passed since the last look at the clocks."""
        if self._clocks is not None:
            now = (time.perf_counter(), time.process_time())
            self.seconds += now[0] - self._clocks[0]
            self.cpu_seconds += now[1] - self._clocks[1]
            self._clocks = now

    def add(self, total: float, count: float, tokens: int) -> None:
        """Add the losses of a step and the tokens that it read."""
        self.total += total
        self.count += count
        self.tokens += tokens
        self.window_tokens += tokens

    def read(self) -> dict[str, Any]:
        """Return the numbers of a record, and begin the next window."""
        self.tick()
        numbers = {
            "loss": self.total / max(self.count, 1.0) if self.window_seconds else None,
            "tokens_per_second": self.window_tokens / self.window_seconds if self.window_seconds else None,
            "loader_share": self.loading_seconds / self.window_seconds if self.window_seconds else None,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
        }
        self.total = self.count = self.window_seconds = self.loading_seconds = 0.0
        self.window_tokens = 0
        return numbers

    def to_json(self) -> dict[str, Any]:
        """Return the sums as JSON can hold them."""
        self.tick()
        return {name: value for name, value in asdict(self).items() if name != "_clocks"}
