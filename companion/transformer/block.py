"""One block of a transformer: gather from the other positions, then work on what was gathered."""

from typing import Any

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from companion._validation import require_count, require_features, require_probability, requires
from companion.attention import KVCache, MultiHeadAttention
from companion.transformer.feed_forward import FeedForward


def _check_module(module: Any, d_model: Any, n_heads: Any, d_ff: Any, *, dropout: Any = 0.0, bias: Any = True) -> None:
    require_count("d_model", d_model)
    require_probability("dropout", dropout)


def _check_forward(block: "PreNormBlock", x: Any, mask: Any = None, **options: Any) -> None:
    require_features("x", x, "batch pos d_model", block.attention.query.weight)


class PreNormBlock(nn.Module):
    """Attend, then feed forward; normalise before each, and add each to what came in.

    Parameters
    ----------
    d_model, n_heads, d_ff
        Number of features, of attention heads, and of features inside the feed-forward half.
    dropout
        Chance of dropping an attention weight or a feature of what is added, while training.
    bias
        Whether projections and normalisations add a bias.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the heads do not divide d_model, or the dropout is out of range.

    References
    ----------
    Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3: normalisation moved to the
    input of each half.
    """

    @requires(_check_module)
    def __init__(self, d_model: int, n_heads: int, d_ff: int, *, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model, bias=bias)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout)
        self.feed_forward_norm = nn.LayerNorm(d_model, bias=bias)
        self.feed_forward = FeedForward(d_model, d_ff, bias=bias)
        self.dropout = dropout

    @requires(_check_forward)
    def forward(
        self,
        x: Float[Tensor, "batch pos d_model"],
        mask: Bool[Tensor, "..."] | None = None,
        *,
        is_causal: bool = False,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Return the features of each position after this block; arguments as in ``MultiHeadAttention.forward``."""
        attended = self.attention(self.attention_norm(x), mask=mask, is_causal=is_causal, cache=cache)
        x = x + F.dropout(attended, self.dropout, self.training)
        return x + F.dropout(self.feed_forward(self.feed_forward_norm(x)), self.dropout, self.training)
