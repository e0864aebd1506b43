"""The position-wise half of a block: what each position makes of what it has gathered."""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from companion._validation import require_all_finite, require_count, require_features, requires


def _check_module(module: Any, d_model: Any, d_ff: Any, *, bias: Any = True) -> None:
    require_count("d_model", d_model)
    require_count("d_ff", d_ff)


def _check_forward(module: "FeedForward", x: Any) -> None:
    require_features("x", x, "*batch d_model", module.up.weight)
    require_all_finite("x", x)


class FeedForward(nn.Module):
    """Transform every position on its own: up to ``d_ff`` features, through a GELU, and down again.

    Parameters
    ----------
    d_model, d_ff
        Numbers of features outside and inside.
    bias
        Whether the two projections add a bias.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, section 3.3. Hendrycks and Gimpel (2016), Gaussian Error Linear
    Units, section 2, for the tanh approximation, which GPT-2 uses.
    """

    @requires(_check_module)
    def __init__(self, d_model: int, d_ff: int, *, bias: bool = True) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.down = nn.Linear(d_ff, d_model, bias=bias)

    @requires(_check_forward)
    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Transform the features of each position.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is not a floating point tensor with d_model features, or is not finite (looked for as in
            ``dot_product_attention``).
        """
        return self.down(F.gelu(self.up(x), approximate="tanh"))
