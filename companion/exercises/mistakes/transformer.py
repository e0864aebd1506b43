"""The mistakes that students make in the transformer lab, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.spec import WrongWay

Weights = dict[str, Tensor]


def _spread(x: Tensor, axis: int = -1, correction: int = 0) -> Tensor:
    return x.var(axis, keepdim=True, correction=correction)


def _mean(x: Tensor, axis: int = -1) -> Tensor:
    return x.mean(axis, keepdim=True)


LAYER_NORM = (
    WrongWay(
        "you divide by n - 1, as for a sample; the variance here is the mean of the squared differences",
        lambda x, weight, bias, eps: (x - _mean(x)) / (_spread(x, correction=1) + eps).sqrt() * weight + bias,
    ),
    WrongWay(
        "eps is added to the standard deviation; it belongs to the variance, under the root",
        lambda x, weight, bias, eps: (x - _mean(x)) / (_spread(x).sqrt() + eps) * weight + bias,
    ),
    WrongWay(
        "eps is not used; features that are all equal would be divided by zero",
        lambda x, weight, bias, eps: (x - _mean(x)) / _spread(x).sqrt() * weight + bias,
    ),
    WrongWay(
        "you divide by the variance where you should divide by its root",
        lambda x, weight, bias, eps: (x - _mean(x)) / (_spread(x) + eps) * weight + bias,
    ),
    WrongWay(
        "the mean is not taken away, so the features keep it",
        lambda x, weight, bias, eps: x / (_spread(x) + eps).sqrt() * weight + bias,
    ),
    WrongWay(
        "you divide by the root of the mean square; layer normalisation takes the mean away first",
        lambda x, weight, bias, eps: F.rms_norm(x, weight.shape, weight, eps) + bias,
    ),
    WrongWay(
        "the features are not divided by their standard deviation",
        lambda x, weight, bias, eps: (x - _mean(x)) * weight + bias,
    ),
    WrongWay(
        "one mean and one variance for the whole tensor; each position has its own",
        lambda x, weight, bias, eps: (x - x.mean()) / (x.var(correction=0) + eps).sqrt() * weight + bias,
    ),
    WrongWay(
        "you normalise over the positions; each position must be normalised over its own features",
        lambda x, weight, bias, eps: (x - _mean(x, -2)) / (_spread(x, -2) + eps).sqrt() * weight + bias,
    ),
    WrongWay(
        "you normalise over the batch; each position must be normalised over its own features",
        lambda x, weight, bias, eps: (x - _mean(x, 0)) / (_spread(x, 0) + eps).sqrt() * weight + bias,
    ),
    WrongWay("`weight` and `bias` are not used", lambda x, weight, bias, eps: F.layer_norm(x, weight.shape, eps=eps)),
    WrongWay("`bias` is not used", lambda x, weight, bias, eps: F.layer_norm(x, weight.shape, weight, eps=eps)),
    WrongWay("`weight` is not used", lambda x, weight, bias, eps: F.layer_norm(x, weight.shape, None, bias, eps)),
    WrongWay(
        "`weight` and `bias` have changed places",
        lambda x, weight, bias, eps: F.layer_norm(x, weight.shape, bias, weight, eps),
    ),
    WrongWay(
        "`bias` is added before `weight` multiplies; the weight stretches, then the bias shifts",
        lambda x, weight, bias, eps: (F.layer_norm(x, weight.shape, eps=eps) + bias) * weight,
    ),
)


def _rms(x: Tensor, axis: int = -1) -> Tensor:
    return _mean(x.square(), axis)


RMS_NORM = (
    WrongWay(
        "the squares overflow: the largest number in float16 is 65504; square in single precision, and come back",
        lambda x, weight, eps: x / (_rms(x) + eps).sqrt() * weight,
    ),
    WrongWay(
        "the mean is taken away, which is layer normalisation; here the features keep their mean",
        lambda x, weight, eps: F.layer_norm(x, weight.shape, weight, eps=eps),
    ),
    WrongWay(
        "you divide by the standard deviation, which takes the mean away inside; the mean square does not",
        lambda x, weight, eps: x / (_spread(x) + eps).sqrt() * weight,
    ),
    WrongWay(
        "you divide by the mean square where you should divide by its root",
        lambda x, weight, eps: x / (_rms(x) + eps) * weight,
    ),
    WrongWay(
        "you divide by the length of the vector; the root is of the mean of the squares, not of their sum",
        lambda x, weight, eps: x / (x.square().sum(-1, keepdim=True) + eps).sqrt() * weight,
    ),
    WrongWay(
        "eps is added to the root; it belongs under it",
        lambda x, weight, eps: x / (_rms(x).sqrt() + eps) * weight,
    ),
    WrongWay("eps is not used", lambda x, weight, eps: x / _rms(x).sqrt() * weight),
    WrongWay("`weight` is not used", lambda x, weight, eps: F.rms_norm(x, weight.shape, eps=eps)),
    WrongWay(
        "you multiply by 1 + `weight`; here the weight multiplies as it is",
        lambda x, weight, eps: F.rms_norm(x, weight.shape, 1 + weight, eps),
    ),
    WrongWay(
        "one mean square for the whole tensor; each position has its own",
        lambda x, weight, eps: x / (x.square().mean() + eps).sqrt() * weight,
    ),
    WrongWay(
        "you normalise over the positions; each position must be normalised over its own features",
        lambda x, weight, eps: x / (_rms(x, -2) + eps).sqrt() * weight,
    ),
    WrongWay(
        "you divide by the mean of the absolute values; the squares must be averaged",
        lambda x, weight, eps: x / (_mean(x.abs()) + eps) * weight,
    ),
)


def _waves(
    n_positions: int,
    d_model: int,
    *,
    first: int = 0,
    base: float = 10000.0,
    exponent: Callable[[int], float] = lambda j: j - j % 2,
    functions: tuple[Callable[[Tensor], Tensor], ...] = (torch.sin, torch.cos),
) -> Tensor:
    """Make the table column by column, with one part of it replaceable."""
    positions = torch.arange(first, first + n_positions, dtype=torch.float64)
    columns = [functions[j % 2](positions * base ** (-exponent(j) / d_model)) for j in range(d_model)]
    return torch.stack(columns, -1)


def _halves(n_positions: int, d_model: int) -> Tensor:
    table = _waves(n_positions, d_model)
    return torch.cat((table[:, ::2], table[:, 1::2]), -1)


SINUSOIDAL_POSITIONS = (
    WrongWay(
        "the sines fill the first half of the columns and the cosines the second; they take turns, column by column",
        _halves,
    ),
    WrongWay(
        "sines and cosines have changed places; the even columns, from 0 on, hold sines",
        lambda *sizes: _waves(*sizes, functions=(torch.cos, torch.sin)),
    ),
    WrongWay(
        "every column has a frequency of its own; a sine and the cosine beside it share one",
        lambda *sizes: _waves(*sizes, exponent=lambda j: j),
    ),
    WrongWay(
        "the frequencies fall too slowly; the exponent is the column's number over d_model, and you took the pair's",
        lambda *sizes: _waves(*sizes, exponent=lambda j: j // 2),
    ),
    WrongWay(
        "the frequencies fall too fast; the exponent is the column's number over d_model, and you took twice that",
        lambda *sizes: _waves(*sizes, exponent=lambda j: 2 * (j - j % 2)),
    ),
    WrongWay(
        "the frequencies grow along the columns; the position must be divided by the power",
        lambda *sizes: _waves(*sizes, exponent=lambda j: -(j - j % 2)),
    ),
    WrongWay("all columns have the same frequency", lambda *sizes: _waves(*sizes, exponent=lambda j: 0)),
    WrongWay("the positions are counted from 1; the first is 0", lambda *sizes: _waves(*sizes, first=1)),
    WrongWay("there are no cosines", lambda *sizes: _waves(*sizes, functions=(torch.sin, torch.sin))),
    WrongWay(
        "the base is not 10000",
        lambda *sizes: _waves(*sizes, base=1000.0),
    ),
    WrongWay(
        "positions and features have changed places; the shape is (n_positions, d_model)",
        lambda n_positions, d_model: _waves(n_positions, d_model).T,
    ),
)


def _turned(
    x: Tensor,
    positions: Tensor,
    base: float,
    *,
    exponent: Callable[[int, int], float] = lambda i, half: i / half,
    sign: int = 1,
    interleaved: bool = False,
) -> Tensor:
    """Turn pairs of features, with one part of it replaceable."""
    half = x.shape[-1] // 2
    frequencies = torch.tensor([base ** -exponent(i, half) for i in range(half)], dtype=torch.float64)
    angles = sign * positions.double()[:, None] * frequencies
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    pair = (a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin())
    return torch.stack(pair, -1).flatten(-2) if interleaved else torch.cat(pair, -1)


def _in_order(x: Tensor) -> Tensor:
    return torch.arange(x.shape[-2])


def _part(x: Tensor, positions: Tensor, base: float, wave: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    half = x.shape[-1] // 2
    angles = positions.double()[:, None] * base ** (-torch.arange(half, dtype=torch.float64) / half)
    return wave(angles), torch.cat((wave(angles), wave(angles)), -1)


def _wrong_signs(x: Tensor, positions: Tensor, base: float, first: int, second: int) -> Tensor:
    a, b = x.chunk(2, -1)
    cos, sin = (_part(x, positions, base, wave)[0] for wave in (torch.cos, torch.sin))
    return torch.cat((a * cos + first * b * sin, b * cos + second * a * sin), -1)


ROTARY = (
    WrongWay(
        "the positions are counted from 0, whatever `positions` says; after a cache they go on",
        lambda x, positions, base: _turned(x, _in_order(x), base),
    ),
    WrongWay(
        "the positions are counted from 1; take the numbers in `positions` as they are",
        lambda x, positions, base: _turned(x, positions + 1, base),
    ),
    WrongWay(
        "the pairs are neighbours; here feature i is turned together with feature i + d/2",
        lambda *args: _turned(*args, interleaved=True),
    ),
    WrongWay("the pairs turn the wrong way round; mind the two signs", lambda *args: _turned(*args, sign=-1)),
    *(
        WrongWay(
            "this is no rotation, for it changes lengths; the two signs must differ",
            lambda x, positions, base, sign=sign: _wrong_signs(x, positions, base, sign, sign),
        )
        for sign in (1, -1)
    ),
    WrongWay(
        "the frequencies fall too slowly; those of the pairs run from 1 down to nearly 1 / base",
        lambda *args: _turned(*args, exponent=lambda i, half: i / (2 * half)),
    ),
    WrongWay(
        "the frequencies fall too fast; those of the pairs run from 1 down to nearly 1 / base",
        lambda *args: _turned(*args, exponent=lambda i, half: 2 * i / half),
    ),
    WrongWay(
        "the frequencies grow from pair to pair; they must fall",
        lambda *args: _turned(*args, exponent=lambda i, half: -i / half),
    ),
    WrongWay("all pairs turn equally fast", lambda *args: _turned(*args, exponent=lambda i, half: 0)),
    WrongWay(
        "the base is always 10000, whatever `base` says", lambda x, positions, base: _turned(x, positions, 10000.0)
    ),
    WrongWay(
        "only cosines multiply; a rotation mixes the two features of a pair",
        lambda x, positions, base: x * _part(x, positions, base, torch.cos)[1],
    ),
    WrongWay(
        "sines and cosines are added, as in the table of waves; here they turn what is there",
        lambda x, positions, base: (
            x + torch.cat([_part(x, positions, base, wave)[0] for wave in (torch.sin, torch.cos)], -1)
        ),
    ),
    WrongWay("nothing is turned", lambda x, positions, base: x.clone()),
)


def _bucket(
    distance: Tensor,
    n_buckets: int,
    max_distance: int,
    bidirectional: bool,
    *,
    sign: int = 1,
    offset: bool = True,
    halved: bool = True,
    clamped: bool = True,
    logarithm: bool = True,
    share: float = 0.5,
    rounding: Callable[[Tensor], Tensor] = torch.floor,
) -> Tensor:
    """Sort into buckets as T5 does, with one part of it replaceable."""
    distance = sign * distance
    base = torch.zeros_like(distance)
    if bidirectional:
        if halved:
            n_buckets //= 2
        if offset:
            base = n_buckets * (distance > 0).long()
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = max(1, int(n_buckets * share))
    if not logarithm:
        return base + distance.clamp(max=n_buckets - 1)
    ratio = (distance.clamp(min=1).double() / exact).log() / math.log(max_distance / exact) * (n_buckets - exact)
    far = exact + rounding(ratio).long()
    if clamped:
        far = far.clamp(max=n_buckets - 1)
    return base + torch.where(distance < exact, distance, far)


RELATIVE_BUCKET = (
    WrongWay(
        "the two directions have changed places; a distance is the key's position minus the query's, and keys after "
        "the query take the upper half of the buckets",
        lambda *args: _bucket(*args, sign=-1),
    ),
    WrongWay(
        "keys before and after the query share buckets; bidirectional distances need two halves",
        lambda *args: _bucket(*args, offset=False),
    ),
    WrongWay(
        "the buckets are not shared out between the two directions; each gets half of them",
        lambda *args: _bucket(*args, halved=False),
    ),
    WrongWay(
        "`bidirectional` is not used; both directions are always told apart",
        lambda distance, n, far, bidirectional: _bucket(distance, n, far, True),
    ),
    WrongWay(
        "`bidirectional` is not used; keys after the query always go into bucket 0",
        lambda distance, n, far, bidirectional: _bucket(distance, n, far, False),
    ),
    WrongWay("there is no last bucket for all that is farther", lambda *args: _bucket(*args, clamped=False)),
    WrongWay("far distances are cut off; they get wider buckets", lambda *args: _bucket(*args, logarithm=False)),
    WrongWay("the logarithm is rounded; it must be cut down", lambda *args: _bucket(*args, rounding=torch.round)),
    WrongWay(
        "the far buckets are one too high; the logarithm must be cut down, not rounded up",
        lambda *args: _bucket(*args, rounding=torch.ceil),
    ),
    WrongWay(
        "too few distances have a bucket of their own; half of a direction's buckets are exact",
        lambda *args: _bucket(*args, share=0.25),
    ),
    WrongWay(
        "all distances go through the logarithm; the near ones have a bucket each",
        lambda *args: _bucket(*args, share=0.0),
    ),
    WrongWay(
        "`max_distance` is not used; it is 128 for one model and something else for another",
        lambda distance, n, far, bidirectional: _bucket(distance, n, 128, bidirectional),
    ),
)


def _gated(
    x: Tensor,
    w_gate: Tensor,
    w_up: Tensor,
    w_down: Tensor,
    *,
    gate: Callable[[Tensor], Tensor] = F.silu,
    up: Callable[[Tensor], Tensor] = lambda u: u,
) -> Tensor:
    return (gate(x @ w_gate) * up(x @ w_up)) @ w_down


SWIGLU = (
    WrongWay(
        "gate and up have changed places; the activation belongs to the gate",
        lambda x, w_gate, w_up, w_down: _gated(x, w_up, w_gate, w_down),
    ),
    WrongWay(
        "the gate is a sigmoid alone; SiLU multiplies that by its input",
        lambda *args: _gated(*args, gate=torch.sigmoid),
    ),
    WrongWay("the gate is a GELU, which makes it GeGLU; SwiGLU has a SiLU", lambda *args: _gated(*args, gate=F.gelu)),
    WrongWay("the gate is a ReLU, which makes it ReGLU; SwiGLU has a SiLU", lambda *args: _gated(*args, gate=F.relu)),
    WrongWay("the gate is a tanh; SwiGLU has a SiLU", lambda *args: _gated(*args, gate=torch.tanh)),
    WrongWay("the gate has no activation", lambda *args: _gated(*args, gate=lambda g: g)),
    WrongWay("both halves go through the activation; only the gate does", lambda *args: _gated(*args, up=F.silu)),
    WrongWay(
        "the activation comes after the product; it belongs to the gate alone",
        lambda x, w_gate, w_up, w_down: F.silu((x @ w_gate) * (x @ w_up)) @ w_down,
    ),
    WrongWay("gate and up are added; the gate multiplies", lambda x, g, u, d: (F.silu(x @ g) + x @ u) @ d),
    WrongWay("there is no gate; `w_gate` is not used", lambda x, g, u, d: F.silu(x @ u) @ d),
    WrongWay("`w_up` is not used", lambda x, g, u, d: F.silu(x @ g) @ d),
    WrongWay(
        "the input is added to the output; that residual belongs to the block around it",
        lambda x, *args: x + _gated(x, *args),
    ),
    WrongWay("the output projection is missing", lambda x, g, u, d: F.silu(x @ g) * (x @ u)),
)


def _norm(x: Tensor, w: Weights, number: int, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"norm_{number}"], w[f"norm_{number}_bias"], eps)


def _attend(x: Tensor, w: Weights, n_heads: int, *, is_causal: bool = True, scale: float | None = None) -> Tensor:
    query, key, value = (
        (x @ w[name]).unflatten(-1, (n_heads, -1)).transpose(1, 2) for name in ("query", "key", "value")
    )
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=is_causal, scale=scale)
    return mixed.transpose(1, 2).flatten(2) @ w["output"]


def _feed_forward(x: Tensor, w: Weights, activation: Callable[[Tensor], Tensor] = F.gelu) -> Tensor:
    return activation(x @ w["up"] + w["up_bias"]) @ w["down"] + w["down_bias"]


def _block(
    x: Tensor,
    w: Weights,
    n_heads: int,
    *,
    first: int | None = 1,
    second: int | None = 2,
    keep: tuple[bool, bool] = (True, True),
    from_normalised: bool = False,
    activation: Callable[[Tensor], Tensor] = F.gelu,
    **attention: Any,
) -> Tensor:
    """Run a pre-norm block, with one part of it replaceable."""
    y = x if first is None else _norm(x, w, first)
    stream = (y if from_normalised else x) * keep[0] + _attend(y, w, n_heads, **attention)
    y = stream if second is None else _norm(stream, w, second)
    return (y if from_normalised else stream) * keep[1] + _feed_forward(y, w, activation)


def _post_norm(x: Tensor, w: Weights, n_heads: int) -> Tensor:
    x = _norm(x + _attend(x, w, n_heads), w, 1)
    return _norm(x + _feed_forward(x, w), w, 2)


def _parallel(x: Tensor, w: Weights, n_heads: int) -> Tensor:
    return x + _attend(_norm(x, w, 1), w, n_heads) + _feed_forward(_norm(x, w, 2), w)


def _wrong_order(x: Tensor, w: Weights, n_heads: int) -> Tensor:
    x = x + _feed_forward(_norm(x, w, 2), w)
    return x + _attend(_norm(x, w, 1), w, n_heads)


def _second_from_input(x: Tensor, w: Weights, n_heads: int) -> Tensor:
    return x + _feed_forward(_norm(x + _attend(_norm(x, w, 1), w, n_heads), w, 2), w)


def _norm_at_the_end(x: Tensor, w: Weights, n_heads: int) -> Tensor:
    return (
        x + _norm(_attend(x, w, n_heads), w, 1) + _norm(_feed_forward(x + _norm(_attend(x, w, n_heads), w, 1), w), w, 2)
    )


PRE_NORM_BLOCK = (
    WrongWay(
        "you normalise after each addition; that is post-norm, and here each half normalises what it reads",
        _post_norm,
    ),
    WrongWay("you normalise what each half returns; normalise what it reads", _norm_at_the_end),
    WrongWay(
        "neither half is added to what came in; both residuals are missing", lambda *a: _block(*a, keep=(False, False))
    ),
    WrongWay("the first residual is missing: attention replaces the stream", lambda *a: _block(*a, keep=(False, True))),
    WrongWay(
        "the second residual is missing: the feed-forward half replaces the stream",
        lambda *a: _block(*a, keep=(True, False)),
    ),
    WrongWay(
        "the halves are added to the normalised features; the stream itself must not be normalised",
        lambda *a: _block(*a, from_normalised=True),
    ),
    WrongWay("both halves read the same features; the second reads what the first has added", _parallel),
    WrongWay("the feed-forward half comes first; attention gathers, then the other half works on it", _wrong_order),
    WrongWay("the second sum starts from the block's input, so what attention added is lost", _second_from_input),
    WrongWay("the two normalisations have changed places", lambda *a: _block(*a, first=2, second=1)),
    WrongWay("the first normalisation is used twice", lambda *a: _block(*a, second=1)),
    WrongWay("there is no normalisation before attention", lambda *a: _block(*a, first=None)),
    WrongWay("there is no normalisation before the feed-forward half", lambda *a: _block(*a, second=None)),
    WrongWay("nothing is normalised", lambda *a: _block(*a, first=None, second=None)),
    WrongWay("a token sees those after it; this block reads left to right", lambda *a: _block(*a, is_causal=False)),
    WrongWay(
        "the scale is that of d_model; each head's dot products add up d_head products",
        lambda x, w, n_heads: _block(x, w, n_heads, scale=x.shape[-1] ** -0.5),
    ),
    WrongWay("you did not scale the scores", lambda *a: _block(*a, scale=1.0)),
    WrongWay("there is one head, as wide as the model; n_heads is not used", lambda x, w, n_heads: _block(x, w, 1)),
    WrongWay("the activation is a ReLU; this block has a GELU", lambda *a: _block(*a, activation=F.relu)),
    WrongWay("there is no activation between up and down", lambda *a: _block(*a, activation=lambda h: h)),
    WrongWay(
        "the biases of the feed-forward half are not used",
        lambda x, w, n_heads: _block(
            x, {**w, "up_bias": torch.zeros_like(w["up_bias"]), "down_bias": torch.zeros_like(w["down_bias"])}, n_heads
        ),
    ),
    WrongWay(
        "queries and keys have changed places",
        lambda x, w, n_heads: _block(x, {**w, "query": w["key"], "key": w["query"]}, n_heads),
    ),
    WrongWay(
        "the output projection of attention is missing",
        lambda x, w, n_heads: _block(x, {**w, "output": torch.eye(x.shape[-1], dtype=x.dtype)}, n_heads),
    ),
)
