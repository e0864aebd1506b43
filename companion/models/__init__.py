"""Whole models, each with its frozen configuration."""

from companion.models.gpt import GPT, GPTConfig

__all__ = ["GPT", "GPTConfig"]
