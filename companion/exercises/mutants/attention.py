"""Wrong answers to the exercises of the attention lab, written as a student would write them."""

import math

import torch

from companion.exercises.attention import EXERCISES
from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


def right_attention(query, key, value, mask=None):
    """Attend rightly: what a student has in hand when going wrong in a later exercise."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is None:
        return torch.softmax(scores, -1) @ value
    weights = torch.softmax(scores.masked_fill(~mask, -1e30), -1)
    return weights.masked_fill(~mask, 0.0) @ value


# --- softmax ---


@wrong("softmax", "overflows", "exp() of a large number is inf")
def _(x, dim):
    return torch.exp(x) / torch.exp(x).sum(dim, keepdim=True)


@wrong("softmax", "one maximum for all", "one maximum for the whole tensor")
def _(x, dim):
    e = torch.exp(x - x.max())
    return e / e.sum(dim, keepdim=True)


@wrong("softmax", "always the last axis", "along the last axis, whatever `dim` says")
def _(x, dim):
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


@wrong("softmax", "always the first axis", "along the first axis, whatever `dim` says")
def _(x, dim):
    return torch.softmax(x, 0)


@wrong("softmax", "always the second axis", "along the second axis, whatever `dim` says")
def _(x, dim):
    return torch.softmax(x, 1)


@wrong("softmax", "sum over everything", "the sum of the whole tensor")
def _(x, dim):
    e = torch.exp(x - x.max())
    return e / e.sum()


@wrong("softmax", "no exponential", "without taking exponentials")
def _(x, dim):
    return x / x.sum(dim, keepdim=True)


@wrong("softmax", "not divided", "not divided by their sum")
def _(x, dim):
    return torch.exp(x - x.amax(dim, keepdim=True))


@wrong("softmax", "log softmax", "logarithms of the weights")
def _(x, dim):
    return x - torch.logsumexp(x, dim, keepdim=True)


@wrong("softmax", "sigmoid", "squash each number by itself")
def _(x, dim):
    return 1 / (1 + torch.exp(-x))


@wrong("softmax", "axis dropped", "drops that axis")
def _(x, dim):
    e = torch.exp(x)
    return e / e.sum(dim)


@wrong("softmax", "changes its input", "changed its argument `x` in place")
def _(x, dim):
    x -= x.amax(dim, keepdim=True)
    return x.exp() / x.exp().sum(dim, keepdim=True)


@wrong("softmax", "single precision only", "dtype float32, expected float64")
def _(x, dim):
    return torch.softmax(x.float(), dim)


@wrong("softmax", "computes in single precision")
def _(x, dim):
    return torch.softmax(x.float(), dim).to(x.dtype)


@wrong("softmax", "clamps large scores")
def _(x, dim):
    e = x.clamp(max=80).exp()
    return e / e.sum(dim, keepdim=True)


@wrong("softmax", "adds a small number to the sum")
def _(x, dim):
    e = torch.exp(x - x.amax(dim, keepdim=True))
    return e / (e.sum(dim, keepdim=True) + 1e-6)


@wrong("softmax", "numpy array", "numpy.ndarray, expected a plain torch.Tensor")
def _(x, dim):
    return torch.softmax(x, dim).numpy()


@wrong("softmax", "list", "a list of")
def _(x, dim):
    return torch.softmax(x, dim).tolist()


@wrong("softmax", "forgets return", "forget `return`")
def _(x, dim):
    torch.softmax(x, dim)


@wrong("softmax", "two axes only")
def _(x, dim):
    return torch.softmax(x.flatten(0, -2), dim).view_as(x)


# --- scaled_dot_product_attention ---


def _finish(scores, value, mask):
    """Finish rightly from scores: hide, softmax, zero the rows with nothing, weigh the values."""
    if mask is None:
        return torch.softmax(scores, -1) @ value
    return torch.softmax(scores.masked_fill(~mask, -1e30), -1).masked_fill(~mask, 0.0) @ value


@wrong("scaled_dot_product_attention", "no scale", "did not scale")
def _(query, key, value, mask=None):
    return _finish(query @ key.transpose(-2, -1), value, mask)


@wrong("scaled_dot_product_attention", "scale by d_k", "you divided by d_k")
def _(query, key, value, mask=None):
    return _finish(query @ key.transpose(-2, -1) / key.shape[-1], value, mask)


@wrong("scaled_dot_product_attention", "multiplies by the root", "multiplied the scores by the scale")
def _(query, key, value, mask=None):
    return _finish(query @ key.transpose(-2, -1) * math.sqrt(key.shape[-1]), value, mask)


@wrong("scaled_dot_product_attention", "scale by the number of tokens", "scaled by the number of keys")
def _(query, key, value, mask=None):
    return _finish(query @ key.transpose(-2, -1) / math.sqrt(key.shape[-2]), value, mask)


@wrong("scaled_dot_product_attention", "scale by the size of the values", "scaled by the size of the values")
def _(query, key, value, mask=None):
    return _finish(query @ key.transpose(-2, -1) / math.sqrt(value.shape[-1]), value, mask)


@wrong("scaled_dot_product_attention", "scale of one model hard-coded")
def _(query, key, value, mask=None):
    return _finish(query @ key.transpose(-2, -1) / math.sqrt(64), value, mask)


@wrong("scaled_dot_product_attention", "softmax over the queries", "softmax runs over the queries")
def _(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.softmax(scores, -2) @ value


@wrong("scaled_dot_product_attention", "softmax over the heads", "softmax runs over the heads")
def _(query, key, value, mask=None):
    return torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), 1) @ value


@wrong("scaled_dot_product_attention", "no softmax", "there is no softmax")
def _(query, key, value, mask=None):
    return query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]) @ value


@wrong("scaled_dot_product_attention", "own position only", "only the key at its own position")
def _(query, key, value, mask=None):
    scores = (query * key).sum(-1) / math.sqrt(query.shape[-1])
    return torch.softmax(scores, -1)[..., None] * value


@wrong("scaled_dot_product_attention", "article 001's worked example", "only the key at its own position")
def _(query, key, value, mask=None):
    scores = (query * key).sum(-1) / math.sqrt(query.shape[-2])
    return torch.softmax(scores, -1)[..., None] * value


@wrong("scaled_dot_product_attention", "weighs the keys", "the weights multiply the keys")
def _(query, key, value, mask=None):
    return right_attention(query, key, key, mask)


@wrong("scaled_dot_product_attention", "key not transposed", "which axis of `key`")
def _(query, key, value, mask=None):
    return torch.softmax(query @ key / math.sqrt(query.shape[-1]), -1) @ value


@wrong("scaled_dot_product_attention", "mask inverted", "the mask is inverted")
def _(query, key, value, mask=None):
    return right_attention(query, key, value, None if mask is None else ~mask)


@wrong("scaled_dot_product_attention", "mask transposed", "the scores have shape (..., query, key)")
def _(query, key, value, mask=None):
    return right_attention(query, key, value, None if mask is None else mask.transpose(-2, -1))


@wrong("scaled_dot_product_attention", "mask ignored", "the mask is not used")
def _(query, key, value, mask=None):
    return right_attention(query, key, value)


@wrong("scaled_dot_product_attention", "mask after softmax", "the mask comes after the softmax")
def _(query, key, value, mask=None):
    weights = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), -1)
    if mask is not None:
        weights = weights * mask
    return weights @ value


@wrong("scaled_dot_product_attention", "scores times mask", "the scores are multiplied by the mask")
def _(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores * mask
    return torch.softmax(scores, -1) @ value


@wrong("scaled_dot_product_attention", "fills with -100", "hidden positions leak")
def _(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -100.0)
    return torch.softmax(scores, -1) @ value


@wrong("scaled_dot_product_attention", "adds -100", "hidden positions leak")
def _(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores - 100.0 * ~mask
    return torch.softmax(scores, -1) @ value


@wrong("scaled_dot_product_attention", "NaN for a fully masked row", "the softmax of a row of -inf is NaN")
def _(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.softmax(scores, -1) @ value


@wrong("scaled_dot_product_attention", "mean for a fully masked row", "yours gives the mean of the values")
def _(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    return torch.softmax(scores, -1) @ value


@wrong("scaled_dot_product_attention", "changes the query", "changed its argument `query` in place")
def _(query, key, value, mask=None):
    query /= math.sqrt(query.shape[-1])
    return _finish(query @ key.transpose(-2, -1), value, mask)


@wrong("scaled_dot_product_attention", "changes the mask", "changed its argument `mask` in place")
def _(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        nothing = ~mask.any(-1, keepdim=True)
        weights = torch.softmax(scores.masked_fill(mask.logical_not_(), -1e30), -1)
        return weights.masked_fill(nothing | mask, 0.0) @ value
    return torch.softmax(scores, -1) @ value


@wrong("scaled_dot_product_attention", "weights too", "a tuple of 2, expected a plain torch.Tensor")
def _(query, key, value, mask=None):
    weights = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), -1)
    return weights @ value, weights


@wrong("scaled_dot_product_attention", "right only for square scores")
def _(query, key, value, mask=None):
    scores = key @ query.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return _finish(scores.transpose(-2, -1).reshape(*query.shape[:-1], query.shape[-2]), value, mask)


@wrong("scaled_dot_product_attention", "four axes only")
def _(query, key, value, mask=None):
    _batch, _heads, _n_query, d_key = query.shape
    return _finish(torch.einsum("bhqd,bhkd->bhqk", query, key) / math.sqrt(d_key), value, mask)


@wrong("scaled_dot_product_attention", "first text of the batch only")
def _(query, key, value, mask=None):
    return right_attention(query, key[:1], value[:1], mask)


@wrong("scaled_dot_product_attention", "single precision only", "dtype float32, expected float64")
def _(query, key, value, mask=None):
    return right_attention(query.float(), key.float(), value.float(), mask)


# --- causal_mask ---


@wrong("causal_mask", "inverted", "the mask is inverted; True means")
def _(n_query, n_key):
    return torch.triu(torch.ones(n_query, n_key), diagonal=n_key - n_query + 1).bool()


@wrong("causal_mask", "top left", "aligned at the top left, as if")
def _(n_query, n_key):
    return torch.tril(torch.ones(n_query, n_key)).bool()


@wrong("causal_mask", "inverted and top left", "the mask is inverted")
def _(n_query, n_key):
    return torch.triu(torch.ones(n_query, n_key), diagonal=1) == 1


@wrong("causal_mask", "cannot see itself", "a token cannot see itself")
def _(n_query, n_key):
    return torch.tril(torch.ones(n_query, n_key), diagonal=n_key - n_query - 1).bool()


@wrong("causal_mask", "sees the next", "a token sees the one after it")
def _(n_query, n_key):
    return torch.tril(torch.ones(n_query, n_key), diagonal=n_key - n_query + 1).bool()


@wrong("causal_mask", "upper triangle", "the past is hidden where the future should be")
def _(n_query, n_key):
    return torch.ones(n_query, n_key).triu().bool()


@wrong("causal_mask", "nothing hidden", "nothing is hidden")
def _(n_query, n_key):
    return torch.ones(n_query, n_key, dtype=torch.bool)


@wrong("causal_mask", "sides exchanged", "queries and keys have changed places")
def _(n_query, n_key):
    return torch.ones(n_key, n_query).tril(n_query - n_key).bool()


@wrong("causal_mask", "square of the queries", "the mask is square")
def _(n_query, n_key):
    return torch.ones(n_query, n_query).tril().bool()


@wrong("causal_mask", "square of the keys", "the mask is square")
def _(n_query, n_key):
    return torch.ones(n_key, n_key).tril().bool()


@wrong("causal_mask", "additive", "dtype float32, expected bool")
def _(n_query, n_key):
    return torch.full((n_query, n_key), -torch.inf).triu(n_key - n_query + 1)


@wrong("causal_mask", "ones and zeros", "dtype int64, expected bool")
def _(n_query, n_key):
    return torch.ones(n_query, n_key).tril(n_key - n_query).long()


@wrong("causal_mask", "list of lists", "a list of")
def _(n_query, n_key):
    return [[j <= i + n_key - n_query for j in range(n_key)] for i in range(n_query)]


# --- padding_mask ---


@wrong("padding_mask", "inverted", "the mask is inverted")
def _(lengths, max_len):
    return (torch.arange(max_len) >= lengths[:, None])[:, None, None, :]


@wrong("padding_mask", "one too many", "one position too many")
def _(lengths, max_len):
    return (torch.arange(max_len) <= lengths[:, None])[:, None, None, :]


@wrong("padding_mask", "one too few", "one position too few")
def _(lengths, max_len):
    return (torch.arange(max_len) < lengths[:, None] - 1)[:, None, None, :]


@wrong("padding_mask", "padding on the left", "the padding is on the left")
def _(lengths, max_len):
    return (torch.arange(max_len) >= max_len - lengths[:, None])[:, None, None, :]


@wrong("padding_mask", "as long as the longest", "as long as the longest text")
def _(lengths, max_len):
    return (torch.arange(int(lengths.max())) < lengths[:, None])[:, None, None, :]


@wrong("padding_mask", "two axes", "the axes for heads and queries are missing")
def _(lengths, max_len):
    return torch.arange(max_len) < lengths[:, None]


@wrong("padding_mask", "three axes", "the axis for heads or queries is missing")
def _(lengths, max_len):
    return (torch.arange(max_len) < lengths[:, None])[:, None, :]


@wrong("padding_mask", "hides queries", "hides queries where it should hide keys")
def _(lengths, max_len):
    return (torch.arange(max_len) < lengths[:, None])[:, None, :, None]


@wrong("padding_mask", "first text for all", "the length of the first one")
def _(lengths, max_len):
    return (torch.arange(max_len) < lengths[0]).expand(len(lengths), 1, 1, max_len)


@wrong("padding_mask", "nothing hidden", "nothing is hidden")
def _(lengths, max_len):
    return torch.ones(len(lengths), 1, 1, max_len).bool()


@wrong("padding_mask", "axes not separated", "positions and lengths lie along different axes")
def _(lengths, max_len):
    return (torch.arange(max_len) < lengths)[:, None, None]


@wrong("padding_mask", "ones and zeros", "dtype float32, expected bool")
def _(lengths, max_len):
    return (torch.arange(max_len) < lengths[:, None]).float()[:, None, None, :]


@wrong("padding_mask", "changes the lengths", "changed its argument `lengths` in place")
def _(lengths, max_len):
    lengths.clamp_(min=1)
    return (torch.arange(max_len) < lengths[:, None])[:, None, None, :]


@wrong("padding_mask", "an empty text keeps one position")
def _(lengths, max_len):
    return (torch.arange(max_len) < lengths.clamp(min=1)[:, None])[:, None, None, :]


@wrong("padding_mask", "right only for square batches")
def _(lengths, max_len):
    return (torch.arange(max_len)[:, None] < lengths)[:, None, None, :]


# --- multi_head_attention ---


def _split(x, n_heads):
    batch, n, d_model = x.shape
    return x.view(batch, n, n_heads, d_model // n_heads).transpose(1, 2)


def _merge(x):
    return x.transpose(1, 2).flatten(2)


@wrong("multi_head_attention", "heads split the sequence", "the heads split the sequence")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    batch, n, d_model = x.shape
    q, k, v = ((x @ w).view(batch, n_heads, n, d_model // n_heads) for w in (w_query, w_key, w_value))
    return right_attention(q, k, v, mask).reshape(batch, n, d_model) @ w_output


@wrong("multi_head_attention", "heads split the sequence, merged rightly", "the heads split the sequence")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    batch, n, d_model = x.shape
    q, k, v = ((x @ w).view(batch, n_heads, n, d_model // n_heads) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, mask)) @ w_output


@wrong("multi_head_attention", "no transpose before the merge", "merged without moving their axis back")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return right_attention(q, k, v, mask).reshape(x.shape) @ w_output


@wrong("multi_head_attention", "every n-th feature", "each head takes every n-th feature")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    batch, n, _ = x.shape
    q, k, v = ((x @ w).view(batch, n, -1, n_heads).permute(0, 3, 1, 2) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, mask)) @ w_output


@wrong("multi_head_attention", "heads in the wrong order", "put together in the wrong order")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    heads = right_attention(q, k, v, mask).unbind(1)
    return torch.cat(heads[::-1], -1) @ w_output


@wrong("multi_head_attention", "features interleaved", "the features of the heads are interleaved")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return torch.stack(right_attention(q, k, v, mask).unbind(1), -1).flatten(2) @ w_output


@wrong("multi_head_attention", "no output projection", "the output projection is missing")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, mask))


@wrong("multi_head_attention", "scale of the model", "the scale is that of d_model")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(_finish(q @ k.transpose(-2, -1) / math.sqrt(x.shape[-1]), v, mask)) @ w_output


@wrong("multi_head_attention", "no scale", "did not scale")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(_finish(q @ k.transpose(-2, -1), v, mask)) @ w_output


@wrong("multi_head_attention", "weights transposed", "the weights are transposed")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    linear = torch.nn.functional.linear
    q, k, v = (_split(linear(x, w), n_heads) for w in (w_query, w_key, w_value))
    return linear(_merge(right_attention(q, k, v, mask)), w_output)


@wrong("multi_head_attention", "output weight transposed", "the output weight is transposed")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, mask)) @ w_output.T


@wrong("multi_head_attention", "query and key exchanged", "queries and keys have changed places")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    k, q, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, mask)) @ w_output


@wrong("multi_head_attention", "key and value exchanged", "keys and values have changed places")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, v, k = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, mask)) @ w_output


@wrong("multi_head_attention", "one head", "n_heads is not used")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    mask = None if mask is None else mask.flatten(0, -3) if mask.dim() > 2 else mask
    return right_attention(x @ w_query, x @ w_key, x @ w_value, mask) @ w_output


@wrong("multi_head_attention", "residual added", "the input is added to the output")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return x + _merge(right_attention(q, k, v, mask)) @ w_output


@wrong("multi_head_attention", "the batch is one text", "the texts of the batch attend to one another")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split((x @ w).flatten(0, 1)[None], n_heads) for w in (w_query, w_key, w_value))
    return (_merge(right_attention(q, k, v, mask)) @ w_output).view_as(x)


@wrong("multi_head_attention", "softmax over the queries", "softmax runs over the queries")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    weights = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -2)
    return _merge(weights @ v) @ w_output


@wrong("multi_head_attention", "mask ignored", "the mask is not used")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v)) @ w_output


@wrong("multi_head_attention", "mask inverted", "the mask is inverted")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, None if mask is None else ~mask)) @ w_output


@wrong("multi_head_attention", "mask after softmax", "the mask comes after the softmax")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    weights = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), -1)
    return _merge((weights if mask is None else weights * mask) @ v) @ w_output


@wrong("multi_head_attention", "changes its input", "changed its argument `x` in place")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return x.copy_(_merge(right_attention(q, k, v, mask)) @ w_output)


@wrong("multi_head_attention", "view of a transposed tensor", "a view needs its axes in their order in memory")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return right_attention(q, k, v, mask).transpose(1, 2).view(x.shape) @ w_output


@wrong("multi_head_attention", "four heads hard-coded")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, 4) for w in (w_query, w_key, w_value))
    return _merge(right_attention(q, k, v, mask)) @ w_output


@wrong("multi_head_attention", "mean of the heads", "two shapes do not fit")
def _(x, w_query, w_key, w_value, w_output, n_heads, mask=None):
    q, k, v = (_split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return right_attention(q, k, v, mask).mean(1) @ w_output


# --- cache_step ---


@wrong("cache_step", "never appends", "the new key and value are not in the cache")
def _(query, key, value, cached_keys, cached_values):
    return right_attention(query, cached_keys, cached_values), cached_keys, cached_values


@wrong("cache_step", "attends before appending", "the token attends only to the past")
def _(query, key, value, cached_keys, cached_values):
    output = right_attention(query, cached_keys, cached_values)
    return output, torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)


@wrong("cache_step", "returns the old cache", "are not in the cache that you return")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return right_attention(query, keys, values), cached_keys, cached_values


@wrong("cache_step", "does not use the cache", "the token attends only to itself")
def _(query, key, value, cached_keys, cached_values):
    output = right_attention(query, key, value)
    return output, torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)


@wrong("cache_step", "returns the new row only", "only the new key and value are returned")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return right_attention(query, keys, values), key, value


@wrong("cache_step", "appends in front", "the new token is put before the cache")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([key, cached_keys], -2), torch.cat([value, cached_values], -2)
    return right_attention(query, keys, values), keys, values


@wrong("cache_step", "drops the oldest", "the oldest token is dropped")
def _(query, key, value, cached_keys, cached_values):
    keys = torch.cat([cached_keys[..., 1:, :], key], -2)
    values = torch.cat([cached_values[..., 1:, :], value], -2)
    return right_attention(query, keys, values), keys, values


@wrong("cache_step", "overwrites the cache", "changed its argument `cached_keys` in place")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    cached_keys[..., -1:, :] = key
    cached_values[..., -1:, :] = value
    return right_attention(query, keys, values), keys, values


@wrong("cache_step", "appends the value to the keys")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, value], -2), torch.cat([cached_values, key], -2)
    return right_attention(query, keys, values), keys, values


@wrong("cache_step", "joins along another axis", "the cache grows along the axis of positions")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], 1), torch.cat([cached_values, value], 1)
    return right_attention(query, keys, values), keys, values


@wrong("cache_step", "causal mask at the top left", "the new token sees only the first one")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    mask = torch.ones(query.shape[-2], keys.shape[-2], dtype=torch.bool).tril()
    return right_attention(query, keys, values, mask), keys, values


@wrong("cache_step", "no scale", "did not scale")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return torch.softmax(query @ keys.transpose(-2, -1), -1) @ values, keys, values


@wrong("cache_step", "scale by d_k", "you divided by d_k")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return torch.softmax(query @ keys.transpose(-2, -1) / key.shape[-1], -1) @ values, keys, values


@wrong("cache_step", "softmax over the query", "softmax runs over the one query")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return torch.softmax(query @ keys.transpose(-2, -1) / math.sqrt(key.shape[-1]), -2) @ values, keys, values


@wrong("cache_step", "appends twice", "the new token is in the cache twice")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key, key], -2), torch.cat([cached_values, value, value], -2)
    return right_attention(query, keys, values), keys, values


@wrong("cache_step", "caches scaled keys", "the cached keys are scaled")
def _(query, key, value, cached_keys, cached_values):
    keys = torch.cat([cached_keys, key], -2) / math.sqrt(key.shape[-1])
    values = torch.cat([cached_values, value], -2)
    return torch.softmax(query @ keys.transpose(-2, -1), -1) @ values, keys, values


@wrong("cache_step", "values before keys", "the values are returned where the keys should be")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return right_attention(query, keys, values), values, keys


@wrong("cache_step", "output last", "the order of what you return is wrong")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return keys, values, right_attention(query, keys, values)


@wrong("cache_step", "output only", "expected the 3 values (output, keys, values)")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    return right_attention(query, keys, values)


@wrong("cache_step", "fails on an empty cache")
def _(query, key, value, cached_keys, cached_values):
    keys, values = torch.cat([cached_keys, key], -2), torch.cat([cached_values, value], -2)
    latest = cached_keys[..., -1, :]
    return right_attention(query, keys, values) + 0 * latest.sum(), keys, values


file_learned_by_heart(MUTANTS, EXERCISES)
