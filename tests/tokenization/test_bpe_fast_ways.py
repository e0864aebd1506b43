"""What makes byte-level BPE fast changes nothing: every quick way gives what the slow one gives."""

import functools
import json
import random
import re
import sys
import threading
from itertools import chain, pairwise

import pytest
import regex
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from companion.tokenization import GPT2_PATTERN, GPT4_PATTERN, ByteLevelBPE, Pretokenizer, count_words, lookup, merging
from companion.tokenization.lookup import Lookup
from companion.tokenization.merging import MergeTable, pack, unpack

PATTERNS = pytest.mark.parametrize("pattern", [GPT2_PATTERN, GPT4_PATTERN, r"\w+|\s", r".{1,7}"])
SPACES = [" ", "  ", "\n", "\r\n", "\t", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u2009", "\u2028", "\u3000"]
SIGNS = ["a", "é", "中", "ſ", "1", "²", "Ⅷ", "'", "'s", "'LL", ",", "_", "\u0301", "\u200b", "😀", "\U00020000"]
BYTE_IDS = list(range(1, 257))
TEXTS = st.lists(st.sampled_from(SPACES + SIGNS), max_size=25).map("".join) | st.text(max_size=20)


def plain(text):
    return text.encode("utf-8", "ignore").decode()


@given(text=TEXTS)
@pytest.mark.parametrize("pattern", [GPT2_PATTERN, GPT4_PATTERN])
def test_the_words_of_the_pieces_are_the_words_of_the_text(pattern, text):
    pretokenizer = Pretokenizer(pattern)
    first, *others = pretokenizer.pieces(text)
    assert " ".join([first, *others]) == text
    words = [pretokenizer.words(first), *pretokenizer.words_of_pieces(others)]
    assert list(chain.from_iterable(words)) == pretokenizer.words(text)
    assert ["".join(cut) for cut in words[1:]] == [f" {piece}" for piece in others]


@given(text=TEXTS)
@PATTERNS
def test_no_character_is_lost_between_words(pattern, text):
    words = Pretokenizer(pattern).words(text)
    assert "".join(words) == text
    assert all(words)


@PATTERNS
def test_a_long_text_is_counted_in_blocks_as_at_once(pattern, monkeypatch):
    rng = random.Random(0)
    text = "".join(rng.choices([*SPACES, *SIGNS], [9] + [1] * (len(SPACES + SIGNS) - 1), k=997))
    pretokenizer = Pretokenizer(pattern)
    expected = count_words([text], pretokenizer)
    monkeypatch.setattr("companion.tokenization.bpe_training._BLOCK", 61)
    assert count_words([text], pretokenizer) == expected
    assert sum(count * len(word) for word, count in expected.items()) == len(text)


def slow_merge(table, word):
    """Merge by the definition: the smallest rank, its leftmost place, until there is none."""
    ids = [table.byte_ids[byte] for byte in word]
    while ranks := [(table.rank[pair], i) for i, pair in enumerate(pairwise(ids)) if pair in table.rank]:
        rank, i = min(ranks)
        ids[i : i + 2] = [table.result[rank]]
    return ids


def slow_merge_text(tokenizer, text):
    words = tokenizer.pretokenizer.words(text)
    return [index for word in words for index in slow_merge(tokenizer._table, word.encode())]


@st.composite
def merge_lists(draw):
    """Any merges, also such as no training would learn: later ones may come first, some are never reached."""
    tokens = [BYTE_IDS[byte] for byte in b"abc"]
    merges = {}
    for new in range(300, 300 + draw(st.integers(1, 12))):
        pair = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        merges.setdefault(pair, new)
        tokens.append(new)
    order = draw(st.permutations(list(merges)))
    return [(left, right, merges[left, right]) for left, right in order]


@given(
    merges=merge_lists(), words=st.lists(st.text(alphabet="abcd", max_size=17).map(str.encode), min_size=1, max_size=13)
)
def test_short_long_and_many_words_are_merged_alike(merges, words):
    table = MergeTable(BYTE_IDS, merges)
    expected = [slow_merge(table, word) for word in words]
    assert [table.apply(word) for word in words] == expected
    for apply in (table._apply_to_short, table._apply_to_long):
        assert [apply([BYTE_IDS[byte] for byte in word]) for word in words] == expected
    filled = [word for word in words if word]
    many = table._apply_to_many(filled) if filled else []
    assert [unpack(ids) for ids in many] == [tokens for tokens in expected if tokens]
    assert [unpack(ids) for ids in table.apply_to_all(words)] == expected


def test_many_words_of_all_lengths_keep_their_places():
    table = MergeTable(range(256), [(97, 97, 256), (256, 256, 257), (98, 97, 258)])
    rng = random.Random(0)
    lengths = [rng.choice([0, 1, 2, 3, 11, merging._LONG - 1, merging._LONG, 257]) for _ in range(merging._MANY + 7)]
    words = [bytes(rng.choices(b"aab", k=length)) for length in lengths]
    assert [unpack(ids) for ids in table.apply_to_all(words)] == [slow_merge(table, word) for word in words]


@functools.cache
def trained(pattern=GPT2_PATTERN):
    return ByteLevelBPE.train(["the theory of the thing, thus 中文 the other", "aaa  aa\n\n a"], 300, pattern=pattern)


@given(texts=st.lists(TEXTS, max_size=7))
@PATTERNS
def test_a_batch_is_its_texts_one_by_one(pattern, texts):
    tokenizer = trained(pattern)
    texts = [plain(text) for text in texts]
    fresh = ByteLevelBPE.from_json({"added_tokens": [], **tokenizer.to_json()})
    expected = [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch(texts) == expected
    assert fresh.encode_batch(iter(texts)) == expected
    assert [slow_merge_text(tokenizer, text) for text in texts] == expected


def test_a_batch_is_checked_before_anything_is_encoded():
    with pytest.raises(ValueError, match=r"texts must be valid Unicode, got the lone surrogate U\+D800 at position 1"):
        trained().encode_batch(["fine", "a\ud800"])
    with pytest.raises(TypeError, match="texts must be an iterable of strings, got one str"):
        trained().encode_batch("text")
    with pytest.raises(ValueError, match="allowed_special must name special tokens"):
        trained().encode_batch([], allowed_special={"<|end|>"})


@given(rows=st.lists(st.lists(st.text(alphabet="abc", max_size=3), max_size=5), max_size=9))
def test_a_lookup_forgets_but_never_errs(rows):
    computed = []

    def compute(pieces):
        computed.extend(pieces)
        return [pack([len(piece)]) for piece in pieces]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_MAX_CHARACTERS", 4)
        patch.setattr(lookup, "_MAX_WAITING", 3)
        table = Lookup(compute)
        for _ in range(2):
            assert [unpack(ids) for ids in table.join(iter(rows))] == [[len(piece) for piece in row] for row in rows]
            assert sum(map(len, table._known)) <= 4
    assert set(computed) == {piece for row in rows for piece in row}


def test_what_fails_to_be_computed_is_not_remembered():
    tokenizer = trained()
    fresh = ByteLevelBPE.from_json({"added_tokens": [], **tokenizer.to_json()})
    fresh._words._compute = lambda words: 1 / 0
    with pytest.raises(ZeroDivisionError):
        fresh.encode("the theory")
    fresh._words._compute = fresh._encode_words
    assert fresh.encode("the theory") == tokenizer.encode("the theory")


def test_threads_that_share_an_encoder_get_the_same_ids(monkeypatch):
    monkeypatch.setattr(lookup, "_MAX_CHARACTERS", 50)  # forget all the time
    tokenizer = trained()
    rng = random.Random(0)
    texts = [" ".join(rng.choices(["the", "thus", "中文", "aaa", "x,y"], k=7)) + str(i % 13) for i in range(400)]
    expected = [slow_merge_text(tokenizer, text) for text in texts]
    wrong = []

    def encode_all():
        wrong.extend(text for text, ids in zip(texts, expected, strict=True) if tokenizer.encode(text) != ids)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=encode_all) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


ALL = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)


@functools.cache
def members(character_class):
    """The characters of a class, by the engine of each library."""
    split = pre_tokenizers.Split(Regex(f"{character_class}+"), "removed", invert=True)
    ranks = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=character_class, mergeable_ranks=ranks, special_tokens={})
    return {
        "ours": set(regex.findall(character_class, ALL)),
        "tokenizers": set("".join(word for word, _ in split.pre_tokenize_str(ALL))),
        "tiktoken": set(encoding.decode(encoding.encode_ordinary(ALL))),
    }


@pytest.mark.parametrize("character_class", [r"\p{L}", r"\p{N}", r"\s"])
def test_the_libraries_disagree_only_because_one_knows_more_characters(character_class):
    known = sorted(members(character_class).values(), key=len)
    assert all(fewer <= more for fewer, more in pairwise(known))


def test_white_space_never_depends_on_the_version_of_unicode():
    assert len({frozenset(spaces) for spaces in members(r"\s").values()}) == 1
    # What Python calls white space is more: cutting at spaces, it only ever cuts less often.
    assert members(r"\s")["ours"] <= {character for character in ALL if re.match(r"\s", character)}


def test_a_file_round_trip_keeps_every_id(tmp_path):
    tokenizer = ByteLevelBPE.train(["the theory of the thing"] * 3, 290, special_tokens=("<|a|>", "<|b|>"))
    tokenizer.save(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    again = ByteLevelBPE.from_json(content)
    assert again.vocab == tokenizer.vocab
    assert again.merges == tokenizer.merges
    assert again.special_tokens == tokenizer.special_tokens
    assert again.pretokenizer.pattern == tokenizer.pretokenizer.pattern
