"""The mistakes that students make in the classification lab, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.exercises.spec import WrongWay

# --- split_distinct ---

Parts = tuple[list[int], list[int]]


def same_text(text: str) -> str:
    """Give what makes two texts the same."""
    return " ".join(text.casefold().split())


def _dealt(rows: list[int], every: int) -> Parts:
    return [row for i, row in enumerate(rows) if (i + 1) % every], rows[every - 1 :: every]


def _dealt_to_the_other_side(rows: list[int], every: int) -> Parts:
    training, test = _dealt(rows, every)
    return test, training


def _kept(
    texts: list[str],
    labels: list[int],
    *,
    key: Callable[[str], str] = same_text,
    pick: Callable[[list[int], list[int]], list[int]] | None = None,
) -> list[int]:
    """List the rows that stay; `pick` chooses among the rows of one text, which are given with their labels."""
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault(key(text), []).append(row)
    pick = pick or first_unless_contradicted
    chosen = [pick(rows, [labels[row] for row in rows]) for rows in groups.values()]
    return sorted(row for rows in chosen for row in rows)


def first_unless_contradicted(rows: list[int], labels: list[int]) -> list[int]:
    """Keep the first of the rows of one text, and none if their labels differ."""
    return rows[:1] if len(set(labels)) == 1 else []


def _one_of_each_label(rows: list[int], labels: list[int]) -> list[int]:
    return [row for i, row in enumerate(rows) if labels[i] not in labels[:i]]


def _split_way(
    phrase: str,
    *,
    deal: Callable[[list[int], int], Parts] = _dealt,
    after: Callable[..., Any] | None = None,
    **how: Any,
) -> WrongWay:
    def compute(texts: list[str], labels: list[int], every: int) -> Any:
        parts = deal(_kept(texts, labels, **how), every)
        return after(parts, texts, labels) if after else parts

    return WrongWay(phrase, compute)


def _split_first(texts: list[str], labels: list[int], every: int) -> Parts:
    train, test = _dealt(list(range(len(texts))), every)

    def distinct(rows: list[int]) -> list[int]:
        found = _kept([texts[row] for row in rows], [labels[row] for row in rows])
        return [rows[i] for i in found]

    return distinct(train), distinct(test)


def _as_texts(parts: Parts, texts: list[str], labels: list[int]) -> tuple[list[str], list[str]]:
    return [texts[row] for row in parts[0]], [texts[row] for row in parts[1]]


SPLIT_DISTINCT = (
    WrongWay(
        "the rows are split before the repeats are dropped, so a test text may have been seen in training", _split_first
    ),
    _split_way("no repeat is dropped; the same text stands on both sides", pick=lambda rows, labels: rows),
    _split_way(
        "of a repeated text nothing is kept; once is fine", pick=lambda rows, labels: rows if len(rows) == 1 else []
    ),
    _split_way(
        "the last of the same texts is kept and not the first",
        pick=lambda rows, labels: rows[-1:] if len(set(labels)) == 1 else [],
    ),
    _split_way(
        "two texts that differ in large and small letters alone count as two", key=lambda text: " ".join(text.split())
    ),
    _split_way(
        "only the white space at the ends is taken away; inside, any run of it is one space",
        key=lambda text: text.casefold().strip(),
    ),
    _split_way("two texts that differ in white space alone count as two", key=str.casefold),
    _split_way(
        "without any white space, two texts of different words may become one",
        key=lambda text: "".join(text.casefold().split()),
    ),
    _split_way(
        "a text with two labels is kept with the first of them, and nobody knows which is right",
        pick=lambda rows, labels: rows[:1],
    ),
    _split_way("a text with two labels is kept once with each, so it may stand on both sides", pick=_one_of_each_label),
    _split_way(
        "the test takes the first row that is kept; it should take the last of every `every`",
        deal=lambda rows, every: ([row for i, row in enumerate(rows) if i % every], rows[::every]),
    ),
    _split_way(
        "`every` counts the rows as they were given; it should count those that are kept",
        deal=lambda rows, every: (
            [row for row in rows if (row + 1) % every],
            [row for row in rows if (row + 1) % every == 0],
        ),
    ),
    _split_way(
        "you return places among the rows that are kept; the caller needs the numbers of the rows as given",
        deal=lambda rows, every: _dealt(list(range(len(rows))), every),
    ),
    _split_way("the two parts have changed places", deal=_dealt_to_the_other_side),
    _split_way(
        "the test rows are in the training part, too", deal=lambda rows, every: (rows, rows[every - 1 :: every])
    ),
    _split_way("the rows are counted from 1", deal=lambda rows, every: _dealt([row + 1 for row in rows], every)),
    _split_way("you return the texts; the numbers of the rows are asked for", after=_as_texts),
)

# --- tf_idf ---


def _smooth(df: Tensor, n: int) -> Tensor:
    return ((1 + n) / (1 + df)).log() + 1


def _unit_rows(weights: Tensor) -> Tensor:
    return weights / weights.norm(dim=1, keepdim=True).clamp(min=1e-12)


def _weighed(
    counts: Tensor,
    seen: Tensor,
    *,
    rarity: Callable[[Tensor, int], Tensor] = _smooth,
    frequency: Callable[[Tensor], Tensor] = lambda counts: counts,
    documents: Callable[[Tensor, Tensor], Tensor] = lambda counts, seen: seen,
    holds: Callable[[Tensor], Tensor] = lambda texts: (texts > 0).double(),
    scale: Callable[[Tensor], Tensor] = _unit_rows,
) -> Tensor:
    """Weigh words, with one part of it replaceable."""
    texts = documents(counts, seen)
    return scale(frequency(counts.double()) * rarity(holds(texts).sum(0), len(texts))).float()


def _tf_idf_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _weighed(*args, **changes))


TF_IDF = (
    _tf_idf_way(
        "the rarity of a word comes from the texts to weigh; a model knows its training texts alone",
        documents=lambda counts, seen: counts,
    ),
    _tf_idf_way(
        "the rarity of a word comes from both kinds of texts; a model knows its training texts alone",
        documents=lambda counts, seen: torch.cat([seen, counts]),
    ),
    _tf_idf_way(
        "you count how often a word occurs in all training texts; count the texts that have it",
        holds=lambda texts: texts.double(),
    ),
    _tf_idf_way("rare words weigh no more than frequent ones", rarity=lambda df, n: torch.ones_like(df)),
    _tf_idf_way(
        "frequent words weigh more than rare ones; the fraction is upside down",
        rarity=lambda df, n: ((1 + df) / (1 + n)).log() + 1,
    ),
    _tf_idf_way("the 1 behind the logarithm is missing", rarity=lambda df, n: _smooth(df, n) - 1),
    _tf_idf_way(
        "the fraction has no 1 above and below, so a word that no training text has weighs infinitely much",
        rarity=lambda df, n: (n / df).log() + 1,
    ),
    _tf_idf_way("the fraction has a 1 below and none above", rarity=lambda df, n: (n / (1 + df)).log() + 1),
    _tf_idf_way("this is a logarithm of base 2 or 10; take the natural one", rarity=lambda df, n: _log_of(df, n, 2)),
    _tf_idf_way("this is a logarithm of base 2 or 10; take the natural one", rarity=lambda df, n: _log_of(df, n, 10)),
    _tf_idf_way("the logarithm is missing", rarity=lambda df, n: (1 + n) / (1 + df)),
    _tf_idf_way("the rarity is multiplied in twice", rarity=lambda df, n: _smooth(df, n).square()),
    _tf_idf_way(
        "a word counts once, however often its text has it", frequency=lambda counts: (counts > 0).to(counts.dtype)
    ),
    _tf_idf_way("the logarithm of the counts is taken", frequency=torch.log1p),
    _tf_idf_way("the rows do not have the length 1; a long text must not weigh more", scale=lambda weights: weights),
    _tf_idf_way(
        "the weights of a row add up to 1; it is their squares that should",
        scale=lambda weights: weights / weights.sum(1, keepdim=True).clamp(min=1e-12),
    ),
    _tf_idf_way(
        "the columns have the length 1 and not the rows",
        scale=lambda weights: weights / weights.norm(dim=0, keepdim=True).clamp(min=1e-12),
    ),
    _tf_idf_way(
        "the root of the sum of squares is missing",
        scale=lambda weights: weights / weights.square().sum(1, keepdim=True).clamp(min=1e-12),
    ),
    _tf_idf_way(
        "a text without a known word is divided by its length, which is nothing",
        scale=lambda weights: weights / weights.norm(dim=1, keepdim=True),
    ),
)


def _log_of(df: Tensor, n: int, base: int) -> Tensor:
    return ((1 + n) / (1 + df)).log() / math.log(base) + 1


# --- softmax_gradient ---


def _gradient(
    features: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    l2: float,
    *,
    chances: Callable[[Tensor], Tensor] = lambda scores: scores.softmax(-1),
    sign: float = 1.0,
    targets: bool = True,
    divide: Callable[[Tensor], float] = len,
    use_bias: bool = True,
    pull: Callable[[float, int], float] = lambda l2, n: l2,
    bias_pull: float = 0.0,
    bias_divide: Callable[[Tensor], float] | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the gradient, with one part of it replaceable."""
    errors = chances(features @ weight.T + (bias if use_bias else 0.0))
    if targets:
        errors = errors - torch.nn.functional.one_hot(labels, len(weight)).to(errors.dtype)
    n = len(features)
    of_weight = sign * errors.T @ features / divide(features) + pull(l2, n) * weight
    return of_weight, sign * errors.sum(0) / (bias_divide or divide)(features) + bias_pull * l2 * bias


def _naive_softmax(scores: Tensor) -> Tensor:
    return scores.exp() / scores.exp().sum(-1, keepdim=True)


def _gradient_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _gradient(*args, **changes))


SOFTMAX_GRADIENT = (
    _gradient_way("the sign is wrong: a step against this gradient makes the loss larger", sign=-1.0),
    _gradient_way("the sum over the texts is not divided by their number", divide=lambda features: 1.0),
    _gradient_way(
        "the bias's gradient is a sum over the texts, and the weight's a mean", bias_divide=lambda features: 1.0
    ),
    _gradient_way(
        "you divide by the number of features; divide by that of the texts", divide=lambda features: features.shape[1]
    ),
    _gradient_way("the scores are used as they are, without a softmax", chances=lambda scores: scores),
    _gradient_way("each class has a sigmoid of its own; the chances do not add up to 1", chances=torch.sigmoid),
    _gradient_way("the softmax runs over the texts; each text has its own", chances=lambda scores: scores.softmax(0)),
    _gradient_way("nothing is subtracted for the right class", targets=False),
    _gradient_way("`bias` is not used in the scores", use_bias=False),
    _gradient_way("the weights are not pulled towards 0; `l2` is not used", pull=lambda l2, n: 0.0),
    _gradient_way(
        "the pull towards 0 is twice as strong; the half in the loss takes the 2 away", pull=lambda l2, n: 2 * l2
    ),
    _gradient_way("the pull towards 0 goes the wrong way", pull=lambda l2, n: -l2),
    _gradient_way("the pull towards 0 is divided by the number of texts", pull=lambda l2, n: l2 / n),
    _gradient_way("the bias is pulled towards 0, too", bias_pull=1.0),
    _gradient_way(
        "the exponential of a large score overflows; only differences of scores matter", chances=_naive_softmax
    ),
)

# --- confusion_scores ---


def _share(part: Any, whole: Any) -> float:
    return part / whole if whole else 0.0


def class_f1(confusion: Tensor) -> list[float]:
    """Compute the F1 of each class."""
    rows, columns = confusion.sum(1).tolist(), confusion.sum(0).tolist()
    return [_share(2 * int(confusion[i, i]), rows[i] + columns[i]) for i in range(len(confusion))]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def correlation(confusion: Tensor, *, rooted: bool = True) -> float:
    """Compute Matthews' correlation of any number of classes."""
    total, right = int(confusion.sum()), int(confusion.trace())
    rows, columns = confusion.sum(1).double(), confusion.sum(0).double()
    top = right * total - float(rows @ columns)
    bottom = (total**2 - float(rows @ rows)) * (total**2 - float(columns @ columns))
    return _share(top, math.sqrt(bottom) if rooted else bottom)


def _scored(
    confusion: Tensor,
    *,
    accuracy: Callable[[Tensor], float] = lambda c: int(c.trace()) / int(c.sum()),
    f1: Callable[[Tensor], float] = lambda c: _mean(class_f1(c)),
    mcc: Callable[[Tensor], float] = correlation,
) -> tuple[float, float, float]:
    """Score a confusion matrix, with one score replaceable."""
    return accuracy(confusion), f1(confusion), mcc(confusion)


def _recalls(confusion: Tensor) -> list[float]:
    return [_share(int(row[i]), int(row.sum())) for i, row in enumerate(confusion)]


def _precisions(confusion: Tensor) -> list[float]:
    return _recalls(confusion.T)


def _f1_of_means(confusion: Tensor) -> float:
    precision, recall = _mean(_precisions(confusion)), _mean(_recalls(confusion))
    return _share(2 * precision * recall, precision + recall)


def _weighted_f1(confusion: Tensor) -> float:
    sizes = confusion.sum(1).tolist()
    return sum(size * f1 for size, f1 in zip(sizes, class_f1(confusion), strict=True)) / sum(sizes)


def _kappa(confusion: Tensor) -> float:
    total, right = int(confusion.sum()), int(confusion.trace())
    chance = float(confusion.sum(1).double() @ confusion.sum(0).double()) / total**2
    return _share(right / total - chance, 1 - chance)


def _without_zeros(confusion: Tensor) -> float:
    return _mean([f1 for f1 in class_f1(confusion) if f1 > 0])


_UNDEFINED = "a class that is never predicted, or never there, leads to nothing divided by nothing, which is NaN"


def _undefined(confusion: Tensor, size: Callable[[Tensor, Tensor], Tensor]) -> tuple[float, float, float]:
    """Give NaN for what is not defined; by `size`, a class is missing if it has no row, or no column either."""
    accuracy, f1, mcc = _scored(confusion)
    sizes = size(confusion.sum(1), confusion.sum(0))
    one_only = bool((confusion.sum(0) > 0).sum() == 1) or bool((confusion.sum(1) > 0).sum() == 1)
    return accuracy, f1 if bool(sizes.all()) else math.nan, math.nan if one_only else mcc


def _score_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda confusion: _scored(confusion, **changes))


CONFUSION_SCORES = (
    _score_way(
        "the accuracy is the mean of the classes' recalls; count all texts alike", accuracy=lambda c: _mean(_recalls(c))
    ),
    _score_way("the accuracy is the share of errors", accuracy=lambda c: 1 - int(c.trace()) / int(c.sum())),
    _score_way("the accuracy is a number of texts and not a share", accuracy=lambda c: float(c.trace())),
    _score_way("the mean of the recalls is no F1; where is the precision?", f1=lambda c: _mean(_recalls(c))),
    _score_way("the mean of the precisions is no F1; where is the recall?", f1=lambda c: _mean(_precisions(c))),
    _score_way(
        "the F1 is that of the mean precision and the mean recall; take the F1 of each class, then their mean",
        f1=_f1_of_means,
    ),
    _score_way(
        "F1 is a harmonic mean of precision and recall, and this is the plain one",
        f1=lambda c: (_mean(_recalls(c)) + _mean(_precisions(c))) / 2,
    ),
    _score_way("large classes count more in the F1; each class should count alike", f1=_weighted_f1),
    _score_way(
        "over all decisions together, F1 is the accuracy again; take the mean over the classes",
        f1=lambda c: int(c.trace()) / int(c.sum()),
    ),
    _score_way("this is the F1 of the last class alone", f1=lambda c: class_f1(c)[-1]),
    _score_way("classes whose F1 is 0 are left out of the mean, which flatters", f1=_without_zeros),
    _score_way("the root of the correlation's denominator is missing", mcc=lambda c: correlation(c, rooted=False)),
    _score_way("this is Cohen's kappa, another measure of agreement", mcc=_kappa),
    _score_way("the correlation has the wrong sign", mcc=lambda c: -correlation(c)),
    WrongWay(_UNDEFINED, lambda confusion: _undefined(confusion, torch.minimum)),
    WrongWay(_UNDEFINED, lambda confusion: _undefined(confusion, torch.add)),
)

NOTHING_BY_NOTHING = "a class may be never predicted, or never there; what is divided by nothing counts as 0"

# --- cheapest_threshold ---

Cost = Callable[[Tensor, Tensor], float]


def _thresholds(probabilities: Tensor) -> list[float]:
    return [*sorted(set(probabilities.tolist())), math.inf]


def total_cost(labels: Tensor, probabilities: Tensor, threshold: float, false_alarm: float, miss: float) -> float:
    """Add up what the errors at a threshold cost."""
    flagged = probabilities >= threshold
    return false_alarm * int((flagged & (labels == 0)).sum()) + miss * int((~flagged & (labels == 1)).sum())


def _cheapest(
    labels: Tensor,
    probabilities: Tensor,
    false_alarm: float,
    miss: float,
    *,
    cost: Callable[..., float] = total_cost,
    believed: Callable[..., float] | None = None,
    tries: Callable[[Tensor], list[float]] = _thresholds,
    best: Callable[[list[float]], float] = min,
    last: bool = True,
) -> tuple[float, float]:
    """Choose a threshold, with one part of it replaceable: `believed` is made small, `cost` is returned."""
    costs = {t: (believed or cost)(labels, probabilities, t, false_alarm, miss) for t in sorted(tries(probabilities))}
    lowest = best(list(costs.values()))
    threshold = [t for t, each in costs.items() if each == lowest][-1 if last else 0]
    return threshold, cost(labels, probabilities, threshold, false_alarm, miss)


def _above(labels: Tensor, probabilities: Tensor, threshold: float, false_alarm: float, miss: float) -> float:
    flagged = probabilities > threshold
    return false_alarm * int((flagged & (labels == 0)).sum()) + miss * int((~flagged & (labels == 1)).sum())


def _swapped(labels: Tensor, probabilities: Tensor, threshold: float, false_alarm: float, miss: float) -> float:
    return total_cost(labels, probabilities, threshold, miss, false_alarm)


def _errors(labels: Tensor, probabilities: Tensor, threshold: float, *_: float) -> float:
    return total_cost(labels, probabilities, threshold, 1.0, 1.0)


def _minus_f1(labels: Tensor, probabilities: Tensor, threshold: float, *_: float) -> float:
    flagged = probabilities >= threshold
    return -_share(2 * int((flagged & (labels == 1)).sum()), int(flagged.sum()) + int(labels.sum()))


def _fixed(choose: Callable[[float, float], float]) -> Callable[..., tuple[float, float]]:
    def compute(labels: Tensor, probabilities: Tensor, false_alarm: float, miss: float) -> tuple[float, float]:
        threshold = choose(false_alarm, miss)
        return threshold, total_cost(labels, probabilities, threshold, false_alarm, miss)

    return compute


def _per_text(labels: Tensor, probabilities: Tensor, threshold: float, false_alarm: float, miss: float) -> float:
    return total_cost(labels, probabilities, threshold, false_alarm, miss) / len(labels)


def _threshold_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _cheapest(*args, **changes))


CHEAPEST_THRESHOLD = (
    WrongWay("the threshold is 0.5 whatever the errors cost", _fixed(lambda false_alarm, miss: 0.5)),
    WrongWay(
        "the threshold comes from the costs alone, which is right for perfect probabilities; try it on the texts",
        _fixed(lambda false_alarm, miss: false_alarm / (false_alarm + miss)),
    ),
    _threshold_way("the two costs have changed places", cost=_swapped),
    _threshold_way("the number of errors is made small, whatever they cost", believed=_errors),
    _threshold_way("the number of errors is returned and not their cost", cost=_errors),
    _threshold_way("the best F1 is chosen, which knows nothing of costs", believed=_minus_f1),
    _threshold_way("a text is flagged only above the threshold; at it, it should be, too", cost=_above),
    _threshold_way("the cost is that of one text; add up all", cost=_per_text),
    _threshold_way("to flag no text at all is not tried", tries=lambda probabilities: _thresholds(probabilities)[:-1]),
    _threshold_way("to flag every text is not tried", tries=lambda probabilities: _thresholds(probabilities)[1:]),
    _threshold_way("of equally cheap thresholds the lowest is taken", last=False),
    _threshold_way("the dearest threshold is chosen", best=max),
    _threshold_way(
        "only the thresholds 0.1, 0.2 and so on are tried", tries=lambda probabilities: [i / 10 for i in range(1, 10)]
    ),
)

# --- language_scores ---

Counts = dict[str, dict[str, int]]


def pieces_of(text: str, n: int) -> list[str]:
    """Cut a text into its overlapping pieces of n characters, with a space before and behind."""
    padded = f" {text.lower()} "
    return [padded[i : i + n] for i in range(len(padded) - n + 1)]


def _all_pieces(counts: Counts) -> set[str]:
    return {piece for known in counts.values() for piece in known}


def _languages(
    text: str,
    counts: Counts,
    n: int,
    *,
    cut: Callable[[str, int], list[str]] = pieces_of,
    size: Callable[[Counts, str], float] = lambda counts, language: len(_all_pieces(counts)),
    add: float = 1.0,
    total: Callable[[dict[str, int]], float] = lambda known: sum(known.values()),
    log: Callable[[float], float] = math.log,
    combine: Callable[[list[float]], float] = math.fsum,
) -> dict[str, float]:
    """Score languages, with one part of it replaceable."""
    pieces = cut(text, n)
    return {
        language: combine(
            [log((known.get(piece, 0) + add) / (total(known) + size(counts, language))) for piece in pieces]
        )
        for language, known in counts.items()
    }


def _unpadded(text: str, n: int) -> list[str]:
    return [text.lower()[i : i + n] for i in range(len(text) - n + 1)]


def _left_padded(text: str, n: int) -> list[str]:
    return pieces_of(text, n)[:-1]


def _side_by_side(text: str, n: int) -> list[str]:
    return pieces_of(text, n)[::n]


def _known_only(text: str, counts: Counts, n: int) -> dict[str, float]:
    size = len(_all_pieces(counts))
    return {
        language: math.fsum(
            math.log((known[piece] + 1) / (sum(known.values()) + size))
            for piece in pieces_of(text, n)
            if piece in known
        )
        for language, known in counts.items()
    }


def _language_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _languages(*args, **changes))


LANGUAGE_SCORES = (
    _language_way("the text is not put into small letters", cut=lambda text, n: _kept_case(text, n)),
    _language_way("the spaces before and behind the text are missing; how a word begins says much", cut=_unpadded),
    _language_way("the last piece, with the space behind the text, is missing", cut=_left_padded),
    _language_way("the pieces stand side by side; they should overlap", cut=_side_by_side),
    _language_way("the pieces have one character too many", cut=lambda text, n: pieces_of(text, n + 1)),
    _language_way("the pieces have one character too few", cut=lambda text, n: pieces_of(text, n - 1)),
    _language_way(
        "a piece that the text has twice counts once", cut=lambda text, n: list(dict.fromkeys(pieces_of(text, n)))
    ),
    WrongWay("pieces that a language has never seen are left out, as if they spoke for it", _known_only),
    _language_way(
        "each language divides by its own number of different pieces; take those of all languages together",
        size=lambda counts, language: len(counts[language]),
    ),
    _language_way(
        "the 1 that each piece gets is not counted in the total; the chances add up to more than 1",
        size=lambda counts, language: 0.0,
    ),
    _language_way(
        "the pieces of all languages are counted once for each language; many are the same",
        size=lambda counts, language: sum(map(len, counts.values())),
    ),
    _language_way("the total counts different pieces and not all that were seen", total=len),
    _language_way("these are logarithms of base 2 or 10; take natural ones", log=math.log2),
    _language_way("these are logarithms of base 2 or 10; take natural ones", log=math.log10),
    _language_way(
        "this is the mean over the pieces; the chances multiply, so the logarithms add up",
        combine=lambda logs: math.fsum(logs) / len(logs),
    ),
    _language_way(
        "the chances are multiplied out, and a long text's are too small for a number; add logarithms",
        log=lambda chance: chance,
        combine=math.prod,
    ),
    _language_way("the sign is turned round; a better language has the higher score", log=lambda p: -math.log(p)),
)

LOG_OF_NOTHING = "a logarithm of 0: of a piece that was never seen, or of a product that became too small for a number"


def _kept_case(text: str, n: int) -> list[str]:
    padded = f" {text} "
    return [padded[i : i + n] for i in range(len(padded) - n + 1)]


# --- leave_one_out ---


def _belief(mean: Tensor, weight: Tensor, bias: float) -> Tensor:
    return torch.sigmoid(mean @ weight + bias)


def _mean_of(rows: Tensor) -> Tensor:
    return rows.mean(0) if len(rows) else torch.zeros_like(rows.sum(0))


def _importances(
    ids: Tensor,
    vectors: Tensor,
    weight: Tensor,
    bias: float,
    *,
    believe: Callable[..., Tensor] = _belief,
    gather: Callable[[Tensor], Tensor] = _mean_of,
    rest: Callable[[Tensor, Tensor, int], Tensor] | None = None,
    compare: Callable[[Tensor, Tensor], Tensor] = torch.sub,
) -> Tensor:
    """Leave out each word, with one part of it replaceable."""
    whole = believe(gather(vectors[ids]), weight, bias)
    places = range(len(ids))
    rest = rest or (lambda ids, vectors, i: gather(vectors[torch.cat([ids[:i], ids[i + 1 :]])]))
    return torch.stack([compare(whole, believe(rest(ids, vectors, i), weight, bias)) for i in places])


def _without_all(ids: Tensor, vectors: Tensor, place: int) -> Tensor:
    return _mean_of(vectors[ids[ids != ids[place]]])


def _blanked(ids: Tensor, vectors: Tensor, place: int) -> Tensor:
    rows = vectors[ids].clone()
    rows[place] = 0
    return rows.mean(0)


def _leave_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _importances(*args, **changes))


LEAVE_ONE_OUT = (
    _leave_way(
        "the sign is turned round; a word that speaks for the class should be above 0",
        compare=lambda whole, rest: rest - whole,
    ),
    _leave_way("how large the change is, is only half of it; keep its sign", compare=lambda w, r: (w - r).abs()),
    _leave_way("these are the probabilities without the word; how much do they change?", compare=lambda w, r: r),
    _leave_way("this is a ratio; a difference is asked for", compare=torch.div),
    _leave_way(
        "the word is gone and its place is still counted in the mean; the text should be one word shorter",
        rest=_blanked,
    ),
    _leave_way("all places with the same word are left out at once; leave out one place at a time", rest=_without_all),
    _leave_way(
        "the sigmoid is missing: this is the change of the score, and that of the probability is asked for",
        believe=lambda mean, weight, bias: mean @ weight + bias,
    ),
    _leave_way("the vectors are added up; the classifier reads their mean", gather=lambda rows: rows.sum(0)),
    _leave_way("`bias` is not used", believe=lambda mean, weight, bias: _belief(mean, weight, 0.0)),
    WrongWay(
        "these are the probabilities of the words alone; leave one out and keep the others",
        lambda ids, vectors, weight, bias: _belief(vectors[ids], weight, bias),
    ),
    WrongWay(
        "each word's own score says nothing of the text that it stands in; leave it out and look",
        lambda ids, vectors, weight, bias: vectors[ids] @ weight / len(ids),
    ),
    _leave_way(
        "without its only word a text is empty, and the mean of no vectors is NaN",
        gather=lambda rows: rows.mean(0),
    ),
)

# --- accuracy_drop ---


def _right(rows: Tensor, draws: Tensor) -> Tensor:
    return rows.double()[draws].mean(1)


def _ends(differences: Tensor, low: float = 0.025, high: float = 0.975) -> tuple[float, float]:
    return float(differences.quantile(low)), float(differences.quantile(high))


def _dropped(
    home: Tensor,
    away: Tensor,
    home_draws: Tensor,
    away_draws: Tensor,
    *,
    sign: float = 1.0,
    differ: Callable[..., Tensor] = lambda home, away, x, y: _right(home, x) - _right(away, y),
    ends: Callable[[Tensor], tuple[float, float]] = _ends,
    drop: Callable[[float, Tensor], float] = lambda observed, differences: observed,
) -> tuple[float, float, float]:
    """Measure a drop, with one part of it replaceable."""
    differences = sign * differ(home, away, home_draws, away_draws)
    observed = sign * float(home.double().mean() - away.double().mean())
    return drop(observed, differences), *ends(differences)


def _by_formula(home: Tensor, away: Tensor, *_: Tensor) -> tuple[float, float, float]:
    shares = float(home.double().mean()), float(away.double().mean())
    width = 1.96 * math.sqrt(sum(p * (1 - p) / len(x) for p, x in zip(shares, (home, away), strict=True)))
    drop = shares[0] - shares[1]
    return drop, drop - width, drop + width


def _separate_ends(home: Tensor, away: Tensor, x: Tensor, y: Tensor) -> tuple[float, float, float]:
    (low, high), (low_away, high_away) = _ends(_right(home, x)), _ends(_right(away, y))
    return float(home.double().mean() - away.double().mean()), low - high_away, high - low_away


def _like_ends(home: Tensor, away: Tensor, x: Tensor, y: Tensor) -> tuple[float, float, float]:
    (low, high), (low_away, high_away) = _ends(_right(home, x)), _ends(_right(away, y))
    return float(home.double().mean() - away.double().mean()), low - low_away, high - high_away


def _drop_way(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: _dropped(*args, **changes))


ACCURACY_DROP = (
    _drop_way("the difference is turned round: a drop is above 0 when the accuracy away is lower", sign=-1.0),
    _drop_way(
        "both accuracies use the draws of one; each source has its own",
        differ=lambda home, away, x, y: _right(home, x) - _right(away, x),
    ),
    _drop_way(
        "one accuracy stays as it was measured; both are uncertain, so draw both anew",
        differ=lambda home, away, x, y: _right(home, x) - float(away.double().mean()),
    ),
    _drop_way(
        "one accuracy stays as it was measured; both are uncertain, so draw both anew",
        differ=lambda home, away, x, y: float(home.double().mean()) - _right(away, y),
    ),
    WrongWay(
        "the ends of two intervals are subtracted crosswise, which is too wide; take the differences first",
        _separate_ends,
    ),
    WrongWay("the ends of two intervals are subtracted; take the differences first, draw by draw", _like_ends),
    _drop_way("five percent are cut off at each end; it should be half of that", ends=lambda d: _ends(d, 0.05, 0.95)),
    _drop_way("one end of the interval is cut off and not the other", ends=lambda d: _ends(d, 0.05, 1.0)),
    _drop_way("one end of the interval is cut off and not the other", ends=lambda d: _ends(d, 0.0, 0.95)),
    _drop_way("these are the smallest and the largest difference of all", ends=lambda d: _ends(d, 0.0, 1.0)),
    _drop_way("the two ends have changed places", ends=lambda d: _ends(d)[::-1]),
    WrongWay("this is the formula of the normal distribution; count the draws", _by_formula),
    _drop_way(
        "the drop is the mean of the draws; return what was measured",
        drop=lambda observed, differences: float(differences.mean()),
    ),
    _drop_way(
        "the drop is the median of the draws; return what was measured",
        drop=lambda observed, differences: float(differences.quantile(0.5)),
    ),
    _drop_way(
        "the ends are those of a normal curve around the draws' mean; count the draws",
        ends=lambda d: (float(d.mean() - 1.96 * d.std()), float(d.mean() + 1.96 * d.std())),
    ),
)
