"""What a step of preparing a corpus kept, what it dropped, and why."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of each text that was given.

    Parameters
    ----------
    step
        What was done.
    given
        The number of texts.
    characters
        The number of their characters.
    kept
        The indices of those that were kept, in order.
    dropped
        For each reason the indices of those that were dropped.
    characters_kept
        The number of characters left.
    """

    step: str
    given: int
    characters: int
    kept: list[int]
    dropped: dict[str, list[int]]
    characters_kept: int

    def __str__(self) -> str:
        lines = [
            f"{self.step}: kept {len(self.kept)} of {self.given} texts, "
            f"{self.characters_kept} of {self.characters} characters"
        ]
        lines += [f"  dropped {len(indices)}: {reason}" for reason, indices in self.dropped.items() if indices]
        return "\n".join(lines)


class Kept(NamedTuple):
    """The texts that were kept, and what became of all."""

    texts: list[str]
    report: Report


def keep(step: str, given: list[str], kept: dict[int, str], dropped: dict[str, list[int]]) -> Kept:
    """Put the outcome of a step together."""
    texts = list(kept.values())
    return Kept(
        texts,
        Report(
            step=step,
            given=len(given),
            characters=sum(map(len, given)),
            kept=list(kept),
            dropped=dropped,
            characters_kept=sum(map(len, texts)),
        ),
    )
