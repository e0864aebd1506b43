"""What each part of a transformer's block is worth on real text: ``python tests/benchmarks/ablations.py``.

Trains the character model of the transformer chapter with one part taken out, or exchanged, at a time, with several
seeds, and writes what the chapter draws. A block that lacks a part gets the better of two learning rates, for it may
not bear the whole block's. A quarter of an hour on two cores.
"""

import argparse
import datetime
import json
import math
import platform
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run as a file

from rich.progress import track  # noqa: E402

import companion.data  # noqa: E402
from tests.transformer.chapter_code import CharacterModel, Parts, bits_per_character, train  # noqa: E402

VARIANTS = {
    "whole block": Parts(),
    "no residual": Parts(residual=False),
    "no attention": Parts(attention=False),
    "no feed-forward": Parts(feed_forward=""),
    "no norm": Parts(norm=""),
    "no positions": Parts(positions=""),
    "post-norm": Parts(pre_norm=False),
    "nothing but the two halves": Parts(residual=False, norm="", positions=""),
    "sinusoidal": Parts(positions="sinusoidal"),
    "learned": Parts(positions="learned"),
    "T5's buckets": Parts(positions="t5"),
    "ALiBi": Parts(positions="alibi"),
    "RMSNorm": Parts(norm="rms"),
    "ReLU": Parts(feed_forward="relu"),
    "SwiGLU": Parts(feed_forward="swiglu"),
}
EXCHANGED = ("sinusoidal", "learned", "T5's buckets", "ALiBi", "RMSNorm", "ReLU", "SwiGLU")
DEEP = ("whole block", "post-norm", "no norm")  # at every rate, in a taller stack, for half as long
DEEP_BLOCKS = 12
SCHEMES = ("whole block", "no positions", "sinusoidal", "learned", "T5's buckets", "ALiBi")
RATES = (6e-3, 2e-3)
LENGTH = 64  # characters in a training stretch
LENGTHS = (16, 32, 64, 128, 256, 512)
STEPS = 400
PROMPT = "Preheat the oven to "


def characters():
    """Return the texts as numbers, and the characters that the numbers stand for; 0 is a rare one."""
    splits = ("train", "validation", "test")
    texts = {split: "\n\n".join(companion.data.load("recipes", split=split)["text"]) for split in splits}
    known = ["�", *sorted(c for c in set(texts["train"]) if texts["train"].count(c) >= 50)]
    number = {c: i for i, c in enumerate(known)}
    return {split: torch.tensor([number.get(c, 0) for c in text]) for split, text in texts.items()}, known


@torch.no_grad()
def continued(model, known, prompt, length=60):
    """Write on, always with the likeliest character."""
    ids = [known.index(c) for c in prompt]
    for _ in range(length):
        ids.append(int(model(torch.tensor([ids[-LENGTH:]]))[0, -1].argmax()))
    return "".join(known[i] for i in ids[len(prompt) :])


def run(name, rate, seed, steps, n_layers=4):
    """Train one model and measure it."""
    torch.set_num_threads(1)
    texts, known = characters()
    model = CharacterModel(len(known), VARIANTS[name], seed, n_layers=n_layers)
    start = time.process_time()
    losses = train(model, texts["train"], steps=steps, learning_rate=rate, seed=seed)
    result = {"rate": rate, "seed": seed, "cpu_seconds": round(time.process_time() - start, 1)}
    finite = math.isfinite(losses[-1])
    result["validation"] = round(bits_per_character(model, texts["validation"]), 3) if finite else None
    result["test"] = round(bits_per_character(model, texts["test"]), 3) if finite else None
    result["curve"] = [round(statistics.fmean(losses[i : i + 20]), 3) for i in range(0, steps, 20)] if finite else None
    if seed == 0 and finite:
        result["continuation"] = continued(model, known, PROMPT)
    if name in SCHEMES and finite:
        lengths = [n for n in LENGTHS if n <= LENGTH or name != "learned"]
        result["by_length"] = {
            str(n): round(bits_per_character(model, texts["test"], length=n, count=16384 // n), 3) for n in lengths
        }
    return name, result


def run_deep(options):
    """Train the taller stacks; return their bits on the test texts by part taken out and learning rate."""
    deep = {name: {} for name in DEEP}
    with ProcessPoolExecutor(options.jobs) as pool:
        tried = [pool.submit(run, name, rate, 0, options.steps // 2, DEEP_BLOCKS) for name in DEEP for rate in RATES]
        for future in track(as_completed(tried), f"{DEEP_BLOCKS} blocks", total=len(tried)):
            name, result = future.result()
            deep[name][str(result["rate"])] = result["test"]
    return {"blocks": DEEP_BLOCKS, "steps": options.steps // 2, "bits": deep}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "companion" / "transformer" / "ablations.json")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    companion.data.fetch(["recipes"])
    deep = run_deep(options)
    variants = {name: {"parts": asdict(parts), "rates": {}, "runs": []} for name, parts in VARIANTS.items()}
    content = {
        "command": "python tests/benchmarks/ablations.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "steps": options.steps,
        "prompt": PROMPT,
        "deep": deep,
        "variants": variants,
    }
    with ProcessPoolExecutor(options.jobs) as pool:
        tried = [
            pool.submit(run, name, rate, 0, options.steps)
            for rate in RATES
            for name in VARIANTS
            if rate == RATES[0] or name not in EXCHANGED
        ]
        for future in track(as_completed(tried), "learning rates", total=len(tried)):
            name, result = future.result()
            variants[name]["rates"][str(result["rate"])] = result["validation"]
            variants[name]["runs"] = [min([*variants[name]["runs"], result], key=badness)]
        more = [
            pool.submit(run, name, variants[name]["runs"][0]["rate"], seed, options.steps)
            for seed in range(1, options.seeds)
            for name in VARIANTS
        ]
        for future in track(as_completed(more), "seeds", total=len(more)):
            name, result = future.result()
            variants[name]["runs"] = sorted([*variants[name]["runs"], result], key=lambda each: each["seed"])
            options.out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def badness(result):
    """Order runs by their loss on the validation texts; one that diverged comes last."""
    return math.inf if result["validation"] is None else result["validation"]


if __name__ == "__main__":
    main()
