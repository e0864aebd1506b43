"""Wrong answers to the exercises of the objectives lab, written as a student would write them."""

import torch
import torch.nn.functional as F

from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing
from companion.exercises.objectives import EXERCISES

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- next_labels ---


def _pairs(attention_mask):
    return (attention_mask[:, 1:] == 1) & (attention_mask[:, :-1] == 1)


def _shift(input_ids, keep, ignored=-100):
    labels = torch.full_like(input_ids, ignored)
    labels[:, :-1] = torch.where(keep, input_ids[:, 1:], ignored)
    return labels


@wrong("next_labels", "not shifted", "the labels are not shifted")
def _(input_ids, attention_mask, document_ids):
    labels = input_ids.clone()
    labels[attention_mask == 0] = -100
    return labels


@wrong("next_labels", "shifted to the right", "the wrong way")
def _(input_ids, attention_mask, document_ids):
    labels = torch.full_like(input_ids, -100)
    keep = _pairs(attention_mask) & (document_ids[:, 1:] == document_ids[:, :-1])
    labels[:, 1:] = torch.where(keep, input_ids[:, :-1], -100)
    return labels


@wrong("next_labels", "roll", "`roll` goes round the corner")
def _(input_ids, attention_mask, document_ids):
    labels, mask = input_ids.roll(-1, 1), attention_mask.roll(-1, 1)
    documents = document_ids.roll(-1, 1)
    documents[:, -1] = document_ids[:, -1]
    mask[:, -1] = 1
    keep = (attention_mask == 1) & (mask == 1) & (documents == document_ids)
    return torch.where(keep, labels, -100)


@wrong("next_labels", "mask not used", "`attention_mask` is not used")
def _(input_ids, attention_mask, document_ids):
    return _shift(input_ids, document_ids[:, 1:] == document_ids[:, :-1])


@wrong("next_labels", "own mask only", "look at the mask of the label")
def _(input_ids, attention_mask, document_ids):
    return _shift(input_ids, (attention_mask[:, :-1] == 1) & (document_ids[:, 1:] == document_ids[:, :-1]))


@wrong("next_labels", "mask of the label only", "look at the mask of the position")
def _(input_ids, attention_mask, document_ids):
    labels = input_ids.masked_fill(attention_mask == 0, -100)[:, 1:]
    labels = labels.masked_fill(document_ids[:, 1:] != document_ids[:, :-1], -100)
    return F.pad(labels, (0, 1), value=-100)


@wrong("next_labels", "documents not used", "`document_ids` is not used")
def _(input_ids, attention_mask, document_ids):
    return _shift(input_ids, _pairs(attention_mask))


@wrong("next_labels", "boundary one late", "the wrong label is dropped")
def _(input_ids, attention_mask, document_ids):
    labels = _shift(input_ids, _pairs(attention_mask))
    new = document_ids[:, 1:] != document_ids[:, :-1]
    labels[:, 1:][new] = -100
    return labels


@wrong("next_labels", "ignored is zero", "0, which is a token")
def _(input_ids, attention_mask, document_ids):
    return _shift(input_ids, _pairs(attention_mask) & (document_ids[:, 1:] == document_ids[:, :-1]), ignored=0)


@wrong("next_labels", "one position short")
def _(input_ids, attention_mask, document_ids):
    keep = _pairs(attention_mask) & (document_ids[:, 1:] == document_ids[:, :-1])
    return torch.where(keep, input_ids[:, 1:], -100)


@wrong("next_labels", "masks of different lengths", "n - 1 pairs of neighbours")
def _(input_ids, attention_mask, document_ids):
    keep = (attention_mask == 1) & (document_ids[:, 1:] == document_ids[:, :-1])
    return torch.where(keep, input_ids.roll(-1, 1), -100)


@wrong("next_labels", "padding is told by token 0")
def _(input_ids, attention_mask, document_ids):
    keep = (input_ids[:, 1:] != 0) & (document_ids[:, 1:] == document_ids[:, :-1])
    return _shift(input_ids, keep)


@wrong("next_labels", "in place", "changed its argument `input_ids` in place")
def _(input_ids, attention_mask, document_ids):
    input_ids[attention_mask == 0] = -100
    keep = _pairs(attention_mask) & (document_ids[:, 1:] == document_ids[:, :-1])
    return _shift(input_ids, keep)


# --- mean_token_loss ---


def _nll(logits, targets):
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none").view_as(targets)


def _safe(total, count):
    return total / count if count > 0 else torch.zeros((), dtype=total.dtype)


@wrong("mean_token_loss", "averaged, then masked", "the losses were averaged before they met it")
def _(logits, targets, weights):
    loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten()) * weights
    return loss.sum() / (weights.sum() + 1e-8)


@wrong("mean_token_loss", "weights not used", "padding counts as much as text")
def _(logits, targets, weights):
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())


@wrong("mean_token_loss", "mean of all positions", "you divide by all positions")
def _(logits, targets, weights):
    return (_nll(logits, targets) * weights).mean()


@wrong("mean_token_loss", "mean of means", "each text counts the same")
def _(logits, targets, weights):
    losses = _nll(logits, targets) * weights
    return (losses.sum(1) / weights.sum(1).clamp(min=1)).mean()


@wrong("mean_token_loss", "sum", "that is the sum of the losses")
def _(logits, targets, weights):
    return (_nll(logits, targets) * weights).sum()


@wrong("mean_token_loss", "divided by the batch", "by the number of texts")
def _(logits, targets, weights):
    return (_nll(logits, targets) * weights).sum() / logits.shape[0]


@wrong("mean_token_loss", "mask inverted", "only the padding counts")
def _(logits, targets, weights):
    padding = 1 - weights
    return _safe((_nll(logits, targets) * padding).sum(), padding.sum())


@wrong("mean_token_loss", "scores times mask", "the scores of padding were set to zero")
def _(logits, targets, weights):
    return _nll(logits * weights.unsqueeze(-1), targets).mean()


@wrong("mean_token_loss", "softmax over positions", "runs over the positions")
def _(logits, targets, weights):
    losses = -logits.log_softmax(1).gather(2, targets.unsqueeze(2)).squeeze(2)
    return _safe((losses * weights).sum(), weights.sum())


@wrong("mean_token_loss", "no softmax", "the mean of the scores themselves")
def _(logits, targets, weights):
    losses = -logits.gather(2, targets.unsqueeze(2)).squeeze(2)
    return _safe((losses * weights).sum(), weights.sum())


@wrong("mean_token_loss", "softmax twice", "the softmax is taken twice")
def _(logits, targets, weights):
    return _safe((_nll(logits.softmax(-1), targets) * weights).sum(), weights.sum())


@wrong("mean_token_loss", "no minus", "the sign is wrong")
def _(logits, targets, weights):
    return -_safe((_nll(logits, targets) * weights).sum(), weights.sum())


@wrong("mean_token_loss", "probabilities", "that is the mean probability")
def _(logits, targets, weights):
    chances = logits.softmax(-1).gather(2, targets.unsqueeze(2)).squeeze(2)
    return _safe((chances * weights).sum(), weights.sum())


@wrong("mean_token_loss", "bits", "the loss is in bits")
def _(logits, targets, weights):
    losses = -logits.log_softmax(-1).gather(2, targets.unsqueeze(2)).squeeze(2)
    return _safe((losses * weights).sum() / torch.log(torch.tensor(2.0)), weights.sum())


@wrong("mean_token_loss", "naive exponentials", "the exponentials of large scores overflow")
def _(logits, targets, weights):
    chances = logits.exp() / logits.exp().sum(-1, keepdim=True)
    losses = -chances.gather(2, targets.unsqueeze(2)).squeeze(2).log()
    return _safe((losses * weights).sum(), weights.sum())


@wrong("mean_token_loss", "log of a softmax")
def _(logits, targets, weights):
    losses = -logits.softmax(-1).gather(2, targets.unsqueeze(2)).squeeze(2).log()
    return _safe((losses * weights).sum(), weights.sum())


@wrong("mean_token_loss", "nothing divided by nothing", "you divide by zero")
def _(logits, targets, weights):
    return (_nll(logits, targets) * weights).sum() / weights.sum()


@wrong("mean_token_loss", "classes along axis 1", "looks for the classes along axis 1")
def _(logits, targets, weights):
    return (F.cross_entropy(logits, targets, reduction="none") * weights).sum() / weights.sum()


@wrong("mean_token_loss", "a Python number", "expected a plain torch.Tensor")
def _(logits, targets, weights):
    return ((_nll(logits, targets) * weights).sum() / weights.sum().clamp(min=1)).item()


# --- hide_tokens ---


def _hide(input_ids, chosen, fate, drawn, mask_id):
    hidden = input_ids.clone()
    hidden[chosen & (fate < 0.8)] = mask_id
    swapped = chosen & (fate >= 0.8) & (fate < 0.9)
    hidden[swapped] = drawn[swapped]
    return hidden


@wrong("hide_tokens", "asks for everything", "every token is asked for")
def _(input_ids, chosen, fate, drawn, mask_id):
    return _hide(input_ids, chosen, fate, drawn, mask_id), input_ids.clone()


@wrong("hide_tokens", "asks at masks", "only the masks are asked for")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = _hide(input_ids, chosen, fate, drawn, mask_id)
    return hidden, torch.where(hidden == mask_id, input_ids, -100)


@wrong("hide_tokens", "does not ask for kept ones", "kept tokens are not asked for")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = _hide(input_ids, chosen, fate, drawn, mask_id)
    return hidden, torch.where(chosen & (fate < 0.9), input_ids, -100)


@wrong("hide_tokens", "labels after hiding", "they are what was there before")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = _hide(input_ids, chosen, fate, drawn, mask_id)
    return hidden, torch.where(chosen, hidden, -100)


@wrong("hide_tokens", "all masks", "`fate` is not used")
def _(input_ids, chosen, fate, drawn, mask_id):
    return torch.where(chosen, mask_id, input_ids), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "exchange the last tenth", "exchanged and kept have changed places")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = torch.where(chosen & (fate < 0.8), mask_id, input_ids)
    return torch.where(chosen & (fate >= 0.9), drawn, hidden), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "keep first", "in another order")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = torch.where(fate < 0.1, input_ids, torch.where(fate < 0.2, drawn, mask_id))
    return torch.where(chosen, hidden, input_ids), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "exchange first", "in another order")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = torch.where(fate < 0.1, drawn, torch.where(fate < 0.2, input_ids, mask_id))
    return torch.where(chosen, hidden, input_ids), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "above 0.8", "you hide where `fate` is large")
def _(input_ids, chosen, fate, drawn, mask_id):
    return torch.where(chosen & (fate >= 0.8), mask_id, input_ids), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "nothing exchanged", "no token is exchanged")
def _(input_ids, chosen, fate, drawn, mask_id):
    return torch.where(chosen & (fate < 0.8), mask_id, input_ids), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "nothing kept", "all that are not hidden are exchanged")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = torch.where(fate < 0.8, mask_id, drawn)
    return torch.where(chosen, hidden, input_ids), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "nine tenths hidden", "nine in ten are hidden")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = torch.where(fate < 0.9, mask_id, drawn)
    return torch.where(chosen, hidden, input_ids), torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "hides what was not chosen", "tokens that nobody chose")
def _(input_ids, chosen, fate, drawn, mask_id):
    hidden = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, drawn, input_ids))
    return hidden, torch.where(chosen, input_ids, -100)


@wrong("hide_tokens", "zero for the others", "the labels of the others are 0")
def _(input_ids, chosen, fate, drawn, mask_id):
    return _hide(input_ids, chosen, fate, drawn, mask_id), input_ids * chosen


@wrong("hide_tokens", "labels inverted", "and the chosen are not")
def _(input_ids, chosen, fate, drawn, mask_id):
    return _hide(input_ids, chosen, fate, drawn, mask_id), input_ids.masked_fill(chosen, -100)


@wrong("hide_tokens", "in place", "changed its argument `input_ids` in place")
def _(input_ids, chosen, fate, drawn, mask_id):
    labels = torch.where(chosen, input_ids, -100)
    input_ids[chosen & (fate < 0.8)] = mask_id
    swapped = chosen & (fate >= 0.8) & (fate < 0.9)
    input_ids[swapped] = drawn[swapped]
    return input_ids, labels


@wrong("hide_tokens", "the labels are forgotten", "expected the 2 values")
def _(input_ids, chosen, fate, drawn, mask_id):
    return _hide(input_ids, chosen, fate, drawn, mask_id)


# --- choose_words ---


def _decide(word_starts, maskable, luck, share, decision):
    """Walk through each row word by word; `decision` takes the luck of a word's pieces."""
    chosen = torch.zeros_like(maskable)
    for row in range(len(luck)):
        words = []
        for place in range(luck.shape[1]):
            if not maskable[row, place]:
                continue
            if word_starts[row, place]:
                words.append([])
            words[-1].append(place)
        for places in words:
            chosen[row, places] = bool(decision([luck[row, place].item() for place in places]) < share)
    return chosen


@wrong("choose_words", "piece by piece", "each piece has its own luck")
def _(word_starts, maskable, luck, share):
    return (luck < share) & maskable


@wrong("choose_words", "special tokens too", "`maskable` is not used")
def _(word_starts, maskable, luck, share):
    last = torch.where(word_starts, torch.arange(luck.shape[1]), 0).cummax(1).values
    return luck.gather(1, last) < share


@wrong("choose_words", "first pieces", "only the first piece of a chosen word")
def _(word_starts, maskable, luck, share):
    return (luck < share) & maskable & word_starts


@wrong("choose_words", "all but the first pieces", "only the pieces after the first")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, share, lambda lucks: lucks[0]) & ~word_starts


@wrong("choose_words", "any piece", "if any of its pieces has luck")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, share, min)


@wrong("choose_words", "every piece", "only if all its pieces have luck")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, share, max)


@wrong("choose_words", "mean luck", "the pieces' luck is averaged")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, share, lambda lucks: sum(lucks) / len(lucks))


@wrong("choose_words", "last piece", "the last piece decides")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, share, lambda lucks: lucks[-1])


@wrong("choose_words", "luck of the word's number", "the luck that you look up is that at the word's number")
def _(word_starts, maskable, luck, share):
    number = (word_starts.long().cumsum(1) - 1).clamp(min=0)
    return (torch.gather(luck, 1, number) < share) & maskable


@wrong("choose_words", "the unlucky ones", "words are chosen where `luck` is large")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, share, lambda lucks: share - (lucks[0] >= share))


@wrong("choose_words", "whole rows")
def _(word_starts, maskable, luck, share):
    return (luck[:, :1] < share) & maskable


@wrong("choose_words", "half of them, whatever the share")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, 0.5, lambda lucks: lucks[0])


@wrong("choose_words", "integers", "expected bool")
def _(word_starts, maskable, luck, share):
    return _decide(word_starts, maskable, luck, share, lambda lucks: lucks[0]).long()


@wrong("choose_words", "in place", "changed its argument `luck` in place")
def _(word_starts, maskable, luck, share):
    for row in range(len(luck)):
        for place in range(1, luck.shape[1]):
            if not word_starts[row, place]:
                luck[row, place] = luck[row, place - 1]
    return (luck < share) & maskable


# --- asked_only ---


@wrong("asked_only", "above zero", "token 0 is a token")
def _(vectors, labels):
    return vectors[labels > 0], labels[labels > 0]


@wrong("asked_only", "nonzero", "token 0 is a token")
def _(vectors, labels):
    where = labels.clamp(min=0).nonzero(as_tuple=True)
    return vectors[where], labels[where]


@wrong("asked_only", "inverted", "where nothing is asked")
def _(vectors, labels):
    return vectors[labels == -100], labels[labels == -100]


@wrong("asked_only", "position by position", "position by position")
def _(vectors, labels):
    asked = (labels != -100).T
    return vectors.transpose(0, 1)[asked], labels.T[asked]


@wrong("asked_only", "first of each row", "only the first labelled position")
def _(vectors, labels):
    rows = (labels != -100).any(1).nonzero()[:, 0]
    places = (labels[rows] != -100).long().argmax(1)
    return vectors[rows, places], labels[rows, places]


@wrong("asked_only", "one position early", "that is how GPT is asked")
def _(vectors, labels):
    rows, places = (labels != -100).nonzero(as_tuple=True)
    return vectors[rows, places - 1], labels[rows, places]


@wrong("asked_only", "one position late", "the positions after")
def _(vectors, labels):
    rows, places = (labels != -100).nonzero(as_tuple=True)
    return vectors[rows, (places + 1) % labels.shape[1]], labels[rows, places]


@wrong("asked_only", "everywhere", "all positions are there")
def _(vectors, labels):
    return vectors.flatten(0, 1), labels.flatten()


@wrong("asked_only", "zeroed", "but they are still there")
def _(vectors, labels):
    return vectors * (labels != -100).unsqueeze(-1), labels.clone()


@wrong("asked_only", "vectors backwards", "and the labels the other way")
def _(vectors, labels):
    backwards = torch.flip(vectors, [0])
    return backwards[torch.flip(labels, [0]) != -100], labels[labels != -100]


@wrong("asked_only", "labels alone", "expected the 2 values")
def _(vectors, labels):
    return labels[labels != -100]


# --- make_pair ---


def _assemble(first, second, cls_id, sep_id):
    ids = [cls_id, *first, sep_id, *second, sep_id]
    return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)


def _sentences(documents, place, partner, is_random):
    document, i = place
    second = documents[partner[0]][partner[1]] if is_random else documents[document][i + 1]
    return documents[document][i], second


@wrong("make_pair", "label inverted", "the labels have changed places")
def _(documents, place, partner, is_random, cls_id, sep_id):
    pair = _sentences(documents, place, partner, is_random)
    return *_assemble(*pair, cls_id, sep_id), int(not is_random)


@wrong("make_pair", "always next", "the second sentence is always the next one")
def _(documents, place, partner, is_random, cls_id, sep_id):
    pair = _sentences(documents, place, partner, False)
    return *_assemble(*pair, cls_id, sep_id), int(is_random)


@wrong("make_pair", "always random", "always the partner")
def _(documents, place, partner, is_random, cls_id, sep_id):
    pair = _sentences(documents, place, partner, True)
    return *_assemble(*pair, cls_id, sep_id), int(is_random)


@wrong("make_pair", "twice the same", "the first sentence is there twice")
def _(documents, place, partner, is_random, cls_id, sep_id):
    first, second = _sentences(documents, place, partner, is_random)
    return *_assemble(first, second if is_random else first, cls_id, sep_id), int(is_random)


@wrong("make_pair", "after the partner", "the one after the partner")
def _(documents, place, partner, is_random, cls_id, sep_id):
    document, i = partner if is_random else place
    pair = documents[place[0]][place[1]], documents[document][(i + 1) % len(documents[document])]
    return *_assemble(*pair, cls_id, sep_id), int(is_random)


@wrong("make_pair", "next document", "of the next document")
def _(documents, place, partner, is_random, cls_id, sep_id):
    document, i = partner if is_random else (place[0] + 1, place[1])
    pair = documents[place[0]][place[1]], documents[document][i]
    return *_assemble(*pair, cls_id, sep_id), int(is_random)


@wrong("make_pair", "no CLS", "the [CLS] is missing")
def _(documents, place, partner, is_random, cls_id, sep_id):
    ids, kinds = _assemble(*_sentences(documents, place, partner, is_random), cls_id, sep_id)
    return ids[1:], kinds[1:], int(is_random)


@wrong("make_pair", "no SEP between", "the [SEP] between the sentences is missing")
def _(documents, place, partner, is_random, cls_id, sep_id):
    first, second = _sentences(documents, place, partner, is_random)
    ids = [cls_id, *first, *second, sep_id]
    return ids, [0] * (1 + len(first)) + [1] * (len(second) + 1), int(is_random)


@wrong("make_pair", "no SEP at the end", "the [SEP] at the end is missing")
def _(documents, place, partner, is_random, cls_id, sep_id):
    ids, kinds = _assemble(*_sentences(documents, place, partner, is_random), cls_id, sep_id)
    return ids[:-1], kinds[:-1], int(is_random)


@wrong("make_pair", "two CLS", "a [CLS] of its own")
def _(documents, place, partner, is_random, cls_id, sep_id):
    first, second = _sentences(documents, place, partner, is_random)
    ids = [cls_id, *first, sep_id, cls_id, *second, sep_id]
    return ids, [0] * (len(first) + 2) + [1] * (len(second) + 2), int(is_random)


@wrong("make_pair", "segment begins at the SEP", "the first [SEP] is counted to the second sentence")
def _(documents, place, partner, is_random, cls_id, sep_id):
    first, second = _sentences(documents, place, partner, is_random)
    ids, _ = _assemble(first, second, cls_id, sep_id)
    return ids, [0] * (len(first) + 1) + [1] * (len(second) + 2), int(is_random)


@wrong("make_pair", "segment of the last SEP", "the last [SEP] is counted to the first sentence")
def _(documents, place, partner, is_random, cls_id, sep_id):
    ids, kinds = _assemble(*_sentences(documents, place, partner, is_random), cls_id, sep_id)
    return ids, [*kinds[:-1], 0], int(is_random)


@wrong("make_pair", "one segment", "all segments are 0")
def _(documents, place, partner, is_random, cls_id, sep_id):
    ids, _ = _assemble(*_sentences(documents, place, partner, is_random), cls_id, sep_id)
    return ids, [0 for _ in ids], int(is_random)


@wrong("make_pair", "segments swapped", "the segments have changed places")
def _(documents, place, partner, is_random, cls_id, sep_id):
    ids, kinds = _assemble(*_sentences(documents, place, partner, is_random), cls_id, sep_id)
    return ids, [1 - kind for kind in kinds], int(is_random)


@wrong("make_pair", "sentences swapped", "the sentences have changed places")
def _(documents, place, partner, is_random, cls_id, sep_id):
    first, second = _sentences(documents, place, partner, is_random)
    return *_assemble(second, first, cls_id, sep_id), int(is_random)


@wrong("make_pair", "a bool", "expected an int")
def _(documents, place, partner, is_random, cls_id, sep_id):
    return *_assemble(*_sentences(documents, place, partner, is_random), cls_id, sep_id), is_random


# --- cut_spans ---


def _split(tokens, hidden):
    """Cut a text into stretches: whether they hide, and their tokens."""
    stretches = []
    for token, hides in zip(tokens, hidden, strict=True):
        if not stretches or stretches[-1][0] != hides:
            stretches.append((hides, []))
        stretches[-1][1].append(token)
    return stretches


def _write(tokens, hidden, marks, end_id, read_of, written_of):
    """Put both texts together; the two functions say what each span leaves in which."""
    marks = iter(marks)
    read, written = [], []
    for hides, span in _split(tokens, hidden):
        if hides:
            mark = next(marks)
            read += read_of(mark, span)
            written += written_of(mark, span)
        else:
            read += span
    return [*read, end_id], [*written, next(marks), end_id]


def _mark(mark, span):
    return [mark]


def _both(mark, span):
    return [mark, *span]


@wrong("cut_spans", "a mark a token", "every hidden token has a mark of its own")
def _(tokens, hidden, sentinels, end_id):
    marks = iter(sentinels)
    read, written = [], []
    for token, hides in zip(tokens, hidden, strict=True):
        if hides:
            mark = next(marks)
            read.append(mark)
            written += [mark, token]
        else:
            read.append(token)
    return [*read, end_id], [*written, next(marks), end_id]


@wrong("cut_spans", "one mark for all", "all spans have the same mark")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, sentinels[:1] * 30, end_id, _mark, _both)


@wrong("cut_spans", "second mark first", "the marks are used from the second on")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, sentinels[1:], end_id, _mark, _both)


@wrong("cut_spans", "last mark first", "from the last one backwards")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, reversed(sentinels), end_id, _mark, _both)


@wrong("cut_spans", "no last mark", "the answer lacks the mark after its last span")
def _(tokens, hidden, sentinels, end_id):
    read, written = _write(tokens, hidden, sentinels, end_id, _mark, _both)
    return read, [*written[:-2], end_id]


@wrong("cut_spans", "read without end", "what is read has no end token")
def _(tokens, hidden, sentinels, end_id):
    read, written = _write(tokens, hidden, sentinels, end_id, _mark, _both)
    return read[:-1], written


@wrong("cut_spans", "written without end", "what is written has no end token")
def _(tokens, hidden, sentinels, end_id):
    read, written = _write(tokens, hidden, sentinels, end_id, _mark, _both)
    return read, written[:-1]


@wrong("cut_spans", "no ends", "neither text has its end token")
def _(tokens, hidden, sentinels, end_id):
    read, written = _write(tokens, hidden, sentinels, end_id, _mark, _both)
    return read[:-1], written[:-1]


@wrong("cut_spans", "no marks in the text", "nobody knows where the holes are")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, sentinels, end_id, lambda mark, span: [], _both)


@wrong("cut_spans", "no marks in the answer", "the answer has no marks before its spans")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, sentinels, end_id, _mark, lambda mark, span: span)


@wrong("cut_spans", "marks behind", "each mark stands behind its span")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, sentinels, end_id, _mark, lambda mark, span: [*span, mark])


@wrong("cut_spans", "nothing hidden", "still shows what should be hidden")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, sentinels, end_id, _both, _both)


@wrong("cut_spans", "first tokens only", "only the first token of each span")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, hidden, sentinels, end_id, _mark, lambda mark, span: [mark, span[0]])


@wrong("cut_spans", "swapped texts", "the two texts have changed places")
def _(tokens, hidden, sentinels, end_id):
    read, written = _write(tokens, hidden, sentinels, end_id, _mark, _both)
    return written, read


@wrong("cut_spans", "inverted", "what is hidden and what stays")
def _(tokens, hidden, sentinels, end_id):
    return _write(tokens, [not each for each in hidden], sentinels, end_id, _mark, _both)


@wrong("cut_spans", "no marks left", "one to end with")
def _(tokens, hidden, sentinels, end_id):
    n_spans = sum(hides for hides, _ in _split(tokens, hidden))
    sentinels = sentinels[:n_spans]
    read, written = _write(tokens, hidden, [*sentinels, 0], end_id, _mark, _both)
    return read, [*written[:-2], sentinels[n_spans], end_id]


@wrong("cut_spans", "masks in place of marks")
def _(tokens, hidden, sentinels, end_id):
    read = [sentinels[0] if hides else token for token, hides in zip(tokens, hidden, strict=True)]
    return [*read, end_id], [*(token for token, hides in zip(tokens, hidden, strict=True) if hides), end_id]


@wrong("cut_spans", "in place", "changed its argument `sentinels` in place")
def _(tokens, hidden, sentinels, end_id):
    read, written = [], []
    for hides, span in _split(tokens, hidden):
        if hides:
            mark = sentinels.pop(0)
            read.append(mark)
            written += [mark, *span]
        else:
            read += span
    return [*read, end_id], [*written, sentinels[0], end_id]


# --- fill_spans ---


def _spans(written, sentinels, end_id):
    spans, mark = {}, None
    for token in written:
        if token in sentinels:
            mark = token
            spans[mark] = []
        elif token != end_id:
            spans[mark].append(token)
    return spans


@wrong("fill_spans", "marks stay", "the marks are still in the text")
def _(read, written, sentinels, end_id):
    spans = _spans(written, sentinels, end_id)
    return [t for token in read[:-1] for t in [token, *spans.get(token, [])]]


@wrong("fill_spans", "end stays", "the end token is still in the text")
def _(read, written, sentinels, end_id):
    spans = _spans(written, sentinels, end_id)
    return [t for token in read for t in (spans.get(token, []) if token in sentinels else [token])]


@wrong("fill_spans", "in the order of the answer", "the spans are put in the order of the answer")
def _(read, written, sentinels, end_id):
    spans = list(_spans(written, sentinels, end_id).values())
    return [t for token in read[:-1] for t in (spans.pop(0) if token in sentinels else [token])]


@wrong("fill_spans", "unanswered marks stay", "a hole without an answer keeps its mark")
def _(read, written, sentinels, end_id):
    spans = _spans(written, sentinels, end_id)
    return [t for token in read[:-1] for t in spans.get(token, [token])]


@wrong("fill_spans", "unanswered marks are an error", "one hole without an answer")
def _(read, written, sentinels, end_id):
    spans = _spans(written, sentinels, end_id)
    return [t for token in read[:-1] for t in (spans[token] if token in sentinels else [token])]


@wrong("fill_spans", "one token a span", "only the first token of each span")
def _(read, written, sentinels, end_id):
    text = []
    for token in read[:-1]:
        if token not in sentinels:
            text.append(token)
        elif token in written:
            text.append(written[written.index(token) + 1])
    return text


@wrong("fill_spans", "appended", "the spans stand behind the text")
def _(read, written, sentinels, end_id):
    return [token for token in read + written if token not in [*sentinels, end_id]]


@wrong("fill_spans", "nothing put in", "nothing was put in")
def _(read, written, sentinels, end_id):
    return [token for token in read if token not in [*sentinels, end_id]]


@wrong("fill_spans", "backwards", "the spans came back backwards")
def _(read, written, sentinels, end_id):
    spans = _spans(written, sentinels, end_id)
    return [t for token in read[:-1] for t in (spans.get(token, [])[::-1] if token in sentinels else [token])]


@wrong("fill_spans", "the answer alone")
def _(read, written, sentinels, end_id):
    return [token for span in _spans(written, sentinels, end_id).values() for token in span]


@wrong("fill_spans", "a tensor", "expected a list")
def _(read, written, sentinels, end_id):
    spans = _spans(written, sentinels, end_id)
    return torch.tensor([t for token in read[:-1] for t in (spans.get(token, []) if token in sentinels else [token])])


@wrong("fill_spans", "in place", "changed its argument `read` in place")
def _(read, written, sentinels, end_id):
    read.pop()
    spans = _spans(written, sentinels, end_id)
    return [t for token in read for t in (spans.get(token, []) if token in sentinels else [token])]


file_learned_by_heart(MUTANTS, EXERCISES)
