"""The mistakes that students make in the embeddings lab, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.spec import WrongWay


def pairs(words: list[str], offsets: Callable[[int], Sequence[int]], positions: range | None = None) -> list[tuple]:
    """Pair the word at each position i with those at i + offset, where there is one: `offsets(i)` in their order."""
    found = []
    for i in positions if positions is not None else range(len(words)):
        found += [(words[i], words[i + o]) for o in offsets(i) if 0 <= i + o < len(words)]
    return found


def around(window: int) -> list[int]:
    """Give the offsets of a window's words, left to right."""
    return [*range(-window, 0), *range(1, window + 1)]


def _wrapped(words: list[str], window: int) -> list[tuple]:
    """Count negative positions from the end, as Python does."""
    return [(words[i], words[i + o]) for i in range(len(words)) for o in around(window) if i + o < len(words)]


SKIP_GRAM_PAIRS = (
    WrongWay(
        "each word is paired with itself too",
        lambda words, window: pairs(words, lambda i: range(-window, window + 1)),
    ),
    WrongWay(
        "a neighbour that is the same word is left out; leave out the position, not the word",
        lambda words, window: [pair for pair in pairs(words, lambda i: around(window)) if pair[0] != pair[1]],
    ),
    WrongWay(
        "a pair that comes twice is listed once; how often it comes is what the vectors learn from",
        lambda words, window: list(dict.fromkeys(pairs(words, lambda i: around(window)))),
    ),
    WrongWay(
        "only the words after the centre are listed; a window has two sides",
        lambda words, window: pairs(words, lambda i: range(1, window + 1)),
    ),
    WrongWay(
        "only the words before the centre are listed; a window has two sides",
        lambda words, window: pairs(words, lambda i: range(-window, 0)),
    ),
    WrongWay(
        "the last word on the right of the window is missing; where does `range` stop?",
        lambda words, window: pairs(words, lambda i: around(window)[:-1]),
    ),
    WrongWay(
        "`window` counts the words on each side, not those on both sides together",
        lambda words, window: pairs(words, lambda i: around(window // 2)),
    ),
    WrongWay(
        "the words near the edges of the text are not used as centres; they have fewer neighbours, not none",
        lambda words, window: pairs(words, lambda i: around(window), range(window, len(words) - window)),
    ),
    WrongWay("at the start of the text, negative positions count from its end in Python", _wrapped),
    WrongWay(
        "the neighbour stands before the centre in your pairs",
        lambda words, window: [(near, centre) for centre, near in pairs(words, lambda i: around(window))],
    ),
    WrongWay(
        "only the words exactly `window` away are listed; nearer ones belong to it too",
        lambda words, window: pairs(words, lambda i: (-window, window)),
    ),
    WrongWay(
        "the pairs are right and their order is not: the neighbours of a word come left to right",
        lambda words, window: pairs(words, lambda i: [o for d in range(1, window + 1) for o in (-d, d)]),
    ),
    WrongWay(
        "the pairs are right and their order is not: all pairs of the first word come first",
        lambda words, window: [pair for o in around(window) for pair in pairs(words, lambda i, o=o: (o,))],
    ),
    WrongWay(
        "there is one item for each word; there must be one for each word and neighbour",
        lambda words, window: [
            (word, [near for _, near in pairs(words, lambda i: around(window), range(i, i + 1))])
            for i, word in enumerate(words)
        ],
    ),
)


def _scores(centre: Tensor, context: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    return (centre * context).sum(-1), (negatives @ centre[..., None])[..., 0]


def _sampled(
    centre: Tensor,
    context: Tensor,
    negatives: Tensor,
    *,
    scores: Callable[..., tuple[Tensor, Tensor]] = _scores,
    log_sigmoid: Callable[[Tensor], Tensor] = F.logsigmoid,
    signs: tuple[int, int] = (1, -1),
    over_negatives: Callable[[Tensor, int], Tensor] = torch.sum,
    over_batch: Callable[[Tensor], Tensor] = torch.mean,
    parts: tuple[int, int] = (1, 1),
) -> Tensor:
    """Sum the loss by the formula, with one part of it replaceable: the wrong ways are made from this."""
    true, drawn = scores(centre, context, negatives)
    true, drawn = log_sigmoid(signs[0] * true), over_negatives(log_sigmoid(signs[1] * drawn), -1)
    return -over_batch(parts[0] * true + parts[1] * drawn)


def _cosine_scores(centre: Tensor, context: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    return _scores(*(F.normalize(each, dim=-1) for each in (centre, context, negatives)))


def _softmax_over_candidates(centre: Tensor, context: Tensor, negatives: Tensor) -> Tensor:
    true, drawn = _scores(centre, context, negatives)
    return -F.log_softmax(torch.cat((true[:, None], drawn), -1), -1)[:, 0].mean()


NEGATIVE_SAMPLING_LOSS = (
    WrongWay(
        "a sigmoid that rounds to 0 has the logarithm -inf; the two steps taken together need not overflow",
        lambda *args: _sampled(*args, log_sigmoid=lambda x: x.sigmoid().log()),
    ),
    *(
        WrongWay(
            "the small number that you add inside the logarithm puts a ceiling on the loss; the logarithm of a sigmoid "
            "can be had without it",
            lambda *args, small=small: _sampled(*args, log_sigmoid=lambda x: (x.sigmoid() + small).log()),
        )
        for small in (1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
    ),
    WrongWay(
        "the negatives are treated as true neighbours; their scores should fall",
        lambda *args: _sampled(*args, signs=(1, 1)),
    ),
    WrongWay(
        "the signs are exchanged: the true pair is pushed apart and the negatives pulled together",
        lambda *args: _sampled(*args, signs=(-1, 1)),
    ),
    WrongWay("this is the quantity to make large; a loss is made small", lambda *args: -_sampled(*args)),
    WrongWay(
        "the negatives of a pair are averaged; the formula adds them up",
        lambda *args: _sampled(*args, over_negatives=torch.mean),
    ),
    WrongWay(
        "the pairs of the batch are added up; take their mean, so that the loss does not grow with the batch",
        lambda *args: _sampled(*args, over_batch=torch.sum),
    ),
    WrongWay(
        "the loss is divided by the number of words scored; divide by the number of pairs",
        lambda centre, context, negatives: _sampled(centre, context, negatives) / (1 + negatives.shape[1]),
    ),
    WrongWay(
        "there is one loss for each pair; return their mean", lambda *args: _sampled(*args, over_batch=lambda x: x)
    ),
    WrongWay("the negatives are left out", lambda *args: _sampled(*args, parts=(1, 0))),
    WrongWay("the true neighbour is left out", lambda *args: _sampled(*args, parts=(0, 1))),
    WrongWay("the words compete in a softmax; here each is a yes-or-no question of its own", _softmax_over_candidates),
    WrongWay(
        "these are probabilities; take their logarithms", lambda *args: _sampled(*args, log_sigmoid=torch.sigmoid)
    ),
    WrongWay(
        "the scores are cosines; here a score is the dot product, and a vector may grow",
        lambda *args: _sampled(*args, scores=_cosine_scores),
    ),
    WrongWay(
        "the negatives are compared with the true neighbour; compare them with the centre",
        lambda centre, context, negatives: _sampled(
            centre,
            context,
            negatives,
            scores=lambda *each: (_scores(*each)[0], _scores(context, context, negatives)[1]),
        ),
    ),
)


def counted(
    ids: Tensor,
    vocab_size: int,
    distances: Sequence[int],
    *,
    weight: Callable[[int], float] = lambda d: 1 / d,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Count the words that follow a word at some distances; the counts of both sides are this and its transpose."""
    counts = torch.zeros(vocab_size, vocab_size, dtype=dtype)
    for d in distances:
        here = ids[: max(len(ids) - d, 0)], ids[d:]
        counts.index_put_(here, torch.tensor(weight(d), dtype=dtype), accumulate=True)
    return counts


def both_sides(ids: Tensor, vocab_size: int, window: int, **fault: Any) -> Tensor:
    """Count by the definition, with one part of it replaceable."""
    after = counted(ids, vocab_size, range(1, window + 1), **fault)
    return after + after.T


def _without_repeats(ids: Tensor, vocab_size: int, window: int) -> Tensor:
    """Add to several entries in one statement, which counts a pair that comes twice once."""
    counts = torch.zeros(vocab_size, vocab_size)
    for d in range(1, window + 1):
        first, second = ids[: max(len(ids) - d, 0)], ids[d:]
        counts[first, second] += 1 / d
        counts[second, first] += 1 / d
    return counts


def _rolled(ids: Tensor, vocab_size: int, window: int) -> Tensor:
    counts = torch.zeros(vocab_size, vocab_size)
    for d in range(1, window + 1):
        counts.index_put_((ids, ids.roll(-d)), torch.tensor(1 / d), accumulate=True)
    return counts + counts.T


COOCCURRENCE_MATRIX = (
    WrongWay(
        "every neighbour counts 1; one at distance d counts 1/d",
        lambda *args: both_sides(*args, weight=lambda d: 1.0),
    ),
    WrongWay(
        "a pair that comes twice at the same distance is counted once; `counts[i, j] += ...` writes each entry once",
        _without_repeats,
    ),
    WrongWay(
        "only the words after each word are counted; the words before it are near it too",
        lambda ids, vocab_size, window: counted(ids, vocab_size, range(1, window + 1)),
    ),
    WrongWay(
        "only the words before each word are counted; the words after it are near it too",
        lambda ids, vocab_size, window: counted(ids, vocab_size, range(1, window + 1)).T,
    ),
    WrongWay(
        "each pair is counted twice",
        lambda *args: 2 * both_sides(*args),
    ),
    WrongWay(
        "the farthest words of the window are missing; where does `range` stop?",
        lambda ids, vocab_size, window: both_sides(ids, vocab_size, window - 1),
    ),
    WrongWay(
        "words beyond the window are counted",
        lambda ids, vocab_size, window: both_sides(ids, vocab_size, window + 1),
    ),
    WrongWay(
        "the weight falls in equal steps to the window's edge; a neighbour at distance d counts 1/d",
        lambda ids, vocab_size, window: both_sides(ids, vocab_size, window, weight=lambda d: (window + 1 - d) / window),
    ),
    WrongWay(
        "the weight is one step too small; the next word is at distance 1",
        lambda *args: both_sides(*args, weight=lambda d: 1 / (d + 1)),
    ),
    WrongWay(
        "a word that stands next to itself is left out; its count belongs on the diagonal",
        lambda *args: both_sides(*args).fill_diagonal_(0),
    ),
    WrongWay(
        "each position is counted as its own neighbour, so the diagonal is too large",
        lambda ids, vocab_size, window: (
            both_sides(ids, vocab_size, window) + torch.bincount(ids, minlength=vocab_size).float().diag()
        ),
    ),
    WrongWay("the end of the text is joined to its beginning", _rolled),
    WrongWay(
        "the table ends at the largest id in the text; every word of the vocabulary has a row",
        lambda ids, vocab_size, window: both_sides(ids, int(ids.max()) + 1, window),
    ),
    WrongWay(
        "the rows are divided by their sums; return the counts",
        lambda *args: F.normalize(both_sides(*args), p=1.0, dim=-1),
    ),
)


def glove(
    w: Tensor,
    w_context: Tensor,
    b: Tensor,
    b_context: Tensor,
    counts: Tensor,
    x_max: float,
    alpha: float,
    *,
    weight: Callable[[Tensor, float, float], Tensor] = lambda x, x_max, alpha: (x / x_max).clamp(max=1) ** alpha,
    target: Callable[[Tensor], Tensor] = torch.log,
    products: Callable[[Tensor, Tensor], Tensor] = lambda w, w_context: w @ w_context.T,
    penalty: Callable[[Tensor, Tensor], Tensor] = lambda weight, error: weight * error**2,
    seen: Callable[[Tensor], Tensor] = lambda x: x > 0,
    reduce: Callable[[Tensor], Tensor] = torch.sum,
) -> Tensor:
    """Sum GloVe's loss by the formula, with one part of it replaceable."""
    at = seen(counts)
    x = counts[at]
    error = (products(w, w_context) + b[:, None] + b_context)[at] - target(x)
    return reduce(penalty(weight(x, x_max, alpha), error))


def _with_biases(*signs: int) -> Callable[..., Tensor]:
    return lambda w, w_context, b, b_context, *rest: glove(w, w_context, signs[0] * b, signs[1] * b_context, *rest)


def _with_logs_of_zero(*args: Any) -> Tensor:
    return glove(*args, seen=lambda x: x >= 0)


def _softmax(w: Tensor, w_context: Tensor, b: Tensor, b_context: Tensor, counts: Tensor, *rest: float) -> Tensor:
    return -(counts * F.log_softmax(w @ w_context.T + b[:, None] + b_context, -1)).sum()


def article_formula(w: Tensor, w_context: Tensor, counts: Tensor) -> Tensor:
    """Compute what article 001, section 4.1, calls GloVe: a softmax of cosines over the roots of the words' counts."""
    of_word = counts.sum(-1)
    cosines = F.normalize(w, dim=-1) @ F.normalize(w_context, dim=-1).T
    top = (cosines / (of_word[:, None] * of_word).sqrt()).exp()
    return top / (top / of_word).sum(-1, keepdim=True)


GLOVE_LOSS = (
    WrongWay(
        "the logarithm of a count of zero is -inf, and zero times it NaN; leave such pairs out", _with_logs_of_zero
    ),
    WrongWay(
        "the errors are not weighted, so a pair seen once counts as much as one seen a thousand times",
        lambda *args: glove(*args, weight=lambda x, x_max, alpha: torch.ones_like(x)),
    ),
    WrongWay(
        "the weight grows without end; from x_max on it is 1",
        lambda *args: glove(*args, weight=lambda x, x_max, alpha: (x / x_max) ** alpha),
    ),
    WrongWay(
        "the power alpha is missing from the weight",
        lambda *args: glove(*args, weight=lambda x, x_max, alpha: (x / x_max).clamp(max=1)),
    ),
    WrongWay(
        "the power is taken before dividing by x_max, so the weight jumps there",
        lambda *args: glove(*args, weight=lambda x, x_max, alpha: (x**alpha / x_max).clamp(max=1)),
    ),
    WrongWay(
        "only the counts below x_max are used; those above it weigh 1",
        lambda *args: glove(*args, weight=lambda x, x_max, alpha: (x / x_max) ** alpha * (x < x_max)),
    ),
    WrongWay(
        "these are errors from log(1 + count) over all pairs; GloVe uses log(count), and only pairs that were seen",
        lambda *args: glove(
            *args, target=torch.log1p, seen=lambda x: x >= 0, weight=lambda x, x_max, alpha: torch.ones_like(x)
        ),
    ),
    WrongWay(
        "the target is log(1 + count); pairs that were never seen are left out, so nothing needs the 1",
        lambda *args: glove(*args, target=torch.log1p),
    ),
    WrongWay(
        "the target is the count itself; GloVe fits its logarithm",
        lambda *args: glove(*args, target=lambda x: x),
    ),
    WrongWay("the logarithm is the natural one, not that of base 10", lambda *args: glove(*args, target=torch.log10)),
    WrongWay("the logarithm is the natural one, not that of base 2", lambda *args: glove(*args, target=torch.log2)),
    WrongWay(
        "this is the mean over the pairs seen; the loss is their sum", lambda *args: glove(*args, reduce=torch.mean)
    ),
    WrongWay("this is the mean over all pairs; the loss is a sum", lambda *args: glove(*args) / args[4].numel()),
    WrongWay("the loss is halved", lambda *args: glove(*args) / 2),
    WrongWay("there are no biases", _with_biases(0, 0)),
    WrongWay("the bias of the context word is missing", _with_biases(1, 0)),
    WrongWay("the bias of the word is missing", _with_biases(0, 1)),
    WrongWay(
        "the biases lie along the wrong axes; row i of the counts belongs to word i, column j to context word j",
        lambda w, w_context, b, b_context, *rest: glove(w, w_context, b_context, b, *rest),
    ),
    WrongWay(
        "word and context vectors have changed places; row i of the counts belongs to word i",
        lambda w, w_context, *rest: glove(w_context, w, *rest),
    ),
    WrongWay(
        "the context vectors are not used; a word's vector meets those of the context words",
        lambda w, w_context, *rest: glove(w, w, *rest),
    ),
    WrongWay(
        "the products are cosines; GloVe uses dot products, and a vector may grow",
        lambda *args: glove(
            *args, products=lambda w, w_context: F.normalize(w, dim=-1) @ F.normalize(w_context, dim=-1).T
        ),
    ),
    WrongWay(
        "the weight is squared with the error; it stands outside the square",
        lambda *args: glove(*args, penalty=lambda weight, error: (weight * error) ** 2),
    ),
    WrongWay(
        "the errors are not squared",
        lambda *args: glove(*args, penalty=lambda weight, error: weight * error.abs()),
    ),
    WrongWay(
        "the errors are not squared, so those of opposite sign cancel",
        lambda *args: glove(*args, penalty=lambda weight, error: weight * error),
    ),
    WrongWay(
        "the scores compete in a softmax over the vocabulary; GloVe fits each logarithm by itself and needs none",
        _softmax,
    ),
    WrongWay(
        "this is built on the formula of article 001, which is not GloVe's: it compares cosines in a kind of softmax "
        "and fits no logarithm of a count",
        lambda w, w_context, b, b_context, counts, *rest: -(counts * article_formula(w, w_context, counts).log()).sum(),
    ),
)


def cosines(vectors: Tensor, index: int) -> Tensor:
    """Compare one word with all."""
    unit = F.normalize(vectors, dim=-1)
    return unit @ unit[index]


def nearest(scores: Tensor, index: int, k: int, *, own: float = -torch.inf, descending: bool = True) -> tuple:
    """Take the k best scores, the word's own replaced."""
    scores = scores.clone()
    scores[index] = own
    order = scores.argsort(descending=descending, stable=True)[:k]
    return order, scores[order]


def _without_own_row(vectors: Tensor, index: int, k: int) -> tuple[Tensor, Tensor]:
    scores = cosines(vectors, index)
    return nearest(
        torch.cat((scores[:index], scores[index + 1 :], -torch.inf * torch.ones(1, dtype=scores.dtype))), -1, k
    )


def _best_dropped(vectors: Tensor, index: int, k: int) -> tuple[Tensor, Tensor]:
    scores = cosines(vectors, index)
    order = scores.argsort(descending=True, stable=True)[1 : k + 1]
    return order, scores[order]


def _doubles_dropped(vectors: Tensor, index: int, k: int) -> tuple[Tensor, Tensor]:
    scores = cosines(vectors, index)
    return nearest(scores.masked_fill(scores > 1 - 1e-4, -torch.inf), index, k)


def _half_normalised(vectors: Tensor, index: int, k: int) -> tuple[Tensor, Tensor]:
    return nearest(F.normalize(vectors, dim=-1) @ vectors[index], index, k)


def _swapped(vectors: Tensor, index: int, k: int) -> tuple[Tensor, Tensor]:
    order, values = nearest(cosines(vectors, index), index, k)
    return values, order


def _by_distance(vectors: Tensor, index: int, k: int) -> tuple[Tensor, Tensor]:
    distances = (vectors - vectors[index]).norm(dim=-1)
    return nearest(distances, index, k, own=torch.inf, descending=False)


MOST_SIMILAR = (
    WrongWay(
        "the word itself is its own nearest neighbour in your list; leave it out",
        lambda vectors, index, k: nearest(cosines(vectors, index), index, k, own=1.0),
    ),
    WrongWay(
        "you rank by the dot product, where a long vector beats a near one; the cosine knows only directions",
        lambda vectors, index, k: nearest(vectors @ vectors[index], index, k),
    ),
    WrongWay(
        "you divide by the lengths of the other vectors and not by that of the word itself: the order is right, the "
        "similarities are not",
        _half_normalised,
    ),
    WrongWay("you rank by the distance between the vectors; the cosine knows only directions", _by_distance),
    WrongWay(
        "these are the least similar words; which end of the order do you take?",
        lambda vectors, index, k: nearest(cosines(vectors, index), index, k, own=torch.inf, descending=False),
    ),
    WrongWay(
        "the word's own row was taken out before ranking, so the indices after it are one too small",
        _without_own_row,
    ),
    WrongWay(
        "you drop the first of the ranking, which need not be the word itself when another has the same vector",
        _best_dropped,
    ),
    WrongWay("words with the same vector as the word itself are left out with it", _doubles_dropped),
    WrongWay(
        "the word's own similarity is set to 0, which is larger than that of a word pointing away",
        lambda vectors, index, k: nearest(cosines(vectors, index), index, k, own=0.0),
    ),
    WrongWay(
        "the sign of the cosine is lost; a vector pointing away is not near",
        lambda vectors, index, k: nearest(cosines(vectors, index).abs(), index, k),
    ),
    WrongWay(
        "the similarities are one minus the cosine, which is a distance",
        lambda vectors, index, k: (
            nearest(cosines(vectors, index), index, k)[0],
            1 - nearest(cosines(vectors, index), index, k)[1],
        ),
    ),
    WrongWay(
        "the words come from the least to the most similar; the nearest comes first",
        lambda vectors, index, k: tuple(part.flip(0) for part in nearest(cosines(vectors, index), index, k)),
    ),
)


def solve(
    vectors: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    *,
    signs: tuple[int, int, int] = (-1, 1, 1),
    left_out: str = "abc",
    before: Callable[[Tensor], Tensor] = lambda vectors: F.normalize(vectors, dim=-1),
    candidates: Callable[[Tensor], Tensor] = lambda vectors: F.normalize(vectors, dim=-1),
    largest: bool = True,
) -> Tensor:
    """Answer analogies by the rule, with one part of it replaceable."""
    terms = before(vectors)
    target = signs[0] * terms[a] + signs[1] * terms[b] + signs[2] * terms[c]
    scores = target @ candidates(vectors).T
    for name, given in zip("abc", (a, b, c), strict=True):
        if name in left_out:
            scores[torch.arange(len(a)), given] = -torch.inf if largest else torch.inf
    return scores.argmax(-1) if largest else scores.argmin(-1)


def _nearest_point(vectors: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    distances = torch.cdist(vectors[b] - vectors[a] + vectors[c], vectors)
    for given in (a, b, c):
        distances[torch.arange(len(a)), given] = torch.inf
    return distances.argmin(-1)


def _excluded_for_all(vectors: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    unit = F.normalize(vectors, dim=-1)
    scores = (unit[b] - unit[a] + unit[c]) @ unit.T
    scores[:, torch.cat((a, b, c))] = -torch.inf
    return scores.argmax(-1)


ANALOGY = (
    WrongWay(
        "the words of the question are not left out, and one of them is nearest most of the time",
        lambda *args: solve(*args, left_out=""),
    ),
    *(
        WrongWay(
            "not all three words of the question are left out",
            lambda *args, left_out=left_out: solve(*args, left_out=left_out),
        )
        for left_out in ("bc", "ac", "ab", "c", "b", "a")
    ),
    WrongWay("the words of one question are left out of the answers to all the others", _excluded_for_all),
    WrongWay(
        "the signs are wrong: go from a to b, and the same way on from c",
        lambda *args: solve(*args, signs=(1, -1, 1)),
    ),
    WrongWay(
        "the signs are wrong: go from a to b, and the same way on from c", lambda *args: solve(*args, signs=(1, 1, -1))
    ),
    WrongWay("nothing is subtracted: the three vectors are added", lambda *args: solve(*args, signs=(1, 1, 1))),
    WrongWay("only b - a is compared; the step starts from c", lambda *args: solve(*args, signs=(-1, 1, 0))),
    WrongWay(
        "the vectors are added as they are, and the longest decides; bring them to length 1 first",
        lambda *args: solve(*args, before=lambda vectors: vectors),
    ),
    WrongWay(
        "the candidates are compared by dot product, where long vectors win; use the cosine",
        lambda *args: solve(*args, candidates=lambda vectors: vectors),
    ),
    WrongWay(
        "no vector is brought to length 1, so long vectors decide both the sum and the ranking",
        lambda *args: solve(*args, before=lambda vectors: vectors, candidates=lambda vectors: vectors),
    ),
    WrongWay("you take the nearest point; use the cosine of unit vectors", _nearest_point),
    WrongWay("these are the words farthest from the target", lambda *args: solve(*args, largest=False)),
)


def ranks(x: Tensor, *, ties: str = "mean") -> Tensor:
    """Rank numbers from 0, equal ones by the mean, the smallest or the largest of their ranks, or as they come."""
    if ties == "as they come":
        return x.argsort(stable=True).argsort(stable=True).to(x.dtype)
    if ties == "dense":
        return x.unique(return_inverse=True)[1].to(x.dtype)
    below = (x > x[:, None]).sum(0).to(x.dtype)
    others = (x == x[:, None]).sum(0).to(x.dtype) - 1
    return below + {"mean": 0.5, "first": 0.0, "last": 1.0}[ties] * others


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """Correlate two lists of numbers."""
    return F.cosine_similarity(x - x.mean(), y - y.mean(), dim=0)


def _by_ranks(**fault: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: pearson(ranks(x, **fault), ranks(y, **fault))


def _short_formula(x: Tensor, y: Tensor) -> Tensor:
    n = len(x)
    return 1 - 6 * (ranks(x) - ranks(y)).square().sum() / (n * (n**2 - 1))


def _kendall(x: Tensor, y: Tensor) -> Tensor:
    agree = (x[:, None] - x).sign() * (y[:, None] - y).sign()
    return agree.sum() / (len(x) * (len(x) - 1))


SPEARMAN = (
    WrongWay("this is Pearson's correlation of the numbers themselves; correlate their ranks", pearson),
    WrongWay(
        "argsort gives the positions that would sort the numbers, not the ranks of the numbers",
        lambda x, y: pearson(x.argsort(stable=True).to(x.dtype), y.argsort(stable=True).to(x.dtype)),
    ),
    WrongWay(
        "equal numbers get different ranks, in the order in which they come; they share the mean of those ranks",
        _by_ranks(ties="as they come"),
    ),
    WrongWay("equal numbers get the lowest of their ranks; they share the mean of them", _by_ranks(ties="first")),
    WrongWay("equal numbers get the highest of their ranks; they share the mean of them", _by_ranks(ties="last")),
    WrongWay(
        "the numbers after a tie get ranks that are too small: three equal numbers take up three ranks",
        _by_ranks(ties="dense"),
    ),
    WrongWay("the short formula with the squared differences of the ranks does not hold with ties", _short_formula),
    WrongWay(
        "the mean rank is not subtracted, so the result is large whatever the order",
        lambda x, y: F.cosine_similarity(ranks(x) + 1, ranks(y) + 1, dim=0),
    ),
    WrongWay(
        "this is the covariance of the ranks; divide by both standard deviations",
        lambda x, y: ((ranks(x) - ranks(x).mean()) * (ranks(y) - ranks(y).mean())).mean(),
    ),
    WrongWay("the correlation is squared, and its sign lost", lambda x, y: _by_ranks()(x, y) ** 2),
    WrongWay("the sign is lost", lambda x, y: _by_ranks()(x, y).abs()),
    WrongWay("one of the two lists is ranked from the top", lambda x, y: -_by_ranks()(x, y)),
    WrongWay("this is Kendall's correlation, which counts the pairs in the same order", _kendall),
)
