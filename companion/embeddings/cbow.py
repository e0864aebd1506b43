"""CBOW, the continuous bag of words: from the mean of the words around, tell the word in the middle from noise."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from companion._validation import requires
from companion.embeddings.negative_sampling import (
    Blocks,
    Objective,
    check_training,
    logistic_loss,
    logistic_slopes,
    train,
)
from companion.embeddings.trained import Trained
from companion.embeddings.vocabulary import Corpus


def cbow_loss(
    contexts: Float[Tensor, "block context d_model"],
    words: Float[Tensor, "block pos d_model"],
    noise: Float[Tensor, "block noise d_model"],
    in_window: Bool[Tensor, "block pos context"],
    n_negative: int,
) -> Float[Tensor, ""]:
    """Sum -log σ(h·w) - n_negative · mean over the noise n of log σ(-h·n) over all words w, h the mean of its window.

    A word with an empty window counts nothing.

    References
    ----------
    Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space, section 3.1, for the model;
    Distributed Representations of Words and Phrases, equation 4, for negative sampling.
    """
    means, real, weights = _means(contexts, words, in_window)
    noise_scores = torch.bmm(means, noise.mT)
    return logistic_loss(real, weights, noise_scores, weights * (n_negative / noise.shape[1]))


def cbow_gradients(
    contexts: Float[Tensor, "block context d_model"],
    words: Float[Tensor, "block pos d_model"],
    noise: Float[Tensor, "block noise d_model"],
    in_window: Bool[Tensor, "block pos context"],
    n_negative: int,
) -> tuple[
    Float[Tensor, "block context d_model"], Float[Tensor, "block pos d_model"], Float[Tensor, "block noise d_model"]
]:
    """Differentiate :func:`cbow_loss` by the vectors of contexts, words and noise, by hand.

    A context's gradient is divided by the size of the window, as the mean demands. The word2vec program and gensim
    leave that division out, so their steps are longer at the same learning rate.

    References
    ----------
    İrsoy, Benton and Stratos (2021), Corrected CBOW Performs as well as Skip-gram.
    """
    means, real, weights = _means(contexts, words, in_window)
    noise_scores = torch.bmm(means, noise.mT)
    real, false = logistic_slopes(real, weights, noise_scores, weights * (n_negative / noise.shape[1]))
    by_mean = (real * words).baddbmm_(false, noise)
    return torch.bmm(_shares(in_window, words.dtype).mT, by_mean), real * means, torch.bmm(false.mT, means)


def _means(contexts: Tensor, words: Tensor, in_window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each window's mean, its product with the word, and 1 where the window holds anything."""
    means = torch.bmm(_shares(in_window, words.dtype), contexts)
    return means, (means * words).sum(-1, keepdim=True), in_window.any(-1, keepdim=True).to(words.dtype)


def _shares(in_window: Tensor, dtype: torch.dtype) -> Tensor:
    weights = in_window.to(dtype)
    return weights / weights.sum(-1, keepdim=True).clamp(min=1)


def _rows(blocks: Blocks) -> tuple[Tensor, Tensor]:
    return blocks.contexts, blocks.words


def _count(in_window: Tensor) -> Tensor:
    return in_window.any(-1).sum()


def _terms(window: int) -> int:
    return 1


CBOW = Objective("CBOW", _rows, cbow_loss, cbow_gradients, _count, _terms)


@requires(check_training)
def train_cbow(
    corpus: Corpus,
    d_model: int = 100,
    *,
    window: int = 5,
    n_negative: int = 5,
    sample: float = 1e-3,
    epochs: int = 5,
    learning_rate: float = 0.075,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Trained:
    """Learn word vectors by CBOW with negative sampling.

    Parameters, result and errors are those of :func:`train_skipgram`; the loss is the mean over words. The learning
    rate is three times as high, since each context gets its share of the mean's gradient (:func:`cbow_gradients`).

    References
    ----------
    Mikolov et al. (2013), Efficient Estimation of Word Representations in Vector Space, section 3.1.
    """
    return train(
        CBOW,
        corpus,
        d_model,
        window=window,
        n_negative=n_negative,
        sample=sample,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        progress=progress,
    )
