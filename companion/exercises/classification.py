"""The exercises of the classification lab: what stands around a classifier, and decides what its score is worth."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.inputs import draw, draw_sizes
from companion.exercises.mistakes import classification as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion
from companion.exercises.values import agree

_SYLLABLES = ("ka", "lo", "mi", "ru", "te", "sho", "va", "ne", "pi", "do")


def _integer(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def _words(generator: torch.Generator, n: int) -> list[str]:
    """Draw words that differ from each other and are made of two or three syllables."""
    found: dict[str, None] = {}
    while len(found) < n:
        chosen = torch.randint(len(_SYLLABLES), (_integer(generator, 2, 3),), generator=generator)
        found["".join(_SYLLABLES[i] for i in chosen.tolist())] = None
    return list(found)


def _telling(exercise: Exercise, make: Callable[[], Case], *needed: str, tolerance: float = 1e-9) -> Case:
    """Draw until no two known mistakes give one answer, and those whose phrases begin like this give a wrong one.

    A tolerance ten times that of the check, and more, keeps a mistake from being nearly right by chance.
    """
    while True:
        case = make()
        right = exercise.reference(*case.args)
        found = [(way.phrase, way.compute(*case.args)) for way in exercise.wrong_ways]
        wrong = [(phrase, value) for phrase, value in found if not agree(value, right, tolerance)]
        ambiguous = any(
            phrase != other and agree(value, answer, tolerance)
            for (phrase, value), (other, answer) in itertools.combinations(wrong, 2)
        )
        asked = [phrase for phrase, _ in found if phrase.startswith(needed)]
        if not ambiguous and {*asked} <= {phrase for phrase, _ in wrong}:
            return case


class SplitDistinct(Exercise):
    """Drop repeats and contradictions, then split."""

    slug = "classification"
    signature = "split_distinct(texts, labels, every)"
    title = "Nothing seen twice"
    points = 3
    minutes = 20
    difficulty = 2
    objective = "Drop repeated and contradictory texts, and only then set some apart for the test."
    why = "A test text that stood in the training data too asks for memory, and you wanted to measure reading."
    try_next = "Which near-repeats does your rule miss? Write down two pairs that a person would call the same text."
    returns = ("train", "test")
    wrong_ways = mistakes.SPLIT_DISTINCT

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw texts that repeat exactly, then also in other letters, with other spaces, and under another label."""
        n = _integer(generator, 12, 15)
        every = _integer(generator, 3, 4)
        words = _words(generator, 3 * n)
        plain = [" ".join(words[3 * i : 3 * i + 3]) for i in range(n)]
        labels = torch.randint(2, (n,), generator=generator).tolist()

        def case(repeats: list[tuple[str, int]], about: str) -> Case:
            # A repeat stands behind its first occurrence.
            rows, given = list(plain), list(labels)
            for text, label in repeats:
                place = _integer(generator, n // 2, len(rows))
                rows.insert(place, text)
                given.insert(place, label)
            return Case((rows, given, every), about=about)

        again = [(plain[i], labels[i]) for i in (0, 1, 2, 0)]
        other = [
            (plain[3].upper(), labels[3]),
            (f"  {plain[1]}\n", labels[1]),
            (plain[2].replace(" ", "  \t"), labels[2]),
            (plain[4].replace(" ", "", 1), labels[4]),
            (plain[5], 1 - labels[5]),
        ]
        yield _telling(self, lambda: case(again, "some texts are there twice"))
        mixed = "some repeat in other letters, with other white space, or under another label"
        starts = [way.phrase for way in self.wrong_ways]
        yield _telling(self, lambda: case([*again, *other], mixed), *starts)
        yield Case((plain, labels, every), about="no text repeats")

    def reference(self, texts: list[str], labels: list[int], every: int) -> tuple[list[int], list[int]]:
        """Compare each text with all others."""
        keys = [mistakes.same_text(text) for text in texts]
        kept = [
            row
            for row, key in enumerate(keys)
            if keys.index(key) == row
            and all(label == labels[row] for other, label in zip(keys, labels, strict=True) if other == key)
        ]
        test = kept[every - 1 :: every]
        return [row for row in kept if row not in test], test


class TfIdf(Exercise):
    """Weigh words by how rare they are."""

    slug = "classification"
    signature = "tf_idf(counts, seen)"
    title = "Rare words say more"
    points = 3
    minutes = 20
    difficulty = 2
    objective = "Weigh the words of texts by how rare they are in the training texts, and make every row as long."
    why = "This is the baseline that a pretrained model has to beat, and it is harder to beat than its age suggests."
    try_next = "Which word weighs most in a text of your own, and which least?"
    wrong_ways = mistakes.TF_IDF

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw texts to weigh, then some with a word that no training text has, and one without any word."""

        def texts(n: int, m: int) -> Tensor:
            counts = torch.randint(1, 5, (n, m), generator=generator)
            # A frequent word first, a rare one last; each row and each column has some word and misses another.
            present = torch.rand(n, m, generator=generator) < torch.linspace(0.9, 0.3, m)
            present[torch.arange(n), torch.arange(n) % m] = True
            present[torch.arange(m) % n, torch.arange(m)] = True
            present[torch.arange(m) % n, (torch.arange(m) + 1) % m] = False
            counts = counts * present
            counts[0, 0], counts[0, 2] = 3, 2
            return counts

        n_words = 7
        n_seen = _integer(generator, 11, 17)
        seen = texts(n_seen, n_words)
        yield Case((texts(5, n_words), seen))
        unknown = seen.clone()
        unknown[:, 2] = 0
        yield Case((texts(3, n_words), unknown), about="a word that no training text has")
        empty = texts(5, n_words)
        empty[_integer(generator, 1, 4)] = 0
        yield Case((empty, seen), about="a text without a known word")
        yield Case((seen, seen), about="the training texts themselves")
        yield Case((texts(5, n_words)[:1], seen), about="a single text")

    def reference(self, counts: Tensor, seen: Tensor) -> Tensor:
        """Go word by word through the logarithms."""
        n = len(seen)
        having = (seen > 0).sum(0).tolist()
        rarity = torch.tensor([1 + math.log1p(n) - math.log1p(df) for df in having], dtype=torch.float64)
        return F.normalize(counts.double() * rarity, dim=1).float()


class SoftmaxGradient(Exercise):
    """The gradient of softmax regression."""

    slug = "classification"
    signature = "softmax_gradient(features, labels, weight, bias, l2)"
    title = "Which way the weights should go"
    points = 4
    minutes = 25
    difficulty = 3
    objective = "Compute the gradient of a linear classifier's loss by hand, with a pull towards small weights."
    why = "The head on every fine-tuned model is this classifier, and its gradient is one subtraction."
    try_next = "Check one entry by moving that weight a little and looking at the loss."
    returns = ("weight", "bias")
    wrong_ways = mistakes.SOFTMAX_GRADIENT

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw texts in both precisions, a pull of nothing, one text, and scores that are very large."""
        n, d, k = draw_sizes(generator, 3)

        def arguments(n: int, dtype: torch.dtype = torch.float64, l2: float | None = None, scale: float = 1.0) -> tuple:
            labels = torch.randint(k, (n,), generator=generator)
            pull = round(0.1 + 0.8 * float(torch.rand((), generator=generator)), 1) if l2 is None else l2
            drawn = scale * draw(generator, n, d, dtype=dtype), labels
            return *drawn, draw(generator, k, d, dtype=dtype), draw(generator, k, dtype=dtype), pull

        yield Case(arguments(n))
        yield Case(arguments(n, torch.float32))
        yield Case(arguments(n, l2=0.0), about="nothing pulls")
        yield Case(arguments(1), about="a single text")
        yield Case(arguments(n, scale=1e4), about="very large scores")

    def reference(self, features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, l2: float) -> Any:
        """Ask autograd."""
        weight, bias = weight.detach().clone().requires_grad_(), bias.detach().clone().requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(F.linear(features, weight, bias), labels) + l2 / 2 * weight.square().sum()
        return torch.autograd.grad(loss, (weight, bias))


class ConfusionScores(Exercise):
    """Three scores from one table."""

    slug = "classification"
    signature = "confusion_scores(confusion)"
    title = "What accuracy hides"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Compute accuracy, macro F1 and Matthews' correlation from a confusion matrix of any size."
    why = "Where nine messages of ten are harmless, a classifier that says so of all ten is right nine times."
    try_next = "Ten thousand texts, one percent positive. Write a matrix with an accuracy of 0.99 and an F1 above 0.8."
    returns = ("accuracy", "f1", "mcc")
    wrong_ways = mistakes.CONFUSION_SCORES
    error_hints = (ErrorHint("division by zero", mistakes.NOTHING_BY_NOTHING),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw matrices of several and of two classes, a class that is never predicted, one that is never there."""

        def confusion(k: int) -> Tensor:
            # Uneven classes, and mostly right.
            drawn = torch.randint(1, 9, (k, k), generator=generator)
            return drawn * torch.arange(1, k + 1)[:, None] + torch.diag(torch.randint(9, 40, (k,), generator=generator))

        k = _integer(generator, 4, 6)
        yield _telling(self, lambda: Case((confusion(k),)), "the ", "large", "over all", "this is", tolerance=2e-4)
        yield Case((confusion(2),), about="two classes")
        missing = confusion(k)
        missing[:, 1] = 0
        yield Case((missing,), about="a class that is never predicted")
        absent = confusion(k)
        absent[2], absent[:, 2] = 0, 0
        yield Case((absent,), about="a class that is neither there nor predicted")
        share = _integer(generator, 3, 9)
        yield Case((torch.tensor([[100 - share, 0], [share, 0]]),), about="one class is predicted for all")

    def reference(self, confusion: Tensor) -> tuple[float, float, float]:
        """Deal out the texts one by one, and correlate the two columns of ones and zeros."""
        k = len(confusion)
        pairs = [(i, j) for i in range(k) for j in range(k) for _ in range(int(confusion[i, j]))]
        right, predicted = torch.tensor(pairs).unbind(1)
        accuracy = sum(i == j for i, j in pairs) / len(pairs)
        f1 = []
        for c in range(k):
            both = int(((right == c) & (predicted == c)).sum())
            either = int((right == c).sum()) + int((predicted == c).sum())
            f1.append(2 * both / either if either else 0.0)
        x, y = (F.one_hot(column, k).double() for column in (right, predicted))
        x, y = x - x.mean(0), y - y.mean(0)
        spread = math.sqrt(float((x * x).sum()) * float((y * y).sum()))
        return accuracy, sum(f1) / k, float((x * y).sum()) / spread if spread else 0.0


class CheapestThreshold(Exercise):
    """The threshold whose errors cost least."""

    slug = "classification"
    signature = "cheapest_threshold(labels, probabilities, false_alarm, miss)"
    title = "What an error costs"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Find the threshold from which on to flag a text, so that the errors together cost least."
    why = "A lost invitation is dearer than a read advertisement, and 0.5 knows nothing of it."
    try_next = "Choose on half of the texts and pay on the other half. How much more does it cost there?"
    returns = ("threshold", "cost")
    wrong_ways = mistakes.CHEAPEST_THRESHOLD

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw probabilities with ties, errors that cost very different amounts, and answers at both ends."""

        def arguments(n: int, costs: tuple[float, float]) -> tuple[Any, ...]:
            labels = torch.randint(2, (n,), generator=generator)
            labels[:2] = torch.tensor([0, 1])
            probabilities = torch.sigmoid((2 * labels - 1) * 0.7 + draw(generator, n))
            # Few decimals make ties, and none of them is a tenth.
            return labels, (probabilities * 20).round() / 20 * 0.9 + 0.043, *costs

        def one_of_the_other(
            costs: tuple[float, float], end: Callable[[Tensor], Tensor], label: int
        ) -> tuple[Any, ...]:
            labels, probabilities, *_ = arguments(31, costs)
            labels[probabilities == end(probabilities)] = label
            return labels, probabilities, *costs

        def telling(make: Callable[[], tuple[Any, ...]], about: str, *needed: str) -> Case:
            return _telling(self, lambda: Case(make(), about=about), *needed)

        n, dear = _integer(generator, 60, 90), float(_integer(generator, 4, 9))
        yield telling(
            lambda: arguments(n, (dear, 1.0)), "a false alarm is the dearer error", "the number of", "the best"
        )
        yield telling(lambda: arguments(n, (1.0, dear)), "a miss is the dearer error")
        very_dear = "a false alarm costs very much"
        yield telling(lambda: one_of_the_other((200.0, 1.0), torch.max, 0), very_dear, "to flag no")
        yield telling(lambda: one_of_the_other((1.0, 200.0), torch.min, 1), "a miss costs very much", "to flag every")
        # From the top down: one miss costs as much as two false alarms, so the second 1 and the third are as good.
        ranked = [1] * _integer(generator, 2, 4) + [0, 0, 1] + [0] * _integer(generator, 2, 4)
        order = torch.randperm(len(ranked), generator=generator)
        falling = 0.93 - torch.arange(len(ranked)) / 17
        yield Case((torch.tensor(ranked)[order], falling[order], 1.0, 2.0), about="two thresholds are as cheap")

    def reference(self, labels: Tensor, probabilities: Tensor, false_alarm: float, miss: float) -> tuple[float, float]:
        """Try each threshold, from the highest down."""
        best = math.inf, miss * int(labels.sum())
        for threshold in probabilities.unique().flip(0).tolist():
            cost = mistakes.total_cost(labels, probabilities, threshold, false_alarm, miss)
            best = (threshold, cost) if cost < best[1] else best
        return best


class LanguageScores(Exercise):
    """Guess the language from pieces of words."""

    slug = "classification"
    signature = "language_scores(text, counts, n)"
    title = "Three letters give it away"
    points = 3
    minutes = 25
    difficulty = 3
    objective = "Score languages by the pieces of a few characters that a text is made of."
    why = "No model is too small for this task, and a large one that does not know the language fails at it first."
    try_next = "How short may a text be until it is taken for the wrong language? Try names, too."
    wrong_ways = mistakes.LANGUAGE_SCORES
    error_hints = (ErrorHint("math domain error", mistakes.LOG_OF_NOTHING),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw languages of syllables, and texts with capitals, unknown pieces, a single letter, and great length."""
        n = _integer(generator, 2, 3)
        vocabulary = _words(generator, 21)

        def text(lexicon: list[str], n_words: int) -> str:
            chosen = torch.randint(len(lexicon), (n_words,), generator=generator)
            return " ".join(lexicon[i] for i in chosen.tolist())

        lexicons = {"north": vocabulary[:9], "south": vocabulary[7:16], "west": vocabulary[12:]}
        counts = {
            name: dict(Counter(mistakes.pieces_of(text(lexicon, 14 + 9 * i), n)))
            for i, (name, lexicon) in enumerate(lexicons.items())
        }
        # A piece twice in any case, and one of each kind at the borders.
        plain = f"{vocabulary[0]} {text(lexicons['south'], 4)} {vocabulary[0]}"
        yield Case((plain, counts, n))
        yield Case((text(lexicons["west"], 3).title(), counts, n), about="capital letters")
        yield Case((f"xyq {text(lexicons['north'], 2)} xyq", counts, n), about="pieces that no language has")
        yield Case(("A", counts, n), about="a single letter")
        yield Case((text(lexicons["south"], 250), counts, n), about="a long text")

    def reference(self, text: str, counts: dict[str, dict[str, int]], n: int) -> dict[str, float]:
        """Count the text's pieces, and weigh each logarithm by its count."""
        padded = " " + text.lower() + " "
        pieces = Counter(padded[i : i + n] for i in range(len(padded) - n + 1))
        different = len(set().union(*counts.values()))
        return {
            language: math.fsum(
                times * (math.log(known.get(piece, 0) + 1) - math.log(sum(known.values()) + different))
                for piece, times in pieces.items()
            )
            for language, known in counts.items()
        }


class LeaveOneOut(Exercise):
    """How much each word matters to a classifier."""

    slug = "classification"
    signature = "leave_one_out(ids, vectors, weight, bias)"
    title = "What would be missing"
    points = 2
    minutes = 15
    difficulty = 3
    objective = "Leave out each word of a text in turn, and see by how much the classifier's probability changes."
    why = "It asks the model itself what it reads, needs no gradient, and works on any classifier there is."
    try_next = "Double one word of a text. How much does leaving out one of the two change, and why so little?"
    wrong_ways = mistakes.LEAVE_ONE_OUT

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw a text with a word twice, in both precisions, and a text of one word."""
        n_words, d = 17, draw_sizes(generator, 1)[0]

        def arguments(n: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
            ids = torch.randperm(n_words, generator=generator)[:n]
            if n > 3:
                ids[n - 1] = ids[1]
            bias = 0.5 + round(float(torch.rand((), generator=generator)), 1)
            return ids, draw(generator, n_words, d, dtype=dtype), draw(generator, d, dtype=dtype), bias

        yield Case(arguments(_integer(generator, 6, 11)))
        yield Case(arguments(_integer(generator, 6, 11), torch.float32))
        yield Case(arguments(2), about="a text of two words")
        yield Case(arguments(1), about="a text of one word")

    def reference(self, ids: Tensor, vectors: Tensor, weight: Tensor, bias: float) -> Tensor:
        """Take each word out of the sum of all scores."""
        scores = vectors[ids] @ weight
        rest = (scores.sum() - scores) / max(len(ids) - 1, 1)
        if len(ids) == 1:
            rest = torch.zeros_like(rest)
        return torch.sigmoid(scores.mean() + bias) - torch.sigmoid(rest + bias)


class AccuracyDrop(Exercise):
    """What another source costs, and how sure that is."""

    slug = "classification"
    signature = "accuracy_drop(home, away, home_draws, away_draws)"
    title = "Away from home"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Measure how much accuracy a classifier loses on another source, with a bootstrap interval."
    why = "A score holds for texts like those it was measured on, and yours will come from elsewhere."
    try_next = "How many texts of each source do you need until the interval is narrower than four points?"
    returns = ("drop", "low", "high")
    wrong_ways = mistakes.ACCURACY_DROP

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw sources of different sizes, and some where the accuracy away is higher, or perfect."""

        def arguments(n: int, m: int, shares: tuple[float, float], n_draws: int = 211) -> tuple[Tensor, ...]:
            sources = []
            for size, share in zip((n, m), shares, strict=True):
                right = torch.zeros(size, dtype=torch.bool)
                right[torch.randperm(size, generator=generator)[: round(share * size)]] = True
                sources.append(right)
            draws = [torch.randint(size, (n_draws, size), generator=generator) for size in (n, m)]
            return *sources, *draws

        n, m = _integer(generator, 31, 45), _integer(generator, 61, 79)
        starts = [way.phrase for way in self.wrong_ways]
        yield _telling(self, lambda: Case(arguments(n, m, (0.85, 0.6))), *starts, tolerance=2e-4)
        yield Case(arguments(n, m, (0.6, 0.8)), about="better away than at home")
        yield Case(arguments(n, m, (1.0, 0.7)), about="no error at home")
        yield Case(arguments(m, m, (0.8, 0.7)), about="two sources of one size")
        yield Case(arguments(n, m, (0.85, 0.6), 12), about="few draws")

    def reference(self, home: Tensor, away: Tensor, home_draws: Tensor, away_draws: Tensor) -> tuple[float, ...]:
        """Count right answers draw by draw, and interpolate between the sorted differences."""
        differences = sorted(
            int(home[x].sum()) / len(home) - int(away[y].sum()) / len(away)
            for x, y in zip(home_draws, away_draws, strict=True)
        )

        def percentile(share: float) -> float:
            place = share * (len(differences) - 1)
            below = math.floor(place)
            above = min(below + 1, len(differences) - 1)
            return differences[below] + (place - below) * (differences[above] - differences[below])

        drop = int(home.sum()) / len(home) - int(away.sum()) / len(away)
        return drop, percentile(0.025), percentile(0.975)


class WhereItFails(OpenQuestion):
    """Read errors, group them, and count."""

    slug = "classification"
    signature = "where_it_fails()"
    title = "Where does it fail?"
    points = 6
    minutes = 50
    difficulty = 4
    objective = "Read a classifier's errors, sort them into groups, and measure whether the groups are real."
    why = "A score says how often, and only the texts say why."
    try_next = "Take the group with the most errors, and write ten texts of your own that belong to it."


EXERCISES = (
    SplitDistinct(),
    TfIdf(),
    SoftmaxGradient(),
    ConfusionScores(),
    CheapestThreshold(),
    LanguageScores(),
    LeaveOneOut(),
    AccuracyDrop(),
    WhereItFails(),
)
