"""GPT-2: tensors and settings, between checkpoints and :class:`companion.models.GPT`."""

from __future__ import annotations

from typing import Any

from companion.weights.family import Family
from companion.weights.rename import RenameTable, in_every_layer, rule, weights_and_biases
from companion.weights.settings import Settings

END_OF_TEXT = 50_256  # the last token of GPT-2's vocabulary

# GPT-2 was written with a layer called Conv1D, which multiplies from the other side and so stores (in, out).
LAYER = [
    *weights_and_biases("attention_norm", "ln_1"),
    *weights_and_biases(("attention.query", "attention.key", "attention.value"), "attn.c_attn", transposed=True),
    *weights_and_biases("attention.output", "attn.c_proj", transposed=True),
    *weights_and_biases("feed_forward_norm", "ln_2"),
    *weights_and_biases("feed_forward.up", "mlp.c_fc", transposed=True),
    *weights_and_biases("feed_forward.down", "mlp.c_proj", transposed=True),
]


def _table(config: Any) -> RenameTable:
    if not config.bias:
        raise ValueError("config.bias must be True: GPT-2's checkpoints have biases everywhere, this model none")
    return RenameTable(
        rules=(
            rule("token_embedding.weight", "transformer.wte.weight"),
            rule("position_embedding.weight", "transformer.wpe.weight"),
            *in_every_layer("decoder.blocks.{i}.", "transformer.h.{i}.", config.n_layers, LAYER),
            *weights_and_biases("decoder.norm", "transformer.ln_f"),
        ),
        prefix="transformer.",
        tied={"lm_head.weight": "transformer.wte.weight"},
        ignored=(r"transformer\.h\.\d+\.attn\.(masked_)?bias",),  # the causal mask
    )


def _read_config(settings: Settings) -> dict[str, Any]:
    settings.choice("activation_function", {"gelu_new": None, "gelu_pytorch_tanh": None}, "gelu_new")
    settings.only("scale_attn_weights", True, default=True)
    settings.only("scale_attn_by_inverse_layer_idx", False, default=False)
    settings.only("add_cross_attention", False, default=False)
    settings.only("tie_word_embeddings", True, default=True)
    d_model = settings.size("n_embd")
    return {
        "vocab_size": settings.size("vocab_size"),
        "max_len": settings.size("n_positions"),
        "d_model": d_model,
        "n_heads": settings.size("n_head"),
        "n_layers": settings.layers("n_layer"),
        "d_ff": settings.size("n_inner", 4 * d_model),
        "dropout": settings.dropout("resid_pdrop", "embd_pdrop", "attn_pdrop"),
        "norm_eps": settings.number("layer_norm_epsilon", 1e-5),
    }


def _write_config(config: Any) -> dict[str, Any]:
    end = END_OF_TEXT if config.vocab_size == END_OF_TEXT + 1 else None
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.max_len,
        "n_embd": config.d_model,
        "n_head": config.n_heads,
        "n_layer": config.n_layers,
        "n_inner": config.d_ff or 4 * config.d_model,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": config.norm_eps,
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "tie_word_embeddings": True,
        # A small vocabulary has no such token, and transformers would take GPT-2's by default.
        "bos_token_id": end,
        "eos_token_id": end,
    }


GPT2_FAMILY = Family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    read_config=_read_config,
    write_config=_write_config,
    table=_table,
)
