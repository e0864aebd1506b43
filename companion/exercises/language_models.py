"""The exercises of the lab on language models.

Right answers come from the definitions, spelled out in plain Python, or from torch's own losses and autograd; the
tests hold them against nltk and torch's optimiser. The mistakes that students make stand in
`companion.exercises.mistakes.language_models`.
"""

from collections import Counter
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.inputs import draw, draw_mask, draw_sizes
from companion.exercises.mistakes import language_models as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion

_WORDS = ("the", "The", "a", "salt", "water", "stir", "until")
_PIECES = ("a", "n", "r", "s", "t", " ", "é", "ñ", "½", "°")
_CHINESE = "汤面茶水盐葱姜火"
_EMOJI = "🍲🥢🍵"


def draw_sentences(generator: torch.Generator, lengths: list[int]) -> list[list[str]]:
    """Draw sentences of few words; add the first again, once after a capital and once twice over."""
    picks = [torch.randint(len(_WORDS), (length,), generator=generator).tolist() for length in lengths]
    sentences = [[_WORDS[i] for i in pick] for pick in picks]
    return [*sentences, ["The", *sentences[0]], ["the", *sentences[0], *sentences[0]]]


def draw_text(generator: torch.Generator, alphabet: str | tuple[str, ...], length: int) -> str:
    """Draw a text that uses every letter of an alphabet."""
    more = torch.randint(len(alphabet), (length - len(alphabet),), generator=generator).tolist()
    letters = [*alphabet, *(alphabet[i] for i in more)]
    return "".join(letters[i] for i in torch.randperm(length, generator=generator).tolist())


def draw_log_probs(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Draw the logarithms of probabilities that are neither tiny nor certain."""
    return torch.empty(shape, dtype=torch.float64).uniform_(0.2, 0.9, generator=generator).log().to(dtype)


def draw_counts(generator: torch.Generator, n_contexts: int, n_words: int) -> Tensor:
    """Draw counts of which every row holds a zero and something else; the last word follows most contexts."""
    seen = draw_mask(generator, n_contexts, n_words)
    seen[:, -1] |= seen.sum(1) < n_words - 1
    return seen * torch.randint(1, 9, (n_contexts, n_words), generator=generator)


def draw_table_size(generator: torch.Generator) -> tuple[int, int]:
    """Draw a number of words and a larger one of contexts, so large that no wrong table comes out right by chance."""
    n_words, n_contexts = sorted(draw_sizes(generator, 2))
    return n_words + 6, n_contexts + 8


def draw_rate(generator: torch.Generator) -> float:
    """Draw a number below 1 with one decimal; not 0.5, for which some wrong formulas come out right."""
    return (0.3, 0.4, 0.6, 0.7, 0.8)[int(torch.randint(5, (), generator=generator))]


class CountNgrams(Exercise):
    """Count n-grams with marks for the start and the end of a sentence."""

    slug = "language_models"
    signature = "count_ngrams(sentences, n)"
    title = "Count what follows what"
    points = 2
    minutes = 15
    difficulty = 2
    objective = "Count the runs of n words in a list of sentences, with marks for where a sentence starts and ends."
    why = "For half a century, counting was how machines guessed the next word; it is still the first model to beat."
    try_next = (
        "Give it words cut into letters in place of sentences: which three letters end most words of the recipes?"
    )
    wrong_ways = mistakes.COUNT_NGRAMS
    error_hints = (
        ErrorHint("unhashable type: 'list'", "a list cannot be a key, because it can change; a tuple can"),
        ErrorHint("can only concatenate list", "the marks and the sentence must both be lists to be joined"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw pairs, triples, single words, sentences shorter than n, and an empty one."""
        a, b, c = draw_sizes(generator, 3)
        yield Case((draw_sentences(generator, [a, b, c]), 2))
        yield Case((draw_sentences(generator, [b, c]), 3), about="the first word needs a context of two")
        yield Case((draw_sentences(generator, [c, a]), 1), about="single words have no context")
        yield Case((draw_sentences(generator, [1, a + 4, 2]), 5), about="some sentences are shorter than n")
        yield Case(([*draw_sentences(generator, [b]), []], 2), about="one sentence is empty")
        yield Case(([], 2), about="no sentences at all")

    def reference(self, sentences: list[list[str]], n: int) -> dict[tuple[str, ...], int]:
        """Lay n shifted copies of each marked sentence side by side."""
        counts = Counter()
        for sentence in sentences:
            marked = ["<s>"] * (n - 1) + sentence + ["</s>"]
            counts.update(zip(*(marked[shift:] for shift in range(n)), strict=False))
        return dict(counts)


class AddKProbabilities(Exercise):
    """Turn counts into probabilities that are never zero."""

    slug = "language_models"
    signature = "add_k_probabilities(counts, k)"
    title = "Leave room for what you have not seen"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Turn a table of counts into the probabilities of the next word, none of which is zero."
    why = "One word pair that the training text did not have makes the probability of a whole book zero."
    try_next = "Find the word after which add-1 moves the most probability to pairs that never occurred."
    wrong_ways = mistakes.ADD_K_PROBABILITIES
    error_hints = (
        ErrorHint("must match the size", "a sum over words drops their axis unless you ask it to stay"),
        ErrorHint("can't be cast to the desired output type", "counts are whole numbers and cannot hold fractions"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw k of one and below, a context that was never seen, and a single context."""
        n_words, n_contexts = draw_table_size(generator)
        yield Case((draw_counts(generator, n_contexts, n_words), 1))
        yield Case((draw_counts(generator, n_contexts, n_words), draw_rate(generator)), about="k is below 1")
        unseen = draw_counts(generator, n_contexts, n_words)
        unseen[int(torch.randint(n_contexts, (), generator=generator))] = 0
        yield Case((unseen, draw_rate(generator)), about="one context was never seen")
        yield Case((draw_counts(generator, 1, n_words), draw_rate(generator)), about="a single context")

    def reference(self, counts: Tensor, k: int | float) -> Tensor:
        """Take the share of each word, one at a time."""
        rows = [[count + k for count in row] for row in counts.tolist()]
        return torch.tensor([[count / sum(row) for count in row] for row in rows])


class Perplexity(Exercise):
    """Perplexity of a batch of texts of different lengths."""

    slug = "language_models"
    signature = "perplexity(log_probs, mask)"
    title = "How many words it hesitates between"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Compute one perplexity for a padded batch, in which every token counts the same."
    why = "This is the number that papers compare language models by, and at least six wrong ones look like it."
    try_next = "Give every token the probability 1/V. Which perplexity must come out, and does it?"
    wrong_ways = mistakes.PERPLEXITY
    error_hints = (
        ErrorHint("with a bool tensor is not supported", "to swap True and False in a tensor, write ~ before it"),
        ErrorHint("mean(): could not infer output dtype", "True and False can be counted with sum(), not averaged"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw padded batches, one without padding, padding of -inf, one long text, and one token."""
        batch, max_len = 3, draw_sizes(generator, 1)[0] + 3

        def padded(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
            lengths = 1 + torch.randperm(max_len - 1, generator=generator)[:batch]
            lengths[0] = max_len  # the three lengths differ
            return draw_log_probs(generator, batch, max_len, dtype=dtype), torch.arange(max_len) < lengths[:, None]

        yield Case(padded())
        yield Case(padded(torch.float64))
        log_probs, mask = padded()
        yield Case((log_probs.masked_fill(~mask, -torch.inf), mask), about="the padding holds -inf")
        whole = draw_log_probs(generator, batch, max_len)
        yield Case((whole, torch.ones_like(whole, dtype=torch.bool)), about="no padding")
        long = 4 * draw_log_probs(generator, 1, 3001)
        yield Case((long, torch.ones_like(long, dtype=torch.bool)), about="one long text", tolerance=1e-3)
        yield Case((draw_log_probs(generator, 1, 1), torch.ones(1, 1, dtype=torch.bool)), about="a single token")

    def reference(self, log_probs: Tensor, mask: Tensor) -> Tensor:
        """Ask torch's own loss, told which tokens to ignore, for the exponent."""
        kept = log_probs[mask]
        return F.nll_loss(kept[:, None], torch.zeros(len(kept), dtype=torch.long)).exp()


class BitsPerByte(Exercise):
    """Bits that a model needs for each byte of a text."""

    slug = "language_models"
    signature = "bits_per_byte(log_probs, text)"
    title = "A yardstick for all tokenizers"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Say how many bits a model needs for each byte of a text, however the text was cut into tokens."
    why = "Perplexities of models that cut text differently cannot be compared; bits per byte of the same text can."
    try_next = "Measure a text in Chinese and its translation with one model of bytes: which needs fewer bits in all?"
    wrong_ways = mistakes.BITS_PER_BYTE
    error_hints = (
        ErrorHint("string argument without an encoding", "name the encoding, or let the text encode itself"),
        ErrorHint("must be Tensor, not", "torch takes the logarithm of tensors; that of a plain number is in `math`"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw texts with letters of one to four bytes, cut into fewer or more tokens than letters."""

        def log_probs(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return draw_log_probs(generator, count, dtype=dtype)

        short, long = sorted((14 + torch.randperm(20, generator=generator)[:2]).tolist())
        yield Case((log_probs(short - 5), draw_text(generator, _PIECES, 2 * short)))
        yield Case((log_probs(7), draw_text(generator, "ab c", short)), about="a text in plain ASCII")
        yield Case((log_probs(long + 30), draw_text(generator, _CHINESE, long)), about="a text in Chinese")
        yield Case((log_probs(short - 3, torch.float64), draw_text(generator, _EMOJI, long)), about="a text of emoji")

    def reference(self, log_probs: Tensor, text: str) -> Tensor:
        """Add the bits token by token; count as bytes what a file of the text would hold."""
        bits = sum((-log_probs / torch.tensor(2.0, dtype=log_probs.dtype).log()).unbind())
        return torch.as_tensor(bits / len(bytearray(text, "utf-8")))


class KneserNeyBigram(Exercise):
    """Interpolated Kneser-Ney smoothing of a table of bigrams."""

    slug = "language_models"
    signature = "kneser_ney_bigram(counts, discount)"
    title = "Kneser-Ney: count contexts, not occurrences"
    points = 5
    minutes = 30
    difficulty = 4
    objective = "Smooth a table of bigram counts with a discount and with how many contexts each word completes."
    why = "When Chen and Goodman (1999) compared the ways to smooth counts, a version of this one beat all others."
    try_next = "Try other discounts on the held-out recipes below: how much does the best one gain over 0.5?"
    wrong_ways = mistakes.KNESER_NEY_BIGRAM
    error_hints = (
        ErrorHint(
            "must match the size", "two shapes do not fit: one number a context is a column, one a word is a row"
        ),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw more contexts than words and fewer, a context that was never seen, and a single context."""
        n_words, n_contexts = draw_table_size(generator)
        yield Case((draw_counts(generator, n_contexts, n_words), draw_rate(generator)))
        yield Case(
            (draw_counts(generator, n_words, n_contexts), draw_rate(generator)), about="few contexts, many words"
        )
        unseen = draw_counts(generator, n_contexts, n_words)
        unseen[int(torch.randint(n_contexts, (), generator=generator))] = 0
        yield Case((unseen, draw_rate(generator)), about="one context was never seen")
        yield Case((draw_counts(generator, 1, n_words), draw_rate(generator)), about="a single context")

    def reference(self, counts: Tensor, discount: float) -> Tensor:
        """Follow the definition, one context and one word at a time."""
        n_contexts, n_words = counts.shape
        pairs = {(v, w): int(counts[v, w]) for v in range(n_contexts) for w in range(n_words) if counts[v, w] > 0}
        completes = [len({v for v, w in pairs if w == word}) / len(pairs) for word in range(n_words)]
        rows = []
        for context in range(n_contexts):
            followers = {w: count for (v, w), count in pairs.items() if v == context}
            total = sum(followers.values())
            if total == 0:
                rows.append(completes)
                continue
            kept = [max(followers.get(word, 0) - discount, 0.0) / total for word in range(n_words)]
            freed = discount * len(followers) / total
            rows.append([direct + freed * share for direct, share in zip(kept, completes, strict=True)])
        return torch.tensor(rows)


class LogLikelihoodGradient(Exercise):
    """The gradient of the log-likelihood with respect to the scores, by hand."""

    slug = "language_models"
    signature = "log_likelihood_gradient(logits, targets)"
    title = "Which way is up"
    points = 3
    minutes = 20
    difficulty = 3
    objective = (
        "Write the gradient of the log-likelihood with respect to the scores, without automatic differentiation."
    )
    why = "Every language model since the neural ones has learned from this one difference, taken billions of times."
    try_next = "Add up the gradient of each token over the vocabulary. Why is the sum always the same?"
    wrong_ways = mistakes.LOG_LIKELIHOOD_GRADIENT
    error_hints = (
        ErrorHint("index -100 is out of bounds", "-100 is a mark for a token to ignore, not the index of a word"),
        ErrorHint("Class values must be non-negative", "-100 is a mark for a token to ignore, not the index of a word"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw plain tokens, ignored ones, scores that overflow, double precision, and one token."""
        n_words, n_tokens = sorted(draw_sizes(generator, 3))[1:]

        def targets(count: int = n_tokens) -> Tensor:
            return torch.randint(n_words, (count,), generator=generator)

        def logits(count: int = n_tokens, dtype: torch.dtype = torch.float32) -> Tensor:
            return draw(generator, count, n_words, dtype=dtype)

        yield Case((logits(), targets()))
        some = targets()
        some[torch.randperm(n_tokens, generator=generator)[:2]] = -100
        yield Case((logits(), some), about="two targets are -100, to be ignored")
        yield Case((logits() + 200, targets()), about="scores near 200", tolerance=1e-4)
        yield Case((logits(dtype=torch.float64), targets()))
        yield Case((logits(1), targets(1)), about="a single token")

    def reference(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Ask autograd."""
        logits = logits.detach().requires_grad_()
        with torch.enable_grad():
            log_likelihood = -F.cross_entropy(logits, targets, reduction="sum", ignore_index=-100)
        return torch.autograd.grad(log_likelihood, logits)[0]


class BigramSgdStep(Exercise):
    """One step of gradient ascent for a table of scores."""

    slug = "language_models"
    signature = "bigram_sgd_step(table, contexts, targets, learning_rate)"
    title = "One step uphill"
    points = 2
    minutes = 20
    difficulty = 3
    objective = "Take one step of stochastic gradient ascent on a table of scores, from a batch of word pairs."
    why = "Counting fills a table once; a model that learns gets there by small steps, each from a few examples."
    try_next = "Start from the logarithms of what Kneser-Ney gave in place of zeros: do the steps still help?"
    wrong_ways = mistakes.BIGRAM_SGD_STEP
    error_hints = (
        ErrorHint("is out of bounds", "contexts choose rows of the table, and targets choose columns of those rows"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw contexts that are all different, contexts that repeat, one pair, and double precision."""
        n_words, n_pairs, n_rows = sorted(draw_sizes(generator, 4))[1:]

        def table(dtype: torch.dtype = torch.float32) -> Tensor:
            return draw(generator, n_rows, n_words, dtype=dtype)

        def pairs(count: int) -> tuple[Tensor, Tensor]:
            sizes = (n_rows, n_words)
            contexts, targets = (torch.randint(size, (count,), generator=generator) for size in sizes)
            return contexts, targets

        # No word is both a context and a target, so that the two cannot change places unseen.
        contexts, targets = torch.randperm(n_words, generator=generator)[:3], n_words + torch.arange(3)
        square = draw(generator, n_words + 3, n_words + 3)
        yield Case((square, contexts, targets, draw_rate(generator)))
        contexts, targets = pairs(n_pairs)
        contexts[1] = contexts[0]
        yield Case((table(), contexts, targets, draw_rate(generator)), about="a context occurs twice")
        yield Case((table(torch.float64), contexts, targets, draw_rate(generator)))
        yield Case((table(), *pairs(1), draw_rate(generator)), about="a single pair")

    def reference(self, table: Tensor, contexts: Tensor, targets: Tensor, learning_rate: float) -> Tensor:
        """Ask autograd for the gradient with respect to the whole table."""
        table = table.detach().requires_grad_()
        with torch.enable_grad():
            log_likelihood = -F.cross_entropy(F.embedding(contexts, table), targets, reduction="sum")
        return table.detach() + learning_rate * torch.autograd.grad(log_likelihood, table)[0]


class PerplexityAndData(OpenQuestion):
    """A small experiment to report on."""

    slug = "language_models"
    signature = "perplexity_and_data()"
    title = "What is more text worth?"
    points = 6
    minutes = 45
    difficulty = 4
    objective = "Measure how the perplexity of two models falls with the amount of text, and report it with a figure."
    why = "Pretraining is a bet that more text keeps helping; on a small scale you can look at the odds yourself."
    try_next = (
        "Hold out another kind of text (the Bible for a model of recipes) and see what more recipes are worth there."
    )


EXERCISES = (
    CountNgrams(),
    AddKProbabilities(),
    Perplexity(),
    BitsPerByte(),
    KneserNeyBigram(),
    LogLikelihoodGradient(),
    BigramSgdStep(),
    PerplexityAndData(),
)
