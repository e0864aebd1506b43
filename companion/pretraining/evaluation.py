"""What a pretrained model can do: figures on texts it has not read, beside what the commonest tokens would score."""

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from companion.data.corpus import PackedRows, Shards
from companion.generation import generate, sampler, temperature, top_p
from companion.models import BERT, GPT, T5
from companion.pretraining.batches import Batch, make_batches
from companion.pretraining.losses import causal_loss, masked_scores
from companion.pretraining.presets import Preset
from companion.pretraining.texts import END, FLAGS, SENTINELS, Texts
from companion.tokenization import Tokenizer

ROWS = 512  # of the held-out texts, for what is counted token by token
SAMPLE_TOKENS, SPAN_TOKENS = 60, 12
GUESSES = 5
SPACE_BEFORE_MARK = re.compile(r" (?=<extra_id_\d+>)")
Figures = dict[str, float | int]
HIDDEN_SHARE = 0.15  # as in BERT's paper, however many tokens were hidden in training


@torch.no_grad()
def evaluate(model: nn.Module, preset: Preset, texts: Texts, *, rows: int = ROWS) -> dict[str, Any]:
    """Measure a model on the held-out texts, and let it answer the preset's examples.

    Parameters
    ----------
    model
        Trained, on the CPU.
    preset, texts
        What it was trained on.
    rows
        How many held-out rows to measure on; fewer when there are not so many.

    Returns
    -------
    dict
        ``figures``, a dictionary of numbers; and ``examples``, a list of a prompt and an answer each.
    """
    model.eval()
    tokenizer = texts.tokenizer
    if isinstance(model, GPT):
        return {"figures": measure_causal(model, preset, texts, rows), "examples": write_on(model, tokenizer, preset)}
    if isinstance(model, BERT):
        return {"figures": measure_masked(model, preset, texts, rows), "examples": fill_masks(model, tokenizer, preset)}
    assert isinstance(model, T5)
    return {"figures": measure_spans(model, preset, texts, rows), "examples": fill_spans(model, tokenizer, preset)}


def _batches(preset: Preset, texts: Texts, rows: int) -> Iterable[Batch]:
    make = make_batches(preset, texts, texts.validation, seed=0, hidden_share=HIDDEN_SHARE)
    for step in range(max(1, min(rows // preset.batch_size, len(make)))):
        yield make(step)


def measure_causal(model: GPT, preset: Preset, texts: Texts, rows: int) -> Figures:
    """Measure the bits that each byte of the held-out texts costs."""
    packed = PackedRows(texts.validation, length=preset.length, batch_size=preset.batch_size)
    share = min(1.0, rows / (len(packed) * preset.batch_size))
    nats = tokens = 0.0
    for batch in _batches(preset, texts, rows):
        loss = causal_loss(model, batch)
        nats, tokens = nats + loss.total.item(), tokens + loss.count.item()
    facts = texts.facts["validation"]
    # Of a part of the texts: their bytes are counted in its tokens.
    n_bytes = facts["bytes"] * tokens / _predicted(texts.validation, preset.length)
    frequencies = token_counts(texts.train, texts.tokenizer.vocab_size) + 1.0
    entropy = _cross_entropy(frequencies / frequencies.sum(), token_counts(texts.validation, len(frequencies)))
    return {
        "share of the held-out texts": round(share, 3),
        "loss (nats a token)": round(nats / tokens, 4),
        "perplexity of a token": round(math.exp(nats / tokens), 2),
        "bits a byte": round(nats / math.log(2) / n_bytes, 4),
        "bits a byte of token frequencies": round(entropy * tokens / math.log(2) / n_bytes, 4),
    }


def _predicted(shards: Shards, length: int) -> int:
    """Return how many tokens are predicted of all texts: not the first of a document or of a piece of a long one."""
    lengths = shards.lengths[shards.lengths > 0]
    return int((lengths - -(-lengths // length)).sum())


def token_counts(shards: Shards, vocab_size: int, *, flagged: bool = False) -> np.ndarray:
    """Count how often each token stands in a corpus."""
    total = np.zeros(vocab_size)
    for index in range(len(shards)):
        ids = shards[index] // FLAGS if flagged else shards[index]
        total += np.bincount(ids, minlength=vocab_size)
    return total


def _cross_entropy(probabilities: np.ndarray, counts: np.ndarray) -> float:
    return float(-(counts * np.log(probabilities)).sum() / counts.sum())


def measure_masked(model: BERT, preset: Preset, texts: Texts, rows: int) -> Figures:
    """Measure how often a hidden token is guessed, at once or among five, and whether two texts belong together."""
    mask_id = texts.tokenizer.vocab["[MASK]"]
    counts = token_counts(texts.train, texts.tokenizer.vocab_size, flagged=True)
    commonest = torch.from_numpy(np.argsort(-counts)[:GUESSES].copy())
    right = {"first": 0, "five": 0, "commonest": 0, "five commonest": 0, "pairs": 0}
    n_tokens = n_pairs = n_random = 0
    for batch in _batches(preset, texts, rows):
        # All chosen tokens are hidden here; in training some are left or exchanged.
        hidden = batch | {"input_ids": hide_all(batch, mask_id)}
        logits, labels, pair_logits, pair_labels = masked_scores(model, hidden)
        logits, labels = logits[labels >= 0], labels[labels >= 0]
        best = logits.topk(GUESSES).indices == labels[:, None]
        usual = labels[:, None] == commonest
        is_asked = pair_labels >= 0
        right["first"] += int(best[:, 0].sum())
        right["five"] += int(best.sum())
        right["commonest"] += int(usual[:, 0].sum())
        right["five commonest"] += int(usual.sum())
        right["pairs"] += int((pair_logits.argmax(-1) == pair_labels)[is_asked].sum())
        n_tokens, n_pairs = n_tokens + len(labels), n_pairs + int(is_asked.sum())
        n_random += int((pair_labels == 1).sum())
    return {
        "hidden tokens": n_tokens,
        "guessed at once": round(right["first"] / n_tokens, 4),
        "guessed among five": round(right["five"] / n_tokens, 4),
        "the commonest token": round(right["commonest"] / n_tokens, 4),
        "the five commonest tokens": round(right["five commonest"] / n_tokens, 4),
        "pairs": n_pairs,
        "pairs told apart": round(right["pairs"] / n_pairs, 4),
        "the commoner kind of pair": round(max(n_random, n_pairs - n_random) / n_pairs, 4),
    }


def hide_all(batch: Batch, mask_id: int) -> Tensor:
    """Return the tokens of a batch with all that were chosen hidden."""
    chosen = batch["positions"].masked_fill(batch["labels"] < 0, 0)
    # Position 0 is [CLS], never chosen, and is put back.
    hidden = batch["input_ids"].scatter(1, chosen, mask_id)
    hidden[:, 0] = batch["input_ids"][:, 0]
    return hidden


def measure_spans(model: T5, preset: Preset, texts: Texts, rows: int) -> Figures:
    """Measure how often the next token behind the marks is guessed, and how many spans are filled just as they were.

    How long a span was nobody can know, so a mark, which would end it, is no guess here.
    """
    marks = torch.tensor([texts.tokenizer.vocab[name] for name in (*SENTINELS, "</s>")])
    commonest = int(np.argmax(token_counts(texts.train, texts.tokenizer.vocab_size)))
    n_tokens = n_right = n_usual = n_spans = n_whole = 0
    nats = 0.0
    for batch in _batches(preset, texts, rows):
        labels = batch["labels"]
        logits = model(batch["input_ids"], model.shift_right(labels)).float().index_fill(-1, marks, -torch.inf)
        is_text = ~torch.isin(labels, marks)
        correct = logits.argmax(-1) == labels
        nats += nn.functional.cross_entropy(logits[is_text], labels[is_text], reduction="sum").item()
        n_tokens, n_right = n_tokens + int(is_text.sum()), n_right + int(correct[is_text].sum())
        n_usual += int((labels[is_text] == commonest).sum())
        for row, ok, text in zip(labels, correct, is_text, strict=True):
            spans = _runs(text)
            n_spans += len(spans)
            n_whole += sum(bool(ok[first:last].all()) for first, last in spans)
            assert len(row) == len(text)
    return {
        "hidden tokens": n_tokens,
        "loss (nats a token)": round(nats / n_tokens, 4),
        "guessed, those before it known": round(n_right / n_tokens, 4),
        "the commonest token": round(n_usual / n_tokens, 4),
        "spans": n_spans,
        "spans guessed to the last token": round(n_whole / n_spans, 4),
    }


def _runs(flags: Tensor) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff([0, *flags.int().tolist(), 0]))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def write_on(model: GPT, tokenizer: Tokenizer, preset: Preset) -> list[dict[str, str]]:
    """Go on from each example, drawn from the likelier tokens with a fixed seed."""
    end = tokenizer.vocab[END]
    pick = sampler(temperature(0.8), top_p(0.9))
    written = []
    for prompt in preset.examples:
        ids = torch.tensor([[end, *tokenizer.encode(prompt)]])
        out = generate(
            model,
            ids,
            max_new_tokens=SAMPLE_TOKENS,
            pick=pick,
            generator=torch.Generator().manual_seed(0),
            end_ids=[end],
        )
        written.append({"prompt": prompt, "answer": tokenizer.decode(out.rows()[0], skip_special=True)})
    return written


def fill_masks(model: BERT, tokenizer: Tokenizer, preset: Preset) -> list[dict[str, str]]:
    """Fill the first [MASK] of each example with the five likeliest tokens."""
    vocab = tokenizer.vocab
    filled = []
    for text in preset.examples:
        ids = [vocab["[CLS]"], *tokenizer.encode(text, allowed_special={"[MASK]"}), vocab["[SEP]"]]
        hidden = model(torch.tensor([ids]))[0, ids.index(vocab["[MASK]"])]
        chances = model.mlm_logits(hidden).softmax(-1).topk(GUESSES)
        guesses = zip(chances.indices.tolist(), chances.values.tolist(), strict=True)
        answer = ", ".join(f"{tokenizer.id_to_token[index]} {chance:.2f}" for index, chance in guesses)
        filled.append({"prompt": text, "answer": answer})
    return filled


def fill_spans(model: T5, tokenizer: Tokenizer, preset: Preset) -> list[dict[str, str]]:
    """Write what is behind the mark of each example, always the likeliest token.

    The space before a mark is hidden with the words behind it, as in training: left in the text it would be a token of
    its own, and what follows would be the rest of a word.
    """
    end, marks = tokenizer.vocab["</s>"], [tokenizer.vocab[name] for name in SENTINELS]
    filled = []
    for text in preset.examples:
        ids = [*tokenizer.encode(SPACE_BEFORE_MARK.sub("", text), allowed_special=set(SENTINELS)), end]
        out = generate(model, torch.tensor([ids]), max_new_tokens=SPAN_TOKENS, end_ids=[end, *marks[1:]])
        answer = [index for index in out.rows()[0] if index not in (end, *marks)]
        filled.append({"prompt": text, "answer": tokenizer.decode(answer).strip()})
    return filled
