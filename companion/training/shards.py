"""Tensors of which each process may hold a shard: as the whole, and back."""

from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor that may be a shard as the whole; every process must ask."""
    full_tensor = getattr(tensor, "full_tensor", None)  # a DTensor's
    return full_tensor() if full_tensor else tensor


def like(whole_tensor: Tensor, other: Tensor) -> Tensor:
    """Return a whole tensor as another one is: on its device, and as a shard where that is one."""
    moved = whole_tensor.to(other.device)
    if not hasattr(other, "full_tensor"):
        return moved
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(moved, other.device_mesh, other.placements)  # pyright: ignore[reportAttributeAccessIssue]
