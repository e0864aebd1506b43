"""The mistakes that students make in the tokenization lab, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise
from typing import Any, Literal

from companion.exercises.spec import WrongWay

Ids = list[int]
Pair = tuple[int, int]
Merges = dict[Pair, int]


# --- normalize_text ---


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc" and not character.isspace()


def _tidied(
    text: str,
    form: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = "NFC",
    unwanted: Callable[[str], bool] = _is_control,
    respaced: Callable[[str], str] = lambda text: " ".join(text.split()),
) -> str:
    """Normalise by the rules, with one of them replaceable."""
    text = "".join(character for character in text if not unwanted(character))
    return respaced(unicodedata.normalize(form, text) if form else text)


_COMPATIBLE = (
    "{} also replaces characters by others that mean nearly the same, as the small 2 of x² by a 2; "
    "that changes what the text says"
)
_SMALL = "you made all letters small; a name is no longer told from a word"
_ASCII_SPACE = " \t\r\n\f\v"

NORMALIZE_TEXT = (
    WrongWay(
        "you compose before the control characters are gone, so a letter and its accent do not find each other; "
        "the result is not in NFC",
        lambda text: _tidied(unicodedata.normalize("NFC", text), form=None),
    ),
    WrongWay(_COMPATIBLE.format("NFKC"), lambda text: _tidied(text, "NFKC")),
    WrongWay(_COMPATIBLE.format("NFKD"), lambda text: _tidied(text, "NFKD")),
    WrongWay(
        "you take accents apart; NFD gives every accent a character of its own, NFC the opposite",
        lambda text: _tidied(text, "NFD"),
    ),
    WrongWay("letters and accents are not composed", lambda text: _tidied(text, None)),
    WrongWay(_SMALL, lambda text: _tidied(text).lower()),
    WrongWay(_SMALL, lambda text: _tidied(text).casefold()),
    WrongWay(
        "you dropped all that is not ASCII, Chinese among it",
        lambda text: _tidied(text).encode("ascii", "ignore").decode(),
    ),
    WrongWay(
        "you dropped all that is not ASCII, Chinese among it",
        lambda text: _tidied(text.encode("ascii", "ignore").decode()),
    ),
    WrongWay(
        "you dropped the accents; they tell words apart in many languages",
        lambda text: _tidied("".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")),
    ),
    WrongWay(
        "you dropped format characters too; the joiner inside an emoji is one, and category Cc is smaller than C",
        lambda text: _tidied(text, unwanted=lambda c: unicodedata.category(c)[0] == "C" and not c.isspace()),
    ),
    WrongWay(
        "tabs and line ends went with the control characters, so words run together; they are white space",
        lambda text: _tidied(text, unwanted=lambda c: unicodedata.category(c) == "Cc"),
    ),
    WrongWay(
        "a control character became a space and cuts a word in two",
        lambda text: _tidied("".join(" " if _is_control(character) else character for character in text)),
    ),
    WrongWay("control characters are still there", lambda text: _tidied(text, unwanted=lambda c: False)),
    WrongWay("the white space is gone and the words run together", lambda text: "".join(_tidied(text).split())),
    WrongWay("runs of white space are not made one space", lambda text: _tidied(text, respaced=str.strip)),
    WrongWay("white space is left as it was", lambda text: _tidied(text, respaced=str)),
    WrongWay(
        "tabs and line ends are white space too, and a run may mix them",
        lambda text: _tidied(text, respaced=lambda text: re.sub(" +", " ", text).strip()),
    ),
    WrongWay(
        "some spaces are not in ASCII, such as the wide one of Chinese texts; `str.isspace` knows them all",
        lambda text: _tidied(text, respaced=lambda t: re.sub(f"[{_ASCII_SPACE}]+", " ", t).strip(_ASCII_SPACE)),
    ),
    WrongWay(
        "white space is left at the ends",
        lambda text: _tidied(text, respaced=lambda text: re.sub(r"\s+", " ", text)),
    ),
)


# --- pair_counts ---


def _weighted(words: Iterable[Ids], counts: Iterable[int], pairs: Callable[[Ids], Iterable[Any]]) -> dict[Any, int]:
    """Count what `pairs` finds in each word, as often as the word occurs."""
    found = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairs(word):
            found[pair] += count
    return dict(found)


def _apart(word: Ids) -> Iterator[Pair]:
    """Give the pairs of a word, those of one id without overlap."""
    position = 0
    while position < len(word) - 1:
        pair = (word[position], word[position + 1])
        yield pair
        position += 2 if pair[0] == pair[1] and word[position : position + 3].count(pair[0]) == 3 else 1


PAIR_COUNTS = (
    WrongWay(
        "each word is counted once, whatever its count says",
        lambda words, counts: _weighted(words, [1] * len(words), pairwise),
    ),
    WrongWay(
        "you count from the last id of a word to its first; word[-1] is the last id, not the one before the first",
        lambda words, counts: _weighted(words, counts, lambda word: pairwise([*word[-1:], *word])),
    ),
    WrongWay(
        "the end of a word and the beginning of the next are no pair",
        lambda words, counts: dict(Counter(pairwise(chain(*words)))),
    ),
    WrongWay(
        "the end of a word and the beginning of the next are no pair",
        lambda words, counts: dict(
            Counter(pairwise(chain(*(word * count for word, count in zip(words, counts, strict=True)))))
        ),
    ),
    WrongWay(
        "a pair that stands in a word twice is counted there once",
        lambda words, counts: _weighted(words, counts, lambda word: set(pairwise(word))),
    ),
    WrongWay(
        "in a run of one id, every two neighbours are a pair: pairs may overlap",
        lambda words, counts: _weighted(words, counts, _apart),
    ),
    WrongWay(
        "every second pair is left out: pairs may overlap",
        lambda words, counts: _weighted(words, counts, lambda word: zip(word[::2], word[1::2], strict=False)),
    ),
    WrongWay(
        "the last pair of each word is missing",
        lambda words, counts: _weighted(words, counts, lambda word: pairwise(word[:-1])),
    ),
    WrongWay(
        "a later word overwrites what an earlier one counted",
        lambda words, counts: {
            pair: count for word, count in zip(words, counts, strict=True) for pair in pairwise(word)
        },
    ),
    WrongWay(
        "a pair and its mirror image are counted as one; the order matters",
        lambda words, counts: _weighted(words, counts, lambda word: (tuple(sorted(pair)) for pair in pairwise(word))),
    ),
    WrongWay(
        "right and left have changed places in your pairs",
        lambda words, counts: _weighted(words, counts, lambda word: pairwise(word[::-1])),
    ),
    WrongWay("you count single ids, not pairs", lambda words, counts: _weighted(words, counts, list)),
)


# --- merge_pair ---


def _merged(ids: Ids, pair: Pair, new_id: int, most: int = sys.maxsize) -> Ids:
    """Merge from left to right, `most` times at most: the wrong ways are made from this."""
    result = []
    for current in ids:
        if result and (result[-1], current) == pair and most > 0:
            result[-1] = new_id
            most -= 1
        else:
            result.append(current)
    return result


def _merged_from_the_right(ids: Ids, pair: Pair, new_id: int) -> Ids:
    return _merged(ids[::-1], (pair[1], pair[0]), new_id)[::-1]


def _merged_with_mirror(ids: Ids, pair: Pair, new_id: int) -> Ids:
    result = []
    for current in ids:
        if result and ((result[-1], current) == pair or (current, result[-1]) == pair):
            result[-1] = new_id
        else:
            result.append(current)
    return result


def _merged_without_skipping(ids: Ids, pair: Pair, new_id: int) -> Ids:
    neighbours = pairwise([*ids, None])
    return [new_id if each == pair else each[0] for each in neighbours if each[0] is not None]


def _merged_with_holes(ids: Ids, pair: Pair, new_id: int) -> Ids:
    """Replace the first of every pair and drop the second of every pair, overlaps included."""
    before, after = [None, *ids[:-1]], [*ids[1:], None]
    return [
        new_id if (here, right) == pair else here
        for left, here, right in zip(before, ids, after, strict=True)
        if (left, here) != pair
    ]


def _merged_but_the_last(ids: Ids, pair: Pair, new_id: int) -> Ids:
    merged = _merged([*ids, -1], pair, new_id)[:-1]
    return merged if tuple(ids[-2:]) == pair and merged[-1] == new_id else merged[:-1]


def _merged_as_text(ids: Ids, pair: Pair, new_id: int) -> Ids:
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return list(map(int, text.split()))


MERGE_PAIR = (
    WrongWay(
        "only the first place is merged; the pair may stand in several",
        lambda ids, pair, new_id: _merged(ids, pair, new_id, most=1),
    ),
    WrongWay("you merge from right to left; in a run of one id that gives another result", _merged_from_the_right),
    WrongWay("the mirror image of the pair is merged too; the order matters", _merged_with_mirror),
    WrongWay(
        "the second id of each pair is still there after the merge; it has been used up", _merged_without_skipping
    ),
    WrongWay("in a run of one id you use some ids twice; after a merge, go on behind both", _merged_with_holes),
    WrongWay(
        "you look for the pair in the written numbers, and find the end of one number and the beginning of another",
        _merged_as_text,
    ),
    WrongWay(
        "you replace its two ids wherever they stand; only next to each other are they the pair",
        lambda ids, pair, new_id: [new_id if each in pair else each for each in ids],
    ),
    WrongWay("the last id is lost when no pair ends there", _merged_but_the_last),
    WrongWay("nothing is merged", lambda ids, pair, new_id: ids),
    WrongWay(
        "the pair is dropped and nothing stands in its place",
        lambda ids, pair, new_id: [each for each in _merged(ids, pair, new_id) if each != new_id],
    ),
)


# --- train_bpe ---


def _most_frequent(found: Counter, symbols: Counter) -> Pair:
    return min(found, key=lambda pair: (-found[pair], pair))


def _trained(
    words: list[str],
    counts: Iterable[int],
    n_merges: int,
    *,
    choose: Callable[[Counter, Counter], Pair] = _most_frequent,
    encode: Callable[[str], Iterable[int]] = str.encode,
    pairs: Callable[[Ids], Iterable[Pair]] = pairwise,
    first_id: int = 256,
    most: int = sys.maxsize,
    enough: int = 1,
) -> Merges:
    """Learn merges by the rules, with one of them replaceable."""
    cut = [list(encode(word)) for word in words]
    merges = {}
    for new_id in range(first_id, first_id + n_merges):
        found, symbols = Counter(), Counter()
        for word, count in zip(cut, counts, strict=True):
            for pair in pairs(word):
                found[pair] += count
            for symbol in word:
                symbols[symbol] += count
        if not found:
            break
        best = choose(found, symbols)
        if found[best] < enough:
            break
        merges[best] = new_id
        cut = [_merged(word, best, new_id, most) for word in cut]
    return merges


def _trained_once(words: list[str], counts: list[int], n_merges: int) -> Merges:
    found = _weighted([list(word.encode()) for word in words], counts, pairwise)
    best = sorted(found, key=lambda pair: (-found[pair], pair))
    return {pair: new_id for new_id, pair in enumerate(best[:n_merges], start=256)}


def _trained_across(words: list[str], counts: list[int], n_merges: int, join: str = "") -> Merges:
    repeated = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    return _trained([join.join(repeated)], [1], n_merges)


def _trained_by_bytes(words: list[str], counts: list[int], n_merges: int) -> Merges:
    """Break ties by what the tokens say instead of by their ids."""
    says = {byte: bytes([byte]) for byte in range(256)}
    numbers = iter(range(256, 256 + n_merges))

    def choose(found: Counter, symbols: Counter) -> Pair:
        best = min(found, key=lambda pair: (-found[pair], says[pair[0]], says[pair[1]]))
        says[next(numbers)] = says[best[0]] + says[best[1]]
        return best

    return _trained(words, counts, n_merges, choose=choose)


def _wordpiece_score(found: Counter, symbols: Counter) -> Pair:
    return min(found, key=lambda pair: (-found[pair] / (symbols[pair[0]] * symbols[pair[1]]), pair))


TRAIN_BPE = (
    WrongWay(
        "each word is counted once, whatever its count says",
        lambda words, counts, n_merges: _trained(words, [1] * len(words), n_merges),
    ),
    WrongWay(
        "of the pairs that occur equally often you take the one met first; the smallest was asked for",
        lambda *args: _trained(*args, choose=lambda found, _: max(found, key=lambda pair: found[pair])),
    ),
    WrongWay(
        "of the pairs that occur equally often you take the largest; the smallest was asked for",
        lambda *args: _trained(*args, choose=lambda found, _: max(found, key=lambda pair: (found[pair], pair))),
    ),
    WrongWay(
        "of the pairs that occur equally often you take the one met last; the smallest was asked for",
        lambda *args: _trained(*args, choose=lambda found, _: max(reversed(found), key=lambda pair: found[pair])),
    ),
    WrongWay("you compare tied pairs by what they spell; compare their ids", _trained_by_bytes),
    WrongWay("the pairs are counted once, at the start; each merge changes the counts", _trained_once),
    WrongWay(
        "you took the rarest pair", lambda *args: _trained(*args, choose=lambda f, _: min(f, key=lambda p: (f[p], p)))
    ),
    WrongWay(
        "a pair that stands in a word twice is counted there once",
        lambda *args: _trained(*args, pairs=lambda word: dict.fromkeys(pairwise(word))),
    ),
    WrongWay(
        "in a run of one id, every two neighbours are a pair: pairs may overlap",
        lambda *args: _trained(*args, pairs=_apart),
    ),
    WrongWay(
        "you divide a pair's count by those of its parts; that is WordPiece's score, and BPE takes the count itself",
        lambda *args: _trained(*args, choose=_wordpiece_score),
    ),
    WrongWay("only the first place in each word is merged", lambda *args: _trained(*args, most=1)),
    WrongWay("your pairs reach from one word into the next", _trained_across),
    WrongWay("your pairs reach from one word into the next", lambda *args: _trained_across(*args, join=" ")),
    WrongWay(
        "you start from the characters; the ids to start from are the bytes of the word in UTF-8",
        lambda *args: _trained(*args, encode=lambda word: map(ord, word)),
    ),
    *(
        WrongWay(
            "the first new id is wrong; 0 to 255 are the bytes, and no number is left out",
            lambda *args, first_id=first_id: _trained(*args, first_id=first_id),
        )
        for first_id in (0, 1, 255, 257)
    ),
    WrongWay("there is one merge too few", lambda words, counts, n: _trained(words, counts, max(n - 1, 0))),
    WrongWay("there is one merge too many", lambda words, counts, n: _trained(words, counts, n + 1)),
    WrongWay(
        "you stop when the best pair occurs once; stop when there are n_merges, or no pairs",
        lambda *args: _trained(*args, enough=2),
    ),
)


# --- bpe_encode ---


def _encoded(word: Ids, merges: Merges, choose: Callable[[list[Pair]], Pair], rounds: int = sys.maxsize) -> Ids:
    """Merge one chosen pair after another, wherever it stands."""
    ids = list(word)
    while rounds > 0 and (mergeable := [pair for pair in pairwise(ids) if pair in merges]):
        best = choose(mergeable)
        ids = _merged(ids, best, merges[best])
        rounds -= 1
    return ids


def _spelled(merges: Merges) -> dict[int, bytes]:
    """Give the bytes of each id."""
    says = {byte: bytes([byte]) for byte in range(256)}
    for (left, right), new_id in sorted(merges.items(), key=lambda item: item[1]):
        says[new_id] = says[left] + says[right]
    return says


def _longest_tokens(word: Ids, merges: Merges) -> Ids:
    rest, ids = bytes(word), []
    says = _spelled(merges)
    while rest:
        longest = max((new_id for new_id in says if rest.startswith(says[new_id])), key=lambda each: len(says[each]))
        ids.append(longest)
        rest = rest[len(says[longest]) :]
    return ids


def _in_the_order_listed(word: Ids, merges: Merges) -> Ids:
    ids = list(word)
    for pair, new_id in merges.items():
        ids = _merged(ids, pair, new_id)
    return ids


def _encoded_in_passes(word: Ids, merges: Merges) -> Ids:
    """Pass over the word and merge whatever can be merged on the way, until a pass changes nothing."""
    before, ids = None, list(word)
    while ids != before:
        before, rest, ids = ids, ids[::-1], []
        while rest:
            pair = (rest[-1], rest[-2]) if len(rest) > 1 else None
            ids.append(merges[pair] if pair in merges else rest[-1])
            del rest[-2 if pair in merges else -1 :]
    return ids


def _ranked(word: Ids, merges: Merges, rounds: int = sys.maxsize) -> Ids:
    return _encoded(word, merges, lambda pairs: min(pairs, key=lambda pair: merges[pair]), rounds)


BPE_ENCODE = (
    WrongWay("you stop after the first merge", lambda word, merges: _ranked(word, merges, rounds=1)),
    WrongWay("nothing is merged", lambda word, merges: word),
    WrongWay(
        "you take the longest token that fits; BPE may never make that token here, for it follows the order in which "
        "the merges were learned",
        _longest_tokens,
    ),
    WrongWay(
        "you merge the leftmost pair that can be merged; the merge learned first goes first, wherever it stands",
        lambda word, merges: _encoded(word, merges, lambda pairs: pairs[0]),
    ),
    WrongWay(
        "you merge the leftmost pair that can be merged; the merge learned first goes first, wherever it stands",
        _encoded_in_passes,
    ),
    WrongWay(
        "you take the merge learned last first",
        lambda word, merges: _encoded(word, merges, lambda pairs: max(pairs, key=lambda pair: merges[pair])),
    ),
    WrongWay(
        "you merge the pair that is most frequent in this word; the counts mattered in training alone",
        lambda word, merges: _encoded(word, merges, lambda pairs: max(pairs, key=pairs.count)),
    ),
    WrongWay(
        "you take the merges in the order in which the dict lists them; the new ids tell when they were learned",
        _in_the_order_listed,
    ),
    WrongWay(
        "you take the merges in the order in which the dict lists them; the new ids tell when they were learned",
        lambda word, merges: _encoded(word, merges, lambda pairs: next(pair for pair in merges if pair in pairs)),
    ),
)


# --- bpe_decode ---


def _bytes_of(ids: Ids, merges: Merges) -> bytes:
    return b"".join(map(_spelled(merges).__getitem__, ids))


def _swapped(ids: Ids, merges: Merges) -> str:
    says = {byte: bytes([byte]) for byte in range(256)}
    for (left, right), new_id in sorted(merges.items(), key=lambda item: item[1]):
        says[new_id] = says[right] + says[left]
    return b"".join(map(says.__getitem__, ids)).decode(errors="replace")


BPE_DECODE = (
    WrongWay("the two parts of a merge have changed places", _swapped),
    WrongWay(
        "bytes that are no text vanish; the reader should see that something was there",
        lambda ids, merges: _bytes_of(ids, merges).decode(errors="ignore"),
    ),
    WrongWay(
        "you decode each token by itself; a character may begin in one token and end in the next",
        lambda ids, merges: "".join(_bytes_of([each], merges).decode(errors="replace") for each in ids),
    ),
    WrongWay(
        "you decode each token by itself; a character may begin in one token and end in the next",
        lambda ids, merges: "".join(_bytes_of([each], merges).decode(errors="ignore") for each in ids),
    ),
    WrongWay(
        "a byte is not a character; several bytes of UTF-8 make one",
        lambda ids, merges: _bytes_of(ids, merges).decode("latin-1"),
    ),
    WrongWay(
        "bytes that are no text are written out as numbers; mark them with U+FFFD",
        lambda ids, merges: _bytes_of(ids, merges).decode(errors="backslashreplace"),
    ),
    WrongWay(
        "bytes that are no text are marked with a question mark; mark them with U+FFFD",
        lambda ids, merges: _bytes_of(ids, merges).decode(errors="replace").replace("\ufffd", "?"),
    ),
    WrongWay(
        "a new id is not a character's number; take the merge apart",
        lambda ids, merges: "".join(map(chr, ids)),
    ),
    WrongWay(
        "there are spaces between the tokens; a space is a byte like any other",
        lambda ids, merges: " ".join(_bytes_of([each], merges).decode(errors="replace") for each in ids),
    ),
)


# --- wordpiece ---


def _cut(
    word: str,
    vocab: dict[str, int],
    *,
    mark: str = "##",
    sizes: Callable[[int], Iterable[int]] = lambda rest: range(rest, 0, -1),
    shown: Callable[[str], str] = str,
    unknown: Callable[[list[str]], list[str]] = lambda pieces: ["[UNK]"],
) -> list[str]:
    """Cut by the rule, with one part of it replaceable."""
    start, pieces = 0, []
    while start < len(word):
        ends = (start + size for size in sizes(len(word) - start))
        end = next((end for end in ends if mark * (start > 0) + word[start:end] in vocab), None)
        if end is None:
            return unknown(pieces)
        pieces.append(shown(mark * (start > 0) + word[start:end]))
        start = end
    return pieces


def _cuts(word: str, vocab: dict[str, int], mark: str = "") -> Iterator[list[str]]:
    """Give all ways to cut a word into known pieces, the longest first pieces first."""
    if not word:
        yield []
    for end in range(len(word), 0, -1):
        if (piece := mark + word[:end]) in vocab:
            yield from ([piece, *rest] for rest in _cuts(word[end:], vocab, "##"))


def _cut_around_gaps(word: str, vocab: dict[str, int], gap: tuple[str, ...] = ("[UNK]",)) -> list[str]:
    start, pieces = 0, []
    while start < len(word):
        mark = "##" * (start > 0)
        end = next((end for end in range(len(word), start, -1) if mark + word[start:end] in vocab), None)
        pieces += gap if end is None else [mark + word[start:end]]
        start = end or start + 1
    return pieces


def _cut_from_the_end(word: str, vocab: dict[str, int]) -> list[str]:
    end, pieces = len(word), []
    while end:
        start = next((start for start in range(end) if "##" * (start > 0) + word[start:end] in vocab), None)
        if start is None:
            return ["[UNK]"]
        pieces.insert(0, "##" * (start > 0) + word[start:end])
        end = start
    return pieces


def _marked_throughout(word: str, vocab: dict[str, int]) -> list[str]:
    return _cut(f"##{word}", {piece: 0 for piece in vocab if piece.startswith("##")}, mark="") if word else []


WORDPIECE = (
    WrongWay(
        "when a rest is no piece you go back and cut shorter before it; WordPiece never goes back",
        lambda word, vocab: next(_cuts(word, vocab), ["[UNK]"]),
    ),
    WrongWay(
        "you look for the cut with the fewest pieces; the rule is the longest piece first, from the left",
        lambda word, vocab: min(_cuts(word, vocab), key=len, default=["[UNK]"]),
    ),
    WrongWay(
        "you take the shortest piece first",
        lambda word, vocab: _cut(word, vocab, sizes=lambda rest: range(1, rest + 1)),
    ),
    WrongWay("you cut from the end of the word", _cut_from_the_end),
    WrongWay(
        "pieces inside a word are looked up without ##",
        lambda word, vocab: _cut(word, vocab, mark=""),
    ),
    WrongWay(
        "pieces inside a word are looked up without ##",
        lambda word, vocab: [("##" if i else "") + piece for i, piece in enumerate(_cut(word, vocab, mark=""))],
    ),
    WrongWay(
        "the pieces inside a word have lost their ##",
        lambda word, vocab: _cut(word, vocab, shown=lambda piece: piece.removeprefix("##")),
    ),
    WrongWay(
        "the first piece may not have ##",
        lambda word, vocab: next(_cuts(word, vocab, "##"), ["[UNK]"]),
    ),
    WrongWay(
        "the pieces before the unknown rest are kept; one unknown rest makes the whole word [UNK]",
        lambda word, vocab: _cut(word, vocab, unknown=lambda pieces: [*pieces, "[UNK]"]),
    ),
    WrongWay(
        "the unknown letter alone becomes [UNK]; one unknown rest makes the whole word [UNK]",
        _cut_around_gaps,
    ),
    WrongWay(
        "letters that are in no piece vanish; the word must become [UNK]",
        lambda word, vocab: _cut_around_gaps(word, vocab, gap=()),
    ),
    WrongWay(
        "a word that cannot be cut gives nothing; it must become [UNK]",
        lambda word, vocab: _cut(word, vocab, unknown=lambda pieces: []),
    ),
    WrongWay(
        "a word that cannot be cut is kept as it is; no piece of the vocabulary says it",
        lambda word, vocab: _cut(word, vocab, unknown=lambda pieces: [word]),
    ),
    WrongWay("the empty word has no pieces, not an unknown one", lambda word, vocab: _cut(word, vocab) or ["[UNK]"]),
    WrongWay("the word is not cut", lambda word, vocab: [word] if word in vocab else ["[UNK]"]),
)


# --- unigram_viterbi ---


def _best_cut(
    text: str,
    log_probs: dict[str, float],
    add: Callable[[float, float], float] = lambda score, log_prob: score + log_prob,
    value: Callable[[float], float] = float,
    empty: float = 0.0,
) -> list[str]:
    """Find the cut of the highest score, with the score replaceable; of equal ones, the first start is kept."""
    scores, starts = [empty], [0]
    for end in range(1, len(text) + 1):
        ways = [(add(scores[s], log_probs[text[s:end]]), s) for s in range(end) if text[s:end] in log_probs]
        score, start = max(ways, key=lambda way: value(way[0]))
        scores.append(score)
        starts.append(start)
    pieces, end = [], len(text)
    while end:
        pieces.insert(0, text[starts[end] : end])
        end = starts[end]
    return pieces


def _stepwise(text: str, log_probs: dict[str, float], rate: Callable[[str], float]) -> list[str]:
    """Take the piece with the highest rate at each step, and never go back."""
    pieces = []
    while text:
        best = max((text[:end] for end in range(1, len(text) + 1) if text[:end] in log_probs), key=rate)
        pieces.append(best)
        text = text[len(best) :]
    return pieces


def _highest_mean(text: str, log_probs: dict[str, float]) -> list[str]:
    """Keep, for each number of pieces, the best cut; then compare the means."""
    best: list[dict[int, tuple[float, list[str]]]] = [{0: (0.0, [])}]
    for end in range(1, len(text) + 1):
        ways: dict[int, tuple[float, list[str]]] = {}
        for start in range(max(0, end - max(map(len, log_probs))), end):
            if (piece := text[start:end]) in log_probs:
                for count, (score, pieces) in best[start].items():
                    way = (score + log_probs[piece], [*pieces, piece])
                    ways[count + 1] = max(ways.get(count + 1, way), way, key=lambda way: way[0])
        best.append(ways)
    return max(best[-1].items(), key=lambda item: item[1][0] / max(item[0], 1))[1][1]


UNIGRAM_VITERBI = (
    WrongWay(
        "you take the longest piece at each step; it may be rare, or leave a rest that is",
        lambda text, log_probs: _stepwise(text, log_probs, rate=len),
    ),
    WrongWay(
        "you take the most probable piece at each step; a step decides what is left for those after it",
        lambda text, log_probs: _stepwise(text, log_probs, rate=lambda piece: log_probs[piece]),
    ),
    WrongWay(
        "you look for the cut with the fewest pieces",
        lambda text, log_probs: _best_cut(text, log_probs, add=lambda score, _: score - 1),
    ),
    WrongWay(
        "you keep the least probable cut; the logarithm of a probability is negative, and nearer to zero is better",
        lambda text, log_probs: _best_cut(text, log_probs, value=lambda score: -score),
    ),
    WrongWay(
        "you compare mean log-probabilities; the probability of a cut is the product over its pieces",
        _highest_mean,
    ),
    WrongWay(
        "the probabilities themselves are multiplied, and in a long text they become 0; keep their logarithms",
        lambda text, log_probs: _best_cut(text, log_probs, add=lambda p, log_p: p * math.exp(log_p), empty=1.0),
    ),
    WrongWay(
        "logarithms of probabilities that are multiplied must be added",
        lambda text, log_probs: _best_cut(text, log_probs, add=lambda score, log_prob: score * log_prob, empty=1.0),
    ),
    WrongWay(
        "the probability of the last piece alone decides; add that of the best cut before it",
        lambda text, log_probs: _best_cut(text, log_probs, add=lambda _, log_prob: log_prob),
    ),
    WrongWay("the pieces come in the opposite order", lambda text, log_probs: _best_cut(text, log_probs)[::-1]),
    WrongWay("the text is cut into single characters", lambda text, log_probs: list(text)),
    WrongWay("the last piece is missing", lambda text, log_probs: _best_cut(text, log_probs)[:-1]),
    WrongWay("the first piece is missing", lambda text, log_probs: _best_cut(text, log_probs)[1:]),
)
