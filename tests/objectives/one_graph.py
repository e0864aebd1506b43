"""Compile three losses of pretraining, models and all, and compare with what they are otherwise."""

import torch

from companion.models import BERT, GPT
from companion.objectives import causal_labels, linear_cross_entropy, masked_positions, take_positions, token_loss
from tests.attention.compare import assert_agree
from tests.models.families import make, tokens

DOCUMENTS = torch.tensor([[3, 3, 5, 5, 5, 7, -1], [0, 1, 1, 1, 1, 1, 1]])


def masked(model):
    """A function of a batch; its head is asked at five positions, two of which are labelled."""

    def loss(ids, labels, positions):
        scores = model.mlm_logits(take_positions(model(ids, document_ids=DOCUMENTS), positions))
        return token_loss(scores, take_positions(labels, positions)).mean

    labels = torch.full((2, 7), -100)
    labels[0, 3], labels[1, 6] = 11, 2
    return loss, (labels, masked_positions(labels, 5))


def causal(model):
    """A function of a batch that makes its own labels."""

    def loss(ids):
        return token_loss(model(ids, document_ids=DOCUMENTS), causal_labels(ids, document_ids=DOCUMENTS)).mean

    return loss, ()


def causal_by_parts(model):
    """The same without all scores at once."""

    def loss(ids):
        labels = causal_labels(ids, document_ids=DOCUMENTS)
        hidden = model.encode(ids, document_ids=DOCUMENTS)
        return linear_cross_entropy(hidden, model.token_embedding.weight, labels, rows=4).mean

    return loss, ()


def main():
    """Print the name of each loss that passed."""
    torch.set_num_threads(1)
    for kind, objective in ((BERT, masked), (GPT, causal), (GPT, causal_by_parts)):
        torch.compiler.reset()
        model = make(kind)
        loss, batch = objective(model)
        results = []
        for function in (torch.compile(loss, backend="eager", fullgraph=True, dynamic=False), loss):
            model.zero_grad()
            value = function(tokens(2, 7), *batch)
            value.backward()
            results.append([value, *(p.grad for p in model.parameters() if p.grad is not None)])
        assert_agree(*results, 1e-11)
        print(objective.__name__)


if __name__ == "__main__":
    main()
