"""The mistakes that students make in the objectives lab, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor

from companion.exercises.spec import WrongWay

Ids = list[int]


def _labels(ids: Tensor, allowed: Tensor, last: int = -100) -> Tensor:
    """Shift left, and keep the labels that are allowed, one fewer than tokens."""
    shifted = ids[:, 1:].masked_fill(~allowed, last)
    return torch.cat([shifted, torch.full_like(ids[:, :1], last)], dim=1)


def _pair(mask: Tensor) -> Tensor:
    return mask[:, 1:].bool() & mask[:, :-1].bool()


def _same(documents: Tensor) -> Tensor:
    return documents[:, 1:] == documents[:, :-1]


def _previous_label(ids: Tensor, mask: Tensor, documents: Tensor) -> Tensor:
    labels = ids[:, :-1].masked_fill(~(_pair(mask) & _same(documents)), -100)
    return torch.cat([torch.full_like(ids[:, :1], -100), labels], dim=1)


def _first_of_document(ids: Tensor, mask: Tensor, documents: Tensor) -> Tensor:
    """Drop the label after the boundary in place of the one before."""
    new = torch.cat([torch.zeros_like(documents[:, :1]).bool(), ~_same(documents)], dim=1)
    return _labels(ids, _pair(mask) & ~new[:, :-1])


NEXT_LABELS = (
    WrongWay(
        "the labels are not shifted: each position is asked for the very token that it reads",
        lambda ids, mask, documents: ids.masked_fill(mask == 0, -100),
    ),
    WrongWay("the labels are shifted the wrong way: each position is asked for the token before it", _previous_label),
    WrongWay(
        "the last position is asked for the first token: `roll` goes round the corner",
        lambda ids, mask, documents: torch.cat(
            [_labels(ids, _pair(mask) & _same(documents))[:, :-1], ids[:, :1].masked_fill(mask[:, -1:] == 0, -100)],
            dim=1,
        ),
    ),
    WrongWay(
        "padding is a label: `attention_mask` is not used",
        lambda ids, mask, documents: _labels(ids, _same(documents)),
    ),
    WrongWay(
        "the last token of a text is asked for padding: look at the mask of the label, too",
        lambda ids, mask, documents: _labels(ids, mask[:, :-1].bool() & _same(documents)),
    ),
    WrongWay(
        "a position of padding is asked for the first token of the text: look at the mask of the position, too",
        lambda ids, mask, documents: _labels(ids, mask[:, 1:].bool() & _same(documents)),
    ),
    WrongWay(
        "a document's last token is asked for the start of the next document: `document_ids` is not used",
        lambda ids, mask, documents: _labels(ids, _pair(mask)),
    ),
    WrongWay(
        "at a boundary the wrong label is dropped: the token before it has none, and the one after it has",
        _first_of_document,
    ),
    WrongWay(
        "what is not asked has the label 0, which is a token; the loss ignores -100",
        lambda ids, mask, documents: _labels(ids, _pair(mask) & _same(documents), last=0),
    ),
)


def _token_losses(logits: Tensor, targets: Tensor, axis: int = -1) -> Tensor:
    return -logits.log_softmax(axis).gather(-1, targets[..., None])[..., 0]


def _divided(total: Tensor, count: Tensor | float) -> Tensor:
    return total / torch.as_tensor(count, dtype=total.dtype).clamp(min=1)


def _rows(losses: Tensor, weights: Tensor) -> Tensor:
    """Average each row, then the rows."""
    return _divided((losses * weights).sum(-1), weights.sum(-1)).mean()


def _overflowing(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    powers = logits.exp()
    chances = powers.gather(-1, targets[..., None])[..., 0] / powers.sum(-1)
    return _divided((-chances.log() * weights).sum(), weights.sum())


def _weighted(of: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Take the right mean of something that is not the loss."""
    return lambda logits, targets, weights: _divided((of(logits, targets) * weights).sum(), weights.sum())


MEAN_TOKEN_LOSS = (
    WrongWay(
        "padding counts as much as text. Either `weights` is not used, or the losses were averaged before they met "
        "it: a mean that is multiplied by a mask, summed and divided by the mask's sum is the mean that it was",
        lambda logits, targets, weights: _token_losses(logits, targets).mean() * weights.any(),
    ),
    WrongWay(
        "you divide by all positions; only those that count are in the sum",
        lambda logits, targets, weights: (_token_losses(logits, targets) * weights).mean(),
    ),
    WrongWay(
        "each text counts the same, so a token of a short one counts more; average over tokens, not over texts",
        lambda logits, targets, weights: _rows(_token_losses(logits, targets), weights),
    ),
    WrongWay(
        "that is the sum of the losses; divide it by the number of tokens that count",
        lambda logits, targets, weights: (_token_losses(logits, targets) * weights).sum(),
    ),
    WrongWay(
        "you divide by the number of texts",
        lambda logits, targets, weights: (_token_losses(logits, targets) * weights).sum() / len(logits),
    ),
    WrongWay(
        "only the padding counts; `weights` is 1 where a token counts",
        lambda logits, targets, weights: _divided(
            (_token_losses(logits, targets) * (1 - weights)).sum(), (1 - weights).sum()
        ),
    ),
    WrongWay(
        "the scores of padding were set to zero, which leaves it a loss of log(vocab); take it out of the mean",
        lambda logits, targets, weights: _token_losses(logits * weights[..., None], targets).mean(),
    ),
    WrongWay(
        "the softmax runs over the positions; the scores of one position compete, along the last axis",
        _weighted(lambda logits, targets: _token_losses(logits, targets, axis=1)),
    ),
    WrongWay(
        "that is the mean of the scores themselves; the loss needs their logarithm of the softmax",
        _weighted(lambda logits, targets: -logits.gather(-1, targets[..., None])[..., 0]),
    ),
    WrongWay(
        "the softmax is taken twice; `F.cross_entropy` takes it itself",
        _weighted(lambda logits, targets: _token_losses(logits.softmax(-1), targets)),
    ),
    WrongWay(
        "the sign is wrong: a loss is the negative of the log-probability",
        _weighted(lambda logits, targets: -_token_losses(logits, targets)),
    ),
    WrongWay(
        "that is the mean probability; the loss is the mean of -log of it",
        _weighted(lambda logits, targets: _token_losses(logits, targets).neg().exp()),
    ),
    WrongWay(
        "the loss is in bits; natural logarithms are asked for",
        _weighted(lambda logits, targets: _token_losses(logits, targets) / torch.tensor(2.0).log()),
    ),
    WrongWay("the exponentials of large scores overflow; use `log_softmax`", _overflowing),
    WrongWay(
        "where no token counts, you divide by zero; the loss of nothing is 0",
        lambda logits, targets, weights: (_token_losses(logits, targets) * weights).sum() / weights.sum(),
    ),
)


def _hidden(
    ids: Tensor,
    chosen: Tensor,
    fate: Tensor,
    drawn: Tensor,
    mask_id: int,
    *,
    masked: tuple[float, float] = (0.0, 0.8),
    exchanged: tuple[float, float] = (0.8, 0.9),
    asked: Tensor | None = None,
    source: str = "ids",
    ignored: int = -100,
) -> tuple[Tensor, Tensor]:
    """Hide tokens, with one part of it replaceable."""
    hides = chosen & (fate >= masked[0]) & (fate < masked[1])
    swaps = chosen & (fate >= exchanged[0]) & (fate < exchanged[1])
    read = torch.where(hides, mask_id, torch.where(swaps, drawn, ids))
    asked = chosen if asked is None else asked
    return read, (ids if source == "ids" else read).masked_fill(~asked, ignored)


HIDE_TOKENS = (
    WrongWay(
        "every token is asked for; only the chosen ones are",
        lambda *a: _hidden(*a, asked=torch.ones_like(a[1])),
    ),
    WrongWay(
        "only the masks are asked for; the chosen tokens that were exchanged or kept are asked for, too",
        lambda *a: _hidden(*a, asked=a[1] & (a[2] < 0.8)),
    ),
    WrongWay(
        "kept tokens are not asked for; a token that stays as it was is chosen like the others",
        lambda *a: _hidden(*a, asked=a[1] & (a[2] < 0.9)),
    ),
    WrongWay(
        "the labels are what was put there; they are what was there before", lambda *a: _hidden(*a, source="read")
    ),
    WrongWay("all chosen tokens are hidden; `fate` is not used", lambda *a: _hidden(*a, masked=(0.0, 2.0))),
    WrongWay(
        "exchanged and kept have changed places: a fate of 0.8 to 0.9 exchanges",
        lambda *a: _hidden(*a, exchanged=(0.9, 2.0)),
    ),
    WrongWay(
        "the three ranges stand in another order: below 0.8 a token hides, below 0.9 it is exchanged, else it stays",
        lambda *a: _hidden(*a, masked=(0.2, 2.0), exchanged=(0.1, 0.2)),
    ),
    WrongWay(
        "the three ranges stand in another order: below 0.8 a token hides, below 0.9 it is exchanged, else it stays",
        lambda *a: _hidden(*a, masked=(0.2, 2.0), exchanged=(0.0, 0.1)),
    ),
    WrongWay(
        "you hide where `fate` is large; eight in ten are below 0.8",
        lambda *a: _hidden(*a, masked=(0.8, 2.0), exchanged=(0.0, 0.0)),
    ),
    WrongWay("no token is exchanged for a drawn one", lambda *a: _hidden(*a, exchanged=(2.0, 2.0))),
    WrongWay("no token is kept; all that are not hidden are exchanged", lambda *a: _hidden(*a, exchanged=(0.8, 2.0))),
    WrongWay(
        "no token is kept; nine in ten are hidden", lambda *a: _hidden(*a, masked=(0.0, 0.9), exchanged=(0.9, 2.0))
    ),
    WrongWay(
        "tokens that nobody chose are hidden or exchanged",
        lambda ids, chosen, *a: _hidden(ids, torch.ones_like(chosen), *a, asked=chosen),
    ),
    WrongWay(
        "the labels of the others are 0, which is a token; the loss ignores -100", lambda *a: _hidden(*a, ignored=0)
    ),
    WrongWay(
        "the tokens that were not chosen are asked for, and the chosen are not", lambda *a: _hidden(*a, asked=~a[1])
    ),
)


def _words(starts: Tensor, maskable: Tensor) -> Tensor:
    """Name the word of each piece by the position of its first."""
    return torch.where(starts, torch.arange(starts.shape[1]), 0).cummax(1).values


def _by_word(starts: Tensor, maskable: Tensor, luck: Tensor, reduce: str) -> Tensor:
    """Give each piece a number made of the luck of all pieces of its word."""
    words = _words(starts, maskable).where(maskable, torch.arange(starts.shape[1]))
    return torch.zeros_like(luck).scatter_reduce(1, words, luck, reduce, include_self=False).gather(1, words)


def _last_piece(starts: Tensor, maskable: Tensor, luck: Tensor, share: float) -> Tensor:
    n = starts.shape[1]
    ends = torch.cat([starts[:, 1:] | ~maskable[:, 1:], torch.ones_like(starts[:, :1])], dim=1)
    places = torch.where(ends, torch.arange(n), n).flip(1).cummin(1).values.flip(1).clamp(max=n - 1)
    return (luck.gather(1, places) < share) & maskable


def _first_luck(starts: Tensor, maskable: Tensor, luck: Tensor) -> Tensor:
    return luck.gather(1, _words(starts, maskable))


CHOOSE_WORDS = (
    WrongWay(
        "each piece has its own luck, so words are hidden in part",
        lambda starts, maskable, luck, share: (luck < share) & maskable,
    ),
    WrongWay(
        "special tokens and padding are chosen, too; `maskable` is not used",
        lambda starts, maskable, luck, share: _first_luck(starts, maskable, luck) < share,
    ),
    WrongWay(
        "only the first piece of a chosen word is chosen",
        lambda starts, maskable, luck, share: (luck < share) & maskable & starts,
    ),
    WrongWay(
        "only the pieces after the first are chosen",
        lambda starts, maskable, luck, share: (_first_luck(starts, maskable, luck) < share) & maskable & ~starts,
    ),
    WrongWay(
        "a word is chosen if any of its pieces has luck, so long words are chosen more often",
        lambda starts, maskable, luck, share: (_by_word(starts, maskable, luck, "amin") < share) & maskable,
    ),
    WrongWay(
        "a word is chosen only if all its pieces have luck, so long words are hardly ever chosen",
        lambda starts, maskable, luck, share: (_by_word(starts, maskable, luck, "amax") < share) & maskable,
    ),
    WrongWay(
        "the pieces' luck is averaged, and means of several numbers are seldom small; the first piece decides",
        lambda starts, maskable, luck, share: (_by_word(starts, maskable, luck, "mean") < share) & maskable,
    ),
    WrongWay("the last piece decides; the first one should", _last_piece),
    WrongWay(
        "the luck that you look up is that at the word's number; a word's luck stands where its first piece stands",
        lambda starts, maskable, luck, share: (luck.gather(1, (starts.cumsum(1) - 1).clamp(min=0)) < share) & maskable,
    ),
    WrongWay(
        "words are chosen where `luck` is large; the chance of being chosen is `share`",
        lambda starts, maskable, luck, share: (_first_luck(starts, maskable, luck) >= share) & maskable,
    ),
)


def _row(
    documents: list[list[Ids]],
    place: tuple[int, int],
    partner: tuple[int, int],
    is_random: bool,
    cls_id: int,
    sep_id: int,
    *,
    second: tuple[int, int] | None = None,
    kinds: Callable[[int, int], Ids] = lambda a, b: [0] * (a + 2) + [1] * (b + 1),
    parts: Sequence[str] = ("cls", "first", "sep", "second", "sep"),
    label: int | None = None,
) -> tuple[Ids, Ids, int]:
    """Build the row of a pair, with one part of it replaceable; `kinds` takes the lengths of the two sentences."""
    document, number = place
    other = second or (partner if is_random else (document, number + 1))
    first, next_one = documents[document][number], documents[other[0]][other[1]]
    tokens = {"cls": [cls_id], "sep": [sep_id], "first": first, "second": next_one}
    ids = [token for part in parts for token in tokens[part]]
    return ids, kinds(len(first), len(next_one)), int(is_random) if label is None else label


def _after(place: tuple[int, int]) -> tuple[int, int]:
    return place[0], place[1] + 1


MAKE_PAIR = (
    WrongWay(
        "the labels have changed places: 0 says that the second sentence follows",
        lambda *a: _row(*a, label=int(not a[3])),
    ),
    WrongWay(
        "the second sentence is always the next one; `is_random` asks for the partner",
        lambda *a: _row(*a, second=_after(a[1])),
    ),
    WrongWay(
        "the second sentence is always the partner; it is so only if `is_random`", lambda *a: _row(*a, second=a[2])
    ),
    WrongWay(
        "the first sentence is there twice; the next one has the number after it", lambda *a: _row(*a, second=a[1])
    ),
    WrongWay(
        "the random sentence is the one after the partner; the partner itself is asked for",
        lambda *a: _row(*a, second=_after(a[2]) if a[3] else None),
    ),
    WrongWay(
        "the second sentence is of the next document; the next sentence of the same one is asked for",
        lambda *a: _row(*a, second=None if a[3] else (a[1][0] + 1, a[1][1])),
    ),
    WrongWay(
        "the [CLS] is missing",
        lambda *a: _row(*a, parts=("first", "sep", "second", "sep"), kinds=lambda a, b: [0] * (a + 1) + [1] * (b + 1)),
    ),
    WrongWay(
        "the [SEP] between the sentences is missing",
        lambda *a: _row(*a, parts=("cls", "first", "second", "sep"), kinds=lambda a, b: [0] * (a + 1) + [1] * (b + 1)),
    ),
    WrongWay(
        "the [SEP] at the end is missing",
        lambda *a: _row(*a, parts=("cls", "first", "sep", "second"), kinds=lambda a, b: [0] * (a + 2) + [1] * b),
    ),
    WrongWay(
        "the second sentence has a [CLS] of its own; a row has one",
        lambda *a: _row(
            *a,
            parts=("cls", "first", "sep", "cls", "second", "sep"),
            kinds=lambda a, b: [0] * (a + 2) + [1] * (b + 2),
        ),
    ),
    WrongWay(
        "the first [SEP] is counted to the second sentence; it ends the first",
        lambda *a: _row(*a, kinds=lambda a, b: [0] * (a + 1) + [1] * (b + 2)),
    ),
    WrongWay(
        "the last [SEP] is counted to the first sentence; it ends the second",
        lambda *a: _row(*a, kinds=lambda a, b: [0] * (a + 2) + [1] * b + [0]),
    ),
    WrongWay(
        "all segments are 0; the second sentence's are 1", lambda *a: _row(*a, kinds=lambda a, b: [0] * (a + b + 3))
    ),
    WrongWay(
        "the segments have changed places: the first sentence's are 0",
        lambda *a: _row(*a, kinds=lambda a, b: [1] * (a + 2) + [0] * (b + 1)),
    ),
    WrongWay(
        "the sentences have changed places",
        lambda *a: _row(
            *a, parts=("cls", "second", "sep", "first", "sep"), kinds=lambda a, b: [0] * (b + 2) + [1] * (a + 1)
        ),
    ),
)


def _cut(
    tokens: Ids,
    hidden: list[bool],
    sentinels: Ids,
    end_id: int,
    *,
    mark: Callable[[Ids, int], Ids] = lambda marks, i: [marks[i]],
    span: Callable[[Ids, Ids], Ids] = lambda mark, ids: [*mark, *ids],
    keep: Callable[[Ids, Ids], Ids] = lambda mark, ids: mark,
    last: bool = True,
    ends: tuple[bool, bool] = (True, True),
    single: bool = False,
) -> tuple[Ids, Ids]:
    """Cut spans out, with one part of it replaceable; `single` makes every hidden token a span of its own."""
    read: Ids = []
    written: Ids = []
    used = 0
    for key, group in groupby(range(len(tokens)), key=lambda i: (hidden[i], i if single and hidden[i] else -1)):
        ids = [tokens[i] for i in group]
        if not key[0]:
            read += ids
            continue
        marks = mark(sentinels, used)
        read += keep(marks, ids)
        written += span(marks, ids)
        used += 1
    closing = mark(sentinels, used) if last else []
    return [*read, *[end_id] * ends[0]], [*written, *closing, *[end_id] * ends[1]]


CUT_SPANS = (
    WrongWay("every hidden token has a mark of its own; a span has one", lambda *a: _cut(*a, single=True)),
    WrongWay(
        "all spans have the same mark, so nobody can tell whose answer is whose",
        lambda *a: _cut(*a, mark=lambda marks, i: marks[:1]),
    ),
    WrongWay(
        "the marks are used from the second on; the first comes first",
        lambda *a: _cut(*a, mark=lambda marks, i: [marks[i + 1]]),
    ),
    WrongWay(
        "the marks are used from the last one backwards", lambda *a: _cut(*a, mark=lambda marks, i: [marks[-1 - i]])
    ),
    WrongWay("the answer lacks the mark after its last span", lambda *a: _cut(*a, last=False)),
    WrongWay("what is read has no end token", lambda *a: _cut(*a, ends=(False, True))),
    WrongWay("what is written has no end token", lambda *a: _cut(*a, ends=(True, False))),
    WrongWay("neither text has its end token", lambda *a: _cut(*a, ends=(False, False))),
    WrongWay(
        "the spans are gone without a mark, so nobody knows where the holes are",
        lambda *a: _cut(*a, keep=lambda mark, ids: []),
    ),
    WrongWay(
        "the answer has no marks before its spans, so nobody can tell them apart",
        lambda *a: _cut(*a, span=lambda mark, ids: ids),
    ),
    WrongWay(
        "in the answer each mark stands behind its span; it comes first",
        lambda *a: _cut(*a, span=lambda mark, ids: [*ids, *mark]),
    ),
    WrongWay("the text still shows what should be hidden", lambda *a: _cut(*a, keep=lambda mark, ids: [*mark, *ids])),
    WrongWay(
        "only the first token of each span is written down", lambda *a: _cut(*a, span=lambda mark, ids: [*mark, ids[0]])
    ),
    WrongWay("the two texts have changed places", lambda *a: _cut(*a)[::-1]),
    WrongWay(
        "what is hidden and what stays have changed places",
        lambda tokens, hidden, *a: _cut(tokens, [not hides for hides in hidden], *a),
    ),
)


def _answers(written: Ids, sentinels: Ids, end_id: int) -> dict[int, Ids]:
    spans: dict[int, Ids] = {}
    mark = None
    for token in written:
        if token in sentinels:
            mark = token
            spans[mark] = []
        elif mark is not None and token != end_id:
            spans[mark].append(token)
    return spans


def _filled(
    read: Ids,
    written: Ids,
    sentinels: Ids,
    end_id: int,
    *,
    put: Callable[[int, Ids], Ids] = lambda mark, ids: ids,
    missing: Callable[[int], Ids] = lambda mark: [],
    end: bool = False,
) -> Ids:
    """Fill the holes, with one part of it replaceable."""
    spans = _answers(written, sentinels, end_id)
    text: Ids = []
    for token in read:
        if token in sentinels:
            text += put(token, spans[token]) if token in spans else missing(token)
        elif token != end_id or end:
            text.append(token)
    return text


def _in_order(read: Ids, written: Ids, sentinels: Ids, end_id: int) -> Ids:
    """Fill the holes in the order of the answer, whatever its marks say."""
    spans = iter(_answers(written, sentinels, end_id).values())
    return [t for token in read if token != end_id for t in (next(spans) if token in sentinels else [token])]


def _appended(read: Ids, written: Ids, sentinels: Ids, end_id: int) -> Ids:
    return [token for token in [*read, *written] if token not in sentinels and token != end_id]


FILL_SPANS = (
    WrongWay(
        "the marks are still in the text",
        lambda *a: _filled(*a, put=lambda mark, ids: [mark, *ids], missing=lambda m: [m]),
    ),
    WrongWay("the end token is still in the text", lambda *a: _filled(*a, end=True)),
    WrongWay(
        "the spans are put in the order of the answer; go by their marks, for a model may answer in any order",
        _in_order,
    ),
    WrongWay(
        "a hole without an answer keeps its mark; there is nothing to put there, so leave it out",
        lambda *a: _filled(*a, missing=lambda mark: [mark]),
    ),
    WrongWay("only the first token of each span came back", lambda *a: _filled(*a, put=lambda mark, ids: ids[:1])),
    WrongWay("the spans stand behind the text, not in their holes", _appended),
    WrongWay("the holes are closed and nothing was put in", lambda *a: _filled(*a, put=lambda mark, ids: [])),
    WrongWay("the spans came back backwards", lambda *a: _filled(*a, put=lambda mark, ids: ids[::-1])),
)


def _taken(vectors: Tensor, labels: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    return vectors[where], labels[where]


def _by_position(vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return _taken(vectors.transpose(0, 1), labels.T, labels.T != -100)


def _shifted(vectors: Tensor, labels: Tensor, by: int) -> tuple[Tensor, Tensor]:
    asked = labels != -100
    return vectors.roll(by, 1)[asked], labels[asked]


def _one_a_row(vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    asked = labels != -100
    first = asked & (asked.long().cumsum(1) == 1)
    return _taken(vectors, labels, first)


ASKED_ONLY: tuple[WrongWay, ...] = (
    WrongWay(
        "token 0 is a token like the others, and it is asked for; only -100 is no label",
        lambda vectors, labels: _taken(vectors, labels, labels > 0),
    ),
    WrongWay(
        "these are the positions where nothing is asked",
        lambda vectors, labels: _taken(vectors, labels, labels == -100),
    ),
    WrongWay("they come position by position; they should come text by text", _by_position),
    WrongWay("only the first labelled position of each text is there", _one_a_row),
    WrongWay(
        "the vectors are those of the positions before; that is how GPT is asked, and here each is asked at its place",
        lambda vectors, labels: _shifted(vectors, labels, 1),
    ),
    WrongWay(
        "the vectors are those of the positions after; each is asked at its own place",
        lambda vectors, labels: _shifted(vectors, labels, -1),
    ),
    WrongWay(
        "all positions are there; the head would be computed for every one of them",
        lambda vectors, labels: (vectors.flatten(0, 1), labels.flatten()),
    ),
    WrongWay(
        "the vectors that nobody asks for are zero, but they are still there",
        lambda vectors, labels: (vectors * (labels != -100)[..., None], labels),
    ),
    WrongWay(
        "the vectors come from the last text to the first, and the labels the other way",
        lambda vectors, labels: (vectors.flip(0)[labels.flip(0) != -100], labels[labels != -100]),
    ),
)
