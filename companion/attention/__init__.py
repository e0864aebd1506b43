"""Attention: scaled dot products, masks, several heads, and a cache for decoding."""

from companion.attention.cache import KVCache
from companion.attention.dot_product import attention_weights, dot_product_attention
from companion.attention.masks import causal_mask, combine_masks, padding_mask
from companion.attention.multi_head import MultiHeadAttention, merge_heads, split_heads

__all__ = [
    "KVCache",
    "MultiHeadAttention",
    "attention_weights",
    "causal_mask",
    "combine_masks",
    "dot_product_attention",
    "merge_heads",
    "padding_mask",
    "split_heads",
]
