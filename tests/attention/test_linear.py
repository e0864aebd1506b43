"""A linear map gives the same numbers and gradients whether the compiler gets its bias apart or not."""

import pytest
import torch
from torch import nn

from companion.attention.linear import Linear
from tests.attention.compare import assert_agree


def results(layer, x):
    """The output, and the gradients of a weighted sum of it."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    out = layer(x)
    (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
    return [out.detach(), x.grad, *(parameter.grad for parameter in layer.parameters())]


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_torchs_own(bias, monkeypatch):
    torch.manual_seed(0)
    ours = Linear(7, 5, bias=bias).double()
    theirs = nn.Linear(7, 5, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 4, 7, dtype=torch.float64)
    expected = results(theirs, x)
    assert all(torch.equal(a, b) for a, b in zip(results(ours, x), expected, strict=True))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert_agree(results(ours, x), expected, 1e-12)


def test_rounded_it_is_no_further_from_the_truth(monkeypatch):
    torch.manual_seed(0)
    layer, x = Linear(64, 48), torch.randn(32, 64)
    exact = layer(x).detach()
    with torch.autocast("cpu", torch.bfloat16):
        plain = layer(x).detach()
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        apart = layer(x).detach()
    assert apart.dtype == plain.dtype == torch.bfloat16
    assert (apart - exact).norm() <= 1.5 * (plain - exact).norm()
