"""When a text is finished: at a token, at a sequence of tokens, or when there is no more room."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

#: Why a text ended: an end token, a stop sequence, or max_new_tokens.
Reason = Literal["end", "sequence", "length"]
_REASONS: tuple[Reason, ...] = ("length", "end", "sequence")


class StopWatch:
    """Watch the tokens of a batch of texts, and remember which text ended and why.

    Parameters
    ----------
    batch, device
        Number of texts, and where their tokens are.
    end_ids
        Tokens that end a text.
    stop_sequences
        Sequences of tokens that end a text once they stand at its end; those of the prompt do not count.
    """

    def __init__(
        self, batch: int, device: torch.device, end_ids: Sequence[int], stop_sequences: Sequence[Sequence[int]]
    ) -> None:
        self._end_ids = tuple(end_ids)
        self._sequences = [torch.tensor(sequence, device=device) for sequence in stop_sequences]
        self._reason = torch.zeros(batch, dtype=torch.int64, device=device)
        self.is_watching = bool(self._end_ids or self._sequences)

    @property
    def stopped(self) -> Tensor:
        """Which texts have ended (batch)."""
        return self._reason > 0

    def reasons(self) -> tuple[Reason, ...]:
        """Why each text ended, supposing that no more is written."""
        return tuple(_REASONS[code] for code in self._reason.tolist())

    def look(self, written: Tensor) -> bool:
        """Look at all tokens written so far (batch new), of which the last is new; return whether all texts ended."""
        last = written[:, -1]
        for sequence in self._sequences:
            if written.shape[1] >= len(sequence):
                self._note((written[:, -len(sequence) :] == sequence).all(1), 2)
        for token in self._end_ids:
            self._note(last == token, 1)
        return bool(self.stopped.all())

    def _note(self, is_at_end: Tensor, code: int) -> None:
        self._reason = torch.where((self._reason == 0) & is_at_end, code, self._reason)
