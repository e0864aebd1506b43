"""BERT: tensors and settings, between checkpoints and :class:`companion.models.BERT`."""

from __future__ import annotations

from typing import Any

from companion.weights.family import Family
from companion.weights.rename import RenameTable, in_every_layer, rule, weights_and_biases
from companion.weights.settings import Settings

LAYER = [
    *weights_and_biases("attention.query", "attention.self.query"),
    *weights_and_biases("attention.key", "attention.self.key"),
    *weights_and_biases("attention.value", "attention.self.value"),
    *weights_and_biases("attention.output", "attention.output.dense"),
    *weights_and_biases("attention_norm", "attention.output.LayerNorm"),
    *weights_and_biases("feed_forward.up", "intermediate.dense"),
    *weights_and_biases("feed_forward.down", "output.dense"),
    *weights_and_biases("feed_forward_norm", "output.LayerNorm"),
]


def _table(config: Any) -> RenameTable:
    return RenameTable(
        rules=(
            rule("token_embedding.weight", "bert.embeddings.word_embeddings.weight"),
            rule("position_embedding.weight", "bert.embeddings.position_embeddings.weight"),
            rule("segment_embedding.weight", "bert.embeddings.token_type_embeddings.weight"),
            *weights_and_biases("embedding_norm", "bert.embeddings.LayerNorm"),
            *in_every_layer("encoder.blocks.{i}.", "bert.encoder.layer.{i}.", config.n_layers, LAYER),
            *weights_and_biases("pooler", "bert.pooler.dense"),
            *weights_and_biases("mlm_transform", "cls.predictions.transform.dense"),
            *weights_and_biases("mlm_norm", "cls.predictions.transform.LayerNorm"),
            rule("mlm_bias", "cls.predictions.bias"),
            *weights_and_biases("nsp", "cls.seq_relationship"),
        ),
        prefix="bert.",
        # As the authors' code called the weight and the bias of a normalisation.
        old_names={r"LayerNorm\.gamma$": "LayerNorm.weight", r"LayerNorm\.beta$": "LayerNorm.bias"},
        tied={
            "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
            "cls.predictions.decoder.bias": "cls.predictions.bias",
        },
        ignored=(r"bert\.embeddings\.(position|token_type)_ids",),  # 0, 1, 2, ... and 0, 0, 0, ...
        optional=("bert.pooler.", "cls.predictions.", "cls.seq_relationship."),
    )


def _read_config(settings: Settings) -> dict[str, Any]:
    settings.only("hidden_act", "gelu", default="gelu")
    settings.only("position_embedding_type", "absolute", default="absolute")
    settings.only("is_decoder", False, default=False)
    settings.only("add_cross_attention", False, default=False)
    settings.only("tie_word_embeddings", True, default=True)
    return {
        "vocab_size": settings.size("vocab_size"),
        "max_len": settings.size("max_position_embeddings"),
        "d_model": settings.size("hidden_size"),
        "n_heads": settings.size("num_attention_heads"),
        "n_layers": settings.layers("num_hidden_layers"),
        "d_ff": settings.size("intermediate_size"),
        "n_segments": settings.size("type_vocab_size", 2),
        "dropout": settings.dropout("hidden_dropout_prob", "attention_probs_dropout_prob"),
        "norm_eps": settings.number("layer_norm_eps", 1e-12),
    }


def _write_config(config: Any) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_len,
        "hidden_size": config.d_model,
        "num_attention_heads": config.n_heads,
        "num_hidden_layers": config.n_layers,
        "intermediate_size": config.d_ff or 4 * config.d_model,
        "type_vocab_size": config.n_segments,
        "hidden_act": "gelu",
        "layer_norm_eps": config.norm_eps,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "tie_word_embeddings": True,
    }


BERT_FAMILY = Family(
    model_type="bert",
    architecture="BertForPreTraining",
    read_config=_read_config,
    write_config=_write_config,
    table=_table,
)
