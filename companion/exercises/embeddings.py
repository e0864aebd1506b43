"""The exercises of the lab on embeddings.

Right answers come from torch's own losses and cosines and from scipy, or from the definition spelled out pair by pair.
The mistakes that students make stand in `companion.exercises.mistakes.embeddings`.
"""

import math
from collections.abc import Iterator
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.inputs import draw, draw_sizes
from companion.exercises.mistakes import embeddings as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion

_WORDS = ("add", "the", "salt", "and", "stir", "in", "water", "until", "it", "boils")


def draw_words(generator: torch.Generator, count: int) -> list[str]:
    """Draw a text in which one word stands twice running."""
    words = [_WORDS[i] for i in torch.randint(len(_WORDS), (count,), generator=generator).tolist()]
    middle = count // 2
    return [*words[:middle], *words[middle - 1 :]]


def draw_vectors(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw vectors of very different lengths, as those of rare and frequent words are."""
    lengths = draw(generator, *shape[:-1], 1, dtype=dtype).exp()
    return draw(generator, *shape, dtype=dtype) * lengths


class SkipGramPairs(Exercise):
    """The pairs that skip-gram learns from."""

    slug = "embeddings"
    signature = "skip_gram_pairs(words, window)"
    title = "Every word with its neighbours"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "List the pairs of a word and a word near it, edges of the text included."
    why = "Skip-gram never sees a sentence: it sees a list of pairs, and what is not in the list is not learned."
    try_next = "Count the pairs of a text of n words: how does their number grow with the window?"
    wrong_ways = mistakes.SKIP_GRAM_PAIRS
    error_hints = (
        ErrorHint("list index out of range", "near the end of the text a word has fewer neighbours on its right"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw texts longer than the window, shorter than it, of one word, and empty."""
        count = int(torch.randint(12, 20, (), generator=generator))
        yield Case((draw_words(generator, count), 2))
        yield Case((draw_words(generator, count + 3), 5))
        yield Case((draw_words(generator, count), 1), about="only the words next to it")
        yield Case((draw_words(generator, 4), 7), about="the window is longer than the text")
        yield Case((draw_words(generator, count)[:1], 2), about="a text of one word")
        yield Case(([], 2), about="an empty text")

    def reference(self, words: list[str], window: int) -> list[tuple[str, str]]:
        """Go through all ordered pairs of two positions and keep those that are near."""
        near = [(i, j) for i, j in permutations(range(len(words)), 2) if abs(i - j) <= window]
        return [(words[i], words[j]) for i, j in near]


class NegativeSamplingLoss(Exercise):
    """The loss of skip-gram with negative sampling."""

    slug = "embeddings"
    signature = "negative_sampling_loss(centre, context, negatives)"
    title = "True neighbours against drawn ones"
    points = 3
    minutes = 15
    difficulty = 3
    objective = "Write the loss of skip-gram with negative sampling for a batch, without running out of numbers."
    why = "A softmax over 100,000 words takes 100,000 dot products a pair; telling one neighbour from 5 others takes 6."
    try_next = (
        "Draw words in proportion to their counts, and to the counts to the power 3/4: which are drawn more often?"
    )
    wrong_ways = mistakes.NEGATIVE_SAMPLING_LOSS
    error_hints = (
        ErrorHint(
            "must match the size of tensor", "`negatives` has one axis more than `centre`; which one is missing?"
        ),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw batches of several shapes, a batch of one, and scores large enough to overflow."""
        batch, n_negative, d = draw_sizes(generator, 3)

        def tensors(
            batch: int = batch, n_negative: int = n_negative, scale: float = 0.6, dtype: torch.dtype = torch.float32
        ) -> tuple[Tensor, ...]:
            shapes = ((batch, d), (batch, d), (batch, n_negative, d))
            return tuple(scale * draw(generator, *shape, dtype=dtype) for shape in shapes)

        yield Case(tensors())
        yield Case(tensors(batch=17, scale=30.0), about="scores in the hundreds and thousands")
        yield Case(tensors(batch=n_negative), about="as many pairs as negatives")
        yield Case(tensors(dtype=torch.float64))
        yield Case(tensors(batch=1), about="a batch of one")
        yield Case(tensors(n_negative=1), about="one negative")

    def reference(self, centre: Tensor, context: Tensor, negatives: Tensor) -> Tensor:
        """Ask torch to classify each word as a true neighbour or a drawn one."""
        words = torch.cat((context[:, None], negatives), dim=1)
        scores = torch.einsum("bd,bkd->bk", centre, words)
        is_true = torch.zeros_like(scores)
        is_true[:, 0] = 1
        return F.binary_cross_entropy_with_logits(scores, is_true, reduction="sum") / len(scores)


class CooccurrenceMatrix(Exercise):
    """Counts of which word stands near which."""

    slug = "embeddings"
    signature = "cooccurrence_matrix(ids, vocab_size, window)"
    title = "Which word stands near which, and how near"
    points = 3
    minutes = 15
    difficulty = 3
    objective = "Count how often each word stands near each other one, a neighbour at distance d counting 1/d."
    why = "One table of counts holds all that GloVe will ever know of a text, however long the text is."
    try_next = "Count the words before and the words after in two tables, and use them side by side as one vector."
    wrong_ways = mistakes.COOCCURRENCE_MATRIX
    error_hints = (
        ErrorHint("is out of bounds", "near the end of the text a word has fewer neighbours on its right"),
        ErrorHint("must match the size of tensor", "at distance d there are d pairs fewer than there are words"),
        ErrorHint("shape mismatch", "at distance d there are d pairs fewer than there are words"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw texts with repeated pairs, a word next to itself, unused words, and texts shorter than the window."""
        count = int(torch.randint(40, 60, (), generator=generator))

        def text(count: int, used: int) -> Tensor:
            ids = torch.randint(1, used, (count,), generator=generator)
            if count > 3:
                ids[2] = ids[1]
            return ids

        yield Case((text(count, 11), 13, 3), about="two words of the vocabulary are not in the text")
        yield Case((text(count, 7), 7, 5))
        yield Case((text(count, 5), 5, 1), about="only the words next to it")
        yield Case((text(4, 5), 5, 11), about="the window is longer than the text")
        yield Case((text(1, 3), 3, 2), about="a text of one word")

    def reference(self, ids: Tensor, vocab_size: int, window: int) -> Tensor:
        """Weigh every pair of positions by its distance, then add up the positions of each word."""
        positions = torch.arange(len(ids), dtype=torch.float64)
        distance = (positions[:, None] - positions).abs()
        weight = torch.where((distance > 0) & (distance <= window), 1 / distance, 0.0)
        of_word = F.one_hot(ids, vocab_size).double()
        return (of_word.T @ weight @ of_word).float()


class GloveLoss(Exercise):
    """The weighted least squares of GloVe."""

    slug = "embeddings"
    signature = "glove_loss(w, w_context, b, b_context, counts, x_max, alpha)"
    title = "What GloVe minimises"
    points = 4
    minutes = 25
    difficulty = 4
    objective = "Write GloVe's weighted squared error of the logarithms of the counts."
    why = "It is a regression, and all of GloVe: the rest is an optimiser."
    try_next = "Set alpha to 0, so that all counts weigh the same, train again, and compare the neighbours."
    wrong_ways = mistakes.GLOVE_LOSS
    error_hints = (
        ErrorHint(
            "shapes cannot be multiplied", "every word vector meets every context vector; which one to transpose?"
        ),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw counts below one, between one and x_max, above it, and none at all."""
        vocab_size, d = draw_sizes(generator, 2)
        vocab_size += 12  # never d, and enough words for counts that are zero, small and large

        def tensors(size: int = vocab_size, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
            vectors = (0.5 * draw(generator, size, d, dtype=dtype) for _ in range(2))
            biases = (0.5 * draw(generator, size, dtype=dtype) for _ in range(2))
            counts = (1 + 2 * draw(generator, size, size, dtype=dtype)).exp()
            zero = torch.rand(size, size, generator=generator) < 0.4
            return *vectors, *biases, counts.masked_fill(zero, 0.0)

        yield Case((*tensors(), 10.0, 0.7))
        yield Case((*tensors(dtype=torch.float64), 5.0, 0.8))
        yield Case((*tensors(), 1e4, 0.6), about="no count reaches x_max")
        yield Case((*tensors(size=1)[:4], torch.full((1, 1), 3.0), 10.0, 0.5), about="a vocabulary of one word")
        yield Case((*tensors()[:4], torch.zeros(vocab_size, vocab_size), 10.0, 0.5), about="all counts are zero")

    def reference(
        self, w: Tensor, w_context: Tensor, b: Tensor, b_context: Tensor, counts: Tensor, x_max: float, alpha: float
    ) -> Tensor:
        """Add up the paper's equation 8 pair by pair."""
        total = torch.zeros((), dtype=w.dtype)
        for i, j in counts.nonzero().tolist():
            count = counts[i, j].item()
            error = w[i].dot(w_context[j]) + b[i] + b_context[j] - math.log(count)
            total += min(1.0, (count / x_max) ** alpha) * error**2
        return total


class MostSimilar(Exercise):
    """The nearest words by cosine."""

    slug = "embeddings"
    signature = "most_similar(vectors, index, k)"
    returns = ("indices", "similarities")
    title = "The nearest words"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Find the k words whose vectors have the largest cosine with a word's own, the word itself left out."
    why = "Neighbours are how one looks into an embedding, and the dot product shows frequent words in their place."
    try_next = "Look up a word of two meanings, such as `bank`, in the pretrained vectors below: which meaning is near?"
    wrong_ways = mistakes.MOST_SIMILAR
    error_hints = (
        ErrorHint(
            "selected index k out of range", "there are fewer candidates than k; is only the word itself left out?"
        ),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw vectors of different lengths, ask for some or all others, and give one word two doubles."""
        (d,) = draw_sizes(generator, 1)
        count = 17
        for dtype, k in ((torch.float32, 5), (torch.float64, 7), (torch.float32, count - 1)):
            index = int(torch.randint(1, count - 1, (), generator=generator))
            about = "all the other words" if k == count - 1 else ""
            yield Case((draw_vectors(generator, count, d + 2, dtype=dtype), index, k), about=about)
        yield Case((draw_vectors(generator, count, d + 2), 0, 1), about="the nearest word only")
        doubled = draw_vectors(generator, count, d + 2)
        doubled[[1, 15]] = doubled[8].clone()
        yield Case((doubled, 8, 2), about="two other words have the same vector")

    def reference(self, vectors: Tensor, index: int, k: int) -> tuple[Tensor, Tensor]:
        """Ask torch for the cosines."""
        cosines = F.cosine_similarity(vectors[index], vectors, dim=-1)
        order = cosines.argsort(descending=True, stable=True)
        nearest = order[order != index][:k]
        return nearest, cosines[nearest]


class Analogy(Exercise):
    """Analogies by adding and subtracting vectors."""

    slug = "embeddings"
    signature = "analogy(vectors, a, b, c)"
    title = "King minus man plus woman"
    points = 2
    minutes = 15
    difficulty = 3
    objective = (
        "Answer a batch of questions `a is to b as c is to ?` with unit vectors, the words asked about left out."
    )
    why = "It is the best known thing about word vectors, and much of the score is a rule that is seldom mentioned."
    try_next = (
        "Multiply the cosines with b and c and divide by the one with a, each made positive: does it score better?"
    )
    wrong_ways = mistakes.ANALOGY
    error_hints = (
        ErrorHint(
            "shapes cannot be multiplied", "each question meets the vectors of all words; which one to transpose?"
        ),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw many questions, one question, and questions whose a lies between b and c."""
        (d,) = draw_sizes(generator, 1)
        count, n_questions = 31, 37

        def question(n_questions: int = n_questions, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
            distinct = torch.rand(n_questions, count, generator=generator).argsort(dim=-1)[:, :3]
            return draw_vectors(generator, count, d + 2, dtype=dtype), *distinct.T.clone(
                memory_format=torch.contiguous_format
            )

        yield Case(question())
        yield Case(question(dtype=torch.float64))
        yield Case(question(n_questions=1), about="one question")
        vectors, a, b, c = question()
        first, second, third = a[0], b[0], c[0]
        vectors[third] = F.normalize(vectors[second], dim=0) + 0.5 * F.normalize(vectors[third], dim=0)
        vectors[first] = F.normalize(vectors[second], dim=0) + F.normalize(vectors[third], dim=0)
        yield Case((vectors, a, b, c), about="in the first question, a lies midway between b and c")

    def reference(self, vectors: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Ask torch for unit vectors and cosines, and take the best word that is not in the question."""
        unit = F.normalize(vectors, dim=-1)
        answers = []
        for given in zip(a.tolist(), b.tolist(), c.tolist(), strict=True):
            first, second, third = unit[list(given)]
            cosines = F.cosine_similarity(second - first + third, unit, dim=-1)
            ranked = cosines.argsort(descending=True).tolist()
            answers.append(next(word for word in ranked if word not in given))
        return torch.tensor(answers)


class Spearman(Exercise):
    """Rank correlation with ties."""

    slug = "embeddings"
    signature = "spearman(x, y)"
    title = "Do people agree with the vectors?"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Correlate the ranks of two lists of numbers, equal numbers sharing the mean of their ranks."
    why = "People rate pairs of words from 0 to 10 and cosines end at 1, so only the order can be compared."
    try_next = "Draw the pairs again with replacement, 1,000 times, and see how far the correlation moves."
    wrong_ways = mistakes.SPEARMAN
    error_hints = (
        ErrorHint("Input dtype must be either a floating point or complex dtype", "ranks are whole numbers at first"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw numbers with and without ties, ratings of few levels, and a far outlier."""

        def pair(count: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
            x = draw(generator, count, dtype=dtype)
            return x, 0.7 * x + 0.7 * draw(generator, count, dtype=dtype)

        def ratings(values: Tensor, highest: int) -> Tensor:
            return values.exp().round().clamp(max=highest)

        x, y = pair(29)
        yield Case((x, y.exp()), about="no ties")
        # In double precision, where no wrong way of ranking ties comes close to the right one by chance.
        x, y = pair(31, dtype=torch.float64)
        yield Case((x, ratings(y, 5)), about="ratings, with ties")
        x, y = pair(37)
        yield Case((ratings(x, 3), -ratings(y, 2)), about="ties in both")
        x, y = pair(23)
        yield Case((x, y.masked_fill(x == x.min(), 1e4)), about="one number is far out")

    def reference(self, x: Tensor, y: Tensor) -> Tensor:
        """Ask scipy for the ranks and torch for their correlation."""
        from scipy.stats import rankdata

        ranks = [torch.from_numpy(rankdata(each.numpy())) for each in (x, y)]
        return torch.corrcoef(torch.stack(ranks))[0, 1].to(x.dtype)


class WindowAndNeighbours(OpenQuestion):
    """A small experiment to report on."""

    slug = "embeddings"
    signature = "window_and_neighbours()"
    title = "What the window decides"
    points = 6
    minutes = 40
    difficulty = 4
    objective = "Measure what a narrow and a wide window teach of the same text, and report it with a figure."
    why = "The window looks like a detail of the counting, and it decides what `similar` means."
    try_next = "Repeat the measurement with word order kept: other columns for the words before than for those after."


EXERCISES = (
    SkipGramPairs(),
    NegativeSamplingLoss(),
    CooccurrenceMatrix(),
    GloveLoss(),
    MostSimilar(),
    Analogy(),
    Spearman(),
    WindowAndNeighbours(),
)
