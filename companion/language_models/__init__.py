"""Language models: what comes next, by counting and by a small neural network, and how good a guess it was."""

from companion.language_models.evaluation import bits_per_byte, cross_entropy, perplexity
from companion.language_models.likelihood import log_likelihood, log_likelihood_gradient, log_softmax
from companion.language_models.neural import NeuralConfig, NeuralModel
from companion.language_models.ngram import NGramModel
from companion.language_models.sgd import ascend, descend
from companion.language_models.smoothing import AddK, KneserNey, Smoothing
from companion.language_models.training import Progress, TrainingConfig, log_probabilities, train
from companion.language_models.vocabulary import Vocabulary, split_words

__all__ = [
    "AddK",
    "KneserNey",
    "NGramModel",
    "NeuralConfig",
    "NeuralModel",
    "Progress",
    "Smoothing",
    "TrainingConfig",
    "Vocabulary",
    "ascend",
    "bits_per_byte",
    "cross_entropy",
    "descend",
    "log_likelihood",
    "log_likelihood_gradient",
    "log_probabilities",
    "log_softmax",
    "perplexity",
    "split_words",
    "train",
]
