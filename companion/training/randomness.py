"""The random numbers of a run: python's, numpy's and torch's, kept apart from those of whoever started it."""

import contextlib
import random
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    """Start every generator from one seed."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  what a user's batches may call
    torch.manual_seed(seed)


def capture(device: torch.device) -> dict[str, Tensor]:
    """Return where every generator stands, as tensors."""
    _, words, gauss = random.getstate()
    _, numbers, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    states = {
        "python": torch.tensor(words, dtype=torch.int64),
        # A normal number that was drawn with the last one and waits, or NaN.
        "python.gauss": torch.tensor([float("nan") if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.tensor([*np.asarray(numbers).tolist(), position, has_gauss], dtype=torch.int64),
        "numpy.gauss": torch.tensor([cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def restore(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Put every generator where it stood; one that this machine has and the states lack goes on as it is."""
    gauss = states["python.gauss"].item()
    random.setstate((3, tuple(states["python"].tolist()), None if gauss != gauss else gauss))
    *numbers, position, has_gauss = states["numpy"].tolist()
    np.random.set_state(  # noqa: NPY002
        ("MT19937", np.array(numbers, dtype=np.uint32), position, has_gauss, states["numpy.gauss"].item())
    )
    torch.set_rng_state(states["torch"].cpu())
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
    if device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"].cpu())


class RandomStream:
    """Random numbers of one run on one device: they go on where they stopped, whatever others draw in between.

    Parameters
    ----------
    seed
        Where they start.
    device
        Whose generator belongs to them, beside the three of the processor.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        outside = capture(device)
        seed_all(seed)
        self.states: Mapping[str, Tensor] = capture(device)
        restore(outside, device)
        self.is_active = False

    def current(self) -> Mapping[str, Tensor]:
        """Return where the generators of this stream stand now."""
        return capture(self.device) if self.is_active else self.states

    def load(self, states: Mapping[str, Tensor], rank: int) -> None:
        """Go on from the states of one process, named ``<process>.<name>``; a process without any keeps its seed."""
        mine = {name: tensor for key, tensor in states.items() for r, _, name in [key.partition(".")] if r == str(rank)}
        if not mine:
            return
        self.states = mine
        if self.is_active:
            restore(mine, self.device)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Draw from this stream as long as the block lasts."""
        outside = capture(self.device)
        restore(self.states, self.device)
        self.is_active = True
        try:
            yield
        finally:
            self.is_active = False
            self.states = capture(self.device)
            restore(outside, self.device)
