"""A training step of a GPT: forward, backward, AdamW; against transformers' GPT-2 with torch's fused attention.

``python tests/benchmarks/training.py SIZE WHOSE MODE`` prints the peak memory of one of them in a process of its own.
"""

import functools
import gc
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # also run as a file

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from companion.models import GPTConfig  # noqa: E402
from companion.objectives import linear_cross_entropy  # noqa: E402
from companion.training import PLAIN, Mode, TrainingStep, adamw, fast_mode  # noqa: E402
from tests.benchmarks.measure import MEMORY, Benchmark  # noqa: E402
from tests.parity.pairs import pair  # noqa: E402

SIZES = {
    "4 layers": (GPTConfig(vocab_size=4096, max_len=128, d_model=256, n_heads=4, n_layers=4), 32),
    "6 layers": (GPTConfig(vocab_size=8192, max_len=256, d_model=384, n_heads=6, n_layers=6), 16),
}
MODES = {"plain": PLAIN, "fast": fast_mode()}
LEARNING_RATE = 1e-4


def tokens(config, batch):
    """Draw texts and what follows each of their tokens."""
    ids = torch.randint(config.vocab_size, (batch, config.max_len + 1), generator=torch.Generator().manual_seed(0))
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def loss_of(scores):
    """Return the loss as a function of a batch, from the function that scores it."""
    return lambda ids, labels: F.cross_entropy(scores(ids).flatten(0, 1), labels.flatten())


def by_parts(model):
    """Return the same of our model, without all scores at once; that pays when it is compiled."""
    weight = model.token_embedding.weight
    return lambda ids, labels: linear_cross_entropy(model.encode(ids), weight, labels).mean


def ours(size, mode):
    """Our step, with our training loop."""
    config, batch = SIZES[size]
    torch.manual_seed(0)
    model = pair(config, noise=0.0).ours.train()
    loss_function = by_parts(model) if MODES[mode].is_compiled else loss_of(model)
    step = TrainingStep(loss_function, adamw(model.parameters(), lr=LEARNING_RATE, mode=MODES[mode]), mode=MODES[mode])
    return functools.partial(step, *tokens(config, batch))


def theirs(size, mode):
    """Transformers' model in the loop one would write: plain PyTorch, or with the switches of our mode."""
    config, batch = SIZES[size]
    torch.manual_seed(0)
    model = pair(config, noise=0.0).theirs.train()
    switches: Mode = MODES[mode]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True if switches.is_fused else None)
    loss_function = loss_of(lambda ids: model(ids, use_cache=False).logits)
    if switches.is_compiled:
        loss_function = torch.compile(loss_function, dynamic=False)
    ids, labels = tokens(config, batch)

    def step():
        with torch.autocast("cpu", switches.autocast, enabled=switches.autocast is not None):
            loss = loss_function(ids, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def against(size, our_mode, their_mode):
    """Make both steps, and make sure that they start from the same loss."""
    both = ours(size, our_mode), theirs(size, their_mode)
    mine, other = (step() for step in both)
    # bfloat16 rounds to three digits.
    torch.testing.assert_close(mine, other, rtol=1e-5 if our_mode == their_mode == "plain" else 5e-3, atol=0)
    return both


def peak(size, whose, mode):
    """Return the peak memory, in bytes, of a fresh process that takes steps."""
    command = [sys.executable, __file__, size, whose, mode]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def resident(name):
    """Return one of the kernel's counts of this process's memory, in bytes."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def print_peak(size, whose, mode):
    """Take steps; print the most memory that any but the first took, above what the process held before."""
    torch.set_num_threads(1)
    before = resident("VmRSS")
    step = (ours if whose == "ours" else theirs)(size, mode)
    step()  # compiling takes more than the steps themselves
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    for _ in range(2):
        step()
    print(resident("VmHWM") - before)


def memory(size, our_mode, their_mode):
    """Measure both in processes of their own."""
    return functools.partial(peak, size, "ours", our_mode), functools.partial(peak, size, "theirs", their_mode)


GPT2 = "transformers GPT2LMHeadModel (sdpa)"
# Ours, theirs, what to call it, the peer, and the target for each size. The kernels of the matrix products are the
# same; in float32 they are nearly all there is.
COMPARISONS = (
    ("fast", "plain", "default mode", f"{GPT2}, PyTorch's defaults", {"4 layers": 2.8, "6 layers": 2.3}),
    ("fast", "fast", "same switches", f"{GPT2}, compiled, bfloat16, fused AdamW", {"4 layers": 1.3, "6 layers": 1.3}),
    ("plain", "plain", "eager float32", f"{GPT2}, PyTorch's defaults", {"4 layers": 1.1, "6 layers": 1.1}),
)
BENCHMARKS = [
    Benchmark(
        name=f"training step, {size}, {label}",
        peer=peer,
        target=target,
        prepare=functools.partial(against, size, our_mode, their_mode),
        rounds=7,
    )
    for our_mode, their_mode, label, peer, targets in COMPARISONS
    for size, target in targets.items()
] + [
    Benchmark(
        name=f"memory of a training step, {size}, {label}",
        peer=peer,
        target=1.0,
        prepare=functools.partial(memory, size, our_mode, their_mode),
        unit=MEMORY,
    )
    for our_mode, their_mode, label, peer, targets in COMPARISONS
    if our_mode == "fast"
    for size in targets
]

if __name__ == "__main__":
    print_peak(*sys.argv[1:])
