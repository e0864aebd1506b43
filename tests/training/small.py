"""A run small enough to be made many times: a tiny GPT, ragged batches that are pure in the step."""

import torch

from companion.models import GPT, GPTConfig
from companion.objectives import causal_labels, token_loss
from companion.training import Trainer, TrainerConfig

VOCAB, ROWS, LENGTH = 31, 7, 13


def gpt(dropout=0.1, seed=0, n_layers=1):
    config = GPTConfig(vocab_size=VOCAB, max_len=LENGTH, d_model=12, n_heads=3, n_layers=n_layers, dropout=dropout)
    return GPT(config, torch.Generator().manual_seed(seed))


def batches(step):
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(VOCAB, (ROWS, LENGTH), generator=generator)
    lengths = torch.randint(1, LENGTH + 1, (ROWS,), generator=generator)
    return {"input_ids": ids, "attention_mask": (torch.arange(LENGTH) < lengths[:, None]).long()}


def loss(model, batch):
    ids, mask = batch["input_ids"], batch["attention_mask"]
    return token_loss(model(ids, attention_mask=mask), causal_labels(ids, attention_mask=mask))


def trainer(
    model=None, folder=None, *, loss=loss, batches=batches, validation=None, callbacks=(), settings=None, **options
):
    config = TrainerConfig(**{"steps": 6, "lr": 1e-2, **options})
    return Trainer(
        gpt() if model is None else model,
        loss,
        batches,
        config,
        folder=folder,
        validation=validation,
        callbacks=callbacks,
        settings=settings,
        show_progress=False,
    )


def losses(history):
    return [record.loss for record in history if record.loss is not None]


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
