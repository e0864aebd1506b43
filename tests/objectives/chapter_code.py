"""The code that book/objectives.md shows; the chapter's own copy is compared with this one."""

import torch
import torch.nn.functional as F
from torch import nn

from companion.attention import MultiHeadAttention
from companion.objectives import causal_labels, corrupt_spans, mask_tokens, masked_positions, take_positions, token_loss
from companion.transformer import Block, FeedForward, LayerNorm, Rotary

PAD, UNK, CLS, SEP, MASK = range(5)  # as the vocabulary numbers them
N_WORDS = 4096
SENTINELS = list(range(N_WORDS, N_WORDS + 8))  # behind the vocabulary


class Reader(nn.Module):
    """The same stack for every exam: who may look at whom comes with the question."""

    def __init__(self, seed=0, *, d_model=128, n_heads=4, n_layers=4):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(N_WORDS + len(SENTINELS), d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.rotary = Rotary(d_model // n_heads)
        self.blocks = nn.ModuleList(
            Block(
                MultiHeadAttention(d_model, n_heads),
                FeedForward(d_model, 4 * d_model, activation="gelu"),
                lambda: LayerNorm(d_model),
            )
            for _ in range(n_layers)
        )
        self.norm = LayerNorm(d_model)

    def forward(self, ids, mask=None):
        x = self.embedding(ids)
        rotation = self.rotary(torch.arange(ids.shape[1], device=ids.device)[None])
        for block in self.blocks:
            x = block(x, mask, rotation=rotation)
        return self.norm(x)

    def scores(self, vectors):
        return F.linear(vectors, self.embedding.weight)


def next_token(rows, generator):
    """Ask for every next token; nobody may look ahead."""
    return rows, causal_labels(rows), torch.ones(rows.shape[1], rows.shape[1], dtype=torch.bool).tril()


def gaps(rows, generator):
    """Hide 15 tokens in a hundred and ask for those; everybody sees what is left."""
    hidden = mask_tokens(
        rows,
        mask_id=MASK,
        vocab_size=N_WORDS,
        special_ids=(PAD, UNK, CLS, SEP),
        maskable=rows > MASK,
        count=round(0.15 * rows.numel()),
        generator=generator,
    )
    return hidden.input_ids, hidden.labels, None


def spans(rows, generator):
    """Cut 15 tokens in a hundred out, in spans; the text sees itself, and what is written only what was written."""
    cut = [corrupt_spans(row, sentinels=SENTINELS, end_id=SEP, generator=generator) for row in rows]
    read, written = torch.stack([each.input_ids for each in cut]), torch.stack([each.labels for each in cut])
    ids = torch.cat([read, written[:, :-1]], dim=1)
    labels = torch.full_like(ids, -100)
    labels[:, read.shape[1] - 1 :] = written
    mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    mask[:, : read.shape[1]] = True
    return ids, labels, mask


EXAMS = {"next token": next_token, "gaps": gaps, "spans": spans}


def exam_loss(reader, exam, rows, generator):
    """Return the total loss of an exam and the number of its questions; scores are computed only where it asks."""
    ids, labels, mask = exam(rows, generator)
    asked = masked_positions(labels)
    vectors = take_positions(reader(ids, mask), asked)
    return token_loss(reader.scores(vectors), labels.flatten()[asked])


def train(reader, exam, rows, *, steps, learning_rate, seed=0, batch=32):
    """Train on rows in a random order; return the mean loss of each step, in nats for each question."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(reader.parameters(), betas=(0.9, 0.98))
    losses = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * min(1, (step + 1) / 50) * (1 - step / steps)
        chosen = torch.randint(len(rows), (batch,), generator=generator)
        loss = exam_loss(reader, exam, rows[chosen], generator).mean
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
