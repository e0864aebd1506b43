"""The mistakes that students make in the attention lab, each computed from the same inputs as the answer.

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

SOFTMAX = (
    WrongWay(
        "you take one maximum for the whole tensor, so a row far below it is 0 / 0; each slice has its own maximum",
        lambda x, dim: (x - x.max()).exp() / (x - x.max()).exp().sum(dim, keepdim=True),
    ),
    WrongWay(
        "exp() of a large number is inf, and inf / inf is NaN; taking the same number from every score along `dim` "
        "does not change the weights",
        lambda x, dim: x.exp() / x.exp().sum(dim, keepdim=True),
    ),
    WrongWay(
        "you divide by the sum of the whole tensor; each slice along `dim` must sum to one by itself",
        lambda x, dim: F.softmax(x.flatten(), 0).view_as(x),
    ),
    WrongWay("you normalise along the last axis, whatever `dim` says", lambda x, dim: F.softmax(x, -1)),
    WrongWay("you normalise along the first axis, whatever `dim` says", lambda x, dim: F.softmax(x, 0)),
    WrongWay("you normalise along the second axis, whatever `dim` says", lambda x, dim: F.softmax(x, 1)),
    WrongWay(
        "you divide the scores by their sum without taking exponentials first",
        lambda x, dim: x / x.sum(dim, keepdim=True),
    ),
    WrongWay(
        "the exponentials are not divided by their sum, so they do not sum to one",
        lambda x, dim: (x - x.amax(dim, keepdim=True)).exp(),
    ),
    WrongWay("the exponentials are not divided by their sum, so they do not sum to one", lambda x, dim: x.exp()),
    WrongWay("these are the logarithms of the weights", F.log_softmax),
    WrongWay("you squash each number by itself; the weights along `dim` must compete", lambda x, dim: x.sigmoid()),
)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    scale: float | None = None,
    axis: int = -1,
    hidden: float = -math.inf,
) -> Tensor:
    """Attend by the formula, with one part of it replaceable: the wrong ways are made from this."""
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        scores = scores.masked_fill(~mask, hidden)
    return F.softmax(scores, axis) @ value


def _masked_late(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    weights = F.softmax(query @ key.mT * query.shape[-1] ** -0.5, -1)
    return (weights if mask is None else weights * mask) @ value


def _masked_by_product(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = query @ key.mT * query.shape[-1] ** -0.5
    return F.softmax(scores if mask is None else scores * mask, -1) @ value


def _masked_by_sum(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, added: float) -> Tensor:
    scores = query @ key.mT * query.shape[-1] ** -0.5
    return F.softmax(scores if mask is None else scores + added * ~mask, -1) @ value


def _own_position_only(query: Tensor, key: Tensor, value: Tensor, *, summed: int) -> Tensor:
    """Compute one score a token, its query with its own key, and weigh its own value: the sum over keys is missing."""
    scores = (query * key).sum(-1, keepdim=True) * summed**-0.5
    return F.softmax(scores, -2) * value


def _inverted(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else ~mask


SCALED_DOT_PRODUCT_ATTENTION = (
    WrongWay(
        "a query that may attend to nothing must give zeros; the softmax of a row of -inf is NaN",
        lambda *args, **mask: attend(*args, **mask),
    ),
    WrongWay(
        "a query that may attend to nothing must give zeros; yours gives the mean of the values that it may not see",
        lambda *args, **mask: attend(*args, **mask, hidden=-1e30),
    ),
    *(
        WrongWay(
            "hidden positions leak when the scores are large; what you put in their place is not low enough",
            lambda *args, hidden=hidden, **mask: attend(*args, **mask, hidden=hidden),
        )
        for hidden in (-10.0, -100.0, -1000.0)
    ),
    *(
        WrongWay(
            "hidden positions leak when the scores are large; what you add to them is not low enough",
            lambda *args, added=added, **mask: _masked_by_sum(*args, **mask, added=added),
        )
        for added in (-10.0, -100.0, -1000.0)
    ),
    WrongWay("you did not scale the scores", lambda *args, **mask: attend(*args, **mask, scale=1.0)),
    WrongWay(
        "you divided by d_k; the standard deviation of a dot product grows with its square root",
        lambda query, *args, **mask: attend(query, *args, **mask, scale=1 / query.shape[-1]),
    ),
    WrongWay(
        "you multiplied the scores by the scale that should divide them",
        lambda query, *args, **mask: attend(query, *args, **mask, scale=query.shape[-1] ** 0.5),
    ),
    WrongWay(
        "you scaled by the number of keys; what counts is how many products each dot product adds up",
        lambda query, key, *args, **mask: attend(query, key, *args, **mask, scale=key.shape[-2] ** -0.5),
    ),
    WrongWay(
        "you scaled by the size of the values; what counts is how many products each dot product adds up",
        lambda query, key, value, *args, **mask: attend(
            query, key, value, *args, **mask, scale=value.shape[-1] ** -0.5
        ),
    ),
    WrongWay(
        "the softmax runs over the queries; the weights of one query over all the keys must sum to one",
        lambda *args, **mask: attend(*args, **mask, axis=-2),
    ),
    WrongWay(
        "the softmax runs over the heads; the weights of one query over all the keys must sum to one",
        lambda *args, **mask: attend(*args, **mask, axis=1),
    ),
    WrongWay(
        "there is no softmax: the scores themselves weigh the values",
        lambda query, key, value, mask=None: query @ key.mT * query.shape[-1] ** -0.5 @ value,
    ),
    *(
        WrongWay(
            "each query met only the key at its own position; it must be compared with every key, and the weighted "
            "values added",
            lambda query, key, value, mask=None, axis=axis: _own_position_only(
                query, key, value, summed=query.shape[axis]
            ),
        )
        for axis in (-1, -2)  # scaled by the root of d_k, or of the number of tokens
    ),
    WrongWay(
        "the weights multiply the keys where they should multiply the values",
        lambda query, key, value, mask=None: attend(query, key, key, mask),
    ),
    WrongWay(
        "the mask is inverted; True means that the position may be attended to",
        lambda query, key, value, mask=None: attend(query, key, value, _inverted(mask)),
    ),
    WrongWay("the mask is not used", lambda query, key, value, mask=None: attend(query, key, value)),
    WrongWay("the mask comes after the softmax, so the weights of a row no longer sum to one", _masked_late),
    WrongWay(
        "the scores are multiplied by the mask; a score of 0 still gets the weight of exp(0)",
        _masked_by_product,
    ),
)


def lower_right(n_query: int, n_key: int, *, shift: int = 0) -> Tensor:
    """Allow key j to query i where j <= i + n_key - n_query + shift."""
    return torch.ones(n_query, n_key, dtype=torch.bool).tril(n_key - n_query + shift)


CAUSAL_MASK = (
    WrongWay(
        "the mask is inverted; True means that the position may be attended to",
        lambda n_query, n_key: ~lower_right(n_query, n_key),
    ),
    WrongWay(
        "the mask is aligned at the top left, as if the first query were the first position; the queries are the last "
        "ones",
        lambda n_query, n_key: torch.ones(n_query, n_key, dtype=torch.bool).tril(),
    ),
    WrongWay(
        "a token cannot see itself; the diagonal is off by one",
        lambda n_query, n_key: lower_right(n_query, n_key, shift=-1),
    ),
    WrongWay(
        "a token sees the one after it; the diagonal is off by one",
        lambda n_query, n_key: lower_right(n_query, n_key, shift=1),
    ),
    WrongWay(
        "the past is hidden where the future should be; which triangle do you keep?",
        lambda n_query, n_key: torch.ones(n_query, n_key, dtype=torch.bool).triu(n_key - n_query),
    ),
    WrongWay("nothing is hidden", lambda n_query, n_key: torch.ones(n_query, n_key, dtype=torch.bool)),
    WrongWay(
        "queries and keys have changed places; the shape is (n_query, n_key)",
        lambda n_query, n_key: lower_right(n_key, n_query),
    ),
    WrongWay(
        "the mask is square; there may be more keys than queries",
        lambda n_query, n_key: lower_right(n_query, n_query),
    ),
    WrongWay(
        "the mask is square; there may be more keys than queries", lambda n_query, n_key: lower_right(n_key, n_key)
    ),
)


def _compare(lengths: Tensor, max_len: int) -> Tensor:
    return (torch.arange(max_len) < lengths[:, None])[:, None, None]


PADDING_MASK = (
    WrongWay(
        "the mask is inverted; True means that the position may be attended to",
        lambda lengths, max_len: ~_compare(lengths, max_len),
    ),
    WrongWay(
        "one position too many is allowed; a text of length n has the positions 0 to n - 1",
        lambda lengths, max_len: _compare(lengths + 1, max_len),
    ),
    WrongWay(
        "one position too few is allowed; a text of length n has the positions 0 to n - 1",
        lambda lengths, max_len: _compare(lengths - 1, max_len),
    ),
    WrongWay(
        "the padding is on the left; here the text comes first",
        lambda lengths, max_len: _compare(lengths, max_len).flip(-1),
    ),
    WrongWay(
        "the last axis is as long as the longest text; it must be max_len long",
        lambda lengths, max_len: _compare(lengths, int(lengths.max())),
    ),
    WrongWay(
        "the axes for heads and queries are missing; the shape is (batch, 1, 1, max_len)",
        lambda lengths, max_len: _compare(lengths, max_len)[:, 0, 0],
    ),
    WrongWay(
        "the axis for heads or queries is missing; the shape is (batch, 1, 1, max_len)",
        lambda lengths, max_len: _compare(lengths, max_len)[:, 0],
    ),
    WrongWay(
        "the mask hides queries where it should hide keys; the positions lie along the last axis",
        lambda lengths, max_len: _compare(lengths, max_len).mT,
    ),
    WrongWay(
        "every text got the length of the first one",
        lambda lengths, max_len: _compare(lengths[:1].expand(len(lengths)), max_len),
    ),
    WrongWay(
        "nothing is hidden",
        lambda lengths, max_len: torch.ones(len(lengths), 1, 1, max_len, dtype=torch.bool),
    ),
)


def split(x: Tensor, n_heads: int) -> Tensor:
    """Split the features into heads: (batch, pos, d_model) to (batch, head, pos, d_head)."""
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


def merge(x: Tensor) -> Tensor:
    """Put the heads' features side by side again."""
    return x.transpose(1, 2).flatten(2)


def _multi_head(
    x: Tensor,
    w_query: Tensor,
    w_key: Tensor,
    w_value: Tensor,
    w_output: Tensor,
    n_heads: int,
    mask: Tensor | None = None,
    *,
    split: Any = split,
    merge: Any = merge,
    attend: Any = attend,
) -> Tensor:
    """Attend with several heads by the formula, with one part of it replaceable."""
    query, key, value = (split(x @ w, n_heads) for w in (w_query, w_key, w_value))
    return merge(attend(query, key, value, mask)) @ w_output


def _scaled_by_d_model(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    return attend(query, key, value, mask, scale=(query.shape[1] * query.shape[-1]) ** -0.5)


def _as_one_text(x: Tensor, *args: Any, **mask: Any) -> Tensor:
    return _multi_head(x.flatten(0, 1)[None], *args, **mask).view_as(x)


def _split_sequence(x: Tensor, n_heads: int) -> Tensor:
    return x.reshape(x.shape[0], n_heads, x.shape[1], -1)


MULTI_HEAD_ATTENTION = (
    WrongWay(
        "the heads split the sequence; they must split the features of each position",
        lambda *args, **mask: _multi_head(
            *args, **mask, split=_split_sequence, merge=lambda heads: heads.reshape(len(heads), heads.shape[2], -1)
        ),
    ),
    WrongWay(
        "the heads split the sequence; they must split the features of each position",
        lambda *args, **mask: _multi_head(*args, **mask, split=_split_sequence),
    ),
    WrongWay(
        "the heads are merged without moving their axis back next to the features first",
        lambda *args, **mask: _multi_head(
            *args, **mask, merge=lambda heads: heads.reshape(len(heads), heads.shape[2], -1)
        ),
    ),
    WrongWay(
        "each head takes every n-th feature; a head takes features that are side by side",
        lambda *args, **mask: _multi_head(
            *args, **mask, split=lambda x, n_heads: x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)
        ),
    ),
    WrongWay(
        "the heads are put together in the wrong order",
        lambda *args, **mask: _multi_head(*args, **mask, merge=lambda heads: merge(heads.flip(1))),
    ),
    WrongWay(
        "the features of the heads are interleaved; put each head's features side by side",
        lambda *args, **mask: _multi_head(*args, **mask, merge=lambda heads: heads.permute(0, 2, 3, 1).flatten(2)),
    ),
    WrongWay(
        "the output projection is missing",
        lambda x, w_query, w_key, w_value, w_output, *args, **mask: _multi_head(
            x, w_query, w_key, w_value, torch.eye(x.shape[-1], dtype=x.dtype), *args, **mask
        ),
    ),
    WrongWay(
        "the scale is that of d_model; each head's dot products add up d_head products",
        lambda *args, **mask: _multi_head(*args, **mask, attend=_scaled_by_d_model),
    ),
    WrongWay(
        "you did not scale the scores",
        lambda *args, **mask: _multi_head(*args, **mask, attend=lambda *qkvm: attend(*qkvm, scale=1.0)),
    ),
    WrongWay(
        "the weights are transposed; a projection is x @ w (nn.Linear stores the transpose)",
        lambda x, w_query, w_key, w_value, w_output, *args, **mask: _multi_head(
            x, w_query.mT, w_key.mT, w_value.mT, w_output.mT, *args, **mask
        ),
    ),
    WrongWay(
        "the output weight is transposed; a projection is x @ w",
        lambda x, w_query, w_key, w_value, w_output, *args, **mask: _multi_head(
            x, w_query, w_key, w_value, w_output.mT, *args, **mask
        ),
    ),
    WrongWay(
        "queries and keys have changed places",
        lambda x, w_query, w_key, *args, **mask: _multi_head(x, w_key, w_query, *args, **mask),
    ),
    WrongWay(
        "keys and values have changed places",
        lambda x, w_query, w_key, w_value, *args, **mask: _multi_head(x, w_query, w_value, w_key, *args, **mask),
    ),
    WrongWay(
        "there is only one head, as wide as the model; n_heads is not used",
        lambda x, w_query, w_key, w_value, w_output, n_heads, mask=None: _multi_head(
            x, w_query, w_key, w_value, w_output, 1, None if mask is None else mask
        ),
    ),
    WrongWay(
        "the input is added to the output; that residual belongs to the block around attention",
        lambda x, *args, **mask: x + _multi_head(x, *args, **mask),
    ),
    WrongWay("the texts of the batch attend to one another", _as_one_text),
    WrongWay(
        "the softmax runs over the queries; the weights of one query over all the keys must sum to one",
        lambda *args, **mask: _multi_head(*args, **mask, attend=lambda *qkvm: attend(*qkvm, axis=-2)),
    ),
    WrongWay(
        "the mask is not used",
        lambda x, w_query, w_key, w_value, w_output, n_heads, mask=None: _multi_head(
            x, w_query, w_key, w_value, w_output, n_heads
        ),
    ),
    WrongWay(
        "the mask is inverted; True means that the position may be attended to",
        lambda x, w_query, w_key, w_value, w_output, n_heads, mask=None: _multi_head(
            x, w_query, w_key, w_value, w_output, n_heads, _inverted(mask)
        ),
    ),
    WrongWay(
        "the mask comes after the softmax, so the weights of a row no longer sum to one",
        lambda *args, **mask: _multi_head(*args, **mask, attend=_masked_late),
    ),
)


def _step(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cached_keys: Tensor,
    cached_values: Tensor,
    **fault: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    """Decode one step by the formula, with one part of the attention replaceable."""
    keys, values = torch.cat((cached_keys, key), -2), torch.cat((cached_values, value), -2)
    return attend(query, keys, values, **fault), keys, values


def _reordered(*order: int) -> Callable[..., tuple[Tensor, ...]]:
    return lambda *args: tuple(_step(*args)[i] for i in order)


def _first_key_only(
    query: Tensor, key: Tensor, value: Tensor, cached_keys: Tensor, cached_values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    _, keys, values = _step(query, key, value, cached_keys, cached_values)
    return values[..., :1, :].clone(), keys, values


CACHE_STEP = (
    WrongWay(
        "the new key and value are not in the cache; a token attends to itself too",
        lambda q, k, v, keys, values: (attend(q, keys, values), keys, values),
    ),
    WrongWay(
        "the token attends only to the past; append its key and value before attending",
        lambda q, k, v, keys, values: (attend(q, keys, values), *_step(q, k, v, keys, values)[1:]),
    ),
    WrongWay(
        "the token attends, but its key and value are not in the cache that you return",
        lambda q, k, v, keys, values: (_step(q, k, v, keys, values)[0], keys, values),
    ),
    WrongWay(
        "the token attends only to itself; the cache is not used",
        lambda q, k, v, keys, values: (v, *_step(q, k, v, keys, values)[1:]),
    ),
    WrongWay(
        "only the new key and value are returned; the next step needs the whole cache",
        lambda q, k, v, keys, values: (_step(q, k, v, keys, values)[0], k, v),
    ),
    WrongWay(
        "the new token is put before the cache; positions run from the oldest to the newest",
        lambda q, k, v, keys, values: (
            _step(q, k, v, keys, values)[0],
            torch.cat((k, keys), -2),
            torch.cat((v, values), -2),
        ),
    ),
    WrongWay(
        "the oldest token is dropped from the cache; nothing said that it may be forgotten",
        lambda q, k, v, keys, values: _step(q, k, v, keys[..., 1:, :], values[..., 1:, :]),
    ),
    WrongWay(
        "the causal mask is aligned at the top left, so the new token sees only the first one",
        _first_key_only,
    ),
    WrongWay("you did not scale the scores", lambda *args: _step(*args, scale=1.0)),
    WrongWay(
        "you divided by d_k; the standard deviation of a dot product grows with its square root",
        lambda q, *args: _step(q, *args, scale=1 / q.shape[-1]),
    ),
    WrongWay(
        "the softmax runs over the one query; the weights over all the keys must sum to one",
        lambda *args: _step(*args, axis=-2),
    ),
    WrongWay(
        "the new token is in the cache twice",
        lambda q, k, v, keys, values: _step(q, k, v, torch.cat((keys, k), -2), torch.cat((values, v), -2)),
    ),
    WrongWay(
        "the cached keys are scaled; scale the scores, or old keys are scaled again at every step",
        lambda q, k, v, keys, values: (
            _step(q, k, v, keys, values)[0],
            torch.cat((keys, k), -2) * q.shape[-1] ** -0.5,
            torch.cat((values, v), -2),
        ),
    ),
    WrongWay(
        "the values are returned where the keys should be; the order is (output, keys, values)",
        _reordered(0, 2, 1),
    ),
    WrongWay(
        "the order of what you return is wrong; it is (output, keys, values)",
        _reordered(1, 2, 0),
    ),
)
