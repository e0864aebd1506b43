"""Compile every model without a break in the graph, and compare with what it computes otherwise."""

import torch

from tests.attention.compare import assert_agree
from tests.models.families import CONFIGS, make, tokens

MASK = torch.tensor([[1] * 5, [1] * 3 + [0] * 2])


def main():
    """Print the name of each model that passed."""
    torch.set_num_threads(1)
    for kind in CONFIGS:
        model, input_ids = make(kind), tokens(2, 5)
        arguments = (input_ids, input_ids) if kind.__name__ == "T5" else (input_ids,)
        for options in ({}, {"attention_mask": MASK}):
            torch.compiler.reset()
            compiled = torch.compile(model, backend="eager", fullgraph=True)
            assert_agree([compiled(*arguments, **options)], [model(*arguments, **options)], 1e-12)
        print(kind.__name__)


if __name__ == "__main__":
    main()
