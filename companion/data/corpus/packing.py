"""Rows of one length, filled with whole documents, or with pieces of those that are longer than a row."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from companion._validation import describe, require_count, requires
from companion.data.corpus.order import permutation
from companion.data.corpus.shards import Shards

PADDING = -1  # the document of a position that holds none
Cut = Literal["long", "anywhere"]


class Plan(NamedTuple):
    """Which pieces of which documents fill which row of an epoch: piece ``i`` is in row ``rows[i]``, in order."""

    documents: Int64[np.ndarray, " piece"]
    starts: Int64[np.ndarray, " piece"]
    stops: Int64[np.ndarray, " piece"]
    first_piece: Int64[np.ndarray, " row_and_one"]

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.first_piece) - 1


def cut_long(order: np.ndarray, lengths: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut documents longer than a row into pieces of a row each and a rest; leave the others whole."""
    n_pieces = -(-lengths[order] // length)
    documents = np.repeat(order, n_pieces)
    number = np.arange(len(documents)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    starts = number * length
    return documents, starts, np.minimum(starts + length, lengths[documents])


def best_fit(sizes: np.ndarray, length: int) -> tuple[np.ndarray, int]:
    """Put every piece into the fullest row that has room for it, the longest pieces first.

    Returns
    -------
    rows
        The row of each piece.
    n_rows
        How many rows there are.

    References
    ----------
    Ding et al. 2024, "Fewer Truncations Improve Language Modeling", section 3.
    """
    rows = np.empty(len(sizes), dtype=np.int64)
    open_rows: list[list[int]] = [[] for _ in range(length + 1)]  # by the room they have left
    have = 0  # bit r is set when there is a row with room r: the least room that suffices is found in one step
    n_rows = 0
    for piece in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[piece])
        suffices = have >> size
        if suffices:
            room = size + (suffices & -suffices).bit_length() - 1
            row = open_rows[room].pop()
            if not open_rows[room]:
                have &= ~(1 << room)
        else:
            room, row, n_rows = length, n_rows, n_rows + 1
        rows[piece] = row
        if left := room - size:
            open_rows[left].append(row)
            have |= 1 << left
    return rows, n_rows


def plan_long(order: np.ndarray, lengths: np.ndarray, length: int, *parts: Any) -> Plan:
    """Fill rows with whole documents and pieces of long ones, and put the rows into a random order."""
    documents, starts, stops = cut_long(order, lengths, length)
    rows, n_rows = best_fit(stops - starts, length)
    place = np.empty(n_rows, dtype=np.int64)
    place[permutation(n_rows, "rows", *parts)] = np.arange(n_rows)
    by_row = np.argsort(place[rows], kind="stable")
    first_piece = np.searchsorted(place[rows][by_row], np.arange(n_rows + 1))
    return Plan(documents[by_row], starts[by_row], stops[by_row], first_piece)


def plan_anywhere(order: np.ndarray, lengths: np.ndarray, length: int) -> Plan:
    """Lay the documents end to end and cut the whole at every row's end."""
    sizes = lengths[order]
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.concatenate([ends, np.arange(length, total, length)]))
    begins = np.concatenate([[0], cuts[:-1]]).astype(np.int64)
    at = np.searchsorted(ends, begins, side="right")
    origin = (ends - sizes)[at]
    n_rows = -(-total // length)
    first_piece = np.searchsorted(begins, np.arange(n_rows) * length)
    return Plan(order[at], begins - origin, cuts - origin, np.append(first_piece, len(begins)))


def _check(
    self: Any, shards: Any, *, length: Any, batch_size: Any, seed: Any = 0, cut: Any = "long", pad_id: Any = 0
) -> None:
    if not isinstance(shards, Shards):
        raise TypeError(f"shards must be Shards, got {describe(shards)}")
    require_count("length", length)
    require_count("batch_size", batch_size)
    require_count("seed", seed, minimum=0)
    require_count("pad_id", pad_id, minimum=0)
    if cut not in get_args(Cut):
        raise ValueError(f"cut must be one of {', '.join(get_args(Cut))}, got {describe(cut)}")


class PackedRows:
    """Batches of rows of exactly ``length`` tokens, several documents in one row, each told apart by its number.

    Every token of the corpus is in exactly one place of an epoch, and every epoch has another order. What a batch holds
    depends on the seed and the step alone: not on the process, the machine or what was asked before. So a run that
    stopped at a step goes on with the batches that it would have had.

    Parameters
    ----------
    shards
        The corpus.
    length
        The number of positions of a row.
    batch_size
        The number of rows of a batch; where rows are too few for the last batch of an epoch, empty ones are added.
    seed
        Chooses the orders.
    cut
        ``"long"`` cuts only documents longer than a row, and leaves a few positions at the ends of rows empty.
        ``"anywhere"`` lays documents end to end and cuts at every row's end: no position is empty, many documents are
        in two pieces that cannot see each other.
    pad_id
        The id at empty positions, whose document is -1.
    """

    @requires(_check)
    def __init__(
        self,
        shards: Shards,
        *,
        length: int,
        batch_size: int,
        seed: int = 0,
        cut: Cut = "long",
        pad_id: int = 0,
    ):
        self.shards, self.length, self.batch_size = shards, length, batch_size
        self.seed, self.cut, self.pad_id = seed, cut, pad_id
        self._lengths = shards.lengths
        self._filled = np.flatnonzero(self._lengths)
        if not len(self._filled):
            raise ValueError(f"shards must hold at least one token, got {shards!r}")
        plan = self._make_plan(0)
        self._last_plan = 0, plan
        self._n_rows = plan.n_rows

    def _plan(self, epoch: int) -> Plan:
        last, plan = self._last_plan  # in one go: another thread may change it
        if last != epoch:
            plan = self._make_plan(epoch)
            self._last_plan = epoch, plan
        return plan

    def _make_plan(self, epoch: int) -> Plan:
        order = self._filled[permutation(len(self._filled), "documents", self.seed, epoch)]
        if self.cut == "long":
            return plan_long(order, self._lengths, self.length, self.seed, epoch)
        return plan_anywhere(order, self._lengths, self.length)

    def __len__(self) -> int:
        """Return the number of batches of an epoch, which is the same for all."""
        return -(-self._n_rows // self.batch_size)

    @property
    def fill(self) -> float:
        """The share of the rows' positions that hold a token; rows that only complete a batch are not counted."""
        return int(self._lengths.sum()) / (self._n_rows * self.length)

    @requires(lambda self, step: require_count("step", step, minimum=0))
    def __call__(self, step: int) -> dict[str, Int64[Tensor, "batch pos"]]:
        """Return the batch of a step, counted from 0 and through all epochs.

        Returns
        -------
        dict
            ``input_ids``, and ``document_ids``: the number of the document within its row, -1 at empty positions.
        """
        epoch, at = divmod(step, len(self))
        plan = self._plan(epoch)
        shape = (self.batch_size, self.length)
        input_ids, document_ids = np.full(shape, self.pad_id, dtype=np.int64), np.full(shape, PADDING, dtype=np.int64)
        for row in range(self.batch_size):
            number = at * self.batch_size + row
            if number < plan.n_rows:
                self._fill_row(plan, number, input_ids[row], document_ids[row])
        return {"input_ids": torch.from_numpy(input_ids), "document_ids": torch.from_numpy(document_ids)}

    def _fill_row(self, plan: Plan, number: int, input_ids: np.ndarray, document_ids: np.ndarray) -> None:
        place = 0
        first, last = plan.first_piece[number : number + 2].tolist()
        for count, piece in enumerate(range(first, last)):
            ids = self.shards.piece(int(plan.documents[piece]), int(plan.starts[piece]), int(plan.stops[piece]))
            input_ids[place : place + len(ids)] = ids
            document_ids[place : place + len(ids)] = count
            place += len(ids)
