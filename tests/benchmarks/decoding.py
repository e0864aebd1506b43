"""Greedy decoding with a cache, a token at a time, against transformers' GPT-2 with its DynamicCache."""

import functools

import torch
from transformers import DynamicCache

from companion.generation import generate
from companion.models import GPTConfig
from tests.benchmarks.measure import Benchmark
from tests.parity.pairs import pair

PROMPT, NEW = 16, 256
CONFIG = GPTConfig(vocab_size=4096, max_len=PROMPT + NEW, d_model=256, n_heads=4, n_layers=4)


@torch.inference_mode()
def greedy(next_logits, prompt):
    """Decode NEW tokens; ``next_logits`` maps new tokens to logits and remembers the earlier ones."""
    tokens, new = [], prompt
    for _ in range(NEW):
        new = next_logits(new)[:, -1].argmax(-1, keepdim=True)
        tokens.append(new)
    return torch.cat(tokens, dim=1)


def models(batch):
    """Both models with the same weights, and a prompt."""
    torch.manual_seed(0)
    both = pair(CONFIG, noise=0.0)
    return both.ours.eval(), both.theirs.eval(), torch.randint(CONFIG.vocab_size, (batch, PROMPT))


def forward_ours(model, prompt):
    caches = model.new_caches(len(prompt))
    return greedy(lambda ids: model(ids, caches), prompt)


def generate_ours(model, prompt):
    return generate(model, prompt, max_new_tokens=NEW).ids


def forward_theirs(model, prompt):
    cache = DynamicCache(config=model.config)
    return greedy(lambda ids: model(ids, past_key_values=cache, use_cache=True).logits, prompt)


def generate_theirs(model, prompt):
    sequences = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        do_sample=False,
        pad_token_id=0,
    )
    return sequences[:, PROMPT:]


def against(run_ours, run_peer, batch):
    """Make both decoders, and make sure that they choose the same tokens."""
    ours, theirs, prompt = models(batch)
    both = (lambda: run_ours(ours, prompt)), (lambda: run_peer(theirs, prompt))
    assert torch.equal(both[0](), both[1]()), "the two models do not choose the same tokens"
    return both


# Peer, what runs ours and it, and the target for each batch: at batch 1 all models wait for the same weights from
# memory, so the larger batch, where copying a growing cache costs most, gains most.
PEERS = {
    "forward": ("transformers GPT2LMHeadModel and DynamicCache", forward_ours, forward_theirs, {1: 1.05, 8: 1.2}),
    "generate": ("transformers GPT2LMHeadModel.generate", generate_ours, generate_theirs, {1: 1.8, 8: 2.0}),
}
BENCHMARKS = [
    Benchmark(
        name=f"decoding, batch {batch}, against {short}",
        peer=peer,
        target=target,
        prepare=functools.partial(against, run_ours, run_peer, batch),
        rounds=7,
    )
    for short, (peer, run_ours, run_peer, targets) in PEERS.items()
    for batch, target in targets.items()
]
