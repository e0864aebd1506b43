"""Smoothing word for word from the equations, in fractions and dictionaries: slow, and independent of the package."""

from collections import Counter
from fractions import Fraction

START, END, UNKNOWN = "<s>", "</s>", "<unk>"


def padded(sequence, order):
    return [START] * (order - 1) + list(sequence) + [END]


def ngrams(sequences, order, length):
    """Count the n-grams of one length that end in a token to be predicted."""
    counts = Counter()
    for sequence in sequences:
        tokens = padded(sequence, order)
        for end in range(order, len(tokens) + 1):
            counts[tuple(tokens[end - length : end])] += 1
    return counts


def outcomes(sequences):
    return [*sorted({token for sequence in sequences for token in sequence}), END, UNKNOWN]


class ReferenceKneserNey:
    """Interpolated Kneser-Ney as Chen and Goodman (1999) write it, with a uniform end of the recursion."""

    def __init__(self, sequences, order, discounts):
        self.order, self.outcomes = order, outcomes(sequences)
        longest = ngrams(sequences, order, order)
        self.counts = {order: longest}
        for length in range(order - 1, 0, -1):
            before = {gram: set() for gram in ngrams(sequences, order, length)}
            for gram in ngrams(sequences, order, length + 1):
                before[gram[1:]].add(gram[0])
            self.counts[length] = Counter({gram: len(tokens) for gram, tokens in before.items()})
        self.discounts = {length: discounts(Counter(self.counts[length].values()), length) for length in self.counts}

    def probability(self, token, context):
        tokens = padded(context, self.order)[:-1]
        return self._interpolate(token, tuple(tokens[len(tokens) - self.order + 1 :]))

    def _interpolate(self, token, context):
        length = len(context) + 1
        counts = self.counts[length]
        shorter = self._interpolate(token, context[1:]) if context else Fraction(1, len(self.outcomes))
        followers = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        total = sum(followers.values())
        if not total:
            return shorter
        discount = self.discounts[length]
        kept = max(followers.get(token, 0) - discount(followers.get(token, 0)), 0)
        freed = sum(min(discount(count), count) for count in followers.values())
        return Fraction(kept) / total + Fraction(freed) / total * shorter


def single(counts_of_counts, _length):
    n1, n2 = counts_of_counts[1], counts_of_counts[2]
    d = Fraction(n1, n1 + 2 * n2) if n1 else Fraction(1, 2)
    return lambda count: d if count else 0


def modified(counts_of_counts, _length):
    n1, n2, n3, n4 = (counts_of_counts[c] for c in (1, 2, 3, 4))
    three = [Fraction(1, 2), Fraction(1), Fraction(3, 2)]
    if n1 and n2 and n3 and n4:
        y = Fraction(n1, n1 + 2 * n2)
        estimated = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        three = estimated if min(estimated) >= 0 else three
    return lambda count: three[min(count, 3) - 1] if count else 0


def fixed(number):
    return lambda _counts, _length: lambda count: Fraction(number) if count else 0
