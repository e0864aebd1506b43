"""Wrong answers to the exercises of the classification lab, written as a student would write them."""

import math
from collections import Counter

import torch
import torch.nn.functional as F

from companion.exercises.classification import EXERCISES
from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- split_distinct ---


def _clean(text):
    return " ".join(text.lower().split())


def _distinct(texts, labels, clean=_clean):
    """List the rows to keep."""
    given = {}
    for text, label in zip(texts, labels, strict=True):
        given.setdefault(clean(text), set()).add(label)
    kept, seen = [], set()
    for row, text in enumerate(texts):
        key = clean(text)
        if key not in seen and len(given[key]) == 1:
            kept.append(row)
        seen.add(key)
    return kept


def _deal(rows, every):
    train = [row for place, row in enumerate(rows, 1) if place % every]
    return train, [row for place, row in enumerate(rows, 1) if place % every == 0]


@wrong("split_distinct", "splits first", "the rows are split before the repeats are dropped")
def _(texts, labels, every):
    parts = []
    for rows in _deal(range(len(texts)), every):
        inside = _distinct([texts[row] for row in rows], [labels[row] for row in rows])
        parts.append([rows[i] for i in inside])
    return tuple(parts)


@wrong("split_distinct", "repeats kept", "no repeat is dropped")
def _(texts, labels, every):
    return _deal(list(range(len(texts))), every)


@wrong("split_distinct", "repeated texts dropped", "of a repeated text nothing is kept")
def _(texts, labels, every):
    times = Counter(map(_clean, texts))
    return _deal([row for row, text in enumerate(texts) if times[_clean(text)] == 1], every)


@wrong("split_distinct", "last one kept", "the last of the same texts is kept")
def _(texts, labels, every):
    last = {_clean(text): row for row, text in enumerate(texts)}
    allowed = {_clean(texts[row]) for row in _distinct(texts, labels)}
    return _deal(sorted(row for key, row in last.items() if key in allowed), every)


@wrong("split_distinct", "letters as they are", "differ in large and small letters alone count as two")
def _(texts, labels, every):
    return _deal(_distinct(texts, labels, lambda text: " ".join(text.split())), every)


@wrong("split_distinct", "strip", "only the white space at the ends is taken away")
def _(texts, labels, every):
    return _deal(_distinct(texts, labels, lambda text: text.lower().strip()), every)


@wrong("split_distinct", "spaces as they are", "differ in white space alone count as two")
def _(texts, labels, every):
    return _deal(_distinct(texts, labels, str.lower), every)


@wrong("split_distinct", "no spaces at all", "two texts of different words may become one")
def _(texts, labels, every):
    return _deal(_distinct(texts, labels, lambda text: "".join(text.lower().split())), every)


@wrong("split_distinct", "first label believed", "is kept with the first of them")
def _(texts, labels, every):
    first = {}
    for row, text in enumerate(texts):
        first.setdefault(_clean(text), row)
    return _deal(list(first.values()), every)


@wrong("split_distinct", "pairs of text and label", "is kept once with each")
def _(texts, labels, every):
    first = {}
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        first.setdefault((_clean(text), label), row)
    return _deal(list(first.values()), every)


@wrong("split_distinct", "test from the first", "the test takes the first row that is kept")
def _(texts, labels, every):
    kept = _distinct(texts, labels)
    return [row for i, row in enumerate(kept) if i % every != 0], kept[::every]


@wrong("split_distinct", "every of the rows given", "counts the rows as they were given")
def _(texts, labels, every):
    kept = _distinct(texts, labels)
    return [row for row in kept if (row + 1) % every], [row for row in kept if (row + 1) % every == 0]


@wrong("split_distinct", "places", "you return places among the rows that are kept")
def _(texts, labels, every):
    return _deal(list(range(len(_distinct(texts, labels)))), every)


@wrong("split_distinct", "parts swapped", "the two parts have changed places")
def _(texts, labels, every):
    train, test = _deal(_distinct(texts, labels), every)
    return test, train


@wrong("split_distinct", "test in training", "the test rows are in the training part, too")
def _(texts, labels, every):
    kept = _distinct(texts, labels)
    return kept, kept[every - 1 :: every]


@wrong("split_distinct", "from one", "the rows are counted from 1")
def _(texts, labels, every):
    return _deal([row + 1 for row in _distinct(texts, labels)], every)


@wrong("split_distinct", "texts", "you return the texts")
def _(texts, labels, every):
    train, test = _deal(_distinct(texts, labels), every)
    return [texts[row] for row in train], [texts[row] for row in test]


@wrong("split_distinct", "one list", "expected 2")
def _(texts, labels, every):
    return _distinct(texts, labels)


@wrong("split_distinct", "blocks")
def _(texts, labels, every):
    kept = _distinct(texts, labels)
    n_test = len(kept) // every
    return kept[: len(kept) - n_test], kept[len(kept) - n_test :]


# --- tf_idf ---


def _idf(seen):
    df = (seen > 0).sum(0)
    return torch.log((1 + len(seen)) / (1 + df)) + 1


def _unit(rows):
    return F.normalize(rows, dim=1)


@wrong("tf_idf", "rarity of the texts themselves", "the rarity of a word comes from the texts to weigh")
def _(counts, seen):
    return _unit(counts * _idf(counts))


@wrong("tf_idf", "rarity of all texts", "the rarity of a word comes from both kinds of texts")
def _(counts, seen):
    return _unit(counts * _idf(torch.cat([counts, seen])))


@wrong("tf_idf", "occurrences", "count the texts that have it")
def _(counts, seen):
    return _unit(counts * (torch.log((1 + len(seen)) / (1 + seen.sum(0))) + 1))


@wrong("tf_idf", "counts alone", "rare words weigh no more than frequent ones")
def _(counts, seen):
    return _unit(counts.float())


@wrong("tf_idf", "upside down", "the fraction is upside down")
def _(counts, seen):
    df = (seen > 0).sum(0)
    return _unit(counts * (torch.log((1 + df) / (1 + len(seen))) + 1))


@wrong("tf_idf", "no plus one", "the 1 behind the logarithm is missing")
def _(counts, seen):
    return _unit(counts * (_idf(seen) - 1))


@wrong("tf_idf", "not smoothed", "the fraction has no 1 above and below")
def _(counts, seen):
    idf = torch.log(len(seen) / (seen > 0).sum(0)) + 1
    rows = counts * idf
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)


@wrong("tf_idf", "half smoothed", "a 1 below and none above")
def _(counts, seen):
    return _unit(counts * (torch.log(len(seen) / (1 + (seen > 0).sum(0))) + 1))


@wrong("tf_idf", "binary logarithm", "of base 2 or 10")
def _(counts, seen):
    return _unit(counts * (torch.log2((1 + len(seen)) / (1 + (seen > 0).sum(0))) + 1))


@wrong("tf_idf", "decimal logarithm", "of base 2 or 10")
def _(counts, seen):
    return _unit(counts * (torch.log10((1 + len(seen)) / (1 + (seen > 0).sum(0))) + 1))


@wrong("tf_idf", "no logarithm", "the logarithm is missing")
def _(counts, seen):
    return _unit(counts * ((1 + len(seen)) / (1 + (seen > 0).sum(0))))


@wrong("tf_idf", "rarity squared", "multiplied in twice")
def _(counts, seen):
    return _unit(counts * _idf(seen) ** 2)


@wrong("tf_idf", "there or not", "a word counts once")
def _(counts, seen):
    return _unit((counts > 0) * _idf(seen))


@wrong("tf_idf", "logarithm of counts", "the logarithm of the counts is taken")
def _(counts, seen):
    return _unit(torch.log(1 + counts) * _idf(seen))


@wrong("tf_idf", "any length", "the rows do not have the length 1")
def _(counts, seen):
    return counts * _idf(seen)


@wrong("tf_idf", "sum of one", "the weights of a row add up to 1")
def _(counts, seen):
    return F.normalize(counts * _idf(seen), p=1, dim=1)


@wrong("tf_idf", "columns", "the columns have the length 1")
def _(counts, seen):
    return F.normalize(counts * _idf(seen), dim=0)


@wrong("tf_idf", "no root", "the root of the sum of squares is missing")
def _(counts, seen):
    rows = counts * _idf(seen)
    return rows / (rows**2).sum(1, keepdim=True).clamp(min=1e-12)


@wrong("tf_idf", "empty text", "is divided by its length, which is nothing")
def _(counts, seen):
    rows = counts * _idf(seen)
    return rows / rows.norm(dim=1, keepdim=True)


@wrong("tf_idf", "double precision", "expected float32")
def _(counts, seen):
    return _unit(counts.double() * _idf(seen))


@wrong("tf_idf", "weighs the training texts")
def _(counts, seen):
    return _unit(seen * _idf(seen))


# --- softmax_gradient ---


def _errors(features, labels, weight, bias):
    chances = torch.softmax(features @ weight.T + bias, dim=1)
    chances[torch.arange(len(labels)), labels] -= 1
    return chances


@wrong("softmax_gradient", "downhill", "the sign is wrong")
def _(features, labels, weight, bias, l2):
    errors = -_errors(features, labels, weight, bias) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "sum", "is not divided by their number")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "bias summed", "the bias's gradient is a sum over the texts")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias)
    return errors.T @ features / len(labels) + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "divided by features", "you divide by the number of features")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / features.shape[-1]
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "raw scores", "without a softmax")
def _(features, labels, weight, bias, l2):
    scores = features @ weight.T + bias
    errors = (scores - F.one_hot(labels, len(weight))) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "sigmoid", "each class has a sigmoid of its own")
def _(features, labels, weight, bias, l2):
    scores = features @ weight.T + bias
    errors = (torch.sigmoid(scores) - F.one_hot(labels, len(weight))) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "softmax over texts", "the softmax runs over the texts")
def _(features, labels, weight, bias, l2):
    chances = torch.softmax(features @ weight.T + bias, dim=0)
    errors = (chances - F.one_hot(labels, len(weight))) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "no right class", "nothing is subtracted for the right class")
def _(features, labels, weight, bias, l2):
    errors = torch.softmax(features @ weight.T + bias, dim=1) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "no bias", "`bias` is not used in the scores")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, torch.zeros_like(bias)) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "no pull", "`l2` is not used")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / len(labels)
    return errors.T @ features, errors.sum(0)


@wrong("softmax_gradient", "pull doubled", "twice as strong")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / len(labels)
    return errors.T @ features + 2 * l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "push", "the pull towards 0 goes the wrong way")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / len(labels)
    return errors.T @ features - l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "pull divided", "the pull towards 0 is divided by the number of texts")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias)
    return (errors.T @ features + l2 * weight) / len(labels), errors.sum(0) / len(labels)


@wrong("softmax_gradient", "bias pulled", "the bias is pulled towards 0, too")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0) + l2 * bias


@wrong("softmax_gradient", "overflow", "the exponential of a large score overflows")
def _(features, labels, weight, bias, l2):
    powers = torch.exp(features @ weight.T + bias)
    errors = (powers / powers.sum(1, keepdim=True) - F.one_hot(labels, len(weight))) / len(labels)
    return errors.T @ features + l2 * weight, errors.sum(0)


@wrong("softmax_gradient", "transposed", "shape")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / len(labels)
    return features.T @ errors + l2 * weight.T, errors.sum(0)


@wrong("softmax_gradient", "weight only", "expected the 2 values")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / len(labels)
    return errors.T @ features + l2 * weight


@wrong("softmax_gradient", "a step already")
def _(features, labels, weight, bias, l2):
    errors = _errors(features, labels, weight, bias) / len(labels)
    return weight - 0.1 * (errors.T @ features + l2 * weight), bias - 0.1 * errors.sum(0)


# --- confusion_scores ---


def _over(part, whole):
    return float(part) / float(whole) if float(whole) else 0.0


def _accuracy(c):
    return _over(c.diag().sum(), c.sum())


def _per_class(c):
    """Give precision, recall and F1 of each class."""
    found = []
    for i in range(len(c)):
        precision, recall = _over(c[i, i], c[:, i].sum()), _over(c[i, i], c[i].sum())
        found.append((precision, recall, _over(2 * precision * recall, precision + recall)))
    return found


def _average(values):
    values = list(values)
    return sum(values) / len(values)


def _macro(c):
    return _average(f1 for _, _, f1 in _per_class(c))


def _mcc_parts(c):
    n, t, p = float(c.sum()), c.sum(1).double(), c.sum(0).double()
    return float(c.trace()) * n - float(t @ p), (n * n - float(t @ t)), (n * n - float(p @ p))


def _mcc(c):
    top, a, b = _mcc_parts(c)
    return _over(top, math.sqrt(a * b))


@wrong("confusion_scores", "balanced accuracy", "the accuracy is the mean of the classes' recalls")
def _(confusion):
    return _average(recall for _, recall, _ in _per_class(confusion)), _macro(confusion), _mcc(confusion)


@wrong("confusion_scores", "error rate", "the accuracy is the share of errors")
def _(confusion):
    return 1 - _accuracy(confusion), _macro(confusion), _mcc(confusion)


@wrong("confusion_scores", "number right", "the accuracy is a number of texts")
def _(confusion):
    return float(confusion.diag().sum()), _macro(confusion), _mcc(confusion)


@wrong("confusion_scores", "recall", "the mean of the recalls is no F1")
def _(confusion):
    return _accuracy(confusion), _average(recall for _, recall, _ in _per_class(confusion)), _mcc(confusion)


@wrong("confusion_scores", "precision", "the mean of the precisions is no F1")
def _(confusion):
    return _accuracy(confusion), _average(precision for precision, _, _ in _per_class(confusion)), _mcc(confusion)


@wrong("confusion_scores", "F1 of means", "take the F1 of each class, then their mean")
def _(confusion):
    precision, recall, _ = (_average(values) for values in zip(*_per_class(confusion), strict=True))
    return _accuracy(confusion), _over(2 * precision * recall, precision + recall), _mcc(confusion)


@wrong("confusion_scores", "plain mean", "a harmonic mean of precision and recall")
def _(confusion):
    precision, recall, _ = (_average(values) for values in zip(*_per_class(confusion), strict=True))
    return _accuracy(confusion), (precision + recall) / 2, _mcc(confusion)


@wrong("confusion_scores", "weighted", "large classes count more in the F1")
def _(confusion):
    parts = zip(confusion.sum(1).tolist(), _per_class(confusion), strict=True)
    return _accuracy(confusion), sum(n * f1 for n, (_, _, f1) in parts) / int(confusion.sum()), _mcc(confusion)


@wrong("confusion_scores", "micro", "over all decisions together")
def _(confusion):
    return _accuracy(confusion), _accuracy(confusion), _mcc(confusion)


@wrong("confusion_scores", "last class", "the F1 of the last class alone")
def _(confusion):
    return _accuracy(confusion), _per_class(confusion)[-1][2], _mcc(confusion)


@wrong("confusion_scores", "zeros left out", "are left out of the mean")
def _(confusion):
    return _accuracy(confusion), _average(f1 for _, _, f1 in _per_class(confusion) if f1 > 0), _mcc(confusion)


@wrong("confusion_scores", "no root", "the root of the correlation's denominator is missing")
def _(confusion):
    top, a, b = _mcc_parts(confusion)
    return _accuracy(confusion), _macro(confusion), _over(top, a * b)


@wrong("confusion_scores", "kappa", "Cohen's kappa")
def _(confusion):
    n = float(confusion.sum())
    chance = float(confusion.sum(0).double() @ confusion.sum(1).double()) / n**2
    accuracy = _accuracy(confusion)
    return accuracy, _macro(confusion), _over(accuracy - chance, 1 - chance)


@wrong("confusion_scores", "sign", "the correlation has the wrong sign")
def _(confusion):
    return _accuracy(confusion), _macro(confusion), -_mcc(confusion)


@wrong("confusion_scores", "NaN of tensors", "which is NaN")
def _(confusion):
    c = confusion.double()
    precision, recall = c.diag() / c.sum(0), c.diag() / c.sum(1)
    f1 = (2 * precision * recall / (precision + recall)).mean().item()
    n, rows, columns = c.sum(), c.sum(1), c.sum(0)
    mcc = (c.trace() * n - rows @ columns) / ((n**2 - rows @ rows) * (n**2 - columns @ columns)).sqrt()
    return (c.trace() / n).item(), f1, mcc.item()


@wrong("confusion_scores", "NaN of absent classes", "which is NaN")
def _(confusion):
    c = confusion.double()
    f1 = (2 * c.diag() / (c.sum(0) + c.sum(1))).mean().item()
    return _accuracy(confusion), f1, _mcc(confusion)


@wrong("confusion_scores", "division by zero", "ZeroDivisionError")
def _(confusion):
    f1 = 0.0
    for i in range(len(confusion)):
        right = int(confusion[i, i])
        precision, recall = right / int(confusion[:, i].sum()), right / int(confusion[i].sum())
        f1 += 2 * precision * recall / (precision + recall) / len(confusion)
    return _accuracy(confusion), f1, _mcc(confusion)


@wrong("confusion_scores", "tensors", "take it out with .item()")
def _(confusion):
    return confusion.trace() / confusion.sum(), _macro(confusion), _mcc(confusion)


@wrong("confusion_scores", "two classes only")
def _(confusion):
    (tn, fp), (fn, tp) = confusion[:2, :2].tolist()
    bottom = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return _accuracy(confusion), _macro(confusion), (tp * tn - fp * fn) / bottom if bottom else 0.0


# --- cheapest_threshold ---


def _pay(labels, probabilities, threshold, false_alarm, miss):
    total = 0.0
    for label, p in zip(labels.tolist(), probabilities.tolist(), strict=True):
        flagged = p >= threshold
        total += false_alarm if flagged and label == 0 else miss if not flagged and label == 1 else 0.0
    return total


def _tries(probabilities):
    return [math.inf, *sorted(set(probabilities.tolist()), reverse=True)]


@wrong("cheapest_threshold", "a half", "the threshold is 0.5 whatever the errors cost")
def _(labels, probabilities, false_alarm, miss):
    return 0.5, _pay(labels, probabilities, 0.5, false_alarm, miss)


@wrong("cheapest_threshold", "formula", "the threshold comes from the costs alone")
def _(labels, probabilities, false_alarm, miss):
    threshold = false_alarm / (false_alarm + miss)
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "costs swapped", "the two costs have changed places")
def _(labels, probabilities, false_alarm, miss):
    costs = [(_pay(labels, probabilities, t, miss, false_alarm), t) for t in _tries(probabilities)]
    cost, threshold = min(costs, key=lambda pair: (pair[0], -pair[1]))
    return threshold, cost


@wrong("cheapest_threshold", "fewest errors", "the number of errors is made small")
def _(labels, probabilities, false_alarm, miss):
    threshold = min(_tries(probabilities), key=lambda t: _pay(labels, probabilities, t, 1, 1))
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "number of errors", "the number of errors is returned")
def _(labels, probabilities, false_alarm, miss):
    threshold = min(_tries(probabilities), key=lambda t: _pay(labels, probabilities, t, 1, 1))
    return threshold, float(_pay(labels, probabilities, threshold, 1, 1))


@wrong("cheapest_threshold", "best F1", "the best F1 is chosen")
def _(labels, probabilities, false_alarm, miss):
    def f1(t):
        flagged = probabilities >= t
        right = int((flagged & (labels == 1)).sum())
        return 2 * right / (int(flagged.sum()) + int((labels == 1).sum()))

    threshold = max(_tries(probabilities), key=f1)
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "above", "only above the threshold")
def _(labels, probabilities, false_alarm, miss):
    def pay(t):
        flagged = probabilities > t
        return false_alarm * int((flagged & (labels == 0)).sum()) + miss * int((~flagged & (labels == 1)).sum())

    threshold = min(_tries(probabilities), key=pay)
    return threshold, pay(threshold)


@wrong("cheapest_threshold", "cost of one", "the cost is that of one text")
def _(labels, probabilities, false_alarm, miss):
    threshold = min(_tries(probabilities), key=lambda t: _pay(labels, probabilities, t, false_alarm, miss))
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss) / len(labels)


@wrong("cheapest_threshold", "something is flagged", "to flag no text at all is not tried")
def _(labels, probabilities, false_alarm, miss):
    threshold = min(_tries(probabilities)[1:], key=lambda t: _pay(labels, probabilities, t, false_alarm, miss))
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "something is not flagged", "to flag every text is not tried")
def _(labels, probabilities, false_alarm, miss):
    threshold = min(_tries(probabilities)[:-1], key=lambda t: _pay(labels, probabilities, t, false_alarm, miss))
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "lowest", "of equally cheap thresholds the lowest is taken")
def _(labels, probabilities, false_alarm, miss):
    tries = _tries(probabilities)[::-1]
    threshold = min(tries, key=lambda t: _pay(labels, probabilities, t, false_alarm, miss))
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "dearest", "the dearest threshold is chosen")
def _(labels, probabilities, false_alarm, miss):
    threshold = max(_tries(probabilities), key=lambda t: _pay(labels, probabilities, t, false_alarm, miss))
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "tenths", "only the thresholds 0.1, 0.2 and so on are tried")
def _(labels, probabilities, false_alarm, miss):
    tries = [i / 10 for i in range(9, 0, -1)]
    threshold = min(tries, key=lambda t: _pay(labels, probabilities, t, false_alarm, miss))
    return threshold, _pay(labels, probabilities, threshold, false_alarm, miss)


@wrong("cheapest_threshold", "a tensor", "take it out with .item()")
def _(labels, probabilities, false_alarm, miss):
    threshold = min([*probabilities], key=lambda t: _pay(labels, probabilities, t.item(), false_alarm, miss))
    return threshold, _pay(labels, probabilities, threshold.item(), false_alarm, miss)


@wrong("cheapest_threshold", "one row at a time")
def _(labels, probabilities, false_alarm, miss):
    # Walks down the sorted rows and tries a threshold between two equal probabilities.
    order = probabilities.argsort(descending=True, stable=True)
    cost = best = miss * int(labels.sum())
    threshold = math.inf
    for row in order.tolist():
        cost += false_alarm if labels[row] == 0 else -miss
        if cost < best:
            best, threshold = cost, float(probabilities[row])
    return threshold, float(best - 1)


# --- language_scores ---


def _cut(text, n):
    text = f" {text.lower()} "
    return [text[i : i + n] for i in range(len(text) - n + 1)]


def _score(pieces, counts, log=math.log):
    size = len({piece for known in counts.values() for piece in known})
    return {
        name: sum(log((known.get(piece, 0) + 1) / (sum(known.values()) + size)) for piece in pieces)
        for name, known in counts.items()
    }


@wrong("language_scores", "capitals", "the text is not put into small letters")
def _(text, counts, n):
    text = f" {text} "
    return _score([text[i : i + n] for i in range(len(text) - n + 1)], counts)


@wrong("language_scores", "no spaces", "the spaces before and behind the text are missing")
def _(text, counts, n):
    text = text.lower()
    return _score([text[i : i + n] for i in range(len(text) - n + 1)], counts)


@wrong("language_scores", "last piece", "the last piece, with the space behind the text, is missing")
def _(text, counts, n):
    text = f" {text.lower()} "
    return _score([text[i : i + n] for i in range(len(text) - n)], counts)


@wrong("language_scores", "side by side", "the pieces stand side by side")
def _(text, counts, n):
    return _score(_cut(text, n)[::n], counts)


@wrong("language_scores", "too long", "one character too many")
def _(text, counts, n):
    return _score(_cut(text, n + 1), counts)


@wrong("language_scores", "too short", "one character too few")
def _(text, counts, n):
    return _score(_cut(text, n - 1), counts)


@wrong("language_scores", "set", "a piece that the text has twice counts once")
def _(text, counts, n):
    return _score(set(_cut(text, n)), counts)


@wrong("language_scores", "unknown left out", "pieces that a language has never seen are left out")
def _(text, counts, n):
    return {name: _score([p for p in _cut(text, n) if p in known], counts)[name] for name, known in counts.items()}


@wrong("language_scores", "own size", "its own number of different pieces")
def _(text, counts, n):
    return {
        name: sum(math.log((known.get(p, 0) + 1) / (sum(known.values()) + len(known))) for p in _cut(text, n))
        for name, known in counts.items()
    }


@wrong("language_scores", "no size", "the 1 that each piece gets is not counted in the total")
def _(text, counts, n):
    return {
        name: sum(math.log((known.get(p, 0) + 1) / sum(known.values())) for p in _cut(text, n))
        for name, known in counts.items()
    }


@wrong("language_scores", "sizes added", "are counted once for each language")
def _(text, counts, n):
    size = sum(len(known) for known in counts.values())
    return {
        name: sum(math.log((known.get(p, 0) + 1) / (sum(known.values()) + size)) for p in _cut(text, n))
        for name, known in counts.items()
    }


@wrong("language_scores", "kinds", "the total counts different pieces")
def _(text, counts, n):
    return _score_kinds(_cut(text, n), counts)


def _score_kinds(pieces, counts):
    size = len({piece for known in counts.values() for piece in known})
    return {
        name: sum(math.log((known.get(p, 0) + 1) / (len(known) + size)) for p in pieces)
        for name, known in counts.items()
    }


@wrong("language_scores", "binary logarithm", "of base 2 or 10")
def _(text, counts, n):
    return _score(_cut(text, n), counts, math.log2)


@wrong("language_scores", "decimal logarithm", "of base 2 or 10")
def _(text, counts, n):
    return _score(_cut(text, n), counts, math.log10)


@wrong("language_scores", "mean", "this is the mean over the pieces")
def _(text, counts, n):
    pieces = _cut(text, n)
    return {name: score / len(pieces) for name, score in _score(pieces, counts).items()}


@wrong("language_scores", "product", "the chances are multiplied out")
def _(text, counts, n):
    size = len({piece for known in counts.values() for piece in known})
    scores = {}
    for name, known in counts.items():
        scores[name] = 1.0
        for piece in _cut(text, n):
            scores[name] *= (known.get(piece, 0) + 1) / (sum(known.values()) + size)
    return scores


@wrong("language_scores", "logarithm of a product", "a product that became too small for a number")
def _(text, counts, n):
    size = len({piece for known in counts.values() for piece in known})
    return {
        name: math.log(math.prod((known.get(p, 0) + 1) / (sum(known.values()) + size) for p in _cut(text, n)))
        for name, known in counts.items()
    }


@wrong("language_scores", "nothing added", "a piece that was never seen")
def _(text, counts, n):
    return {
        name: sum(math.log(known.get(p, 0) / sum(known.values())) for p in _cut(text, n))
        for name, known in counts.items()
    }


@wrong("language_scores", "surprise", "the sign is turned round")
def _(text, counts, n):
    return {name: -score for name, score in _score(_cut(text, n), counts).items()}


@wrong("language_scores", "the best alone", "expected a dict")
def _(text, counts, n):
    scores = _score(_cut(text, n), counts)
    return max(scores, key=lambda name: scores[name])


@wrong("language_scores", "shares")
def _(text, counts, n):
    scores = _score(_cut(text, n), counts)
    return {name: score / sum(scores.values()) for name, score in scores.items()}


# --- leave_one_out ---


def _p(rows, weight, bias):
    mean = rows.mean(0) if len(rows) else torch.zeros_like(weight)
    return torch.sigmoid(mean @ weight + bias)


def _each(ids, vectors, weight, bias, p=_p, change=lambda whole, rest: whole - rest):
    rows = vectors[ids]
    whole = p(rows, weight, bias)
    rest = [p(torch.cat([rows[:i], rows[i + 1 :]]), weight, bias) for i in range(len(ids))]
    return torch.stack([change(whole, each) for each in rest])


@wrong("leave_one_out", "turned round", "the sign is turned round")
def _(ids, vectors, weight, bias):
    return -_each(ids, vectors, weight, bias)


@wrong("leave_one_out", "absolute", "keep its sign")
def _(ids, vectors, weight, bias):
    return _each(ids, vectors, weight, bias).abs()


@wrong("leave_one_out", "without the word", "these are the probabilities without the word")
def _(ids, vectors, weight, bias):
    return _each(ids, vectors, weight, bias, change=lambda whole, rest: rest)


@wrong("leave_one_out", "ratio", "this is a ratio")
def _(ids, vectors, weight, bias):
    return _each(ids, vectors, weight, bias, change=lambda whole, rest: whole / rest)


@wrong("leave_one_out", "a hole", "its place is still counted in the mean")
def _(ids, vectors, weight, bias):
    changes = []
    for i in range(len(ids)):
        rows = vectors[ids].clone()
        rows[i] = 0
        changes.append(_p(vectors[ids], weight, bias) - _p(rows, weight, bias))
    return torch.stack(changes)


@wrong("leave_one_out", "all of a word", "all places with the same word are left out at once")
def _(ids, vectors, weight, bias):
    whole = _p(vectors[ids], weight, bias)
    return torch.stack([whole - _p(vectors[ids[ids != word]], weight, bias) for word in ids])


@wrong("leave_one_out", "scores", "the sigmoid is missing")
def _(ids, vectors, weight, bias):
    def score(rows, weight, bias):
        return (rows.mean(0) if len(rows) else torch.zeros_like(weight)) @ weight + bias

    return _each(ids, vectors, weight, bias, p=score)


@wrong("leave_one_out", "sum", "the vectors are added up")
def _(ids, vectors, weight, bias):
    return _each(ids, vectors, weight, bias, p=lambda rows, weight, bias: torch.sigmoid(rows.sum(0) @ weight + bias))


@wrong("leave_one_out", "no bias", "`bias` is not used")
def _(ids, vectors, weight, bias):
    return _each(ids, vectors, weight, 0.0)


@wrong("leave_one_out", "words alone", "these are the probabilities of the words alone")
def _(ids, vectors, weight, bias):
    return torch.sigmoid(vectors[ids] @ weight + bias)


@wrong("leave_one_out", "gradient times input", "each word's own score says nothing")
def _(ids, vectors, weight, bias):
    return torch.stack([vectors[i] @ weight / len(ids) for i in ids])


@wrong("leave_one_out", "one word", "the mean of no vectors is NaN")
def _(ids, vectors, weight, bias):
    return _each(ids, vectors, weight, bias, p=lambda rows, weight, bias: torch.sigmoid(rows.mean(0) @ weight + bias))


@wrong("leave_one_out", "one place for all words", "shape")
def _(ids, vectors, weight, bias):
    changes = torch.zeros(len(vectors), dtype=vectors.dtype)
    changes[ids] = _each(ids, vectors, weight, bias)
    return changes


@wrong("leave_one_out", "shares", None)
def _(ids, vectors, weight, bias):
    changes = _each(ids, vectors, weight, bias)
    return changes / changes.abs().sum()


# --- accuracy_drop ---


def _redrawn(right, draws):
    return right[draws].double().mean(dim=1)


def _observed(home, away):
    return home.double().mean().item() - away.double().mean().item()


def _interval(differences, low=0.025, high=0.975):
    return differences.quantile(low).item(), differences.quantile(high).item()


@wrong("accuracy_drop", "turned round", "the difference is turned round")
def _(home, away, home_draws, away_draws):
    return _observed(away, home), *_interval(_redrawn(away, away_draws) - _redrawn(home, home_draws))


@wrong("accuracy_drop", "same draws", "both accuracies use the draws of one")
def _(home, away, home_draws, away_draws):
    return _observed(home, away), *_interval(_redrawn(home, home_draws) - _redrawn(away, home_draws))


@wrong("accuracy_drop", "away stays", "one accuracy stays as it was measured")
def _(home, away, home_draws, away_draws):
    return _observed(home, away), *_interval(_redrawn(home, home_draws) - away.double().mean())


@wrong("accuracy_drop", "home stays", "one accuracy stays as it was measured")
def _(home, away, home_draws, away_draws):
    return _observed(home, away), *_interval(home.double().mean() - _redrawn(away, away_draws))


@wrong("accuracy_drop", "crosswise", "are subtracted crosswise")
def _(home, away, home_draws, away_draws):
    (a, b), (c, d) = _interval(_redrawn(home, home_draws)), _interval(_redrawn(away, away_draws))
    return _observed(home, away), a - d, b - c


@wrong("accuracy_drop", "end from end", "take the differences first, draw by draw")
def _(home, away, home_draws, away_draws):
    (a, b), (c, d) = _interval(_redrawn(home, home_draws)), _interval(_redrawn(away, away_draws))
    return _observed(home, away), a - c, b - d


@wrong("accuracy_drop", "ninety percent", "five percent are cut off at each end")
def _(home, away, home_draws, away_draws):
    return _observed(home, away), *_interval(_redrawn(home, home_draws) - _redrawn(away, away_draws), 0.05, 0.95)


@wrong("accuracy_drop", "low end only", "one end of the interval is cut off")
def _(home, away, home_draws, away_draws):
    return _observed(home, away), *_interval(_redrawn(home, home_draws) - _redrawn(away, away_draws), 0.05, 1.0)


@wrong("accuracy_drop", "high end only", "one end of the interval is cut off")
def _(home, away, home_draws, away_draws):
    return _observed(home, away), *_interval(_redrawn(home, home_draws) - _redrawn(away, away_draws), 0.0, 0.95)


@wrong("accuracy_drop", "extremes", "the smallest and the largest difference of all")
def _(home, away, home_draws, away_draws):
    differences = _redrawn(home, home_draws) - _redrawn(away, away_draws)
    return _observed(home, away), differences.min().item(), differences.max().item()


@wrong("accuracy_drop", "ends swapped", "the two ends have changed places")
def _(home, away, home_draws, away_draws):
    low, high = _interval(_redrawn(home, home_draws) - _redrawn(away, away_draws))
    return _observed(home, away), high, low


@wrong("accuracy_drop", "formula", "the formula of the normal distribution")
def _(home, away, home_draws, away_draws):
    p, q = home.double().mean().item(), away.double().mean().item()
    error = math.sqrt(p * (1 - p) / len(home) + q * (1 - q) / len(away))
    return p - q, p - q - 1.96 * error, p - q + 1.96 * error


@wrong("accuracy_drop", "mean of the draws", "the drop is the mean of the draws")
def _(home, away, home_draws, away_draws):
    differences = _redrawn(home, home_draws) - _redrawn(away, away_draws)
    return differences.mean().item(), *_interval(differences)


@wrong("accuracy_drop", "median of the draws", "the drop is the median of the draws")
def _(home, away, home_draws, away_draws):
    differences = _redrawn(home, home_draws) - _redrawn(away, away_draws)
    return differences.quantile(0.5).item(), *_interval(differences)


@wrong("accuracy_drop", "normal around the mean", "a normal curve around the draws' mean")
def _(home, away, home_draws, away_draws):
    differences = _redrawn(home, home_draws) - _redrawn(away, away_draws)
    width = 1.96 * differences.std().item()
    return _observed(home, away), differences.mean().item() - width, differences.mean().item() + width


@wrong("accuracy_drop", "tensors", "take it out with .item()")
def _(home, away, home_draws, away_draws):
    differences = _redrawn(home, home_draws) - _redrawn(away, away_draws)
    return home.double().mean() - away.double().mean(), differences.quantile(0.025), differences.quantile(0.975)


@wrong("accuracy_drop", "rounded to a draw")
def _(home, away, home_draws, away_draws):
    differences = (_redrawn(home, home_draws) - _redrawn(away, away_draws)).sort().values
    n = len(differences)
    return _observed(home, away), differences[int(0.025 * n) + 1].item(), differences[int(0.975 * n) - 1].item()


file_learned_by_heart(MUTANTS, EXERCISES)
