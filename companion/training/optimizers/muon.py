"""Muon: the update of a matrix made orthogonal, so that it moves all directions alike."""

import itertools
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from companion._validation import describe, require_count, require_float_tensor, require_probability, requires
from companion.training.optimizers._written import (
    Group,
    State,
    WrittenOptimizer,
    as_groups,
    require_at_least_zero,
    require_betas,
    require_some,
)
from companion.training.optimizers.adamw import adamw_update
from companion.training.shards import like, whole

#: a, b, c of the polynomial: chosen by its authors so that small singular values grow fastest.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def _check_orthogonalize(matrix: Any, *, rounds: Any = 5) -> None:
    require_float_tensor("matrix", matrix, "row column")
    if matrix.dim() != 2:
        raise ValueError(f"matrix must have exactly 2 axes (row column), got {describe(matrix)}")
    require_count("rounds", rounds)


@requires(_check_orthogonalize)
def orthogonalize(matrix: Float[Tensor, "row column"], *, rounds: int = 5) -> Float[Tensor, "row column"]:
    """Bring all singular values of a matrix near 1, and leave its singular vectors.

    Each round applies the odd polynomial ``a s + b s^3 + c s^5`` to every singular value s, by matrix products alone.
    Five rounds bring a singular value that is more than about 1/200 of the matrix's norm into 0.7 to 1.2, which is as
    good as 1 here.

    Parameters
    ----------
    matrix
        What to change; rounded as its dtype does.
    rounds
        How often the polynomial is applied.

    Returns
    -------
    Tensor
        A matrix with the same singular vectors.

    Raises
    ------
    TypeError, ValueError
        If this is not a matrix of floating point numbers, or the rounds are not a positive integer.

    References
    ----------
    Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks.
    """
    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    # The product with the shorter side's square is the cheaper one.
    x = matrix.T if is_tall else matrix
    # The Frobenius norm is at least the largest singular value; the polynomial needs them at most 1.
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if is_tall else x


def _check_muon(
    optimizer: Any,
    matrices: Any,
    others: Any = (),
    *,
    lr: Any,
    momentum: Any = 0.95,
    nesterov: Any = True,
    weight_decay: Any = 0.1,
    betas: Any = (0.9, 0.95),
    eps: Any = 1e-8,
    rounds: Any = 5,
    dtype: Any = None,
) -> None:
    require_at_least_zero(lr=lr, weight_decay=weight_decay, eps=eps)
    require_probability("momentum", momentum)
    if not isinstance(nesterov, bool):
        raise TypeError(f"nesterov must be True or False, got {describe(nesterov)}")
    require_betas(betas)
    require_count("rounds", rounds)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype must be a floating point torch.dtype or None, got {describe(dtype)}")


class Muon(WrittenOptimizer):
    """Step by the orthogonalised momentum of matrices; everything else is left to AdamW.

    Parameters
    ----------
    matrices
        The matrices of hidden layers, or groups of them. Embeddings and the layer that scores the vocabulary do better
        with AdamW.
    others
        All other parameters, or groups of them.
    lr
        The learning rate. A step of a matrix is made about as long as AdamW's, so one rate serves both.
    momentum, nesterov
        How much of the mean of the gradients stays at each step, and whether to look one step ahead.
    weight_decay
        What share of itself a parameter loses at each step, times the learning rate.
    betas, eps
        AdamW's, of the others.
    rounds
        Of :func:`orthogonalize`.
    dtype
        What the products of :func:`orthogonalize` are computed in; the parameter's own by default.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, there is nothing to train, or something among the matrices is none.

    Notes
    -----
    With the gradient G of a matrix, and the mean B, 0 at first::

        B <- momentum B + (1 - momentum) G
        U <- orthogonalize(momentum B + (1 - momentum) G  if nesterov,  else B)
        matrix <- (1 - lr weight_decay) matrix - lr 0.2 sqrt(max(rows, columns)) U

    An orthogonal matrix of that size has entries of about 1 / sqrt(max(rows, columns)), and AdamW's steps are about
    0.2 lr.

    References
    ----------
    Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks; Liu et al. (2025), Muon is Scalable
    for LLM Training, equation 4.
    """

    @requires(_check_muon)
    def __init__(
        self,
        matrices: Any,
        others: Any = (),
        *,
        lr: float,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        rounds: int = 5,
        dtype: torch.dtype | None = None,
    ) -> None:
        groups: list[Group] = [group | {"is_matrix": True} for group in as_groups("matrices", matrices)]
        for parameter in itertools.chain.from_iterable(group["params"] for group in groups):
            if parameter.dim() != 2:
                raise ValueError(f"matrices must have two axes each, got {describe(parameter.data)}; add to others")
        groups += [group | {"is_matrix": False} for group in as_groups("others", others)]
        require_some(groups)
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps})
        self.momentum = momentum
        self.nesterov = nesterov
        self.rounds = rounds
        self.dtype = dtype

    def update(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> None:
        """Change one parameter by its gradient."""
        if not group["is_matrix"]:
            adamw_update(parameter, gradient, state, group)
            return
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - self.momentum)
        direction = gradient.lerp(mean, self.momentum) if self.nesterov else mean
        # All rows and columns belong together, so a matrix whose rows lie on several processes is joined first.
        step = like(orthogonalize(whole(direction).to(self.dtype or direction.dtype), rounds=self.rounds), parameter)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(group["lr"] * 0.2 * math.sqrt(max(parameter.shape)) * step)
