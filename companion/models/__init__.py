"""Whole models, each with its frozen configuration."""

from companion.models.bert import BERT, BERTConfig
from companion.models.decoder import ModernDecoder, ModernDecoderConfig
from companion.models.gpt import GPT, GPTConfig
from companion.models.pretrained import PretrainedModel
from companion.models.t5 import T5, T5Config

__all__ = [
    "BERT",
    "GPT",
    "T5",
    "BERTConfig",
    "GPTConfig",
    "ModernDecoder",
    "ModernDecoderConfig",
    "PretrainedModel",
    "T5Config",
]
