"""Remember the ids of pieces of text, and compute those of new pieces together."""

from collections.abc import Callable, Iterable

_MAX_CHARACTERS = 4_000_000  # of remembered pieces: some 300,000
_MAX_WAITING = 60_000  # pieces of rows whose ids are not all known


class Lookup:
    """The ids of pieces of text, each computed once, until there are too many.

    Ids are kept as bytes (see `pack`): a hundred thousand small lists would keep Python's garbage collector busy.

    Parameters
    ----------
    compute
        Returns the packed ids of each piece of a list.
    """

    def __init__(self, compute: Callable[[list[str]], list[bytes]]):
        self._compute = compute
        self._known: dict[str, bytes] = {}
        self._characters = 0

    def join(self, rows: Iterable[list[str]]) -> list[bytes]:
        """Return for each row of pieces their ids, one after the other."""
        joined: list[bytes] = []
        waiting: dict[int, list[str]] = {}
        n_waiting = 0
        for row in rows:
            try:
                joined.append(b"".join(map(self._known.__getitem__, row)))
            except KeyError:
                waiting[len(joined)] = row
                joined.append(b"")
                n_waiting += len(row)
                if n_waiting > _MAX_WAITING:
                    self._fill(joined, waiting)
                    n_waiting = 0
        self._fill(joined, waiting)
        return joined

    def _fill(self, joined: list[bytes], waiting: dict[int, list[str]]) -> None:
        for place, ids in zip(waiting, self.join_unseen(list(waiting.values())), strict=True):
            joined[place] = ids
        waiting.clear()

    def join_unseen(self, rows: list[list[str]]) -> list[bytes]:
        """Do the same, faster when most rows hold pieces never seen before."""
        known = self._known  # of this call, even if another thread starts anew
        unseen = list(set().union(*rows).difference(known))
        known.update(zip(unseen, self._compute(unseen), strict=True))
        joined = [b"".join(map(known.__getitem__, row)) for row in rows]
        self._characters += sum(map(len, unseen))
        if self._characters > _MAX_CHARACTERS:
            self._known, self._characters = {}, 0
        return joined
