"""The parts between attention and whole models: feed-forward halves and blocks."""

from companion.transformer.block import PreNormBlock
from companion.transformer.feed_forward import FeedForward

__all__ = ["FeedForward", "PreNormBlock"]
