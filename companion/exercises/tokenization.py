"""The exercises of the tokenization lab.

Right answers come from the `tokenizers` library where one call of it gives them, else from Python's own text functions,
on ids written as characters. The mistakes that students make stand in `companion.exercises.mistakes.tokenization`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import TypeVar

import torch

from companion.exercises.mistakes import tokenization as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion

LATIN = "abcdefghijklmnopqrstuvwxyz"
HAN = "我爱你学语言模型天地人水火山"
EMOJI = "😀🐍🌍🍵🎈"
ACCENTED = "éèüñçåøß"

Merges = dict[tuple[int, int], int]
T = TypeVar("T")


def pick(generator: torch.Generator, items: Sequence[T], count: int) -> list[T]:
    """Draw items, each as often as chance has it."""
    return [items[i] for i in torch.randint(len(items), (count,), generator=generator).tolist()]


def choose(generator: torch.Generator, items: Sequence[T], count: int) -> list[T]:
    """Draw distinct items."""
    return [items[i] for i in torch.randperm(len(items), generator=generator)[:count].tolist()]


def draw_int(generator: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def draw_word(generator: torch.Generator, alphabet: Sequence[str], length: int) -> str:
    """Draw a word of so many characters."""
    return "".join(pick(generator, alphabet, length))


def draw_corpus(
    generator: torch.Generator, alphabet: Sequence[str], size: int, longest: int = 6, most: int = 9
) -> tuple[list[str], list[int]]:
    """Draw distinct words of 2 to `longest` characters, at most `size` of them, and how often each occurs."""
    words = list(dict.fromkeys(draw_word(generator, alphabet, draw_int(generator, 2, longest)) for _ in range(size)))
    return words, [draw_int(generator, 1, most) for _ in words]


def merges_of(*pairs: str) -> Merges:
    """Write merges of letters, and of what earlier merges made of them, with the ids that training gives."""
    ids = {chr(byte): byte for byte in range(128)}
    merges = {}
    for new_id, (left, right) in enumerate(map(str.split, pairs), start=256):
        merges[ids[left], ids[right]] = new_id
        ids[left + right] = new_id
    return merges


class NormalizeText(Exercise):
    """Unicode normalisation, control characters and white space."""

    slug = "tokenization"
    signature = "normalize_text(text)"
    title = "Clean a text without changing what it says"
    points = 2
    minutes = 15
    difficulty = 2
    objective = "Give texts that look the same the same characters, drop control characters, and keep all the rest."
    why = "Two spellings of one character are two different inputs to a model, though no reader can tell them apart."
    try_next = "Count how many characters of a Chinese text NFKC would change, and which of them you would miss."
    wrong_ways = mistakes.NORMALIZE_TEXT
    error_hints = (
        ErrorHint("normalize() argument 2 must be str", "`unicodedata.normalize` takes the whole text, not a list"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw spellings of accents, look-alikes, joined emoji, control characters, and white space of many kinds."""

        def word(length: int = 4) -> str:
            return draw_word(generator, LATIN + LATIN.upper(), length) + LATIN[draw_int(generator, 0, 25)].upper()

        def joined(separators: Sequence[str]) -> str:
            return "".join(word() + separator for separator in separators) + word()

        spelled = [letter + mark for letter in "aeiou" for mark in "\u0300\u0301\u0308"]
        alike = choose(generator, "ﬁ²½①Ⅳ℃ａＢ，！", 5)
        accents = "".join(pick(generator, spelled, 3) + pick(generator, "éèüñçå", 2))
        mixed = f"{word()}{accents}{draw_word(generator, HAN, 3)}{alike[0]}{word()}"
        yield Case((mixed,), about="Chinese, a small or full-width character, and accents spelled in two ways")
        yield Case((word() + "".join(alike),), about="a ligature, a small digit or a full-width character")
        person, thing = pick(generator, "👩👨🧑", 1)[0], pick(generator, "💻🚀🔬🎨", 1)[0]
        yield Case((f"{person}\u200d{thing} {word()}",), about="an emoji made of two emoji and a joiner")
        yield Case((joined(["\x00", "\x07", "\x7f", "\x9f"]),), about="control characters inside a word")
        yield Case((f" {joined(['  ', '   '])} ",), about="several spaces between words, and some at both ends")
        yield Case((joined(["\t", "\n", "  ", "\r\n"]),), about="a tab and line ends between words")
        yield Case((joined(["\u3000", "  ", "\u00a0", "\t", "\u2003"]),), about="spaces that are not in ASCII")
        base = "aeiou"[draw_int(generator, 0, 4)]
        yield Case((f"{word()}{base}\x00\u0301",), about="a control character between a letter and its accent")
        yield Case((" \n\t ",), about="nothing but white space")
        yield Case(("",), about="the empty text")
        yield Case((word(0),), about="one character")
        yield Case((word(0) * draw_int(generator, 3, 9),), about="one character, repeated")

    def reference(self, text: str) -> str:
        """Ask `tokenizers`."""
        from tokenizers import Regex, normalizers

        unseen = "".join(c for c in map(chr, range(0xA0)) if not (c.isprintable() or c.isspace()))
        steps = [
            normalizers.Replace(Regex(f"[{unseen}]"), ""),
            normalizers.NFC(),
            normalizers.Replace(Regex("[\\s\x1c-\x1f]+"), " "),
            normalizers.Strip(),
        ]
        return normalizers.Sequence(steps).normalize_str(text)


class PairCounts(Exercise):
    """How often each pair of neighbours occurs."""

    slug = "tokenization"
    signature = "pair_counts(words, counts)"
    title = "Count the pairs of neighbours"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Count every pair of neighbouring ids in a list of words, when each word stands for all its repeats."
    why = "BPE learns its vocabulary from nothing but these counts."
    try_next = "Count the pairs of characters in a Chinese and an English text: which has more pairs that occur once?"
    wrong_ways = mistakes.PAIR_COUNTS
    error_hints = (
        ErrorHint("index out of range", "the last id of a word has no neighbour to its right"),
        ErrorHint("unhashable type", "a list cannot be the key of a dict; a tuple can"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw words that share pairs, runs of one id, mirrored pairs, real text, and next to nothing."""
        a, b, c, d = choose(generator, range(97, 123), 4)
        counts = choose(generator, range(2, 10), 3)
        yield Case(([[a, b, c, d], [d, b, c], [b, c, a, b, c]], counts))
        yield Case(([[a, b, a], [b, a, c]], counts[:2]), about="a pair and its mirror image")
        yield Case(([[a, a, a], [b, a, a, a, a]], counts[:2]), about="one id several times in a row")
        for alphabet, about in ((HAN, "bytes of Chinese words"), (EMOJI + ACCENTED, "bytes of emoji and accents")):
            words, counts = draw_corpus(generator, alphabet, 7)
            yield Case(([list(word.encode()) for word in words], counts), about=about)
        yield Case(([[a], [], [a, 300 + b]], [3, 2, 5]), about="a word of one id, and one of none")
        yield Case(([], []), about="no words")

    def reference(self, words: list[list[int]], counts: list[int]) -> Merges:
        """Count over the words as often as they occur."""
        repeated = (word for word, count in zip(words, counts, strict=True) for _ in range(count))
        return dict(Counter(pair for word in repeated for pair in pairwise(word)))


class MergePair(Exercise):
    """Replace a pair by one new id."""

    slug = "tokenization"
    signature = "merge_pair(ids, pair, new_id)"
    title = "Merge one pair"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Replace a pair by a new id wherever it stands, from left to right, so that no id is used twice."
    why = "Training and encoding are this one step, repeated."
    try_next = "Merge the same pair from right to left, and find a word of your language for which it matters."
    wrong_ways = mistakes.MERGE_PAIR
    error_hints = (
        ErrorHint("index out of range", "an id at the end, or one you have already used up, has no right neighbour"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw the pair at both ends, mirrored, in runs, among ids with the same digits, and absent."""
        a, b, c, d = choose(generator, range(97, 123), 4)
        new = draw_int(generator, 256, 999)
        yield Case(([c, a, b, d, b, a, d, a, b, c], (a, b), new))
        yield Case(([a, b, c, c, a, b], (a, b), new), about="the pair is at both ends")
        yield Case(([a, c, a, a, b, b, a], (a, b), new), about="its ids stand alone as well")
        yield Case(([a] * 3, (a, a), new), about="a pair of one and the same id")
        yield Case(([b, *[a] * 7, b], (a, a), new), about="a long run of one id")
        yield Case(([new - 1, c, new - 1, c, b], (new - 1, c), new), about="the pair holds an earlier merge")
        left, right, other = choose(generator, range(1, 10), 3)
        near = [10 + left, right, left, right, other, left, 10 * right + other]
        yield Case((near, (left, right), new), about="other ids begin or end with the same digits")
        words = draw_word(generator, HAN, 3).encode() * 3
        yield Case((list(words), tuple(words[1:3]), new), about="bytes of Chinese text")
        yield Case(([c, b, a, c], (a, b), new), about="the pair does not occur")
        yield Case(([a], (a, b), new), about="a single id")
        yield Case(([], (a, b), new), about="no ids")

    def reference(self, ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
        """Write ids as characters and let Python replace one text by another."""
        return list(map(ord, "".join(map(chr, ids)).replace("".join(map(chr, pair)), chr(new_id))))


class TrainBPE(Exercise):
    """Learn merges from words and their counts."""

    slug = "tokenization"
    signature = "train_bpe(words, counts, n_merges)"
    title = "Learn a vocabulary by merging"
    points = 3
    minutes = 25
    difficulty = 3
    objective = "Learn the merges of byte-level BPE, one after another, each from the counts that the last one left."
    why = "The vocabularies of GPT-2, of Llama 3 and of most models since are learned in this way."
    try_next = "Learn twenty merges from a text in your own language, and print them as text. Which is the first word?"
    wrong_ways = mistakes.TRAIN_BPE
    error_hints = (ErrorHint("empty", "the words may run out of pairs before there are n_merges; then stop"),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw corpora in several scripts, ties of three kinds, runs, counts of one, and words that run out."""
        low, second, third, high, *more = sorted(choose(generator, LATIN, 9))
        yield Case(([low + second + third, low + second, third + high], [5, 3, 2], 3))
        often = draw_int(generator, 4, 9)
        tied = [third + high, low + second, more[3] + more[4]]
        yield Case((tied, [often] * 3, 3), about="several pairs occur equally often")
        tied = [more[0] + more[1], low + second + third]
        yield Case((tied, [often] * 2, 3), about="a pair of bytes and a merge occur equally often")
        words = [low + second, third + high, third + high + more[0], more[1] + third + high]
        yield Case((words, [9, 2, 2, 2], 2), about="one word occurs often, the others seldom")
        words = [low * 4, second + third, third + high]
        yield Case((words, [often, 2 * often + 2, often + 1], 2), about="one letter several times in a row")
        yield Case(([(low + second) * 3, low * 7], [often, often], 4), about="a pair several times in a word")
        scripts = ((LATIN[:3], "random words"), (HAN, "Chinese"), (EMOJI, "emoji"), (ACCENTED + LATIN[:3], "accents"))
        for alphabet, about in scripts:
            yield Case((*draw_corpus(generator, alphabet, 9, longest=4), 8), about=about)
        words, _ = draw_corpus(generator, LATIN, 5)
        yield Case((words, [1] * len(words), 3), about="every word occurs once")
        yield Case(([low + second], [often], 5), about="fewer pairs than n_merges")
        yield Case((*draw_corpus(generator, LATIN[:6], 40), 40), about="a larger corpus")
        yield Case(([low, high], [often, 1], 2), about="words of one letter")
        yield Case(([low + second], [often], 0), about="no merges wanted")
        yield Case(([], [], 3), about="no words")

    def reference(self, words: list[str], counts: list[int], n_merges: int) -> Merges:
        """Write ids as characters and let Python replace one text by another."""
        texts = [word.encode().decode("latin-1") for word in words]
        merges = {}
        for new_id in range(256, 256 + n_merges):
            found = Counter()
            for text, count in zip(texts, counts, strict=True):
                for pair in pairwise(text):
                    found[pair] += count
            if not found:
                break
            left, right = min(found, key=lambda pair: (-found[pair], pair))
            merges[ord(left), ord(right)] = new_id
            texts = [text.replace(left + right, chr(new_id)) for text in texts]
        return merges


class BPEEncode(Exercise):
    """Cut a word by the merges."""

    slug = "tokenization"
    signature = "bpe_encode(word, merges)"
    title = "Encode: the merge learned first goes first"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Turn the bytes of a word into ids by the merges, in the order in which they were learned."
    why = "A model understands only the very ids it was trained on, and another order of merges gives other ids."
    try_next = "Cut the same words by the longest token that fits. How often do the two ways differ on real text?"
    wrong_ways = mistakes.BPE_ENCODE
    error_hints = (ErrorHint("empty", "a word of one byte has no pair to look at, and the empty word not even a byte"),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw learned merges in several scripts, and merges made to tell one order from another."""

        def case(word: str, merges: Merges, about: str = "") -> Case:
            return Case((list(word.encode()), merges), about=about)

        a, b, c, d, e, f, g, h, i, j, k, m, n = choose(generator, LATIN, 13)
        chain = merges_of(f"{a} {b}", f"{a}{b} {c}", f"{a}{b}{c} {d}")
        yield case(a + b + c + d + a + b, chain)
        # On these the leftmost pair, the longest token, the last merge and the most frequent pair go astray, each in
        # its own way. All are merges that training on some text could make: on others even libraries differ.
        rivals = merges_of(
            *(f"{b} {c}", f"{a} {b}", f"{e} {f}", f"{d} {e}{f}", f"{d} {e}"),
            *(f"{g} {h}", f"{h} {i}", f"{j} {k}", f"{k} {m}"),
        )
        yield case(j + k + m + n + k + m + g + h + i, rivals, about="one of two competing pairs occurs twice")
        contested = a + b + c + d + e + f + g + h + i
        yield case(contested, rivals, about="merges compete for the same letters")
        late = (ord(h), ord(i))
        shuffled = {late: rivals[late]} | rivals
        yield case(contested, shuffled, about="the dict does not list the merges as they were learned")
        runs = merges_of(f"{a} {a}", f"{a}{a} {a}{a}")
        yield case(a * draw_int(generator, 5, 13), runs, about="one letter several times in a row")
        for alphabet, about in ((LATIN[:4], "merges that were learned"), (HAN, "Chinese"), (EMOJI + ACCENTED, "emoji")):
            merges = TrainBPE().reference(*draw_corpus(generator, alphabet, 20), 24)
            yield case(draw_word(generator, alphabet, 12), merges, about=about)
        yield case(draw_word(generator, HAN, 2), {}, about="no merges")
        yield case(a, rivals, about="one letter")
        yield case("", rivals, about="the empty word")

    def reference(self, word: list[int], merges: Merges) -> list[int]:
        """Ask `tokenizers`, whose tokens are texts: here each byte is the character with its number."""
        from tokenizers.models import BPE

        tokens = {byte: chr(byte) for byte in range(256)}
        pairs = []
        for (left, right), new_id in sorted(merges.items(), key=lambda item: item[1]):
            pairs.append((tokens[left], tokens[right]))
            tokens[new_id] = tokens[left] + tokens[right]
        model = BPE({token: number for number, token in tokens.items()}, pairs)
        return [token.id for token in model.tokenize(bytes(word).decode("latin-1"))]


class BPEDecode(Exercise):
    """Turn ids back into text."""

    slug = "tokenization"
    signature = "bpe_decode(ids, merges)"
    title = "Decode, whatever the model wrote"
    points = 2
    minutes = 15
    difficulty = 2
    objective = "Turn ids back into text, with the mark U+FFFD where their bytes are no text."
    why = "A model that writes one token at a time will sometimes stop in the middle of a character."
    try_next = "Decode random ids of your own vocabulary: how often is the result valid text?"
    wrong_ways = mistakes.BPE_DECODE
    error_hints = (
        ErrorHint("range(0, 256)", "a merge may be made of merges; take it apart until nothing but bytes is left"),
        ErrorHint("can't decode byte", "a model may write bytes that are no text; `bytes.decode` can mark them"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw nested merges, characters cut by a token's end or by the text's, and bytes that are no text."""
        a, b, c, d = choose(generator, LATIN, 4)
        nested = merges_of(f"{a} {b}", f"{c} {a}{b}", f"{c}{a}{b} {d}")
        yield Case(([ord(b), 258, ord(a), 257, 256], nested))
        encode = BPEEncode().reference
        for alphabet, about in ((HAN, "Chinese"), (EMOJI, "emoji"), (ACCENTED + LATIN[:3], "accents")):
            merges = TrainBPE().reference(*draw_corpus(generator, alphabet, 20), 6)
            ids = encode(list(draw_word(generator, alphabet, 9).encode()), merges)
            yield Case((ids, merges), about=about)
        character = draw_word(generator, HAN, 1).encode()
        yield Case(([ord(a), *character[:2]], {}), about="the text ends in the middle of a character")
        halves = {(character[0], character[1]): 256, (character[2], ord(a)): 257}
        yield Case(([256, 257, ord(b)], halves), about="a character is shared by two tokens")
        stray = [*character, draw_int(generator, 0x80, 0xBF), ord(a), draw_int(generator, 0xF8, 0xFF), *character]
        yield Case((stray, {}), about="bytes that are no text among some that are")
        yield Case(([ord(a)], {}), about="a single id")
        yield Case(([], nested), about="no ids")

    def reference(self, ids: list[int], merges: Merges) -> str:
        """Take the ids apart, and let Python read the bytes."""
        parts = {new_id: pair for pair, new_id in merges.items()}
        while any(number in parts for number in ids):
            ids = [part for number in ids for part in parts.get(number, (number,))]
        return bytes(ids).decode("utf-8", errors="replace")


class WordPieceExercise(Exercise):
    """Cut a word by the longest piece that fits."""

    slug = "tokenization"
    signature = "wordpiece(word, vocab)"
    title = "WordPiece: the longest piece that fits"
    points = 2
    minutes = 20
    difficulty = 3
    objective = "Cut a word as BERT does: the longest piece first, `##` before all pieces but the first, or `[UNK]`."
    why = "BERT's ids come from this rule, and BERT has no bytes to fall back on."
    try_next = "Load BERT's vocabulary and find the longest English word that it does not cut."
    wrong_ways = mistakes.WORDPIECE
    error_hints = ()

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw words that are cut, that are not, that cannot be, and that another rule would cut otherwise."""
        a, b, c, d, e, f = choose(generator, LATIN, 6)

        def vocab(*pieces: str) -> dict[str, int]:
            return {piece: number for number, piece in enumerate(("[UNK]", *pieces))}

        letters = [mark + letter for mark, letter in product(("", "##"), (a, b, c, d, e, f))]
        yield Case((a + b + c + d + e, vocab(*letters, a + b + c, f"##{d}{e}", f"##{c}{d}{e}")))
        shorter = vocab(*letters, a + b + c, f"##{b}{c}{d}{e}{f}", f"##{e}{f}")
        yield Case((a + b + c + d + e + f, shorter), about="another cut has fewer pieces")
        yield Case((a + b + c + d, vocab(*letters, a + b, f"##{b}{c}{d}", a + b + c + d)), about="the word is a piece")
        dead_end = vocab(a, a + b, f"##{b}{c}{d}", f"##{b}", f"##{d}", c)
        yield Case((a + b + c + d, dead_end), about="the longest first piece leaves a rest that is no piece")
        yield Case((a + b + c, vocab(a, b, c, f"##{a}", f"##{c}")), about="a piece is there without ## only")
        yield Case((a + b, vocab(f"##{a}", f"##{b}", b)), about="a piece is there with ## only")
        yield Case((a + "é" + b, vocab(*letters)), about="a letter that no piece has")
        yield Case(
            (a * draw_int(generator, 5, 9), vocab(a, f"##{a}", f"##{a}{a}", a * 3)), about="one letter, repeated"
        )
        first, second, third = choose(generator, HAN, 3)
        yield Case((first + second + third, vocab(first, first + second, f"##{second}", f"##{third}")), about="Chinese")
        face = draw_word(generator, EMOJI, 1)
        yield Case((face, vocab(*letters, first)), about="an emoji that is not in the vocabulary")
        yield Case((a, vocab(*letters)), about="one letter")
        yield Case(("", vocab(*letters)), about="the empty word")

    def reference(self, word: str, vocab: dict[str, int]) -> list[str]:
        """Ask `tokenizers`."""
        from tokenizers.models import WordPiece

        model = WordPiece(vocab, max_input_chars_per_word=10_000)
        return [token.value for token in model.tokenize(word)]


class UnigramViterbi(Exercise):
    """The most probable segmentation."""

    slug = "tokenization"
    signature = "unigram_viterbi(text, log_probs)"
    title = "Unigram: the most probable cut"
    points = 3
    minutes = 30
    difficulty = 4
    objective = "Find, among all ways to cut a text into known pieces, the one whose pieces are most probable together."
    why = "A text of n letters can be cut in 2 to the power of n - 1 ways, and the best one takes a few lines to find."
    try_next = "Give every piece the same probability, and predict which of your other functions it will resemble."
    wrong_ways = mistakes.UNIGRAM_VITERBI
    error_hints = ()

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw a text on which every other rule fails, then random ones in several scripts, of which one is long."""
        a, b, c, d, e, f = choose(generator, LATIN, 6)
        # Numbers for which every wrong rule that the mistakes list gives another cut.
        pieces = {a: -3.0, b: -4.1, c: -2.7, d: -6.4, e: -8.5, f: -7.0, a + b: -2.3, b + c: -7.5, c + d: -4.4}
        pieces |= {a + b + c: -6.4, d + e + f: -10.7, a + b + c + d: -9.7}
        yield Case((a + b + c + d + e + f, pieces), about="the longest pieces are rare")
        scripts = ((LATIN[:4], "random pieces"), (HAN[:5], "Chinese"), (EMOJI[:3] + ACCENTED[:2], "emoji and accents"))
        for alphabet, about in scripts:
            yield Case(self._drawn(generator, alphabet, 14), about=about)
        yield Case((a * 6, {a: -2.0, a * 2: -3.1, a * 3: -6.5}), about="one letter, repeated")
        yield Case(((a + b) * 25, {a: -16.0, b: -16.5, a + b: -33.0, b + a: -34.0}), about="a long text")
        yield Case((a, {a: -4.0, b: -1.0}), about="one letter")
        yield Case(("", {a: -4.0}), about="the empty text")

    def _drawn(self, generator: torch.Generator, alphabet: str, length: int) -> tuple[str, dict[str, float]]:
        """Draw a text and log-probabilities until one segmentation alone is the best."""
        while True:
            text = draw_word(generator, alphabet, length)
            pieces = {*text, *(text[i : i + size] for i in range(length) for size in (2, 3, 4))}
            log_probs = {piece: -draw_int(generator, 20, 60 + 30 * len(piece)) / 10 for piece in sorted(pieces)}
            if best_ways(text, log_probs) == 1:
                return text, log_probs

    def reference(self, text: str, log_probs: dict[str, float]) -> list[str]:
        """Ask `tokenizers`."""
        from tokenizers.models import Unigram

        model = Unigram([("[UNK]", 0.0), *log_probs.items()], unk_id=0)
        return [token.value for token in model.tokenize(text)]


def best_ways(text: str, log_probs: dict[str, float]) -> int:
    """Count the segmentations that share the highest log-probability, in whole tenths so that equal is equal."""
    best = [(0, 1)]
    for end in range(1, len(text) + 1):
        ways = [
            (best[start][0] + round(10 * log_probs[text[start:end]]), best[start][1])
            for start in range(end)
            if text[start:end] in log_probs
        ]
        highest = max(score for score, _ in ways)
        best.append((highest, sum(count for score, count in ways if score == highest)))
    return best[-1][1]


class TokensByLanguage(OpenQuestion):
    """A small experiment to report on."""

    slug = "tokenization"
    signature = "tokens_by_language()"
    title = "What a tokenizer costs in another language"
    points = 6
    minutes = 40
    difficulty = 4
    objective = "Measure how many tokens the same content takes in two languages, and report it with a figure."
    why = "A text is paid for, and has to fit, by the token; the same content need not cost the same in every language."
    try_next = "Train a tokenizer on both languages at once, and find the mixture that treats them most alike."


EXERCISES = (
    NormalizeText(),
    PairCounts(),
    MergePair(),
    TrainBPE(),
    BPEEncode(),
    BPEDecode(),
    WordPieceExercise(),
    UnigramViterbi(),
    TokensByLanguage(),
)
