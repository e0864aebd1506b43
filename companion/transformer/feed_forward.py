"""The position-wise half of a block: what each position makes of what it has gathered."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from companion._validation import (
    describe,
    require_all_finite,
    require_count,
    require_features,
    require_probability,
    requires,
)
from companion.attention.linear import Linear


def _gelu_tanh(x: Tensor) -> Tensor:
    if not torch.compiler.is_compiling():
        return F.gelu(x, approximate="tanh")
    # (1 + tanh(z)) / 2 is the logistic function of 2z. The compiler's code for the CPU takes less than half the time
    # for it, forward and backward.
    return x * torch.sigmoid(x * (2 * math.sqrt(2 / math.pi) * (1 + 0.044715 * (x * x))))


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "relu": F.relu,
        "gelu": F.gelu,
        "gelu_tanh": _gelu_tanh,
        "silu": F.silu,
    }
)


def _check_module(
    module: Any,
    d_model: Any,
    d_ff: Any,
    *,
    activation: Any = "gelu_tanh",
    gated: Any = False,
    bias: Any = True,
    dropout: Any = 0.0,
) -> None:
    require_count("d_model", d_model)
    require_count("d_ff", d_ff)
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {describe(activation)}")
    require_probability("dropout", dropout)


def _check_forward(module: "FeedForward", x: Any) -> None:
    require_features("x", x, "*batch d_model", module.up.weight)
    require_all_finite("x", x)


class FeedForward(nn.Module):
    """Transform every position on its own: up to ``d_ff`` features, through a bend, and down again.

    With a gate, a second projection passes through the bend instead and the first is multiplied by it: with "silu"
    that is SwiGLU, with "gelu_tanh" the GEGLU of T5 1.1.

    Parameters
    ----------
    d_model, d_ff
        Numbers of features outside and inside.
    activation
        The bend: "relu", "gelu", "gelu_tanh" (GPT-2's approximation of it) or "silu".
    gated
        Whether there is a gate.
    bias
        Whether the projections add a bias.
    dropout
        Chance of dropping an inner feature while training.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the activation is unknown, or the dropout is out of range.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, section 3.3. Hendrycks and Gimpel (2016), Gaussian Error Linear
    Units, section 2. Shazeer (2020), GLU Variants Improve Transformer, equation 6.
    """

    @requires(_check_module)
    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: str = "gelu_tanh",
        gated: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.dropout = dropout
        self.gate = Linear(d_model, d_ff, bias=bias) if gated else None
        self.up = Linear(d_model, d_ff, bias=bias)
        self.down = Linear(d_ff, d_model, bias=bias)

    @requires(_check_forward)
    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Transform the features of each position.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is not a floating point tensor with d_model features, or is not finite (looked for as in
            ``dot_product_attention``).
        """
        bend = ACTIVATIONS[self.activation]
        inner = bend(self.up(x)) if self.gate is None else bend(self.gate(x)) * self.up(x)
        return self.down(F.dropout(inner, self.dropout, self.training))
