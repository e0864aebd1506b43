"""Batches of documents of about one length, so that little of a batch is padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from companion._validation import describe, require_count, requires
from companion.data.corpus.order import permutation
from companion.data.corpus.packing import cut_long
from companion.data.corpus.shards import Shards


def _check(
    self: Any,
    shards: Any,
    *,
    length: Any,
    batch_size: Any,
    seed: Any = 0,
    pool: Any = 100,
    multiple_of: Any = 1,
    pad_id: Any = 0,
) -> None:
    if not isinstance(shards, Shards):
        raise TypeError(f"shards must be Shards, got {describe(shards)}")
    for name, value in (("length", length), ("batch_size", batch_size), ("pool", pool), ("multiple_of", multiple_of)):
        require_count(name, value)
    require_count("seed", seed, minimum=0)
    require_count("pad_id", pad_id, minimum=0)


class Bucketed:
    """Batches of whole documents, one a row, with those of similar lengths in one batch and padding on the right.

    Documents are shuffled and dealt into pools; inside a pool they are sorted by length and cut into batches; then the
    batches of all pools are shuffled. As with `PackedRows`, every token is in exactly one place of an epoch, and a
    batch depends on the seed and the step alone.

    Parameters
    ----------
    shards
        The corpus.
    length
        The most positions of a row; longer documents are cut into pieces.
    batch_size
        The number of rows of a batch; the last one of an epoch may have fewer.
    seed
        Chooses the orders.
    pool
        How many batches are sorted together. 1 gives random batches; the more, the less padding, and the more alike
        the batches of two epochs.
    multiple_of
        Widths are rounded up to multiples of this, for devices and compilers that like few different shapes.
    pad_id
        The id of padding.
    """

    @requires(_check)
    def __init__(
        self,
        shards: Shards,
        *,
        length: int,
        batch_size: int,
        seed: int = 0,
        pool: int = 100,
        multiple_of: int = 1,
        pad_id: int = 0,
    ):
        self.shards, self.length, self.batch_size, self.seed = shards, length, batch_size, seed
        self.pool, self.multiple_of, self.pad_id = pool, multiple_of, pad_id
        lengths = shards.lengths
        filled = np.flatnonzero(lengths)
        if not len(filled):
            raise ValueError(f"shards must hold at least one token, got {shards!r}")
        self._documents, self._starts, self._stops = cut_long(filled, lengths, length)
        self._last_plan = 0, self._make_plan(0)

    def _plan(self, epoch: int) -> list[np.ndarray]:
        last, plan = self._last_plan  # in one go: another thread may change it
        if last != epoch:
            plan = self._make_plan(epoch)
            self._last_plan = epoch, plan
        return plan

    def _make_plan(self, epoch: int) -> list[np.ndarray]:
        """Return the pieces of each batch of an epoch."""
        sizes = self._stops - self._starts
        order = permutation(len(sizes), "documents", self.seed, epoch)
        batches: list[np.ndarray] = []
        for start in range(0, len(order), self.pool * self.batch_size):
            pool = order[start : start + self.pool * self.batch_size]
            if self.pool > 1:
                pool = pool[np.argsort(sizes[pool], kind="stable")]
            batches.extend(pool[at : at + self.batch_size] for at in range(0, len(pool), self.batch_size))
        return [batches[index] for index in permutation(len(batches), "batches", self.seed, epoch).tolist()]

    def __len__(self) -> int:
        """Return the number of batches of an epoch, which is the same for all."""
        return -(-len(self._documents) // self.batch_size)

    def _width(self, pieces: np.ndarray) -> int:
        longest = int((self._stops[pieces] - self._starts[pieces]).max())
        return -(-longest // self.multiple_of) * self.multiple_of

    @property
    def padding(self) -> float:
        """The share of the first epoch's positions that is padding."""
        positions = sum(len(pieces) * self._width(pieces) for pieces in self._plan(0))
        return 1 - int((self._stops - self._starts).sum()) / positions

    @requires(lambda self, step: require_count("step", step, minimum=0))
    def __call__(self, step: int) -> dict[str, Int64[Tensor, "batch pos"] | Bool[Tensor, "batch pos"]]:
        """Return the batch of a step, counted from 0 and through all epochs.

        Returns
        -------
        dict
            ``input_ids``, and ``attention_mask``, true where there is a token.
        """
        epoch, at = divmod(step, len(self))
        pieces = self._plan(epoch)[at]
        shape = (len(pieces), self._width(pieces))
        input_ids, mask = np.full(shape, self.pad_id, dtype=np.int64), np.zeros(shape, dtype=bool)
        for row, piece in enumerate(pieces.tolist()):
            start, stop = int(self._starts[piece]), int(self._stops[piece])
            ids = self.shards.piece(int(self._documents[piece]), start, stop)
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = True
        return {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
