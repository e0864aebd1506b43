"""The exercises of the training lab: what happens between a gradient and the next step."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from companion.exercises.inputs import draw, draw_sizes
from companion.exercises.mistakes import training as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion


def _number(generator: torch.Generator, low: float, high: float, digits: int = 1) -> float:
    """Draw a number so short that a message which repeats it cannot be mistaken for one that tells the answer."""
    return round(low + (high - low) * float(torch.rand((), generator=generator)), digits)


def _integer(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def _parameter(weight: Tensor, gradient: Tensor) -> nn.Parameter:
    parameter = nn.Parameter(weight.clone())
    parameter.grad = gradient.clone()
    return parameter


class MomentumStep(Exercise):
    """One step of gradient descent with momentum."""

    slug = "training"
    signature = "momentum_step(weight, gradient, velocity, lr, beta)"
    title = "A step with memory"
    points = 2
    minutes = 10
    difficulty = 1
    objective = "Take one step of gradient descent with momentum, and return the memory for the next."
    why = "One batch's gradient is mostly noise; what many batches agree on is not."
    try_next = "Call it 50 times with the same gradient. How long does one step become, as a multiple of the first?"
    returns = ("weight", "velocity")
    wrong_ways = mistakes.MOMENTUM_STEP

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw a matrix in both precisions, the first step of all, and a vector."""
        rows, columns = draw_sizes(generator, 2)

        def arguments(*shape: int, dtype: torch.dtype = torch.float64, started: bool = True) -> tuple:
            velocity = draw(generator, *shape, dtype=dtype) if started else torch.zeros(shape, dtype=dtype)
            rates = _number(generator, 0.1, 0.5), _number(generator, 0.6, 0.9)
            return draw(generator, *shape, dtype=dtype), draw(generator, *shape, dtype=dtype), velocity, *rates

        yield Case(arguments(rows, columns))
        yield Case(arguments(rows, columns, dtype=torch.float32))
        yield Case(arguments(rows, columns, started=False), about="the first step, with no memory yet")
        yield Case(arguments(columns), about="a vector")

    def reference(
        self, weight: Tensor, gradient: Tensor, velocity: Tensor, lr: float, beta: float
    ) -> tuple[Tensor, Tensor]:
        """Ask torch's own optimizer, with the memory put in its place."""
        parameter = _parameter(weight, gradient)
        optimizer = torch.optim.SGD([parameter], lr=lr, momentum=beta)
        optimizer.state[parameter]["momentum_buffer"] = velocity.clone()
        optimizer.step()
        return parameter.detach(), optimizer.state[parameter]["momentum_buffer"]


class ClipGradients(Exercise):
    """Shorten all gradients by one factor."""

    slug = "training"
    signature = "clip_gradients(gradients, max_norm)"
    title = "Gradients on a leash"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Shorten the gradients of a whole model to a given length, and leave their direction alone."
    why = "One strange batch can throw a model farther than a thousand good ones have brought it."
    try_next = (
        "Clip the gradients of the model below to 0.1 in place of 1. What happens to an AdamW run, and why so little?"
    )
    wrong_ways = mistakes.CLIP_GRADIENTS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw gradients that are too long, others that are short enough, and a list of one."""
        a, b, c = draw_sizes(generator, 3)

        def gradients(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
            # Of different sizes: what clips each tensor by itself must not come near.
            return [(3.0**i) * draw(generator, *shape, dtype=dtype) for i, shape in enumerate(shapes)]

        several = (a, b), (b,), (c, a)
        # torch's own function adds a millionth to the length, and an answer may do so too.
        yield Case((gradients(*several), 1.0), tolerance=1e-5)
        yield Case((gradients(*several, dtype=torch.float32), _number(generator, 0.3, 0.9)))
        short = [gradient / 100 for gradient in gradients(*several)]
        yield Case((short, 7.0), about="gradients that are short enough already")
        yield Case((gradients((a, b)), 0.5), about="a single tensor", tolerance=1e-5)
        zeros = [torch.zeros(a, b, dtype=torch.float64), torch.zeros(c, dtype=torch.float64)]
        yield Case((zeros, 1.0), about="gradients of zeros")

    def reference(self, gradients: list[Tensor], max_norm: float) -> list[Tensor]:
        """Measure them as one long vector."""
        length = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())
        return [gradient * (max_norm / length if length > max_norm else 1.0) for gradient in gradients]


class LearningRate(Exercise):
    """Warm-up, then a cosine."""

    slug = "training"
    signature = "learning_rate(step, steps, warmup, peak, floor)"
    title = "Up in a line, down in a wave"
    points = 3
    minutes = 15
    difficulty = 2
    objective = "Compute the learning rate of any step: a straight warm-up, then half a cosine down to a floor."
    why = "The first steps are taken before the optimizer knows anything, and the last ones should be small."
    try_next = "Plot all steps for a warm-up of 0, of 10 and of all steps."
    wrong_ways = mistakes.LEARNING_RATE
    error_hints = (ErrorHint("division by zero", mistakes.NO_WARMUP),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Ask for the first steps, the turn, the middle, the last steps, and for a schedule without warm-up."""
        steps, warmup = _integer(generator, 80, 120), _integer(generator, 7, 13)
        peak, floor = _number(generator, 2.0, 9.0), _number(generator, 0.1, 0.9)
        fixed = (steps, warmup, peak, floor)
        late = _integer(generator, warmup + 5, steps - 10)
        yield Case((late, *fixed))
        yield Case((late, steps, 0, peak, floor), about="no warm-up")
        yield Case((0, steps, 0, peak, floor), about="the first step, without warm-up")
        yield Case((_integer(generator, 2, warmup - 2), *fixed), about="during the warm-up")
        yield Case((0, *fixed), about="the first step of all")
        yield Case((warmup - 1, *fixed), about="the last step of the warm-up")
        yield Case((warmup, *fixed), about="the step after the warm-up")
        yield Case((steps - 1, *fixed), about="the last step")
        yield Case((steps, *fixed), about="after the last step")
        yield Case((late, steps, warmup, peak, 0.0), about="a floor of nothing")

    def reference(self, step: int, steps: int, warmup: int, peak: float, floor: float) -> float:
        """Take the square of a cosine of half the angle, which is the same wave."""
        if step < warmup:
            return peak * (step + 1) / (warmup + 1)
        return floor + (peak - floor) * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2


class CombineGradients(Exercise):
    """The gradient of a large batch, from the gradients of its parts."""

    slug = "training"
    signature = "combine_gradients(gradients, counts)"
    title = "One large batch out of small ones"
    points = 2
    minutes = 10
    difficulty = 2
    objective = (
        "Combine the gradients of micro-batches into that of the whole batch, when their texts differ in length."
    )
    why = "A mean of means is not the mean, and a widely used trainer had this wrong for years."
    try_next = "By how much does the plain mean differ, when one micro-batch holds a single token?"
    wrong_ways = mistakes.COMBINE_GRADIENTS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw ragged counts, one part, and a part without any token that counts."""
        rows, columns = draw_sizes(generator, 2)

        def arguments(n_parts: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, list[int]]:
            counts = [_integer(generator, 1, 9) + 11 * i for i in range(n_parts)]
            return draw(generator, n_parts, rows, columns, dtype=dtype), counts

        yield Case(arguments(3))
        yield Case(arguments(5, torch.float32))
        yield Case(arguments(1), about="a single micro-batch")
        gradients, counts = arguments(4)
        gradients[2] = torch.nan  # nothing divided by nothing
        yield Case((gradients, [*counts[:2], 0, counts[3]]), about="a micro-batch without a token that counts")

    def reference(self, gradients: Tensor, counts: list[int]) -> Tensor:
        """Weigh each part by its share of the tokens."""
        weights = torch.tensor(counts, dtype=gradients.dtype)
        counted = weights > 0
        return torch.tensordot(weights[counted] / weights.sum(), gradients[counted], dims=1)


class AdamWStep(Exercise):
    """One step of AdamW."""

    slug = "training"
    signature = "adamw_step(weight, gradient, mean, square, step, lr, betas, eps, weight_decay)"
    title = "AdamW"
    points = 4
    minutes = 25
    difficulty = 3
    objective = "Take one step of AdamW, with bias correction and decoupled weight decay."
    why = "Nearly every language model you have heard of was trained by these five lines."
    try_next = "Multiply the gradient by 1000 at every step, from the first. How does the path of the weights change?"
    returns = ("weight", "mean", "square")
    wrong_ways = mistakes.ADAMW_STEP

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw a step in the middle, the first one, one without decay, and one with tiny gradients."""
        rows, columns = draw_sizes(generator, 2)

        def arguments(
            step: int, *, dtype: torch.dtype = torch.float64, decay: float = 0.1, scale: float = 1.0
        ) -> tuple[Any, ...]:
            shape = rows, columns
            weight, drawn = draw(generator, *shape, dtype=dtype), draw(generator, *shape, dtype=dtype)
            gradient = scale * (drawn + 0.3 * drawn.sign())  # never so small that eps would matter by chance
            mean, square = torch.zeros(2, *shape, dtype=dtype)
            if step > 1:
                mean = 0.5 * scale * draw(generator, *shape, dtype=dtype)
                square = (scale * (0.5 + draw(generator, *shape, dtype=dtype).abs())).square()
            betas = (_number(generator, 0.7, 0.9), _number(generator, 0.92, 0.98, digits=2))
            return weight, gradient, mean, square, step, _number(generator, 0.1, 0.3), betas, 1e-8, decay

        # eps is far below this tolerance here; the last case is there for it.
        yield Case(arguments(_integer(generator, 3, 7)), tolerance=1e-6)
        yield Case(arguments(_integer(generator, 3, 7), dtype=torch.float32))
        yield Case(arguments(1), about="the first step", tolerance=1e-6)
        yield Case(arguments(_integer(generator, 3, 7), decay=0.0), about="no weight decay", tolerance=1e-6)
        yield Case(arguments(_integer(generator, 3, 7), scale=1e-7), about="tiny gradients")

    def reference(
        self,
        weight: Tensor,
        gradient: Tensor,
        mean: Tensor,
        square: Tensor,
        step: int,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Ask torch's own optimizer, with its memory put in its place."""
        parameter = _parameter(weight, gradient)
        optimizer = torch.optim.AdamW([parameter], lr, betas, eps, weight_decay, foreach=False)
        before = torch.tensor(float(step - 1))
        optimizer.state[parameter] = {"step": before, "exp_avg": mean.clone(), "exp_avg_sq": square.clone()}
        optimizer.step()
        state = optimizer.state[parameter]
        return parameter.detach(), state["exp_avg"], state["exp_avg_sq"]


class ScaledStep(Exercise):
    """A step of mixed precision with a scaled loss."""

    slug = "training"
    signature = "scaled_step(master, gradient, scale, lr)"
    title = "Sixteen bits and a master"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Take a step with a float16 gradient of a scaled loss, and survive one that has overflowed."
    why = "Half the bits are half the memory, but small numbers vanish in them and large ones become infinite."
    try_next = "What would double the scale again, once things are calm? Look up how torch's GradScaler decides."
    returns = ("master", "scale")
    wrong_ways = mistakes.SCALED_STEP

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw gradients that fit, gradients that vanish if unscaled in 16 bits, and overflowed ones."""
        rows, columns = draw_sizes(generator, 2)

        def arguments(scale: float, size: float, lr: float) -> tuple[Tensor, Tensor, float, float]:
            master = 0.01 * draw(generator, rows, columns)
            gradient = (size * (0.5 + draw(generator, rows, columns).abs())).half()
            return master, gradient, scale, lr

        # The weights are small, so that float32 keeps more decimals of them than the tolerance asks for.
        yield Case(arguments(1024.0, 3.0, _number(generator, 0.1, 0.5)), tolerance=1e-7)
        vanishing = arguments(65536.0, 2e-4, 4000.0)
        yield Case(vanishing, about="a gradient that is zero if unscaled in 16 bits", tolerance=1e-7)
        for bad, about in ((math.inf, "one entry is infinite"), (math.nan, "one entry is NaN")):
            master, gradient, scale, lr = arguments(2.0 ** _integer(generator, 8, 14), 3.0, 0.1)
            gradient[_integer(generator, 0, rows - 1), _integer(generator, 0, columns - 1)] = bad
            yield Case((master, gradient, scale, lr), about=about, tolerance=1e-7)

    def reference(self, master: Tensor, gradient: Tensor, scale: float, lr: float) -> tuple[Tensor, float]:
        """Unscale in the master's numbers; skip what is not finite."""
        if not bool(gradient.isfinite().all()):
            return master.clone(), scale / 2
        return torch.sub(master, gradient.to(master.dtype) / scale, alpha=lr), scale


class PackDocuments(Exercise):
    """Documents of any length in rows of one length."""

    slug = "training"
    signature = "pack_documents(documents, length)"
    title = "Rows without holes"
    points = 4
    minutes = 25
    difficulty = 4
    objective = "Pack documents into full rows, and remember which token belongs to which, and what it should predict."
    why = "Padding is paid for and teaches nothing; packing carelessly teaches that one recipe follows another."
    try_next = "Pack the recipes below. Which share of the labels is -100, for rows of 32 and of 512?"
    returns = ("input_ids", "document_ids", "labels")
    wrong_ways = mistakes.PACK_DOCUMENTS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw documents shorter and longer than a row, some of one token, and rows that come out even."""

        def documents(lengths: list[int]) -> list[list[int]]:
            return [torch.randint(1, 1000, (n,), generator=generator).tolist() for n in lengths]

        lengths = [_integer(generator, 2, 9) for _ in range(7)]
        length = _integer(generator, 5, 7)
        # The stream is made not to come out even, so that the rest matters.
        lengths[-1] += 1 if sum(lengths) % length == 0 else 0
        yield Case((documents(lengths), length))
        yield Case((documents([3 * length + 2, 4]), length), about="a document longer than three rows")
        yield Case((documents([1, 1, 2, 1, length]), length), about="documents of one token")
        yield Case((documents([length, length]), length), about="documents as long as a row")

    def reference(self, documents: list[list[int]], length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Go through the rows token by token."""
        stream = [(token, number) for number, document in enumerate(documents) for token in document]
        rows = [stream[i : i + length] for i in range(0, len(stream) - length + 1, length)]
        labels = [
            [after if owner == other else -100 for (_, owner), (after, other) in itertools.pairwise(row)]
            for row in rows
        ]
        return (
            torch.tensor([[token for token, _ in row] for row in rows]),
            torch.tensor([[number for _, number in row] for row in rows]),
            torch.tensor([[*row, -100] for row in labels]),
        )


class ContinueTraining(Exercise):
    """Go on from a checkpoint as if nothing had happened."""

    slug = "training"
    signature = "continue_training(checkpoint, data, steps, lr, beta)"
    title = "As if nothing had happened"
    points = 4
    minutes = 30
    difficulty = 4
    objective = "Go on training from a checkpoint, and return one from which the run goes on to the same bits."
    why = "Machines stop; a run that resumes almost right is one whose results nobody can repeat."
    try_next = "Take 7 steps in one call, and in two of 3 and 4. Compare with `torch.equal`."
    wrong_ways = mistakes.CONTINUE_TRAINING

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw checkpoints in mid-run, a single step, and the start of a run."""
        rows, columns = 11, draw_sizes(generator, 1)[0]

        def arguments(n_steps: int, at: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
            source = torch.Generator().manual_seed(_integer(generator, 0, 2**31 - 1))
            torch.randint(rows, (at,), generator=source)
            checkpoint = {
                "weight": draw(generator, columns, dtype=dtype),
                "velocity": draw(generator, columns, dtype=dtype) * (at > 0),
                "step": at,
                "generator": source.get_state(),
            }
            rates = _number(generator, 0.2, 0.5), _number(generator, 0.6, 0.9)
            return checkpoint, draw(generator, rows, columns, dtype=dtype), n_steps, *rates

        yield Case(arguments(_integer(generator, 5, 8), _integer(generator, 3, 30)))
        yield Case(arguments(1, _integer(generator, 3, 30)), about="a single step")
        yield Case(arguments(4, 0), about="the start of a run")
        yield Case(arguments(6, _integer(generator, 3, 30), torch.float32), about="single precision")

    def reference(self, checkpoint: dict[str, Any], data: Tensor, steps: int, lr: float, beta: float) -> dict[str, Any]:
        """Let torch's own optimizer take the steps, with a gradient that autograd found."""
        source = torch.Generator()
        source.set_state(checkpoint["generator"])
        weight = nn.Parameter(checkpoint["weight"].clone())
        optimizer = torch.optim.SGD([weight], lr=lr, momentum=beta)
        optimizer.state[weight]["momentum_buffer"] = checkpoint["velocity"].clone()
        for step in range(checkpoint["step"], checkpoint["step"] + steps):
            optimizer.param_groups[0]["lr"] = lr / (1 + step)
            row = data[torch.randint(len(data), (), generator=source)]
            optimizer.zero_grad()
            ((weight - row).square().sum() / 2).backward()
            optimizer.step()
        return {
            "weight": weight.detach(),
            "velocity": optimizer.state[weight]["momentum_buffer"],
            "step": checkpoint["step"] + steps,
            "generator": source.get_state(),
        }


class LearningRateRange(OpenQuestion):
    """A small experiment to report on."""

    slug = "training"
    signature = "learning_rate_range()"
    title = "How high can you go?"
    points = 6
    minutes = 45
    difficulty = 4
    objective = (
        "Measure how the loss depends on the learning rate, with and without warm-up, and report it with a figure."
    )
    why = "No other number decides as much about a run, and no formula gives it to you."
    try_next = "Repeat it with `momentum_step` in place of `adamw_step`. How wide is the range of good rates now?"


EXERCISES = (
    MomentumStep(),
    ClipGradients(),
    LearningRate(),
    CombineGradients(),
    AdamWStep(),
    ScaledStep(),
    PackDocuments(),
    ContinueTraining(),
    LearningRateRange(),
)
