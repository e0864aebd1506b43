"""The exercises of the fine-tuning lab: what is put on a pretrained model, how it is trained, and how it is judged."""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.exercises.inputs import draw, draw_sizes
from companion.exercises.mistakes import finetuning as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion, Refusal

IGNORED = -100
KNOWN = ("film", "health", "law", "music", "politics", "science", "sport", "travel")
UNKNOWN = ("chess", "fashion", "gardens", "recipes", "weather")


def _integer(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def _integers(generator: torch.Generator, low: int, high: int, count: int) -> list[int]:
    return torch.randint(low, high + 1, (count,), generator=generator).tolist()


def _shuffled(generator: torch.Generator, items: list[Any]) -> list[Any]:
    return [items[i] for i in torch.randperm(len(items), generator=generator).tolist()]


class LabelNumbers(Exercise):
    """Labels as numbers, and an error for those that training never saw."""

    slug = "finetuning"
    signature = "label_numbers(labels, names)"
    title = "Names become numbers"
    points = 2
    minutes = 10
    difficulty = 1
    objective = "Turn labels into the numbers of their classes, and refuse those that training never saw."
    why = "A label that silently gets the wrong number, or none, spoils a result that still looks like one."
    try_next = "Which other slips would your function let pass: a capital letter, a space at the end?"
    wrong_ways = mistakes.LABEL_NUMBERS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw labels without the first class in the alphabet, one label, and labels that training never saw."""
        chosen = sorted(_shuffled(generator, list(KNOWN))[:6])
        names = [chosen[i] for i in (3, 0, 5, 1, 4, 2)]
        # The first in the alphabet is missing, so that numbers made from these labels are wrong.
        rest = _shuffled(generator, [chosen[i] for i in (1, 2, 3, 5, 3, 2)])
        yield Case(([chosen[4], *rest, chosen[4]], names))
        yield Case(([chosen[5]], names), about="a single label")
        unknown = _shuffled(generator, list(UNKNOWN))
        yield Case(([chosen[2], unknown[0], chosen[4]], names), about="a label that training never saw")
        several = [chosen[1], unknown[1], chosen[0], unknown[2], unknown[1]]
        yield Case((several, names), about="two labels that training never saw")

    def reference(self, labels: list[str], names: list[str]) -> list[int] | Refusal:
        """Look each up; name all that are not there."""
        unseen = tuple(dict.fromkeys(label for label in labels if label not in names))
        return Refusal("ValueError", unseen) if unseen else [names.index(label) for label in labels]


class MeanOfTokens(Exercise):
    """One vector a text, in which padding has no part."""

    slug = "finetuning"
    signature = "mean_of_tokens(hidden, attention_mask)"
    title = "One vector for a text"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Average the vectors of a text's tokens, and leave padding out."
    why = "If padding counts, a text's class depends on the texts that happen to share its batch."
    try_next = "Put a text beside a longer one. Does its vector change, with your mask and without any?"
    wrong_ways = mistakes.MEAN_OF_TOKENS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw padding on the right, on the left and none, and a text of one token."""
        batch, d_model = draw_sizes(generator, 2)
        longest = _integer(generator, 8, 10)

        def hidden(n_rows: int, dtype: torch.dtype = torch.float64) -> Tensor:
            # Far from zero, so that what counts padding as zeros does not come near.
            return 1 + draw(generator, n_rows, longest, d_model, dtype=dtype)

        def mask(lengths: list[int]) -> Tensor:
            return (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()

        lengths = [longest, *_integers(generator, 3, longest - 2, batch)]
        yield Case((hidden(batch + 1), mask(lengths)))
        yield Case((hidden(batch + 1, torch.float32), mask(lengths)))
        yield Case((hidden(batch + 1), mask(lengths).flip(1)), about="padding on the left")
        yield Case((hidden(batch + 1), mask([longest] * (batch + 1))), about="no padding")
        yield Case((hidden(2), mask([1, longest])), about="a text of a single token")

    def reference(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Take the tokens of each text out and average them."""
        return torch.stack([row[kept.bool()].mean(0) for row, kept in zip(hidden, attention_mask, strict=True)])


class WeightedLoss(Exercise):
    """The loss of a classifier whose classes are not equally frequent."""

    slug = "finetuning"
    signature = "weighted_loss(logits, labels, weights)"
    title = "Rare classes count more"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Average the surprise at the right classes, each example weighed by its class."
    why = "If one message of eight is spam, a model that never says spam is right seven times of eight."
    try_next = "Which weights make every class count the same in all? Check that a loss with them is fair to both."
    wrong_ways = mistakes.WEIGHTED_LOSS
    error_hints = (
        ErrorHint("out of bounds", mistakes.MINUS_HUNDRED),
        ErrorHint("out of range", mistakes.MINUS_HUNDRED),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw scores in both precisions, examples without a label, huge scores, and a single example."""
        n_classes = _integer(generator, 3, 5)
        weights = torch.tensor([0.37, 2.03, 0.71, 3.13, 1.41])[:n_classes]

        def arguments(n_rows: int, dtype: torch.dtype = torch.float64, scale: float = 1.5) -> list[Tensor]:
            labels = torch.tensor([0, 1, 2, *_integers(generator, 0, n_classes - 1, n_rows)])
            logits = scale * draw(generator, len(labels), n_classes, dtype=dtype)
            return [logits, labels, weights.to(dtype)]

        yield Case(tuple(arguments(_integer(generator, 5, 9))))
        yield Case(tuple(arguments(_integer(generator, 5, 9), torch.float32)))
        logits, labels, some = arguments(6)
        labels[torch.tensor([1, 4])] = IGNORED
        yield Case((logits, labels, some), about="two examples without a label, -100")
        logits, labels, some = arguments(4, scale=20.0)
        logits[0, labels[0]] -= 3000.0  # its probability is 0 in any precision
        logits[1] += 3000.0  # and these have an infinite exponential
        yield Case((logits, labels, some), about="scores of thousands")
        yield Case(tuple(each[:1] if i < 2 else each for i, each in enumerate(arguments(1))), about="a single example")

    def reference(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """Ask torch."""
        return F.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORED)


class LayerRates(Exercise):
    """A learning rate for each weight, by how far it is from the head."""

    slug = "finetuning"
    signature = "layer_rates(names, n_blocks, rate, decay, head_rate)"
    title = "A rate for every layer"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Give every weight a learning rate: high in the new head, and lower from block to block."
    why = (
        "The bottom of a pretrained model needs hardly any change and the head knows nothing; and an optimizer "
        "changes only what it is given."
    )
    try_next = "With six blocks and a decay of 0.8, by how much less does the embedding move than the topmost block?"
    wrong_ways = mistakes.LAYER_RATES

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw models of a few blocks and of more than ten, and one without decay."""

        def names(n_blocks: int) -> list[str]:
            blocks = [
                f"body.encoder.blocks.{i}.{part}"
                for i in range(n_blocks)
                for part in ("attention.query.weight", "feed_forward.up.bias")
            ]
            embeddings = ["body.token_embedding.weight", "body.position_embedding.weight", "body.embedding_norm.bias"]
            return [*embeddings, *blocks, "head.weight", "head.bias"]

        def rates() -> tuple[float, float, float]:
            # Numbers so short that a message which repeats them tells nothing of the answer.
            return _integer(generator, 2, 5) / 10, _integer(generator, 6, 9) / 10, float(_integer(generator, 2, 7))

        few = _integer(generator, 4, 6)
        yield Case((names(few), few, *rates()))
        many = _integer(generator, 11, 13)
        yield Case((names(many), many, *rates()), about="more than ten blocks")
        rate, _, head_rate = rates()
        yield Case((names(few), few, rate, 1.0, head_rate), about="no decay")
        yield Case((_shuffled(generator, names(few)), few, *rates()), about="names in another order")

    def reference(
        self, names: list[str], n_blocks: int, rate: float, decay: float, head_rate: float
    ) -> dict[str, float]:
        """Go down from the head, and multiply once more at every block."""
        rates = {name: head_rate for name in names if name.startswith("head.")}
        for i in reversed(range(n_blocks)):
            rates |= {name: rate for name in names if name.startswith(f"body.encoder.blocks.{i}.")}
            rate *= decay
        below = {name: rate for name in names if name not in rates}
        return {name: (rates | below)[name] for name in names}


class AlignTags(Exercise):
    """One label a word, on a model that reads pieces of words."""

    slug = "finetuning"
    signature = "align_tags(words, tags)"
    title = "A tag for each piece"
    points = 2
    minutes = 15
    difficulty = 2
    objective = "Put each word's tag at its first piece, and a tag that every loss ignores everywhere else."
    why = "People label words and models read pieces; a tag that slips by one piece teaches nonsense without an error."
    try_next = "Label every piece instead. Which words then count more than others?"
    wrong_ways = mistakes.ALIGN_TAGS
    error_hints = (ErrorHint("list index out of range", mistakes.TAGS_BY_PIECE),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw words of one and of several pieces, neighbours of one tag, a text that was cut off, and padding."""

        def pieces(counts: list[int]) -> list[int]:
            return [-1, *(word for word, count in enumerate(counts) for _ in range(count)), -1]

        a, b, c = _shuffled(generator, [1, 2, 3, 4])[:3]
        # Two neighbours of one tag; the last word has one that a special token must not take.
        counts = [_integer(generator, 1, 2), 3, 1, _integer(generator, 2, 3), 2]
        tags = [b, a, c, c, b]
        yield Case((pieces(counts), tags))
        yield Case((pieces([1] * 6), [a, b, 0, c, b, a]), about="every word is one piece")
        yield Case(([*pieces(counts)[:-3], -1], [*tags, a, b]), about="the end of the text was cut off")
        yield Case(([*pieces(counts), -1, -1, -1], tags), about="padding behind the text")

    def reference(self, words: list[int], tags: list[int]) -> list[int]:
        """Note where each word stands first."""
        labels = [IGNORED] * len(words)
        for word in set(words) - {-1}:
            labels[words.index(word)] = tags[word]
        return labels


class BestSpan(Exercise):
    """The best answer that is one."""

    slug = "finetuning"
    signature = "best_span(first, last, is_context, longest)"
    title = "The best answer that is one"
    points = 3
    minutes = 25
    difficulty = 4
    objective = "Choose the stretch with the highest sum of its two scores among those that can be an answer."
    why = "The likeliest beginning and the likeliest end need not belong to the same answer."
    try_next = "How often do two random score vectors of 50 tokens have their best end before their best beginning?"
    returns = ("first", "last")
    wrong_ways = mistakes.BEST_SPAN

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Plant peaks: an end before its beginning, too long an answer, one outside the text, one of a single token."""

        def scores(n: int, peaks: dict[int, float]) -> Tensor:
            noise = torch.rand(n, generator=generator, dtype=torch.float64)
            for place, height in peaks.items():
                noise[place] = height
            return noise

        def case(
            n: int,
            first: dict[int, float],
            last: dict[int, float],
            longest: int,
            about: str = "",
            *,
            question: tuple[float, float] = (0.5, 0.5),
            end: float = 0.0,
            down: float = 0.0,
            dtype: torch.dtype = torch.float64,
        ) -> Case:
            """Put a question before the text and a separator behind it, which hold no answer."""
            k = _integer(generator, 3, 6)
            # All differ, so that even a wrong answer is one of a kind.
            before = [torch.linspace(height - 0.5, height, k, dtype=torch.float64) for height in question]
            behind = [torch.tensor([height], dtype=torch.float64) for height in (0.0, end)]
            peaks = [scores(n, first), scores(n, last)]
            both = [(torch.cat(parts) - down).to(dtype) for parts in zip(before, peaks, behind, strict=True)]
            return Case((*both, torch.tensor([0] * k + [1] * n + [0]), longest), about=about)

        yield case(10, {4: 5.0}, {6: 5.0}, 6)
        yield case(
            11, {8: 6.0, 4: 5.0, 2: 3.0}, {3: 6.0, 6: 5.0, 9: 3.0}, 4, "the best end is before the best beginning"
        )
        yield case(13, {2: 6.0, 5: 5.0}, {11: 6.0, 6: 5.0, 0: 7.0}, 3, "the two best make a stretch that is too long")
        yield case(
            11, {1: 6.5, 3: 6.0, 8: 5.0}, {0: 7.0, 6: 6.0, 9: 5.0}, 3, "the two best make a stretch one token too long"
        )
        yield case(11, {1: 5.0, 8: 4.0}, {4: 5.0, 8: 4.0}, 4, "the best stretch is as long as it may be")
        yield case(9, {5: 5.0, 2: 4.0}, {5: 5.0, 3: 4.0}, 3, "the best stretch is a single token")
        yield case(9, {4: 5.0}, {5: 5.0}, 3, "the highest scores are outside the text", question=(7.0, 7.0))
        yield case(9, {6: 5.0}, {7: 5.0}, 5, "an end behind the text has a high score", end=8.0, question=(7.0, 7.0))
        yield case(
            9,
            {3: 5.0, 8: 4.0},
            {4: 5.0, 0: 4.0},
            4,
            "a beginning before the text has a high score",
            end=9.0,
            question=(8.0, 0.5),
        )
        yield case(10, {4: 5.0}, {6: 5.0}, 5, "all scores are below zero", down=20.0, question=(19.0, 19.0))
        yield case(10, {3: 5.0}, {4: 5.0}, 4, "single precision", dtype=torch.float32)

    def reference(self, first: Tensor, last: Tensor, is_context: Tensor, longest: int) -> tuple[int, int]:
        """Try all."""
        inside = is_context.nonzero().flatten().tolist()
        spans = [(i, j) for i in inside for j in inside if i <= j < i + longest]
        return max(spans, key=lambda span: float(first[span[0]] + last[span[1]]))


class TrainHead(Exercise):
    """A training loop, written out."""

    slug = "finetuning"
    signature = "train_head(features, labels, weight, bias, batches, lr)"
    title = "The loop behind every trainer"
    points = 4
    minutes = 30
    difficulty = 3
    objective = "Train a linear head on a frozen body's vectors, step by step, and record the losses."
    why = "Everything that a trainer does for you is in these five lines, and so are the mistakes it keeps you from."
    try_next = "Call it twice with the same batches, then from where it ended. Do the losses go on falling?"
    returns = ("weight", "bias", "losses")
    wrong_ways = mistakes.TRAIN_HEAD

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw several batches of unequal size, one batch, and a batch that comes twice."""
        n_classes, n_features = _integer(generator, 3, 4), _integer(generator, 5, 7)
        n_rows = 11

        def arguments(batches: list[list[int]], dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
            labels = torch.tensor([*range(n_classes), *_integers(generator, 0, n_classes - 1, n_rows - n_classes)])
            order = torch.randperm(n_rows, generator=generator)
            features = 1.5 * draw(generator, n_rows, n_features, dtype=dtype)
            weight, bias = draw(generator, n_classes, n_features, dtype=dtype), draw(generator, n_classes, dtype=dtype)
            return features, labels[order], 0.3 * weight, 0.3 * bias, batches, _integer(generator, 3, 6) / 10

        rows = torch.randperm(n_rows, generator=generator).tolist()
        cut = [rows[:4], rows[4:7], rows[7:]]
        yield Case(arguments(cut))
        yield Case(arguments(cut, torch.float32))
        yield Case(arguments([rows[2:7]]), about="one step")
        yield Case(arguments([rows[:5], rows[5:6], rows[:5]]), about="a batch that comes twice")

    def reference(
        self, features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, batches: list[list[int]], lr: float
    ) -> tuple[Tensor, Tensor, list[float]]:
        """Let torch's own layer, loss and optimizer do it."""
        layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta").to_empty(device="cpu").to(weight.dtype)
        layer.load_state_dict({"weight": weight, "bias": bias})
        optimizer = torch.optim.SGD(layer.parameters(), lr=lr)
        losses = []
        with torch.enable_grad():
            for rows in batches:
                loss = nn.functional.cross_entropy(layer(features[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        return layer.weight.detach(), layer.bias.detach(), losses


class CalibrationError(Exercise):
    """By how much probabilities miss the share that is right."""

    slug = "finetuning"
    signature = "calibration_error(probabilities, labels, n_bins)"
    title = "Does 90 percent mean 90 percent?"
    points = 3
    minutes = 25
    difficulty = 3
    objective = "Sort predictions by their probability, and measure how far that is from the share that is right."
    why = "A threshold, a cost or a person can use a probability only if it means what it says."
    try_next = "Divide the logits by 2, or by 1/2, before the softmax. What happens to the accuracy, and to this error?"
    wrong_ways = mistakes.CALIBRATION_ERROR

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw over-confident predictions in both precisions, few examples for many bins, and two classes."""

        def arguments(n_rows: int, n_classes: int, n_bins: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
            # The confidences keep clear of the borders of the bins, which may belong to either side.
            place = torch.rand(n_rows, generator=generator, dtype=torch.float64) * 0.8 + 0.1
            lowest = math.floor(n_bins / n_classes) + 1
            first = [lowest + 1, lowest + 1, *range(lowest, n_bins)][:n_rows]
            bins = torch.tensor([*first, *_integers(generator, lowest, n_bins - 1, n_rows - len(first))])
            place[1] = place[0]  # alike, and one of them is right: no bins can part them
            top = (bins + place) / n_bins
            others = torch.rand(n_rows, n_classes - 1, generator=generator, dtype=torch.float64) * 0.2 + 1.0
            best = torch.tensor(_integers(generator, 0, n_classes - 1, n_rows))
            rest = others / others.sum(1, keepdim=True) * (1 - top[:, None])
            columns = (best[:, None] + torch.arange(n_classes)) % n_classes
            probabilities = torch.zeros(n_rows, n_classes, dtype=torch.float64)
            probabilities.scatter_(1, columns, torch.cat([top[:, None], rest], 1))
            # Too modest at the bottom and too sure at the top, so that the gaps cancel out if they may.
            hit = (bins == lowest) | ((bins < n_bins - 1) & (place < 0.5))
            hit[:2] = torch.tensor([True, False])
            labels = torch.where(hit, best, (best + 1) % n_classes)
            return probabilities.to(dtype), labels, n_bins

        yield Case(arguments(2 * _integer(generator, 12, 15) + 1, 3, 7), tolerance=1e-6)
        yield Case(arguments(2 * _integer(generator, 12, 15) + 1, 3, 7, torch.float32))
        yield Case(arguments(5, 3, 17), about="more bins than examples", tolerance=1e-6)
        yield Case(arguments(_integer(generator, 20, 30), 2, 9), about="two classes", tolerance=1e-6)

    def reference(self, probabilities: Tensor, labels: Tensor, n_bins: int) -> float:
        """Add up, bin by bin, what was promised and what was kept."""
        confidence, predicted = probabilities.max(1)
        gaps: dict[int, float] = {}
        for sure, right in zip(confidence.tolist(), (predicted == labels).tolist(), strict=True):
            number = math.ceil(sure * n_bins)
            gaps[number] = gaps.get(number, 0.0) + sure - right
        return sum(map(abs, gaps.values())) / len(labels)


class McNemarTest(Exercise):
    """Whether one of two classifiers is better, or only luckier."""

    slug = "finetuning"
    signature = "mcnemar_test(labels, first, second)"
    title = "Better, or luckier?"
    points = 2
    minutes = 20
    difficulty = 3
    objective = "Compute how often chance alone would make two classifiers disagree as unequally as these."
    why = "Two models on one test set share its easy and its hard examples; only where they differ is there news."
    try_next = "Both are right on 900 of 1,000, then 910 of the second. Is that a difference? What else must you know?"
    returns = ("only_first", "only_second", "p_value")
    wrong_ways = mistakes.MCNEMAR_TEST

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw two classifiers, each better once; equally good ones; and two that never differ."""

        def arguments(only_first: int, only_second: int, both: int, neither: int) -> tuple[list[str], ...]:
            rows = []
            for count, (is_first, is_second) in (
                (only_first, (True, False)),
                (only_second, (False, True)),
                (both, (True, True)),
                (neither, (False, False)),
            ):
                rows += [(is_first, is_second)] * count
            labels = [("praise", "blame", "neither")[i] for i in _integers(generator, 0, 2, len(rows))]
            wrong = {"praise": "blame", "blame": "neither", "neither": "praise"}
            other = {"praise": "neither", "blame": "praise", "neither": "blame"}
            table = [
                (label, label if a else wrong[label], label if b else (other if i % 2 else wrong)[label])
                for i, (label, (a, b)) in enumerate(zip(labels, _shuffled(generator, rows), strict=True))
            ]
            return tuple([row[i] for row in table] for i in range(3))

        few, more = _integer(generator, 2, 3), _integer(generator, 7, 9)
        yield Case(arguments(few, more, 19, 5), tolerance=1e-9)
        yield Case(arguments(more + 3, few + 1, 13, 4), about="the first is the better one", tolerance=1e-9)
        yield Case(arguments(4, 4, 9, 3), about="both are right equally often", tolerance=1e-9)
        yield Case(arguments(0, 0, 7, 3), about="both are right on the same examples", tolerance=1e-9)
        yield Case(arguments(0, 5, 8, 3), about="one is right wherever the other is", tolerance=1e-9)

    def reference(self, labels: list[str], first: list[str], second: list[str]) -> tuple[int, int, float]:
        """Ask SciPy how likely so unequal a row of coin tosses is."""
        import scipy.stats

        hits = [[a == b for a, b in zip(labels, one, strict=True)] for one in (first, second)]
        only_first = sum(a and not b for a, b in zip(*hits, strict=True))
        only_second = sum(b and not a for a, b in zip(*hits, strict=True))
        if only_first == only_second == 0:
            return 0, 0, 1.0
        return only_first, only_second, float(scipy.stats.binomtest(only_first, only_first + only_second).pvalue)


class WhoHasToLearn(OpenQuestion):
    """A small experiment to report on."""

    slug = "finetuning"
    signature = "who_has_to_learn()"
    title = "Who has to learn?"
    points = 6
    minutes = 45
    difficulty = 4
    objective = "Measure what is lost when the head, the body or the pretraining is left out, and draw it."
    why = "The optimizer of a widely copied example never got the classifier, and hardly anybody noticed."
    try_next = "Repeat it with a tenth of the examples, and with ten times as many. Which differences shrink?"


EXERCISES = (
    LabelNumbers(),
    MeanOfTokens(),
    WeightedLoss(),
    LayerRates(),
    AlignTags(),
    BestSpan(),
    TrainHead(),
    CalibrationError(),
    McNemarTest(),
    WhoHasToLearn(),
)
