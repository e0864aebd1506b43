"""Wrong answers to the exercises of the transformer lab, written as a student would write them."""

import math

import torch
import torch.nn.functional as F

from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing
from companion.exercises.transformer import EXERCISES

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- layer_norm ---


@wrong("layer_norm", "torch's default std", "you divide by n - 1")
def _(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + eps) * weight + bias


@wrong("layer_norm", "std plus eps, and torch's default", "you divide by n - 1")
def _(x, weight, bias, eps):
    return weight * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps) + bias


@wrong("layer_norm", "eps outside the root", "eps is added to the standard deviation")
def _(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, unbiased=False) + eps) * weight + bias


@wrong("layer_norm", "no eps", "eps is not used")
def _(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, unbiased=False) * weight + bias


@wrong("layer_norm", "eps of its own")
def _(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[-1:], weight, bias)


@wrong("layer_norm", "no root", "you divide by the variance")
def _(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + eps) * weight + bias


@wrong("layer_norm", "mean kept", "the mean is not taken away")
def _(x, weight, bias, eps):
    return x / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + eps) * weight + bias


@wrong("layer_norm", "rms", "the root of the mean square")
def _(x, weight, bias, eps):
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight + bias


@wrong("layer_norm", "only centred", "not divided by their standard deviation")
def _(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) * weight + bias


@wrong("layer_norm", "whole tensor", "one mean and one variance for the whole tensor")
def _(x, weight, bias, eps):
    return (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + eps) * weight + bias


@wrong("layer_norm", "over positions", "you normalise over the positions")
def _(x, weight, bias, eps):
    return (x - x.mean(-2, keepdim=True)) / torch.sqrt(x.var(-2, keepdim=True, unbiased=False) + eps) * weight + bias


@wrong("layer_norm", "batch norm", "you normalise over the batch")
def _(x, weight, bias, eps):
    return (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps) * weight + bias


@wrong("layer_norm", "no parameters", "`weight` and `bias` are not used")
def _(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[-1:], eps=eps)


@wrong("layer_norm", "no bias", "`bias` is not used")
def _(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[-1:], weight, None, eps)


@wrong("layer_norm", "no weight", "`weight` is not used")
def _(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[-1:], None, bias, eps)


@wrong("layer_norm", "swapped parameters", "have changed places")
def _(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[-1:], bias, weight, eps)


@wrong("layer_norm", "bias first", "added before `weight` multiplies")
def _(x, weight, bias, eps):
    return (F.layer_norm(x, x.shape[-1:], eps=eps) + bias) * weight


@wrong("layer_norm", "axis dropped", "drops that axis")
def _(x, weight, bias, eps):
    return (x - x.mean(-1)) / torch.sqrt(x.var(-1, unbiased=False) + eps) * weight + bias


@wrong("layer_norm", "in place", "changed its argument `x` in place")
def _(x, weight, bias, eps):
    x -= x.mean(-1, keepdim=True)
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight + bias


@wrong("layer_norm", "three axes only")
def _(x, weight, bias, eps):
    _, _, d = x.shape
    return F.layer_norm(x, (d,), weight, bias, eps)


# --- rms_norm ---


@wrong("rms_norm", "squares overflow", "the squares overflow")
def _(x, weight, eps):
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight


@wrong("rms_norm", "stays in single precision", "dtype float32, expected float64")
def _(x, weight, eps):
    x = x.float()
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight.float()


@wrong("rms_norm", "always computes in single precision")
def _(x, weight, eps):
    y = x.float()
    return (y / torch.sqrt((y**2).mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


@wrong("rms_norm", "layer norm", "the mean is taken away")
def _(x, weight, eps):
    return F.layer_norm(x, x.shape[-1:], weight, eps=eps)


@wrong("rms_norm", "variance", "divide by the standard deviation")
def _(x, weight, eps):
    return x / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + eps) * weight


@wrong("rms_norm", "no root", "by the mean square")
def _(x, weight, eps):
    return x / ((x**2).mean(-1, keepdim=True) + eps) * weight


@wrong("rms_norm", "length of the vector", "you divide by the length of the vector")
def _(x, weight, eps):
    return x / torch.sqrt((x**2).sum(-1, keepdim=True) + eps) * weight


@wrong("rms_norm", "eps outside the root", "eps is added to the root")
def _(x, weight, eps):
    return x / ((x**2).mean(-1, keepdim=True).sqrt() + eps) * weight


@wrong("rms_norm", "no eps", "eps is not used")
def _(x, weight, eps):
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True)) * weight


@wrong("rms_norm", "no weight", "`weight` is not used")
def _(x, weight, eps):
    return F.rms_norm(x, x.shape[-1:], eps=eps)


@wrong("rms_norm", "one plus weight", "you multiply by 1 + `weight`")
def _(x, weight, eps):
    return F.rms_norm(x, x.shape[-1:], eps=eps) * (1 + weight)


@wrong("rms_norm", "whole tensor", "one mean square for the whole tensor")
def _(x, weight, eps):
    return x / torch.sqrt((x**2).mean() + eps) * weight


@wrong("rms_norm", "over positions", "over the positions")
def _(x, weight, eps):
    return x / torch.sqrt((x**2).mean(-2, keepdim=True) + eps) * weight


@wrong("rms_norm", "mean of absolute values", "the mean of the absolute values")
def _(x, weight, eps):
    return x / (x.abs().mean(-1, keepdim=True) + eps) * weight


@wrong("rms_norm", "axis dropped", "drops that axis")
def _(x, weight, eps):
    return x / torch.sqrt((x**2).mean(-1) + eps) * weight


# --- sinusoidal_positions ---


def _angles(n_positions, d_model):
    return torch.arange(n_positions)[:, None] / 10000 ** (torch.arange(0, d_model, 2) / d_model)


@wrong("sinusoidal_positions", "halves", "the sines fill the first half")
def _(n_positions, d_model):
    angles = _angles(n_positions, d_model)
    return torch.cat([angles.sin(), angles.cos()], -1)


@wrong("sinusoidal_positions", "cosines first", "sines and cosines have changed places")
def _(n_positions, d_model):
    table = torch.zeros(n_positions, d_model)
    table[:, ::2], table[:, 1::2] = _angles(n_positions, d_model).cos(), _angles(n_positions, d_model).sin()
    return table


@wrong("sinusoidal_positions", "a frequency for each column", "every column has a frequency of its own")
def _(n_positions, d_model):
    angles = torch.arange(n_positions)[:, None] / 10000 ** (torch.arange(d_model) / d_model)
    angles[:, ::2], angles[:, 1::2] = angles[:, ::2].sin(), angles[:, 1::2].cos()
    return angles


def _interleaved(angles):
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


@wrong("sinusoidal_positions", "number of the pair", "the frequencies fall too slowly")
def _(n_positions, d_model):
    return _interleaved(torch.arange(n_positions)[:, None] / 10000 ** (torch.arange(d_model // 2) / d_model))


@wrong("sinusoidal_positions", "twice the exponent", "the frequencies fall too fast")
def _(n_positions, d_model):
    return _interleaved(torch.arange(n_positions)[:, None] / 10000 ** (2 * torch.arange(0, d_model, 2) / d_model))


@wrong("sinusoidal_positions", "multiplied", "the frequencies grow along the columns")
def _(n_positions, d_model):
    frequencies = 10000.0 ** (torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    return _interleaved(torch.arange(n_positions)[:, None] * frequencies).float()


@wrong("sinusoidal_positions", "one frequency", "all columns have the same frequency")
def _(n_positions, d_model):
    return _interleaved(torch.arange(n_positions)[:, None].float().repeat(1, d_model // 2))


@wrong("sinusoidal_positions", "from one", "the positions are counted from 1")
def _(n_positions, d_model):
    return _interleaved(_angles(n_positions + 1, d_model)[1:])


@wrong("sinusoidal_positions", "no cosines", "there are no cosines")
def _(n_positions, d_model):
    return _angles(n_positions, d_model).sin().repeat_interleave(2, -1)


@wrong("sinusoidal_positions", "base 1000", "the base is not 10000")
def _(n_positions, d_model):
    return _interleaved(torch.arange(n_positions)[:, None] / 1000 ** (torch.arange(0, d_model, 2) / d_model))


@wrong("sinusoidal_positions", "transposed", "positions and features have changed places")
def _(n_positions, d_model):
    return _interleaved(_angles(n_positions, d_model)).T


@wrong("sinusoidal_positions", "one axis for both", "lie along different axes")
def _(n_positions, d_model):
    return _interleaved(torch.arange(n_positions) / 10000 ** (torch.arange(0, d_model, 2) / d_model))


@wrong("sinusoidal_positions", "every column twice", "half of d_model each")
def _(n_positions, d_model):
    angles = torch.arange(n_positions)[:, None] / 10000 ** (torch.arange(d_model) / d_model)
    table = torch.zeros(n_positions, d_model)
    table[:, ::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table


@wrong("sinusoidal_positions", "double precision", "dtype float64, expected float32")
def _(n_positions, d_model):
    return _interleaved(_angles(n_positions, d_model)).double()


@wrong("sinusoidal_positions", "degrees")
def _(n_positions, d_model):
    return _interleaved(torch.deg2rad(_angles(n_positions, d_model)))


# --- rotary ---


def _turn(x, angles):
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def _of(positions, base, d):
    return positions.double()[:, None] * base ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)


@wrong("rotary", "counts from 0", "the positions are counted from 0")
def _(x, positions, base):
    return _turn(x, _of(torch.arange(x.shape[-2]), base, x.shape[-1]))


@wrong("rotary", "counts from 1", "counted from 1")
def _(x, positions, base):
    return _turn(x, _of(torch.arange(x.shape[-2]) + 1, base, x.shape[-1]))


@wrong("rotary", "one more", "the positions are counted from 1")
def _(x, positions, base):
    return _turn(x, _of(positions + 1, base, x.shape[-1]))


@wrong("rotary", "from the first on", "the positions are counted from 0")
def _(x, positions, base):
    return _turn(x, _of(positions - positions[0], base, x.shape[-1]))


@wrong("rotary", "neighbours", "the pairs are neighbours")
def _(x, positions, base):
    angles = _of(positions, base, x.shape[-1]).to(x.dtype)
    a, b = x[..., ::2], x[..., 1::2]
    turned = torch.stack([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)
    return turned.flatten(-2)


@wrong("rotary", "the wrong way", "the wrong way round")
def _(x, positions, base):
    return _turn(x, -_of(positions, base, x.shape[-1]))


@wrong("rotary", "both signs plus", "this is no rotation")
def _(x, positions, base):
    angles = _of(positions, base, x.shape[-1]).to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angles.cos() + b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


@wrong("rotary", "both signs minus", "this is no rotation")
def _(x, positions, base):
    angles = _of(positions, base, x.shape[-1]).to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() - a * angles.sin()], -1)


@wrong("rotary", "number of the pair over d", "the frequencies fall too slowly")
def _(x, positions, base):
    d = x.shape[-1]
    return _turn(x, positions.double()[:, None] * base ** (-torch.arange(d // 2, dtype=torch.float64) / d))


@wrong("rotary", "twice the exponent", "the frequencies fall too fast")
def _(x, positions, base):
    d = x.shape[-1]
    return _turn(x, positions.double()[:, None] * base ** (-4 * torch.arange(d // 2, dtype=torch.float64) / d))


@wrong("rotary", "growing", "the frequencies grow")
def _(x, positions, base):
    d = x.shape[-1]
    return _turn(x, positions.double()[:, None] * base ** (2 * torch.arange(d // 2, dtype=torch.float64) / d))


@wrong("rotary", "equally fast", "all pairs turn equally fast")
def _(x, positions, base):
    return _turn(x, positions.double()[:, None].expand(-1, x.shape[-1] // 2))


@wrong("rotary", "base of one model", "the base is always 10000")
def _(x, positions, base):
    return _turn(x, _of(positions, 10000.0, x.shape[-1]))


@wrong("rotary", "cosines only", "only cosines multiply")
def _(x, positions, base):
    return x * _of(positions, base, x.shape[-1]).cos().repeat(1, 2).to(x.dtype)


@wrong("rotary", "added", "sines and cosines are added")
def _(x, positions, base):
    angles = _of(positions, base, x.shape[-1])
    return x + torch.cat([angles.sin(), angles.cos()], -1).to(x.dtype)


@wrong("rotary", "nothing", "nothing is turned")
def _(x, positions, base):
    return x


@wrong("rotary", "angle for each feature", "one angle for each pair")
def _(x, positions, base):
    d = x.shape[-1]
    angles = positions[:, None] * base ** (-torch.arange(d) / d)
    a, b = x[..., : d // 2], x[..., d // 2 :]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


# --- relative_bucket ---


def _log_bucket(distance, n, far):
    exact = n // 2
    scaled = torch.log(distance.clamp(min=1) / exact) / math.log(far / exact) * (n - exact)
    return torch.where(distance < exact, distance, (exact + scaled.long()).clamp(max=n - 1))


def _two_way(distance, n, far):
    return (distance > 0) * (n // 2) + _log_bucket(distance.abs(), n // 2, far)


@wrong("relative_bucket", "query minus key", "the two directions have changed places")
def _(distance, n_buckets, max_distance, bidirectional):
    if bidirectional:
        return _two_way(-distance, n_buckets, max_distance)
    return _log_bucket(distance.clamp(min=0), n_buckets, max_distance)


@wrong("relative_bucket", "halves swapped", "the two directions have changed places")
def _(distance, n_buckets, max_distance, bidirectional):
    if bidirectional:
        return (distance < 0) * (n_buckets // 2) + _log_bucket(distance.abs(), n_buckets // 2, max_distance)
    return _log_bucket((-distance).clamp(min=0), n_buckets, max_distance)


@wrong("relative_bucket", "no offset", "share buckets")
def _(distance, n_buckets, max_distance, bidirectional):
    if bidirectional:
        return _log_bucket(distance.abs(), n_buckets // 2, max_distance)
    return _log_bucket((-distance).clamp(min=0), n_buckets, max_distance)


@wrong("relative_bucket", "always two ways", "both directions are always told apart")
def _(distance, n_buckets, max_distance, bidirectional):
    return _two_way(distance, n_buckets, max_distance)


@wrong("relative_bucket", "never two ways", "always go into bucket 0")
def _(distance, n_buckets, max_distance, bidirectional):
    return _log_bucket((-distance).clamp(min=0), n_buckets, max_distance)


@wrong("relative_bucket", "not shared out", "not shared out between the two directions")
def _(distance, n_buckets, max_distance, bidirectional):
    if bidirectional:
        return (distance > 0) * n_buckets + _log_bucket(distance.abs(), n_buckets, max_distance)
    return _log_bucket((-distance).clamp(min=0), n_buckets, max_distance)


def _either(bucket, distance, n, far, bidirectional):
    if bidirectional:
        return (distance > 0) * (n // 2) + bucket(distance.abs(), n // 2, far)
    return bucket((-distance).clamp(min=0), n, far)


@wrong("relative_bucket", "no last bucket", "there is no last bucket")
def _(*args):
    def bucket(distance, n, far):
        exact = n // 2
        scaled = torch.log(distance.clamp(min=1) / exact) / math.log(far / exact) * (n - exact)
        return torch.where(distance < exact, distance, exact + scaled.long())

    return _either(bucket, *args)


@wrong("relative_bucket", "cut off", "far distances are cut off")
def _(*args):
    return _either(lambda distance, n, far: distance.clamp(max=n - 1), *args)


@wrong("relative_bucket", "rounded", "the logarithm is rounded; it")
def _(*args):
    def bucket(distance, n, far):
        exact = n // 2
        scaled = torch.log(distance.clamp(min=1) / exact) / math.log(far / exact) * (n - exact)
        return torch.where(distance < exact, distance, (exact + scaled.round().long()).clamp(max=n - 1))

    return _either(bucket, *args)


@wrong("relative_bucket", "a quarter exact", "too few distances have a bucket of their own")
def _(*args):
    def bucket(distance, n, far):
        exact = n // 4
        scaled = torch.log(distance.clamp(min=1) / exact) / math.log(far / exact) * (n - exact)
        return torch.where(distance < exact, distance, (exact + scaled.long()).clamp(max=n - 1))

    return _either(bucket, *args)


@wrong("relative_bucket", "one too high", "the far buckets are one too high")
def _(*args):
    def bucket(distance, n, far):
        exact = n // 2
        scaled = torch.log(distance.clamp(min=1) / exact) / math.log(far / exact) * (n - exact)
        return torch.where(distance < exact, distance, (exact + 1 + scaled.long()).clamp(max=n - 1))

    return _either(bucket, *args)


@wrong("relative_bucket", "128 for all", "`max_distance` is not used")
def _(distance, n_buckets, max_distance, bidirectional):
    return _either(_log_bucket, distance, n_buckets, 128, bidirectional)


@wrong("relative_bucket", "all by the logarithm", "all distances go through the logarithm")
def _(*args):
    def bucket(distance, n, far):
        scaled = torch.log(distance.clamp(min=1).double()) / math.log(far) * (n - 1)
        return torch.where(distance < 1, distance, (1 + scaled.long()).clamp(max=n - 1))

    return _either(bucket, *args)


@wrong("relative_bucket", "logarithm added in place", "a bucket is an integer")
def _(*args):
    def bucket(distance, n, far):
        exact = n // 2
        found = distance.clamp(max=exact)
        found += torch.log(distance.clamp(min=exact) / exact) / math.log(far / exact) * (n - exact)
        return found.clamp(max=n - 1)

    return _either(bucket, *args)


@wrong("relative_bucket", "floating point", "dtype float32, expected int64")
def _(*args):
    return _either(_log_bucket, *args).float()


@wrong("relative_bucket", "the distance itself")
def _(distance, n_buckets, max_distance, bidirectional):
    return distance.abs()


# --- swiglu ---


@wrong("swiglu", "swapped", "gate and up have changed places")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_up) * (x @ w_gate)) @ w_down


@wrong("swiglu", "GLU", "a sigmoid alone")
def _(x, w_gate, w_up, w_down):
    return (torch.sigmoid(x @ w_gate) * (x @ w_up)) @ w_down


@wrong("swiglu", "GeGLU", "which makes it GeGLU")
def _(x, w_gate, w_up, w_down):
    return (F.gelu(x @ w_gate) * (x @ w_up)) @ w_down


@wrong("swiglu", "ReGLU", "which makes it ReGLU")
def _(x, w_gate, w_up, w_down):
    return (torch.relu(x @ w_gate) * (x @ w_up)) @ w_down


@wrong("swiglu", "bilinear", "the gate has no activation")
def _(x, w_gate, w_up, w_down):
    return ((x @ w_gate) * (x @ w_up)) @ w_down


@wrong("swiglu", "both activated", "both halves go through the activation")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate) * F.silu(x @ w_up)) @ w_down


@wrong("swiglu", "activation late", "the activation comes after the product")
def _(x, w_gate, w_up, w_down):
    return F.silu((x @ w_gate) * (x @ w_up)) @ w_down


@wrong("swiglu", "added", "gate and up are added")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate) + x @ w_up) @ w_down


@wrong("swiglu", "no gate", "there is no gate")
def _(x, w_gate, w_up, w_down):
    return F.silu(x @ w_up) @ w_down


@wrong("swiglu", "no up", "`w_up` is not used")
def _(x, w_gate, w_up, w_down):
    return F.silu(x @ w_gate) @ w_down


@wrong("swiglu", "residual", "that residual belongs to the block")
def _(x, w_gate, w_up, w_down):
    return x + (F.silu(x @ w_gate) * (x @ w_up)) @ w_down


@wrong("swiglu", "not down", "the output projection is missing")
def _(x, w_gate, w_up, w_down):
    return F.silu(x @ w_gate) * (x @ w_up)


@wrong("swiglu", "tanh", "the gate is a tanh")
def _(x, w_gate, w_up, w_down):
    return (torch.tanh(x @ w_gate) * (x @ w_up)) @ w_down


@wrong("swiglu", "one gate for all features", "the same shape before they are multiplied")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate).sum(-1) * (x @ w_up)) @ w_down


@wrong("swiglu", "nn.Linear's way", "print the shape after each step")
def _(x, w_gate, w_up, w_down):
    return F.linear(F.silu(F.linear(x, w_gate)) * F.linear(x, w_up), w_down)


# --- pre_norm_block ---


def _ln(x, w, i):
    return F.layer_norm(x, x.shape[-1:], w[f"norm_{i}"], w[f"norm_{i}_bias"])


def _attention(x, w, n_heads, is_causal=True, **options):
    b, n, d = x.shape
    q, k, v = ((x @ w[name]).view(b, n, n_heads, d // n_heads).transpose(1, 2) for name in ("query", "key", "value"))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=is_causal, **options)
    return y.transpose(1, 2).reshape(b, n, d) @ w["output"]


def _ffn(x, w):
    return F.gelu(x @ w["up"] + w["up_bias"]) @ w["down"] + w["down_bias"]


@wrong("pre_norm_block", "article 002", "that is post-norm")
def _(x, w, n_heads):
    x = _ln(x + _attention(x, w, n_heads), w, 1)
    return _ln(x + _ffn(x, w), w, 2)


@wrong("pre_norm_block", "normalises what is returned", "you normalise what each half returns")
def _(x, w, n_heads):
    x = x + _ln(_attention(x, w, n_heads), w, 1)
    return x + _ln(_ffn(x, w), w, 2)


@wrong("pre_norm_block", "no residuals", "both residuals are missing")
def _(x, w, n_heads):
    return _ffn(_ln(_attention(_ln(x, w, 1), w, n_heads), w, 2), w)


@wrong("pre_norm_block", "no first residual", "the first residual is missing")
def _(x, w, n_heads):
    x = _attention(_ln(x, w, 1), w, n_heads)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "no second residual", "the second residual is missing")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "normalises the stream", "the stream itself must not be normalised")
def _(x, w, n_heads):
    x = _ln(x, w, 1)
    x = x + _attention(x, w, n_heads)
    x = _ln(x, w, 2)
    return x + _ffn(x, w)


@wrong("pre_norm_block", "parallel", "both halves read the same features")
def _(x, w, n_heads):
    return x + _attention(_ln(x, w, 1), w, n_heads) + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "wrong order", "the feed-forward half comes first")
def _(x, w, n_heads):
    x = x + _ffn(_ln(x, w, 2), w)
    return x + _attention(_ln(x, w, 1), w, n_heads)


@wrong("pre_norm_block", "starts again from the input", "what attention added is lost")
def _(x, w, n_heads):
    y = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + _ffn(_ln(y, w, 2), w)


@wrong("pre_norm_block", "norms swapped", "the two normalisations have changed places")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 2), w, n_heads)
    return x + _ffn(_ln(x, w, 1), w)


@wrong("pre_norm_block", "first norm twice", "the first normalisation is used twice")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + _ffn(_ln(x, w, 1), w)


@wrong("pre_norm_block", "no norm before attention", "there is no normalisation before attention")
def _(x, w, n_heads):
    x = x + _attention(x, w, n_heads)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "no second norm", "no normalisation before the feed-forward half")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + _ffn(x, w)


@wrong("pre_norm_block", "no norms", "nothing is normalised")
def _(x, w, n_heads):
    x = x + _attention(x, w, n_heads)
    return x + _ffn(x, w)


@wrong("pre_norm_block", "sees the future", "a token sees those after it")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads, is_causal=False)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "scale of d_model", "the scale is that of d_model")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads, scale=x.shape[-1] ** -0.5)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "no scale", "you did not scale the scores")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads, scale=1.0)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "queries for keys", "queries and keys have changed places")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), {**w, "query": w["key"], "key": w["query"]}, n_heads)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "nn.Linear's way", "print the shape after each step")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + F.linear(F.gelu(F.linear(_ln(x, w, 2), w["up"], w["up_bias"])), w["down"], w["down_bias"])


@wrong("pre_norm_block", "not down again", "has the stream's own shape")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + F.gelu(_ln(x, w, 2) @ w["up"] + w["up_bias"])


@wrong("pre_norm_block", "view of moved axes", "use reshape")
def _(x, w, n_heads):
    b, n, d = x.shape
    y = _ln(x, w, 1)
    q, k, v = ((y @ w[name]).view(b, n, n_heads, -1).transpose(1, 2) for name in ("query", "key", "value"))
    heads = F.scaled_dot_product_attention(q, k, v, is_causal=True).contiguous()
    x = x + heads.transpose(1, 2).view(b, n, d) @ w["output"]
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "one head", "n_heads is not used")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, 1)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "relu", "the activation is a ReLU")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + torch.relu(_ln(x, w, 2) @ w["up"] + w["up_bias"]) @ w["down"] + w["down_bias"]


@wrong("pre_norm_block", "linear", "there is no activation")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + (_ln(x, w, 2) @ w["up"] + w["up_bias"]) @ w["down"] + w["down_bias"]


@wrong("pre_norm_block", "no biases", "the biases of the feed-forward half are not used")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    return x + F.gelu(_ln(x, w, 2) @ w["up"]) @ w["down"]


@wrong("pre_norm_block", "no output projection", "the output projection of attention is missing")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), {**w, "output": torch.eye(x.shape[-1], dtype=x.dtype)}, n_heads)
    return x + _ffn(_ln(x, w, 2), w)


@wrong("pre_norm_block", "in place", "changed its argument `x` in place")
def _(x, w, n_heads):
    x += _attention(_ln(x, w, 1), w, n_heads)
    x += _ffn(_ln(x, w, 2), w)
    return x


@wrong("pre_norm_block", "tanh approximation of the GELU")
def _(x, w, n_heads):
    x = x + _attention(_ln(x, w, 1), w, n_heads)
    inside = F.gelu(_ln(x, w, 2) @ w["up"] + w["up_bias"], approximate="tanh")
    return x + inside @ w["down"] + w["down_bias"]


file_learned_by_heart(MUTANTS, EXERCISES)
