"""The places where a sparse matrix is not zero, and the two products with dense matrices that GloVe needs there."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Integer
from scipy.sparse import csr_array
from torch import Tensor


@dataclass(frozen=True)
class Nonzeros:
    """Places (i, j) in the order of the rows and, for products with the transpose, in the order of the columns."""

    row_starts: Int[Tensor, " row_bound"]
    columns: Int[Tensor, " nonzero"]
    column_starts: Int[Tensor, " column_bound"]
    rows: Int[Tensor, " nonzero"]
    by_column: Int[Tensor, " nonzero"]  # which place by rows is the first, second, ... by columns

    @classmethod
    def at(
        cls, rows: Integer[np.ndarray, " nonzero"], columns: Integer[np.ndarray, " nonzero"], size: int
    ) -> "Nonzeros":
        """Index the places of a square matrix; they come sorted by row, then by column."""
        starts = np.searchsorted(rows, np.arange(size + 1))
        transpose = csr_array((np.arange(len(rows)), columns, starts), shape=(size, size)).tocsc()
        arrays = starts, columns, transpose.indptr, transpose.indices, transpose.data
        return cls(*(torch.from_numpy(array.astype(np.int32)) for array in arrays))

    def to(self, device: torch.device | str) -> "Nonzeros":
        """Move to a device."""
        return Nonzeros(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    def products(self, left: Float[Tensor, "size d"], right: Float[Tensor, "size d"]) -> Float[Tensor, " nonzero"]:
        """Return left's row i times right's row j for each place (i, j), and compute no other product."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse")  # torch calls its sparse matrices beta
            zeros = left.new_zeros(len(self.columns))
            places = torch.sparse_csr_tensor(self.row_starts, self.columns, zeros, (len(left), len(right)))
            return torch.sparse.sampled_addmm(places, left, right.mT, beta=0.0).values()

    def sums(
        self, values: Float[Tensor, " nonzero"], left: Float[Tensor, "size d"], right: Float[Tensor, "size d"]
    ) -> tuple[Float[Tensor, "size d"], Float[Tensor, "size d"]]:
        """Return E · right and Eᵀ · left, where E holds the values at these places and zeros elsewhere."""
        return (
            _weighted_sums(self.columns, self.row_starts, values, right),
            _weighted_sums(self.rows, self.column_starts, values[self.by_column], left),
        )


def _weighted_sums(rows: Tensor, starts: Tensor, values: Tensor, table: Tensor) -> Tensor:
    # The same as torch.sparse.mm, in half the time.
    return F.embedding_bag(rows, table, starts, mode="sum", per_sample_weights=values, include_last_offset=True)
