"""Wrong answers to the exercises of the lab on language models, written as a student would write them."""

import math
from collections import Counter

import torch
import torch.nn.functional as F

from companion.exercises.language_models import EXERCISES
from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- count_ngrams ---


def _count(words, n):
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


@wrong("count_ngrams", "all sentences joined", "run from one sentence into the next")
def _(sentences, n):
    words = [word for sentence in sentences for word in sentence]
    return dict(_count(["<s>"] * (n - 1) + words + ["</s>"], n))


@wrong("count_ngrams", "joined without marks", "run from one sentence into the next")
def _(sentences, n):
    return dict(_count([word for sentence in sentences for word in sentence], n))


@wrong("count_ngrams", "marked and then joined", "run from one sentence into the next")
def _(sentences, n):
    words = []
    for sentence in sentences:
        words += ["<s>"] * (n - 1) + sentence + ["</s>"]
    return dict(_count(words, n))


@wrong("count_ngrams", "no marks", "there are no marks")
def _(sentences, n):
    return dict(sum((_count(sentence, n) for sentence in sentences), Counter()))


@wrong("count_ngrams", "no start marks", "there are no start marks")
def _(sentences, n):
    return dict(sum((_count([*sentence, "</s>"], n) for sentence in sentences), Counter()))


@wrong("count_ngrams", "no end mark", "so the model never learns to stop")
def _(sentences, n):
    return dict(sum((_count(["<s>"] * (n - 1) + sentence, n) for sentence in sentences), Counter()))


@wrong("count_ngrams", "one start mark", "one start mark whatever n is")
def _(sentences, n):
    return dict(sum((_count(["<s>", *sentence, "</s>"], n) for sentence in sentences), Counter()))


@wrong("count_ngrams", "n start marks", "a start mark too many")
def _(sentences, n):
    return dict(sum((_count(["<s>"] * n + sentence + ["</s>"], n) for sentence in sentences), Counter()))


@wrong("count_ngrams", "end marks as start marks", "as many end marks as start marks")
def _(sentences, n):
    marked = (["<s>"] * (n - 1) + sentence + ["</s>"] * (n - 1) for sentence in sentences)
    return dict(sum((_count(words, n) for words in marked), Counter()))


@wrong("count_ngrams", "range too short", "so the model never learns to stop")
def _(sentences, n):
    counts = {}
    for sentence in sentences:
        words = ["<s>"] * (n - 1) + sentence + ["</s>"]
        for i in range(len(words) - n):
            gram = tuple(words[i : i + n])
            counts[gram] = counts.get(gram, 0) + 1
    return counts


@wrong("count_ngrams", "steps of n", "the n-grams stand side by side")
def _(sentences, n):
    counts = {}
    for sentence in sentences:
        words = ["<s>"] * (n - 1) + sentence + ["</s>"]
        for i in range(0, len(words) - n + 1, n):
            gram = tuple(words[i : i + n])
            counts[gram] = counts.get(gram, 0) + 1
    return counts


@wrong("count_ngrams", "a set of n-grams", "each n-gram is counted once")
def _(sentences, n):
    marked = (["<s>"] * (n - 1) + sentence + ["</s>"] for sentence in sentences)
    return dict.fromkeys({gram for words in marked for gram in _count(words, n)}, 1)


@wrong("count_ngrams", "resets at each sentence", "each n-gram is counted once")
def _(sentences, n):
    counts = {}
    for sentence in sentences:
        words = ["<s>"] * (n - 1) + sentence + ["</s>"]
        for i in range(len(words) - n + 1):
            counts[tuple(words[i : i + n])] = 1
    return counts


@wrong("count_ngrams", "keys are texts", "a key is a tuple of n words")
def _(sentences, n):
    marked = (["<s>"] * (n - 1) + sentence + ["</s>"] for sentence in sentences)
    return dict(Counter(" ".join(words[i : i + n]) for words in marked for i in range(len(words) - n + 1)))


@wrong("count_ngrams", "small letters", "capitals are made small")
def _(sentences, n):
    marked = (["<s>"] * (n - 1) + [word.lower() for word in sentence] + ["</s>"] for sentence in sentences)
    return dict(sum((_count(words, n) for words in marked), Counter()))


@wrong("count_ngrams", "all sizes up to n", "shorter n-grams are counted too")
def _(sentences, n):
    counts = Counter()
    for size in range(1, n + 1):
        for sentence in sentences:
            counts += _count(["<s>"] * (size - 1) + sentence + ["</s>"], size)
    return dict(counts)


@wrong("count_ngrams", "short sentences left out", "sentences shorter than n are left out")
def _(sentences, n):
    marked = (["<s>"] * (n - 1) + sentence + ["</s>"] for sentence in sentences if len(sentence) >= n)
    return dict(sum((_count(words, n) for words in marked), Counter()))


@wrong("count_ngrams", "empty sentences left out", "the empty sentence is left out")
def _(sentences, n):
    marked = (["<s>"] * (n - 1) + sentence + ["</s>"] for sentence in sentences if sentence)
    return dict(sum((_count(words, n) for words in marked), Counter()))


@wrong("count_ngrams", "marks put into the caller's lists", "changed its argument `sentences` in place")
def _(sentences, n):
    counts = Counter()
    for sentence in sentences:
        sentence[:0] = ["<s>"] * (n - 1)
        sentence.append("</s>")
        counts += _count(sentence, n)
    return dict(counts)


@wrong("count_ngrams", "lists as keys", "a list cannot be a key")
def _(sentences, n):
    counts = {}
    for sentence in sentences:
        words = ["<s>"] * (n - 1) + sentence + ["</s>"]
        for i in range(len(words) - n + 1):
            counts[words[i : i + n]] = counts.get(words[i : i + n], 0) + 1
    return counts


@wrong("count_ngrams", "list and text added", "must both be lists")
def _(sentences, n):
    return dict(sum((_count(["<s>"] * (n - 1) + sentence + "</s>", n) for sentence in sentences), Counter()))


@wrong("count_ngrams", "a Counter", "wrap it in dict(...)")
def _(sentences, n):
    return sum((_count(["<s>"] * (n - 1) + sentence + ["</s>"], n) for sentence in sentences), Counter())


@wrong("count_ngrams", "number of sentences that hold it")
def _(sentences, n):
    counts = Counter()
    for sentence in sentences:
        counts.update(set(_count(["<s>"] * (n - 1) + sentence + ["</s>"], n)))
    return dict(counts)


@wrong("count_ngrams", "fails without sentences")
def _(sentences, n):
    first, *rest = (_count(["<s>"] * (n - 1) + sentence + ["</s>"], n) for sentence in sentences)
    return dict(sum(rest, first))


@wrong("count_ngrams", "always pairs")
def _(sentences, n):
    return dict(sum((_count(["<s>", *sentence, "</s>"], 2) for sentence in sentences), Counter()))


# --- add_k_probabilities ---


@wrong("add_k_probabilities", "no smoothing", "k is not used")
def _(counts, k):
    return counts / counts.sum(1, keepdim=True)


@wrong("add_k_probabilities", "always one", "you add 1, whatever k says")
def _(counts, k):
    return (counts + 1) / (counts + 1).sum(1, keepdim=True)


@wrong("add_k_probabilities", "numerator only", "added to the counts but not to their sum")
def _(counts, k):
    return (counts + k) / counts.sum(1, keepdim=True)


@wrong("add_k_probabilities", "denominator only", "added to the sum but not to the counts")
def _(counts, k):
    return counts / (counts.sum(1, keepdim=True) + k * counts.shape[1])


@wrong("add_k_probabilities", "one k in the sum", "the sum grows by one k only")
def _(counts, k):
    return (counts + k) / (counts.sum(1, keepdim=True) + k)


@wrong("add_k_probabilities", "a k for each word seen", "the sum grows by a k for each word seen")
def _(counts, k):
    seen = torch.count_nonzero(counts, 1)[:, None]
    return (counts + k) / (counts.sum(1, keepdim=True) + k * seen)


@wrong("add_k_probabilities", "a k for each context", "the sum grows by a k for each context")
def _(counts, k):
    return (counts + k) / (counts.sum(1, keepdim=True) + k * len(counts))


@wrong("add_k_probabilities", "columns sum to one", "the columns sum to one")
def _(counts, k):
    return (counts + k) / (counts + k).sum(0)


@wrong("add_k_probabilities", "table sums to one", "the whole table sums to one")
def _(counts, k):
    return (counts + k) / (counts + k).sum()


@wrong("add_k_probabilities", "zeros only", "only zeros are given a k")
def _(counts, k):
    filled = counts.double()
    filled[filled == 0] = k
    return (filled / filled.sum(1, keepdim=True)).float()


@wrong("add_k_probabilities", "k added to shares", "added to shares, after dividing")
def _(counts, k):
    return counts / counts.sum(1, keepdim=True) + k


@wrong("add_k_probabilities", "k added to shares, divided again", "added to shares, after dividing")
def _(counts, k):
    shares = counts / counts.sum(1, keepdim=True) + k
    return shares / shares.sum(1, keepdim=True)


@wrong("add_k_probabilities", "counts returned", "these are counts still")
def _(counts, k):
    return counts.float() + k


@wrong("add_k_probabilities", "logarithms", "the logarithms of the probabilities")
def _(counts, k):
    return torch.log(counts + k) - torch.log((counts + k).sum(1, keepdim=True))


@wrong("add_k_probabilities", "softmax of the counts", "you take exponentials")
def _(counts, k):
    return torch.softmax(counts.float() + k, 1)


@wrong("add_k_probabilities", "axis dropped", "drops their axis")
def _(counts, k):
    return (counts + k) / (counts + k).sum(1)


@wrong("add_k_probabilities", "added in place to whole numbers", "cannot hold fractions")
def _(counts, k):
    counts = counts.clone()
    counts += k
    return counts / counts.sum(1, keepdim=True)


@wrong("add_k_probabilities", "changes its input", "changed its argument `counts` in place")
def _(counts, k):
    return counts.add_(1) / counts.sum(1, keepdim=True)


@wrong("add_k_probabilities", "double precision", "dtype float64, expected float32")
def _(counts, k):
    return (counts.double() + k) / (counts.double() + k).sum(1, keepdim=True)


@wrong("add_k_probabilities", "a list of lists", "expected a plain torch.Tensor")
def _(counts, k):
    return [[(count + k) / sum(c + k for c in row) for count in row] for row in counts.tolist()]


@wrong("add_k_probabilities", "unseen context gets zeros")
def _(counts, k):
    total = counts.sum(1, keepdim=True)
    return torch.where(total > 0, (counts + k) / (total + k * counts.shape[1]), 0.0)


@wrong("add_k_probabilities", "rounded k")
def _(counts, k):
    k = math.ceil(k * 2) / 2
    return (counts + k) / (counts + k).sum(1, keepdim=True)


# --- perplexity ---


@wrong("perplexity", "multiplied by the mask", "0 times -inf is NaN")
def _(log_probs, mask):
    return torch.exp(-(log_probs * mask).sum() / mask.sum())


@wrong("perplexity", "mask inverted", "the mask is inverted")
def _(log_probs, mask):
    return torch.exp(-log_probs[~mask].mean())


@wrong("perplexity", "padding counted", "the padding is counted")
def _(log_probs, mask):
    return torch.exp(-log_probs.mean())


@wrong("perplexity", "mean of the masked", "divided by a number of tokens that includes it")
def _(log_probs, mask):
    return torch.exp(-log_probs.where(mask, torch.tensor(0.0, dtype=log_probs.dtype)).mean())


@wrong("perplexity", "one for each text", "the whole batch share one")
def _(log_probs, mask):
    return torch.stack([torch.exp(-row[keep].mean()) for row, keep in zip(log_probs, mask, strict=True)])


@wrong("perplexity", "mean of perplexities", "you average perplexities of texts")
def _(log_probs, mask):
    return torch.stack([torch.exp(-row[keep].mean()) for row, keep in zip(log_probs, mask, strict=True)]).mean()


@wrong("perplexity", "mean of the texts' means", "every text counts the same")
def _(log_probs, mask):
    return torch.exp(torch.stack([-row[keep].mean() for row, keep in zip(log_probs, mask, strict=True)]).mean())


@wrong("perplexity", "base two", "the base is 2")
def _(log_probs, mask):
    return 2 ** -log_probs[mask].mean()


@wrong("perplexity", "base ten", "the base is 10")
def _(log_probs, mask):
    return 10 ** -log_probs[mask].mean()


@wrong("perplexity", "no minus sign", "the sign is lost")
def _(log_probs, mask):
    return log_probs[mask].mean().exp()


@wrong("perplexity", "exponential of the sum", "the exponential of the sum")
def _(log_probs, mask):
    return torch.exp(-log_probs[mask].sum())


@wrong("perplexity", "divided by the batch", "divide by the number of texts")
def _(log_probs, mask):
    return torch.exp(-log_probs[mask].sum() / log_probs.shape[0])


@wrong("perplexity", "cross-entropy", "this is the cross-entropy")
def _(log_probs, mask):
    return -log_probs[mask].sum() / mask.sum()


@wrong("perplexity", "mean of probabilities", "you average the probabilities")
def _(log_probs, mask):
    return 1 / log_probs.exp()[mask].mean()


@wrong("perplexity", "mean of 1/p", "you average 1/p")
def _(log_probs, mask):
    return (1 / log_probs[mask].exp()).mean()


@wrong("perplexity", "root of the product", "the product of many probabilities")
def _(log_probs, mask):
    return torch.prod(log_probs[mask].exp()).pow(-1 / int(mask.sum()))


@wrong("perplexity", "one minus the mask", "write ~ before it")
def _(log_probs, mask):
    return torch.exp(-log_probs.masked_fill(1 - mask, 0.0).sum() / mask.sum())


@wrong("perplexity", "mean of the mask", "counted with sum(), not averaged")
def _(log_probs, mask):
    return torch.exp(-log_probs.masked_fill(~mask, 0.0).mean() / mask.mean())


@wrong("perplexity", "a plain float", "expected a plain torch.Tensor")
def _(log_probs, mask):
    return math.exp(-log_probs[mask].mean())


@wrong("perplexity", "an axis kept", "shape (1,), expected ()")
def _(log_probs, mask):
    return torch.exp(-log_probs[mask].mean(0, keepdim=True))


@wrong("perplexity", "changes its input", "changed its argument `log_probs` in place")
def _(log_probs, mask):
    log_probs[~mask] = 0
    return torch.exp(-log_probs.sum() / mask.sum())


@wrong("perplexity", "single precision", "dtype float32, expected float64")
def _(log_probs, mask):
    return torch.exp(-log_probs.float()[mask].mean())


@wrong("perplexity", "mean of n - 1")
def _(log_probs, mask):
    return torch.exp(-log_probs[mask].sum() / (mask.sum() - 1))


@wrong("perplexity", "median")
def _(log_probs, mask):
    return torch.exp(-log_probs[mask].median())


# --- bits_per_byte ---


@wrong("bits_per_byte", "bits per character", "divide by the number of characters")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / len(text)


@wrong("bits_per_byte", "bits per token", "these are bits per token")
def _(log_probs, text):
    return -log_probs.mean() / math.log(2)


@wrong("bits_per_byte", "bits per word", "divide by the number of words")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / len(text.split())


@wrong("bits_per_byte", "mean over the bytes", "divide by the tokens and by the bytes")
def _(log_probs, text):
    return -log_probs.mean() / math.log(2) / len(text.encode("utf-8"))


@wrong("bits_per_byte", "bits in all", "the bits of the whole text")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2)


@wrong("bits_per_byte", "bits per bit", "divide by the bits of the text")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / (8 * len(text.encode()))


@wrong("bits_per_byte", "UTF-16", "UTF-16 or UTF-32")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / len(text.encode("utf-16"))


@wrong("bits_per_byte", "two bytes a character", "UTF-16 or UTF-32")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / (2 * len(text))


@wrong("bits_per_byte", "four bytes a character", "UTF-16 or UTF-32")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / (4 * len(text))


@wrong("bits_per_byte", "nats", "these are nats")
def _(log_probs, text):
    return -log_probs.sum() / len(text.encode())


@wrong("bits_per_byte", "times ln 2", "you multiply by ln 2")
def _(log_probs, text):
    return -log_probs.sum() * math.log(2) / len(text.encode())


@wrong("bits_per_byte", "decimal digits", "these are decimal digits")
def _(log_probs, text):
    return -log_probs.sum() / math.log(10) / len(text.encode())


@wrong("bits_per_byte", "log2 of logarithms", "the logarithm of a logarithm")
def _(log_probs, text):
    return -torch.log2(log_probs).sum() / len(text.encode())


@wrong("bits_per_byte", "no minus sign", "the sign is lost")
def _(log_probs, text):
    return log_probs.sum() / math.log(2) / len(text.encode())


@wrong("bits_per_byte", "perplexity of a byte", "this is a perplexity")
def _(log_probs, text):
    return torch.exp(-log_probs.sum() / len(text.encode()))


@wrong("bits_per_byte", "bytes without an encoding", "name the encoding")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / len(bytes(text))


@wrong("bits_per_byte", "torch's logarithm of a number", "that of a plain number is in `math`")
def _(log_probs, text):
    return -log_probs.sum() / torch.log(2) / len(text.encode())  # pyright: ignore[reportArgumentType]


@wrong("bits_per_byte", "a plain float", "expected a plain torch.Tensor")
def _(log_probs, text):
    return -log_probs.sum().item() / math.log(2) / len(text.encode())


@wrong("bits_per_byte", "changes its input", "changed its argument `log_probs` in place")
def _(log_probs, text):
    log_probs /= -math.log(2)
    return log_probs.sum() / len(text.encode())


@wrong("bits_per_byte", "Latin letters only")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / len(text.encode("latin-1"))


@wrong("bits_per_byte", "different bytes")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / len(set(text.encode()))


@wrong("bits_per_byte", "spaces not counted")
def _(log_probs, text):
    return -log_probs.sum() / math.log(2) / len(text.replace(" ", "").encode())


# --- kneser_ney_bigram ---


def _total(counts):
    return counts.sum(1, keepdim=True)


def _parts(counts, discount):
    kept = (counts - discount).clamp(min=0) / _total(counts)
    freed = discount * (counts > 0).sum(1, keepdim=True) / _total(counts)
    completes = (counts > 0).sum(0) / (counts > 0).sum()
    return kept, freed, completes


@wrong("kneser_ney_bigram", "unseen context is NaN", "divides 0 by 0")
def _(counts, discount):
    kept, freed, completes = _parts(counts, discount)
    return kept + freed * completes


@wrong("kneser_ney_bigram", "unseen context is zero", "gives every word the probability 0")
def _(counts, discount):
    kept, freed, completes = _parts(counts, discount)
    return torch.nan_to_num(kept + freed * completes)


@wrong("kneser_ney_bigram", "unseen context is uniform", "makes all words equal")
def _(counts, discount):
    kept, freed, completes = _parts(counts, discount)
    return torch.where(_total(counts) > 0, kept + freed * completes, 1 / counts.shape[1])


@wrong("kneser_ney_bigram", "falls back on frequency", "how often a word occurs (absolute discounting)")
def _(counts, discount):
    kept, freed, _ = _parts(counts, discount)
    return kept + freed * counts.sum(0) / counts.sum()


@wrong("kneser_ney_bigram", "falls back on equal shares", "you fall back on equal shares")
def _(counts, discount):
    kept, freed, _ = _parts(counts, discount)
    return kept + freed / counts.shape[1]


@wrong("kneser_ney_bigram", "continuations by tokens", "the continuation counts are divided by the wrong number")
def _(counts, discount):
    kept, freed, _ = _parts(counts, discount)
    return kept + freed * (counts > 0).sum(0) / counts.sum()


@wrong("kneser_ney_bigram", "continuations by contexts", "the continuation counts are divided by the wrong number")
def _(counts, discount):
    kept, freed, _ = _parts(counts, discount)
    return kept + freed * (counts > 0).float().mean(0)


@wrong("kneser_ney_bigram", "continuations by words", "the continuation counts are divided by the wrong number")
def _(counts, discount):
    kept, freed, _ = _parts(counts, discount)
    return kept + freed * (counts > 0).sum(0) / counts.shape[1]


@wrong("kneser_ney_bigram", "followers for contexts", "you count the words that follow the context")
def _(counts, discount):
    kept, freed, _ = _parts(counts, discount)
    return kept + freed * (counts > 0).sum(1, keepdim=True) / (counts > 0).sum()


@wrong("kneser_ney_bigram", "nothing to fall back on", "there is nothing to fall back on")
def _(counts, discount):
    return (counts - discount).clamp(min=0) / counts.sum(1, keepdim=True)


@wrong("kneser_ney_bigram", "one discount freed", "the freed probability is one discount")
def _(counts, discount):
    kept, _, completes = _parts(counts, discount)
    return kept + discount / _total(counts) * completes


@wrong("kneser_ney_bigram", "a discount for every word", "the freed probability counts all the words")
def _(counts, discount):
    kept, _, completes = _parts(counts, discount)
    return kept + discount * counts.shape[1] / _total(counts) * completes


@wrong("kneser_ney_bigram", "freed without the discount", "not multiplied by the discount")
def _(counts, discount):
    kept, _, completes = _parts(counts, discount)
    return kept + (counts > 0).sum(1, keepdim=True) / _total(counts) * completes


@wrong("kneser_ney_bigram", "constant weight", "the same for every context")
def _(counts, discount):
    kept, _, completes = _parts(counts, discount)
    return kept + discount * completes


@wrong("kneser_ney_bigram", "continuations in full", "the continuations are added in full")
def _(counts, discount):
    kept, _, completes = _parts(counts, discount)
    return kept + completes


@wrong("kneser_ney_bigram", "backs off", "you back off")
def _(counts, discount):
    kept, freed, completes = _parts(counts, discount)
    return torch.where(counts > 0, kept, freed * completes)


@wrong("kneser_ney_bigram", "negative probabilities", "makes the counts of 0 negative")
def _(counts, discount):
    _, freed, completes = _parts(counts, discount)
    return (counts - discount) / _total(counts) + freed * completes


@wrong("kneser_ney_bigram", "nothing taken", "nothing is taken from the counts")
def _(counts, discount):
    _, freed, completes = _parts(counts, discount)
    return counts / _total(counts) + freed * completes


@wrong("kneser_ney_bigram", "discounts shares", "the discount is taken from the probabilities")
def _(counts, discount):
    _, freed, completes = _parts(counts, discount)
    return (counts / _total(counts) - discount).clamp(min=0) + freed * completes


@wrong("kneser_ney_bigram", "three quarters", "the same whatever `discount` says")
def _(counts, discount):
    kept, freed, completes = _parts(counts, 0.75)
    return kept + freed * completes


@wrong("kneser_ney_bigram", "one half", "the same whatever `discount` says")
def _(counts, discount):
    kept, freed, completes = _parts(counts, 0.5)
    return kept + freed * completes


@wrong("kneser_ney_bigram", "rows are words", "rows and columns have changed places")
def _(counts, discount):
    kept, freed, completes = _parts(counts.T, discount)
    return (kept + freed * completes).T


@wrong("kneser_ney_bigram", "axis dropped", "one number a context is a column")
def _(counts, discount):
    return (counts - discount).clamp(min=0) / counts.sum(1)


@wrong("kneser_ney_bigram", "changes its input", "changed its argument `counts` in place")
def _(counts, discount):
    kept, freed, completes = _parts(counts, discount)
    counts.clamp_(max=1)
    return torch.where(_total(counts) > 0, kept + freed * completes, completes)


@wrong("kneser_ney_bigram", "double precision", "dtype float64, expected float32")
def _(counts, discount):
    kept, freed, completes = _parts(counts.double(), discount)
    return torch.where(_total(counts) > 0, kept + freed * completes, completes)


@wrong("kneser_ney_bigram", "divided to sum to one")
def _(counts, discount):
    mixed = (counts - discount).clamp(min=0) + (counts > 0).sum(0) / (counts > 0).sum()
    return mixed / mixed.sum(1, keepdim=True)


@wrong("kneser_ney_bigram", "continuations of rare pairs left out")
def _(counts, discount):
    kept, freed, _ = _parts(counts, discount)
    return kept + freed * (counts > 1).sum(0) / (counts > 1).sum()


# --- log_likelihood_gradient ---


def _uphill(logits, targets):
    kept = targets >= 0
    gradient = -torch.softmax(logits, -1)
    gradient[torch.arange(len(targets))[kept], targets[kept]] += 1
    return gradient * kept[:, None]


@wrong("log_likelihood_gradient", "gradient of the loss", "the gradient of the loss, the negative log-likelihood")
def _(logits, targets):
    return -_uphill(logits, targets)


@wrong("log_likelihood_gradient", "asks autograd for the loss", "downhill and divided by the number of tokens")
def _(logits, targets):
    logits = logits.clone().requires_grad_()
    F.cross_entropy(logits, targets).backward()
    return logits.grad


@wrong("log_likelihood_gradient", "mean over the tokens", "divide by the number of tokens")
def _(logits, targets):
    return _uphill(logits, targets) / len(targets)


@wrong("log_likelihood_gradient", "mean over those that count", "divide by the number of tokens")
def _(logits, targets):
    return _uphill(logits, targets) / (targets != -100).sum()


@wrong("log_likelihood_gradient", "ignored tokens keep their probabilities", "whose target is -100 must not count")
def _(logits, targets):
    one_hot = targets[:, None] == torch.arange(logits.shape[1])
    return one_hot.to(logits.dtype) - torch.softmax(logits, -1)


@wrong("log_likelihood_gradient", "ignored tokens become word 0", "whose target is -100 must not count")
def _(logits, targets):
    return _uphill(logits, torch.where(targets == -100, 0, targets))


@wrong("log_likelihood_gradient", "overflows", "exp() of a large score is inf")
def _(logits, targets):
    one_hot = (targets[:, None] == torch.arange(logits.shape[1])).to(logits.dtype)
    probabilities = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return (one_hot - probabilities) * (targets != -100)[:, None]


@wrong("log_likelihood_gradient", "softmax over the tokens", "the softmax runs over the tokens")
def _(logits, targets):
    one_hot = (targets[:, None] == torch.arange(logits.shape[1])).to(logits.dtype)
    return (one_hot - torch.softmax(logits, 0)) * (targets != -100)[:, None]


@wrong("log_likelihood_gradient", "subtracts the scores", "you subtract the scores")
def _(logits, targets):
    one_hot = (targets[:, None] == torch.arange(logits.shape[1])).to(logits.dtype)
    return (one_hot - logits) * (targets != -100)[:, None]


@wrong("log_likelihood_gradient", "subtracts the logarithms", "you subtract the logarithms")
def _(logits, targets):
    one_hot = (targets[:, None] == torch.arange(logits.shape[1])).to(logits.dtype)
    return (one_hot - torch.log_softmax(logits, -1)) * (targets != -100)[:, None]


@wrong("log_likelihood_gradient", "sigmoid", "you squash each score by itself")
def _(logits, targets):
    one_hot = (targets[:, None] == torch.arange(logits.shape[1])).to(logits.dtype)
    return (one_hot - logits.sigmoid()) * (targets != -100)[:, None]


@wrong("log_likelihood_gradient", "target's score only", "only the target's score counts here")
def _(logits, targets):
    one_hot = (targets[:, None] == torch.arange(logits.shape[1])).to(logits.dtype)
    return one_hot * (1 - torch.softmax(logits, -1))


@wrong("log_likelihood_gradient", "no normaliser", "that of the normaliser is not")
def _(logits, targets):
    return (targets[:, None] == torch.arange(logits.shape[1])).to(logits.dtype)


@wrong("log_likelihood_gradient", "normaliser only", "that of the target's own score is not")
def _(logits, targets):
    return -torch.softmax(logits, -1) * (targets != -100)[:, None]


@wrong("log_likelihood_gradient", "gradient of the probability", "the gradient of the probability")
def _(logits, targets):
    safe = targets.clamp(min=0)[:, None]
    return _uphill(logits, targets) * torch.softmax(logits, -1).gather(1, safe)


@wrong("log_likelihood_gradient", "derivative of each probability", "p (1 - p) is the derivative")
def _(logits, targets):
    p = torch.softmax(logits, -1)
    return p * (1 - p) * (targets != -100)[:, None]


@wrong("log_likelihood_gradient", "-100 as an index", "-100 is a mark")
def _(logits, targets):
    gradient = -torch.softmax(logits, -1)
    gradient[torch.arange(len(targets)), targets] += 1
    return gradient


@wrong("log_likelihood_gradient", "one_hot of -100", "-100 is a mark")
def _(logits, targets):
    return F.one_hot(targets, logits.shape[1]) - torch.softmax(logits, -1)


@wrong("log_likelihood_gradient", "changes its input", "changed its argument `logits` in place")
def _(logits, targets):
    logits -= logits.amax(-1, keepdim=True)
    return _uphill(logits, targets)


@wrong("log_likelihood_gradient", "changes the targets", "changed its argument `targets` in place")
def _(logits, targets):
    gradient = _uphill(logits, targets)
    targets[targets == -100] = 0
    return gradient


@wrong("log_likelihood_gradient", "single precision", "dtype float32, expected float64")
def _(logits, targets):
    return _uphill(logits.float(), targets)


@wrong("log_likelihood_gradient", "the value", "shape ()")
def _(logits, targets):
    return -F.cross_entropy(logits, targets, reduction="sum", ignore_index=-100)


@wrong("log_likelihood_gradient", "sum over the tokens", "expected")
def _(logits, targets):
    return _uphill(logits, targets).sum(0)


@wrong("log_likelihood_gradient", "one token shifted")
def _(logits, targets):
    return _uphill(logits, targets.roll(1))


# --- bigram_sgd_step ---


@wrong("bigram_sgd_step", "article 000", "this step goes downhill")
def _(table, contexts, targets, learning_rate):
    return table.index_add(0, contexts, -learning_rate * _uphill(table[contexts], targets))


@wrong("bigram_sgd_step", "climbs the loss", "this step goes downhill")
def _(table, contexts, targets, learning_rate):
    parameter = table.clone().requires_grad_()
    F.cross_entropy(parameter[contexts], targets, reduction="sum").backward()
    return table + learning_rate * parameter.grad


@wrong("bigram_sgd_step", "assigns to the rows", "only one occurrence counts")
def _(table, contexts, targets, learning_rate):
    new = table.clone()
    new[contexts] += learning_rate * _uphill(table[contexts], targets)
    return new


@wrong("bigram_sgd_step", "one pair after another", "changes between one pair and the next")
def _(table, contexts, targets, learning_rate):
    new = table.clone()
    for context, target in zip(contexts, targets, strict=True):
        new[context] += learning_rate * _uphill(new[context][None], target[None])[0]
    return new


@wrong("bigram_sgd_step", "mean of the batch", "you divide by the number of pairs; the log-likelihood is a sum")
def _(table, contexts, targets, learning_rate):
    return table.index_add(0, contexts, learning_rate * _uphill(table[contexts], targets) / len(contexts))


@wrong("bigram_sgd_step", "climbs the mean loss", "this is the mean loss, climbed")
def _(table, contexts, targets, learning_rate):
    parameter = table.clone().requires_grad_()
    F.cross_entropy(parameter[contexts], targets).backward()
    return table + learning_rate * parameter.grad


@wrong("bigram_sgd_step", "descends the mean loss", "you divide by the number of pairs; the log-likelihood is a sum")
def _(table, contexts, targets, learning_rate):
    parameter = table.clone().requires_grad_()
    F.cross_entropy(parameter[contexts], targets).backward()
    return table - learning_rate * parameter.grad


@wrong("bigram_sgd_step", "no learning rate", "the learning rate is not used")
def _(table, contexts, targets, learning_rate):
    return table.index_add(0, contexts, _uphill(table[contexts], targets))


@wrong("bigram_sgd_step", "divides by the rate", "you divide by the learning rate")
def _(table, contexts, targets, learning_rate):
    return table.index_add(0, contexts, _uphill(table[contexts], targets) / learning_rate)


@wrong("bigram_sgd_step", "scales the table", "the whole table is multiplied")
def _(table, contexts, targets, learning_rate):
    return learning_rate * table.index_add(0, contexts, _uphill(table[contexts], targets))


@wrong("bigram_sgd_step", "returns the change", "you return the change")
def _(table, contexts, targets, learning_rate):
    change = torch.zeros_like(table)
    return change.index_add(0, contexts, learning_rate * _uphill(table[contexts], targets))


@wrong("bigram_sgd_step", "returns the rows", "you return the rows of the batch")
def _(table, contexts, targets, learning_rate):
    return table[contexts] + learning_rate * _uphill(table[contexts], targets)


@wrong("bigram_sgd_step", "contexts and targets exchanged", "contexts and targets have changed places")
def _(table, contexts, targets, learning_rate):
    return table.index_add(0, targets, learning_rate * _uphill(table[targets], contexts))


@wrong("bigram_sgd_step", "raises the targets only", "no other falls")
def _(table, contexts, targets, learning_rate):
    return table.index_put((contexts, targets), torch.tensor(learning_rate, dtype=table.dtype), accumulate=True)


@wrong("bigram_sgd_step", "scores in place of probabilities", "where the gradient needs probabilities")
def _(table, contexts, targets, learning_rate):
    one_hot = F.one_hot(targets, table.shape[1])
    return table.index_add(0, contexts, learning_rate * (one_hot - table[contexts]))


@wrong("bigram_sgd_step", "targets as rows of the batch", "targets choose columns of those rows")
def _(table, contexts, targets, learning_rate):
    rows = table[contexts]
    return table + learning_rate * rows[targets].sum()


@wrong("bigram_sgd_step", "changes the table", "changed its argument `table` in place")
def _(table, contexts, targets, learning_rate):
    return table.index_add_(0, contexts, learning_rate * _uphill(table[contexts], targets))


@wrong("bigram_sgd_step", "single precision", "dtype float32, expected float64")
def _(table, contexts, targets, learning_rate):
    table = table.float()
    return table.index_add(0, contexts, learning_rate * _uphill(table[contexts], targets))


@wrong("bigram_sgd_step", "weight decay")
def _(table, contexts, targets, learning_rate):
    return 0.99 * table.index_add(0, contexts, learning_rate * _uphill(table[contexts], targets))


@wrong("bigram_sgd_step", "every row moves")
def _(table, contexts, targets, learning_rate):
    return table + learning_rate * _uphill(table[contexts], targets).sum(0)


@wrong("bigram_sgd_step", "a context's pairs averaged")
def _(table, contexts, targets, learning_rate):
    change = torch.zeros_like(table).index_add(0, contexts, _uphill(table[contexts], targets))
    times = torch.bincount(contexts, minlength=len(table)).clamp(min=1)
    return table + learning_rate * change / times[:, None]


file_learned_by_heart(MUTANTS, EXERCISES)
