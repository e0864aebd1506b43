"""One attention module, forward and backward, against transformers' and torch's."""

import functools

import torch
from torch import nn

from companion.attention import MultiHeadAttention
from companion.models import GPTConfig
from tests.attention.compare import assert_agree
from tests.benchmarks.measure import Benchmark
from tests.parity.pairs import pair

SIZES = {"batch 8, length 128": (8, 128, 256, 4), "batch 4, length 512": (4, 512, 384, 6)}
TOLERANCE = 1e-4  # sums over thousands of float32 numbers, taken in another order


def step(module, x):
    """Return a function that runs forward and backward and returns the output and the gradient of ``x``."""
    leaf = x.clone().requires_grad_()
    cotangent = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))

    def run():
        leaf.grad = None
        output = module(leaf)
        output.backward(cotangent)
        return output.detach(), leaf.grad

    return run


def against(their_module, our_weights, size):
    """Make both steps, with the same weights and input, and make sure that they agree."""
    batch, length, d_model, n_heads = size
    x = torch.randn(batch, length, d_model, generator=torch.Generator().manual_seed(0))
    ours = MultiHeadAttention(d_model, n_heads)
    ours.load_state_dict(our_weights)
    both = step(lambda t: ours(t, is_causal=True), x), step(their_module, x)
    assert_agree(both[0](), both[1](), TOLERANCE)
    return both


def gpt2(size):
    """Ours against the attention of transformers' GPT-2, on torch's fused kernel too."""
    _, length, d_model, n_heads = size
    both = pair(GPTConfig(vocab_size=2, max_len=length, d_model=d_model, n_heads=n_heads, n_layers=1), noise=0.0)
    theirs = both.theirs.transformer.h[0].attn
    return against(lambda x: theirs(x)[0], both.ours.decoder.blocks[0].attention.state_dict(), size)


def torchs(size):
    """Ours against nn.MultiheadAttention without its weights, its fastest way."""
    _, length, d_model, n_heads = size
    theirs = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
    thirds = zip(("query", "key", "value"), theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3), strict=True)
    weights = {"output.weight": theirs.out_proj.weight, "output.bias": theirs.out_proj.bias}
    for name, weight, bias in thirds:
        weights |= {f"{name}.weight": weight, f"{name}.bias": bias}
    future = nn.Transformer.generate_square_subsequent_mask(length)
    return against(lambda x: theirs(x, x, x, attn_mask=future, is_causal=True, need_weights=False)[0], weights, size)


# GPT-2's attention spends its time in the same kernels of torch as ours: a draw, within the noise of a busy machine, is
# all there is to have, and shows that checks and masks cost nothing.
PEERS = {
    "GPT-2": ("transformers GPT2Attention (sdpa)", 1.0, gpt2),
    "torch": ("torch nn.MultiheadAttention", 1.15, torchs),
}
BENCHMARKS = [
    Benchmark(
        name=f"attention, {label}, against {short}",
        peer=peer,
        target=target,
        prepare=functools.partial(prepare, size),
    )
    for label, size in SIZES.items()
    for short, (peer, target, prepare) in PEERS.items()
]
