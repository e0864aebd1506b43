"""Inputs drawn from a seed, for the cases of any exercise."""

import torch
from torch import Tensor

_SIZES = (2, 3, 5, 7, 11, 13)


def draw_sizes(generator: torch.Generator, count: int) -> list[int]:
    """Draw distinct primes, so that no wrong axis fits by accident."""
    order = torch.randperm(len(_SIZES), generator=generator)[:count]
    return [_SIZES[i] for i in order.tolist()]


def draw(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw standard normal numbers."""
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def draw_mask(generator: torch.Generator, n_query: int, n_key: int) -> Tensor:
    """Draw a mask whose every row allows at least one position and hides at least one."""
    rank = torch.rand(n_query, n_key, generator=generator).argsort(dim=-1)
    allowed = torch.randint(1, n_key, (n_query, 1), generator=generator)
    return rank < allowed
