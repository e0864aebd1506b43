"""The code that book/objectives.md shows; the chapter's own copy is compared with this one."""

import re

import torch
import torch.nn.functional as F
from torch import nn

from companion.attention import MultiHeadAttention
from companion.objectives import causal_labels, corrupt_spans, mask_tokens, masked_positions, take_positions, token_loss
from companion.transformer import Block, FeedForward, LayerNorm, Rotary

N_WORDS = 1024  # pieces of words in the vocabulary
PAD, UNK, CLS, SEP, MASK = range(5)  # as the vocabulary numbers them
SENTINELS = list(range(N_WORDS, N_WORDS + 8))  # marks for spans, behind the vocabulary


class Reader(nn.Module):
    """One stack for every exam: who may look at whom comes with the question."""

    def __init__(self, seed=0, *, d_model=96, n_heads=4, n_layers=3):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(N_WORDS + len(SENTINELS), d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.rotary = Rotary(d_model // n_heads)
        half = {"d_model": d_model, "d_ff": 4 * d_model, "activation": "gelu"}
        self.blocks = nn.ModuleList(
            Block(MultiHeadAttention(d_model, n_heads), FeedForward(**half), lambda: LayerNorm(d_model))
            for _ in range(n_layers)
        )
        self.norm = LayerNorm(d_model)
        self.segment = nn.Embedding(2, d_model)  # for pairs of texts only, as is the next line
        self.follows = nn.Linear(d_model, 2)

    def forward(self, ids, mask=None, segments=None):
        x = self.embedding(ids)
        if segments is not None:
            x = x + self.segment(segments)
        rotation = self.rotary(torch.arange(ids.shape[1], device=ids.device)[None])
        for block in self.blocks:
            x = block(x, mask, rotation=rotation)
        return self.norm(x)

    def scores(self, vectors):
        return F.linear(vectors, self.embedding.weight)


def next_token(rows, generator):
    """Ask for every next token; nobody may look ahead."""
    return rows, causal_labels(rows), torch.ones(rows.shape[1], rows.shape[1], dtype=torch.bool).tril()


def gaps(rows, generator, share=0.15):
    """Hide a share of the tokens and ask for those; everybody sees what is left."""
    hidden = mask_tokens(
        rows,
        mask_id=MASK,
        vocab_size=N_WORDS,
        special_ids=(PAD, UNK, CLS, SEP),
        maskable=rows > MASK,
        count=round(share * rows.numel()),
        generator=generator,
    )
    return hidden.input_ids, hidden.labels, None


def more_gaps(rows, generator):
    """Hide 40 tokens in a hundred."""
    return gaps(rows, generator, share=0.4)


def spans(rows, generator):
    """Cut 15 tokens in a hundred out, in spans; the rest sees itself, the answer also what it has written so far."""
    cut = [corrupt_spans(row, sentinels=SENTINELS, end_id=SEP, generator=generator) for row in rows]
    read, written = torch.stack([each.input_ids for each in cut]), torch.stack([each.labels for each in cut])
    ids = torch.cat([read, written[:, :-1]], dim=1)
    labels = torch.full_like(ids, -100)
    labels[:, read.shape[1] - 1 :] = written
    mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    mask[:, : read.shape[1]] = True
    return ids, labels, mask


EXAMS = {"next token": next_token, "gaps": gaps, "more gaps": more_gaps, "spans": spans}


def exam_loss(reader, exam, rows, generator):
    """Return the total loss of an exam and how much it asks; scores are computed only where it asks."""
    ids, labels, mask = exam(rows, generator)
    asked = masked_positions(labels)
    vectors = take_positions(reader(ids, mask), asked)
    return token_loss(reader.scores(vectors), labels.flatten()[asked])


def train(reader, loss_of, *, steps, learning_rate=4e-3, until=None):
    """Take steps down the gradient of a loss; return the loss of each, in nats for each question."""
    optimizer = torch.optim.AdamW(reader.parameters(), betas=(0.9, 0.98))
    losses = []
    for step in range(until or steps):
        optimizer.param_groups[0]["lr"] = learning_rate * min(1, (step + 1) / 50) * (1 - step / steps)
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def exam_of(reader, exam, rows, seed=0, batch=8):
    """Return a function that draws rows and gives the loss of an exam on them."""
    generator = torch.Generator().manual_seed(seed)
    return lambda: (
        exam_loss(reader, exam, rows[torch.randint(len(rows), (batch,), generator=generator)], generator).mean
    )


def row_cost(exam, length=64, *, d_model=96, n_layers=3):
    """Count the multiplications of one row, forward: blocks at each position, scores at each question."""
    ids, labels, _ = exam(torch.full((20, length), MASK + 1), torch.Generator().manual_seed(0))
    block = 12 * d_model**2 + 2 * ids.shape[1] * d_model  # weights, and looking at each position
    asked = (labels != -100).sum().item() / 20
    return round(ids.shape[1] * n_layers * block + asked * (N_WORDS + len(SENTINELS)) * d_model)


def split_sentences(text):
    """Cut a recipe into its sentences."""
    return [part for part in re.split(r"(?<=[.!?]) |\n", text) if part]


def cut_rows(tokenizer, texts, length=64):
    """Lay texts end to end and cut them into rows."""
    stream = torch.tensor([token for text in texts for token in [*tokenizer.encode(text), SEP]])
    return stream[: len(stream) // length * length].view(-1, length)
