"""One small model of each family, of awkward sizes."""

import torch

from companion.models import BERT, GPT, T5, BERTConfig, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config

VOCAB, MAX_LEN = 101, 13
CONFIGS = {
    GPT: GPTConfig(vocab_size=VOCAB, max_len=MAX_LEN, d_model=15, n_heads=5, n_layers=2, d_ff=23),
    BERT: BERTConfig(vocab_size=VOCAB, max_len=MAX_LEN, d_model=15, n_heads=5, n_layers=2, d_ff=23),
    ModernDecoder: ModernDecoderConfig(
        vocab_size=VOCAB, max_len=MAX_LEN, d_model=18, n_heads=6, n_kv_heads=2, d_head=4, n_layers=2, d_ff=23
    ),
    T5: T5Config(
        vocab_size=VOCAB, d_model=15, n_heads=5, d_head=2, n_layers=2, n_decoder_layers=3, n_buckets=6, max_distance=7
    ),
}


def make(kind, config=None):
    """The model in double precision, without dropout, its weights large enough for attention to matter."""
    generator = torch.Generator().manual_seed(0)
    model = kind(config or CONFIGS[kind], generator).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def tokens(batch, length, seed=0):
    """Draw texts."""
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))
