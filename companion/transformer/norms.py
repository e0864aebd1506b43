"""Keep the size of the features in hand: layer normalisation and its root-mean-square half, written out and fast."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from companion._validation import (
    describe,
    require_count,
    require_features,
    require_finite,
    require_float_tensor,
    requires,
)


def _check_eps(eps: Any) -> None:
    require_finite("eps", eps)
    if eps <= 0:
        raise ValueError(f"eps must be above 0, got {eps}")


def _check_function(x: Any, weight: Any, bias: Any = None, *, eps: Any = 1e-5) -> None:
    require_float_tensor("x", x, "*batch d_model")
    for name, vector in {"weight": weight, "bias": weight if bias is None else bias}.items():
        require_float_tensor(name, vector, "d_model")
        if vector.shape[0] != x.shape[-1]:
            raise ValueError(f"{name} must have x's {x.shape[-1]} features, got {describe(vector)}")
    _check_eps(eps)


@requires(_check_function)
def layer_norm(
    x: Float[Tensor, "*batch d_model"],
    weight: Float[Tensor, " d_model"],
    bias: Float[Tensor, " d_model"] | None = None,
    *,
    eps: float = 1e-5,
) -> Float[Tensor, "*batch d_model"]:
    """Give each position's features mean 0 and variance 1, then a scale and a shift that are learned.

    This is the equation; :class:`LayerNorm` computes it with torch's fused kernel.

    Parameters
    ----------
    x
        Features; each position is normalised on its own.
    weight, bias
        The learned scale and shift.
    eps
        Added to the variance, so that equal features do not divide by zero.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a floating point tensor, the numbers of features differ, or eps is not above 0.

    References
    ----------
    Ba et al. (2016), Layer Normalization, equations 3 and 4.
    """
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    normal = (x - mean) / torch.sqrt(variance + eps)
    return normal * weight if bias is None else normal * weight + bias


@requires(_check_function)
def rms_norm(
    x: Float[Tensor, "*batch d_model"], weight: Float[Tensor, " d_model"], *, eps: float = 1e-6
) -> Float[Tensor, "*batch d_model"]:
    """Give each position's features a mean square of 1, then a scale that is learned; the mean is left alone.

    This is the equation; :class:`RMSNorm` computes it with torch's own function.

    Parameters
    ----------
    x
        Features; each position is normalised on its own.
    weight
        The learned scale.
    eps
        Added to the mean square, so that a vector of zeros does not divide by zero.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a floating point tensor, the numbers of features differ, or eps is not above 0.

    References
    ----------
    Zhang and Sennrich (2019), Root Mean Square Layer Normalization, equation 4.
    """
    mean_square = x.square().mean(-1, keepdim=True)
    return x / torch.sqrt(mean_square + eps) * weight


def _check_module(module: Any, d_model: Any, *, eps: Any = 1e-5, bias: Any = True) -> None:
    require_count("d_model", d_model)
    _check_eps(eps)


def _check_forward(module: "LayerNorm | RMSNorm", x: Any) -> None:
    require_features("x", x, "*batch d_model", module.weight)


class LayerNorm(nn.Module):
    """Normalise each position's features by their mean and variance.

    Parameters
    ----------
    d_model
        Number of features.
    eps
        Added to the variance.
    bias
        Whether to add a learned shift.

    Raises
    ------
    TypeError, ValueError
        If d_model is not a positive integer, or eps is not above 0.

    References
    ----------
    Ba et al. (2016), Layer Normalization, equations 3 and 4; written out in :func:`layer_norm`.
    """

    @requires(_check_module)
    def __init__(self, d_model: int, *, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None

    @requires(_check_forward)
    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Normalise.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is not a floating point tensor with d_model features.
        """
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """Normalise each position's features by their root mean square.

    Parameters
    ----------
    d_model
        Number of features.
    eps
        Added to the mean square.

    Raises
    ------
    TypeError, ValueError
        If d_model is not a positive integer, or eps is not above 0.

    References
    ----------
    Zhang and Sennrich (2019), Root Mean Square Layer Normalization, equation 4; written out in :func:`rms_norm`.
    """

    @requires(_check_module)
    def __init__(self, d_model: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    @requires(_check_forward)
    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Normalise.

        Raises
        ------
        TypeError, ValueError
            If ``x`` is not a floating point tensor with d_model features.
        """
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
