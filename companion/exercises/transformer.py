"""The exercises of the transformer lab: the parts of a block, and the block made of them."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.exercises.inputs import draw, draw_sizes
from companion.exercises.mistakes import transformer as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion

AXIS_LOST = "a mean along the features drops that axis unless you ask it to stay"


class LayerNorm(Exercise):
    """Layer normalisation of each position's features."""

    slug = "transformer"
    signature = "layer_norm(x, weight, bias, eps)"
    title = "Layer normalisation"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Give the features of every position mean 0 and variance 1, then let two learned vectors undo it."
    why = "Without it, a deep stack's numbers grow or shrink until nothing can be learned from them."
    try_next = "Multiply `x` by 1000. What changes in the output, and what does that do to a gradient that flows back?"
    wrong_ways = mistakes.LAYER_NORM
    error_hints = (ErrorHint("must match the size", AXIS_LOST),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw any number of leading axes, an offset, features that hardly differ, and features that do not."""
        batch, n, d = draw_sizes(generator, 3)
        d += 6  # two or three features may hardly differ by accident

        def tensors(*lead: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
            weight, bias = 1 + 0.3 * draw(generator, d, dtype=dtype), draw(generator, d, dtype=dtype)
            return 3 * draw(generator, *lead, d, dtype=dtype) + 2, weight, bias

        yield Case((*tensors(batch, n), 1e-5))
        x, weight, bias = tensors(n, dtype=torch.float64)
        yield Case((0.1 * x, weight, bias, 0.5), about="a large eps")
        yield Case((*tensors(), 1e-5), about="a single vector")
        yield Case((*tensors(batch, d, n), 1e-5), about="three leading axes")
        yield Case((*tensors(n, dtype=torch.float64), 1e-5))
        x, weight, bias = tensors(n)
        yield Case((torch.full_like(x, 3.0), weight, bias, 1e-5), about="features that are all equal", tolerance=1e-4)

    def reference(self, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """Ask torch."""
        return F.layer_norm(x, weight.shape, weight, bias, eps)


class RMSNorm(Exercise):
    """Normalisation by the root of the mean square, safe in half precision."""

    slug = "transformer"
    signature = "rms_norm(x, weight, eps)"
    title = "RMS normalisation, in half precision too"
    points = 3
    minutes = 15
    difficulty = 3
    objective = "Divide each position's features by the root of their mean square, even where the squares overflow."
    why = (
        "T5 and Llama normalise without a mean and a bias, in 16-bit numbers, and 300 squared does not fit into those."
    )
    try_next = "Give both of your norms rows of mean 0. How far do they differ, and why?"
    wrong_ways = mistakes.RMS_NORM
    error_hints = (ErrorHint("must match the size", AXIS_LOST),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw any number of leading axes, a large eps, an offset, and 16-bit numbers whose squares overflow."""
        batch, n, d = draw_sizes(generator, 3)

        def tensors(*lead: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
            return 2 * draw(generator, *lead, d, dtype=dtype) + 1, 1 + 0.3 * draw(generator, d, dtype=dtype)

        yield Case((*tensors(batch, n), 1e-6))
        x, weight = tensors(n, dtype=torch.float64)
        yield Case((0.1 * x, weight, 0.5), about="a large eps")
        yield Case((*tensors(), 1e-6), about="a single vector")
        yield Case((*tensors(batch, d, n), 1e-6), about="three leading axes")
        yield Case((*tensors(n, dtype=torch.float64), 1e-6))
        x, weight = tensors(batch, n)
        large = (600 + 200 * x).half()
        yield Case((large, weight.half(), 1e-6), about="numbers near 800 in 16 bits")

    def reference(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """Ask torch."""
        return F.rms_norm(x, weight.shape, weight, eps)


class SinusoidalPositions(Exercise):
    """The table of sines and cosines that tells positions apart."""

    slug = "transformer"
    signature = "sinusoidal_positions(n_positions, d_model)"
    title = "Positions as waves"
    points = 3
    minutes = 15
    difficulty = 2
    objective = "Build the table of sines and cosines that is added to the tokens' vectors."
    why = "Attention sees a bag of words; this table is the first way that was found to number them."
    try_next = "Plot the dot product of row 20 with every other row. What does it depend on?"
    wrong_ways = mistakes.SINUSOIDAL_POSITIONS
    error_hints = (
        ErrorHint("must match the size", "positions and frequencies lie along different axes; give each its own"),
        ErrorHint("expanded size", "sines fill every second column, and so do cosines: half of d_model each"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw tables of many shapes: more positions than features, fewer, one, two features, and far positions."""
        few, some, half = draw_sizes(generator, 3)
        yield Case((some + 13, 2 * half + 4))
        yield Case((few, 2 * half + 20), about="more features than positions")
        yield Case((2 * half, 2 * half), about="as many positions as features")
        yield Case((1, 2 * some), about="the first position alone")
        yield Case((some, 2), about="two features")
        yield Case((3000 + few, 2 * half), about="thousands of positions", tolerance=2e-3)

    def reference(self, n_positions: int, d_model: int) -> Tensor:
        """Fill the table entry by entry, with the standard library."""
        wave = (math.sin, math.cos)
        return torch.tensor(
            [
                [wave[j % 2](position / 10000 ** ((j - j % 2) / d_model)) for j in range(d_model)]
                for position in range(n_positions)
            ]
        )


class Rotary(Exercise):
    """Rotary positions: pairs of features turned by an angle that grows with the position."""

    slug = "transformer"
    signature = "rotary(x, positions, base)"
    title = "Positions as rotations"
    points = 4
    minutes = 25
    difficulty = 4
    objective = "Turn each pair of a query's or a key's features by an angle that grows with its position."
    why = "This is how Llama and most models since know order: what two tokens make of it depends on their distance."
    try_next = "Turn a query at position 5 and a key at 2, then at 105 and 102. Compare the two dot products."
    wrong_ways = mistakes.ROTARY
    error_hints = (
        ErrorHint("must match the size", "there is one angle for each pair, and it turns both features of the pair"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw positions from 0 on, positions after a cache, in any order, other bases, and one pair of features."""
        batch, heads, n, half = draw_sizes(generator, 4)
        half += 2  # with one pair, or two, some mistakes are none

        def tensors(*lead: int, d: int = 2 * half, dtype: torch.dtype = torch.float32) -> Tensor:
            return draw(generator, *lead, n, d, dtype=dtype)

        in_order = torch.arange(n)
        yield Case((tensors(batch, heads), in_order, 10000.0))
        yield Case((tensors(), in_order, 10000.0), about="no leading axes")
        yield Case((tensors(batch, heads), in_order + 17, 10000.0), about="the positions continue after a cache")
        shuffled = torch.randperm(60, generator=generator)[:n]
        yield Case((tensors(heads, dtype=torch.float64), shuffled, 10000.0), about="positions in any order")
        yield Case((tensors(batch, heads), in_order + 3, 500.0), about="another base")
        yield Case((tensors(batch, d=2), in_order + 1, 10000.0), about="one pair of features")

    def reference(self, x: Tensor, positions: Tensor, base: float) -> Tensor:
        """Multiply complex numbers: feature i is the real part, feature i + d/2 the imaginary one."""
        half = x.shape[-1] // 2
        frequencies = torch.tensor([base ** (-i / half) for i in range(half)], dtype=torch.float64)
        angles = positions.double()[:, None] * frequencies
        turned = torch.complex(*x.split(half, -1)) * torch.polar(torch.ones_like(angles), angles)
        return torch.cat((turned.real, turned.imag), -1).to(x.dtype)


class RelativeBucket(Exercise):
    """T5's buckets of distances: exact when near, coarser when far."""

    slug = "transformer"
    signature = "relative_bucket(distance, n_buckets, max_distance, bidirectional)"
    title = "Buckets of distances"
    points = 3
    minutes = 25
    difficulty = 4
    objective = "Sort distances between tokens into a few buckets: one each when near, wider and wider when far."
    why = "T5 learns one number a bucket and a head, which is all that it knows of order."
    try_next = "List the distances of each bucket for 32 buckets up to 128. How wide is the last one?"
    wrong_ways = mistakes.RELATIVE_BUCKET
    error_hints = (
        ErrorHint("can't be cast", "the logarithm gives floating point numbers, and a bucket is an integer"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw distances both ways, near and far, in tables and alone."""
        n_query, n_key = draw_sizes(generator, 2)
        table = torch.arange(n_key)[None] - torch.arange(n_query)[:, None]
        for bidirectional in (True, False):
            about = "bidirectional" if bidirectional else "one direction only"
            for n_buckets, max_distance in ((32, 128), (24, 100), (20, 60)):
                distances = self._clear_of_edges(torch.arange(-200, 200), n_buckets, max_distance, bidirectional)
                order = torch.randperm(len(distances), generator=generator)[:120]
                yield Case((distances[order], n_buckets, max_distance, bidirectional), about=about)
            yield Case((table.clamp(-4, 4), 32, 128, bidirectional), about=f"near tokens, {about}")
        yield Case((torch.tensor(0), 32, 128, True), about="a token and itself")

    @staticmethod
    def _clear_of_edges(distances: Tensor, n_buckets: int, max_distance: int, bidirectional: bool) -> Tensor:
        """Leave out distances so near a bucket's edge that a rounding error of the logarithm decides."""
        exact = n_buckets // (4 if bidirectional else 2)
        ratio = (distances.abs().clamp(min=1).double() / exact).log() / math.log(max_distance / exact) * exact
        return distances[((ratio - ratio.round()).abs() > 1e-3) | (distances.abs() < exact)]

    def reference(self, distance: Tensor, n_buckets: int, max_distance: int, bidirectional: bool) -> Tensor:
        """Ask transformers' T5."""
        from transformers.models.t5.modeling_t5 import T5Attention

        return T5Attention._relative_position_bucket(
            distance, bidirectional=bidirectional, num_buckets=n_buckets, max_distance=max_distance
        )


class SwiGLU(Exercise):
    """A feed-forward half with a gate."""

    slug = "transformer"
    signature = "swiglu(x, w_gate, w_up, w_down)"
    title = "A feed-forward half with a gate"
    points = 2
    minutes = 10
    difficulty = 2
    objective = (
        "Transform each position on its own, with one half of the features deciding how much of the other passes."
    )
    why = "Two thirds of a model's weights are in its feed-forward halves, and in modern models they look like this."
    try_next = "How wide may a gated half be, if it is to have as many weights as a plain one with d_ff features?"
    wrong_ways = mistakes.SWIGLU
    error_hints = (
        ErrorHint("shapes cannot be multiplied", "a projection is x @ w; print the shape after each step"),
        ErrorHint("must match the size", "gate and up have the same shape before they are multiplied"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw batches, a single vector, as many features inside as outside, and double precision."""
        batch, n, d, d_ff = draw_sizes(generator, 4)

        def tensors(*lead: int, inside: int = d_ff, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
            shapes = ((d, inside), (d, inside), (inside, d))
            return (2 * draw(generator, *lead, d, dtype=dtype), *(draw(generator, *s, dtype=dtype) for s in shapes))

        yield Case(tensors(batch, n), tolerance=1e-4)
        yield Case(tensors(), about="a single vector", tolerance=1e-4)
        yield Case(tensors(batch, n, inside=d), about="as many features inside as outside", tolerance=1e-4)
        yield Case(tensors(batch, n, dtype=torch.float64))

    def reference(self, x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
        """Ask torch for SiLU and for each product, one position at a time."""
        rows = [(F.silu(row @ w_gate) * (row @ w_up)) @ w_down for row in x.reshape(-1, x.shape[-1])]
        return torch.stack(rows).view_as(x)


class PreNormBlock(Exercise):
    """The whole block: attend, then feed forward, each on normalised features and added to what came in."""

    slug = "transformer"
    signature = "pre_norm_block(x, w, n_heads)"
    title = "The block"
    points = 5
    minutes = 30
    difficulty = 4
    objective = (
        "Put the parts together: attend, then feed forward, each on normalised features, each added to the stream."
    )
    why = "Stack this one function a dozen times, between two tables, and you have GPT-2."
    try_next = "Take out one of the two additions and stack your block 20 times. What is left of `x`?"
    wrong_ways = mistakes.PRE_NORM_BLOCK
    error_hints = (
        ErrorHint("shapes cannot be multiplied", "two shapes do not fit; print the shape after each step"),
        ErrorHint("must match the size", "what you add to the stream has the stream's own shape"),
        ErrorHint("view size is not compatible", "a view needs its axes in their order in memory; use reshape"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw batches, one head, one token, and double precision."""
        batch, n, n_heads, d_head = draw_sizes(generator, 4)

        def arguments(
            batch: int = batch, n: int = n, n_heads: int = n_heads, dtype: torch.dtype = torch.float64
        ) -> tuple[Tensor, dict[str, Tensor], int]:
            d = n_heads * d_head
            d_ff = 2 * d + 1

            def matrix(rows: int, columns: int) -> Tensor:
                return draw(generator, rows, columns, dtype=dtype) * rows**-0.5

            w = {name: matrix(d, d) for name in ("query", "key", "value", "output")}
            w |= {"up": matrix(d, d_ff), "up_bias": 0.3 * draw(generator, d_ff, dtype=dtype)}
            w |= {"down": matrix(d_ff, d), "down_bias": 0.3 * draw(generator, d, dtype=dtype)}
            for name in ("norm_1", "norm_2"):
                w[name] = 1 + 0.3 * draw(generator, d, dtype=dtype)
                w[f"{name}_bias"] = 0.3 * draw(generator, d, dtype=dtype)
            return 2 * draw(generator, batch, n, d, dtype=dtype) + 0.5, w, n_heads

        yield Case(arguments())
        yield Case(arguments(dtype=torch.float32), tolerance=1e-4)
        yield Case(arguments(batch=1), about="a batch of one")
        yield Case(arguments(n_heads=1), about="one head")
        yield Case(arguments(n=n_heads), about="as many positions as heads")
        yield Case(arguments(n=1), about="a single token")

    def reference(self, x: Tensor, w: dict[str, Tensor], n_heads: int) -> Tensor:
        """Ask torch's own layer, whose projections are stored transposed."""
        d_model, d_ff = w["up"].shape
        options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True, "dtype": x.dtype}
        # Its first weights would be drawn from the student's random numbers, and are replaced at once.
        layer = nn.utils.skip_init(nn.TransformerEncoderLayer, d_model, n_heads, d_ff, **options).eval()
        zeros = torch.zeros(d_model, dtype=x.dtype)
        state = {
            "self_attn.in_proj_weight": torch.cat((w["query"], w["key"], w["value"]), dim=1).mT,
            "self_attn.in_proj_bias": zeros.repeat(3),
            "self_attn.out_proj.weight": w["output"].mT,
            "self_attn.out_proj.bias": zeros,
            "linear1.weight": w["up"].mT,
            "linear1.bias": w["up_bias"],
            "linear2.weight": w["down"].mT,
            "linear2.bias": w["down_bias"],
            **{f"norm{i}.weight": w[f"norm_{i}"] for i in (1, 2)},
            **{f"norm{i}.bias": w[f"norm_{i}_bias"] for i in (1, 2)},
        }
        layer.load_state_dict(state)
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        with torch.no_grad():
            return layer(x, src_mask=hidden)


class GradientByDepth(OpenQuestion):
    """A small experiment to report on."""

    slug = "transformer"
    signature = "gradient_by_depth()"
    title = "What reaches the first block"
    points = 6
    minutes = 40
    difficulty = 4
    objective = "Measure how much of the gradient reaches the first of many blocks, and report it with a figure."
    why = "A block whose gradient is a millionth of the last one's does not learn, whatever the optimiser."
    try_next = "Repeat it with the real character model above, before and after training."


EXERCISES = (
    LayerNorm(),
    RMSNorm(),
    SinusoidalPositions(),
    Rotary(),
    RelativeBucket(),
    SwiGLU(),
    PreNormBlock(),
    GradientByDepth(),
)
