"""Counting against a dictionary, GloVe against one pair after the other in numba, skip-gram against gensim."""

import functools

import numba
import numpy as np
import torch
from gensim.models import Word2Vec

import companion.data
from companion.embeddings import (
    Corpus,
    Vocabulary,
    WordVectors,
    count_cooccurrences,
    glove_loss,
    similarity_difference,
    split_words,
    train_skipgram,
)
from companion.embeddings.glove import fit
from tests.benchmarks.measure import Benchmark
from tests.embeddings.naive import naive_cooccurrences

D_GLOVE, GLOVE_EPOCHS, RATE, X_MAX, ALPHA = 50, 3, 0.05, 100.0, 0.75
D_SKIPGRAM, WINDOW, N_NEGATIVE, SAMPLE, SKIPGRAM_EPOCHS = 100, 5, 5, 1e-3, 5


@functools.cache
def encyclopaedia():
    """The leads of the encyclopaedia and the passages of BoolQ: 12 MB of English, 1.9 million words."""
    texts = [text for name in ("wiki", "boolq") for text in companion.data.load(name)["text"]]
    sentences = [split_words(text) for text in texts]
    return Vocabulary.count(sentences).encode(sentences)


def beginning(corpus, n_words):
    """Cut a corpus off at the first end of a sentence after so many words."""
    end = int(np.searchsorted(corpus.sentence, corpus.sentence[n_words]))
    return Corpus(corpus.vocabulary, corpus.ids[:end], corpus.sentence[:end])


def sentences_of(corpus, names=None):
    cuts = np.flatnonzero(np.diff(corpus.sentence)) + 1
    sentences = [sentence.tolist() for sentence in np.split(corpus.ids, cuts)]
    return sentences if names is None else [[names[i] for i in sentence] for sentence in sentences]


def counting():
    """Make both counters of 400,000 words, and make sure that every count is the same."""
    corpus = beginning(encyclopaedia(), 400_000)
    sentences = sentences_of(corpus)
    both = (lambda: count_cooccurrences(corpus, window=WINDOW)), (lambda: naive_cooccurrences(sentences, WINDOW))
    ours, theirs = (count() for count in both)
    assert ours.nnz == len(theirs)
    rows, columns = np.array(list(theirs)).T
    np.testing.assert_allclose(ours[rows, columns], list(theirs.values()), rtol=1e-4)
    return both


@numba.njit(fastmath=True)
def numba_epoch(order, rows, columns, log_counts, weights, words, contexts, word_squares, context_squares, rate):
    """AdaGrad one pair after the other, as the published program does it; the last number of each row is the bias."""
    d = words.shape[1] - 1
    for number in order:
        w, v = words[rows[number]], contexts[columns[number]]
        w_squares, v_squares = word_squares[rows[number]], context_squares[columns[number]]
        error = w[d] + v[d] - log_counts[number]
        for k in range(d):
            error += w[k] * v[k]
        slope = weights[number] * error
        for k in range(d + 1):
            by_w, by_v = (slope * v[k], slope * w[k]) if k < d else (slope, slope)
            w[k] -= rate * by_w / np.sqrt(w_squares[k])
            v[k] -= rate * by_v / np.sqrt(v_squares[k])
            w_squares[k] += by_w * by_w
            v_squares[k] += by_v * by_v


def numba_fit(counts, epochs, seed=0):
    random, pairs = np.random.default_rng(seed), counts.tocoo()
    rows, columns = (axis.astype(np.int32) for axis in pairs.coords)
    weights = np.minimum(pairs.data / X_MAX, 1).astype(np.float32) ** np.float32(ALPHA)
    shape = len(counts.indptr) - 1, D_GLOVE + 1
    tables = [((random.random(shape) - 0.5) / D_GLOVE).astype(np.float32) for _ in range(2)]
    squares = [np.ones(shape, dtype=np.float32) for _ in range(2)]
    for _ in range(epochs):
        order = random.permutation(counts.nnz).astype(np.int32)
        numba_epoch(order, rows, columns, np.log(pairs.data), weights, *tables, *squares, np.float32(RATE))
    return tables


def glove():
    """Make both trainings of three epochs, and make sure that ours ends no higher."""
    corpus = beginning(encyclopaedia(), 800_000)
    counts = count_cooccurrences(corpus, window=WINDOW)

    def ours():
        return fit(counts, D_GLOVE, GLOVE_EPOCHS, RATE, X_MAX, ALPHA, seed=0, device="cpu", progress=False)

    (left, right), _ = ours()
    mine = glove_loss(left[:, :-2], right[:, :-2], left[:, -2], right[:, -1], counts)
    w, v = (torch.from_numpy(table) for table in numba_fit(counts, GLOVE_EPOCHS))
    other = glove_loss(w[:, :-1], v[:, :-1], w[:, -1], v[:, -1], counts)
    assert mine <= 1.005 * other, f"our loss {mine:.0f} is above {other:.0f}"
    return ours, lambda: numba_fit(counts, GLOVE_EPOCHS)


def our_skipgram(corpus, epochs):
    options = {"window": WINDOW, "n_negative": N_NEGATIVE, "sample": SAMPLE, "epochs": epochs}
    return train_skipgram(corpus, D_SKIPGRAM, **options, progress=False).vectors


def gensim_skipgram(corpus, epochs):
    """Return a function that trains gensim's model, its vocabulary built beforehand, and returns the vectors."""
    words = corpus.vocabulary.words
    model = Word2Vec(
        vector_size=D_SKIPGRAM, window=WINDOW, negative=N_NEGATIVE, sample=SAMPLE, sg=1, min_count=1, workers=1, seed=1
    )
    model.build_vocab_from_freq(dict(zip(words, corpus.vocabulary.counts, strict=True)))
    sentences = sentences_of(corpus, words)

    def train():
        model.train(sentences, total_examples=len(sentences), total_words=len(corpus), epochs=epochs)
        return WordVectors(model.wv.index_to_key, model.wv.vectors)

    return train


def skipgram():
    """Train both on all of the text and make sure that ours are not worse; time one epoch of a tenth of it."""
    corpus = encyclopaedia()
    rows = companion.data.load("word_pairs").filter(lambda row: row["set"] == "wordsim353")
    pairs = [(row["word1"].lower(), row["word2"].lower(), row["score"]) for row in rows]
    ours, theirs = our_skipgram(corpus, SKIPGRAM_EPOCHS), gensim_skipgram(corpus, SKIPGRAM_EPOCHS)()
    difference = similarity_difference(ours, theirs, pairs)
    assert difference.high > 0, f"ours are worse on WordSim-353: {difference}"
    print(f"WordSim-353, ours less gensim's: {difference}")
    part = beginning(corpus, len(corpus) // 10)
    return lambda: our_skipgram(part, 1), gensim_skipgram(part, 1)


BENCHMARKS = [
    Benchmark(name="embeddings, co-occurrence counts", peer="a loop with a dictionary", target=20.0, prepare=counting),
    Benchmark(name="embeddings, GloVe", peer="AdaGrad pair by pair in numba", target=1.0, prepare=glove),
    Benchmark(name="embeddings, skip-gram", peer="gensim Word2Vec, one worker", target=1.0, prepare=skipgram),
]
