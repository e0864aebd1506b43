"""The exercises of the objectives lab: what pretraining asks of a model, and the loss that counts each answer once."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.inputs import draw, draw_sizes
from companion.exercises.mistakes import objectives as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion

Ids = list[int]


def _ids(generator: torch.Generator, *shape: int, low: int = 0, high: int = 40) -> Tensor:
    return torch.randint(low, high, shape, generator=generator)


def _padded(generator: torch.Generator, batch: int, n: int, on_the_left: bool = False) -> Tensor:
    """Draw a mask of texts of different lengths, the first of full length."""
    lengths = 2 + torch.randint(n - 3, (batch, 1), generator=generator)
    lengths[0] = n
    places = torch.arange(n).expand(batch, n)
    return ((places >= n - lengths) if on_the_left else (places < lengths)).long()


def _documents(generator: torch.Generator, batch: int, n: int) -> Tensor:
    """Draw numbers of documents that grow along each row."""
    return (torch.rand(batch, n, generator=generator) < 0.3).long().cumsum(1)


class NextLabels(Exercise):
    """Labels of causal language modelling, for padded and packed rows."""

    slug = "objectives"
    signature = "next_labels(input_ids, attention_mask, document_ids)"
    title = "The next token, if there is one"
    points = 3
    minutes = 15
    difficulty = 2
    objective = "Label each position with the token after it, and with -100 where no token of the same text follows."
    why = "A model that is asked what follows the end of a text learns to write padding, or the start of another text."
    try_next = "Which share of a packed row's positions has no label, if the texts have twenty tokens each?"
    wrong_ways = mistakes.NEXT_LABELS
    error_hints = (
        ErrorHint("must match the size", "a row of n tokens has n - 1 pairs of neighbours; fill up the last position"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw padding on either side, packed documents, and both."""
        batch, n, _ = draw_sizes(generator, 3)
        batch, n = batch + 2, n + 6
        one = torch.zeros(batch, n, dtype=torch.long)
        mask = _padded(generator, batch, n)
        yield Case((_ids(generator, batch, n), mask, one), about="padding on the right")
        documents = _documents(generator, batch, n)
        yield Case((_ids(generator, batch, n), one + 1, documents), about="several documents in a row")
        mask = _padded(generator, batch, n, on_the_left=True)
        yield Case((_ids(generator, batch, n), mask, one), about="padding on the left")
        mask, documents = _padded(generator, batch, n), _documents(generator, batch, n)
        yield Case((_ids(generator, batch, n), mask, documents), about="several documents, then padding")
        yield Case((_ids(generator, 1, 1), torch.ones(1, 1).long(), torch.zeros(1, 1).long()), about="a single token")

    def reference(self, input_ids: Tensor, attention_mask: Tensor, document_ids: Tensor) -> Tensor:
        """Look at one pair of neighbours at a time."""
        labels = torch.full_like(input_ids, -100)
        for row in range(input_ids.shape[0]):
            for t in range(input_ids.shape[1] - 1):
                real = attention_mask[row, t] and attention_mask[row, t + 1]
                if real and document_ids[row, t] == document_ids[row, t + 1]:
                    labels[row, t] = input_ids[row, t + 1]
        return labels


class MeanTokenLoss(Exercise):
    """The loss of a batch of texts of different lengths."""

    slug = "objectives"
    signature = "mean_token_loss(logits, targets, weights)"
    title = "A mean over tokens"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Compute the mean cross-entropy of the tokens that count, and of no others."
    why = "This number is all that training sees, and there are four plausible ways to get it wrong."
    try_next = "Double the padding of a batch. Does your loss change? Should it?"
    wrong_ways = mistakes.MEAN_TOKEN_LOSS
    error_hints = (
        ErrorHint(
            "Expected target size", "`F.cross_entropy` looks for the classes along axis 1; flatten the positions"
        ),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw ragged batches, large scores, a single row, and a batch in which nothing counts."""
        batch, n, vocab = draw_sizes(generator, 3)
        batch, n, vocab = batch + 1, n + 4, vocab + 20

        def arguments(batch: int = batch, scale: float = 2.0, dtype: torch.dtype = torch.float32) -> tuple:
            logits = scale * draw(generator, batch, n, vocab, dtype=dtype)
            return logits, _ids(generator, batch, n, high=vocab), _padded(generator, batch, n)

        yield Case(arguments())
        yield Case(arguments(dtype=torch.float64))
        logits, targets, weights = arguments()
        yield Case((logits, targets, torch.randint(2, weights.shape, generator=generator)), about="gaps in the middle")
        yield Case(arguments(batch=1), about="a single text without padding")
        yield Case(arguments(scale=300.0), about="scores of several hundred", tolerance=1e-4)
        logits, targets, weights = arguments()
        yield Case((logits, targets, torch.zeros_like(weights)), about="no token counts")

    def reference(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Ask torch, with the other labels set to what it ignores."""
        if not weights.any():
            return torch.zeros((), dtype=logits.dtype)
        return F.cross_entropy(logits.flatten(0, -2), targets.masked_fill(weights == 0, -100).flatten())


class HideTokens(Exercise):
    """The 80/10/10 rule of masked language modelling."""

    slug = "objectives"
    signature = "hide_tokens(input_ids, chosen, fate, drawn, mask_id)"
    title = "Hide, exchange, or keep"
    points = 3
    minutes = 15
    difficulty = 2
    objective = "Hide eight in ten of the chosen tokens, exchange one, keep one, and ask for all of them."
    why = "A model that is asked only at masks owes nothing to the tokens it can see, and later there are no masks."
    try_next = "Draw `fate` for a million tokens and count: which shares does your function give?"
    returns = ("input_ids", "labels")
    wrong_ways = mistakes.HIDE_TOKENS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw many chosen tokens, few, all and none."""
        batch, n, _ = draw_sizes(generator, 3)
        batch, n = batch + 2, n + 30
        for share, about in ((0.5, ""), (0.15, "few tokens are chosen"), (1.0, "every token is chosen"), (0.0, "none")):
            chosen = torch.rand(batch, n, generator=generator) < share
            fate = torch.rand(batch, n, generator=generator)
            yield Case((_ids(generator, batch, n), chosen, fate, _ids(generator, batch, n), 40), about=about)

    def reference(
        self, input_ids: Tensor, chosen: Tensor, fate: Tensor, drawn: Tensor, mask_id: int
    ) -> tuple[Tensor, Tensor]:
        """Decide one token at a time."""
        hidden, labels = input_ids.clone(), torch.full_like(input_ids, -100)
        for row, t in chosen.nonzero().tolist():
            labels[row, t] = input_ids[row, t]
            if fate[row, t] < 0.8:
                hidden[row, t] = mask_id
            elif fate[row, t] < 0.9:
                hidden[row, t] = drawn[row, t]
        return hidden, labels


class ChooseWords(Exercise):
    """Whole-word masking: all pieces of a word, or none."""

    slug = "objectives"
    signature = "choose_words(word_starts, maskable, luck, share)"
    title = "Whole words"
    points = 3
    minutes = 25
    difficulty = 4
    objective = "Choose words to hide, with all their pieces, by the luck of their first piece."
    why = "Hide one piece of `hand ##le ##bar`, and the others give it away: the question is too easy to teach much."
    try_next = "Over many draws, is the share of hidden pieces still `share`? Does it vary more?"
    wrong_ways = mistakes.CHOOSE_WORDS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw words of one to four pieces between special tokens, long words, and single pieces."""
        batch, n, _ = draw_sizes(generator, 3)
        batch, n = batch + 3, n + 24

        def arguments(starting: float, share: float) -> tuple:
            starts = torch.rand(batch, n, generator=generator) < starting
            maskable = torch.ones(batch, n, dtype=torch.bool)
            middle = n // 2 + torch.randint(-3, 4, (batch,), generator=generator)
            for row, place in enumerate(middle.tolist()):
                starts[row, [0, place, n - 1]] = maskable[row, [0, place, n - 1]] = False
                starts[row, [1, place + 1]] = True
            return starts, maskable, torch.rand(batch, n, generator=generator), share

        yield Case(arguments(0.4, 0.5))
        yield Case(arguments(0.6, 0.15), about="few words are chosen")
        yield Case(arguments(0.1, 0.5), about="long words")
        yield Case(arguments(1.1, 0.4), about="every piece is a word")

    def reference(self, word_starts: Tensor, maskable: Tensor, luck: Tensor, share: float) -> Tensor:
        """Walk along each row, and remember the word."""
        chosen = torch.zeros_like(maskable)
        for row in range(len(luck)):
            is_chosen = False
            for t in range(luck.shape[1]):
                if word_starts[row, t]:
                    is_chosen = bool(luck[row, t] < share)
                chosen[row, t] = is_chosen and bool(maskable[row, t])
        return chosen


class MakePair(Exercise):
    """A row for next-sentence prediction."""

    slug = "objectives"
    signature = "make_pair(documents, place, partner, is_random, cls_id, sep_id)"
    title = "Does it follow?"
    points = 3
    minutes = 15
    difficulty = 2
    objective = "Put a sentence and the next one, or a random one, into a row, with its segments and its label."
    why = "BERT's second question needs nothing but sentences in order, and its labels cost nothing."
    try_next = "Draw partners from the same document. Is the question harder?"
    returns = ("input_ids", "token_type_ids", "label")
    wrong_ways = mistakes.MAKE_PAIR

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw pairs of both kinds, anywhere in the documents."""

        def number(low: int, high: int) -> int:
            return int(torch.randint(low, high, (), generator=generator))

        for is_random in (False, True, False, True):
            documents = [
                [_ids(generator, number(1, 6), low=10).tolist() for _ in range(number(3, 6))] for _ in range(4)
            ]
            for tens, document in enumerate(documents):  # no two sentences are alike
                for i, sentence in enumerate(document):
                    sentence.append(50 + 10 * tens + i)
            first, second = number(0, 2), number(2, 4)
            # The next document has this place too, so that who looks there by mistake finds something.
            place = (first, number(0, min(len(documents[first]) - 1, len(documents[first + 1]))))
            other = number(0, len(documents[second]) - 2)
            # Never the place's own number: the partner would be what stands there in the next document.
            partner = (second, other + (other >= place[1]))
            about = "a random partner" if is_random else "the true next sentence"
            yield Case((documents, place, partner, is_random, 1, 2), about=about)

    def reference(
        self,
        documents: list[list[Ids]],
        place: tuple[int, int],
        partner: tuple[int, int],
        is_random: bool,
        cls_id: int,
        sep_id: int,
    ) -> tuple[Ids, Ids, int]:
        """Build the row token by token."""
        document, number = place
        other, other_number = partner if is_random else (document, number + 1)
        ids, kinds = [cls_id], [0]
        for kind, sentence in enumerate((documents[document][number], documents[other][other_number])):
            for token in (*sentence, sep_id):
                ids.append(token)
                kinds.append(kind)
        return ids, kinds, int(is_random)


def _draw_text(generator: torch.Generator, n: int, share: float) -> tuple[Ids, list[bool]]:
    """Draw tokens, and which of them hide: at least two spans, one of them of two tokens or more."""
    hidden = torch.rand(n, generator=generator) < share
    hidden[[1, 2, 5]] = True
    hidden[[0, 3, 4, 6]] = False
    return _ids(generator, n, low=10).tolist(), hidden.tolist()


class CutSpans(Exercise):
    """Span corruption: what T5 reads, and what it must write."""

    slug = "objectives"
    signature = "cut_spans(tokens, hidden, sentinels, end_id)"
    title = "Cut spans out"
    points = 4
    minutes = 30
    difficulty = 4
    objective = "Replace each hidden span by a mark of its own, and write down what is behind the marks."
    why = "One mark a span makes the text shorter, and the answer as short as what was hidden."
    try_next = "How long are both texts together, compared with the original? When is that shortest?"
    returns = ("read", "written")
    wrong_ways = mistakes.CUT_SPANS
    error_hints = (ErrorHint("list index out of range", "there is one mark for each span, and one to end with"),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw spans of several lengths, at both ends of the text, and a text of which nothing hides."""
        sentinels = list(range(100, 80, -1))
        n = 14 + draw_sizes(generator, 1)[0]
        for share, about in ((0.3, ""), (0.0, "two spans"), (0.3, "spans at both ends")):
            tokens, hidden = _draw_text(generator, n, share)
            if about == "spans at both ends":
                hidden[0] = hidden[-1] = True
            yield Case((tokens, hidden, sentinels, 1), about=about)
        yield Case((_ids(generator, 4, low=10).tolist(), [False] * 4, sentinels, 1), about="nothing hides")

    def reference(self, tokens: Ids, hidden: list[bool], sentinels: Ids, end_id: int) -> tuple[Ids, Ids]:
        """Walk along the text; a mark goes into both texts where a span begins."""
        read, written, used = [], [], 0
        for i, (token, hides) in enumerate(zip(tokens, hidden, strict=True)):
            if not hides:
                read.append(token)
                continue
            if i == 0 or not hidden[i - 1]:
                read.append(sentinels[used])
                written.append(sentinels[used])
                used += 1
            written.append(token)
        return [*read, end_id], [*written, sentinels[used], end_id]


class FillSpans(Exercise):
    """The way back: put a model's answer into the holes."""

    slug = "objectives"
    signature = "fill_spans(read, written, sentinels, end_id)"
    title = "Put the spans back"
    points = 2
    minutes = 20
    difficulty = 3
    objective = "Put what was written behind each mark in the place of that mark."
    why = "If the original comes back, nothing was lost; and a model's answer becomes a text that you can read."
    try_next = "Cut and fill a text of your own, twenty times with other spans. Does it always come back?"
    wrong_ways = mistakes.FILL_SPANS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw whole answers, answers in another order, and answers that leave a hole."""
        sentinels = [100, 99, 98, 97, 96, 95, 94, 93]

        def parts() -> tuple[Ids, list[Ids]]:
            n = 3 + int(torch.randint(2, (), generator=generator))
            spans = [_ids(generator, 2, low=10).tolist() for _ in range(n)]
            spans[1] = spans[1][:1]
            read = [t for i in range(n) for t in (*_ids(generator, 2, low=10).tolist(), sentinels[i])]
            return [*read, *_ids(generator, 2, low=10).tolist(), 1], spans

        def written(spans: list[Ids], order: list[int]) -> Ids:
            return [*(t for i in order for t in (sentinels[i], *spans[i])), sentinels[len(spans)], 1]

        read, spans = parts()
        yield Case((read, written(spans, list(range(len(spans)))), sentinels, 1))
        read, spans = parts()
        yield Case(
            (read, written(spans, list(range(len(spans)))[::-1]), sentinels, 1), about="answers in another order"
        )
        read, spans = parts()
        yield Case((read, written(spans, [0, *range(2, len(spans))]), sentinels, 1), about="one hole without an answer")

    def reference(self, read: Ids, written: Ids, sentinels: Ids, end_id: int) -> Ids:
        """Look for each mark in the answer, and read on to the next mark."""
        text = []
        for token in read:
            if token not in sentinels:
                text.append(token)
            elif token in written:
                for answer in written[written.index(token) + 1 :]:
                    if answer in sentinels or answer == end_id:
                        break
                    text.append(answer)
        return [token for token in text if token != end_id]


class AskedOnly(Exercise):
    """The head of a masked language model, computed where it is asked."""

    slug = "objectives"
    signature = "asked_only(vectors, labels)"
    title = "Only where it is asked"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Take, out of a batch, the vectors at the labelled positions, and their labels."
    why = "Scoring every word of a vocabulary is a model's dearest step, and 85 positions of 100 are not asked."
    try_next = "How many of BERT-base's multiplications for a row of 128 tokens does that save?"
    returns = ("vectors", "labels")
    wrong_ways = mistakes.ASKED_ONLY

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw some labelled positions, among them token 0; one; all; and none."""
        batch, n, d = draw_sizes(generator, 3)
        batch, n = batch + 2, n + 6

        def arguments(share: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
            labels = _ids(generator, batch, n)
            labels[torch.rand(batch, n, generator=generator) >= share] = -100
            return draw(generator, batch, n, d, dtype=dtype), labels

        vectors, labels = arguments(0.3)
        labels[0, 1], labels[-1, 2], labels[1, 0] = 0, 3, 5
        labels[0, 0] = labels[0, 2] = -100
        yield Case((vectors, labels))
        yield Case(arguments(0.15, torch.float64))
        yield Case(arguments(1.1), about="every position is labelled")
        yield Case(arguments(0.0), about="no position is labelled")

    def reference(self, vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Go through the rows one after the other."""
        places = [(i, t) for i, row in enumerate(labels.tolist()) for t, label in enumerate(row) if label != -100]
        if not places:
            return vectors[0, :0], labels[0, :0]
        return torch.stack([vectors[place] for place in places]), torch.stack([labels[place] for place in places])


class WhatAWrongMeanCosts(OpenQuestion):
    """A small experiment to report on."""

    slug = "objectives"
    signature = "what_a_wrong_mean_costs()"
    title = "What a wrong mean costs"
    points = 6
    minutes = 45
    difficulty = 4
    objective = "Train the same model with three means of the loss, measure all of them rightly, and report."
    why = "A wrong loss seldom crashes: the curve falls, and only a measurement tells."
    try_next = "Sort the texts by length before you cut them into batches. Which mean gains most?"


EXERCISES = (
    NextLabels(),
    MeanTokenLoss(),
    HideTokens(),
    ChooseWords(),
    AskedOnly(),
    MakePair(),
    CutSpans(),
    FillSpans(),
    WhatAWrongMeanCosts(),
)
