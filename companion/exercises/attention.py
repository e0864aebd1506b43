"""The exercises of the attention lab.

Right answers come from torch's own functions in double precision; the mistakes that students make stand in
`companion.exercises.mistakes.attention`.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.inputs import draw, draw_mask, draw_sizes
from companion.exercises.mistakes import attention as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion


class Softmax(Exercise):
    """Softmax along any axis, safe for large numbers."""

    slug = "attention"
    signature = "softmax(x, dim)"
    title = "A softmax that does not overflow"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Turn any scores into weights that sum to one along an axis, whatever their size."
    why = "Every attention weight comes out of a softmax, and one infinite exponential turns a whole row into NaN."
    try_next = "Call yours on 100,000 zeros in float16: each weight should be 0.00001. Which step runs out of room?"
    wrong_ways = mistakes.SOFTMAX
    error_hints = (
        ErrorHint("must match the size", "a sum or a maximum along `dim` drops that axis unless you ask it to stay"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw every axis, numbers that overflow, rows far apart, and hidden scores."""
        a, b, c = draw_sizes(generator, 3)
        for dim in (-1, 1, 0):
            yield Case((3 * draw(generator, a, b, c), dim))
        yield Case((draw(generator, a), 0), about="a vector")
        yield Case((draw(generator, b, 1, c), 1), about="an axis of size 1")
        yield Case((draw(generator, a, c, dtype=torch.float64), -1))
        hidden = draw(generator, b, c).masked_fill(~draw_mask(generator, b, c), -torch.inf)
        yield Case((hidden, -1), about="some entries are -inf")
        yield Case((draw(generator, c, a) + 200, 0), about="numbers near 200", tolerance=1e-4)
        large = 1e4 * draw(generator, b, c, dtype=torch.float64)
        yield Case((large, 1), about="numbers in the tens of thousands")
        offsets = 1e4 * torch.arange(a, dtype=torch.float64)[:, None]
        yield Case(
            (draw(generator, a, c, dtype=torch.float64) - offsets, -1), about="each row far below the one before"
        )

    def reference(self, x: Tensor, dim: int) -> Tensor:
        """Ask torch."""
        return F.softmax(x, dim)


class ScaledDotProductAttention(Exercise):
    """Attention over any leading axes, with a mask."""

    slug = "attention"
    signature = "scaled_dot_product_attention(query, key, value, mask=None)"
    title = "Scaled dot-product attention"
    points = 4
    minutes = 20
    difficulty = 3
    objective = "Write the attention formula for any leading axes, with a mask that may hide a whole row."
    why = "This is the one formula that all the rest of a transformer is built around."
    try_next = "Feed it the same rows in another order, and predict what happens to the output before you look."
    wrong_ways = mistakes.SCALED_DOT_PRODUCT_ATTENTION
    error_hints = (
        ErrorHint(
            "must match the size of tensor",
            "two shapes do not fit; each query is compared with every key, so the scores have shape (..., query, key)",
        ),
        ErrorHint("batch2 tensor", "each query meets every key; which axis of `key` holds its features?"),
        ErrorHint("cannot be multiplied", "each query meets every key; which axis of `key` holds its features?"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw self- and cross-attention, masks of three shapes, hidden rows, one token and large scores."""
        batch, n_query, n_key, d_key, d_value = draw_sizes(generator, 5)
        heads = 3

        def tensors(*lead: int, queries: int = n_query, keys: int = n_key, dtype: torch.dtype = torch.float32) -> tuple:
            shapes = ((queries, d_key), (keys, d_key), (keys, d_value))
            return tuple(draw(generator, *lead, *shape, dtype=dtype) for shape in shapes)

        yield Case(tensors(batch, heads, queries=n_key))
        yield Case(tensors(batch, heads), about="as many queries as keys is a special case")
        yield Case(tensors(), about="no leading axes")
        mask = draw_mask(generator, n_query, n_key)
        yield Case((*tensors(batch, heads), mask), about="the mask is the same for all heads")
        yield Case(tensors(heads), {"mask": mask}, about="the mask passed by name")
        padding = draw_mask(generator, batch, n_key)[:, None, None]
        yield Case((*tensors(batch, heads), padding), about="a padding mask")
        yield Case((*tensors(batch, heads, dtype=torch.float64), mask))
        query, key, value = tensors(batch, heads, dtype=torch.float64)
        yield Case((query.abs(), -1000 * key.abs(), value, mask), about="scores far below zero")
        nothing = mask.clone()
        nothing[int(torch.randint(n_query, (), generator=generator))] = False
        yield Case((*tensors(batch, heads), nothing), about="one query may attend to nothing")
        yield Case(tensors(1, 1, queries=1, keys=1), about="a single token")

    def reference(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Ask torch; a row that may attend to nothing is defined as zeros."""
        if mask is None:
            return F.scaled_dot_product_attention(query, key, value)
        output = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return torch.where(mask.any(-1, keepdim=True), output, 0.0)


class CausalMask(Exercise):
    """A mask that hides the future, for queries that are the last positions."""

    slug = "attention"
    signature = "causal_mask(n_query, n_key)"
    title = "A mask that hides the future"
    points = 2
    minutes = 10
    difficulty = 2
    objective = (
        "Build the mask of a model that reads left to right, when the queries are the last of the keys' positions."
    )
    why = "A language model that can see the next word has nothing left to predict."
    try_next = "Change the mask so that a token sees only the four positions before it, and count what that saves."
    wrong_ways = mistakes.CAUSAL_MASK
    error_hints = ()

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw square masks, more keys than queries, one query, and one token."""
        small, middle, large = sorted((2 + torch.randperm(60, generator=generator)[:3]).tolist())
        yield Case((large, large))
        yield Case((small, large), about="the queries are the last positions of the keys")
        yield Case((middle, large), about="the queries are the last positions of the keys")
        yield Case((1, middle), about="one new token after a cache")
        yield Case((1, 1), about="a single token")

    def reference(self, n_query: int, n_key: int) -> Tensor:
        """Compare positions: query i stands at position i + n_key - n_query."""
        return torch.arange(n_key) <= torch.arange(n_key - n_query, n_key)[:, None]


class PaddingMask(Exercise):
    """A mask that hides what fills the short texts of a batch."""

    slug = "attention"
    signature = "padding_mask(lengths, max_len)"
    title = "A mask that hides padding"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Build, from the lengths of the texts, a mask that broadcasts over heads and queries."
    why = (
        "Texts in a batch differ in length, and a text must not change with what its neighbours force you to add to it."
    )
    try_next = "Combine it with your causal mask, and check by hand which entries of a two-text batch remain True."
    wrong_ways = mistakes.PADDING_MASK
    error_hints = (
        ErrorHint(
            "must match the size", "positions and lengths lie along different axes; give each its own before comparing"
        ),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw lengths with a full text, without one, with an empty one, and a batch of one."""
        batch, max_len = sorted(draw_sizes(generator, 2))

        def lengths(count: int, most: int) -> Tensor:
            return torch.randint(1, most + 1, (count,), generator=generator)

        some = lengths(batch, max_len - 2)
        some[-1] = max_len
        yield Case((some, max_len))
        yield Case((lengths(batch, max_len), max_len + 4), about="no text fills max_len")
        yield Case((lengths(1, max_len - 1), max_len), about="a batch of one")
        empty = lengths(batch, max_len)
        empty[int(torch.randint(batch, (), generator=generator))] = 0
        yield Case((empty, max_len), about="one text is empty")
        yield Case((lengths(max_len, max_len).int(), max_len), about="as many texts as positions")

    def reference(self, lengths: Tensor, max_len: int) -> Tensor:
        """Fill the mask row by row."""
        mask = torch.zeros(len(lengths), 1, 1, max_len, dtype=torch.bool)
        for row, length in zip(mask, lengths.tolist(), strict=True):
            row[..., :length] = True
        return mask


class MultiHeadAttention(Exercise):
    """Multi-head self-attention from its four weight matrices."""

    slug = "attention"
    signature = "multi_head_attention(x, w_query, w_key, w_value, w_output, n_heads, mask=None)"
    title = "Several heads at once"
    points = 5
    minutes = 30
    difficulty = 4
    objective = "Split the features into heads, attend in all of them at once, and put them together again."
    why = "One head can look at one thing at a time; a real model looks at a dozen in every layer."
    try_next = "Zero the rows of `w_output` that belong to one head, and see which tokens of a sentence change most."
    wrong_ways = mistakes.MULTI_HEAD_ATTENTION
    error_hints = (
        ErrorHint("is not compatible with input of size", "a view needs its axes in their order in memory"),
        ErrorHint("view size is not compatible", "a view needs its axes in their order in memory"),
        ErrorHint("shapes cannot be multiplied", "two shapes do not fit; print the shape after each step"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw batches with and without masks, one head, one token, and double precision."""
        batch, n, n_heads, d_head = draw_sizes(generator, 4)

        def tensors(
            batch: int = batch, n: int = n, n_heads: int = n_heads, dtype: torch.dtype = torch.float32
        ) -> tuple[Tensor | int, ...]:
            d_model = n_heads * d_head
            weights = (draw(generator, d_model, d_model, dtype=dtype) * d_model**-0.5 for _ in range(4))
            return (draw(generator, batch, n, d_model, dtype=dtype), *weights, n_heads)

        yield Case(tensors())
        yield Case(tensors(batch=1), about="a batch of one")
        padding = draw_mask(generator, batch, n)[:, None, None]
        yield Case((*tensors(), padding), about="a padding mask")
        yield Case((*tensors(), torch.ones(n, n, dtype=torch.bool).tril()), about="a causal mask")
        yield Case(tensors(), {"mask": torch.ones(n, n, dtype=torch.bool).tril()}, about="the mask passed by name")
        yield Case(tensors(n_heads=1), about="one head")
        yield Case(tensors(n=n_heads), about="as many positions as heads")
        yield Case((*tensors(dtype=torch.float64), padding))
        yield Case(tensors(n=1), about="a single token")

    def reference(
        self,
        x: Tensor,
        w_query: Tensor,
        w_key: Tensor,
        w_value: Tensor,
        w_output: Tensor,
        n_heads: int,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Ask torch, whose projections are transposed and whose mask says what is hidden."""
        batch, n, d_model = x.shape
        hidden = None if mask is None else ~mask.expand(batch, n_heads, n, n).flatten(0, 1)
        sequence = x.transpose(0, 1)
        output, _ = F.multi_head_attention_forward(
            sequence, sequence, sequence, d_model, n_heads,
            in_proj_weight=torch.cat((w_query, w_key, w_value), dim=1).mT, in_proj_bias=None, bias_k=None, bias_v=None,
            add_zero_attn=False, dropout_p=0.0, out_proj_weight=w_output.mT, out_proj_bias=None, training=False,
            need_weights=False, attn_mask=hidden,
        )  # fmt: skip
        return output.transpose(0, 1)


class CacheStep(Exercise):
    """One decoding step with a cache of keys and values."""

    slug = "attention"
    signature = "cache_step(query, key, value, cached_keys, cached_values)"
    returns = ("output", "keys", "values")
    title = "One step with a key-value cache"
    points = 4
    minutes = 20
    difficulty = 3
    objective = "Decode one token from the keys and values of the tokens before it, without computing those again."
    why = "Without a cache, writing the thousandth word means reading the first nine hundred and ninety-nine again."
    try_next = "Time a hundred steps with the cache and without it, and plot both against the length."
    wrong_ways = mistakes.CACHE_STEP
    error_hints = (
        ErrorHint("Sizes of tensors must match except in dimension", "the cache grows along the axis of positions"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw a filled cache, the first two steps, a batch of one, and double precision."""
        batch, heads, past, d_key, d_value = draw_sizes(generator, 5)

        def tensors(
            past: int = past, lead: tuple[int, ...] = (batch, heads), dtype: torch.dtype = torch.float32
        ) -> tuple:
            shapes = ((1, d_key), (1, d_key), (1, d_value), (past, d_key), (past, d_value))
            return tuple(draw(generator, *lead, *shape, dtype=dtype) for shape in shapes)

        yield Case(tensors())
        yield Case(tensors(past=0), about="the cache is empty")
        yield Case(tensors(past=1), about="the second token")
        yield Case(tensors(lead=(1, heads)), about="a batch of one")
        yield Case(tensors(past=17, dtype=torch.float64))

    def reference(
        self, query: Tensor, key: Tensor, value: Tensor, cached_keys: Tensor, cached_values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Ask torch to attend from the last position to all of them."""
        keys, values = torch.cat((cached_keys, key), dim=-2), torch.cat((cached_values, value), dim=-2)
        return F.scaled_dot_product_attention(query, keys, values), keys, values


class ScaleAndLength(OpenQuestion):
    """A small experiment to report on."""

    slug = "attention"
    signature = "scale_and_length()"
    title = "What the scale does to long texts"
    points = 6
    minutes = 40
    difficulty = 4
    objective = "Measure how the entropy of attention weights depends on length and width, and report it with a figure."
    why = "The formula fixes one scale for every length; whether that is enough is a question for a measurement."
    try_next = "Repeat the measurement with the scores of the real model above in place of random ones."


EXERCISES = (
    Softmax(),
    ScaledDotProductAttention(),
    CausalMask(),
    PaddingMask(),
    MultiHeadAttention(),
    CacheStep(),
    ScaleAndLength(),
)
