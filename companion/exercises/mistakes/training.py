"""The mistakes that students make in the training lab, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.exercises.spec import WrongWay

# --- momentum_step ---


def _momentum(
    weight: Tensor,
    gradient: Tensor,
    velocity: Tensor,
    lr: float,
    beta: float,
    *,
    keep: Callable[[float], float] = lambda beta: beta,
    add: Callable[[float], float] = lambda beta: 1.0,
    move: Callable[..., Tensor] = lambda new, old, gradient, beta: new,
    memory: Callable[[Tensor, Tensor], Tensor] = lambda new, old: new,
    rate: Callable[[float], float] = lambda lr: lr,
) -> tuple[Tensor, Tensor]:
    """Take a step with momentum, with one part of it replaceable."""
    new = keep(beta) * velocity + add(beta) * gradient
    return weight - rate(lr) * move(new, velocity, gradient, beta), memory(new, velocity)


def _momentum_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _momentum(*args, **changes))


MOMENTUM_STEP = (
    _momentum_way("the step goes uphill; a loss is made smaller against its gradient", rate=lambda lr: -lr),
    _momentum_way(
        "the weight moves by the gradient alone, and the velocity is kept for nothing",
        move=lambda new, old, gradient, beta: gradient,
    ),
    _momentum_way(
        "the weight moves by the old velocity; this step's gradient must be in it",
        move=lambda new, old, gradient, beta: old,
    ),
    _momentum_way(
        "the step looks ahead once more, which is Nesterov's; here the weight moves by the new velocity",
        move=lambda new, old, gradient, beta: gradient + beta * new,
    ),
    _momentum_way("you return the velocity that you were given", memory=lambda new, old: old),
    _momentum_way("the gradient counts only in part; here the velocity takes it in whole", add=lambda beta: 1 - beta),
    _momentum_way(
        "`beta` says how much of the gradient is taken; it should say how much of the velocity is kept",
        keep=lambda beta: 1 - beta,
        add=lambda beta: beta,
    ),
    _momentum_way("the velocity is kept whole; `beta` is not used", keep=lambda beta: 1.0),
    _momentum_way("`lr` is not used", rate=lambda lr: 1.0),
    WrongWay(
        "the learning rate is inside the velocity, so that a new rate would reach old gradients too late",
        lambda weight, gradient, velocity, lr, beta: (
            weight - beta * velocity - lr * gradient,
            beta * velocity + lr * gradient,
        ),
    ),
)

# --- clip_gradients ---


def _length(gradients: list[Tensor]) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in gradients]).norm()


def _clipped(
    gradients: list[Tensor], max_norm: float, *, length: Callable[[list[Tensor]], Tensor], always: bool = False
) -> list[Tensor]:
    """Shorten by one factor, whatever is taken for their length."""
    factor = max_norm / length(gradients)
    return [gradient * (factor if always else factor.clamp(max=1.0)) for gradient in gradients]


def _clip_way(phrase: str, length: Callable[[list[Tensor]], Tensor]) -> WrongWay:
    return WrongWay(phrase, lambda *args: _clipped(*args, length=length))


CLIP_GRADIENTS = (
    WrongWay("nothing is shortened", lambda gradients, max_norm: [gradient.clone() for gradient in gradients]),
    WrongWay(
        "each tensor is shortened by itself; one factor for all keeps the direction",
        lambda gradients, max_norm: [_clipped([each], max_norm, length=_length)[0] for each in gradients],
    ),
    WrongWay(
        "each entry is cut off by itself, which turns the gradient into another direction",
        lambda gradients, max_norm: [gradient.clamp(-max_norm, max_norm) for gradient in gradients],
    ),
    WrongWay(
        "gradients that are short enough are stretched; they must stay as they are",
        lambda *args: _clipped(*args, length=_length, always=True),
    ),
    WrongWay(
        "the gradients become longer; you divide where you should multiply, or the other way round",
        lambda gradients, max_norm: [gradient * _length(gradients) / max_norm for gradient in gradients],
    ),
    WrongWay(
        "`max_norm` decides when to clip and not how long the gradients become",
        lambda gradients, max_norm: [
            gradient / _length(gradients) if _length(gradients) > max_norm else gradient for gradient in gradients
        ],
    ),
    _clip_way("the root of the sum of squares is missing", lambda gradients: _length(gradients).square()),
    _clip_way(
        "the lengths of the tensors are added; it is their squares that add up",
        lambda gradients: torch.stack([gradient.norm() for gradient in gradients]).sum(),
    ),
    _clip_way(
        "absolute values are added where squares belong",
        lambda gradients: torch.cat([gradient.flatten() for gradient in gradients]).abs().sum(),
    ),
    _clip_way(
        "the largest entry is taken for the length",
        lambda gradients: torch.cat([gradient.flatten() for gradient in gradients]).abs().max(),
    ),
    _clip_way(
        "the squares are averaged; a length is the root of their sum",
        lambda gradients: torch.cat([gradient.flatten() for gradient in gradients]).square().mean().sqrt(),
    ),
)

# --- learning_rate ---

NO_WARMUP = "a schedule may have no warm-up at all, and then there is nothing to divide by"


def _rate(
    step: int,
    steps: int,
    warmup: int,
    peak: float,
    floor: float,
    *,
    first: int = 1,
    last: int = 1,
    warm: bool = True,
    progress: Callable[[int, int, int], float] = lambda step, steps, warmup: (step - warmup) / (steps - warmup),
    wave: Callable[[float], float] = lambda p: (1 + math.cos(math.pi * p)) / 2,
    between: Callable[[float, float, float], float] = lambda w, peak, floor: floor + (peak - floor) * w,
) -> float:
    """Follow the schedule, with one part of it replaceable."""
    if warm and step < warmup:
        return peak * (step + first) / (warmup + last)
    return between(wave(progress(step, steps, warmup)), peak, floor)


def _rate_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _rate(*args, **changes))


LEARNING_RATE = (
    _rate_way("the first step has no learning rate and is wasted", first=0, last=0),
    _rate_way("the warm-up reaches the peak within itself; the step after it should be the first at the peak", last=0),
    _rate_way(
        "there is no warm-up", warm=False, progress=lambda step, steps, warmup: max(0, step - warmup) / (steps - warmup)
    ),
    _rate_way("the wave begins at step 0 and not where the warm-up ends", progress=lambda s, n, w: s / n),
    _rate_way(
        "the wave is as long as the whole run; the warm-up is a part of the run", progress=lambda s, n, w: (s - w) / n
    ),
    _rate_way("the wave ends a step early", progress=lambda s, n, w: (s - w) / (n - w - 1)),
    _rate_way("the way down is a line and not a wave", wave=lambda p: 1 - p),
    _rate_way(
        "the rate falls and goes on below zero; the wave must run from 1 to 0", wave=lambda p: math.cos(math.pi * p)
    ),
    _rate_way(
        "this is a quarter of a wave, which falls ever faster to its end", wave=lambda p: math.cos(math.pi * p / 2)
    ),
    _rate_way("the rate rises after the warm-up", wave=lambda p: (1 - math.cos(math.pi * p)) / 2),
    _rate_way("the wave runs down to 0 and not to the floor", between=lambda w, peak, floor: peak * w),
    _rate_way(
        "the floor is added on top, so the wave starts above the peak", between=lambda w, peak, floor: floor + peak * w
    ),
)

# --- combine_gradients ---


def _combined(
    gradients: Tensor,
    counts: list[int],
    *,
    weight: Callable[[int], float] = float,
    divisor: Callable[[list[int]], float] = sum,
    skip: bool = True,
) -> Tensor:
    """Combine micro-batches, with one part of it replaceable."""
    total = torch.zeros_like(gradients[0])
    for gradient, count in zip(gradients, counts, strict=True):
        if count or not skip:
            total = total + weight(count) * gradient
    return total / divisor(counts)


def _combine_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _combined(*args, **changes))


COMBINE_GRADIENTS = (
    _combine_way(
        "this is the mean of the means; a short micro-batch weighs as much as a long one",
        weight=lambda count: 1.0,
        divisor=len,
    ),
    _combine_way(
        "the gradients are added without regard to how many tokens they stand for",
        weight=lambda c: 1.0,
        divisor=lambda c: 1.0,
    ),
    _combine_way("the sum over all tokens is not divided by their number", divisor=lambda counts: 1.0),
    _combine_way("you divide by the number of micro-batches, and the weights are numbers of tokens", divisor=len),
    _combine_way("you divide by the largest count", divisor=max),
    _combine_way(
        "each gradient is divided by its count, but it is a mean already", weight=lambda count: 1 / count, divisor=len
    ),
    WrongWay(
        "only one micro-batch is left; the others are overwritten",
        lambda gradients, counts: gradients[max(i for i, count in enumerate(counts) if count)].clone(),
    ),
    _combine_way("a micro-batch without a token has a gradient of NaN, and 0 times NaN is NaN", skip=False),
)

# --- adamw_step ---


def _adamw(
    weight: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    *,
    correct: tuple[bool, bool] = (True, True),
    age: int = 0,
    swapped: bool = False,
    coupled: bool = False,
    decay: Callable[[float, float], float] = lambda lr, weight_decay: lr * weight_decay,
    late_decay: bool = False,
    rates: bool = True,
    sign: float = 1.0,
    raw: bool = False,
    power: Callable[[Tensor], Tensor] = torch.square,
    direction: Callable[..., Tensor] = lambda mean, square, eps: mean / (square.sqrt() + eps),
    remember: str = "new",
) -> tuple[Tensor, Tensor, Tensor]:
    """Take a step of AdamW, with one part of it replaceable."""
    beta1, beta2 = reversed(betas) if swapped else betas
    pulled = gradient + weight_decay * weight if coupled else gradient
    new_mean = beta1 * mean + (1 - beta1) * pulled
    new_square = beta2 * square + (1 - beta2) * power(pulled)
    fair_mean = new_mean / (1 - beta1 ** (step + age)) if correct[0] else new_mean
    fair_square = new_square / (1 - beta2 ** (step + age)) if correct[1] else new_square
    move = sign * lr * direction(pulled if raw else fair_mean, fair_square, eps)
    shrink = 0.0 if coupled else decay(lr, weight_decay)
    moved = (weight - move) * (1 - shrink) if late_decay else weight * (1 - shrink) - move
    kept = {"new": (new_mean, new_square), "old": (mean, square), "fair": (fair_mean, fair_square)}
    return moved, *kept[remember]


def _adamw_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _adamw(*args, **changes))


ADAMW_STEP = (
    _adamw_way("the step goes uphill", sign=-1.0),
    _adamw_way("neither average is corrected for having started at zero", correct=(False, False)),
    _adamw_way("the average of the squares is not corrected for having started at zero", correct=(True, False)),
    _adamw_way("the average of the gradients is not corrected for having started at zero", correct=(False, True)),
    _adamw_way("the corrections count one step too many; `step` is 1 at the first step", age=1),
    _adamw_way("the corrections count one step too few; `step` is 1 at the first step", age=-1),
    _adamw_way("the two betas have changed places", swapped=True),
    _adamw_way(
        "the decay goes through the gradient, so it is divided by the root too; that is Adam with L2, and the W stands "
        "for taking it out of there",
        coupled=True,
    ),
    _adamw_way("the decay is not multiplied by the learning rate", decay=lambda lr, weight_decay: weight_decay),
    _adamw_way("the weights do not decay", decay=lambda lr, weight_decay: 0.0),
    _adamw_way("the weights grow where they should decay", decay=lambda lr, weight_decay: -lr * weight_decay),
    _adamw_way("the decay comes after the step and shrinks the step too", late_decay=True),
    _adamw_way(
        "the root is missing; a step must not change when all gradients are multiplied",
        direction=lambda mean, square, eps: mean / (square + eps),
    ),
    _adamw_way(
        "eps is inside the root, where it is not small",
        direction=lambda mean, square, eps: mean / (square + eps).sqrt(),
    ),
    _adamw_way("eps is not used", direction=lambda mean, square, eps: mean / square.sqrt()),
    _adamw_way("this step's gradient is used in place of the average of all", raw=True),
    _adamw_way("the gradients are not squared in the second average", power=torch.abs),
    _adamw_way("you return the averages that you were given", remember="old"),
    _adamw_way(
        "you return the corrected averages; the memory must stay uncorrected, or the next step corrects it again",
        remember="fair",
    ),
)

# --- scaled_step ---


def _scaled(
    master: Tensor,
    gradient: Tensor,
    scale: float,
    lr: float,
    *,
    unscale: Callable[[Tensor, float], Tensor] = lambda g, scale: g.float() / scale,
    store: Callable[[Tensor], Tensor] = lambda master: master,
    overflowed: Callable[[Tensor], bool] = lambda g: not bool(g.isfinite().all()),
    after: Callable[[float], float] = lambda scale: scale / 2,
    calm: Callable[[float], float] = lambda scale: scale,
) -> tuple[Tensor, float]:
    """Take a scaled step, with one part of it replaceable."""
    if overflowed(gradient):
        return master.clone(), after(scale)
    return (store(master) - lr * unscale(gradient, scale)).float(), calm(scale)


def _scaled_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _scaled(*args, **changes))


SCALED_STEP = (
    _scaled_way("the step goes uphill", unscale=lambda g, scale: -g.float() / scale),
    _scaled_way(
        "the step is as large as the scaled loss's; the scale must come out again", unscale=lambda g, scale: g.float()
    ),
    _scaled_way(
        "the gradient is scaled once more; the scale must come out of it", unscale=lambda g, scale: g.float() * scale
    ),
    _scaled_way(
        "the gradient is unscaled in 16 bits, where small numbers become zero; widen it first",
        unscale=lambda g, scale: (g / scale).float(),
    ),
    _scaled_way(
        "the master weights are rounded to 16 bits; small steps are lost in them",
        store=lambda master: master.half().float(),
    ),
    _scaled_way(
        "the new weights have gone through 16 bits", store=lambda master: master.half(), unscale=lambda g, s: g / s
    ),
    _scaled_way("an overflow is not noticed, and its step is taken", overflowed=lambda g: False),
    WrongWay(
        "only the entries that overflowed are left out; such a step must not be taken at all",
        lambda master, gradient, scale, lr: (
            _scaled(master, gradient.where(gradient.isfinite(), 0), scale, lr)[0],
            scale if bool(gradient.isfinite().all()) else scale / 2,
        ),
    ),
    _scaled_way(
        "after an overflow the scale stays as it is, so the next step will overflow too", after=lambda scale: scale
    ),
    _scaled_way("after an overflow the scale grows", after=lambda scale: 2 * scale),
    _scaled_way("the scale falls though nothing has overflowed", calm=lambda scale: scale / 2),
    _scaled_way("the scale grows at every step; leave it when nothing overflows", calm=lambda scale: 2 * scale),
)

# --- pack_documents ---

Packed = tuple[Tensor, Tensor, Tensor]


def _rows(numbers: list[int], length: int) -> Tensor:
    n_rows = len(numbers) // length
    return torch.tensor(numbers[: n_rows * length]).view(n_rows, length)


def _packed(
    documents: list[list[int]],
    length: int,
    *,
    labels: Callable[[Tensor, Tensor], Tensor] | None = None,
    number: Callable[[Tensor], Tensor] = lambda numbers: numbers,
    pad: bool = False,
) -> Packed:
    """Pack, with one part of it replaceable."""
    tokens = [token for document in documents for token in document]
    owners = [number for number, document in enumerate(documents) for _ in document]
    rest = -len(tokens) % length if pad else 0
    input_ids, document_ids = _rows(tokens + [0] * rest, length), _rows(owners + [len(documents)] * rest, length)
    return input_ids, number(document_ids), (labels or next_tokens)(input_ids, document_ids)


def next_tokens(input_ids: Tensor, document_ids: Tensor, *, hidden: int = -100, at_borders: bool = True) -> Tensor:
    """Shift the tokens to the left, and hide what another document begins with."""
    labels = torch.full_like(input_ids, hidden)
    labels[:, :-1] = input_ids[:, 1:]
    if at_borders:
        labels[:, :-1][document_ids[:, 1:] != document_ids[:, :-1]] = hidden
    return labels


def _previous(input_ids: Tensor, document_ids: Tensor) -> Tensor:
    labels = torch.full_like(input_ids, -100)
    labels[:, 1:] = torch.where(document_ids[:, 1:] == document_ids[:, :-1], input_ids[:, :-1], -100)
    return labels


def _first_hidden(input_ids: Tensor, document_ids: Tensor) -> Tensor:
    labels = next_tokens(input_ids, document_ids, at_borders=False)
    labels[:, 1:][document_ids[:, 1:] != document_ids[:, :-1]] = -100
    return labels


def _across_rows(input_ids: Tensor, document_ids: Tensor) -> Tensor:
    tokens, owners = input_ids.flatten(), document_ids.flatten()
    return next_tokens(tokens[None], owners[None]).view_as(input_ids)


def _one_document_a_row(documents: list[list[int]], length: int) -> Packed:
    cut = [[*document[:length], *[0] * (length - len(document))] for document in documents]
    owners = torch.arange(len(documents))[:, None].expand(-1, length)
    real = torch.tensor([[i < len(document) for i in range(length)] for document in documents])
    labels = next_tokens(torch.tensor(cut), owners)
    labels[:, :-1][~real[:, 1:]] = -100
    return torch.tensor(cut), owners, labels


def _pack_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _packed(*args, **changes))


PACK_DOCUMENTS = (
    WrongWay("each document has a row of its own, with holes; the rows are to be full", _one_document_a_row),
    _pack_way("the last row is filled up with something; leave out what does not fill a row", pad=True),
    _pack_way(
        "the last token of a document predicts the first of the next; nobody could know it",
        labels=lambda ids, owners: next_tokens(ids, owners, at_borders=False),
    ),
    _pack_way(
        "the labels are the tokens themselves; each position predicts the next", labels=lambda ids, owners: ids.clone()
    ),
    _pack_way("the labels are the tokens before; each position predicts the one after it", labels=_previous),
    _pack_way(
        "the first token of each document has no label, and the last one has; it is the other way round",
        labels=_first_hidden,
    ),
    _pack_way(
        "the last position of a row predicts what stands in the next row, which it may not rely on", labels=_across_rows
    ),
    _pack_way(
        "positions without a label hold 0, which is a token; what is ignored is -100",
        labels=lambda ids, owners: next_tokens(ids, owners, hidden=0),
    ),
    _pack_way("the documents are counted from 1", number=lambda numbers: numbers + 1),
    _pack_way("the documents are counted anew in each row", number=lambda numbers: numbers - numbers[:, :1]),
    WrongWay(
        "you number the tokens inside their documents; each token should carry its document's number",
        lambda documents, length: (
            _packed(documents, length)[0],
            _rows([i for document in documents for i in range(len(document))], length),
            _packed(documents, length)[2],
        ),
    ),
)

# --- continue_training ---

Checkpoint = dict[str, Any]


def _trained(
    checkpoint: Checkpoint,
    data: Tensor,
    steps: int,
    lr: float,
    beta: float,
    *,
    seed: int | None = None,
    velocity: bool = True,
    start: int | None = None,
    redraw: bool = False,
    rate: Callable[[float, int], float] = lambda lr, step: lr / (1 + step),
    sign: float = 1.0,
    stale: tuple[str, ...] = (),
) -> Checkpoint:
    """Go on from a checkpoint, with one part of it replaceable or forgotten."""
    generator = torch.Generator()
    generator.set_state(checkpoint["generator"]) if seed is None else generator.manual_seed(seed)
    weight = checkpoint["weight"]
    memory = checkpoint["velocity"] if velocity else torch.zeros_like(weight)
    first = checkpoint["step"] if start is None else start
    for step in range(first, first + steps):
        if redraw:
            generator.set_state(checkpoint["generator"])
        row = data[torch.randint(len(data), (), generator=generator)]
        memory = beta * memory + sign * (weight - row)
        weight = weight - rate(lr, step) * memory
    after = {"weight": weight, "velocity": memory, "step": first + steps, "generator": generator.get_state()}
    return after | {name: checkpoint[name] for name in stale}


def _resume_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _trained(*args, **changes))


CONTINUE_TRAINING = (
    *(
        _resume_way(
            "the generator starts from a seed and not from its saved state, so the run sees rows that it has seen",
            seed=seed,
        )
        for seed in (0, 1, 42)
    ),
    _resume_way("every step draws the same row; restore the generator once", redraw=True),
    _resume_way("the velocity starts at zero; it was saved for this moment", velocity=False),
    _resume_way("the steps are counted from 0 again, so the learning rate is that of a new run", start=0),
    _resume_way("the learning rate does not fall with the step", rate=lambda lr, step: lr),
    _resume_way(
        "the learning rate is a step ahead; the first step of a run has the whole `lr`",
        rate=lambda lr, step: lr / (2 + step),
    ),
    _resume_way("the steps go away from the rows", sign=-1.0),
    _resume_way("the step that you return is the one that you were given", stale=("step",)),
    _resume_way("the velocity that you return is the one that you were given", stale=("velocity",)),
    _resume_way("the generator's state that you return is the one that you were given", stale=("generator",)),
    WrongWay(
        "you count this call's steps alone; the next call needs those of the whole run",
        lambda checkpoint, data, steps, lr, beta: _trained(checkpoint, data, steps, lr, beta) | {"step": steps},
    ),
)
