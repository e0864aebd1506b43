"""Remember the ids of pieces of text, and compute those of new pieces together."""

from collections.abc import Callable
from itertools import chain

_MAX_CHARACTERS = 2_000_000  # of remembered pieces: some 250,000 words


class Lookup:
    """The ids of pieces of text, each computed once, until there are too many.

    Parameters
    ----------
    compute
        Returns the ids of each piece of a list.
    """

    def __init__(self, compute: Callable[[list[str]], list[list[int]]]):
        self._compute = compute
        self._known: dict[str, list[int]] = {}
        self._characters = 0

    def join(self, rows: list[list[str]]) -> list[list[int]]:
        """Return for each row of pieces their ids, one after the other."""
        known = self._known  # of this call, even if another thread starts anew
        if unseen := list(set().union(*rows).difference(known)):
            known.update(zip(unseen, self._compute(unseen), strict=True))
            self._characters += sum(map(len, unseen))
        ids = [list(chain.from_iterable(map(known.__getitem__, row))) for row in rows]
        if self._characters > _MAX_CHARACTERS:
            self._known, self._characters = {}, 0
        return ids
