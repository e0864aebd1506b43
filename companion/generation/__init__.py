"""Writing with a model: greedy and sampled, for a batch of prompts, a token at a time with a cache."""

from companion.generation.generate import Generated, Written, generate, stream
from companion.generation.picking import greedy, sampler, temperature, top_k, top_p

__all__ = ["Generated", "Written", "generate", "greedy", "sampler", "stream", "temperature", "top_k", "top_p"]
