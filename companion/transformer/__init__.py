"""The parts between attention and whole models: positions, norms, feed-forward halves, blocks and stacks of them."""

from companion.transformer.block import Block
from companion.transformer.feed_forward import FeedForward
from companion.transformer.initialization import init_fan_in, init_normal
from companion.transformer.norms import LayerNorm, RMSNorm, layer_norm, rms_norm
from companion.transformer.positions import (
    LearnedPositions,
    Rotary,
    SinusoidalPositions,
    T5RelativeBias,
    alibi_bias,
    count_positions,
    document_positions,
)
from companion.transformer.stack import Decoder, Encoder

__all__ = [
    "Block",
    "Decoder",
    "Encoder",
    "FeedForward",
    "LayerNorm",
    "LearnedPositions",
    "RMSNorm",
    "Rotary",
    "SinusoidalPositions",
    "T5RelativeBias",
    "alibi_bias",
    "count_positions",
    "document_positions",
    "init_fan_in",
    "init_normal",
    "layer_norm",
    "rms_norm",
]
