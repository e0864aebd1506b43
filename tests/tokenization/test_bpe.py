"""Laws of byte-level BPE: small corpora, streams, files, and what is refused."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.tokenization import (
    GPT2_PATTERN,
    GPT4_PATTERN,
    ByteLevelBPE,
    Pretokenizer,
    bytes_to_chars,
    chars_to_bytes,
    count_words,
    learn_merges,
    load,
    read_ranks,
    recover_merges,
)

SPECIAL = ("<|end|>", "<|en")
CORPUS = ["the theory of the thing, thus the other", "aaaa aaa aa a", "再见 再见 中文", "  spaces\n\n\tand lines  "]
TEXTS = st.text(max_size=60) | st.text(alphabet="the aA'\n再<|end>", max_size=80)


@pytest.fixture(scope="module", params=[GPT2_PATTERN, GPT4_PATTERN], ids=["gpt2", "gpt4"])
def bpe(request):
    return ByteLevelBPE.train(CORPUS, 320, pattern=request.param, special_tokens=SPECIAL)


def plain(text):
    return text.encode("utf-8", "ignore").decode()


@given(text=TEXTS)
def test_decoding_gives_the_text_back(bpe, text):
    text = plain(text)
    assert bpe.decode(bpe.encode(text)) == text


@given(text=TEXTS)
def test_no_text_becomes_a_special_token(bpe, text):
    hostile = f"{SPECIAL[0]}{plain(text)}{SPECIAL[1]}{SPECIAL[0]}"
    ids = bpe.encode(hostile)
    assert not set(ids) & set(bpe.special_tokens.values())
    assert bpe.decode(ids) == hostile


@given(text=TEXTS, cuts=st.lists(st.integers(0, 80), max_size=6), allow=st.booleans())
def test_a_stream_gives_the_ids_of_the_whole_text_wherever_it_is_cut(
    bpe,
    text,
    cuts,
    allow,
):
    text = plain(text)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chunks = [text[a:b] for a, b in pairwise(places)]
    allowed = set(SPECIAL) if allow else set()
    assert list(bpe.encode_stream(chunks, allowed_special=allowed)) == bpe.encode(text, allowed_special=allowed)


@given(text=TEXTS, block=st.integers(1, 9))
def test_a_stream_that_is_cut_all_the_time_gives_the_same_ids(bpe, text, block):
    text = plain(text) * 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("companion.tokenization.base.BLOCK", block)
        assert list(bpe.encode_stream([text])) == bpe.encode(text)


@given(first=TEXTS, second=TEXTS)
def test_a_safe_cut_is_safe(bpe, first, second):
    text = plain(first)
    cut = bpe._safe_cut(text)
    assert 0 <= cut <= len(text)
    assert bpe.encode(text[:cut]) + bpe.encode(text[cut:] + plain(second)) == bpe.encode(text + plain(second))


@given(text=TEXTS)
def test_the_steps_of_a_word_end_in_its_tokens_and_take_the_smallest_rank(bpe, text):
    for word in bpe.pretokenizer.words(plain(text)):
        steps = bpe.encode_steps(word)
        assert steps[0].tokens == [bytes_to_chars(bytes([byte])) for byte in word.encode()]
        assert steps[-1].tokens == [bpe.id_to_token[index] for index in bpe.encode(word)]
        for before, after in pairwise(steps):
            ranks = [bpe.merges.index(pair) for pair in pairwise(before.tokens) if pair in bpe.merges]
            assert after.rank == min(ranks)
            assert len(after.tokens) == len(before.tokens) - 1


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a", "b"], ["a b c"]])
def test_where_nothing_can_be_merged_the_bytes_are_all_there_is(texts):
    bpe = ByteLevelBPE.train(texts, 1000)
    assert bpe.vocab_size <= 256 + 2  # " b" and " c" are words of two bytes
    assert bpe.decode(bpe.encode("anything ✓")) == "anything ✓"


def test_merges_run_out_before_the_vocabulary_is_full():
    bpe = ByteLevelBPE.train(["abab"], 1000)
    assert bpe.merges == [("a", "b"), ("ab", "ab")]
    assert bpe.vocab_size == 258


def test_a_corpus_of_one_character_doubles_its_tokens():
    bpe = ByteLevelBPE.train(["a" * 64], 300)
    assert [left + right for left, right in bpe.merges] == ["a" * 2**k for k in range(1, 7)]
    assert bpe.tokens("a" * 64) == ["a" * 64]
    assert bpe.tokens("a" * 5) == ["aaaa", "a"]


def by_rank(word, merges):
    """Join the pair learned first, at its leftmost place, until none is left: the definition."""
    rank, tokens = {pair: i for i, pair in enumerate(merges)}, list(word)
    while found := [(rank[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in rank]:
        _, i = min(found)
        tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
    return tokens


@given(letters=st.text(alphabet="abc", min_size=1, max_size=9), times=st.integers(1, 60))
def test_words_of_any_length_are_joined_by_rank_from_the_left(letters, times):
    bpe = ByteLevelBPE.train(["abcab abcc bca aaa"], 270)
    assert bpe.tokens(letters * times) == by_rank(letters * times, bpe.merges)


def test_a_word_of_a_million_bytes_can_be_encoded():
    bpe = ByteLevelBPE.train(["abcab" * 50], 300)
    word = "abcab" * 200_000
    assert "".join(bpe.tokens(word)) == word


def test_training_looks_at_how_often_a_word_occurs():
    assert ByteLevelBPE.train(["xy " * 5 + "ab " * 3], 257).merges == [("x", "y")]
    assert ByteLevelBPE.train(["ab ab", "xy"], 257).merges == [("a", "b")]


def test_learn_merges_counts_what_it_merges():
    words = {b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}
    byte_ids = {byte: byte for byte in range(256)}
    left, right, count = next(learn_merges(words, byte_ids))
    assert (bytes([left, right]), count) == (b"es", 9)


def test_words_are_counted_over_all_texts_and_none_crosses_two():
    assert count_words(["a b", " b a"], Pretokenizer()) == {"a": 1, " b": 2, " a": 1}


@given(data=st.binary(max_size=40))
def test_bytes_and_their_characters_are_a_bijection(data):
    assert chars_to_bytes(bytes_to_chars(data)) == data


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda b: b.encode(b"bytes"), TypeError, "text must be a string, got bytes; decode it first"),
        (lambda b: b.encode(None), TypeError, "text must be a string, got NoneType"),
        (lambda b: b.encode("a\ud800"), ValueError, r"lone surrogate U\+D800 at position 1"),
        (lambda b: b.encode("a", allowed_special="<|end|>"), TypeError, "a set of special tokens"),
        (lambda b: b.encode("a", allowed_special={"<no>"}), ValueError, r"got \['<no>'\]"),
        (lambda b: b.decode("a"), TypeError, "ids must be an iterable of integers"),
        (lambda b: b.decode([10**6]), ValueError, "ids must be ids of this vocabulary"),
        (lambda b: b.decode([-1]), ValueError, "got -1"),
        (lambda b: list(b.encode_stream("text")), TypeError, "iterable of strings"),
        (lambda b: list(b.encode_stream(iter(["a", 1]))), TypeError, "chunks must be a string"),
        (lambda b: b.encode_steps("two words"), ValueError, "word must be one word"),
        (lambda b: ByteLevelBPE.train("text", 300), TypeError, "iterable of strings"),
        (lambda b: ByteLevelBPE.train(iter([1]), 300), TypeError, "texts must be a string"),
        (lambda b: ByteLevelBPE.train([], 255), ValueError, "vocab_size must be at least 256"),
        (lambda b: ByteLevelBPE.train([], 256, special_tokens=["<s>"]), ValueError, "at least 257"),
        (lambda b: ByteLevelBPE.train([], 300, special_tokens=["x", "x"]), ValueError, "differ from each other"),
        (lambda b: ByteLevelBPE.train([], 300, special_tokens=[""]), ValueError, "empty string"),
        (lambda b: ByteLevelBPE.train([], 300, pattern="("), ValueError, "pattern must be a regular expression"),
        (lambda b: ByteLevelBPE.train([], 300, pattern="(a)"), ValueError, "must not capture"),
        (lambda b: ByteLevelBPE({"a": 0}, []), ValueError, "all 256 bytes"),
        (lambda b: ByteLevelBPE(b.vocab, [("q", "zz")]), ValueError, "merges must join two tokens"),
        (lambda b: ByteLevelBPE(b.vocab, b.merges, special_tokens={"a": b.vocab["a"]}), ValueError, "special_tokens"),
    ],
)
def test_bad_input_is_refused_in_words(act, error, words):
    with pytest.raises(error, match=words):
        act(ByteLevelBPE.train(CORPUS, 300, special_tokens=["<|end|>"]))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"model": {}}', '{"model": {"type": "BPE"}}', '{"model": {"type": "Mystery"}}', "\x00"]
)
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer|model|must be"):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "NFKC"}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"model": {"dropout": 0.1}},
        {"model": {"byte_fallback": True}},
        {"model": {"end_of_word_suffix": "</w>"}},
    ],
)
def test_a_file_that_asks_for_what_we_do_not_do_is_refused_and_not_misread(bpe, tmp_path, change):
    path = tmp_path / "tokenizer.json"
    bpe.save(path)
    content = json.loads(path.read_text())
    for key, value in change.items():
        content[key] = {**content[key], **value} if key == "model" else value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"must|not"):
        load(path)


@pytest.mark.parametrize("text", ["IQ== x", "no-base64! 0", "IQ==", "IQ== 0 1"])
def test_a_ranks_file_with_a_bad_line_is_refused(tmp_path, text):
    path = tmp_path / "ranks.tiktoken"
    path.write_text(f"YQ== 0\n{text}\n")
    with pytest.raises(ValueError, match="line 2"):
        read_ranks(path)


def test_ranks_that_come_from_no_merges_are_refused():
    ranks = {bytes([byte]): byte for byte in range(256)}
    assert recover_merges(ranks | {b"ab": 256, b"abc": 257}) == [(b"a", b"b"), (b"ab", b"c")]
    with pytest.raises(ValueError, match="made of"):
        recover_merges(ranks | {b"abc": 256})
    with pytest.raises(ValueError, match="same rank"):
        recover_merges(ranks | {b"ab": 0})
    with pytest.raises(ValueError, match="single byte"):
        recover_merges({b"a": 0})


def test_saving_is_whole_or_not_at_all(bpe, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    bpe.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(ByteLevelBPE, "to_json", lambda self: {"model": object()})
    with pytest.raises(TypeError):
        bpe.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


STREAM = r"""
import re, sys
from pathlib import Path
from companion.tokenization import ByteLevelBPE
bpe = ByteLevelBPE.train(["the theory of the thing"], 270)
def chunks(megabytes):
    for i in range(megabytes * 250):
        yield " ".join(f"word{(i * 997 + j * 31) % 50_000}" for j in range(400)) + " "
n = sum(1 for _ in bpe.encode_stream(chunks(int(sys.argv[1]))))
# Not getrusage: its maximum counts what the parent had in memory when it started this process.
print(n, re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
def test_the_memory_of_a_stream_does_not_grow_with_its_length():
    peaks = {}
    for megabytes in (2, 8):
        done = subprocess.run(
            [sys.executable, "-c", STREAM, str(megabytes)], capture_output=True, text=True, check=True
        )
        peaks[megabytes] = int(done.stdout.split()[1]) / 1024
    assert peaks[8] - peaks[2] < 8  # MiB, where the text itself grew by 6 and its ids would take 100
