"""Wrong answers to the exercises of the tokenization lab, written as a student would write them."""

# ruff: noqa: B905, C416, RUF007 - a student writes zip(word, word[1:])

import math
import re
import unicodedata
from collections import Counter
from typing import Any

from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing
from companion.exercises.tokenization import EXERCISES

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- normalize_text ---


def _no_controls(text):
    return "".join(c for c in text if c.isspace() or unicodedata.category(c) != "Cc")


def _one_space(text):
    return " ".join(text.split())


def _nfc(text):
    return unicodedata.normalize("NFC", text)


@wrong("normalize_text", "NFKC", "NFKC also replaces")
def _(text):
    return _one_space(unicodedata.normalize("NFKC", _no_controls(text)))


@wrong("normalize_text", "NFKD", "NFKD also replaces")
def _(text):
    return _one_space(unicodedata.normalize("NFKD", _no_controls(text)))


@wrong("normalize_text", "NFD", "you take accents apart")
def _(text):
    return _one_space(unicodedata.normalize("NFD", _no_controls(text)))


@wrong("normalize_text", "no normal form", "letters and accents are not composed")
def _(text):
    return _one_space(_no_controls(text))


@wrong("normalize_text", "composed too early", "before the control characters are gone")
def _(text):
    return _one_space(_no_controls(_nfc(text)))


@wrong("normalize_text", "small letters", "made all letters small")
def _(text):
    return _one_space(_nfc(_no_controls(text))).lower()


@wrong("normalize_text", "folded letters", "made all letters small")
def _(text):
    return _one_space(_nfc(_no_controls(text.casefold())))


@wrong("normalize_text", "ASCII alone", "dropped all that is not ASCII")
def _(text):
    return _one_space(_no_controls(_nfc(text))).encode("ascii", "ignore").decode()


@wrong("normalize_text", "ASCII alone, not composed before", "dropped all that is not ASCII")
def _(text):
    return _one_space(re.sub(r"[^\x20-\x7e\s]", "", text))


@wrong("normalize_text", "no accents", "you dropped the accents")
def _(text):
    letters = [c for c in unicodedata.normalize("NFD", _no_controls(text)) if not unicodedata.combining(c)]
    return _one_space("".join(letters))


@wrong("normalize_text", "no format characters", "dropped format characters too")
def _(text):
    kept = [c for c in text if c.isspace() or not unicodedata.category(c).startswith("C")]
    return _one_space(_nfc("".join(kept)))


@wrong("normalize_text", "printable characters alone", "dropped format characters too")
def _(text):
    return _one_space(_nfc("".join(c for c in text if c.isprintable() or c.isspace())))


@wrong("normalize_text", "line ends are controls", "tabs and line ends went with the control characters")
def _(text):
    return _one_space(_nfc("".join(c for c in text if unicodedata.category(c) != "Cc")))


@wrong("normalize_text", "controls become spaces", "a control character became a space")
def _(text):
    return _one_space(_nfc("".join(" " if unicodedata.category(c) == "Cc" else c for c in text)))


@wrong("normalize_text", "controls kept", "control characters are still there")
def _(text):
    return _one_space(_nfc(text))


@wrong("normalize_text", "no white space", "the words run together")
def _(text):
    return re.sub(r"\s", "", _nfc(_no_controls(text)))


@wrong("normalize_text", "ends alone", "runs of white space are not made one space")
def _(text):
    return _nfc(_no_controls(text)).strip()


@wrong("normalize_text", "white space as it was", "white space is left as it was")
def _(text):
    return _nfc(_no_controls(text))


@wrong("normalize_text", "runs of spaces alone", "tabs and line ends are white space too")
def _(text):
    return re.sub(" +", " ", _nfc(_no_controls(text))).strip()


@wrong("normalize_text", "white space of ASCII", "some spaces are not in ASCII")
def _(text):
    return re.sub(r"\s+", " ", _nfc(_no_controls(text)), flags=re.ASCII).strip(" ")


@wrong("normalize_text", "spaces at the ends", "white space is left at the ends")
def _(text):
    return re.sub(r"\s+", " ", _nfc(_no_controls(text)))


@wrong("normalize_text", "a list for the normal form", "takes the whole text, not a list")
def _(text):
    kept: Any = [c for c in text if unicodedata.category(c) != "Cc"]
    return unicodedata.normalize("NFC", kept)


@wrong("normalize_text", "returns words")
def _(text):
    return _nfc(_no_controls(text)).split()


@wrong("normalize_text", "line by line")
def _(text):
    return "\n".join(_one_space(line) for line in _nfc(_no_controls(text)).splitlines())


# --- pair_counts ---


def _add_up(words, counts, pairs_of=lambda word: zip(word, word[1:])):
    """Count rightly, but for the pairs of a word."""
    found = {}
    for word, count in zip(words, counts):
        for pair in pairs_of(word):
            found[pair] = found.get(pair, 0) + count
    return found


def _without_overlap(word):
    previous = None
    for pair in zip(word, word[1:]):
        if pair == previous and pair[0] == pair[1]:
            previous = None
        else:
            yield pair
            previous = pair


@wrong("pair_counts", "counts unused", "each word is counted once")
def _(words, counts):
    return _add_up(words, [1] * len(words))


@wrong("pair_counts", "begins at the last id", "from the last id of a word to its first")
def _(words, counts):
    return _add_up(words, counts, lambda word: [(word[i - 1], word[i]) for i in range(len(word))])


@wrong("pair_counts", "one long text", "the end of a word and the beginning of the next")
def _(words, counts):
    ids = [i for word in words for i in word]
    return dict(Counter(zip(ids, ids[1:])))


@wrong("pair_counts", "one long text of repeats", "the end of a word and the beginning of the next")
def _(words, counts):
    ids = []
    for word, count in zip(words, counts):
        ids += word * count
    return dict(Counter(zip(ids, ids[1:])))


@wrong("pair_counts", "once a word", "a pair that stands in a word twice")
def _(words, counts):
    return _add_up(words, counts, lambda word: set(zip(word, word[1:])))


@wrong("pair_counts", "no overlap in runs", "every two neighbours are a pair")
def _(words, counts):
    return _add_up(words, counts, _without_overlap)


@wrong("pair_counts", "steps of two", "every second pair is left out")
def _(words, counts):
    return _add_up(words, counts, lambda word: [(word[i], word[i + 1]) for i in range(0, len(word) - 1, 2)])


@wrong("pair_counts", "stops early", "the last pair of each word is missing")
def _(words, counts):
    return _add_up(words, counts, lambda word: [(word[i], word[i + 1]) for i in range(len(word) - 2)])


@wrong("pair_counts", "overwrites", "a later word overwrites")
def _(words, counts):
    found = {}
    for word, count in zip(words, counts):
        for pair in zip(word, word[1:]):
            found[pair] = count
    return found


@wrong("pair_counts", "no order", "a pair and its mirror image")
def _(words, counts):
    return _add_up(words, counts, lambda word: [(min(pair), max(pair)) for pair in zip(word, word[1:])])


@wrong("pair_counts", "right before left", "changed places in your pairs")
def _(words, counts):
    return _add_up(words, counts, lambda word: [(word[i], word[i - 1]) for i in range(1, len(word))])


@wrong("pair_counts", "single ids", "you count single ids")
def _(words, counts):
    return _add_up(words, counts, lambda word: word)


@wrong("pair_counts", "runs past the end", "no neighbour to its right")
def _(words, counts):
    return _add_up(words, counts, lambda word: [(word[i], word[i + 1]) for i in range(len(word))])


@wrong("pair_counts", "lists for keys", "a list cannot be the key of a dict")
def _(words, counts):
    return _add_up(words, counts, lambda word: [word[i : i + 2] for i in range(len(word) - 1)])


@wrong("pair_counts", "returns a Counter", "wrap it in dict")
def _(words, counts):
    return Counter(_add_up(words, counts))


@wrong("pair_counts", "returns items")
def _(words, counts):
    return list(_add_up(words, counts).items())


@wrong("pair_counts", "takes the words apart", "changed its argument `words` in place")
def _(words, counts):
    found = {}
    for word, count in zip(words, counts):
        while len(word) > 1:
            pair = (word.pop(0), word[0])
            found[pair] = found.get(pair, 0) + count
    return found


# --- merge_pair ---


def right_merge(ids, pair, new_id):
    """Merge rightly: what a student has in hand when going wrong in a later exercise."""
    merged, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


@wrong("merge_pair", "first place alone", "only the first place is merged")
def _(ids, pair, new_id):
    for i in range(len(ids) - 1):
        if (ids[i], ids[i + 1]) == pair:
            return [*ids[:i], new_id, *ids[i + 2 :]]
    return ids


@wrong("merge_pair", "from the right", "you merge from right to left")
def _(ids, pair, new_id):
    merged = list(ids)
    i = len(merged) - 2
    while i >= 0:
        if (merged[i], merged[i + 1]) == pair:
            merged[i : i + 2] = [new_id]
            i -= 1
        i -= 1
    return merged


@wrong("merge_pair", "mirror image too", "the mirror image of the pair is merged too")
def _(ids, pair, new_id):
    merged, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and {ids[i], ids[i + 1]} == set(pair):
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


@wrong("merge_pair", "second id kept", "is still there after the merge")
def _(ids, pair, new_id):
    merged = []
    for i in range(len(ids)):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
        else:
            merged.append(ids[i])
    return merged


@wrong("merge_pair", "overlaps", "you use some ids twice")
def _(ids, pair, new_id):
    places = [i for i in range(len(ids) - 1) if (ids[i], ids[i + 1]) == pair]
    return [new_id if i in places else ids[i] for i in range(len(ids)) if i - 1 not in places]


@wrong("merge_pair", "search in written numbers", "you look for the pair in the written numbers")
def _(ids, pair, new_id):
    text = ",".join(map(str, ids)).replace(",".join(map(str, pair)), str(new_id))
    return [int(number) for number in text.split(",") if number]


@wrong("merge_pair", "each id by itself", "wherever they stand")
def _(ids, pair, new_id):
    return [new_id if i in pair else i for i in ids]


@wrong("merge_pair", "last id lost", "the last id is lost")
def _(ids, pair, new_id):
    merged, i = [], 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


@wrong("merge_pair", "unhashed comparison", "nothing is merged")
def _(ids, pair, new_id):
    merged, i = [], 0
    while i < len(ids):
        if ids[i : i + 2] == pair:  # a list is never equal to a tuple
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


@wrong("merge_pair", "pair dropped", "nothing stands in its place")
def _(ids, pair, new_id):
    kept, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            i += 2
        else:
            kept.append(ids[i])
            i += 1
    return kept


@wrong("merge_pair", "runs past the end", "has no right neighbour")
def _(ids, pair, new_id):
    merged, i = [], 0
    while i < len(ids):
        if ids[i] == pair[0] and ids[i + 1] == pair[1]:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


@wrong("merge_pair", "shrinks the list it walks over", "has no right neighbour")
def _(ids, pair, new_id):
    merged = list(ids)
    for i in range(len(ids) - 1):
        if (merged[i], merged[i + 1]) == pair:
            merged[i : i + 2] = [new_id]
    return merged


@wrong("merge_pair", "in place", "changed its argument `ids` in place")
def _(ids, pair, new_id):
    ids[:] = right_merge(ids, pair, new_id)
    return ids


@wrong("merge_pair", "looks once for the left id")
def _(ids, pair, new_id):
    merged = list(ids)
    while pair[0] in merged:
        i = merged.index(pair[0])
        if tuple(merged[i : i + 2]) != pair:
            break
        merged[i : i + 2] = [new_id]
    return merged


# --- train_bpe ---


def _smallest_best(found, words, counts):
    return min(found, key=lambda pair: (-found[pair], pair))


def _train(
    words,
    counts,
    n_merges,
    best=_smallest_best,
    count=_add_up,
    merge=right_merge,
    cut=str.encode,
    first_id=256,
    least=1,
):
    """Train rightly, but for the step that is passed in."""
    words = [list(cut(word)) for word in words]
    merges = {}
    for new_id in range(first_id, first_id + n_merges):
        found = count(words, counts)
        if max(found.values(), default=0) < least:
            break
        pair = best(found, words, counts)
        merges[pair] = new_id
        words = [merge(word, pair, new_id) for word in words]
    return merges


@wrong("train_bpe", "counts unused", "each word is counted once")
def _(words, counts, n_merges):
    return _train(words, [1 for _ in words], n_merges)


@wrong("train_bpe", "ties: the first", "you take the one met first")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, best=lambda found, *_: max(found, key=found.get))


@wrong("train_bpe", "ties: the first, by Counter", "you take the one met first")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, best=lambda found, *_: Counter(found).most_common(1)[0][0])


@wrong("train_bpe", "ties: the largest", "you take the largest")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, best=lambda found, *_: max((n, pair) for pair, n in found.items())[1])


@wrong("train_bpe", "ties: the last", "you take the one met last")
def _(words, counts, n_merges):
    def best(found, *_):
        chosen, most = None, 0
        for pair, count in found.items():
            if count >= most:
                chosen, most = pair, count
        return chosen

    return _train(words, counts, n_merges, best)


@wrong("train_bpe", "ties: by spelling", "by what they spell")
def _(words, counts, n_merges):
    tokens = {i: bytes([i]) for i in range(256)}

    def best(found, *_):
        pair = min(found, key=lambda pair: (-found[pair], [tokens[i] for i in pair]))
        tokens[len(tokens)] = tokens[pair[0]] + tokens[pair[1]]
        return pair

    return _train(words, counts, n_merges, best)


@wrong("train_bpe", "counts once", "the pairs are counted once, at the start")
def _(words, counts, n_merges):
    found = _add_up([list(word.encode()) for word in words], counts)
    best = sorted(found, key=lambda pair: (-found[pair], pair))[:n_merges]
    return {pair: 256 + i for i, pair in enumerate(best)}


@wrong("train_bpe", "rarest", "you took the rarest pair")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, best=lambda found, *_: min(found, key=lambda pair: (found[pair], pair)))


@wrong("train_bpe", "WordPiece's score", "that is WordPiece's score")
def _(words, counts, n_merges):
    def best(found, words, counts):
        single = _add_up(words, counts, pairs_of=list)
        return min(found, key=lambda pair: (-found[pair] / (single[pair[0]] * single[pair[1]]), pair))

    return _train(words, counts, n_merges, best)


@wrong("train_bpe", "pairs once a word", "a pair that stands in a word twice")
def _(words, counts, n_merges):
    def count(words, counts):
        return _add_up(words, counts, pairs_of=lambda word: set(zip(word, word[1:])))

    return _train(words, counts, n_merges, count=count)


@wrong("train_bpe", "no overlap in runs", "every two neighbours are a pair")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, count=lambda words, counts: _add_up(words, counts, _without_overlap))


@wrong("train_bpe", "merges once a word", "only the first place in each word is merged")
def _(words, counts, n_merges):
    def merge(word, pair, new_id):
        for i in range(len(word) - 1):
            if (word[i], word[i + 1]) == pair:
                return [*word[:i], new_id, *word[i + 2 :]]
        return word

    return _train(words, counts, n_merges, merge=merge)


@wrong("train_bpe", "across words", "from one word into the next")
def _(words, counts, n_merges):
    text = "".join(word * count for word, count in zip(words, counts))
    return _train([text], [1], n_merges)


@wrong("train_bpe", "across words and spaces", "from one word into the next")
def _(words, counts, n_merges):
    text = " ".join(" ".join([word] * count) for word, count in zip(words, counts))
    return _train([text], [1], n_merges)


@wrong("train_bpe", "characters", "you start from the characters")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, cut=lambda word: [ord(c) for c in word])


@wrong("train_bpe", "ids from 0", "the first new id is wrong")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, first_id=0)


@wrong("train_bpe", "ids from 1", "the first new id is wrong")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, first_id=1)


@wrong("train_bpe", "ids from 255", "the first new id is wrong")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, first_id=255)


@wrong("train_bpe", "ids from 257", "the first new id is wrong")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, first_id=257)


@wrong("train_bpe", "one merge less", "one merge too few")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges - 1)


@wrong("train_bpe", "one merge more", "one merge too many")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges + 1)


@wrong("train_bpe", "stops at pairs that occur once", "you stop when the best pair occurs once")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, least=2)


@wrong("train_bpe", "no end of pairs", "the words may run out of pairs")
def _(words, counts, n_merges):
    return _train(words, counts, n_merges, least=0)


@wrong("train_bpe", "returns the pairs alone", "expected a dict")
def _(words, counts, n_merges):
    return list(_train(words, counts, n_merges))


# --- bpe_encode ---


def _mergeable(ids, merges):
    return [pair for pair in zip(ids, ids[1:]) if pair in merges]


@wrong("bpe_encode", "one merge", "you stop after the first merge")
def _(word, merges):
    ids = word
    pairs = _mergeable(ids, merges)
    if pairs:
        first = min(pairs, key=merges.get)
        ids = right_merge(ids, first, merges[first])
    return ids


@wrong("bpe_encode", "bytes alone", "nothing is merged")
def _(word, merges):
    return word


@wrong("bpe_encode", "longest token", "you take the longest token that fits")
def _(word, merges):
    tokens = {i: bytes([i]) for i in range(256)}
    for (left, right), new_id in sorted(merges.items(), key=lambda item: item[1]):
        tokens[new_id] = tokens[left] + tokens[right]
    ids = {token: i for i, token in tokens.items()}
    data, start, found = bytes(word), 0, []
    while start < len(data):
        end = len(data)
        while data[start:end] not in ids:
            end -= 1
        found.append(ids[data[start:end]])
        start = end
    return found


@wrong("bpe_encode", "leftmost pair", "you merge the leftmost pair")
def _(word, merges):
    ids = word
    while True:
        for pair in zip(ids, ids[1:]):
            if pair in merges:
                ids = right_merge(ids, pair, merges[pair])
                break
        else:
            return ids


@wrong("bpe_encode", "passes from left to right", "you merge the leftmost pair")
def _(word, merges):
    ids, changed = word, True
    while changed:
        merged, i, changed = [], 0, False
        while i < len(ids):
            if tuple(ids[i : i + 2]) in merges:
                merged.append(merges[tuple(ids[i : i + 2])])
                i += 2
                changed = True
            else:
                merged.append(ids[i])
                i += 1
        ids = merged
    return ids


@wrong("bpe_encode", "last learned first", "you take the merge learned last first")
def _(word, merges):
    ids = word
    while pairs := _mergeable(ids, merges):
        pair = max(pairs, key=merges.get)
        ids = right_merge(ids, pair, merges[pair])
    return ids


@wrong("bpe_encode", "most frequent here", "most frequent in this word")
def _(word, merges):
    ids = word
    while pairs := _mergeable(ids, merges):
        pair = Counter(pairs).most_common(1)[0][0]
        ids = right_merge(ids, pair, merges[pair])
    return ids


@wrong("bpe_encode", "order of the dict", "in which the dict lists them")
def _(word, merges):
    ids = word
    for pair, new_id in merges.items():
        ids = right_merge(ids, pair, new_id)
    return ids


@wrong("bpe_encode", "first of the dict that is there", "in which the dict lists them")
def _(word, merges):
    ids = word
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    while pairs := _mergeable(ids, merges):
        pair = min(pairs, key=lambda pair: ranks[pair])
        ids = right_merge(ids, pair, merges[pair])
    return ids


@wrong("bpe_encode", "minimum of nothing", "a word of one byte has no pair to look at")
def _(word, merges):
    ids = word
    while True:
        pair = min(zip(ids, ids[1:]), key=lambda pair: merges.get(pair, math.inf))
        if pair not in merges:
            return ids
        ids = right_merge(ids, pair, merges[pair])


@wrong("bpe_encode", "every pair is a merge")
def _(word, merges):
    ids = word
    while len(ids) > 1:
        pair = min(zip(ids, ids[1:]), key=lambda pair: merges[pair])
        ids = right_merge(ids, pair, merges[pair])
    return ids


@wrong("bpe_encode", "returns one id", "expected a list")
def _(word, merges):
    return merges.get(tuple(word), 0)


@wrong("bpe_encode", "in place", "changed its argument `word` in place")
def _(word, merges):
    while pairs := _mergeable(word, merges):
        pair = min(pairs, key=merges.get)
        word[:] = right_merge(word, pair, merges[pair])
    return word


@wrong("bpe_encode", "uses the merges up", "changed its argument `merges` in place")
def _(word, merges):
    ids = word
    for new_id in sorted(merges.values()):
        pair = next(pair for pair in merges if merges[pair] == new_id)
        ids = right_merge(ids, pair, merges.pop(pair))
    return ids


# --- bpe_decode ---


def _tokens(merges):
    tokens = {i: bytes([i]) for i in range(256)}
    for (left, right), new_id in sorted(merges.items(), key=lambda item: item[1]):
        tokens[new_id] = tokens[left] + tokens[right]
    return tokens


@wrong("bpe_decode", "right before left", "have changed places")
def _(ids, merges):
    parts = {new_id: pair for pair, new_id in merges.items()}

    def spell(i):
        return spell(parts[i][1]) + spell(parts[i][0]) if i in parts else bytes([i])

    return b"".join(spell(i) for i in ids).decode("utf-8", "replace")


@wrong("bpe_decode", "token by token", "you decode each token by itself")
def _(ids, merges):
    tokens = _tokens(merges)
    return "".join(tokens[i].decode("utf-8", errors="replace") for i in ids)


@wrong("bpe_decode", "token by token, ignoring errors", "you decode each token by itself")
def _(ids, merges):
    tokens = _tokens(merges)
    return "".join(tokens[i].decode("utf-8", errors="ignore") for i in ids)


@wrong("bpe_decode", "errors ignored", "bytes that are no text vanish")
def _(ids, merges):
    tokens = _tokens(merges)
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="ignore")


@wrong("bpe_decode", "one character a byte", "a byte is not a character")
def _(ids, merges):
    tokens = _tokens(merges)
    return "".join(chr(byte) for i in ids for byte in tokens[i])


@wrong("bpe_decode", "errors as numbers", "written out as numbers")
def _(ids, merges):
    tokens = _tokens(merges)
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="backslashreplace")


@wrong("bpe_decode", "errors as question marks", "marked with a question mark")
def _(ids, merges):
    tokens = _tokens(merges)
    text = b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")
    return text.replace("�", "?")


@wrong("bpe_decode", "ids as characters", "a new id is not a character's number")
def _(ids, merges):
    return "".join(chr(i) for i in ids)


@wrong("bpe_decode", "spaces between", "there are spaces between the tokens")
def _(ids, merges):
    tokens = _tokens(merges)
    return " ".join(tokens[i].decode("utf-8", errors="replace") for i in ids)


@wrong("bpe_decode", "one level of merges", "a merge may be made of merges")
def _(ids, merges):
    parts = {new_id: pair for pair, new_id in merges.items()}
    return bytes(byte for i in ids for byte in parts.get(i, (i,))).decode("utf-8", errors="replace")


@wrong("bpe_decode", "strict", "a model may write bytes that are no text")
def _(ids, merges):
    tokens = _tokens(merges)
    return b"".join(tokens[i] for i in ids).decode("utf-8")


@wrong("bpe_decode", "returns bytes", "expected a str")
def _(ids, merges):
    tokens = _tokens(merges)
    return b"".join(tokens[i] for i in ids)


@wrong("bpe_decode", "gives up at the first error")
def _(ids, merges):
    tokens = _tokens(merges)
    data = b"".join(tokens[i] for i in ids)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        return data[: error.start].decode("utf-8") + "�"


# --- wordpiece ---


def _pieces(word, known, unknown=("[UNK]",)):
    """Cut rightly, but for the test of what is known and for what is given when nothing is."""
    pieces, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and not known(("##" if start else "") + word[start:end]):
            end -= 1
        if end == start:
            return list(unknown)
        pieces.append(("##" if start else "") + word[start:end])
        start = end
    return pieces


@wrong("wordpiece", "goes back", "WordPiece never goes back")
def _(word, vocab):
    def cut(rest, mark):
        if not rest:
            return []
        for end in range(len(rest), 0, -1):
            if mark + rest[:end] in vocab:
                after = cut(rest[end:], "##")
                if after is not None:
                    return [mark + rest[:end], *after]
        return None

    pieces = cut(word, "")
    return ["[UNK]"] if pieces is None else pieces


@wrong("wordpiece", "fewest pieces", "the cut with the fewest pieces")
def _(word, vocab):
    best: list[Any] = [[]]
    for end in range(1, len(word) + 1):
        ways = [
            [*best[start], ("##" if start else "") + word[start:end]]
            for start in range(end)
            if best[start] is not None and ("##" if start else "") + word[start:end] in vocab
        ]
        best.append(min(ways, key=len, default=None))
    return ["[UNK]"] if best[-1] is None else best[-1]


@wrong("wordpiece", "shortest first", "you take the shortest piece first")
def _(word, vocab):
    pieces, start, end = [], 0, 1
    while end <= len(word):
        piece = ("##" if start else "") + word[start:end]
        if piece in vocab:
            pieces.append(piece)
            start = end
        end += 1
    return pieces if start == len(word) else ["[UNK]"]


@wrong("wordpiece", "from the end", "you cut from the end of the word")
def _(word, vocab):
    pieces, end = [], len(word)
    while end > 0:
        for start in range(end):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                pieces.append(piece)
                end = start
                break
        else:
            return ["[UNK]"]
    return pieces[::-1]


@wrong("wordpiece", "no marks at all", "are looked up without ##")
def _(word, vocab):
    pieces = []
    while word:
        end = next((end for end in range(len(word), 0, -1) if word[:end] in vocab), 0)
        if not end:
            return ["[UNK]"]
        pieces.append(word[:end])
        word = word[end:]
    return pieces


@wrong("wordpiece", "marks added afterwards", "are looked up without ##")
def _(word, vocab):
    return _pieces(word, lambda piece: piece.removeprefix("##") in vocab)


@wrong("wordpiece", "marks lost", "have lost their ##")
def _(word, vocab):
    return [piece.removeprefix("##") for piece in _pieces(word, vocab.__contains__)]


@wrong("wordpiece", "mark on the first piece", "the first piece may not have ##")
def _(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and "##" + word[start:end] not in vocab:
            end -= 1
        if end == start:
            return ["[UNK]"]
        pieces.append("##" + word[start:end])
        start = end
    return pieces


@wrong("wordpiece", "keeps what came before", "the pieces before the unknown rest are kept")
def _(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and ("##" if start else "") + word[start:end] not in vocab:
            end -= 1
        if end == start:
            return [*pieces, "[UNK]"]
        pieces.append(("##" if start else "") + word[start:end])
        start = end
    return pieces


def _over_gaps(word, vocab, gap):
    pieces, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start and ("##" if start else "") + word[start:end] not in vocab:
            end -= 1
        if end == start:
            pieces += gap
            start += 1
        else:
            pieces.append(("##" if start else "") + word[start:end])
            start = end
    return pieces


@wrong("wordpiece", "unknown letter by letter", "the unknown letter alone becomes [UNK]")
def _(word, vocab):
    return _over_gaps(word, vocab, ["[UNK]"])


@wrong("wordpiece", "unknown letters vanish", "letters that are in no piece vanish")
def _(word, vocab):
    return _over_gaps(word, vocab, [])


@wrong("wordpiece", "nothing for the unknown", "a word that cannot be cut gives nothing")
def _(word, vocab):
    return _pieces(word, vocab.__contains__, unknown=[])


@wrong("wordpiece", "the unknown as it is", "a word that cannot be cut is kept as it is")
def _(word, vocab):
    return _pieces(word, vocab.__contains__, unknown=[word])


@wrong("wordpiece", "nothing is unknown", "the empty word has no pieces")
def _(word, vocab):
    return _pieces(word, vocab.__contains__) or ["[UNK]"]


@wrong("wordpiece", "whole words", "the word is not cut")
def _(word, vocab):
    return [word] if word in vocab else ["[UNK]"]


@wrong("wordpiece", "returns ids")
def _(word, vocab):
    return [vocab[piece] for piece in _pieces(word, vocab.__contains__)]


@wrong("wordpiece", "returns one text", "expected a list")
def _(word, vocab):
    return " ".join(_pieces(word, vocab.__contains__))


# --- unigram_viterbi ---


def _best(text, log_probs, start_score=0.0, add=lambda a, b: a + b, better=lambda a, b: a > b):
    """Find the best cut, but for how scores are added and compared."""
    scores, starts = {0: start_score}, {}
    for end in range(1, len(text) + 1):
        for start in range(end):
            piece = text[start:end]
            if piece in log_probs:
                score = add(scores[start], log_probs[piece])
                if end not in scores or better(score, scores[end]):
                    scores[end], starts[end] = score, start
    pieces, end = [], len(text)
    while end > 0:
        pieces.append(text[starts[end] : end])
        end = starts[end]
    return pieces[::-1]


@wrong("unigram_viterbi", "longest piece", "you take the longest piece at each step")
def _(text, log_probs):
    pieces = []
    while text:
        end = len(text)
        while text[:end] not in log_probs:
            end -= 1
        pieces.append(text[:end])
        text = text[end:]
    return pieces


@wrong("unigram_viterbi", "most probable piece", "you take the most probable piece at each step")
def _(text, log_probs):
    pieces = []
    while text:
        fitting = [piece for piece in log_probs if text.startswith(piece)]
        best = max(fitting, key=log_probs.get)
        pieces.append(best)
        text = text[len(best) :]
    return pieces


@wrong("unigram_viterbi", "fewest pieces", "you look for the cut with the fewest pieces")
def _(text, log_probs):
    return _best(text, log_probs, add=lambda a, b: a + 1, better=lambda a, b: a < b)


@wrong("unigram_viterbi", "least probable", "you keep the least probable cut")
def _(text, log_probs):
    return _best(text, log_probs, better=lambda a, b: a < b)


@wrong("unigram_viterbi", "highest mean", "you compare mean log-probabilities")
def _(text, log_probs):
    best = [{0: (0.0, [])}]
    longest = max(len(piece) for piece in log_probs)
    for end in range(1, len(text) + 1):
        ways = {}
        for start in range(max(0, end - longest), end):
            if text[start:end] in log_probs:
                for n, (score, pieces) in best[start].items():
                    score = score + log_probs[text[start:end]]
                    if n + 1 not in ways or score > ways[n + 1][0]:
                        ways[n + 1] = (score, [*pieces, text[start:end]])
        best.append(ways)
    return max(best[-1].items(), key=lambda item: item[1][0] / item[0] if item[0] else 0)[1][1]


@wrong("unigram_viterbi", "probabilities multiplied", "in a long text they become 0")
def _(text, log_probs):
    return _best(text, log_probs, start_score=1.0, add=lambda a, b: a * math.exp(b))


@wrong("unigram_viterbi", "logarithms multiplied", "must be added")
def _(text, log_probs):
    return _best(text, log_probs, start_score=1.0, add=lambda a, b: a * b)


@wrong("unigram_viterbi", "last piece decides", "the probability of the last piece alone decides")
def _(text, log_probs):
    return _best(text, log_probs, add=lambda a, b: b)


@wrong("unigram_viterbi", "not turned round", "the pieces come in the opposite order")
def _(text, log_probs):
    return _best(text, log_probs)[::-1]


@wrong("unigram_viterbi", "characters", "cut into single characters")
def _(text, log_probs):
    return [c for c in text]


@wrong("unigram_viterbi", "last piece missing", "the last piece is missing")
def _(text, log_probs):
    return _best(text, log_probs)[:-1]


@wrong("unigram_viterbi", "first piece missing", "the first piece is missing")
def _(text, log_probs):
    return _best(text, log_probs)[1:]


@wrong("unigram_viterbi", "pieces of two at most")
def _(text, log_probs):
    return _best(text, {piece: score for piece, score in log_probs.items() if len(piece) < 3})


@wrong("unigram_viterbi", "returns the score", "expected a list")
def _(text, log_probs):
    return float(sum(log_probs[piece] for piece in _best(text, log_probs)))


@wrong("unigram_viterbi", "fails on the empty text")
def _(text, log_probs):
    pieces = _best(text, log_probs)
    assert pieces[0]
    return pieces


file_learned_by_heart(MUTANTS, EXERCISES)
