"""What makes byte-level BPE fast changes nothing: every quick way gives what the slow one gives."""

import functools
import json
import random
import re
import sys
import threading
from itertools import accumulate, chain, pairwise

import numpy as np
import pytest
import regex
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from companion.tokenization import (
    GPT2_PATTERN,
    GPT4_PATTERN,
    ByteLevelBPE,
    Pretokenizer,
    bpe,
    count_words,
    merging,
    pretokenize,
    word_table,
)
from companion.tokenization.merging import MergeTable, pack, unpack
from companion.tokenization.word_table import WordEncoder
from companion.tokenization.words import Words

PATTERNS = pytest.mark.parametrize("pattern", [GPT2_PATTERN, GPT4_PATTERN, r"\w+|\s", r".{1,7}"])
SPACES = [" ", "  ", "\n", "\r\n", "\t", "\x0b", "\x1c", "\x1f", "\x85", "\xa0", "\u2009", "\u2028", "\u3000"]
SIGNS = ["a", "é", "中", "ſ", "1", "²", "Ⅷ", "'", "'s", "'LL", ",", "_", "\u0301", "\u200b", "😀", "\U00020000"]
ALL = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
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


@given(texts=st.lists(TEXTS | st.text(alphabet="'stdmlvreS \n1,\0", max_size=25), max_size=5))
@PATTERNS
def test_texts_are_cut_together_as_one_by_one(pattern, texts):
    pretokenizer = Pretokenizer(pattern)
    texts = [plain(text) for text in texts]
    data, starts, ends, totals = pretokenizer.cut(texts)
    expected = [pretokenizer.words(text) for text in texts]
    assert [data[i:j].decode() for i, j in zip(starts, ends, strict=True)] == list(chain.from_iterable(expected))
    assert totals.tolist() == list(accumulate(map(len, expected)))


def test_every_character_is_of_the_kind_that_the_pattern_says():
    pretokenizer = Pretokenizer()
    texts = [f"a{character}1{character}{character}," for character in ALL[::7]]
    words = pretokenizer.cut(texts)
    places = zip(words.starts.tolist(), words.ends.tolist(), strict=True)
    assert [words.data[i:j].decode() for i, j in places] == [
        word for text in texts for word in pretokenizer.words(text)
    ]


@given(text=TEXTS, block=st.integers(1, 30))
@PATTERNS
def test_the_words_of_the_parts_are_the_words_of_the_text(pattern, text, block):
    pretokenizer = Pretokenizer(pattern)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretokenize, "BLOCK", block)
        parts = list(pretokenizer.parts(text))
    assert [word for part in parts for word in pretokenizer.words(part)] == pretokenizer.words(text)


@given(texts=st.lists(st.text(max_size=9), max_size=9), block=st.integers(1, 20))
def test_blocks_hold_all_texts_and_no_more_characters_than_they_may(texts, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretokenize, "BLOCK", block)
        grouped = list(pretokenize.blocks(texts))
    assert list(chain.from_iterable(grouped)) == texts
    assert all(len(group) == 1 or sum(map(len, group)) <= block for group in grouped)


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
    monkeypatch.setattr(pretokenize, "BLOCK", 61)
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


@given(texts=st.lists(TEXTS, max_size=7), few=st.sampled_from([0, 20, 1000]), block=st.integers(1, 90))
@PATTERNS
def test_a_batch_is_its_texts_one_by_one(pattern, texts, few, block):
    tokenizer = trained(pattern)
    texts = [plain(text) for text in texts]
    expected = [slow_merge_text(tokenizer, text) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "_FEW", few)
        patch.setattr(pretokenize, "BLOCK", block)
        fresh = ByteLevelBPE.from_json({"added_tokens": [], **tokenizer.to_json()})
        assert fresh.encode_batch(iter(texts)) == expected
        assert tokenizer.encode_batch(texts) == expected
        assert [tokenizer.encode(text) for text in texts] == expected


def test_a_batch_is_checked_before_anything_is_encoded():
    with pytest.raises(ValueError, match=r"texts must be valid Unicode, got the lone surrogate U\+D800 at position 1"):
        trained().encode_batch(["fine", "a\ud800"])
    with pytest.raises(TypeError, match="texts must be an iterable of strings, got one str"):
        trained().encode_batch("text")
    with pytest.raises(ValueError, match="allowed_special must name special tokens"):
        trained().encode_batch([], allowed_special={"<|end|>"})


@given(texts=st.lists(st.text(alphabet="abé \0", max_size=40), max_size=9), most=st.integers(0, 60))
def test_an_encoder_forgets_but_never_errs(texts, most):
    computed = []

    def compute(words):
        computed.extend(words)
        return [pack([len(word), *word]) for word in words]

    pretokenizer = Pretokenizer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_table, "_MAX_BYTES", most)
        encoder = WordEncoder(compute)
        for _ in range(2):
            for text in texts:
                ids, totals = encoder.encode(pretokenizer.cut([text]))
                words = [word.encode() for word in pretokenizer.words(text)]
                assert ids.tolist() == [number for word in words for number in (len(word), *word)]
                assert totals.tolist() == [0, *accumulate(1 + len(word) for word in words)]
                assert encoder._table._n_bytes <= most
    assert set(computed) == {word.encode() for text in texts for word in pretokenizer.words(text)}


@pytest.mark.parametrize("multiplier", [0, 1])
def test_words_that_want_the_same_slots_are_all_found(multiplier, monkeypatch):
    monkeypatch.setattr(word_table, "_MULTIPLIERS", word_table._MULTIPLIERS * multiplier)
    monkeypatch.setattr(word_table, "_FEWEST_SLOTS", 4)
    rng = random.Random(0)
    encoder = WordEncoder(lambda words: [pack(list(word)) for word in words])
    for _ in range(40):
        words = [bytes(rng.choices(range(128), k=rng.randint(1, 20))) for _ in range(rng.randint(1, 30))] * 2
        ends = np.cumsum(list(map(len, words)))
        for _ in range(2):
            ids, totals = encoder.encode(Words(b"".join(words), np.append(0, ends[:-1]), ends, ends[-1:]))
            assert bytes(ids.tolist()) == b"".join(words)
            assert totals.tolist() == [0, *ends.tolist()]


def test_words_seen_before_are_not_computed_again():
    encoder = WordEncoder(lambda words: [pack(list(word)) for word in words])
    text = " ".join(str(number**5) for number in range(5000))  # some longer than what the slots compare
    words = Pretokenizer().cut([text])
    expected = encoder.encode(words)
    encoder._compute = lambda words: 1 / 0
    for got, array in zip(encoder.encode(words), expected, strict=True):
        assert got.tolist() == array.tolist()


def test_what_fails_to_be_computed_is_not_remembered(monkeypatch):
    tokenizer = trained()
    for few in (0, 100):
        monkeypatch.setattr(bpe, "_FEW", few)
        fresh = ByteLevelBPE.from_json({"added_tokens": [], **tokenizer.to_json()})
        with monkeypatch.context() as patch:
            patch.setattr(fresh._table, "apply_to_all", lambda words: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                fresh.encode("the theory")
        assert fresh.encode("the theory") == tokenizer.encode("the theory")


@pytest.mark.parametrize("few", [0, 100])
def test_threads_that_share_an_encoder_get_the_same_ids(monkeypatch, few):
    monkeypatch.setattr(bpe, "_FEW", few)
    monkeypatch.setattr(word_table, "_MAX_BYTES", 50)  # forget all the time
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
