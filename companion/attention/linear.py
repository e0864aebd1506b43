"""A linear map whose bias the compiler may add where it costs nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """The same as :class:`torch.nn.Linear`, weights and results, but a step compiled for the CPU takes less time.

    There a matrix product with a bias first writes the bias into every row of the result, and then adds the product to
    it. Added afterwards, the bias is part of the pass that the compiler makes over the result anyway.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Multiply by the weights, and add the bias."""
        if self.bias is None or input.device.type != "cpu" or not torch.compiler.is_compiling():
            return super().forward(input)
        product = F.linear(input, self.weight)
        return (product + self.bias).to(product.dtype)
