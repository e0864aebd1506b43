"""The mistakes that students make in the fine-tuning lab, each computed from the same inputs as the answer.

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

IGNORED = -100

# --- label_numbers ---

_UNSEEN = "a label that training never saw gets a number and goes on as if it were one"


def _numbered(order: Callable[[list[str]], list[str]]) -> Callable[[list[str], list[str]], list[int]]:
    return lambda labels, names: [order(labels).index(label) for label in labels]


def _filled(fill: Callable[[list[str]], int]) -> Callable[[list[str], list[str]], list[int]]:
    return lambda labels, names: [names.index(label) if label in names else fill(names) for label in labels]


LABEL_NUMBERS = (
    WrongWay(
        "a label that training never saw is left out, and the others no longer stand beside their texts",
        lambda labels, names: [names.index(label) for label in labels if label in names],
    ),
    WrongWay(_UNSEEN, _filled(lambda names: -1)),
    WrongWay(_UNSEEN, _filled(lambda names: IGNORED)),
    WrongWay(_UNSEEN, _filled(lambda names: 0)),
    WrongWay(_UNSEEN, _filled(len)),
    WrongWay(
        "the numbers come from these labels and not from the `names` of training, so they change from file to file",
        _numbered(lambda labels: sorted(set(labels))),
    ),
    WrongWay(
        "a label's number depends on which comes first in this list; `names` decides it",
        _numbered(lambda labels: list(dict.fromkeys(labels))),
    ),
    WrongWay(
        "`names` is put into another order; the label of class 0 stands first, whatever the alphabet says",
        lambda labels, names: [sorted(names).index(label) for label in labels],
    ),
    WrongWay(
        "classes are counted from 1; the first row of scores is number 0",
        lambda labels, names: [names.index(label) + 1 for label in labels],
    ),
    WrongWay(
        "you return rows of zeros and a one; a loss wants the number of the class",
        lambda labels, names: [[int(name == label) for name in names] for label in labels],
    ),
    WrongWay("these are the labels themselves; a loss cannot count with texts", lambda labels, names: list(labels)),
    WrongWay(
        "you return where each name stands among the labels, which is the other way round",
        lambda labels, names: [labels.index(name) if name in labels else -1 for name in names],
    ),
)

# --- mean_of_tokens ---


def _masked(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    return hidden * attention_mask[..., None]


def _front(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    lengths = attention_mask.sum(1).tolist()
    return torch.stack([row[:length].mean(0) for row, length in zip(hidden, lengths, strict=True)])


MEAN_OF_TOKENS = (
    WrongWay("padding counts as if it were tokens", lambda hidden, mask: hidden.mean(1)),
    WrongWay(
        "the sum is right, and it is divided by the length of the row, not by the number of tokens",
        lambda hidden, mask: _masked(hidden, mask).mean(1),
    ),
    WrongWay("this is the sum of the tokens and not their mean", lambda hidden, mask: _masked(hidden, mask).sum(1)),
    WrongWay(
        "tokens and padding are added, and the sum is divided by the number of tokens",
        lambda hidden, mask: hidden.sum(1) / mask.sum(1, keepdim=True),
    ),
    WrongWay(
        "the mask is read the wrong way round; 1 is a token",
        lambda hidden, mask: _masked(hidden, 1 - mask).sum(1) / (1 - mask).sum(1, keepdim=True),
    ),
    WrongWay("this is the first token's vector", lambda hidden, mask: hidden[:, 0]),
    WrongWay("this is the last place's vector", lambda hidden, mask: hidden[:, -1]),
    WrongWay(
        "this is the largest of each feature and not the mean",
        lambda hidden, mask: hidden.masked_fill(mask[..., None] == 0, -math.inf).amax(1),
    ),
    WrongWay(
        "all texts are divided by one number of tokens; each has its own",
        lambda hidden, mask: _masked(hidden, mask).sum(1) * len(mask) / mask.sum(),
    ),
    WrongWay(
        "every text is divided by the number of tokens of all together",
        lambda hidden, mask: _masked(hidden, mask).sum(1) / mask.sum(),
    ),
    WrongWay(
        "the sum is divided by the root of the number of tokens",
        lambda hidden, mask: _masked(hidden, mask).sum(1) / mask.sum(1, keepdim=True).to(hidden.dtype).sqrt(),
    ),
    WrongWay("you take as many places from the front as there are tokens; the padding may stand there", _front),
    WrongWay(
        "the first token is left out",
        lambda hidden, mask: _masked(hidden, mask)[:, 1:].sum(1) / mask[:, 1:].sum(1, keepdim=True),
    ),
)

# --- weighted_loss ---

MINUS_HUNDRED = "-100 stands for no label at all; leave those examples out before you look anything up"


def _surprise(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none", ignore_index=IGNORED)


def _loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    *,
    surprise: Callable[[Tensor, Tensor], Tensor] = _surprise,
    weigh: Callable[..., Tensor] = lambda weights, labels, logits: weights[labels],
    divisor: Callable[..., Any] = lambda chosen, weights, counted: chosen.sum(),
    clamp: bool = False,
) -> Tensor:
    """Average the surprise, with one part of it replaceable."""
    counted = labels != IGNORED
    kept = torch.ones_like(counted) if clamp else counted
    logits, labels = logits[kept], labels[kept].clamp(min=0)
    chosen = weigh(weights, labels, logits)
    return (chosen * surprise(logits, labels)).sum() / divisor(chosen, weights, counted)


def _loss_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _loss(*args, **changes))


def _at(values: Tensor, labels: Tensor) -> Tensor:
    return values.gather(1, labels[:, None])[:, 0]


def _by_hand(logits: Tensor, labels: Tensor) -> Tensor:
    exponentials = logits.exp()
    return -_at(exponentials / exponentials.sum(1, keepdim=True), labels).log()


_TOO_SMALL = "a probability has become 0, or an exponential infinite, before its logarithm was taken"

WEIGHTED_LOSS = (
    _loss_way("an example without a label counts as one of class 0", clamp=True),
    _loss_way("the weights are not used", weigh=lambda weights, labels, logits: torch.ones_like(logits[:, 0])),
    _loss_way(
        "the sum is divided by the number of examples, and not by what they weigh",
        divisor=lambda chosen, weights, counted: counted.sum(),
    ),
    _loss_way(
        "the sum is divided by the weights of the classes, and not of the examples",
        divisor=lambda chosen, weights, counted: weights.sum(),
    ),
    _loss_way("the sum is divided by the number of classes", divisor=lambda chosen, weights, counted: len(weights)),
    _loss_way("the sum is not divided by what the examples weigh", divisor=lambda chosen, weights, counted: 1.0),
    _loss_way(
        "each example is weighed by the class that the model prefers, and not by its own",
        weigh=lambda weights, labels, logits: weights[logits.argmax(1)],
    ),
    _loss_way(
        "you divide by the weight of a class where you should multiply",
        weigh=lambda weights, labels, logits: 1 / weights[labels],
    ),
    _loss_way(
        "the sign is wrong: the loss falls as the right class becomes less likely",
        surprise=lambda logits, labels: -_surprise(logits, labels),
    ),
    _loss_way(
        "softmax is applied twice; what is inside has applied it already",
        surprise=lambda logits, labels: _surprise(logits.softmax(1), labels),
    ),
    _loss_way(
        "the logarithm is missing; 1 minus the probability is no surprise",
        surprise=lambda logits, labels: 1 - _at(logits.softmax(1), labels),
    ),
    _loss_way(
        "the scores are taken for logarithms of probabilities; they have not been through a softmax",
        surprise=lambda logits, labels: -_at(logits, labels),
    ),
    WrongWay(
        "the weights multiply the scores and not the losses",
        lambda logits, labels, weights: F.cross_entropy(logits * weights, labels),
    ),
    _loss_way(_TOO_SMALL, surprise=lambda logits, labels: -_at(logits.softmax(1).log(), labels)),
    _loss_way(_TOO_SMALL, surprise=_by_hand),
)
# --- layer_rates ---


def _block(name: str) -> int | None:
    parts = name.split(".")
    return int(parts[3]) if name.startswith("body.encoder.blocks.") else None


def _rates(
    names: list[str],
    n_blocks: int,
    rate: float,
    decay: float,
    head_rate: float,
    *,
    depth: Callable[[int, int], int] = lambda i, n: n - 1 - i,
    bottom: Callable[[int], int] = lambda n: n,
    power: Callable[[float, int], float] = lambda decay, times: decay**times,
    head: Callable[[float, float, float], float] = lambda head_rate, rate, decay: head_rate,
    number: Callable[[str], int | None] = _block,
) -> dict[str, float]:
    """Give the rates, with one part of it replaceable."""
    rates = {}
    for name in names:
        block = number(name)
        if name.startswith("head."):
            rates[name] = head(head_rate, rate, decay)
        elif block is None:
            rates[name] = rate * power(decay, bottom(n_blocks))
        else:
            rates[name] = rate * power(decay, depth(block, n_blocks))
    return rates


def _rates_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _rates(*args, **changes))


def _left_out(*args: Any, without: Callable[[str], bool]) -> dict[str, float]:
    return {name: rate for name, rate in _rates(*args).items() if not without(name)}


def _first_digit(name: str) -> int | None:
    block = _block(name)
    return None if block is None else int(str(block)[0])


LAYER_RATES = (
    WrongWay(
        "the head is not among them, so the optimizer never gets it and it stays as random as it began",
        lambda *args: _left_out(*args, without=lambda name: name.startswith("head.")),
    ),
    WrongWay(
        "the embeddings are not among them, so they are frozen",
        lambda *args: _left_out(*args, without=lambda name: "embedding" in name),
    ),
    WrongWay(
        "biases are not among them, so they are frozen",
        lambda *args: _left_out(*args, without=lambda name: name.endswith("bias")),
    ),
    _rates_way("the head gets the rate of the topmost block", head=lambda head_rate, rate, decay: rate),
    _rates_way("the head gets the two rates multiplied", head=lambda head_rate, rate, decay: head_rate * rate),
    _rates_way("the head's rate decays, too", head=lambda head_rate, rate, decay: head_rate * decay),
    _rates_way("the blocks are in the wrong order; block 0 is next to the embeddings", depth=lambda i, n: i),
    _rates_way(
        "the topmost block has been multiplied by `decay` already; it gets `rate` itself",
        depth=lambda i, n: n - i,
        bottom=lambda n: n + 1,
    ),
    _rates_way("the embeddings get the rate of block 0; they are one step further down", bottom=lambda n: n - 1),
    _rates_way("the embeddings are two steps below block 0", bottom=lambda n: n + 1),
    _rates_way("the embeddings get the rate of the topmost block", bottom=lambda n: 0),
    _rates_way(
        "the rates go down by equal steps; each block multiplies once more",
        power=lambda decay, times: 1 - (1 - decay) * times,
    ),
    _rates_way("`decay` is not used", power=lambda decay, times: 1.0),
    _rates_way("the rates grow towards the bottom", power=lambda decay, times: decay**-times),
    _rates_way("block 10 and block 1 get the same rate; read the whole number", number=_first_digit),
)

# --- align_tags ---

TAGS_BY_PIECE = "`tags` has one element for each word, and you look it up by the number of the piece"


def _aligned(
    words: list[int],
    tags: list[int],
    *,
    later: Callable[[int], int] = lambda tag: IGNORED,
    special: Callable[[list[int]], int] = lambda tags: IGNORED,
    begins: Callable[..., bool] = lambda words, tags, i: i == 0 or words[i] != words[i - 1],
) -> list[int]:
    """Put tags at pieces, with one part of it replaceable."""
    labels = []
    for i, word in enumerate(words):
        if word < 0:
            labels.append(special(tags))
        else:
            labels.append(tags[word] if begins(words, tags, i) else later(tags[word]))
    return labels


def _align_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _aligned(*args, **changes))


def _is_last(words: list[int], tags: list[int], i: int) -> bool:
    return i + 1 == len(words) or words[i] != words[i + 1]


def _new_tag(words: list[int], tags: list[int], i: int) -> bool:
    return i == 0 or words[i - 1] < 0 or tags[words[i]] != tags[words[i - 1]]


def _in_order(words: list[int], tags: list[int]) -> list[int]:
    return (tags + [IGNORED] * len(words))[: len(words)]


ALIGN_TAGS = (
    _align_way("every piece has its word's tag; only the first piece of a word should", later=lambda tag: tag),
    _align_way("the tag stands at a word's last piece", begins=_is_last),
    _align_way(
        "the later pieces of a word get tag 0, which is a tag like others; the loss should ignore them",
        later=lambda tag: 0,
    ),
    _align_way(
        "special tokens get tag 0, which is a tag like others; the loss should ignore them", special=lambda tags: 0
    ),
    _align_way(
        "special tokens have the word number -1, and `tags[-1]` is the last word's tag", special=lambda tags: tags[-1]
    ),
    WrongWay(
        "neither tags nor anything else stand in for special tokens and padding: the labels are too few",
        lambda words, tags: [tag for word, tag in zip(words, _aligned(words, tags), strict=True) if word >= 0],
    ),
    _align_way("a word with the same tag as the one before it has lost its own; compare the words", begins=_new_tag),
    WrongWay("the labels are one place too far to the left", lambda words, tags: [*_aligned(words, tags)[1:], IGNORED]),
    WrongWay(
        "the labels are one place too far to the right", lambda words, tags: [IGNORED, *_aligned(words, tags)[:-1]]
    ),
    WrongWay("the tags stand in their own order, as if each piece were a word", _in_order),
    WrongWay(
        "the tags stand in their own order, as if each piece behind the first were a word",
        lambda words, tags: [IGNORED, *_in_order(words, tags)[:-1]],
    ),
    WrongWay(
        "what is to be ignored has -1; the losses ignore -100",
        lambda words, tags: [-1 if label == IGNORED else label for label in _aligned(words, tags)],
    ),
    WrongWay("there is one label for each word; there must be one for each piece", lambda words, tags: list(tags)),
)

# --- best_span ---

Pair = tuple[int, int]


def _spans(
    first: Tensor,
    last: Tensor,
    is_context: Tensor,
    longest: int,
    *,
    allowed: Callable[..., bool] = lambda i, j, inside, longest: inside[i] and inside[j] and i <= j < i + longest,
    score: Callable[[Tensor, Tensor], Tensor] = torch.add,
) -> Pair:
    """Choose the best pair of those allowed, with one part of it replaceable."""
    inside = is_context.bool().tolist()
    places = range(len(inside))
    kept = [(i, j) for i in places for j in places if allowed(i, j, inside, longest)]
    return max(kept, key=lambda pair: float(score(first[pair[0]], last[pair[1]])))


def _span_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _spans(*args, **changes))


def _inside(scores: Tensor, is_context: Tensor) -> Tensor:
    return scores.masked_fill(is_context == 0, -math.inf)


def _alone(first: Tensor, last: Tensor, is_context: Tensor, longest: int) -> Pair:
    return int(_inside(first, is_context).argmax()), int(_inside(last, is_context).argmax())


def _from_first(first: Tensor, last: Tensor, is_context: Tensor, longest: int) -> Pair:
    i = int(_inside(first, is_context).argmax())
    return i, i + int(_inside(last, is_context)[i : i + longest].argmax())


def _from_last(first: Tensor, last: Tensor, is_context: Tensor, longest: int) -> Pair:
    j = int(_inside(last, is_context).argmax())
    start = max(0, j - longest + 1)
    return start + int(_inside(first, is_context)[start : j + 1].argmax()), j


def _sorted_pair(*args: Any) -> Pair:
    low, high = sorted(_alone(*args))
    return low, high


BEST_SPAN = (
    WrongWay("the two ends are chosen one by one, and need not belong together", _alone),
    WrongWay(
        "the beginning is chosen first and holds whatever end is left; the best sum may have another", _from_first
    ),
    WrongWay("the end is chosen first and holds whatever beginning is left; the best sum may have another", _from_last),
    WrongWay("the two best are put into order; together they are not the best stretch", _sorted_pair),
    _span_way(
        "the answer may be too long; `longest` is not used",
        allowed=lambda i, j, inside, longest: inside[i] and inside[j] and i <= j,
    ),
    _span_way(
        "one token too many is allowed; `longest` counts both ends",
        allowed=lambda i, j, inside, longest: inside[i] and inside[j] and i <= j <= i + longest,
    ),
    _span_way(
        "one token too few is allowed; `longest` counts both ends",
        allowed=lambda i, j, inside, longest: inside[i] and inside[j] and i <= j < i + longest - 1,
    ),
    _span_way(
        "an answer of a single token is not allowed",
        allowed=lambda i, j, inside, longest: inside[i] and inside[j] and i < j < i + longest,
    ),
    _span_way(
        "the answer lies outside the text; `is_context` is not used",
        allowed=lambda i, j, inside, longest: i <= j < i + longest,
    ),
    _span_way(
        "the answer's end may lie outside the text",
        allowed=lambda i, j, inside, longest: inside[i] and i <= j < i + longest,
    ),
    _span_way(
        "the answer's beginning may lie outside the text",
        allowed=lambda i, j, inside, longest: inside[j] and i <= j < i + longest,
    ),
    WrongWay(
        "a score of 0 is not the lowest there is, so it hides nothing where all scores are negative",
        lambda first, last, is_context, longest: _spans(first * is_context, last * is_context, is_context + 1, longest),
    ),
    _span_way("the scores are multiplied; they are logarithms, up to a constant, and add up", score=torch.mul),
    WrongWay(
        "the two ends are counted from the beginning of the text, and not of the tokens",
        lambda first, last, is_context, longest: tuple(
            place - int(is_context.argmax()) for place in _spans(first, last, is_context, longest)
        ),
    ),
    WrongWay(
        "the end is one behind the last token, as in a slice; return the token itself",
        lambda *args: (_spans(*args)[0], _spans(*args)[1] + 1),
    ),
    WrongWay(
        "the two score vectors have changed places",
        lambda first, last, is_context, longest: _spans(last, first, is_context, longest),
    ),
)

# --- train_head ---


def _trained(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    batches: list[list[int]],
    lr: float,
    *,
    choose: Callable[..., tuple[Tensor, Tensor]] = lambda features, labels, rows: (features[rows], labels[rows]),
    error: Callable[..., Tensor] = lambda chances, labels: chances - F.one_hot(labels, chances.shape[1]),
    divisor: Callable[[int], float] = float,
    sums_up: bool = False,
    trains: tuple[bool, bool] = (True, True),
    restarts: bool = False,
    after: bool = False,
    shown: Callable[[Tensor], float] = lambda losses: float(losses.mean()),
) -> tuple[Tensor, Tensor, list[float]]:
    """Train by the formula of the gradient, with one part of it replaceable."""
    w, b = weight, bias
    total_w, total_b = torch.zeros_like(weight), torch.zeros_like(bias)
    losses = []
    for rows in batches:
        x, y = choose(features, labels, rows)
        if restarts:
            w, b = weight, bias
        logits = x @ w.T + b
        wrong = error(logits.softmax(1), y) / divisor(len(x))
        gradient_w, gradient_b = wrong.T @ x, wrong.sum(0)
        total_w, total_b = total_w + gradient_w, total_b + gradient_b
        used = (total_w, total_b) if sums_up else (gradient_w, gradient_b)
        w, b = w - lr * trains[0] * used[0], b - lr * trains[1] * used[1]
        seen = x @ w.T + b if after else logits
        losses.append(shown(F.cross_entropy(seen, y, reduction="none")))
    return w, b, losses


def _train_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _trained(*args, **changes))


def _twice(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, batches: list[list[int]], lr: float) -> Any:
    """Train with the softmax of a softmax."""
    losses = []
    with torch.enable_grad():
        for rows in batches:
            w, b = weight.detach().requires_grad_(), bias.detach().requires_grad_()
            loss = F.cross_entropy((features[rows] @ w.T + b).softmax(1), labels[rows])
            by_w, by_b = torch.autograd.grad(loss, (w, b))
            weight, bias = (w - lr * by_w).detach(), (b - lr * by_b).detach()
            losses.append(loss.item())
    return weight, bias, losses


def _with_batches(change: Callable[[list[list[int]]], list[list[int]]]) -> Callable[..., Any]:
    return lambda features, labels, weight, bias, batches, lr: _trained(
        features, labels, weight, bias, change(batches), lr
    )


TRAIN_HEAD = (
    _train_way("the gradients of earlier steps are still there and are added; they must be cleared", sums_up=True),
    _train_way("the bias is not trained", trains=(True, False)),
    _train_way("only the bias is trained", trains=(False, True)),
    _train_way("nothing is trained", trains=(False, False)),
    _train_way("every step goes uphill", error=lambda chances, y: F.one_hot(y, chances.shape[1]) - chances),
    _train_way("the gradient is that of the sum over a batch; it should be that of the mean", divisor=lambda n: 1.0),
    _train_way("the gradient is right, but the losses are sums over a batch", shown=lambda losses: float(losses.sum())),
    _train_way("the losses are measured after the steps; each should be the one its step started from", after=True),
    _train_way(
        "every step uses all rows; a step has its own batch", choose=lambda features, labels, rows: (features, labels)
    ),
    _train_way(
        "the labels are not those of the batch's rows",
        choose=lambda features, labels, rows: (features[rows], labels[: len(rows)]),
    ),
    _train_way("every step starts again from the weights that were given", restarts=True),
    WrongWay("only the first batch is used", _with_batches(lambda batches: batches[:1])),
    WrongWay("only the last batch is used", _with_batches(lambda batches: batches[-1:])),
    WrongWay("softmax is applied twice; what is inside has applied it already", _twice),
)

# --- calibration_error ---


def _gaps(
    probabilities: Tensor,
    labels: Tensor,
    n_bins: int,
    *,
    sure: Callable[[Tensor, Tensor], Tensor] = lambda p, y: p.max(1).values,
    hit: Callable[[Tensor, Tensor], Tensor] = lambda p, y: p.argmax(1) == y,
    promise: Callable[..., float] = lambda confidences, number, n_bins: float(confidences.mean()),
    gap: Callable[[float], float] = abs,
    total: Callable[[list[float], list[int]], float] = lambda gaps, sizes: (
        sum(g * n for g, n in zip(gaps, sizes, strict=True)) / sum(sizes)
    ),
) -> float:
    """Compare promise and result bin by bin, with one part of it replaceable."""
    confidence, right = sure(probabilities, labels).double(), hit(probabilities, labels).double()
    numbers = (confidence * n_bins).ceil().long()
    gaps, sizes = [], []
    for number in sorted(set(numbers.tolist())):
        inside = numbers == number
        promised = promise(confidence[inside], number, n_bins)
        gaps.append(gap(promised - float(right[inside].mean())))
        sizes.append(int(inside.sum()))
    return total(gaps, sizes)


def _gap_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _gaps(*args, **changes))


def _all_bins(empty: float) -> Callable[[Tensor, Tensor, int], float]:
    """Take the mean of a list that has an element for empty bins, too."""
    return lambda probabilities, labels, n_bins: _gaps(
        probabilities, labels, n_bins, total=lambda gaps, sizes: (sum(gaps) + empty * (n_bins - len(gaps))) / n_bins
    )


_CANCEL = "being too sure in one bin makes up for being too modest in another; each bin's gap counts as it is"
_ALIKE = "a bin of one example counts as much as a bin of a hundred"
_BINS = "`n_bins` is not used"

CALIBRATION_ERROR = (
    _gap_way(_CANCEL, gap=lambda gap: gap),
    WrongWay(_CANCEL, lambda *args: abs(_gaps(*args, gap=lambda gap: gap))),
    _gap_way(_ALIKE, total=lambda gaps, sizes: sum(gaps) / len(gaps)),
    WrongWay(_ALIKE, _all_bins(0.0)),
    WrongWay("an empty bin has no mean: 0 divided by 0 is NaN", lambda *args: math.nan),
    _gap_way("the gaps are added up as if each bin held all examples", total=lambda gaps, sizes: sum(gaps)),
    _gap_way("this is the largest gap and not the mean", total=lambda gaps, sizes: max(gaps)),
    _gap_way("the gaps are squared", gap=lambda gap: gap * gap),
    _gap_way(
        "a bin's promise is the mean probability of what fell into it, and you take the middle of the bin",
        promise=lambda confidences, number, n_bins: (number - 0.5) / n_bins,
    ),
    _gap_way(
        "you take the probability of the right class; nobody knows it when the model is used",
        sure=lambda p, y: p.gather(1, y[:, None])[:, 0],
    ),
    _gap_way("you take the probability of class 1; here it is that of the predicted class", sure=lambda p, y: p[:, 1]),
    WrongWay(
        "each example is compared by itself, but one example is right or wrong and never to 80 percent",
        lambda p, y, n_bins: float((p.max(1).values.double() - (p.argmax(1) == y).double()).abs().mean()),
    ),
    _gap_way("wrong answers are counted as right ones", hit=lambda p, y: p.argmax(1) != y),
    WrongWay(_BINS, lambda p, y, n_bins: _gaps(p, y, 10)),
    WrongWay(_BINS, lambda p, y, n_bins: _gaps(p, y, 15)),
)

# --- mcnemar_test ---

Words = list[str]


def _hits(labels: Words, one: Words) -> list[bool]:
    return [a == b for a, b in zip(labels, one, strict=True)]


def _binomial(n: int, k: int) -> float:
    return math.comb(n, k) / 2**n


def _two_sided(first: int, second: int) -> float:
    n, k = first + second, min(first, second)
    return min(1.0, 2 * sum(_binomial(n, i) for i in range(k + 1)))


def _tested(
    labels: Words,
    first: Words,
    second: Words,
    *,
    pairs: Callable[[bool, bool], tuple[bool, bool]] = lambda a, b: (a and not b, b and not a),
    p: Callable[[int, int], float] = _two_sided,
) -> tuple[int, int, float]:
    """Count and test, with one part of it replaceable."""
    counted = [pairs(a, b) for a, b in zip(_hits(labels, first), _hits(labels, second), strict=True)]
    only_first, only_second = sum(a for a, _ in counted), sum(b for _, b in counted)
    return only_first, only_second, p(only_first, only_second)


def _test_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _tested(*args, **changes))


def _chi_squared(first: int, second: int, less: float) -> float:
    if first == second == 0:
        return 1.0
    value = max(0.0, abs(first - second) - less) ** 2 / (first + second)
    return math.erfc(math.sqrt(value / 2))


def _below(n: int, k: int) -> float:
    return sum(_binomial(n, i) for i in range(k + 1))


_APPROXIMATE = "this is the chi-squared approximation; with so few disagreements count the coin tosses themselves"

MCNEMAR_TEST = (
    _test_way("the two counts have changed places", pairs=lambda a, b: (b and not a, a and not b)),
    _test_way(
        "examples that both have right are counted, and they say nothing about a difference", pairs=lambda a, b: (a, b)
    ),
    _test_way(
        "you count where each is wrong, the examples that both have wrong too", pairs=lambda a, b: (not a, not b)
    ),
    _test_way(
        "only one direction is counted; chance might have favoured the other one, too",
        p=lambda b, c: _below(b + c, min(b, c)),
    ),
    _test_way(
        "this is how likely these very counts are; more unequal ones count, too",
        p=lambda b, c: min(1.0, 2 * _binomial(b + c, b)),
    ),
    _test_way(
        "this is how likely these very counts are; more unequal ones count, too", p=lambda b, c: _binomial(b + c, b)
    ),
    _test_way(
        "more unequal counts are counted, and these very ones are not",
        p=lambda b, c: min(1.0, 2 * _below(b + c, min(b, c) - 1)),
    ),
    _test_way(
        "you add up to the larger count, which nearly all rows of tosses reach",
        p=lambda b, c: min(1.0, _below(b + c, max(b, c))),
    ),
    _test_way(
        "you add up to the larger count, which nearly all rows of tosses reach",
        p=lambda b, c: min(1.0, 2 * _below(b + c, max(b, c))),
    ),
    _test_way(_APPROXIMATE, p=lambda b, c: _chi_squared(b, c, 0.0)),
    _test_way(_APPROXIMATE, p=lambda b, c: _chi_squared(b, c, 1.0)),
    _test_way(
        "two classifiers that never differ give no reason to doubt chance",
        p=lambda b, c: _two_sided(b, c) if b + c else 0.0,
    ),
    _test_way(
        "this is 1 minus the p-value, which is small where chance seldom does such a thing",
        p=lambda b, c: 1 - _two_sided(b, c),
    ),
    _test_way("a probability is above 1", p=lambda b, c: 2 * _below(b + c, min(b, c))),
)
