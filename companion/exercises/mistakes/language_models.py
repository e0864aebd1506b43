"""The mistakes that students make in the lab on language models, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.spec import WrongWay

Ngrams = dict[tuple[str, ...], int]


def windows(words: list[str], n: int, step: int = 1) -> list[tuple[str, ...]]:
    """List the runs of n words, with one part of the rule replaceable."""
    return [tuple(words[i : i + n]) for i in range(0, len(words) - n + 1, step)]


def marked(sentence: list[str], starts: int, ends: int = 1) -> list[str]:
    """Put marks around a sentence."""
    return ["<s>"] * starts + sentence + ["</s>"] * ends


def _counted(
    sentences: Iterable[list[str]],
    n: int,
    *,
    starts: int | None = None,
    ends: int = 1,
    step: int = 1,
) -> Ngrams:
    """Count by the rule, with one part of it replaceable."""
    starts = n - 1 if starts is None else starts
    texts = (marked(sentence, starts, ends) for sentence in sentences)
    return dict(Counter(gram for text in texts for gram in windows(text, n, step)))


def _joined(sentences: list[list[str]]) -> list[str]:
    return [word for sentence in sentences for word in sentence]


COUNT_NGRAMS = (
    *(
        WrongWay("some n-grams run from one sentence into the next; each sentence stands for itself", compute)
        for compute in (
            lambda sentences, n: _counted([_joined(sentences)], n),
            lambda sentences, n: _counted([_joined(sentences)], n, starts=0, ends=0),
            lambda sentences, n: _counted([_joined([marked(s, n - 1) for s in sentences])], n, starts=0, ends=0),
        )
    ),
    WrongWay(
        "there are no marks, so nothing says how a sentence starts or that it ends",
        lambda sentences, n: _counted(sentences, n, starts=0, ends=0),
    ),
    WrongWay(
        "there are no start marks, so the first words of a sentence have no context",
        lambda sentences, n: _counted(sentences, n, starts=0),
    ),
    WrongWay(
        "the n-gram that ends with the end mark is missing, so the model never learns to stop",
        lambda sentences, n: _counted(sentences, n, ends=0),
    ),
    WrongWay(
        "there is one start mark whatever n is; the first word needs as long a context as any other",
        lambda sentences, n: _counted(sentences, n, starts=1),
    ),
    WrongWay(
        "there is a start mark too many; the context of the first word has n - 1 places",
        lambda sentences, n: _counted(sentences, n, starts=n),
    ),
    WrongWay(
        "there are as many end marks as start marks; a sentence ends once",
        lambda sentences, n: _counted(sentences, n, ends=n - 1),
    ),
    WrongWay(
        "the n-grams stand side by side; they overlap, because each word is predicted once",
        lambda sentences, n: _counted(sentences, n, step=n),
    ),
    WrongWay(
        "each n-gram is counted once, however often it occurs",
        lambda sentences, n: dict.fromkeys(_counted(sentences, n), 1),
    ),
    WrongWay(
        "the n-grams are joined into texts; a key is a tuple of n words",
        lambda sentences, n: {" ".join(gram): count for gram, count in _counted(sentences, n).items()},
    ),
    WrongWay(
        "capitals are made small; the words are counted as they are given",
        lambda sentences, n: _counted([[word.lower() for word in sentence] for sentence in sentences], n),
    ),
    WrongWay(
        "shorter n-grams are counted too; every key has n words",
        lambda sentences, n: {k: v for size in range(1, n + 1) for k, v in _counted(sentences, size).items()},
    ),
    WrongWay(
        "the empty sentence is left out; it too starts and ends",
        lambda sentences, n: _counted([sentence for sentence in sentences if sentence], n),
    ),
    WrongWay(
        "sentences shorter than n are left out; with its marks every sentence is long enough",
        lambda sentences, n: _counted([sentence for sentence in sentences if len(sentence) >= n], n),
    ),
)


def _shares(table: Tensor, dim: int = -1) -> Tensor:
    return table / table.sum(dim, keepdim=True)


ADD_K_PROBABILITIES = (
    WrongWay("k is not used, so what was not seen stays impossible", lambda counts, k: _shares(counts)),
    WrongWay("you add 1, whatever k says", lambda counts, k: _shares(counts + 1)),
    WrongWay(
        "k is added to the counts but not to their sum, so a row adds up to more than 1",
        lambda counts, k: (counts + k) / counts.sum(-1, keepdim=True),
    ),
    WrongWay(
        "k is added to the sum but not to the counts, so what was not seen stays impossible",
        lambda counts, k: counts / (counts.sum(-1, keepdim=True) + k * counts.shape[-1]),
    ),
    WrongWay(
        "the sum grows by one k only; every word of the vocabulary was given one",
        lambda counts, k: (counts + k) / (counts.sum(-1, keepdim=True) + k),
    ),
    WrongWay(
        "the sum grows by a k for each word seen in the context; the words not seen were given one too",
        lambda counts, k: (counts + k) / (counts.sum(-1, keepdim=True) + k * (counts > 0).sum(-1, keepdim=True)),
    ),
    WrongWay(
        "the sum grows by a k for each context; it is the words that were given one",
        lambda counts, k: (counts + k) / (counts.sum(-1, keepdim=True) + k * counts.shape[0]),
    ),
    WrongWay(
        "the columns sum to one; contexts are rows, and the words that follow one context must share its probability",
        lambda counts, k: _shares(counts + k, 0),
    ),
    WrongWay(
        "the whole table sums to one; each row must, because a context is given",
        lambda counts, k: (counts + k) / (counts + k).sum(),
    ),
    WrongWay(
        "only zeros are given a k; a word seen once is then no likelier than one never seen",
        lambda counts, k: _shares(torch.where(counts == 0, k, counts)),
    ),
    *(
        WrongWay("k is added to shares, after dividing; it belongs to the counts", compute)
        for compute in (lambda counts, k: _shares(counts) + k, lambda counts, k: _shares(_shares(counts) + k))
    ),
    WrongWay("these are counts still; divide them, so that a row sums to one", lambda counts, k: counts + k * 1.0),
    WrongWay("these are the logarithms of the probabilities", lambda counts, k: _shares(counts + k).log()),
    WrongWay("you take exponentials; counts are shares already", lambda counts, k: F.softmax(counts + k * 1.0, -1)),
)


def _token_nll(log_probs: Tensor, mask: Tensor) -> Tensor:
    return -log_probs[mask].mean()


def _text_nll(log_probs: Tensor, mask: Tensor) -> Tensor:
    """Give each text its own mean."""
    return -log_probs.masked_fill(~mask, 0.0).sum(-1) / mask.sum(-1)


PERPLEXITY = (
    WrongWay(
        "the product of many probabilities is too small for any float; add their logarithms",
        lambda log_probs, mask: log_probs[mask].exp().prod() ** (-1 / mask.sum()),
    ),
    WrongWay(
        "0 times -inf is NaN; leave the padding out, do not multiply it away",
        lambda log_probs, mask: (-(log_probs * mask).sum() / mask.sum()).exp(),
    ),
    WrongWay(
        "the mask is inverted; True marks a token of the text",
        lambda log_probs, mask: _token_nll(log_probs, ~mask).exp(),
    ),
    WrongWay("the padding is counted as if it were text", lambda log_probs, mask: (-log_probs.mean()).exp()),
    WrongWay(
        "the sum leaves the padding out but is divided by a number of tokens that includes it",
        lambda log_probs, mask: (-log_probs[mask].sum() / mask.numel()).exp(),
    ),
    WrongWay(
        "each text has a perplexity of its own; the tokens of the whole batch share one",
        lambda log_probs, mask: _text_nll(log_probs, mask).exp(),
    ),
    WrongWay(
        "you average perplexities of texts; average the logarithms of all tokens first, and take one exponential last",
        lambda log_probs, mask: _text_nll(log_probs, mask).exp().mean(),
    ),
    WrongWay(
        "every text counts the same; every token should, or short texts weigh too much",
        lambda log_probs, mask: _text_nll(log_probs, mask).mean().exp(),
    ),
    WrongWay(
        "the base is 2, but the logarithms are natural ones; undo a logarithm in its own base",
        lambda log_probs, mask: 2 ** _token_nll(log_probs, mask),
    ),
    WrongWay(
        "the base is 10, but the logarithms are natural ones; undo a logarithm in its own base",
        lambda log_probs, mask: 10 ** _token_nll(log_probs, mask),
    ),
    WrongWay(
        "the sign is lost: a perplexity below 1 would mean less than one word to choose from",
        lambda log_probs, mask: (-_token_nll(log_probs, mask)).exp(),
    ),
    WrongWay(
        "you take the exponential of the sum; without a mean, a longer text is always more perplexing",
        lambda log_probs, mask: (-log_probs[mask].sum()).exp(),
    ),
    WrongWay(
        "you divide by the number of texts; divide by the number of tokens",
        lambda log_probs, mask: (-log_probs[mask].sum() / len(mask)).exp(),
    ),
    WrongWay(
        "this is the cross-entropy; one step is missing",
        _token_nll,
    ),
    WrongWay(
        "you average the probabilities; their logarithms are what must be averaged",
        lambda log_probs, mask: 1 / log_probs[mask].exp().mean(),
    ),
    WrongWay(
        "you average 1/p over the tokens, so one surprise outweighs all the rest; average the logarithms",
        lambda log_probs, mask: (-log_probs[mask]).exp().mean(),
    ),
)


def _bits(log_probs: Tensor) -> Tensor:
    return -log_probs.sum() / math.log(2)


BITS_PER_BYTE = (
    WrongWay(
        "you divide by the number of characters; outside ASCII a character takes two to four bytes",
        lambda log_probs, text: _bits(log_probs) / len(text),
    ),
    WrongWay(
        "these are bits per token; another tokenizer cuts the same text into more of them or fewer",
        lambda log_probs, text: _bits(log_probs) / len(log_probs),
    ),
    WrongWay(
        "you divide by the number of words; count the bytes of the text",
        lambda log_probs, text: _bits(log_probs) / len(text.split()),
    ),
    WrongWay(
        "you divide by the tokens and by the bytes; the text is paid for once",
        lambda log_probs, text: _bits(log_probs) / len(log_probs) / len(text.encode()),
    ),
    WrongWay("these are the bits of the whole text", lambda log_probs, text: _bits(log_probs)),
    WrongWay(
        "you divide by the bits of the text; divide by its bytes",
        lambda log_probs, text: _bits(log_probs) / (8 * len(text.encode())),
    ),
    WrongWay(
        "these are nats: a natural logarithm counts in units of e, a bit is a power of 2",
        lambda log_probs, text: -log_probs.sum() / len(text.encode()),
    ),
    *(
        WrongWay(
            "two or four bytes a character is UTF-16 or UTF-32; files and models use UTF-8",
            lambda log_probs, text, encoding=encoding: _bits(log_probs) / len(text.encode(encoding)),
        )
        for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-32-le")
    ),
    WrongWay(
        "you multiply by ln 2; a bit is smaller than a nat, so there must be more of them",
        lambda log_probs, text: -log_probs.sum() * math.log(2) / len(text.encode()),
    ),
    WrongWay(
        "these are decimal digits; a bit is a power of 2",
        lambda log_probs, text: -log_probs.sum() / math.log(10) / len(text.encode()),
    ),
    WrongWay(
        "you take the logarithm of a logarithm; only its base has to change",
        lambda log_probs, text: -log_probs.log2().sum() / len(text.encode()),
    ),
    WrongWay(
        "the sign is lost: no code has fewer than 0 bits",
        lambda log_probs, text: -_bits(log_probs) / len(text.encode()),
    ),
    WrongWay(
        "this is a perplexity; the number of bits is its logarithm",
        lambda log_probs, text: 2 ** (_bits(log_probs) / len(text.encode())),
    ),
)


def _totals(counts: Tensor) -> Tensor:
    return counts.sum(-1, keepdim=True)


def _followers(counts: Tensor) -> Tensor:
    return (counts > 0).sum(-1, keepdim=True)


def _completes(counts: Tensor) -> Tensor:
    """Give each word its share of the bigrams, each counted once."""
    return (counts > 0).sum(0) / (counts > 0).sum()


def _kneser_ney(
    counts: Tensor,
    discount: float,
    *,
    kept: Tensor | None = None,
    freed: Tensor | float | None = None,
    lower: Tensor | float | None = None,
    unseen: Tensor | float | None = None,
) -> Tensor:
    """Smooth by the formula, with one part of it replaceable."""
    total = _totals(counts)
    kept = (counts - discount).clamp(min=0) if kept is None else kept
    freed = discount * _followers(counts) / total if freed is None else freed
    lower = _completes(counts) if lower is None else lower
    probabilities = kept / total + freed * lower
    return torch.where(total > 0, probabilities, torch.as_tensor(lower if unseen is None else unseen))


def _backed_off(counts: Tensor, discount: float) -> Tensor:
    lower = discount * _followers(counts) / _totals(counts) * _completes(counts)
    return torch.where(counts > 0, (counts - discount) / _totals(counts), lower)


KNESER_NEY_BIGRAM = (
    WrongWay(
        "a context that was never seen divides 0 by 0; what is known about the next word without any context?",
        lambda counts, discount: _kneser_ney(counts, discount, unseen=math.nan),
    ),
    WrongWay(
        "a context that was never seen gives every word the probability 0; something must come next",
        lambda counts, discount: _kneser_ney(counts, discount, unseen=0.0),
    ),
    WrongWay(
        "a context that was never seen makes all words equal; it should fall back on the continuations",
        lambda counts, discount: _kneser_ney(counts, discount, unseen=1 / counts.shape[-1]),
    ),
    WrongWay(
        "you fall back on how often a word occurs (absolute discounting); ask after how many words it occurs",
        lambda counts, discount: _kneser_ney(counts, discount, lower=counts.sum(0) / counts.sum()),
    ),
    WrongWay(
        "you fall back on equal shares; some words complete many more contexts than others",
        lambda counts, discount: _kneser_ney(counts, discount, lower=1 / counts.shape[-1]),
    ),
    *(
        WrongWay(
            "the continuation counts are divided by the wrong number, so they do not sum to one over the vocabulary",
            lambda counts, discount, number=number: _kneser_ney(
                counts, discount, lower=(counts > 0).sum(0) / number(counts)
            ),
        )
        for number in (torch.sum, lambda counts: counts.shape[0], lambda counts: counts.shape[1])
    ),
    WrongWay(
        "you count the words that follow the context; for falling back, count the contexts before each word",
        lambda counts, discount: _kneser_ney(counts, discount, lower=_followers(counts) / (counts > 0).sum()),
    ),
    WrongWay(
        "there is nothing to fall back on, so words not seen after this context stay impossible",
        lambda counts, discount: _kneser_ney(counts, discount, freed=0.0),
    ),
    WrongWay(
        "the freed probability is one discount; each different word that was seen gave one up",
        lambda counts, discount: _kneser_ney(counts, discount, freed=discount / _totals(counts)),
    ),
    WrongWay(
        "the freed probability counts all the words; only those that were seen gave something up",
        lambda counts, discount: _kneser_ney(counts, discount, freed=discount * counts.shape[-1] / _totals(counts)),
    ),
    WrongWay(
        "the freed probability is not multiplied by the discount, so more is given out than was taken",
        lambda counts, discount: _kneser_ney(counts, discount, freed=_followers(counts) / _totals(counts)),
    ),
    WrongWay(
        "the weight of the continuations is the same for every context; it depends on what that context gave up",
        lambda counts, discount: _kneser_ney(counts, discount, freed=discount),
    ),
    WrongWay(
        "the continuations are added in full; they share only what the discounts freed",
        lambda counts, discount: _kneser_ney(counts, discount, freed=1.0),
    ),
    WrongWay(
        "you back off: only words not seen get a share of the continuations; here every word does",
        _backed_off,
    ),
    WrongWay(
        "the discount makes the counts of 0 negative; nothing can be taken where nothing is",
        lambda counts, discount: _kneser_ney(counts, discount, kept=counts - discount),
    ),
    WrongWay(
        "nothing is taken from the counts, so more is given out than there is",
        lambda counts, discount: _kneser_ney(counts, discount, kept=counts),
    ),
    WrongWay(
        "the discount is taken from the probabilities; take it from the counts",
        lambda counts, discount: _kneser_ney(
            counts, discount, kept=(counts / _totals(counts) - discount).clamp(min=0) * _totals(counts)
        ),
    ),
    *(
        WrongWay(
            "the discount is the same whatever `discount` says",
            lambda counts, discount, fixed=fixed: _kneser_ney(counts, fixed),
        )
        for fixed in (0.75, 0.5)
    ),
    *(
        WrongWay(
            "rows and columns have changed places; contexts are rows",
            lambda counts, discount, unseen=unseen: _kneser_ney(counts.mT, discount, unseen=unseen).mT,
        )
        for unseen in (None, math.nan)
    ),
)


def _one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    """Mark each token's target; a token to ignore has none."""
    marks = F.one_hot(targets.clamp(min=0), logits.shape[-1]).to(logits.dtype)
    return marks * (targets >= 0)[:, None]


def _uphill(logits: Tensor, targets: Tensor) -> Tensor:
    return (_one_hot(logits, targets) - F.softmax(logits, -1)) * (targets >= 0)[:, None]


def _difference(probabilities: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Put something else in the place of the probabilities."""

    def compute(logits: Tensor, targets: Tensor) -> Tensor:
        return (_one_hot(logits, targets) - probabilities(logits)) * (targets >= 0)[:, None]

    return compute


_DESCENT = (
    "this is the gradient of the loss, the negative log-likelihood: it points downhill; the log-likelihood itself is "
    "to be maximised"
)

LOG_LIKELIHOOD_GRADIENT = (
    WrongWay(_DESCENT, lambda logits, targets: -_uphill(logits, targets)),
    WrongWay(
        "this is what the usual mean loss gives, downhill and divided by the number of tokens; the log-likelihood is a "
        "sum, to be maximised",
        lambda logits, targets: -_uphill(logits, targets) / (targets >= 0).sum(),
    ),
    *(
        WrongWay(
            "you divide by the number of tokens; the log-likelihood is a sum",
            lambda logits, targets, number=number: _uphill(logits, targets) / number(targets),
        )
        for number in (len, lambda targets: (targets >= 0).sum())
    ),
    *(
        WrongWay("a token whose target is -100 must not count: its row is all zeros", compute)
        for compute in (
            lambda logits, targets: _one_hot(logits, targets) - F.softmax(logits, -1),
            lambda logits, targets: _uphill(logits, targets.clamp(min=0)),
        )
    ),
    WrongWay(
        "exp() of a large score is inf, and inf / inf is NaN; take the row's largest score away first",
        _difference(lambda logits: _shares(logits.exp())),
    ),
    WrongWay(
        "the softmax runs over the tokens; the probabilities of one token over the vocabulary must sum to one",
        _difference(lambda logits: F.softmax(logits, 0)),
    ),
    WrongWay("you subtract the scores; subtract the probabilities they stand for", _difference(lambda logits: logits)),
    WrongWay(
        "you subtract the logarithms of the probabilities; subtract the probabilities",
        _difference(lambda logits: F.log_softmax(logits, -1)),
    ),
    WrongWay("you squash each score by itself; the words of the vocabulary compete", _difference(torch.sigmoid)),
    WrongWay(
        "only the target's score counts here; raising any other score takes probability away from the target",
        lambda logits, targets: _one_hot(logits, targets) * _uphill(logits, targets),
    ),
    WrongWay(
        "the derivative of the target's own score is there, that of the normaliser is not",
        _one_hot,
    ),
    WrongWay(
        "the derivative of the normaliser is there, that of the target's own score is not",
        lambda logits, targets: -F.softmax(logits, -1) * (targets >= 0)[:, None],
    ),
    WrongWay(
        "this is the gradient of the probability, not of its logarithm",
        lambda logits, targets: (
            _uphill(logits, targets) * (F.softmax(logits, -1) * _one_hot(logits, targets)).sum(-1, keepdim=True)
        ),
    ),
    WrongWay(
        "p (1 - p) is the derivative of each probability by its own score; what is asked is that of one logarithm",
        lambda logits, targets: F.softmax(logits, -1) * (1 - F.softmax(logits, -1)) * (targets >= 0)[:, None],
    ),
)


def _climbed(table: Tensor, contexts: Tensor, targets: Tensor, rate: float | Tensor) -> Tensor:
    return table.index_add(0, contexts, rate * _uphill(table[contexts], targets))


def _last_one_wins(table: Tensor, contexts: Tensor, targets: Tensor, learning_rate: float) -> Tensor:
    new = table.clone()
    for context, row in zip(contexts.tolist(), _uphill(table[contexts], targets), strict=True):
        new[context] = table[context] + learning_rate * row
    return new


def _one_after_another(table: Tensor, contexts: Tensor, targets: Tensor, learning_rate: float) -> Tensor:
    for context, target in zip(contexts.split(1), targets.split(1), strict=True):
        table = _climbed(table, context, target, learning_rate)
    return table


def _with_gradient(change: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Put another change in the place of the gradient of each pair."""

    def compute(table: Tensor, contexts: Tensor, targets: Tensor, learning_rate: float) -> Tensor:
        return table.index_add(0, contexts, learning_rate * change(table[contexts], targets))

    return compute


BIGRAM_SGD_STEP: tuple[WrongWay, ...] = (
    WrongWay(
        "this step goes downhill: subtracting the gradient lowers the log-likelihood that is to be raised (as the "
        "formula of article 000 does)",
        lambda table, contexts, targets, rate: _climbed(table, contexts, targets, -rate),
    ),
    WrongWay(
        "of a context that occurs twice, only one occurrence counts; assigning to table[contexts] keeps one change a "
        "row",
        _last_one_wins,
    ),
    WrongWay(
        "the table changes between one pair and the next; all pairs of the batch see the same table",
        _one_after_another,
    ),
    WrongWay(
        "you divide by the number of pairs; the log-likelihood is a sum",
        lambda table, contexts, targets, rate: _climbed(table, contexts, targets, rate / len(contexts)),
    ),
    WrongWay(
        "you divide by the number of pairs, and the step goes downhill: this is the mean loss, climbed",
        lambda table, contexts, targets, rate: _climbed(table, contexts, targets, -rate / len(contexts)),
    ),
    WrongWay(
        "the learning rate is not used",
        lambda table, contexts, targets, rate: _climbed(table, contexts, targets, 1.0),
    ),
    WrongWay(
        "you divide by the learning rate; a smaller rate must make a smaller step",
        lambda table, contexts, targets, rate: _climbed(table, contexts, targets, 1 / rate),
    ),
    WrongWay(
        "the whole table is multiplied by the learning rate; only the change is",
        lambda table, contexts, targets, rate: rate * _climbed(table, contexts, targets, 1.0),
    ),
    WrongWay(
        "you return the change; return the table after it",
        lambda table, contexts, targets, rate: _climbed(table, contexts, targets, rate) - table,
    ),
    WrongWay(
        "you return the rows of the batch; return the whole table",
        lambda table, contexts, targets, rate: table[contexts] + rate * _uphill(table[contexts], targets),
    ),
    WrongWay(
        "contexts and targets have changed places; contexts choose the rows",
        lambda table, contexts, targets, rate: _climbed(table, targets, contexts, rate),
    ),
    WrongWay(
        "the targets' scores rise and no other falls; raising a score alone is not the gradient",
        _with_gradient(_one_hot),
    ),
    WrongWay(
        "you use the scores where the gradient needs probabilities",
        _with_gradient(_difference(lambda logits: logits)),
    ),
)
