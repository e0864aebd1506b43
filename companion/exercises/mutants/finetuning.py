"""Wrong answers to the exercises of the fine-tuning lab, written as a student would write them."""

import math
from collections import Counter
from itertools import pairwise

import torch
import torch.nn.functional as F

from companion.exercises.finetuning import EXERCISES
from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- label_numbers ---


@wrong("label_numbers", "dictionary alone", "here it should raise ValueError")
def _(labels, names):
    numbers = {name: i for i, name in enumerate(names)}
    return [numbers[label] for label in labels]


@wrong("label_numbers", "index alone", "the message does not name")
def _(labels, names):
    # list.index raises a ValueError of its own, at the first
    numbers = []
    for label in labels:
        if label not in names:
            raise ValueError(f"{label} is not a known label")
        numbers.append(names.index(label))
    return numbers


@wrong("label_numbers", "an error without names", "the message does not name")
def _(labels, names):
    if set(labels) - set(names):
        raise ValueError("there are unseen labels")
    return [names.index(label) for label in labels]


@wrong("label_numbers", "minus one", "a label that training never saw gets a number")
def _(labels, names):
    numbers = {name: i for i, name in enumerate(names)}
    return [numbers.get(label, -1) for label in labels]


@wrong("label_numbers", "minus one hundred", "a label that training never saw gets a number")
def _(labels, names):
    numbers = {name: i for i, name in enumerate(names)}
    return [numbers.get(label, -100) for label in labels]


@wrong("label_numbers", "class 0", "a label that training never saw gets a number")
def _(labels, names):
    return [names.index(label) if label in names else 0 for label in labels]


@wrong("label_numbers", "a class more", "a label that training never saw gets a number")
def _(labels, names):
    return [names.index(label) if label in names else len(names) for label in labels]


@wrong("label_numbers", "left out", "a label that training never saw is left out")
def _(labels, names):
    return [names.index(label) for label in labels if label in names]


@wrong("label_numbers", "from these labels", "the numbers come from these labels")
def _(labels, names):
    numbers = {name: i for i, name in enumerate(sorted(set(labels)))}
    return [numbers[label] for label in labels]


@wrong("label_numbers", "by appearance", "depends on which comes first in this list")
def _(labels, names):
    numbers = {}
    for label in labels:
        numbers.setdefault(label, len(numbers))
    return [numbers[label] for label in labels]


@wrong("label_numbers", "alphabetical", "`names` is put into another order")
def _(labels, names):
    return [sorted(names).index(label) for label in labels]


@wrong("label_numbers", "from one", "classes are counted from 1")
def _(labels, names):
    numbers = {name: i for i, name in enumerate(names, 1)}
    return [numbers[label] for label in labels]


@wrong("label_numbers", "one-hot", "rows of zeros and a one")
def _(labels, names):
    return [[1 if name == label else 0 for name in names] for label in labels]


@wrong("label_numbers", "texts", "these are the labels themselves")
def _(labels, names):
    return list(labels)


@wrong("label_numbers", "the other way round", "the other way round")
def _(labels, names):
    return [labels.index(name) if name in labels else -1 for name in names]


@wrong("label_numbers", "a tensor", "expected a list")
def _(labels, names):
    return torch.tensor([names.index(label) for label in labels])


@wrong("label_numbers", "refuses all", "raised ValueError")
def _(labels, names):
    raise ValueError(f"unseen labels: {labels}")


@wrong("label_numbers", "by frequency")
def _(labels, names):
    order = [name for name, _ in Counter(labels).most_common()]
    return [order.index(label) for label in labels]


# --- mean_of_tokens ---


@wrong("mean_of_tokens", "no mask", "padding counts as if it were tokens")
def _(hidden, attention_mask):
    return hidden.mean(dim=1)


@wrong("mean_of_tokens", "masked, plain mean", "divided by the length of the row")
def _(hidden, attention_mask):
    return (hidden * attention_mask.unsqueeze(-1)).mean(dim=1)


@wrong("mean_of_tokens", "sum", "the sum of the tokens and not their mean")
def _(hidden, attention_mask):
    return (hidden * attention_mask.unsqueeze(-1)).sum(dim=1)


@wrong("mean_of_tokens", "divided only", "tokens and padding are added")
def _(hidden, attention_mask):
    return hidden.sum(dim=1) / attention_mask.sum(dim=1, keepdim=True)


@wrong("mean_of_tokens", "mask inverted", "the mask is read the wrong way round")
def _(hidden, attention_mask):
    padding = (attention_mask == 0).to(hidden.dtype)
    return torch.einsum("bp,bpd->bd", padding, hidden) / padding.sum(1, keepdim=True)


@wrong("mean_of_tokens", "first token", "this is the first token's vector")
def _(hidden, attention_mask):
    return hidden[:, 0, :]


@wrong("mean_of_tokens", "last place", "this is the last place's vector")
def _(hidden, attention_mask):
    return hidden[:, -1]


@wrong("mean_of_tokens", "maximum", "this is the largest of each feature")
def _(hidden, attention_mask):
    return hidden.masked_fill(attention_mask.unsqueeze(-1) == 0, -1e9).max(dim=1).values


@wrong("mean_of_tokens", "mean length", "all texts are divided by one number of tokens")
def _(hidden, attention_mask):
    total = (hidden * attention_mask[:, :, None]).sum(1)
    return total / attention_mask.sum(1).to(hidden.dtype).mean()


@wrong("mean_of_tokens", "all tokens of the batch", "the number of tokens of all together")
def _(hidden, attention_mask):
    return (hidden * attention_mask[:, :, None]).sum(1) / attention_mask.sum()


@wrong("mean_of_tokens", "root", "divided by the root of the number")
def _(hidden, attention_mask):
    mask = attention_mask.to(hidden.dtype)
    return torch.einsum("bp,bpd->bd", mask, hidden) / mask.sum(1, keepdim=True).sqrt()


@wrong("mean_of_tokens", "from the front", "as many places from the front")
def _(hidden, attention_mask):
    return torch.stack([row[: int(mask.sum())].mean(0) for row, mask in zip(hidden, attention_mask, strict=True)])


@wrong("mean_of_tokens", "without the first", "the first token is left out")
def _(hidden, attention_mask):
    mask = attention_mask[:, 1:, None]
    return (hidden[:, 1:] * mask).sum(1) / mask.sum(1)


@wrong("mean_of_tokens", "in place", "changed its argument `hidden` in place")
def _(hidden, attention_mask):
    hidden[attention_mask == 0] = 0
    return hidden.sum(1) / attention_mask.sum(1, keepdim=True)


@wrong("mean_of_tokens", "wrong axis", "returned shape")
def _(hidden, attention_mask):
    return (hidden * attention_mask[:, :, None]).sum(2) / attention_mask.sum(1, keepdim=True)


@wrong("mean_of_tokens", "float32", "dtype float32, expected float64")
def _(hidden, attention_mask):
    mask = attention_mask[:, :, None].float()
    return (hidden.float() * mask).sum(1) / mask.sum(1)


@wrong("mean_of_tokens", "one too many")
def _(hidden, attention_mask):
    return (hidden * attention_mask[:, :, None]).sum(1) / (attention_mask.sum(1, keepdim=True) + 1)


# --- weighted_loss ---


@wrong("weighted_loss", "no weights", "the weights are not used")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels)


@wrong("weighted_loss", "mean over the examples", "divided by the number of examples")
def _(logits, labels, weights):
    counted = labels != -100
    each = F.cross_entropy(logits[counted], labels[counted], reduction="none")
    return (weights[labels[counted]] * each).mean()


@wrong("weighted_loss", "sum of the class weights", "divided by the weights of the classes")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels, weight=weights, reduction="sum") / weights.sum()


@wrong("weighted_loss", "number of classes", "divided by the number of classes")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels, weight=weights, reduction="sum") / logits.shape[1]


@wrong("weighted_loss", "sum", "is not divided by what the examples weigh")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels, weight=weights, reduction="sum")


@wrong("weighted_loss", "weight of the prediction", "the class that the model prefers")
def _(logits, labels, weights):
    chosen = weights[logits.argmax(-1)]
    return (chosen * F.cross_entropy(logits, labels, reduction="none")).sum() / chosen.sum()


@wrong("weighted_loss", "inverse", "you divide by the weight of a class")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels, weight=1 / weights)


@wrong("weighted_loss", "negative", "the sign is wrong")
def _(logits, labels, weights):
    return -F.cross_entropy(logits, labels, weight=weights)


@wrong("weighted_loss", "softmax first", "softmax is applied twice")
def _(logits, labels, weights):
    return F.cross_entropy(torch.softmax(logits, dim=-1), labels, weight=weights)


@wrong("weighted_loss", "no logarithm", "the logarithm is missing")
def _(logits, labels, weights):
    right = logits.softmax(-1)[torch.arange(len(labels)), labels]
    return (weights[labels] * (1 - right)).sum() / weights[labels].sum()


@wrong("weighted_loss", "raw scores", "the scores are taken for logarithms")
def _(logits, labels, weights):
    return F.nll_loss(logits, labels, weight=weights)


@wrong("weighted_loss", "weighed scores", "the weights multiply the scores")
def _(logits, labels, weights):
    return F.cross_entropy(weights * logits, labels)


@wrong("weighted_loss", "log of softmax", "a probability has become 0")
def _(logits, labels, weights):
    return F.nll_loss(torch.log(torch.softmax(logits, dim=-1)), labels, weight=weights)


@wrong("weighted_loss", "softmax by hand", "a probability has become 0")
def _(logits, labels, weights):
    counted = labels != -100
    logits, labels = logits[counted], labels[counted]
    chances = torch.exp(logits) / torch.exp(logits).sum(-1, keepdim=True)
    surprise = -torch.log(chances[torch.arange(len(labels)), labels])
    return (weights[labels] * surprise).sum() / weights[labels].sum()


@wrong("weighted_loss", "index of -100", "-100 stands for no label at all")
def _(logits, labels, weights):
    each = F.cross_entropy(logits, labels, reduction="none")
    return (weights[labels] * each).sum() / weights[labels].sum()


@wrong("weighted_loss", "-100 as class 0", "counts as one of class 0")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels.clamp(min=0), weight=weights)


@wrong("weighted_loss", "a plain number", "expected a plain torch.Tensor")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels, weight=weights).item()


@wrong("weighted_loss", "each by itself", "returned shape")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels, weight=weights, reduction="none")


@wrong("weighted_loss", "bits")
def _(logits, labels, weights):
    return F.cross_entropy(logits, labels, weight=weights) / math.log(2)


# --- layer_rates ---


def _number_of(name):
    return int(name.split("blocks.")[1].split(".")[0]) if "blocks." in name else None


def _times(name, n_blocks):
    return n_blocks if _number_of(name) is None else n_blocks - 1 - _number_of(name)


def _graded(names, n_blocks, rate, decay, head_rate):
    return {n: head_rate if n.startswith("head") else rate * decay ** _times(n, n_blocks) for n in names}


@wrong("layer_rates", "body only", "the head is not among them")
def _(names, n_blocks, rate, decay, head_rate):
    return {name: rate * decay ** _times(name, n_blocks) for name in names if name.startswith("body.")}


@wrong("layer_rates", "no embeddings", "the embeddings are not among them")
def _(names, n_blocks, rate, decay, head_rate):
    rates = {}
    for name in names:
        for i in range(n_blocks):
            if f"blocks.{i}." in name:
                rates[name] = rate * decay ** (n_blocks - 1 - i)
        if name.startswith("head."):
            rates[name] = head_rate
    return rates


@wrong("layer_rates", "no biases", "biases are not among them")
def _(names, n_blocks, rate, decay, head_rate):
    graded = _graded(names, n_blocks, rate, decay, head_rate)
    return {name: rate for name, rate in graded.items() if not name.endswith("bias")}


@wrong("layer_rates", "head like the top", "the head gets the rate of the topmost block")
def _(names, n_blocks, rate, decay, head_rate):
    return {n: rate if n.startswith("head") else rate * decay ** _times(n, n_blocks) for n in names}


@wrong("layer_rates", "head as a factor", "the head gets the two rates multiplied")
def _(names, n_blocks, rate, decay, head_rate):
    return _graded(names, n_blocks, rate, decay, head_rate * rate)


@wrong("layer_rates", "head decays", "the head's rate decays")
def _(names, n_blocks, rate, decay, head_rate):
    return _graded(names, n_blocks, rate, decay, head_rate * decay)


@wrong("layer_rates", "upside down", "the blocks are in the wrong order")
def _(names, n_blocks, rate, decay, head_rate):
    def power(name):
        return n_blocks if _number_of(name) is None else _number_of(name)

    return {n: head_rate if n.startswith("head") else rate * decay ** power(n) for n in names}


@wrong("layer_rates", "one too many", "the topmost block has been multiplied")
def _(names, n_blocks, rate, decay, head_rate):
    return _graded(names, n_blocks, rate * decay, decay, head_rate)


@wrong("layer_rates", "embeddings like block 0", "the embeddings get the rate of block 0")
def _(names, n_blocks, rate, decay, head_rate):
    rates = _graded(names, n_blocks, rate, decay, head_rate)
    return {n: rate * decay ** (n_blocks - 1) if "embedding" in n else r for n, r in rates.items()}


@wrong("layer_rates", "embeddings too low", "two steps below block 0")
def _(names, n_blocks, rate, decay, head_rate):
    rates = _graded(names, n_blocks, rate, decay, head_rate)
    return {n: rate * decay ** (n_blocks + 1) if "embedding" in n else r for n, r in rates.items()}


@wrong("layer_rates", "embeddings at full rate", "the embeddings get the rate of the topmost block")
def _(names, n_blocks, rate, decay, head_rate):
    return {n: rate if "embedding" in n else r for n, r in _graded(names, n_blocks, rate, decay, head_rate).items()}


@wrong("layer_rates", "equal steps", "the rates go down by equal steps")
def _(names, n_blocks, rate, decay, head_rate):
    return {n: head_rate if n.startswith("head") else rate * (1 - (1 - decay) * _times(n, n_blocks)) for n in names}


@wrong("layer_rates", "no decay", "`decay` is not used")
def _(names, n_blocks, rate, decay, head_rate):
    return {name: head_rate if name.startswith("head.") else rate for name in names}


@wrong("layer_rates", "growing", "the rates grow towards the bottom")
def _(names, n_blocks, rate, decay, head_rate):
    return _graded(names, n_blocks, rate, 1 / decay, head_rate)


@wrong("layer_rates", "first digit", "block 10 and block 1 get the same rate")
def _(names, n_blocks, rate, decay, head_rate):
    def times(name):
        return n_blocks - 1 - int(name.split("blocks.")[1][0]) if "blocks." in name else n_blocks

    return {n: head_rate if n.startswith("head") else rate * decay ** times(n) for n in names}


@wrong("layer_rates", "a list", "expected a dict")
def _(names, n_blocks, rate, decay, head_rate):
    return list(_graded(names, n_blocks, rate, decay, head_rate).values())


@wrong("layer_rates", "in place", "changed its argument `names` in place")
def _(names, n_blocks, rate, decay, head_rate):
    rates = _graded(names, n_blocks, rate, decay, head_rate)
    names.sort()
    return rates


@wrong("layer_rates", "prefix of a number")
def _(names, n_blocks, rate, decay, head_rate):
    rates = _graded(names, n_blocks, rate, decay, head_rate)
    for name in names:
        if name.startswith("body.encoder.blocks.1"):
            rates[name] = rate * decay ** (n_blocks - 2)
    return rates


# --- align_tags ---


@wrong("align_tags", "every piece", "every piece has its word's tag")
def _(words, tags):
    return [-100 if word == -1 else tags[word] for word in words]


@wrong("align_tags", "last piece", "the tag stands at a word's last piece")
def _(words, tags):
    labels = [-100] * len(words)
    for i, word in enumerate(words):
        if word != -1 and words[i + 1] != word:
            labels[i] = tags[word]
    return labels


@wrong("align_tags", "zero for later pieces", "the later pieces of a word get tag 0")
def _(words, tags):
    labels, before = [], -1
    for word in words:
        labels.append(-100 if word == -1 else 0 if word == before else tags[word])
        before = word
    return labels


@wrong("align_tags", "zero for special tokens", "special tokens get tag 0")
def _(words, tags):
    labels, before = [], None
    for word in words:
        labels.append(0 if word == -1 else -100 if word == before else tags[word])
        before = word
    return labels


@wrong("align_tags", "tags[-1]", "`tags[-1]` is the last word's tag")
def _(words, tags):
    padded = all(word == -1 for word in words[-2:])
    if padded:
        return [0] * len(words)
    return [tags[word] if i == 0 or word != words[i - 1] else -100 for i, word in enumerate(words)]


@wrong("align_tags", "too few", "the labels are too few")
def _(words, tags):
    return [tags[w] if w != words[i - 1] else -100 for i, w in enumerate(words) if w != -1]


@wrong("align_tags", "new tags only", "a word with the same tag as the one before it")
def _(words, tags):
    labels, before = [], None
    for word in words:
        tag = None if word == -1 else tags[word]
        labels.append(-100 if tag is None or tag == before else tag)
        before = tag
    return labels


def _right_tags(words, tags):
    return [-100 if w == -1 or (i and w == words[i - 1]) else tags[w] for i, w in enumerate(words)]


@wrong("align_tags", "shifted left", "too far to the left")
def _(words, tags):
    return [*_right_tags(words, tags)[1:], -100]


@wrong("align_tags", "shifted right", "too far to the right")
def _(words, tags):
    return [-100, *_right_tags(words, tags)[:-1]]


@wrong("align_tags", "tags in a row", "the tags stand in their own order, as if each piece were")
def _(words, tags):
    return tags + [-100] * (len(words) - len(tags))


@wrong("align_tags", "tags in a row behind [CLS]", "as if each piece behind the first were")
def _(words, tags):
    return [-100] + tags + [-100] * (len(words) - len(tags) - 1)


@wrong("align_tags", "minus one", "what is to be ignored has -1")
def _(words, tags):
    return [-1 if label == -100 else label for label in _right_tags(words, tags)]


@wrong("align_tags", "one a word", "there is one label for each word")
def _(words, tags):
    return [tags[word] for word in range(len(tags))]


@wrong("align_tags", "by the piece's number", "you look it up by the number of the piece")
def _(words, tags):
    return [-100 if word == -1 else tags[i] for i, word in enumerate(words)]


@wrong("align_tags", "a tensor", "expected a list")
def _(words, tags):
    return torch.tensor(_right_tags(words, tags))


@wrong("align_tags", "in place", "changed its argument `words` in place")
def _(words, tags):
    labels = _right_tags(words, tags)
    words[:] = labels
    return words


@wrong("align_tags", "the second piece")
def _(words, tags):
    labels = _right_tags(words, tags)
    for i in range(1, len(words) - 1):
        if words[i] != -1 and words[i] == words[i + 1] != words[i - 1]:
            labels[i], labels[i + 1] = -100, labels[i]
    return labels


# --- best_span ---


def _search(first, last, is_context, longest, allowed):
    best, found = -math.inf, (0, 0)
    for i in range(len(first)):
        for j in range(len(last)):
            if allowed(i, j) and (first[i] + last[j]).item() > best:
                best, found = (first[i] + last[j]).item(), (i, j)
    return found


@wrong("best_span", "two maxima", "the two ends are chosen one by one")
def _(first, last, is_context, longest):
    hidden = is_context == 0
    i = first.masked_fill(hidden, -1e9).argmax().item()
    j = last.masked_fill(hidden, -1e9).argmax().item()
    return i, j


@wrong("best_span", "beginning first", "the beginning is chosen first")
def _(first, last, is_context, longest):
    hidden = is_context == 0
    i = first.masked_fill(hidden, -1e9).argmax().item()
    ends = last.masked_fill(hidden, -1e9)[i : i + longest]
    return i, i + ends.argmax().item()


@wrong("best_span", "end first", "the end is chosen first")
def _(first, last, is_context, longest):
    hidden = is_context == 0
    j = last.masked_fill(hidden, -1e9).argmax().item()
    low = max(0, j + 1 - longest)
    return low + first.masked_fill(hidden, -1e9)[low : j + 1].argmax().item(), j


@wrong("best_span", "put into order", "the two best are put into order")
def _(first, last, is_context, longest):
    hidden = is_context == 0
    ends = [scores.masked_fill(hidden, -1e9).argmax().item() for scores in (first, last)]
    return min(ends), max(ends)


@wrong("best_span", "any length", "`longest` is not used")
def _(first, last, is_context, longest):
    return _search(first, last, is_context, longest, lambda i, j: is_context[i] and is_context[j] and i <= j)


@wrong("best_span", "one too many", "one token too many is allowed")
def _(first, last, is_context, longest):
    inside = is_context.bool()
    return _search(first, last, is_context, longest, lambda i, j: inside[i] and inside[j] and 0 <= j - i <= longest)


@wrong("best_span", "one too few", "one token too few is allowed")
def _(first, last, is_context, longest):
    inside = is_context.bool()
    return _search(first, last, is_context, longest, lambda i, j: inside[i] and inside[j] and 0 <= j - i < longest - 1)


@wrong("best_span", "two tokens at least", "an answer of a single token is not allowed")
def _(first, last, is_context, longest):
    inside = is_context.bool()
    return _search(first, last, is_context, longest, lambda i, j: inside[i] and inside[j] and i < j < i + longest)


@wrong("best_span", "anywhere", "`is_context` is not used")
def _(first, last, is_context, longest):
    return _search(first, last, is_context, longest, lambda i, j: i <= j < i + longest)


@wrong("best_span", "end anywhere", "the answer's end may lie outside")
def _(first, last, is_context, longest):
    return _search(first, last, is_context, longest, lambda i, j: is_context[i] and i <= j < i + longest)


@wrong("best_span", "beginning anywhere", "the answer's beginning may lie outside")
def _(first, last, is_context, longest):
    return _search(first, last, is_context, longest, lambda i, j: is_context[j] and i <= j < i + longest)


@wrong("best_span", "hidden by zero", "a score of 0 is not the lowest")
def _(first, last, is_context, longest):
    first, last = first * is_context, last * is_context
    return _search(first, last, is_context, longest, lambda i, j: i <= j < i + longest)


@wrong("best_span", "product", "the scores are multiplied")
def _(first, last, is_context, longest):
    best, found = -math.inf, None
    places = [i for i, inside in enumerate(is_context.tolist()) if inside]
    for i in places:
        for j in places:
            if i <= j < i + longest and (first[i] * last[j]).item() > best:
                best, found = (first[i] * last[j]).item(), (i, j)
    return found


def _best(first, last, is_context, longest):
    inside = is_context.bool()
    return _search(first, last, is_context, longest, lambda i, j: inside[i] and inside[j] and i <= j < i + longest)


@wrong("best_span", "counted in the text", "counted from the beginning of the text")
def _(first, last, is_context, longest):
    i, j = _best(first, last, is_context, longest)
    start = is_context.tolist().index(1)
    return i - start, j - start


@wrong("best_span", "a slice", "the end is one behind the last token")
def _(first, last, is_context, longest):
    i, j = _best(first, last, is_context, longest)
    return i, j + 1


@wrong("best_span", "ends swapped", "the two score vectors have changed places")
def _(first, last, is_context, longest):
    return _best(last, first, is_context, longest)


@wrong("best_span", "tensors", "take it out with .item()")
def _(first, last, is_context, longest):
    i, j = _best(first, last, is_context, longest)
    return torch.tensor(i), torch.tensor(j)


@wrong("best_span", "length and place", "which is wrong")
def _(first, last, is_context, longest):
    i, j = _best(first, last, is_context, longest)
    return i, j - i + 1


@wrong("best_span", "the first token at once")
def _(first, last, is_context, longest):
    i = first.masked_fill(is_context == 0, -1e9).argmax().item()
    return i, i


# --- train_head ---


def _loop(
    features, labels, weight, bias, batches, lr, *, clear=True, trained=(0, 1), after=False, loss=F.cross_entropy
):
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    both, losses = (weight, bias), []
    for rows in batches:
        value = loss(features[rows] @ weight.T + bias, labels[rows])
        if clear:
            weight.grad = bias.grad = None
        value.backward()
        with torch.no_grad():
            for i in trained:
                both[i].sub_(lr * both[i].grad)
            if after:
                value = loss(features[rows] @ weight.T + bias, labels[rows])
        losses.append(value.item())
    return weight.detach(), bias.detach(), losses


@wrong("train_head", "not cleared", "the gradients of earlier steps are still there")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, batches, lr, clear=False)


@wrong("train_head", "bias forgotten", "the bias is not trained")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, batches, lr, trained=(0,))


@wrong("train_head", "weight forgotten", "only the bias is trained")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, batches, lr, trained=(1,))


@wrong("train_head", "no step", "nothing is trained")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, batches, lr, trained=())


@wrong("train_head", "uphill", "every step goes uphill")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, batches, -lr)


@wrong("train_head", "sum", "the gradient is that of the sum over a batch")
def _(features, labels, weight, bias, batches, lr):
    weight, bias, losses = weight.clone().requires_grad_(), bias.clone().requires_grad_(), []
    for rows in batches:
        loss = F.cross_entropy(features[rows] @ weight.T + bias, labels[rows], reduction="sum")
        gradients = torch.autograd.grad(loss, (weight, bias))
        weight, bias = [(w - lr * g).detach().requires_grad_() for w, g in zip((weight, bias), gradients, strict=True)]
        losses.append(loss.item() / len(rows))
    return weight.detach(), bias.detach(), losses


@wrong("train_head", "losses summed", "the losses are sums over a batch")
def _(features, labels, weight, bias, batches, lr):
    weight, bias, losses = _loop(features, labels, weight, bias, batches, lr)
    return weight, bias, [loss * len(rows) for loss, rows in zip(losses, batches, strict=True)]


@wrong("train_head", "loss afterwards", "the losses are measured after the steps")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, batches, lr, after=True)


@wrong("train_head", "all rows", "every step uses all rows")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, [list(range(len(labels)))] * len(batches), lr)


@wrong("train_head", "labels of other rows", "the labels are not those of the batch's rows")
def _(features, labels, weight, bias, batches, lr):
    losses = []
    for rows in batches:
        targets = labels[: len(rows)]
        weight, bias, loss = _loop(features[rows], targets, weight, bias, [list(range(len(rows)))], lr)
        losses += loss
    return weight, bias, losses


@wrong("train_head", "from the start each time", "every step starts again")
def _(features, labels, weight, bias, batches, lr):
    new_weight, new_bias, losses = weight, bias, []
    for rows in batches:
        new_weight, new_bias, loss = _loop(features, labels, weight, bias, [rows], lr)
        losses += loss
    return new_weight, new_bias, losses


@wrong("train_head", "returns in the loop", "only the first batch is used")
def _(features, labels, weight, bias, batches, lr):
    new_weight, new_bias, losses = weight, bias, []
    for rows in batches:
        new_weight, new_bias, losses = _loop(features, labels, weight, bias, [rows], lr)
        break
    return new_weight, new_bias, losses


@wrong("train_head", "outside of the loop", "only the last batch is used")
def _(features, labels, weight, bias, batches, lr):
    batch = []
    for rows in batches:
        batch = rows
    return _loop(features, labels, weight, bias, [batch], lr)


@wrong("train_head", "softmax first", "softmax is applied twice")
def _(features, labels, weight, bias, batches, lr):
    return _loop(
        features, labels, weight, bias, batches, lr, loss=lambda logits, y: F.cross_entropy(logits.softmax(-1), y)
    )


@wrong("train_head", "in place", "changed its argument `weight` in place")
def _(features, labels, weight, bias, batches, lr):
    new_weight, new_bias, losses = _loop(features, labels, weight, bias, batches, lr)
    weight.copy_(new_weight)
    return weight, new_bias, losses


@wrong("train_head", "losses as a tensor", "expected a list")
def _(features, labels, weight, bias, batches, lr):
    weight, bias, losses = _loop(features, labels, weight, bias, batches, lr)
    return weight, bias, torch.tensor(losses)


@wrong("train_head", "no losses", "expected 3")
def _(features, labels, weight, bias, batches, lr):
    return _loop(features, labels, weight, bias, batches, lr)[:2]


@wrong("train_head", "weight decay of its own")
def _(features, labels, weight, bias, batches, lr):
    new_weight, new_bias, losses = _loop(features, labels, weight, bias, batches, lr)
    return new_weight - 0.01 * weight, new_bias, losses


# --- calibration_error ---


def _by_bin(confidence, right, n_bins):
    """Give each bin's mean confidence, share of right answers and size."""
    edges = torch.linspace(0, 1, n_bins + 1, dtype=confidence.dtype)
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            yield confidence[inside].mean().item(), right[inside].double().mean().item(), inside.sum().item()


@wrong("calibration_error", "no absolute value", "being too sure in one bin makes up")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = _by_bin(confidence, predicted == labels, n_bins)
    return sum(n * (sure - right) for sure, right, n in bins) / len(labels)


@wrong("calibration_error", "one bin", "being too sure in one bin makes up")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    return abs(confidence.double().mean() - (predicted == labels).double().mean()).item()


@wrong("calibration_error", "mean of the bins", "a bin of one example counts as much")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    gaps = [abs(sure - right) for sure, right, _ in _by_bin(confidence, predicted == labels, n_bins)]
    return sum(gaps) / len(gaps)


@wrong("calibration_error", "mean of all bins", "a bin of one example counts as much")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    return sum(abs(sure - right) for sure, right, _ in _by_bin(confidence, predicted == labels, n_bins)) / n_bins


@wrong("calibration_error", "empty bins", "0 divided by 0 is NaN")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = (confidence * n_bins).ceil()
    error = 0.0
    for number in range(1, n_bins + 1):
        inside = bins == number
        gap = confidence[inside].mean() - (predicted == labels)[inside].to(confidence.dtype).mean()
        error += (gap.abs() * inside.sum() / len(labels)).item()
    return error


@wrong("calibration_error", "sum", "added up as if each bin held all examples")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    return sum(abs(sure - right) for sure, right, _ in _by_bin(confidence, predicted == labels, n_bins))


@wrong("calibration_error", "largest", "this is the largest gap")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    return max(abs(sure - right) for sure, right, _ in _by_bin(confidence, predicted == labels, n_bins))


@wrong("calibration_error", "squares", "the gaps are squared")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = _by_bin(confidence, predicted == labels, n_bins)
    return sum(n * (sure - right) ** 2 for sure, right, n in bins) / len(labels)


@wrong("calibration_error", "middle", "you take the middle of the bin")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = _by_bin(confidence, predicted == labels, n_bins)
    return sum(n * abs((math.ceil(sure * n_bins) - 0.5) / n_bins - right) for sure, right, n in bins) / len(labels)


@wrong("calibration_error", "probability of the right class", "nobody knows it when the model is used")
def _(probabilities, labels, n_bins):
    confidence = probabilities[torch.arange(len(labels)), labels]
    right = probabilities.argmax(1) == labels
    return sum(n * abs(sure - share) for sure, share, n in _by_bin(confidence, right, n_bins)) / len(labels)


@wrong("calibration_error", "probability of class 1", "you take the probability of class 1")
def _(probabilities, labels, n_bins):
    right = probabilities.argmax(1) == labels
    bins = _by_bin(probabilities[:, 1], right, n_bins)
    return sum(n * abs(sure - share) for sure, share, n in bins) / len(labels)


@wrong("calibration_error", "each example", "each example is compared by itself")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    return (confidence.double() - (predicted == labels).double()).abs().mean().item()


@wrong("calibration_error", "wrong ones", "wrong answers are counted as right ones")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = _by_bin(confidence, predicted != labels, n_bins)
    return sum(n * abs(sure - right) for sure, right, n in bins) / len(labels)


@wrong("calibration_error", "always ten", "`n_bins` is not used")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = _by_bin(confidence, predicted == labels, 10)
    return sum(n * abs(sure - right) for sure, right, n in bins) / len(labels)


@wrong("calibration_error", "always fifteen", "`n_bins` is not used")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = _by_bin(confidence, predicted == labels, 15)
    return sum(n * abs(sure - right) for sure, right, n in bins) / len(labels)


@wrong("calibration_error", "error rate")
def _(probabilities, labels, n_bins):
    return (probabilities.argmax(1) != labels).double().mean().item()


@wrong("calibration_error", "a tensor", "take it out with .item()")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.max(1)
    bins = _by_bin(confidence, predicted == labels, n_bins)
    return torch.tensor(sum(n * abs(sure - right) for sure, right, n in bins) / len(labels))


@wrong("calibration_error", "equally filled bins")
def _(probabilities, labels, n_bins):
    confidence, predicted = probabilities.double().max(1)
    right = (predicted == labels).double()
    gaps = [(confidence[part] - right[part]).sum().abs().item() for part in confidence.argsort().chunk(n_bins)]
    return sum(gaps) / len(labels)


# --- mcnemar_test ---


def _table(labels, first, second):
    hits = [(a == label, b == label) for label, a, b in zip(labels, first, second, strict=True)]
    return sum(a and not b for a, b in hits), sum(b and not a for a, b in hits)


def _up_to(n, k):
    return sum(math.comb(n, i) for i in range(k + 1)) / 2**n


def _exact(b, c):
    return min(1.0, 2 * _up_to(b + c, min(b, c)))


@wrong("mcnemar_test", "swapped", "the two counts have changed places")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return c, b, _exact(b, c)


@wrong("mcnemar_test", "all right ones", "examples that both have right are counted")
def _(labels, first, second):
    b = sum(x == y for x, y in zip(labels, first, strict=True))
    c = sum(x == y for x, y in zip(labels, second, strict=True))
    return b, c, _exact(b, c)


@wrong("mcnemar_test", "all wrong ones", "you count where each is wrong")
def _(labels, first, second):
    b = sum(x != y for x, y in zip(labels, first, strict=True))
    c = sum(x != y for x, y in zip(labels, second, strict=True))
    return b, c, _exact(b, c)


@wrong("mcnemar_test", "one-sided", "only one direction is counted")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, _up_to(b + c, min(b, c))


@wrong("mcnemar_test", "these counts alone", "this is how likely these very counts are")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, math.comb(b + c, b) / 2 ** (b + c)


@wrong("mcnemar_test", "these counts, both ways", "this is how likely these very counts are")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, min(1.0, 2 * math.comb(b + c, b) / 2 ** (b + c))


@wrong("mcnemar_test", "one too few", "and these very ones are not")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    k = min(b, c)
    return b, c, min(1.0, 2 * sum(math.comb(b + c, i) for i in range(k)) / 2 ** (b + c))


@wrong("mcnemar_test", "the larger tail", "you add up to the larger count")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, min(1.0, _up_to(b + c, max(b, c)))


@wrong("mcnemar_test", "the larger tail twice", "you add up to the larger count")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, min(1.0, 2 * _up_to(b + c, max(b, c)))


@wrong("mcnemar_test", "chi-squared", "this is the chi-squared approximation")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, math.erfc(math.sqrt((b - c) ** 2 / (b + c) / 2))


@wrong("mcnemar_test", "chi-squared, corrected", "this is the chi-squared approximation")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, math.erfc(math.sqrt((abs(b - c) - 1) ** 2 / (b + c) / 2))


@wrong("mcnemar_test", "one minus it", "this is 1 minus the p-value")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, 1 - _exact(b, c)


@wrong("mcnemar_test", "above one", "a probability is above 1")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, 2 * _up_to(b + c, min(b, c))


@wrong("mcnemar_test", "zero for no difference", "two classifiers that never differ")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b, c, _exact(b, c) if b + c else 0.0


@wrong("mcnemar_test", "p alone", "expected the 3 values")
def _(labels, first, second):
    return _exact(*_table(labels, first, second))


@wrong("mcnemar_test", "a share in place of a count", "expected an int")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    return b / len(labels), c / len(labels), _exact(b, c)


@wrong("mcnemar_test", "division by zero", "ZeroDivisionError")
def _(labels, first, second):
    b, c = _table(labels, first, second)
    share = min(b, c) / (b + c)
    return b, c, _exact(b, c) if share < 1 else 1.0


@wrong("mcnemar_test", "compared with each other")
def _(labels, first, second):
    n = sum(a != b for a, b in zip(first, second, strict=True))
    return n, n, 1.0


file_learned_by_heart(MUTANTS, EXERCISES)
