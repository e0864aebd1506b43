"""The equations word for word, one pair at a time: what the package's fast versions must agree with."""

import math
from collections import defaultdict

import torch
import torch.nn.functional as F


def naive_cooccurrences(sentences, window):
    """Count each two words up to ``window`` apart in a sentence, k apart as 1/k."""
    counts = defaultdict(float)
    for sentence in sentences:
        for i, word in enumerate(sentence):
            for k in range(1, min(window, i) + 1):
                counts[word, sentence[i - k]] += 1 / k
                counts[sentence[i - k], word] += 1 / k
    return counts


def naive_glove_loss(words, contexts, word_biases, context_biases, counts, x_max=100.0, alpha=0.75):
    """Pennington et al. (2014), equation 8, with ``counts[i, j]`` above 0 where i and j were seen together."""
    loss = 0.0
    for (i, j), x in counts.items():
        weight = (x / x_max) ** alpha if x < x_max else 1.0
        loss += weight * (words[i] @ contexts[j] + word_biases[i] + context_biases[j] - math.log(x)) ** 2
    return loss


def naive_skipgram_loss(words, contexts, noise, in_window, n_negative):
    """Mikolov et al. (2013b), equation 4, with the expectation over the block's noise words taken exactly."""
    loss = 0.0
    for b in range(len(words)):
        for i, word in enumerate(words[b]):
            for j, context in enumerate(contexts[b]):
                if in_window[b, i, j]:
                    false = [F.logsigmoid(-(word @ n)) for n in noise[b]]
                    loss -= F.logsigmoid(word @ context) + n_negative * sum(false) / len(false)
    return loss


def naive_cbow_loss(contexts, words, noise, in_window, n_negative):
    """The same with the mean of the window in the place of the word, and the word in the place of the context."""
    loss = 0.0
    for b in range(len(words)):
        for i, word in enumerate(words[b]):
            around = [context for j, context in enumerate(contexts[b]) if in_window[b, i, j]]
            if around:
                mean = torch.stack(around).mean(0)
                false = [F.logsigmoid(-(mean @ n)) for n in noise[b]]
                loss -= F.logsigmoid(mean @ word) + n_negative * sum(false) / len(false)
    return loss


def article_glove(vectors, counts, i, j):
    """Article 001, section 4.1: what it calls GloVe, for the words numbered i and j, with the cosine as similarity."""
    similarity = F.cosine_similarity(vectors[i], vectors, dim=-1)
    scores = (similarity / (counts[i] * counts).sqrt()).exp()
    return scores[j] / (scores / counts).sum()
