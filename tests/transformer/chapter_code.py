"""The code that book/transformer.md shows; the chapter's own copy is compared with this one."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from companion.attention import MultiHeadAttention
from companion.transformer import (
    FeedForward,
    LayerNorm,
    LearnedPositions,
    RMSNorm,
    Rotary,
    SinusoidalPositions,
    T5RelativeBias,
    alibi_bias,
)


def naive_sinusoids(n, d_model):
    """Fill a table: even columns with sines, odd ones with cosines, each pair slower than the one before."""
    angles = torch.arange(n)[:, None] / 10000 ** (torch.arange(0, d_model, 2) / d_model)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def naive_rotary(x, positions):
    """Turn feature i together with feature i + d/2 by an angle that grows with the position."""
    half = x.shape[-1] // 2
    angles = positions[:, None] / 10000 ** (torch.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()), dim=-1)


def naive_layer_norm(x, weight, bias, eps=1e-5):
    """Give every position's features mean 0 and variance 1, then stretch and shift them."""
    x = x - x.mean(-1, keepdim=True)
    return weight * x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps) + bias


def naive_rms_norm(x, weight, eps=1e-6):
    """Give every position's features a mean square of 1, then stretch them."""
    return weight * x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)


def naive_feed_forward(x, w_up, b_up, w_down, b_down):
    """Widen, bend, narrow: the same for every position."""
    return F.gelu(x @ w_up + b_up) @ w_down + b_down


def naive_swiglu(x, w_gate, w_up, w_down):
    """Widen twice; one of the two decides how much of the other passes; narrow."""
    return (F.silu(x @ w_gate) * (x @ w_up)) @ w_down


@dataclass(frozen=True)
class Parts:
    """What a block is made of; an empty string takes a part out."""

    attention: bool = True
    feed_forward: str = "gelu"  # or "relu", "swiglu", ""
    residual: bool = True
    norm: str = "layer"  # or "rms", ""
    pre_norm: bool = True
    positions: str = "rotary"  # or "sinusoidal", "learned", "t5", "alibi", ""


class OpenBlock(nn.Module):
    """A block from which parts can be taken out."""

    def __init__(self, d_model, n_heads, parts):
        super().__init__()
        self.parts = parts
        halves = [MultiHeadAttention(d_model, n_heads)] if parts.attention else []
        if parts.feed_forward == "swiglu":
            halves.append(FeedForward(d_model, 8 * d_model // 3, activation="silu", gated=True))
        elif parts.feed_forward:
            halves.append(FeedForward(d_model, 4 * d_model, activation=parts.feed_forward))
        self.halves = nn.ModuleList(halves)
        norm = {"layer": LayerNorm, "rms": RMSNorm, "": lambda d_model: nn.Identity()}[parts.norm]
        self.norms = nn.ModuleList(norm(d_model) for _ in halves)

    def forward(self, x, **places):
        for half, norm in zip(self.halves, self.norms, strict=True):
            y = norm(x) if self.parts.pre_norm else x
            y = half(y, **places) if isinstance(half, MultiHeadAttention) else half(y)
            if self.parts.residual:
                y = x + y
            x = y if self.parts.pre_norm else norm(y)
        return x


class CharacterModel(nn.Module):
    """Open blocks between two tables: characters to vectors, and vectors to scores of the next character."""

    def __init__(self, vocab_size, parts, seed=0, *, d_model=64, n_heads=4, n_layers=4, max_len=64):
        super().__init__()
        torch.manual_seed(seed)
        self.parts, self.n_heads, kind = parts, n_heads, parts.positions
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.positions = {
            "rotary": lambda: Rotary(d_model // n_heads),
            "sinusoidal": lambda: SinusoidalPositions(d_model),
            "learned": lambda: LearnedPositions(max_len, d_model),
            "t5": lambda: T5RelativeBias(n_heads, bidirectional=False),
        }.get(kind, nn.Identity)()
        self.blocks = nn.ModuleList(OpenBlock(d_model, n_heads, parts) for _ in range(n_layers))
        self.last_norm = LayerNorm(d_model) if parts.norm and parts.pre_norm else nn.Identity()
        self.scores = nn.Linear(d_model, vocab_size)

    def forward(self, ids):
        n, kind = ids.shape[1], self.parts.positions
        x, where = self.embedding(ids), torch.arange(n, device=ids.device)
        places = {"is_causal": True}
        if kind in ("sinusoidal", "learned"):
            x = x + self.positions(where)
        elif kind == "rotary":
            places["rotation"] = self.positions(where[None])
        elif kind:
            places["bias"] = self.positions(n) if kind == "t5" else alibi_bias(self.n_heads, n, device=ids.device)
        for block in self.blocks:
            x = block(x, **places)
        return self.scores(self.last_norm(x))


def train(model, text, *, steps, learning_rate, seed=0, batch=16, length=64):
    """Train on random stretches of a text, and return the loss of each step in bits."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, betas=(0.9, 0.98))
    losses = []
    for step in range(steps):
        warm_up = min(1, (step + 1) / 50)
        optimizer.param_groups[0]["lr"] = learning_rate * warm_up * (1 + math.cos(math.pi * step / steps)) / 2
        starts = torch.randint(len(text) - length, (batch,), generator=generator)
        ids = text[starts[:, None] + torch.arange(length + 1)].to(next(model.parameters()).device)
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item() / math.log(2))
    return losses


@torch.no_grad()
def bits_per_character(model, text, *, length=64, count=512):
    """Measure the mean loss on stretches of a text, in bits."""
    starts = torch.linspace(0, len(text) - length - 1, count).long()
    total = 0.0
    for some in starts.split(max(1, 4096 // length)):
        ids = text[some[:, None] + torch.arange(length + 1)].to(next(model.parameters()).device)
        total += F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).item() * len(some)
    return total / count / math.log(2)
