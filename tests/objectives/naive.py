"""The objectives as loops over single tokens: slow, and plain enough to be believed."""

import math

IGNORED = -100


def token_loss(logits, labels):
    """Add -log p of each label in pure Python; return the sum and how many there are."""
    total, count = 0.0, 0
    for scores, label in zip(logits.flatten(0, -2).tolist(), labels.flatten().tolist(), strict=True):
        if label != IGNORED:
            highest = max(scores)
            total += highest + math.log(sum(math.exp(score - highest) for score in scores)) - scores[label]
            count += 1
    return total, count


def token_loss_gradient(logits, labels):
    """What the sum changes by as each score does: the probability, less one at the label."""
    rows = []
    for scores, label in zip(logits.flatten(0, -2).tolist(), labels.flatten().tolist(), strict=True):
        powers = [math.exp(score - max(scores)) for score in scores]
        rows.append([(p / sum(powers) - (j == label)) * (label != IGNORED) for j, p in enumerate(powers)])
    return rows


def causal_labels(input_ids, mask=None, documents=None):
    """Label each position with its right neighbour, unless one of the two is padding or they are strangers."""
    labels = []
    for i, row in enumerate(input_ids.tolist()):
        labels.append([])
        for j in range(len(row)):
            has_next = j + 1 < len(row)
            if has_next and mask is not None:
                has_next = bool(mask[i][j]) and bool(mask[i][j + 1])
            if has_next and documents is not None:
                has_next = documents[i][j] == documents[i][j + 1] and documents[i][j] >= 0
            labels[-1].append(row[j + 1] if has_next else IGNORED)
    return labels


def words_of(maskable, starts):
    """Cut each row into words: lists of positions (row, column)."""
    words = []
    for i, row in enumerate(maskable.tolist()):
        for j, may in enumerate(row):
            if may and (starts[i][j] or j == 0 or not row[j - 1]):
                words.append([])
            if may:
                words[-1].append((i, j))
    return words


def corrupt(text, hidden, sentinels, end):
    """Replace each stretch of hidden tokens by a sentinel; return what is read and what is to be written."""
    read, written, used = [], [], 0
    for position, token in enumerate(text):
        if not hidden[position]:
            read.append(token)
            continue
        if position == 0 or not hidden[position - 1]:
            read.append(sentinels[used])
            written.append(sentinels[used])
            used += 1
        written.append(token)
    return [*read, end], [*written, sentinels[used], end]
