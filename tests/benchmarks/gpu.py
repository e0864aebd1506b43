"""Tokens a second of training on a GPU, and the share of its peak: ``python tests/benchmarks/gpu.py``.

Ours, transformers' GPT-2, and the same blocks written with nothing but torch's layers and its fused attention; all
compiled, in bfloat16, with the fused AdamW. Run it with ``make bench DEVICE=cuda``.
"""

import argparse
import datetime
import functools
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run as a file

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from rich.progress import track  # noqa: E402
from torch import nn  # noqa: E402

from companion.models import GPTConfig  # noqa: E402
from companion.training import Mode, TrainingStep, adamw, fast_mode  # noqa: E402
from tests.parity.pairs import pair  # noqa: E402

CONFIG, BATCH = GPTConfig(vocab_size=50304, max_len=1024, d_model=768, n_heads=12, n_layers=12), 16
TINY, TINY_BATCH = GPTConfig(vocab_size=101, max_len=16, d_model=32, n_heads=4, n_layers=2), 2
WARM_UP, STEPS = 5, 20
# Dense bfloat16 products, in FLOP/s, as the vendor states them.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12, "A10": 125e12}


class TorchOnly(nn.Module):
    """A GPT of torch's own parts: its encoder layers with a causal mask, which call its fused attention."""

    def __init__(self, config):
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.places = nn.Parameter(torch.zeros(config.max_len, config.d_model))
        layer = nn.TransformerEncoderLayer(
            config.d_model, config.n_heads, 4 * config.d_model, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.n_layers, nn.LayerNorm(config.d_model), False)
        self.register_buffer("future", nn.Transformer.generate_square_subsequent_mask(config.max_len))

    def forward(self, ids):
        x = self.layers(self.tokens(ids) + self.places, mask=self.future, is_causal=True)
        return F.linear(x, self.tokens.weight)


def models(config):
    """Each model's name, and the model with the function from tokens to scores."""
    both = pair(config, noise=0.0)
    plain = TorchOnly(config)
    return {
        "ours": (both.ours, both.ours),
        "transformers GPT2LMHeadModel (sdpa)": (both.theirs, lambda ids: both.theirs(ids, use_cache=False).logits),
        "torch's own layers (sdpa)": (plain, plain),
    }


def flops_per_token(config):
    """Count what one token of training costs: six for each weight in a product, and the two products of attention."""
    weights = 12 * config.n_layers * config.d_model**2 + config.vocab_size * config.d_model
    return 6 * weights + 12 * config.n_layers * config.d_model * config.max_len


def tokens_per_second(model, scores, config, batch, device, mode, steps):
    """Train for a while; return how many tokens a second it took."""
    model.to(device).train()
    ids = torch.randint(config.vocab_size, (batch, config.max_len + 1), device=device)

    def loss(ids, labels):
        return F.cross_entropy(scores(ids).flatten(0, 1), labels.flatten())

    step = TrainingStep(loss, adamw(model.parameters(), lr=1e-4, mode=mode), mode=mode)
    run = functools.partial(step, ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for _ in range(WARM_UP):
        run()
    wait()
    began = time.perf_counter()
    for _ in range(steps):
        run()
    wait()
    return steps * batch * config.max_len / (time.perf_counter() - began)


def main(argv=None):
    """Measure all three, and write the file that the benchmark page shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a model of no interest, to see that this file runs")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "bench_gpu.json")
    options = parser.parse_args(argv)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("torch sees no GPU here; --device cpu --tiny tries this file out", file=sys.stderr)
        return 2
    torch.set_float32_matmul_precision("high")
    config, batch = (TINY, TINY_BATCH) if options.tiny else (CONFIG, BATCH)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    mode = Mode() if options.tiny else fast_mode(device)
    rows = []
    for label, (model, scores) in track(models(config).items(), "models"):
        rate = tokens_per_second(model, scores, config, batch, device, mode, 1 if options.tiny else STEPS)
        rows.append(
            {
                "name": label,
                "tokens_per_second": round(rate, 1),
                "mfu": round(rate * flops_per_token(config) / peak, 4) if peak else None,
            }
        )
        model.to("cpu")
    content = {
        "device": name,
        "torch": torch.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "model": f"{config.n_layers} layers, d_model {config.d_model}, {batch} texts of {config.max_len} tokens",
        "rows": rows,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
