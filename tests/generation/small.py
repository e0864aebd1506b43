"""Small models of every family, with weights large enough that each step's choice is clear."""

import torch
from torch import nn

from companion.models import GPT, T5, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config

CONFIGS = {
    "gpt": GPTConfig(vocab_size=101, max_len=61, d_model=35, n_heads=5, n_layers=3, d_ff=53),
    "gpt without biases": GPTConfig(vocab_size=43, max_len=61, d_model=26, n_heads=2, n_layers=1, bias=False),
    "llama": ModernDecoderConfig(vocab_size=101, max_len=61, d_model=42, n_heads=7, n_layers=3, d_ff=53),
    "llama of shared heads": ModernDecoderConfig(
        vocab_size=97, max_len=61, d_model=30, n_heads=15, n_kv_heads=5, n_layers=2, d_ff=37, theta=53.0, tied=True
    ),
    "t5": T5Config(vocab_size=101, d_model=35, n_heads=5, n_layers=2, n_decoder_layers=3, d_head=11, d_ff=53),
    "t5 with gates": T5Config(
        vocab_size=89, d_model=34, n_heads=2, n_layers=1, d_ff=31, gated=True, tied=False, n_buckets=8, max_distance=11
    ),
}
_KINDS = {GPTConfig: GPT, ModernDecoderConfig: ModernDecoder, T5Config: T5}


def make(config, seed=0):
    """Make a model of random weights, none of them zero or one."""
    generator = torch.Generator().manual_seed(seed)
    model = _KINDS[type(config)](config, generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    assert isinstance(model, nn.Module)
    return model


def prompts(config, lengths, side="left", seed=1):
    """Draw prompts of these lengths, padded on one side with an id that means something; and their mask."""
    longest = max(lengths)
    ids = torch.randint(1, config.vocab_size, (len(lengths), longest), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return ids, (mask if side == "right" else mask.flip(1)).long()


def read(model, row, written):
    """Return the scores of the next token from the whole text at once: no cache, no padding, no batch."""
    with torch.no_grad():
        if isinstance(model, T5):
            start = torch.tensor([[model.config.start_id]])
            return model(row, torch.cat([start, written], dim=1))[0, -1]
        return model(torch.cat([row, written], dim=1))[0, -1]
