"""GloVe: vectors whose products are the logarithms of co-occurrence counts, fitted by weighted least squares."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rich.progress import Progress
from scipy.sparse import csr_array, issparse
from torch import Generator, Tensor

from companion._validation import describe, require_count, require_finite, requires
from companion.embeddings._checks import require_positive
from companion.embeddings.nonzeros import Nonzeros
from companion.embeddings.trained import Trained, require_descent
from companion.embeddings.vectors import WordVectors
from companion.embeddings.vocabulary import Vocabulary

# Of the nonzeros, taken at random. The gradients of a part are all taken at the same place; with this many parts an
# epoch brings the loss as far down as taking one nonzero after the other.
PARTS = 50


def glove_weight(counts: Float[Tensor, "*any"], x_max: float = 100.0, alpha: float = 0.75) -> Float[Tensor, "*any"]:
    """Weigh co-occurrences: f(x) = (x / x_max)^alpha below x_max, and 1 from there on.

    References
    ----------
    Pennington et al. (2014), GloVe: Global Vectors for Word Representation, equation 9.
    """
    return (counts / x_max).clamp(max=1) ** alpha


def glove_loss(
    words: Float[Tensor, "vocab d_model"],
    contexts: Float[Tensor, "vocab d_model"],
    word_biases: Float[Tensor, " vocab"],
    context_biases: Float[Tensor, " vocab"],
    counts: csr_array,
    x_max: float = 100.0,
    alpha: float = 0.75,
) -> Float[Tensor, ""]:
    """Sum f(X_ij) (w_i · w̃_j + b_i + b̃_j - log X_ij)² over the pairs that were seen together.

    For looking, and for checking gradients; the training computes the same some fifty times as fast.

    References
    ----------
    Pennington et al. (2014), GloVe: Global Vectors for Word Representation, equation 8.
    """
    coordinates = counts.tocoo()
    i, j = (torch.as_tensor(axis, dtype=torch.int64, device=words.device) for axis in coordinates.coords)
    x = torch.as_tensor(coordinates.data, dtype=words.dtype, device=words.device)
    error = (words[i] * contexts[j]).sum(-1) + word_biases[i] + context_biases[j] - x.log()
    return (glove_weight(x, x_max, alpha) * error**2).sum()


@dataclass(frozen=True)
class Part:
    """Some of the pairs that were seen together: where they are, log X, and f(X)."""

    pairs: Nonzeros
    log_counts: Float[Tensor, " nonzero"]
    weights: Float[Tensor, " nonzero"]


def split(counts: csr_array, n_parts: int, x_max: float, alpha: float, generator: Generator) -> list[Part]:
    """Deal the pairs out to parts at random; no part is empty."""
    size, device = len(counts.indptr) - 1, generator.device
    rows, columns = counts.tocoo().coords
    part_of = torch.randint(n_parts, (counts.nnz,), generator=generator, device=device).cpu().numpy()
    # Bytes, and sorted without changing what is equal: fast, and each part keeps the order of the rows.
    order = np.argsort(part_of.astype(np.uint8), kind="stable")
    bounds = np.cumsum(np.bincount(part_of, minlength=n_parts))[:-1]
    parts = []
    for places in np.split(order, bounds):
        if len(places):
            x = torch.from_numpy(counts.data[places]).to(device)
            pairs = Nonzeros.at(rows[places], columns[places], size).to(device)
            parts.append(Part(pairs, x.log(), glove_weight(x, x_max, alpha)))
    return parts


def with_biases(
    words: Float[Tensor, "vocab d_model"],
    contexts: Float[Tensor, "vocab d_model"],
    word_biases: Float[Tensor, " vocab"],
    context_biases: Float[Tensor, " vocab"],
) -> tuple[Float[Tensor, "vocab d_model+2"], Float[Tensor, "vocab d_model+2"]]:
    """Put the biases into the vectors: (w, b, 1) · (w̃, 1, b̃) is w · w̃ + b + b̃."""
    ones = torch.ones_like(word_biases)
    return (
        torch.column_stack((words, word_biases, ones)),
        torch.column_stack((contexts, ones, context_biases)),
    )


def half_gradients(
    part: Part, left: Float[Tensor, "vocab d"], right: Float[Tensor, "vocab d"]
) -> tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return a part's loss, the sums of its gradients by left and right, and the sums of their squares.

    Half the gradients, strictly: like the published program, this leaves out the 2 that a square brings down. The
    constant columns of left and right get no gradient.
    """
    error = part.pairs.products(left, right) - part.log_counts
    slope = part.weights * error
    firsts, seconds = part.pairs.sums(slope, left, right), part.pairs.sums(slope**2, left**2, right**2)
    for by_left, by_right in (firsts, seconds):
        by_left[:, -1] = 0
        by_right[:, -2] = 0
    return slope @ error, firsts, seconds


def _check(
    counts: Any,
    vocabulary: Any,
    d_model: Any = 50,
    *,
    epochs: Any = 25,
    learning_rate: Any = 0.05,
    x_max: Any = 100.0,
    alpha: Any = 0.75,
    seed: Any = 0,
    device: Any = "cpu",
    progress: Any = True,
) -> None:
    if not issparse(counts):
        raise TypeError(f"counts must be a sparse matrix of scipy, got {describe(counts)}; see count_cooccurrences")
    if not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"vocabulary must be a Vocabulary, got {describe(vocabulary)}")
    if counts.shape != (len(vocabulary), len(vocabulary)):
        raise ValueError(f"counts must have a row and a column a word ({len(vocabulary)}), got shape {counts.shape}")
    if counts.nnz == 0:
        raise ValueError(
            "counts must hold a pair of words that were seen together, got none; the text needs sentences of two words "
            "of the vocabulary or more"
        )
    if not np.isfinite(counts.data).all() or counts.data.min() <= 0:
        raise ValueError("counts must be all above 0 and finite; drop stored zeros with counts.eliminate_zeros()")
    for name, value in (("d_model", d_model), ("epochs", epochs)):
        require_count(name, value)
    require_count("seed", seed, minimum=0)
    for name, value in (("learning_rate", learning_rate), ("x_max", x_max)):
        require_positive(name, value)
    require_finite("alpha", alpha)


@requires(_check)
def train_glove(
    counts: csr_array,
    vocabulary: Vocabulary,
    d_model: int = 50,
    *,
    epochs: int = 25,
    learning_rate: float = 0.05,
    x_max: float = 100.0,
    alpha: float = 0.75,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Trained:
    """Learn word vectors from co-occurrence counts by GloVe with AdaGrad.

    Parameters
    ----------
    counts
        How often words were seen together (:func:`count_cooccurrences`).
    vocabulary
        The words of its rows.
    d_model
        Length of the vectors.
    epochs
        How often to go through the counts.
    learning_rate
        AdaGrad's; each number's own rate falls with the squares of its gradients.
    x_max, alpha
        The weights' (:func:`glove_weight`).
    seed
        On the CPU the same seed gives the same vectors.
    device
        Where to train.
    progress
        Whether to show a progress bar.

    Returns
    -------
    The sums w + w̃ of the words' two vectors, and each epoch's mean loss of a nonzero, taken as it goes.

    Raises
    ------
    TypeError
        If the counts are not sparse, or an argument is not of its type.
    ValueError
        If the counts do not fit the vocabulary or are not positive, a number is out of range, or the training
        diverges (a smaller learning rate helps).

    References
    ----------
    Pennington et al. (2014), GloVe: Global Vectors for Word Representation, equations 8 and 9, section 4.2.
    """
    tables, losses = fit(counts, d_model, epochs, learning_rate, x_max, alpha, seed, device, progress)
    left, right = (table[:, :d_model] for table in tables)
    return Trained(WordVectors(vocabulary.words, (left + right).cpu().numpy()), losses)


def fit(
    counts: csr_array,
    d_model: int,
    epochs: int,
    learning_rate: float,
    x_max: float,
    alpha: float,
    seed: int,
    device: torch.device | str,
    progress: bool,
) -> tuple[tuple[Tensor, Tensor], list[float]]:
    """Train; return both tables, biases included (:func:`with_biases`), and the losses."""
    generator = Generator(device).manual_seed(seed)
    counts = csr_array(counts, dtype=np.float32, copy=True)
    counts.sum_duplicates()  # and sort each row's columns
    parts = split(counts, PARTS, x_max, alpha, generator)
    untrained = sum(float(part.weights @ part.log_counts**2) for part in parts) / counts.nnz
    start = torch.rand(2, len(counts.indptr) - 1, d_model + 1, generator=generator, device=device)
    (words, contexts), (word_biases, context_biases) = ((start - 0.5) / d_model).tensor_split([d_model], dim=2)
    tables = with_biases(words, contexts, word_biases[:, 0], context_biases[:, 0])
    squares = torch.ones_like(tables[0]), torch.ones_like(tables[1])
    losses = []
    with Progress(disable=not progress) as bar:
        task = bar.add_task("GloVe", total=epochs * len(parts))
        for epoch in range(epochs):
            total = torch.zeros((), device=device)
            for number in torch.randperm(len(parts), generator=generator, device=device).tolist():
                total += descend(parts[number], tables, squares, learning_rate)
                bar.advance(task)
            losses.append(float(total) / counts.nnz)
            require_descent(epoch, losses[-1], untrained)
    return tables, losses


def descend(
    part: Part, tables: tuple[Tensor, Tensor], squares: tuple[Tensor, Tensor], learning_rate: float
) -> Float[Tensor, ""]:
    """Take one step of AdaGrad in place, and return the part's loss before it.

    Every pair's gradient is squared by itself, as if the pairs came one after the other; squaring their sum instead
    was seen to slow the descent.
    """
    loss, firsts, seconds = half_gradients(part, *tables)
    for table, square, first, second in zip(tables, squares, firsts, seconds, strict=True):
        square += second
        table.addcdiv_(first, square.sqrt(), value=-learning_rate)
    return loss
