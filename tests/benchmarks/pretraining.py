"""How well a GPT knows a text after two minutes: ``python tests/benchmarks/pretraining.py``.

A plain training loop and ours get the same texts, tokenizer and CPU seconds; what counts is how many bits a byte of
held-out text costs in the end. Our recipe is put together part by part, so that the table shows what each is worth.
Compiling, which the cache does once for a machine, and measuring are outside of the budget. Each run is added to the
results when it ends, and a run that is there already is not done again.
"""

import argparse
import datetime
import gc
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run as a file

import companion.data  # noqa: E402
from companion.data.corpus import PackedRows, choose_texts, prepare_corpus  # noqa: E402
from companion.models import GPT, GPTConfig  # noqa: E402
from companion.objectives import causal_labels, linear_cross_entropy, token_loss  # noqa: E402
from companion.tokenization import ByteLevelBPE, load  # noqa: E402
from companion.training import PLAIN, TrainerConfig, fast_mode  # noqa: E402
from companion.training.mode import run_in  # noqa: E402
from companion.training.optimizers import make_optimizer  # noqa: E402
from companion.training.schedules import warmup_cosine, warmup_linear  # noqa: E402
from tests.benchmarks.plain_gpt import PlainGPT  # noqa: E402

NAMES = ("recipes", "wiki")
END = "<|endoftext|>"
CONFIG = GPTConfig(vocab_size=4096, max_len=256, d_model=256, n_heads=4, n_layers=4)
SECONDS = 120.0
TICKS = 10_000  # of a schedule, which follows the budget that is spent rather than the steps
HELD_OUT_ROWS = 256
RATES = (5e-4, 1e-3, 2e-3, 4e-3)  # the plain loop gets the best of them


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a run is put together from. The default is the plain loop."""

    fast: bool = False  # our model, compiled, in bfloat16, with the fused optimizer and loss
    packed: bool = False  # documents side by side that do not see each other, rather than crops of one long text
    optimizer: str = "adamw"
    lr: float
    falls: str = "cosine"  # to a tenth; or "linear", to zero
    warmup: float = 0.05
    rows: int = 8
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1


PLAIN_LOOP = "plain loop"
RECIPES = {
    PLAIN_LOOP: Recipe(lr=2e-3),
    "+ fast mode": Recipe(fast=True, lr=2e-3),
    "+ Muon": Recipe(fast=True, optimizer="muon", lr=1e-2, falls="linear", warmup=0.02),
    "+ packed documents": Recipe(fast=True, optimizer="muon", lr=1e-2, falls="linear", warmup=0.02, packed=True),
}


@dataclass(frozen=True)
class Text:
    """The corpus both ways: documents, and all of them laid end to end."""

    train: object
    held_out: object
    stream: torch.Tensor
    held_out_stream: torch.Tensor
    bytes_a_token: float


def read_text(folder):
    """Tokenise the texts, once; what is held out is the same documents for all."""
    texts = choose_texts(NAMES, folder=folder)
    path = folder / f"bpe-{CONFIG.vocab_size}.json"
    if not path.exists():
        ByteLevelBPE.train(texts.train, CONFIG.vocab_size, special_tokens=[END]).save(path)
    tokenizer = load(path)
    end = (tokenizer.vocab[END],)
    corpus = prepare_corpus(NAMES, tokenizer, folder=folder, begin=end, end=end)
    streams = [
        torch.cat([torch.as_tensor(shards[i][:-1].copy()).long() for i in range(len(shards))])
        for shards in (corpus.train, corpus.validation)
    ]
    n_bytes = sum(len(text.encode()) for text in texts.validation)
    return Text(corpus.train, corpus.validation, *streams, n_bytes / len(streams[1]))


def crops(stream, rows, seed):
    """Batches of stretches from anywhere; a pure function of the step."""
    length = CONFIG.max_len

    def batches(step):
        generator = torch.Generator().manual_seed(1_000_003 * seed + step)
        starts = torch.randint(len(stream) - length, (rows,), generator=generator)
        cut = stream[starts[:, None] + torch.arange(length + 1)]
        return {"input_ids": cut[:, :-1].contiguous(), "labels": cut[:, 1:].contiguous()}

    return batches


def packed(shards, rows, seed):
    """Batches of whole documents."""
    read = PackedRows(shards, length=CONFIG.max_len, batch_size=rows, seed=seed)

    def batches(step):
        batch = read(step)
        return batch | {"labels": causal_labels(batch["input_ids"], document_ids=batch["document_ids"])}

    return batches


def plain_loss(model, batch):
    """The mean loss, of all scores at once."""
    return F.cross_entropy(model(batch["input_ids"]).flatten(0, 1), batch["labels"].flatten())


def our_loss(model, batch):
    """The mean loss, of scores that are never held all at once."""
    hidden = model.encode(batch["input_ids"], document_ids=batch.get("document_ids"))
    return linear_cross_entropy(hidden, model.token_embedding.weight, batch["labels"]).mean


@torch.no_grad()
def bits_per_byte(model, recipe, text):
    """Return what the held-out text costs, read in the way the model was trained to read."""
    total, count = 0.0, 0.0
    length = CONFIG.max_len
    if recipe.packed:
        read = packed(text.held_out, 16, 0)
        batches = [read(i) for i in range(HELD_OUT_ROWS // 16)]
    else:
        stream = text.held_out_stream
        starts = torch.arange(0, min(len(stream) - length, HELD_OUT_ROWS * length), length)
        cut = stream[starts[:, None] + torch.arange(length + 1)]
        batches = [{"input_ids": rows[:, :-1], "labels": rows[:, 1:]} for rows in cut.split(16)]
    for batch in batches:
        more = {"document_ids": batch["document_ids"]} if "document_ids" in batch else {}
        loss = token_loss(model(batch["input_ids"], **more), batch["labels"])
        total, count = total + loss.total.item(), count + loss.count.item()
    return total / count / math.log(2) / text.bytes_a_token


def train(recipe, text, seed, seconds):
    """Train one model for so many CPU seconds; return what it then costs, and what was done."""
    torch._dynamo.reset()  # pyright: ignore[reportPrivateImportUsage]
    generator = torch.Generator().manual_seed(seed)
    model = GPT(CONFIG, generator).train() if recipe.fast else PlainGPT(CONFIG, generator).train()
    mode = fast_mode() if recipe.fast else PLAIN
    config = TrainerConfig(
        steps=TICKS,
        optimizer=recipe.optimizer,
        lr=recipe.lr,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        mode=mode,
    )
    if recipe.optimizer == "adamw" and not recipe.fast:
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay
        )
    else:
        optimizer = make_optimizer(model, config)
    batches = packed(text.train, recipe.rows, seed) if recipe.packed else crops(text.stream, recipe.rows, seed)
    loss_of = our_loss if recipe.fast else plain_loss
    compute = run_in(mode, lambda batch: loss_of(model, batch), "cpu")
    falls = warmup_cosine if recipe.falls == "cosine" else warmup_linear
    factor = falls(steps=TICKS, warmup=int(recipe.warmup * TICKS), floor=0.1 if recipe.falls == "cosine" else 0.0)
    return run(model, compute, optimizer, batches, factor, seconds)


def run(model, compute: Callable, optimizer, batches, factor, seconds):
    """Take steps until the budget is spent."""
    start = time.process_time()
    compute(batches(0)).backward()  # compiles
    optimizer.zero_grad(set_to_none=True)
    compiling = time.process_time() - start
    rates = [group["lr"] for group in optimizer.param_groups]
    losses, loading = [], 0.0
    start = time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr * factor(int(spent / seconds * TICKS))
        began = time.process_time()
        batch = batches(len(losses))
        loading += time.process_time() - began
        loss = compute(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    facts = {"steps": len(losses), "tokens": len(losses) * batch["input_ids"].numel()}
    facts |= {"cpu_seconds": round(time.process_time() - start, 1), "compiling": round(compiling, 1)}
    facts["loader_share"] = round(loading / seconds, 4)
    tenth = max(1, len(losses) // 10)
    return model.eval(), facts | {
        "last_loss": round(statistics.fmean(losses[-tenth:]), 3),
        "curve": [round(statistics.fmean(losses[i : i + tenth]), 3) for i in range(0, len(losses), tenth)],
    }


def do_runs(text, content, options):
    """Do the runs that are not there yet; yield after each."""
    tried = content.setdefault("rates", {})
    for rate in RATES:
        if str(rate) not in tried:
            recipe = replace(RECIPES[PLAIN_LOOP], lr=rate)
            tried[str(rate)] = measure(PLAIN_LOOP, recipe, text, 0, options.seconds)
            yield
    best = min(RATES, key=lambda rate: tried[str(rate)]["bits"])
    for seed in range(options.seeds):
        for name, recipe in RECIPES.items():
            runs = content["runs"].setdefault(name, {})
            if str(seed) in runs:
                continue
            if name == PLAIN_LOOP and seed == 0:
                runs["0"] = tried[str(best)]
            else:
                chosen = replace(recipe, lr=best) if recipe.optimizer == "adamw" else recipe
                runs[str(seed)] = measure(name, chosen, text, seed, options.seconds)
            yield


def measure(name, recipe, text, seed, seconds):
    """Train a model, and measure it."""
    model, facts = train(recipe, text, seed, seconds)
    bits = bits_per_byte(model, recipe, text)
    print(f"{name}, rate {recipe.lr}, seed {seed}: {bits:.3f} bits a byte after {facts['steps']} steps", flush=True)
    gc.collect()
    return {"rate": recipe.lr, "bits": round(bits, 4), **facts}


def main():
    """Do the runs that are not there yet, and write each as it ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "book" / "pretraining.json")
    parser.add_argument("--cache", type=Path, default=ROOT / "_build" / "pretraining")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    companion.data.fetch(NAMES)
    text = read_text(options.cache)
    content = json.loads(options.out.read_text("utf8")) if options.out.exists() else {"runs": {}}
    content |= {
        "command": "python tests/benchmarks/pretraining.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "seconds": options.seconds,
    }
    for _ in do_runs(text, content, options):
        options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
