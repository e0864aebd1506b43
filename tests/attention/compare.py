"""Compare two computations in value and in gradient."""

import torch

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
PRECISIONS = tuple(TOLERANCE)


def value_and_gradients(function, *tensors):
    """Return a function's value and the gradients of a random, hence unforgiving, weighted sum of it."""
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    value = function(*leaves)
    cotangent = torch.randn(value.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (value * cotangent.to(value)).sum().backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def assert_agree(ours, theirs, tolerance):
    """Fail unless two lists of tensors are the same but for rounding."""
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine is not None
        assert other is not None
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)


def heads(*shape, dtype=torch.float64, seed=0):
    """Draw a tensor of normal numbers."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)
