"""What each objective makes of a model's scores: the loss of a batch, of static shapes, so that it compiles once."""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.models import BERT, GPT, T5
from companion.objectives import Loss, linear_cross_entropy, take_positions, token_loss
from companion.pretraining.batches import Batch

LossOf = Callable[..., Loss]


def causal_loss(model: GPT, batch: Batch) -> Loss:
    """Score the next token at each position of packed rows."""
    hidden = model.encode(batch["input_ids"], document_ids=batch["document_ids"])
    return linear_cross_entropy(hidden, model.token_embedding.weight, batch["labels"])


def span_loss(model: T5, batch: Batch) -> Loss:
    """Score what is behind the marks."""
    return token_loss(model(batch["input_ids"], model.shift_right(batch["labels"])), batch["labels"])


def masked_scores(model: BERT, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return scores and labels of the hidden tokens and of the pairs; labels of -100 fill them up."""
    hidden = model(batch["input_ids"], token_type_ids=batch["token_type_ids"], document_ids=batch["document_ids"])
    n_rows, length = batch["input_ids"].shape
    row_starts = torch.arange(n_rows, device=hidden.device)[:, None] * length
    logits = model.mlm_logits(take_positions(hidden, (batch["positions"] + row_starts).flatten()))
    firsts = take_positions(hidden, (batch["pair_starts"] + row_starts).flatten())
    return logits, batch["labels"].flatten(), model.nsp_logits(firsts[:, None]), batch["pair_labels"].flatten()


def masked_loss(model: BERT, batch: Batch) -> Loss:
    """Add the mean loss of the hidden tokens and that of the pairs, as BERT does.

    The sum counts hidden tokens; the pairs' mean is scaled up to as many.
    """
    logits, labels, pair_logits, pair_labels = masked_scores(model, batch)
    tokens = token_loss(logits, labels)
    pairs = token_loss(pair_logits, pair_labels)
    return Loss(tokens.total + pairs.mean * tokens.count, tokens.count)


#: The loss of each objective.
LOSSES: dict[str, LossOf] = {"causal": causal_loss, "masked": masked_loss, "spans": span_loss}
