"""Every wrong argument is named, with what it is and what was expected."""

import re

import pytest
import torch

from companion.language_models import (
    AddK,
    KneserNey,
    NeuralConfig,
    NeuralModel,
    NGramModel,
    TrainingConfig,
    Vocabulary,
    ascend,
    bits_per_byte,
    cross_entropy,
    descend,
    log_likelihood,
    log_likelihood_gradient,
    log_probabilities,
    log_softmax,
    perplexity,
    split_words,
    train,
)

WORDS = Vocabulary("abc")
NGRAM = NGramModel.fit(["abc"], order=2)
MODEL = NeuralModel(NeuralConfig(vocab_size=5, window=2, d_embedding=3, d_hidden=2))
SCORES, TARGETS = torch.zeros(3, 5), torch.tensor([0, 1, 2])
GENERATOR = torch.Generator()
P = torch.tensor([0.5, 0.25]).log()
NAN = float("nan")

CASES = {
    # vocabulary
    "no tokens": (lambda: Vocabulary(3), TypeError, "tokens must be an iterable.*3 of type int"),
    "twice": (lambda: Vocabulary("aba"), ValueError, "each come once, got 'a' more than once"),
    "one string": (lambda: Vocabulary.build("abc"), TypeError, "several sequences, got one string.*list"),
    "no sequences": (lambda: Vocabulary.build(None), TypeError, "sequences must be an iterable.*None"),
    "min_count": (lambda: Vocabulary.build(["a"], min_count=0), ValueError, "min_count must be at least 1, got 0"),
    "max_size": (lambda: Vocabulary.build(["a"], max_size=0.5), TypeError, "max_size must be an integer"),
    "no sequence": (
        lambda: Vocabulary.build([1]),
        TypeError,
        "each sequence must be a string or a list of tokens, got 1",
    ),
    "no token": (lambda: Vocabulary.build([[[1]]]), TypeError, r"each token must be hashable.*got \[1\] of type list"),
    "known lists": (lambda: Vocabulary([["a"]]), TypeError, "each token must be hashable"),
    "encode lists": (lambda: WORDS.encode([["a"]]), TypeError, "each token must be hashable"),
    "stream of numbers": (lambda: WORDS.stream([1]), TypeError, "sequence must be a string or a list of tokens, got 1"),
    "stream": (lambda: WORDS.stream("ab"), TypeError, "several sequences"),
    "encode": (lambda: WORDS.encode(3), TypeError, "sequence must be a string or a list of tokens, got 3"),
    "label": (lambda: WORDS.label(6), ValueError, "token_id must be at most 5, the start mark, got 6"),
    "negative label": (lambda: WORDS.label(-1), ValueError, "token_id must be at least 0, got -1"),
    "context": (lambda: NGRAM.distribution(3), TypeError, "context must be a string or a list of tokens, got 3"),
    "bytes": (lambda: split_words(b"a"), TypeError, "text must be a string.*bytes"),
    # n-grams
    "fit a string": (lambda: NGramModel.fit("abc", order=2), TypeError, "several sequences"),
    "fit nothing": (lambda: NGramModel.fit([], order=2), ValueError, "at least one sequence"),
    "order 0": (lambda: NGramModel.fit(["a"], order=0), ValueError, "order must be at least 1, got 0"),
    "order 1.5": (lambda: NGramModel.fit(["a"], order=1.5), TypeError, "order must be an integer"),
    "smoothing": (lambda: NGramModel.fit(["a"], order=1, smoothing="kn"), TypeError, "smoothing must be AddK"),
    "a class": (
        lambda: NGramModel.fit(["a"], order=1, smoothing=KneserNey),
        TypeError,
        r"smoothing must be made first, got the class; write KneserNey\(\)",
    ),
    "no token to ask": (lambda: NGRAM.probability(["a"]), TypeError, "token must be hashable.*list"),
    "vocabulary": (lambda: NGramModel.fit(["a"], order=1, vocabulary="a"), TypeError, "vocabulary must be a Vocab"),
    "longer": (lambda: NGRAM.change(order=3), ValueError, "order must be at most 2.*got 3"),
    "score a string": (lambda: NGRAM.log_probabilities("abc"), TypeError, "several sequences"),
    "generator": (lambda: NGRAM.sample(0), TypeError, "generator must be a torch.Generator, got 0"),
    "max_len": (lambda: NGRAM.sample(GENERATOR, max_len=0), ValueError, "max_len must be at least 1"),
    "k": (lambda: AddK(-1.0), ValueError, "k must be at least 0, got -1"),
    "k is NaN": (lambda: AddK(NAN), ValueError, "k must be finite, got nan"),
    "discount": (lambda: KneserNey(1.5), ValueError, "discount must be from 0 to 1, got 1.5"),
    "one discount": (lambda: KneserNey((0.5, -0.1)), ValueError, "discount must be from 0 to 1, got -0.1"),
    "few discounts": (
        lambda: NGRAM.change(smoothing=KneserNey((0.5,))),
        ValueError,
        r"one number for each of 2 orders, got \(0.5,\)",
    ),
    # likelihood
    "scores": (lambda: log_softmax([1.0]), TypeError, "scores must be a floating point tensor"),
    "integer scores": (lambda: log_softmax(TARGETS), TypeError, "scores must be floating point.*int64"),
    "empty vocabulary": (lambda: log_softmax(torch.zeros(3, 0)), ValueError, "empty axis 'vocab'"),
    "NaN": (lambda: log_likelihood(SCORES / 0, TARGETS), ValueError, "scores must be finite.*15 of the 15"),
    "rank": (lambda: log_likelihood(SCORES[0], TARGETS), ValueError, "scores must have exactly 2 axes"),
    "targets": (lambda: log_likelihood(SCORES, [0, 1, 2]), TypeError, "targets must be a tensor of token numbers"),
    "float targets": (lambda: log_likelihood(SCORES, P), TypeError, "targets must be.*float32"),
    "too few": (lambda: log_likelihood_gradient(SCORES, TARGETS[:2]), ValueError, "one number for each of 3 rows"),
    "unknown": (lambda: log_likelihood(SCORES, TARGETS + 3), ValueError, "below the vocabulary's 5.*3 to 5"),
    "below 0": (lambda: log_likelihood_gradient(SCORES, -TARGETS), ValueError, "at least 0.*-2 to 0"),
    # sgd
    "no list": (lambda: ascend(P, [P], 0.1), TypeError, "parameters must be a list or tuple of tensors"),
    "no gradient": (lambda: descend([P], [None], 0.1), TypeError, "gradients must be a list or tuple of tensors"),
    "missing": (lambda: ascend([P, P], [P], 0.1), ValueError, "one for each of 2 parameters, got 1"),
    "shape": (lambda: ascend([P], [SCORES], 0.1), ValueError, r"gradients\[0\] must have the parameter's shape \(2,\)"),
    "integer parameters": (
        lambda: ascend([TARGETS], [TARGETS.float()], 0.1),
        TypeError,
        r"parameters\[0\] must be floating point.*int64",
    ),
    "uphill": (lambda: descend([P], [P], -0.1), ValueError, "learning_rate must be above 0.*other direction"),
    "rate": (lambda: ascend([P], [P], NAN), ValueError, "learning_rate must be finite"),
    # evaluation
    "a list": (lambda: perplexity([-1.0]), TypeError, "log_probabilities must be a floating point tensor"),
    "a table": (lambda: cross_entropy(P[None]), ValueError, "one row"),
    "nothing": (lambda: cross_entropy(P[:0]), ValueError, "at least one number"),
    "probabilities": (lambda: perplexity(P.exp()), ValueError, "at most 0, got 0.5"),
    "NaN in them": (lambda: perplexity(P * NAN), ValueError, "at most 0, got nan"),
    "no bytes": (lambda: bits_per_byte(P, 0), ValueError, "n_bytes must be at least 1, got 0"),
    # the neural model
    "window": (lambda: NeuralConfig(vocab_size=5, window=0), ValueError, "window must be at least 1, got 0"),
    "dropout": (lambda: NeuralConfig(vocab_size=5, dropout=1.0), ValueError, "dropout must be at least 0 and below 1"),
    "config": (lambda: NeuralModel(5), TypeError, "config must be a NeuralConfig, got 5"),
    "seed": (lambda: NeuralModel(MODEL.config, 0), TypeError, "generator must be a torch.Generator"),
    "float ids": (lambda: MODEL(SCORES), TypeError, "input_ids must be a tensor of torch.int64"),
    "one axis": (lambda: MODEL(TARGETS), ValueError, "input_ids must have exactly 2 axes"),
    "unknown id": (lambda: MODEL(TARGETS[None] + 4), ValueError, "at most 5, the start mark.*4 to 6"),
    # training
    "epochs": (lambda: TrainingConfig(epochs=0), ValueError, "epochs must be at least 1, got 0"),
    "learning rate": (lambda: TrainingConfig(learning_rate=0.0), ValueError, "learning_rate must be above 0"),
    "no model": (lambda: train(None, WORDS, ["a"], TrainingConfig()), TypeError, "model must be a NeuralModel"),
    "no config": (lambda: train(MODEL, WORDS, ["a"], {}), TypeError, "config must be a TrainingConfig"),
    "report": (lambda: train(MODEL, WORDS, ["a"], TrainingConfig(), 1), TypeError, "report must be a function"),
    "no texts": (lambda: train(MODEL, WORDS, [], TrainingConfig()), ValueError, "at least one sequence"),
    "too fast": (
        lambda: train(NeuralModel(MODEL.config), WORDS, ["ab" * 50], TrainingConfig(epochs=50, learning_rate=1e6)),
        ValueError,
        "learning_rate must be smaller than 1000000.0: the training diverged.*at step",
    ),
    "other vocabulary": (
        lambda: log_probabilities(MODEL, Vocabulary("ab"), ["a"]),
        ValueError,
        "vocabulary must have the model's 5 tokens, got 4",
    ),
    "score one string": (lambda: log_probabilities(MODEL, WORDS, "abc"), TypeError, "several sequences"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_error_names_the_argument_and_what_was_expected(name):
    call, error, message = CASES[name]
    with pytest.raises(error) as caught:
        call()
    assert re.search(message, str(caught.value)), str(caught.value)
