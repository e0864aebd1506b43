"""Skip-gram: from a word, tell the words around it from noise."""

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


def skipgram_loss(
    words: Float[Tensor, "block pos d_model"],
    contexts: Float[Tensor, "block context d_model"],
    noise: Float[Tensor, "block noise d_model"],
    in_window: Bool[Tensor, "block pos context"],
    n_negative: int,
) -> Float[Tensor, ""]:
    """Sum -log σ(u·v) - n_negative · mean over the noise n of log σ(-u·n) over all words u and contexts v in windows.

    The paper draws n_negative noise words for each pair; here a block shares more of them, each with the weight that
    gives the same expectation.

    References
    ----------
    Mikolov et al. (2013), Distributed Representations of Words and Phrases and their Compositionality, equation 4.
    """
    return logistic_loss(*_scores_and_weights(words, contexts, noise, in_window, n_negative))


def skipgram_gradients(
    words: Float[Tensor, "block pos d_model"],
    contexts: Float[Tensor, "block context d_model"],
    noise: Float[Tensor, "block noise d_model"],
    in_window: Bool[Tensor, "block pos context"],
    n_negative: int,
) -> tuple[
    Float[Tensor, "block pos d_model"], Float[Tensor, "block context d_model"], Float[Tensor, "block noise d_model"]
]:
    """Differentiate :func:`skipgram_loss` by the vectors of words, contexts and noise, by hand."""
    real, false = logistic_slopes(*_scores_and_weights(words, contexts, noise, in_window, n_negative))
    return torch.bmm(real, contexts).baddbmm_(false, noise), torch.bmm(real.mT, words), torch.bmm(false.mT, words)


def _scores_and_weights(
    words: Tensor, contexts: Tensor, noise: Tensor, in_window: Tensor, n_negative: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    real_weight = in_window.to(words.dtype)
    noise_weight = real_weight.sum(-1, keepdim=True) * (n_negative / noise.shape[1])
    return torch.bmm(words, contexts.mT), real_weight, torch.bmm(words, noise.mT), noise_weight


def _rows(blocks: Blocks) -> tuple[Tensor, Tensor]:
    return blocks.words, blocks.contexts


def _count(in_window: Tensor) -> Tensor:
    return in_window.sum()


def _terms(window: int) -> int:
    return window + 1  # to each side, the mean of 1 to window


SKIPGRAM = Objective("skip-gram", _rows, skipgram_loss, skipgram_gradients, _count, _terms)


@requires(check_training)
def train_skipgram(
    corpus: Corpus,
    d_model: int = 100,
    *,
    window: int = 5,
    n_negative: int = 5,
    sample: float = 1e-3,
    epochs: int = 5,
    learning_rate: float = 0.025,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Trained:
    """Learn word vectors by skip-gram with negative sampling.

    Parameters
    ----------
    corpus
        A text in numbers (:meth:`Vocabulary.encode`).
    d_model
        Length of the vectors.
    window
        Most words between a word and its contexts; each word's own window is drawn from 1 to this.
    n_negative
        Noise words for each real pair.
    sample
        Threshold above which frequent words are thinned out (:func:`keep_probability`); 0 keeps all.
    epochs
        How often to go through the text.
    learning_rate
        The first step's; it falls in a straight line.
    seed
        On the CPU the same seed gives the same vectors.
    device
        Where to train.
    progress
        Whether to show a progress bar.

    Returns
    -------
    The words' (input) vectors, and each epoch's mean loss of a pair, estimated on every 20th step.

    Raises
    ------
    TypeError
        If the corpus is not a :class:`Corpus`, or a number is not of its type.
    ValueError
        If a number is out of range, no word of the corpus has a neighbour, or the training diverges (a smaller
        learning rate helps).

    References
    ----------
    Mikolov et al. (2013), Distributed Representations of Words and Phrases and their Compositionality, section 2.
    """
    return train(
        SKIPGRAM,
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
