"""Llama: tensors and settings, between checkpoints and :class:`companion.models.ModernDecoder`."""

from __future__ import annotations

from typing import Any

from companion.weights.family import Family
from companion.weights.rename import RenameTable, in_every_layer, rule
from companion.weights.settings import Settings

LAYER = [
    rule("attention_norm.weight", "input_layernorm.weight"),
    rule("attention.query.weight", "self_attn.q_proj.weight"),
    rule("attention.key.weight", "self_attn.k_proj.weight"),
    rule("attention.value.weight", "self_attn.v_proj.weight"),
    rule("attention.output.weight", "self_attn.o_proj.weight"),
    rule("feed_forward_norm.weight", "post_attention_layernorm.weight"),
    rule("feed_forward.gate.weight", "mlp.gate_proj.weight"),
    rule("feed_forward.up.weight", "mlp.up_proj.weight"),
    rule("feed_forward.down.weight", "mlp.down_proj.weight"),
]


def _table(config: Any) -> RenameTable:
    return RenameTable(
        rules=(
            rule("token_embedding.weight", "model.embed_tokens.weight"),
            *in_every_layer("decoder.blocks.{i}.", "model.layers.{i}.", config.n_layers, LAYER),
            rule("decoder.norm.weight", "model.norm.weight"),
            *([] if config.tied else [rule("head.weight", "lm_head.weight")]),
        ),
        prefix="model.",
        tied={"lm_head.weight": "model.embed_tokens.weight"} if config.tied else {},
        ignored=(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",),
    )


def _read_config(settings: Settings) -> dict[str, Any]:
    settings.only("hidden_act", "silu", default="silu")
    settings.only("attention_bias", False, default=False)
    settings.only("mlp_bias", False, default=False)
    d_model, n_heads = settings.size("hidden_size"), settings.size("num_attention_heads")
    return {
        "vocab_size": settings.size("vocab_size"),
        "max_len": settings.size("max_position_embeddings"),
        "d_model": d_model,
        "n_heads": n_heads,
        "n_layers": settings.layers("num_hidden_layers"),
        "n_kv_heads": settings.size("num_key_value_heads", n_heads),
        "d_head": settings.size("head_dim", max(1, d_model // n_heads)),
        "d_ff": settings.size("intermediate_size"),
        "theta": _theta(settings),
        "tied": settings.switch("tie_word_embeddings", False),
        "dropout": settings.dropout("attention_dropout"),
        "norm_eps": settings.number("rms_norm_eps", 1e-6),
    }


def _theta(settings: Settings) -> float:
    """Read how fast positions turn: transformers 5 keeps it with the scaling of positions, earlier ones apart."""
    scaling = settings.get("rope_parameters") or settings.get("rope_scaling") or {}
    if not isinstance(scaling, dict):
        settings.problem(f"rope_parameters must be an object, got a {type(scaling).__name__}")
        return 10_000.0
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind != "default":
        settings.problem(f"rope_type is {kind!r}, and scaled positions are not built here; only 'default' is")
    partial = scaling.get("partial_rotary_factor", settings.get("partial_rotary_factor", 1.0))
    if partial != 1:
        settings.problem(f"partial_rotary_factor is {partial!r}, and here whole heads are turned; only 1.0 is built")
    return settings.number("rope_theta", 10_000.0, value=scaling.get("rope_theta"))


def _write_config(config: Any) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_len,
        "hidden_size": config.d_model,
        "num_attention_heads": config.n_heads,
        "num_hidden_layers": config.n_layers,
        "num_key_value_heads": config.n_kv_heads or config.n_heads,
        "head_dim": config.d_head or config.d_model // config.n_heads,
        "intermediate_size": config.d_ff or 8 * config.d_model // 3,
        "hidden_act": "silu",
        # Under both names, of transformers 5 and of those before it.
        "rope_parameters": {"rope_type": "default", "rope_theta": config.theta},
        "rope_theta": config.theta,
        "tie_word_embeddings": config.tied,
        "attention_dropout": config.dropout,
        "rms_norm_eps": config.norm_eps,
        "attention_bias": False,
        "mlp_bias": False,
        # Which tokens begin and end a text is the tokenizer's to say; by default transformers would take Llama 1's.
        "bos_token_id": None,
        "eos_token_id": None,
    }


LLAMA_FAMILY = Family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    read_config=_read_config,
    write_config=_write_config,
    table=_table,
)
