"""Small random models of transformers in odd sizes, one list a family, and what they compute."""

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import nn
from transformers import (
    BertConfig,
    BertForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from companion.models import BERT, GPT, T5, ModernDecoder

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

NO_DROPOUT = {
    "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "t5": {"dropout_rate": 0.0},
    "llama": {},
}
CLASSES = {
    "gpt2": (GPT, GPT2Config, GPT2LMHeadModel),
    "bert": (BERT, BertConfig, BertForPreTraining),
    "t5": (T5, T5Config, T5ForConditionalGeneration),
    "llama": (ModernDecoder, LlamaConfig, LlamaForCausalLM),
}
SIZES = {
    "gpt2": {"vocab_size": 53, "n_positions": 19, "n_embd": 15, "n_head": 3, "n_layer": 2},
    "bert": {
        "vocab_size": 59,
        "max_position_embeddings": 23,
        "hidden_size": 14,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "intermediate_size": 29,
    },
    "t5": {"vocab_size": 61, "d_model": 13, "d_kv": 5, "num_heads": 3, "num_layers": 2, "d_ff": 17},
    "llama": {
        "vocab_size": 67,
        "max_position_embeddings": 31,
        "hidden_size": 24,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "num_hidden_layers": 2,
        "intermediate_size": 37,
    },
}


@dataclass(frozen=True)
class Case:
    """One config of one family, as settings that differ from those above."""

    family: str
    name: str
    changes: dict[str, Any] = field(default_factory=dict)

    def __str__(self):
        return f"{self.family}-{self.name}"

    @property
    def ours(self):
        return CLASSES[self.family][0]

    def reference(self, *, dtype=torch.float64, **changes):
        """Make the model of transformers, every number of which is drawn."""
        _, config_class, model_class = CLASSES[self.family]
        settings = SIZES[self.family] | NO_DROPOUT[self.family] | self.changes | changes
        no_tokens = dict.fromkeys(("bos_token_id", "eos_token_id"))
        model = model_class(config_class(**settings, **({} if self.family == "t5" else no_tokens))).to(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model.eval()


CASES = [
    Case("gpt2", "plain"),
    Case("gpt2", "inner", {"n_inner": 31, "n_head": 5, "layer_norm_epsilon": 1e-3, "n_layer": 1}),
    Case("gpt2", "dropout", {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}),
    Case("bert", "plain"),
    Case("bert", "segments", {"type_vocab_size": 5, "num_attention_heads": 7, "layer_norm_eps": 1e-3}),
    Case("t5", "plain"),
    Case("t5", "1.1", {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    Case("t5", "gated-tied", {"feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 10}),
    Case(
        "t5",
        "uneven",
        {
            "num_decoder_layers": 1,
            "relative_attention_max_distance": 20,
            "decoder_start_token_id": 3,
            "pad_token_id": 3,
        },
    ),
    Case("llama", "plain"),
    Case("llama", "tied", {"tie_word_embeddings": True, "num_key_value_heads": 6}),
    Case(
        "llama",
        "heads",
        {"head_dim": 10, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "rms_norm_eps": 1e-3},
    ),
]


def exact(model):
    """Let the normalisations of a model of transformers compute in its own precision; some always do it in single."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child).__name__ in {"LlamaRMSNorm", "T5LayerNorm"}:
                norm = nn.RMSNorm(child.weight.shape, eps=child.variance_epsilon)
                norm.weight = child.weight
                setattr(module, name, norm)
    return model


def batch(vocab_size, seed=0):
    """Draw a batch of two texts, the second of them padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, vocab_size, (2, 11), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    return ids, mask


@torch.no_grad()
def theirs_computes(model):
    """Return everything that a model of transformers says of the batch, where it means something."""
    ids, mask = batch(model.config.vocab_size)
    kept = mask.bool()
    if isinstance(model, BertForPreTraining):
        segments = (ids % 2) * mask
        out = model(input_ids=ids, attention_mask=mask, token_type_ids=segments)
        hidden = model.bert(input_ids=ids, attention_mask=mask, token_type_ids=segments)
        pooled = hidden.pooler_output
        return hidden.last_hidden_state[kept], pooled, out.prediction_logits[kept], out.seq_relationship_logits
    if isinstance(model, T5ForConditionalGeneration):
        written = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :4]], dim=1)
        return (model(input_ids=ids, attention_mask=mask, decoder_input_ids=written).logits,)
    return (model(input_ids=ids, attention_mask=mask).logits[kept],)


@torch.no_grad()
def ours_computes(model):
    """Return what a model of ours says of the batch, in the same order."""
    ids, mask = batch(model.config.vocab_size)
    kept = mask.bool()
    if isinstance(model, BERT):
        hidden = model(ids, attention_mask=mask, token_type_ids=(ids % 2) * mask)
        return hidden[kept], model.pool(hidden), model.mlm_logits(hidden)[kept], model.nsp_logits(hidden)
    if isinstance(model, T5):
        written = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :4]], dim=1)
        return (model(ids, written, attention_mask=mask),)
    return (model(ids, attention_mask=mask)[kept],)


def assert_same(ours, theirs, tolerance=1e-10):
    """Compare what two models computed."""
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=tolerance)
