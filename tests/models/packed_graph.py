"""Compile every model on packed rows without a break in the graph, and compare with what it computes otherwise."""

import torch

from companion.models import T5
from tests.attention.compare import assert_agree
from tests.models.families import CONFIGS, make, tokens

DOCUMENTS = torch.tensor([[3, 3, 5, 5, 5, 7, -1], [0, 1, 1, 1, 1, 1, 1]])


def main():
    """Print the name of each model that passed."""
    torch.set_num_threads(1)
    for kind in CONFIGS:
        torch.compiler.reset()
        model, input_ids = make(kind), tokens(2, 7)
        forward = model.encode if kind is T5 else model
        compiled = torch.compile(forward, backend="eager", fullgraph=True)
        results = []
        for function in (compiled, forward):
            model.zero_grad()
            scores = function(input_ids, document_ids=DOCUMENTS)
            (scores**2).sum().backward()
            results.append([scores, *(p.grad for p in model.parameters() if p.grad is not None)])
        assert_agree(*results, 1e-11)
        print(kind.__name__)


if __name__ == "__main__":
    main()
