"""T5, 1.0 and 1.1: tensors and settings, between checkpoints and :class:`companion.models.T5`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from companion.weights.family import Family
from companion.weights.rename import RenameTable, Rule, in_every_layer, rule
from companion.weights.settings import Settings

ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "o"}


def _attention(ours: str, theirs: str, number: int) -> list[Rule]:
    sublayer = f"layer.{number}."
    return [
        rule(f"{ours}_norm.weight", f"{sublayer}layer_norm.weight"),
        *(rule(f"{ours}.{name}.weight", f"{sublayer}{theirs}.{its}.weight") for name, its in ATTENTION.items()),
    ]


def _feed_forward(number: int, gated: bool) -> list[Rule]:
    names = {"gate": "wi_0", "up": "wi_1", "down": "wo"} if gated else {"up": "wi", "down": "wo"}
    sublayer = f"layer.{number}."
    return [
        rule("feed_forward_norm.weight", f"{sublayer}layer_norm.weight"),
        *(rule(f"feed_forward.{ours}.weight", f"{sublayer}DenseReluDense.{its}.weight") for ours, its in names.items()),
    ]


def _stack(name: str, n_layers: int, layer: Iterable[Rule]) -> list[Rule]:
    return [
        # The first layer has the bias of the scores, and all use it.
        rule(f"{name}_bias.weight", f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"),
        *in_every_layer(f"{name}.blocks.{{i}}.", f"{name}.block.{{i}}.", n_layers, layer),
        rule(f"{name}.norm.weight", f"{name}.final_layer_norm.weight"),
    ]


def _table(config: Any) -> RenameTable:
    reading = [*_attention("attention", "SelfAttention", 0), *_feed_forward(1, config.gated)]
    writing = [
        *_attention("attention", "SelfAttention", 0),
        *_attention("cross_attention", "EncDecAttention", 1),
        *_feed_forward(2, config.gated),
    ]
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    return RenameTable(
        rules=(
            rule("token_embedding.weight", "shared.weight"),
            *_stack("encoder", config.n_layers, reading),
            *_stack("decoder", config.n_decoder_layers or config.n_layers, writing),
            *([] if config.tied else [rule("head.weight", "lm_head.weight")]),
        ),
        tied=dict.fromkeys(copies, "shared.weight"),
        # Some old checkpoints have it; no version of the model has ever used it.
        ignored=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
    )


def _read_config(settings: Settings) -> dict[str, Any]:
    n_layers = settings.layers("num_layers")
    # Whether the scores are scaled goes with whether the head is tied, and transformers 5 stores it under a name of its
    # own: there a head without the scale may still be tied, which is a head of our own with the embedding's numbers.
    settings.promise("tie_word_embeddings", False, "lm_head.weight")
    is_scaled = settings.switch("scale_decoder_outputs", settings.switch("tie_word_embeddings", True))
    return {
        "vocab_size": settings.size("vocab_size"),
        "d_model": settings.size("d_model"),
        "n_heads": settings.size("num_heads"),
        "n_layers": n_layers,
        "n_decoder_layers": settings.layers("num_decoder_layers", n_layers),
        "d_head": settings.size("d_kv"),
        "d_ff": settings.size("d_ff"),
        "gated": settings.choice("feed_forward_proj", {"relu": False, "gated-gelu": True}, "relu"),
        "tied": is_scaled,
        "n_buckets": settings.size("relative_attention_num_buckets", 32),
        "max_distance": settings.size("relative_attention_max_distance", 128),
        "start_id": settings.size("decoder_start_token_id", 0, at_least=0),
        "dropout": settings.dropout("dropout_rate"),
        "norm_eps": settings.number("layer_norm_epsilon", 1e-6),
    }


def _write_config(config: Any) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "d_model": config.d_model,
        "num_heads": config.n_heads,
        "num_layers": config.n_layers,
        "num_decoder_layers": config.n_decoder_layers or config.n_layers,
        "d_kv": config.d_head or config.d_model // config.n_heads,
        "d_ff": config.d_ff or 4 * config.d_model,
        "feed_forward_proj": "gated-gelu" if config.gated else "relu",
        "tie_word_embeddings": config.tied,
        "relative_attention_num_buckets": config.n_buckets,
        "relative_attention_max_distance": config.max_distance,
        "decoder_start_token_id": config.start_id,
        "dropout_rate": config.dropout,
        "layer_norm_epsilon": config.norm_eps,
        "is_encoder_decoder": True,
    }


T5_FAMILY = Family(
    model_type="t5",
    architecture="T5ForConditionalGeneration",
    read_config=_read_config,
    write_config=_write_config,
    table=_table,
)
