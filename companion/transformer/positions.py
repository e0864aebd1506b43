"""Tell positions apart: by vectors that are added, by turning queries and keys, or by a bias on their scores."""

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from companion._validation import (
    describe,
    require_axes,
    require_count,
    require_finite,
    requires,
)
from companion.attention import Rotation
from companion.attention.masks import require_attention_mask, require_document_ids


@requires(require_attention_mask)
def count_positions(
    attention_mask: Int[Tensor, "batch key"] | Bool[Tensor, "batch key"],
) -> Int[Tensor, "batch key"]:
    """Count each text's tokens from 0, leaving the padding out.

    Padding gets the number of the token before it, or 0; what it computes is never used.

    Parameters
    ----------
    attention_mask
        1 for a token and 0 for padding.

    Raises
    ------
    TypeError, ValueError
        As :func:`companion.attention.padding_mask` raises them.
    """
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)


@requires(require_document_ids)
def document_positions(document_ids: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """Count the positions of each document from 0, where several share a row.

    Parameters
    ----------
    document_ids
        As for :func:`companion.attention.document_mask`.

    Raises
    ------
    TypeError, ValueError
        As :func:`companion.attention.document_mask` raises them.
    """
    places = torch.arange(document_ids.shape[1], device=document_ids.device).expand_as(document_ids)
    starts = torch.zeros_like(places)
    starts[:, 1:] = torch.where(document_ids[:, 1:] != document_ids[:, :-1], places[:, 1:], 0)
    return places - starts.cummax(1).values


def _require_positions(positions: Any) -> None:
    if not isinstance(positions, Tensor) or positions.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"positions must be a tensor of torch.int64 or int32 (batch pos), got {describe(positions)}")
    require_axes("positions", positions, "*batch pos")


def _check_sinusoidal(module: Any, d_model: Any, *, base: Any = 10000.0) -> None:
    require_count("d_model", d_model)
    _require_base(base)


def _require_base(base: Any) -> None:
    require_finite("base", base)
    if base <= 1:
        raise ValueError(f"base must be above 1, got {base}")


def _check_positions(module: Any, positions: Any) -> None:
    _require_positions(positions)


class SinusoidalPositions(nn.Module):
    """Give each position a vector of sines and cosines, from fast to slow; nothing is learned.

    Feature 2i is a sine and 2i + 1 the cosine of the same angle, position / base^(2i / d_model).

    Parameters
    ----------
    d_model
        Number of features.
    base
        How much slower the slowest wave is than the fastest, nearly.

    Raises
    ------
    TypeError, ValueError
        If d_model is not a positive integer, or the base not a number above 1.

    References
    ----------
    Vaswani et al. (2017), Attention Is All You Need, section 3.5.
    """

    @requires(_check_sinusoidal)
    def __init__(self, d_model: int, *, base: float = 10000.0) -> None:
        super().__init__()
        self.d_model = d_model
        self.base = base

    @requires(_check_positions)
    def forward(self, positions: Int[Tensor, "*batch pos"]) -> Float[Tensor, "*batch pos d_model"]:
        """Return the vectors of these positions, in torch's default dtype.

        Raises
        ------
        TypeError, ValueError
            If the positions are not a tensor of integers.
        """
        angles = positions[..., None] * _frequencies(self.d_model, self.base, positions.device)
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
        return waves[..., : self.d_model]


def _frequencies(n_features: int, base: float, device: torch.device) -> Tensor:
    """Return the speeds base^(-2i / n_features), one for each pair of features."""
    exponents = torch.arange(0, n_features, 2, device=device).float() / n_features
    return 1.0 / base**exponents


def _check_learned(module: Any, max_len: Any, d_model: Any) -> None:
    require_count("max_len", max_len)
    require_count("d_model", d_model)


def _check_learned_forward(module: Any, positions: Any) -> None:
    if isinstance(positions, slice):
        if positions.stop is not None and positions.stop > module.weight.shape[0]:
            raise ValueError(f"positions must be below max_len={module.weight.shape[0]}, got {positions}")
    else:
        _require_positions(positions)


class LearnedPositions(nn.Module):
    """Give each position a vector of its own, learned like a word's.

    Parameters
    ----------
    max_len
        Number of positions there is a vector for; there is none beyond.
    d_model
        Number of features.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer.

    References
    ----------
    Gehring et al. (2017), Convolutional Sequence to Sequence Learning, section 3.1.
    """

    @requires(_check_learned)
    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_len, d_model))
        nn.init.normal_(self.weight)

    @requires(_check_learned_forward)
    def forward(self, positions: Int[Tensor, "*batch pos"] | slice) -> Float[Tensor, "*batch pos d_model"]:
        """Return the vectors of these positions.

        Parameters
        ----------
        positions
            Their numbers; or a slice where they follow each other, which copies nothing.

        Raises
        ------
        TypeError, ValueError
            If the positions are not integers, or one is not below max_len (on the CPU).
        """
        if isinstance(positions, slice):
            return self.weight[positions]
        try:
            return nn.functional.embedding(positions, self.weight)
        except IndexError as error:  # on the CPU; looking for it beforehand would make a GPU wait
            raise ValueError(
                f"positions must be at least 0 and below max_len={self.weight.shape[0]}, "
                f"got values from {positions.min()} to {positions.max()}"
            ) from error


def _check_rotary(module: Any, d_head: Any, *, base: Any = 10000.0) -> None:
    require_count("d_head", d_head)
    if d_head % 2:
        raise ValueError(f"d_head must be even, since features are turned in pairs, got {d_head}")
    _require_base(base)


class Rotary(nn.Module):
    """Say by what angles each position's queries and keys are turned, so that their scores feel only the distance.

    Pair i turns by position / base^(2i / d_head). The angles are computed in single precision whatever the model's
    dtype: that is how released models were trained, and half precision could not tell far positions apart.

    Parameters
    ----------
    d_head
        Number of features of a head; even.
    base
        How much slower the slowest pair turns than the fastest, nearly (called theta in Llama's files).

    Raises
    ------
    TypeError, ValueError
        If d_head is not an even positive integer, or the base not a number above 1.

    References
    ----------
    Su et al. (2021), RoFormer: Enhanced Transformer with Rotary Position Embedding, section 3.2.2.
    """

    @requires(_check_rotary)
    def __init__(self, d_head: int, *, base: float = 10000.0) -> None:
        super().__init__()
        self.d_head = d_head
        self.base = base

    @requires(_check_positions)
    def forward(self, positions: Int[Tensor, "batch pos"]) -> Rotation:
        """Return the rotation of these positions, for :func:`companion.attention.rotate` and for attention.

        Raises
        ------
        TypeError, ValueError
            If the positions are not a tensor of integers.
        """
        angles = positions[..., None] * _frequencies(self.d_head, self.base, positions.device)
        return Rotation(angles.cos(), angles.sin())


def _check_relative(
    module: Any, n_heads: Any, *, n_buckets: Any = 32, max_distance: Any = 128, bidirectional: Any = True
) -> None:
    require_count("n_heads", n_heads)
    require_count("n_buckets", n_buckets, minimum=4 if bidirectional else 2)
    if bidirectional and n_buckets % 2:
        raise ValueError(f"n_buckets must be even, half of them for either direction, got {n_buckets}")
    require_count("max_distance", max_distance)
    n_exact = n_buckets // (4 if bidirectional else 2)
    if max_distance <= n_exact:
        raise ValueError(
            f"max_distance must be above the {n_exact} distances that have a bucket of their own with "
            f"n_buckets={n_buckets}, got {max_distance}"
        )


def _check_lengths(module: Any, n_query: Any, n_key: Any = None) -> None:
    _require_lengths(n_query, n_key)


def _check_distances(module: Any, distances: Any) -> None:
    if not isinstance(distances, Tensor) or distances.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"distances must be a tensor of torch.int64 or int32, got {describe(distances)}")


def _require_lengths(n_query: Any, n_key: Any) -> None:
    require_count("n_query", n_query)
    if n_key is not None:
        require_count("n_key", n_key)
        if n_key < n_query:
            raise ValueError(f"n_key must be at least n_query={n_query}, whose positions are the last, got {n_key}")


def _distances(n_query: int, n_key: int | None, device: torch.device | str | None) -> Tensor:
    """Return how far each key lies after each query, the queries being the last positions."""
    n_key = n_query if n_key is None else n_key
    keys = torch.arange(n_key, device=device)
    return keys - keys[n_key - n_query :, None]


class T5RelativeBias(nn.Module):
    """Add to each score a number learned for the head and the distance, far distances sharing one.

    Half of the buckets hold one distance each, the other half ranges that widen geometrically up to max_distance;
    everything beyond shares the last.

    Parameters
    ----------
    n_heads
        Number of heads.
    n_buckets
        Number of distances told apart, in both directions together.
    max_distance
        From here on all distances are alike.
    bidirectional
        Whether keys after the query have buckets too, as in an encoder.

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer, or so small that a bucket would be empty.

    References
    ----------
    Raffel et al. (2020), Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, section
    2.1. Shaw et al. (2018), Self-Attention with Relative Position Representations, for the idea.
    """

    @requires(_check_relative)
    def __init__(
        self, n_heads: int, *, n_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True
    ) -> None:
        super().__init__()
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.weight = nn.Parameter(torch.empty(n_buckets, n_heads))
        nn.init.normal_(self.weight)

    @requires(_check_lengths)
    def forward(self, n_query: int, n_key: int | None = None) -> Float[Tensor, "1 head query key"]:
        """Return the bias of each score; with fewer queries than keys, the queries are the last positions.

        Raises
        ------
        TypeError, ValueError
            If a number is not a positive integer, or there are more queries than keys.
        """
        buckets = self.buckets(_distances(n_query, n_key, self.weight.device))
        return nn.functional.embedding(buckets, self.weight).permute(2, 0, 1)[None]

    @requires(_check_distances)
    def buckets(self, distances: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """Return the bucket of each distance, which is positive where the key comes after the query.

        Raises
        ------
        TypeError
            If the distances are not a tensor of integers.
        """
        n_buckets = self.weight.shape[0]
        if self.bidirectional:
            n_buckets //= 2
            first = n_buckets * (distances > 0)
            distances = distances.abs()
        else:
            first = torch.zeros_like(distances)
            distances = (-distances).clamp(min=0)
        n_exact = n_buckets // 2
        # Below n_exact the logarithm is not used; clamping keeps it finite.
        share = torch.log(distances.clamp(min=1).float() / n_exact) / math.log(self.max_distance / n_exact)
        shared = n_exact + (share * (n_buckets - n_exact)).long()
        return first + torch.where(distances < n_exact, distances, shared.clamp(max=n_buckets - 1))


def _check_alibi(n_heads: Any, n_query: Any, n_key: Any = None, *, device: Any = None, dtype: Any = None) -> None:
    require_count("n_heads", n_heads)
    _require_lengths(n_query, n_key)


@requires(_check_alibi)
def alibi_bias(
    n_heads: int,
    n_query: int,
    n_key: int | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "1 head query key"]:
    """Subtract from each score its distance times the head's slope; nothing is learned.

    The slopes of a power of two of heads are 2^(-8/n), 2^(-16/n) and so on; other numbers of heads take those of the
    next lower power of two, then every other one of the next higher.

    Parameters
    ----------
    n_heads
        Number of heads.
    n_query, n_key
        Numbers of queries and keys; with fewer queries than keys, the queries are the last positions.
    device, dtype
        Of the bias.

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer, or there are more queries than keys.

    References
    ----------
    Press et al. (2022), Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation,
    section 3; the authors' code for numbers of heads that are no power of two.
    """
    slopes = torch.tensor(_slopes(n_heads), device=device, dtype=torch.float64)
    return (-slopes[:, None, None] * _distances(n_query, n_key, device).abs())[None].to(dtype)


def _slopes(n_heads: int) -> list[float]:
    power = 2 ** (n_heads.bit_length() - 1)
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    return slopes + [2 ** (-8 * (2 * i + 1) / (2 * power)) for i in range(n_heads - power)]
