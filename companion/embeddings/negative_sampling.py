"""What skip-gram and CBOW share: windows over a text, noise words, and the training that tells the two apart.

Words are taken in blocks of consecutive positions. All dot products of a block are one matrix product, of which the
windows use a band, and its noise words are shared by the block. That is what makes it fast: a vector is fetched once
for a block instead of once for every pair.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64
from rich.progress import Progress
from torch import Generator, Tensor

from companion._validation import require_count
from companion.embeddings._checks import require_not_negative, require_positive
from companion.embeddings.trained import Trained, require_descent
from companion.embeddings.vectors import WordVectors
from companion.embeddings.vocabulary import Corpus, keep_probability, require_corpus

NOISE_POWER = 0.75
BLOCK = 32  # consecutive words that share one product and their noise words
FEWEST_NOISE = 32  # noise words of a block; together they weigh as much as n_negative for each pair
# All gradients of a step are taken at the same place, so a frequent word moves by many of them at once, and so does a
# noise word, which stands for n_negative times the pairs of its block. Trainings on real text were seen to diverge
# where frequent words moved by 16 or more, or noise words by 2.7; with these bounds they end where shorter steps end.
LARGEST_MOVE_OF_NOISE = 1.0
LARGEST_MOVE = 4.0
LONGEST_STEP = 2048
LOSS_EVERY = 20  # steps from one look at the loss to the next


@dataclass(frozen=True)
class Blocks:
    """Consecutive words with all that may stand in their windows.

    ``in_window[b, i, j]`` is True where the j-th context word of block b stands in the window of its i-th word.
    """

    words: Int64[Tensor, "block pos"]
    contexts: Int64[Tensor, "block context"]
    in_window: Bool[Tensor, "block pos context"]


def walk(
    corpus: Corpus, *, window: int, sample: float, step: int, generator: Generator, length: int = BLOCK
) -> Iterator[Blocks]:
    """Go once through a text, ``step`` words at a time in blocks of ``length``.

    Frequent words are dropped at random first, and each word's window is drawn from 1 to ``window`` words to each
    side, both anew at every call; no window crosses the bounds of a sentence.
    """
    device = generator.device
    ids, sentence = (torch.from_numpy(array).to(device) for array in (corpus.ids, corpus.sentence))
    keep = torch.from_numpy(keep_probability(corpus.vocabulary.counts, sample)).to(device, torch.float32)
    kept = torch.rand(len(ids), generator=generator, device=device) < keep[ids]
    ids, sentence = ids[kept].long(), sentence[kept]
    if not len(ids):
        raise ValueError(f"sample must be larger, or 0, for so short a text: none of its {len(kept)} words was kept")
    reach = torch.randint(1, window + 1, ids.shape, generator=generator, device=device)
    # Padding stands in no sentence, so it is in no window, and neither reaches anything itself.
    spare, width = -len(ids) % length, length + 2 * window
    reach = F.pad(reach, (0, spare)).view(-1, length, 1)
    contexts = F.pad(ids, (window, window + spare)).unfold(0, width, length)
    around = F.pad(sentence, (window, window + spare), value=-1).unfold(0, width, length)
    offset = torch.arange(width, device=device) - window - torch.arange(length, device=device)[:, None]
    distance = torch.where(offset == 0, width, offset.abs())  # a word is not in its own window
    inner = slice(window, window + length)
    for some in torch.arange(len(contexts), device=device).split(max(1, step // length)):
        same_sentence = around[some, None, :] == around[some, inner, None]
        in_window = (distance <= reach[some]) & same_sentence
        yield Blocks(contexts[some, inner], contexts[some], in_window)


def noise_table(counts: Float64[Tensor, " vocab"], size: int = 1 << 20) -> Int64[Tensor, " entry"]:
    """Tabulate the noise distribution, counts to the power 3/4: a random entry is a draw from it.

    References
    ----------
    Mikolov et al. (2013), Distributed Representations of Words and Phrases, section 2.2.
    """
    cumulative = counts.pow(NOISE_POWER).cumsum(0)
    quantiles = (torch.arange(size, dtype=counts.dtype, device=counts.device) + 0.5) / size
    return torch.searchsorted(cumulative, quantiles * cumulative[-1])


def logistic_loss(
    real: Float[Tensor, "block pos real"],
    real_weight: Float[Tensor, "block pos real"],
    noise: Float[Tensor, "block pos noise"],
    noise_weight: Float[Tensor, "block pos #noise"],
) -> Float[Tensor, ""]:
    """Sum the weighted losses of telling real pairs (positive score) from noise (negative score)."""
    return -(real_weight * F.logsigmoid(real)).sum() - (noise_weight * F.logsigmoid(-noise)).sum()


def logistic_slopes(
    real: Float[Tensor, "block pos real"],
    real_weight: Float[Tensor, "block pos real"],
    noise: Float[Tensor, "block pos noise"],
    noise_weight: Float[Tensor, "block pos #noise"],
) -> tuple[Float[Tensor, "block pos real"], Float[Tensor, "block pos noise"]]:
    """Differentiate :func:`logistic_loss` by the scores: σ(s) - 1 for a real pair, σ(s) for noise, times the weight."""
    return (real.sigmoid() - 1).mul_(real_weight), noise.sigmoid().mul_(noise_weight)


@dataclass(frozen=True)
class Objective:
    """What is to be learnt.

    ``rows`` says which words of a block are inputs and which outputs. ``loss`` and ``gradients`` take the vectors of
    inputs, outputs and noise words, the windows, and n_negative. ``count`` says how many terms the loss has, and
    ``terms`` how many a word has on average, given the widest window.
    """

    name: str
    rows: Callable[[Blocks], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
    gradients: Callable[[Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor, Tensor]]
    count: Callable[[Tensor], Tensor]
    terms: Callable[[int], int]


def check_training(
    corpus: Any,
    d_model: Any = 100,
    *,
    window: Any = 5,
    n_negative: Any = 5,
    sample: Any = 1e-3,
    epochs: Any = 5,
    learning_rate: Any = 0.025,
    seed: Any = 0,
    device: Any = "cpu",
    progress: Any = True,
) -> None:
    """Raise unless the arguments of a training make sense."""
    require_corpus(corpus)
    if not (corpus.sentence[1:] == corpus.sentence[:-1]).any():
        raise ValueError("corpus must hold a sentence of two words or more: in this one no word has a neighbour")
    for name, value in (("d_model", d_model), ("window", window), ("n_negative", n_negative), ("epochs", epochs)):
        require_count(name, value)
    require_count("seed", seed, minimum=0)
    require_not_negative("sample", sample, "which keeps every word")
    require_positive("learning_rate", learning_rate)


def train(
    objective: Objective,
    corpus: Corpus,
    d_model: int,
    *,
    window: int,
    n_negative: int,
    sample: float,
    epochs: int,
    learning_rate: float,
    seed: int,
    device: torch.device | str,
    progress: bool,
) -> Trained:
    """Descend the loss by stochastic gradients, at a rate that falls in a straight line to almost zero."""
    generator = Generator(device).manual_seed(seed)
    vocabulary = corpus.vocabulary
    tables = (
        (torch.rand(len(vocabulary), d_model, generator=generator, device=device) - 0.5) / d_model,
        torch.zeros(len(vocabulary), d_model, device=device),
    )
    entries = noise_table(torch.tensor(vocabulary.counts, dtype=torch.float64, device=device))
    words = float(keep_probability(vocabulary.counts, sample)[corpus.ids].sum()) * epochs
    pull = learning_rate * objective.terms(window)
    most_noise = BLOCK * n_negative * objective.terms(window)  # as if each pair had its own
    n_noise = max(FEWEST_NOISE, math.ceil(most_noise * min(1.0, learning_rate / LARGEST_MOVE_OF_NOISE)))
    step = step_size(corpus, sample, n_negative, pull)
    done, losses = 0, []
    with Progress(disable=not progress) as bar:
        task = bar.add_task(objective.name, total=words)
        for epoch in range(epochs):
            seen = []
            steps = walk(corpus, window=window, sample=sample, step=step, generator=generator)
            for number, blocks in enumerate(steps):
                draws = (len(blocks.words), n_noise)
                noise = entries[torch.randint(len(entries), draws, generator=generator, device=device)]
                rate = learning_rate * max(1e-4, 1 - done / words)
                before = descend(objective, tables, blocks, noise, n_negative, rate)
                if number % LOSS_EVERY == 0:
                    terms = objective.count(blocks.in_window).clamp(min=1)
                    seen.append(objective.loss(*before, blocks.in_window, n_negative) / terms)
                done += blocks.words.numel()
                bar.update(task, completed=done)
            losses.append(float(torch.stack(seen).mean()))
            require_descent(epoch, losses[-1], (1 + n_negative) * math.log(2))
    return Trained(WordVectors(vocabulary.words, tables[0].cpu().numpy()), losses)


def step_size(corpus: Corpus, sample: float, n_negative: int, pull: float) -> int:
    """Return how many words a step may take so that none moves by more than ``LARGEST_MOVE``.

    ``pull`` is how far an occurrence moves a word: the learning rate for each term of the loss. A frequent word also
    occurs as noise, with a slope of 1/2 at the start.
    """
    counts = np.asarray(corpus.vocabulary.counts, dtype=np.float64)
    kept = np.bincount(corpus.ids, minlength=len(counts)) * keep_probability(corpus.vocabulary.counts, sample)
    noise = counts**NOISE_POWER
    share = kept / kept.sum() + n_negative / 2 * noise / noise.sum()
    return min(LONGEST_STEP, max(BLOCK, int(LARGEST_MOVE / (pull * share.max()))))


def descend(
    objective: Objective,
    tables: tuple[Float[Tensor, "vocab d_model"], Float[Tensor, "vocab d_model"]],
    blocks: Blocks,
    noise: Int64[Tensor, "block noise"],
    n_negative: int,
    rate: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Take one step in place, and return the vectors as they were: of inputs, outputs and noise."""
    inputs, outputs = tables
    input_rows, output_rows = objective.rows(blocks)
    before = _fetch(inputs, input_rows), _fetch(outputs, output_rows), _fetch(outputs, noise)
    gradients = objective.gradients(*before, blocks.in_window, n_negative)
    places = (inputs, input_rows), (outputs, output_rows), (outputs, noise)
    for (table, rows), gradient in zip(places, gradients, strict=True):
        table.index_add_(0, rows.flatten(), gradient.flatten(0, 1), alpha=-rate)
    return before


def _fetch(
    table: Float[Tensor, "vocab d_model"], rows: Int64[Tensor, "block row"]
) -> Float[Tensor, "block row d_model"]:
    # index_select, not table[rows]: five times as fast on the CPU.
    return table.index_select(0, rows.flatten()).view(*rows.shape, -1)
