"""Wrong answers to the exercises of the embeddings lab, written as a student would write them."""

import torch
import torch.nn.functional as F

from companion.exercises.embeddings import EXERCISES
from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- skip_gram_pairs ---


def right_pairs(words, window):
    """List the pairs rightly: what a student has in hand when going wrong at the end."""
    pairs = []
    for i, centre in enumerate(words):
        for j in range(max(0, i - window), min(len(words), i + window + 1)):
            if j != i:
                pairs.append((centre, words[j]))
    return pairs


@wrong("skip_gram_pairs", "self pairs", "paired with itself too")
def _(words, window):
    return [(words[i], near) for i in range(len(words)) for near in words[max(0, i - window) : i + window + 1]]


@wrong("skip_gram_pairs", "compares words", "leave out the position, not the word")
def _(words, window):
    pairs = []
    for i, centre in enumerate(words):
        for near in words[max(0, i - window) : i + window + 1]:
            if near != centre:
                pairs.append((centre, near))
    return pairs


@wrong("skip_gram_pairs", "each pair once", "listed once")
def _(words, window):
    pairs = []
    for pair in right_pairs(words, window):
        if pair not in pairs:
            pairs.append(pair)
    return pairs


@wrong("skip_gram_pairs", "right side only", "only the words after the centre")
def _(words, window):
    return [(words[i], words[j]) for i in range(len(words)) for j in range(i + 1, min(len(words), i + window + 1))]


@wrong("skip_gram_pairs", "left side only", "only the words before the centre")
def _(words, window):
    return [(words[i], words[j]) for i in range(len(words)) for j in range(max(0, i - window), i)]


@wrong("skip_gram_pairs", "range stops early", "where does `range` stop?")
def _(words, window):
    pairs = []
    for i in range(len(words)):
        for j in range(i - window, i + window):
            if j != i and 0 <= j < len(words):
                pairs.append((words[i], words[j]))
    return pairs


@wrong("skip_gram_pairs", "window of both sides", "on each side, not those on both sides together")
def _(words, window):
    return right_pairs(words, window // 2)


@wrong("skip_gram_pairs", "no centres near the edges", "not used as centres")
def _(words, window):
    pairs = []
    for i in range(window, len(words) - window):
        for j in range(i - window, i + window + 1):
            if j != i:
                pairs.append((words[i], words[j]))
    return pairs


@wrong("skip_gram_pairs", "wraps around at the start", "negative positions count from its end")
def _(words, window):
    pairs = []
    for i in range(len(words)):
        for offset in range(-window, window + 1):
            if offset != 0 and i + offset < len(words):
                pairs.append((words[i], words[i + offset]))
    return pairs


@wrong("skip_gram_pairs", "runs over the end", "fewer neighbours on its right")
def _(words, window):
    pairs = []
    for i in range(len(words)):
        for j in range(max(0, i - window), i + window + 1):
            if j != i:
                pairs.append((words[i], words[j]))
    return pairs


@wrong("skip_gram_pairs", "context first", "stands before the centre in your pairs")
def _(words, window):
    return [(near, centre) for centre, near in right_pairs(words, window)]


@wrong("skip_gram_pairs", "at that distance only", "exactly `window` away")
def _(words, window):
    pairs = []
    for i in range(len(words)):
        for j in (i - window, i + window):
            if 0 <= j < len(words):
                pairs.append((words[i], words[j]))
    return pairs


@wrong("skip_gram_pairs", "nearest first", "come left to right")
def _(words, window):
    pairs = []
    for i in range(len(words)):
        for distance in range(1, window + 1):
            if i - distance >= 0:
                pairs.append((words[i], words[i - distance]))
            if i + distance < len(words):
                pairs.append((words[i], words[i + distance]))
    return pairs


@wrong("skip_gram_pairs", "offset by offset", "all pairs of the first word come first")
def _(words, window):
    pairs = []
    for offset in range(-window, window + 1):
        for i in range(len(words)):
            if offset != 0 and 0 <= i + offset < len(words):
                pairs.append((words[i], words[i + offset]))
    return pairs


@wrong("skip_gram_pairs", "one item a word", "there must be one for each word and neighbour")
def _(words, window):
    return [(centre, words[max(0, i - window) : i] + words[i + 1 : i + window + 1]) for i, centre in enumerate(words)]


@wrong("skip_gram_pairs", "sorted")
def _(words, window):
    return sorted(right_pairs(words, window))


@wrong("skip_gram_pairs", "returns a set", "a set, expected a list")
def _(words, window):
    return set(right_pairs(words, window))


@wrong("skip_gram_pairs", "returns a generator", "a generator, expected a list")
def _(words, window):
    return (pair for pair in right_pairs(words, window))


@wrong("skip_gram_pairs", "changes its input", "changed its argument `words` in place")
def _(words, window):
    n = len(words)
    words += [None] * window
    pairs = []
    for i in range(n):
        pairs += [(words[i], words[j]) for j in range(max(0, i - window), i + window + 1) if j != i and words[j]]
    return pairs


@wrong("skip_gram_pairs", "forgets return", "forget `return`")
def _(words, window):
    right_pairs(words, window)


# --- negative_sampling_loss ---


def scores_of(centre, context, negatives):
    """Score the true neighbour and the negatives rightly."""
    return (centre * context).sum(-1), torch.einsum("bd,bkd->bk", centre, negatives)


@wrong("negative_sampling_loss", "log of sigmoid", "the two steps taken together need not overflow")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(torch.log(torch.sigmoid(true)) + torch.log(torch.sigmoid(-drawn)).sum(1)).mean()


@wrong("negative_sampling_loss", "one minus sigmoid", "the two steps taken together need not overflow")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(torch.log(1 - torch.sigmoid(-true)) + torch.log(1 - torch.sigmoid(drawn)).sum(1)).mean()


@wrong("negative_sampling_loss", "log of one minus sigmoid for the negatives", "-inf")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(true) + torch.log(1 - torch.sigmoid(drawn)).sum(1)).mean()


@wrong("negative_sampling_loss", "small number added", "puts a ceiling on the loss")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    eps = 1e-8
    return -(torch.log(torch.sigmoid(true) + eps) + torch.log(torch.sigmoid(-drawn) + eps).sum(1)).mean()


@wrong("negative_sampling_loss", "scores clamped")
def _(centre, context, negatives):
    true, drawn = (each.clamp(-10, 10) for each in scores_of(centre, context, negatives))
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "negatives as neighbours", "treated as true neighbours")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(true) + F.logsigmoid(drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "signs exchanged", "the true pair is pushed apart")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(-true) + F.logsigmoid(drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "no minus", "a loss is made small")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return (F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "mean of the negatives", "the formula adds them up")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).mean(1)).mean()


@wrong("negative_sampling_loss", "sum of the batch", "does not grow with the batch")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -F.logsigmoid(true).sum() - F.logsigmoid(-drawn).sum()


@wrong("negative_sampling_loss", "mean of everything", "divide by the number of pairs")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    scores = torch.cat([true[:, None], drawn], 1)
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1
    return F.binary_cross_entropy_with_logits(scores, labels)


@wrong("negative_sampling_loss", "two separate means", "the formula adds them up")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -F.logsigmoid(true).mean() - F.logsigmoid(-drawn).mean()


@wrong("negative_sampling_loss", "one loss a pair", "return their mean")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1))


@wrong("negative_sampling_loss", "no negatives", "the negatives are left out")
def _(centre, context, negatives):
    return -F.logsigmoid((centre * context).sum(-1)).mean()


@wrong("negative_sampling_loss", "negatives only", "the true neighbour is left out")
def _(centre, context, negatives):
    return -F.logsigmoid(-scores_of(centre, context, negatives)[1]).sum(1).mean()


@wrong("negative_sampling_loss", "softmax", "compete in a softmax")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    scores = torch.cat([true[:, None], drawn], 1)
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long))


@wrong("negative_sampling_loss", "no logarithm", "take their logarithms")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(torch.sigmoid(true) + torch.sigmoid(-drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "cosines", "the scores are cosines")
def _(centre, context, negatives):
    true = F.cosine_similarity(centre, context, dim=-1)
    drawn = F.cosine_similarity(centre[:, None], negatives, dim=-1)
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "negatives against the context", "compare them with the centre")
def _(centre, context, negatives):
    true = (centre * context).sum(-1)
    drawn = (negatives * context[:, None]).sum(-1)
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "axis missing", "which one is missing?")
def _(centre, context, negatives):
    true, drawn = (centre * context).sum(-1), (centre * negatives).sum(-1)
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "every centre with every context")
def _(centre, context, negatives):
    _, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(centre @ context.T).mean() + F.logsigmoid(-drawn).sum(1).mean())


@wrong("negative_sampling_loss", "python number", "a float, expected a plain torch.Tensor")
def _(centre, context, negatives):
    true, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1)).mean().item()


@wrong("negative_sampling_loss", "single precision only", "dtype float32, expected float64")
def _(centre, context, negatives):
    true, drawn = scores_of(centre.float(), context.float(), negatives.float())
    return -(F.logsigmoid(true) + F.logsigmoid(-drawn).sum(1)).mean()


@wrong("negative_sampling_loss", "changes its input", "changed its argument `negatives` in place")
def _(centre, context, negatives):
    negatives *= -1
    true, drawn = scores_of(centre, context, negatives)
    return -(F.logsigmoid(true) + F.logsigmoid(drawn).sum(1)).mean()


# --- cooccurrence_matrix ---


def right_counts(ids, vocab_size, window):
    """Count rightly, one distance at a time."""
    counts = torch.zeros(vocab_size, vocab_size)
    for d in range(1, min(window, len(ids) - 1) + 1):
        pairs = ids[:-d] * vocab_size + ids[d:]
        counts += torch.bincount(pairs, minlength=vocab_size**2).view(vocab_size, vocab_size) / d
    return counts + counts.T


@wrong("cooccurrence_matrix", "every neighbour counts one", "every neighbour counts 1")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for j in range(max(0, i - window), min(len(ids), i + window + 1)):
            if i != j:
                counts[ids[i], ids[j]] += 1
    return counts


@wrong("cooccurrence_matrix", "repeated indices", "writes each entry once")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for d in range(1, min(window, len(ids) - 1) + 1):
        counts[ids[:-d], ids[d:]] += 1 / d
        counts[ids[d:], ids[:-d]] += 1 / d
    return counts


@wrong("cooccurrence_matrix", "words after only", "only the words after each word")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for d in range(1, window + 1):
            if i + d < len(ids):
                counts[ids[i], ids[i + d]] += 1 / d
    return counts


@wrong("cooccurrence_matrix", "words before only", "only the words before each word")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for d in range(1, window + 1):
            if i - d >= 0:
                counts[ids[i], ids[i - d]] += 1 / d
    return counts


@wrong("cooccurrence_matrix", "counted from both ends", "each pair is counted twice")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for j in range(max(0, i - window), min(len(ids), i + window + 1)):
            if i != j:
                counts[ids[i], ids[j]] += 1 / abs(i - j)
                counts[ids[j], ids[i]] += 1 / abs(i - j)
    return counts


@wrong("cooccurrence_matrix", "window one short", "the farthest words of the window are missing")
def _(ids, vocab_size, window):
    return right_counts(ids, vocab_size, window - 1)


@wrong("cooccurrence_matrix", "window one long", "words beyond the window")
def _(ids, vocab_size, window):
    return right_counts(ids, vocab_size, window + 1)


@wrong("cooccurrence_matrix", "linear weight", "in equal steps")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for d in range(1, window + 1):
            if i + d < len(ids):
                counts[ids[i], ids[i + d]] += (window - d + 1) / window
                counts[ids[i + d], ids[i]] += (window - d + 1) / window
    return counts


@wrong("cooccurrence_matrix", "distance counted from zero", "the next word is at distance 1")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for d in range(1, window + 1):
            if i + d < len(ids):
                counts[ids[i], ids[i + d]] += 1 / (d + 1)
                counts[ids[i + d], ids[i]] += 1 / (d + 1)
    return counts


@wrong("cooccurrence_matrix", "diagonal cleared", "its count belongs on the diagonal")
def _(ids, vocab_size, window):
    counts = right_counts(ids, vocab_size, window)
    counts.fill_diagonal_(0)
    return counts


@wrong("cooccurrence_matrix", "words compared", "its count belongs on the diagonal")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for j in range(max(0, i - window), min(len(ids), i + window + 1)):
            if ids[i] != ids[j]:
                counts[ids[i], ids[j]] += 1 / abs(i - j)
    return counts


@wrong("cooccurrence_matrix", "its own neighbour", "the diagonal is too large")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for j in range(max(0, i - window), min(len(ids), i + window + 1)):
            counts[ids[i], ids[j]] += 1 / max(1, abs(i - j))
    return counts


@wrong("cooccurrence_matrix", "rolled", "joined to its beginning")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for d in range(1, window + 1):
        for first, second in zip(ids, torch.roll(ids, -d), strict=True):
            counts[first, second] += 1 / d
            counts[second, first] += 1 / d
    return counts


@wrong("cooccurrence_matrix", "runs over the end", "fewer neighbours on its right")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for d in range(1, window + 1):
            counts[ids[i], ids[i + d]] += 1 / d
    return counts + counts.T


@wrong("cooccurrence_matrix", "ends do not fit", "d pairs fewer than there are words")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for d in range(1, window + 1):
        counts.view(-1).index_add_(0, ids * vocab_size + ids[d:], torch.full((len(ids),), 1 / d))
    return counts + counts.T


@wrong("cooccurrence_matrix", "indices of two lengths", "d pairs fewer than there are words")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for d in range(1, window + 1):
        counts.index_put_((ids, ids[d:]), torch.tensor(1 / d), accumulate=True)
    return counts + counts.T


@wrong("cooccurrence_matrix", "only the words seen", "every word of the vocabulary has a row")
def _(ids, vocab_size, window):
    size = ids.max().item() + 1
    return right_counts(ids, size, window)


@wrong("cooccurrence_matrix", "rows normalised", "return the counts")
def _(ids, vocab_size, window):
    counts = right_counts(ids, vocab_size, window)
    return counts / counts.sum(1, keepdim=True).clamp(min=1e-12)


@wrong("cooccurrence_matrix", "double precision", "dtype float64, expected float32")
def _(ids, vocab_size, window):
    return right_counts(ids, vocab_size, window).double()


@wrong("cooccurrence_matrix", "sparse", "a sparse or nested tensor")
def _(ids, vocab_size, window):
    return right_counts(ids, vocab_size, window).to_sparse()


@wrong("cooccurrence_matrix", "reaches back over the start")
def _(ids, vocab_size, window):
    counts = torch.zeros(vocab_size, vocab_size)
    for i in range(len(ids)):
        for d in range(1, window + 1):
            counts[ids[i], ids[(i - d) % len(ids)]] += 1 / d
            if i + d < len(ids):
                counts[ids[i], ids[i + d]] += 1 / d
    return counts


# --- glove_loss ---


def parts(w, w_context, b, b_context, counts, x_max, alpha):
    """Give the weights and errors of the pairs seen, rightly."""
    seen = counts > 0
    x = counts[seen]
    predicted = w @ w_context.T + b[:, None] + b_context[None, :]
    return (x / x_max).clamp(max=1) ** alpha, predicted[seen] - torch.log(x)


@wrong("glove_loss", "zeros kept", "zero times it NaN")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    error = w @ w_context.T + b[:, None] + b_context - counts.log()
    return ((counts / x_max).clamp(max=1) ** alpha * error**2).sum()


@wrong("glove_loss", "no weight", "the errors are not weighted")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    _, error = parts(w, w_context, b, b_context, counts, x_max, alpha)
    return (error**2).sum()


@wrong("glove_loss", "weight without end", "from x_max on it is 1")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    _, error = parts(w, w_context, b, b_context, counts, x_max, alpha)
    return ((counts[counts > 0] / x_max) ** alpha * error**2).sum()


@wrong("glove_loss", "no power", "the power alpha is missing")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    _, error = parts(w, w_context, b, b_context, counts, x_max, alpha)
    return (torch.clamp(counts[counts > 0] / x_max, max=1.0) * error**2).sum()


@wrong("glove_loss", "power before the division", "before dividing by x_max")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    _, error = parts(w, w_context, b, b_context, counts, x_max, alpha)
    return ((counts[counts > 0] ** alpha / x_max).clamp(max=1) * error**2).sum()


@wrong("glove_loss", "large counts dropped", "those above it weigh 1")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    _, error = parts(w, w_context, b, b_context, counts, x_max, alpha)
    x = counts[counts > 0]
    return ((x / x_max)[x < x_max] ** alpha * error[x < x_max] ** 2).sum()


@wrong("glove_loss", "all pairs, log of one plus", "and only pairs that were seen")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    return ((w @ w_context.T + b[:, None] + b_context - torch.log(1 + counts)) ** 2).sum()


@wrong("glove_loss", "log of one plus the count", "nothing needs the 1")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, _ = parts(w, w_context, b, b_context, counts, x_max, alpha)
    error = w @ w_context.T + b[:, None] + b_context - torch.log(1 + counts)
    return (weight * error[counts > 0] ** 2).sum()


@wrong("glove_loss", "no logarithm", "the target is the count itself")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, _ = parts(w, w_context, b, b_context, counts, x_max, alpha)
    error = w @ w_context.T + b[:, None] + b_context - counts
    return (weight * error[counts > 0] ** 2).sum()


@wrong("glove_loss", "base 10", "not that of base 10")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, _ = parts(w, w_context, b, b_context, counts, x_max, alpha)
    error = (w @ w_context.T + b[:, None] + b_context)[counts > 0] - counts[counts > 0].log10()
    return (weight * error**2).sum()


@wrong("glove_loss", "base 2", "not that of base 2")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, _ = parts(w, w_context, b, b_context, counts, x_max, alpha)
    error = (w @ w_context.T + b[:, None] + b_context)[counts > 0] - counts[counts > 0].log2()
    return (weight * error**2).sum()


@wrong("glove_loss", "mean of the pairs seen", "the mean over the pairs seen")
def _(*args):
    weight, error = parts(*args)
    return (weight * error**2).mean()


@wrong("glove_loss", "mean of all pairs", "the mean over all pairs")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, error = parts(w, w_context, b, b_context, counts, x_max, alpha)
    return (weight * error**2).sum() / (len(w) * len(w_context))


@wrong("glove_loss", "halved", "the loss is halved")
def _(*args):
    weight, error = parts(*args)
    return 0.5 * (weight * error**2).sum()


@wrong("glove_loss", "no biases", "there are no biases")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, error = parts(w, w_context, 0 * b, 0 * b_context, counts, x_max, alpha)
    return (weight * error**2).sum()


@wrong("glove_loss", "no context bias", "the bias of the context word is missing")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, error = parts(w, w_context, b, 0 * b_context, counts, x_max, alpha)
    return (weight * error**2).sum()


@wrong("glove_loss", "no word bias", "the bias of the word is missing")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, error = parts(w, w_context, 0 * b, b_context, counts, x_max, alpha)
    return (weight * error**2).sum()


@wrong("glove_loss", "biases along the wrong axes", "the biases lie along the wrong axes")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    seen = counts > 0
    error = (w @ w_context.T + b + b_context[:, None])[seen] - counts[seen].log()
    return ((counts[seen] / x_max).clamp(max=1) ** alpha * error**2).sum()


@wrong("glove_loss", "both biases along the columns")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    seen = counts > 0
    error = (w @ w_context.T + b + b_context)[seen] - counts[seen].log()
    return ((counts[seen] / x_max).clamp(max=1) ** alpha * error**2).sum()


@wrong("glove_loss", "vectors exchanged", "word and context vectors have changed places")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, error = parts(w_context, w, b, b_context, counts, x_max, alpha)
    return (weight * error**2).sum()


@wrong("glove_loss", "no context vectors", "the context vectors are not used")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, error = parts(w, w, b, b_context, counts, x_max, alpha)
    return (weight * error**2).sum()


@wrong("glove_loss", "cosines", "the products are cosines")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    unit, unit_context = (each / each.norm(dim=1, keepdim=True) for each in (w, w_context))
    weight, error = parts(unit, unit_context, b, b_context, counts, x_max, alpha)
    return (weight * error**2).sum()


@wrong("glove_loss", "weight inside the square", "it stands outside the square")
def _(*args):
    weight, error = parts(*args)
    return ((weight * error) ** 2).sum()


@wrong("glove_loss", "absolute errors", "the errors are not squared")
def _(*args):
    weight, error = parts(*args)
    return (weight * error.abs()).sum()


@wrong("glove_loss", "errors with their signs", "those of opposite sign cancel")
def _(*args):
    weight, error = parts(*args)
    return (weight * error).sum()


@wrong("glove_loss", "softmax", "compete in a softmax")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    scores = w @ w_context.T + b[:, None] + b_context
    return -(counts * F.log_softmax(scores, dim=1)).sum()


@wrong("glove_loss", "the article's formula", "built on the formula of article 001")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    c = counts.sum(1)
    similarity = F.cosine_similarity(w[:, None], w_context[None], dim=-1)
    top = torch.exp(similarity / torch.sqrt(c[:, None] * c[None]))
    value = top / (top / c).sum(1, keepdim=True)
    return -(counts * value.log()).sum()


@wrong("glove_loss", "not transposed", "which one to transpose?")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    return ((w @ w_context + b + b_context - counts.log()) ** 2).sum()


@wrong("glove_loss", "own position only")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, _ = parts(w, w_context, b, b_context, counts, x_max, alpha)
    error = ((w * w_context).sum(1) + b + b_context)[:, None] - torch.log(counts)
    return (weight * error[counts > 0] ** 2).sum()


@wrong("glove_loss", "small number added", None)
def _(w, w_context, b, b_context, counts, x_max, alpha):
    error = w @ w_context.T + b[:, None] + b_context - torch.log(counts + 1e-2)
    return ((counts / x_max).clamp(max=1) ** alpha * error**2).sum()


@wrong("glove_loss", "python number", "a float, expected a plain torch.Tensor")
def _(*args):
    weight, error = parts(*args)
    return (weight * error**2).sum().item()


@wrong("glove_loss", "changes its input", "changed its argument `counts` in place")
def _(w, w_context, b, b_context, counts, x_max, alpha):
    weight, error = parts(w, w_context, b, b_context, counts, x_max, alpha)
    counts.clamp_(max=x_max)
    return (weight * error**2).sum()


# --- most_similar ---


def cosines(vectors, index):
    """Compare one word with all, rightly."""
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    return unit @ unit[index]


def best(scores, index, k):
    """Take the best rightly."""
    scores = scores.clone()
    scores[index] = -float("inf")
    values, indices = scores.topk(k)
    return indices, values


@wrong("most_similar", "itself included", "its own nearest neighbour")
def _(vectors, index, k):
    values, indices = cosines(vectors, index).topk(k)
    return indices, values


@wrong("most_similar", "dot product", "rank by the dot product")
def _(vectors, index, k):
    return best(vectors @ vectors[index], index, k)


@wrong("most_similar", "half normalised", "the order is right, the similarities are not")
def _(vectors, index, k):
    return best(vectors @ vectors[index] / vectors.norm(dim=1), index, k)


@wrong("most_similar", "distance", "rank by the distance")
def _(vectors, index, k):
    distances = torch.stack([(vector - vectors[index]).norm() for vector in vectors])
    distances[index] = float("inf")
    values, indices = distances.topk(k, largest=False)
    return indices, values


@wrong("most_similar", "least similar", "the least similar words")
def _(vectors, index, k):
    scores = cosines(vectors, index)
    order = scores.argsort()[:k]
    return order, scores[order]


@wrong("most_similar", "row removed", "one too small")
def _(vectors, index, k):
    others = torch.cat([vectors[:index], vectors[index + 1 :]])
    scores = F.cosine_similarity(others, vectors[index : index + 1])
    values, indices = scores.topk(k)
    return indices, values


@wrong("most_similar", "first dropped", "need not be the word itself")
def _(vectors, index, k):
    scores = cosines(vectors, index)
    order = scores.sort(descending=True, stable=True).indices[1 : k + 1]
    return order, scores[order]


@wrong("most_similar", "doubles dropped", "are left out with it")
def _(vectors, index, k):
    scores = cosines(vectors, index)
    scores[scores > 0.9999] = -float("inf")
    values, indices = scores.topk(k)
    return indices, values


@wrong("most_similar", "own similarity zero", "larger than that of a word pointing away")
def _(vectors, index, k):
    scores = cosines(vectors, index)
    scores[index] = 0
    values, indices = scores.topk(k)
    return indices, values


@wrong("most_similar", "absolute cosine", "a vector pointing away is not near")
def _(vectors, index, k):
    return best(cosines(vectors, index).abs(), index, k)


@wrong("most_similar", "cosine distance", "which is a distance")
def _(vectors, index, k):
    distances = 1 - cosines(vectors, index)
    distances[index] = float("inf")
    values, indices = distances.topk(k, largest=False)
    return indices, values


@wrong("most_similar", "ascending", "the nearest comes first")
def _(vectors, index, k):
    scores = cosines(vectors, index)
    scores[index] = -float("inf")
    order = scores.argsort()[-k:]
    return order, scores[order]


@wrong("most_similar", "values first", "as its `indices`, a tensor of dtype float32, expected int64")
def _(vectors, index, k):
    indices, values = best(cosines(vectors, index), index, k)
    return values, indices


@wrong("most_similar", "indices only", "expected the 2 values (indices, similarities)")
def _(vectors, index, k):
    return best(cosines(vectors, index), index, k)[0]


@wrong("most_similar", "asks for one too many", "is only the word itself left out?")
def _(vectors, index, k):
    others = torch.cat([vectors[:index], vectors[index + 1 :]])
    values, indices = F.cosine_similarity(others, vectors[index : index + 1]).topk(k + 1)
    indices = indices + (indices >= index)
    return indices[:k], values[:k]


@wrong("most_similar", "a list", "a list of")
def _(vectors, index, k):
    indices, values = best(cosines(vectors, index), index, k)
    return indices.tolist(), values.tolist()


@wrong("most_similar", "normalised in place", "changed its argument `vectors` in place")
def _(vectors, index, k):
    vectors /= vectors.norm(dim=1, keepdim=True)
    return best(vectors @ vectors[index], index, k)


@wrong("most_similar", "normalised along the wrong axis")
def _(vectors, index, k):
    unit = vectors / vectors.norm(dim=0, keepdim=True)
    return best(unit @ unit[index], index, k)


@wrong("most_similar", "correlation")
def _(vectors, index, k):
    return best(cosines(vectors - vectors.mean(1, keepdim=True), index), index, k)


# --- analogy ---


def unit(vectors):
    """Bring vectors to length 1."""
    return vectors / vectors.norm(dim=1, keepdim=True)


def without(scores, *given):
    """Leave the words of each question out, rightly."""
    for words in given:
        scores[torch.arange(len(scores)), words] = -float("inf")
    return scores


@wrong("analogy", "words of the question kept", "the words of the question are not left out")
def _(vectors, a, b, c):
    u = unit(vectors)
    return ((u[b] - u[a] + u[c]) @ u.T).argmax(1)


@wrong("analogy", "only c left out", "not all three words")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a] + u[c]) @ u.T, c).argmax(1)


@wrong("analogy", "only b left out", "not all three words")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a] + u[c]) @ u.T, b).argmax(1)


@wrong("analogy", "a kept", "not all three words")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a] + u[c]) @ u.T, b, c).argmax(1)


@wrong("analogy", "left out of all answers", "left out of the answers to all the others")
def _(vectors, a, b, c):
    u = unit(vectors)
    scores = (u[b] - u[a] + u[c]) @ u.T
    for words in (a, b, c):
        scores[:, words] = -float("inf")
    return scores.argmax(1)


@wrong("analogy", "a minus b", "go from a to b, and the same way on from c")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[a] - u[b] + u[c]) @ u.T, a, b, c).argmax(1)


@wrong("analogy", "a plus b minus c", "go from a to b, and the same way on from c")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[a] + u[b] - u[c]) @ u.T, a, b, c).argmax(1)


@wrong("analogy", "nothing subtracted", "the three vectors are added")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[a] + u[b] + u[c]) @ u.T, a, b, c).argmax(1)


@wrong("analogy", "c not added", "the step starts from c")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a]) @ u.T, a, b, c).argmax(1)


@wrong("analogy", "raw vectors added", "the longest decides")
def _(vectors, a, b, c):
    return without((vectors[b] - vectors[a] + vectors[c]) @ unit(vectors).T, a, b, c).argmax(1)


@wrong("analogy", "dot product with raw vectors", "compared by dot product")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a] + u[c]) @ vectors.T, a, b, c).argmax(1)


@wrong("analogy", "nothing normalised", "no vector is brought to length 1")
def _(vectors, a, b, c):
    return without((vectors[b] - vectors[a] + vectors[c]) @ vectors.T, a, b, c).argmax(1)


@wrong("analogy", "nearest point", "you take the nearest point")
def _(vectors, a, b, c):
    target = vectors[b] - vectors[a] + vectors[c]
    distances = (target[:, None] - vectors[None]).norm(dim=-1)
    return without(-distances, a, b, c).argmax(1)


@wrong("analogy", "least similar", "farthest from the target")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without(-(u[b] - u[a] + u[c]) @ u.T, a, b, c).argmax(1)


@wrong("analogy", "not transposed", "which one to transpose?")
def _(vectors, a, b, c):
    u = unit(vectors)
    return ((u[b] - u[a] + u[c]) @ u).argmax(1)


@wrong("analogy", "the same answer for all")
def _(vectors, a, b, c):
    u = unit(vectors)
    scores = without((u[b] - u[a] + u[c]) @ u.T, a, b, c)
    return scores.mean(0).argmax().expand(len(a))


@wrong("analogy", "argmax over the questions")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a] + u[c]) @ u.T, a, b, c).argmax(0)


@wrong("analogy", "similarities", "a tensor of dtype float32, expected int64")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a] + u[c]) @ u.T, a, b, c).max(1).values


@wrong("analogy", "a list", "a list of")
def _(vectors, a, b, c):
    u = unit(vectors)
    return without((u[b] - u[a] + u[c]) @ u.T, a, b, c).argmax(1).tolist()


@wrong("analogy", "normalised in place", "changed its argument `vectors` in place")
def _(vectors, a, b, c):
    vectors /= vectors.norm(dim=1, keepdim=True)
    return without((vectors[b] - vectors[a] + vectors[c]) @ vectors.T, a, b, c).argmax(1)


# --- spearman ---


def right_ranks(x):
    """Rank rightly, equal numbers by their mean rank."""
    return ((x > x[:, None]).sum(0) + (x >= x[:, None]).sum(0)).to(x.dtype) / 2


def correlation(x, y):
    """Correlate two lists of numbers."""
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / (x.norm() * y.norm())


@wrong("spearman", "no ranks", "Pearson's correlation of the numbers themselves")
def _(x, y):
    return torch.corrcoef(torch.stack([x, y]))[0, 1]


@wrong("spearman", "one argsort", "not the ranks of the numbers")
def _(x, y):
    return correlation(x.argsort(stable=True).to(x.dtype), y.argsort(stable=True).to(y.dtype))


@wrong("spearman", "two argsorts", "in the order in which they come")
def _(x, y):
    first, second = (each.argsort(stable=True).argsort(stable=True).to(x.dtype) for each in (x, y))
    return correlation(first, second)


@wrong("spearman", "lowest rank", "the lowest of their ranks")
def _(x, y):
    first, second = (torch.searchsorted(each.sort().values, each).to(x.dtype) for each in (x, y))
    return correlation(first, second)


@wrong("spearman", "highest rank", "the highest of their ranks")
def _(x, y):
    first, second = (torch.searchsorted(each.sort().values, each, right=True).to(x.dtype) for each in (x, y))
    return correlation(first, second)


@wrong("spearman", "dense ranks", "three equal numbers take up three ranks")
def _(x, y):
    first, second = (torch.unique(each, return_inverse=True)[1].to(x.dtype) for each in (x, y))
    return correlation(first, second)


@wrong("spearman", "short formula", "the short formula with the squared differences")
def _(x, y):
    n = len(x)
    return 1 - 6 * ((right_ranks(x) - right_ranks(y)) ** 2).sum() / (n**3 - n)


@wrong("spearman", "short formula, no ties", "in the order in which they come")
def _(x, y):
    first, second = (each.argsort(stable=True).argsort(stable=True).to(x.dtype) for each in (x, y))
    n = len(x)
    return 1 - 6 * ((first - second) ** 2).sum() / (n**3 - n)


@wrong("spearman", "not centred", "the mean rank is not subtracted")
def _(x, y):
    return F.cosine_similarity(right_ranks(x) + 0.5, right_ranks(y) + 0.5, dim=0)


@wrong("spearman", "covariance", "divide by both standard deviations")
def _(x, y):
    first, second = right_ranks(x), right_ranks(y)
    return ((first - first.mean()) * (second - second.mean())).mean()


@wrong("spearman", "squared", "the correlation is squared")
def _(x, y):
    return correlation(right_ranks(x), right_ranks(y)) ** 2


@wrong("spearman", "absolute", "the sign is lost")
def _(x, y):
    return correlation(right_ranks(x), right_ranks(y)).abs()


@wrong("spearman", "one ranked from the top", "ranked from the top")
def _(x, y):
    return correlation(right_ranks(x), right_ranks(-y))


@wrong("spearman", "Kendall", "Kendall's correlation")
def _(x, y):
    n = len(x)
    total = 0.0
    for i in range(n):
        for j in range(i):
            total += torch.sign(x[i] - x[j]) * torch.sign(y[i] - y[j])
    return total / (n * (n - 1) / 2)


@wrong("spearman", "standard deviations of two kinds")
def _(x, y):
    first, second = right_ranks(x), right_ranks(y)
    return ((first - first.mean()) * (second - second.mean())).mean() / (first.std() * second.std())


@wrong("spearman", "whole numbers", "ranks are whole numbers at first")
def _(x, y):
    first, second = (torch.searchsorted(each.sort().values, each) for each in (x, y))
    return correlation(first, second)


@wrong("spearman", "one list ranked")
def _(x, y):
    return correlation(right_ranks(x), y)


@wrong("spearman", "python number", "a float, expected a plain torch.Tensor")
def _(x, y):
    return correlation(right_ranks(x), right_ranks(y)).item()


@wrong("spearman", "single precision only", "dtype float32, expected float64")
def _(x, y):
    return correlation(right_ranks(x).float(), right_ranks(y).float())


@wrong("spearman", "sorts its input", "changed its argument `x` in place")
def _(x, y):
    value = correlation(right_ranks(x), right_ranks(y))
    x.copy_(x.sort().values)
    return value


file_learned_by_heart(MUTANTS, EXERCISES)
