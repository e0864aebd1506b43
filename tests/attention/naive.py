"""The equation, word for word: what the chapter shows and what the package's fast version must agree with."""

import math

import torch


def naive_attention(query, key, value, mask=None):
    """Compute softmax(query keyᵀ / √d_k) value; mask is True where a query may look at a key."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    return weights @ value
