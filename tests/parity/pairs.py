"""A model of ours and transformers' own of the same sizes and weights; one table renames weights and gradients."""

from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

from companion.models import BERT, GPT, T5, BERTConfig, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config
from companion.weights import BERT_FAMILY, GPT2_FAMILY, LLAMA_FAMILY, T5_FAMILY, RenameTable
from tests.attention.compare import assert_agree

FAMILIES = {
    GPTConfig: (GPT, GPT2_FAMILY),
    BERTConfig: (BERT, BERT_FAMILY),
    T5Config: (T5, T5_FAMILY),
    ModernDecoderConfig: (ModernDecoder, LLAMA_FAMILY),
}


@dataclass
class Pair:
    """The two models, and how to read the names of theirs."""

    ours: Any
    theirs: Any
    table: RenameTable

    def gradients(self):
        """Every gradient of ours and, under our names, of theirs."""
        theirs = self.table.read({name: parameter.grad for name, parameter in self.theirs.named_parameters()})
        ours = {name: parameter.grad for name, parameter in self.ours.named_parameters()}
        assert set(ours) == set(theirs)
        return [ours[name] for name in theirs], list(theirs.values())


def pair(config, dtype=torch.float32, implementation="sdpa", noise=0.2):
    """Make both models, theirs with noise on all its first weights, and copy those into ours.

    The first weights alone would hide much: biases of zero, scales of one, scores so small that attention is even.
    """
    kind, family = FAMILIES[type(config)]
    settings = transformers.AutoConfig.for_model(family.model_type, **family.write_config(config))
    settings._attn_implementation = implementation
    theirs = getattr(transformers, family.architecture)(settings)
    if isinstance(config, T5Config) and not config.tied:  # transformers 5 ties it all the same
        theirs.lm_head.weight = nn.Parameter(theirs.shared.weight.detach().clone())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator)
    ours, table = kind(config), family.table(config)
    ours.load_state_dict(table.read(theirs.state_dict()))
    ours, theirs = ours.to(dtype), theirs.to(dtype)
    if dtype == torch.float64:
        _make_exact(theirs)
    return Pair(ours, theirs, table)


def _make_exact(theirs):
    """Put torch's own RMSNorm where theirs rounds to single precision, which would hide everything below."""
    for module in list(theirs.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ in ("LlamaRMSNorm", "T5LayerNorm"):
                norm = nn.RMSNorm(child.weight.shape, eps=child.variance_epsilon)
                norm.weight = child.weight
                setattr(module, name, norm)


def tokens(config, batch, length, seed=0):
    """Draw texts of this vocabulary but for token 0, whose embedding gets no gradient in transformers' BERT."""
    return torch.randint(1, config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))


def ragged(lengths, side, longest=None):
    """Make the mask of texts of different lengths, padded on one side; none at all for "none"."""
    if side == "none":
        return None
    mask = torch.arange(longest or max(lengths)) < torch.tensor(lengths)[:, None]
    return (mask if side == "right" else mask.flip(1)).long()


def positions(mask):
    """Number the tokens of each text as transformers' generation does."""
    return None if mask is None else (mask.cumsum(1) - 1).clamp(min=0)


def assert_gradients_agree(both, tolerance):
    """Fail unless every parameter of both models has the same gradient."""
    assert_agree(*both.gradients(), tolerance)
