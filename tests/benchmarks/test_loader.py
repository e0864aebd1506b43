"""Training does not wait for its data: packing a batch takes less than a twentieth of a step, even of a small model."""

import random
import statistics

import torch

from companion.data.corpus import PackedRows, Shards
from companion.models import GPT, GPTConfig
from companion.objectives import causal_labels, token_loss
from companion.training import Trainer, TrainerConfig

LENGTH, BATCH, STEPS = 128, 8, 12


def loss(model, batch):
    """Predict the next token of each document."""
    ids, documents = batch["input_ids"], batch["document_ids"]
    return token_loss(model(ids, document_ids=documents), causal_labels(ids, document_ids=documents))


def test_the_loader_takes_less_than_a_twentieth_of_a_step(tmp_path):
    draw = random.Random(0)
    texts = ["x" * draw.randrange(5, 300) for _ in range(2000)]
    shards = Shards.build(
        texts, lambda text: [len(text)] * len(text), tmp_path, vocab_size=512, fingerprint="lengths", progress=False
    )
    batches = PackedRows(shards, length=LENGTH, batch_size=BATCH)
    model = GPT(GPTConfig(vocab_size=512, max_len=LENGTH, d_model=128, n_heads=4, n_layers=2), torch.Generator())
    history = Trainer(model, loss, batches, TrainerConfig(steps=STEPS), show_progress=False).run()
    shares = [record.loader_share for record in history.records if record.loader_share is not None]
    assert len(shares) == STEPS
    assert statistics.median(shares) < 0.05
