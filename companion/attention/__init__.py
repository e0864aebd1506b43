"""Attention: scaled dot products, masks, several heads, and a cache for decoding."""

from companion.attention.cache import KVCache
from companion.attention.dot_product import attention_weights, dot_product_attention
from companion.attention.masks import causal_mask, combine_masks, document_mask, padding_mask
from companion.attention.multi_head import KeysValues, MultiHeadAttention, merge_heads, split_heads
from companion.attention.rotation import Rotation, rotate

__all__ = [
    "KVCache",
    "KeysValues",
    "MultiHeadAttention",
    "Rotation",
    "attention_weights",
    "causal_mask",
    "combine_masks",
    "document_mask",
    "dot_product_attention",
    "merge_heads",
    "padding_mask",
    "rotate",
    "split_heads",
]
