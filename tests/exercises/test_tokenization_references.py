"""The references of the tokenization lab are what `tokenizers`, tiktoken and plain laws say elsewhere."""

import json
import math
import re
import unicodedata
from itertools import combinations, pairwise

import pytest
import tiktoken
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from companion.exercises import PUBLIC_SEED
from companion.exercises.tokenization import EXERCISES, best_ways, merges_of
from companion.tokenization import BYTE_TO_CHAR

CHECKED = {exercise.name: exercise for exercise in EXERCISES if not exercise.manual}
REFERENCE = {name: exercise.reference for name, exercise in CHECKED.items()}

words = st.text(st.sampled_from("ab爱é😀"), min_size=1, max_size=7)
corpora = st.dictionaries(words, st.integers(1, 9), max_size=9)
ids = st.lists(st.integers(97, 99), max_size=12)
every_seed = pytest.mark.parametrize("seed", [PUBLIC_SEED, 0, 1, 2])


def trained(corpus, n_merges):
    return REFERENCE["train_bpe"](list(corpus), list(corpus.values()), n_merges)


def arguments(name, seed):
    return [case.args for case in CHECKED[name].cases(torch.Generator().manual_seed(seed))]


def spelled(merges):
    """Give the bytes of every id."""
    says = {byte: bytes([byte]) for byte in range(256)}
    for (left, right), new_id in merges.items():
        says[new_id] = says[left] + says[right]
    return says


def library_merges(corpus, n_merges):
    """Train `tokenizers` on the same words, each byte written as a letter; these letters get the ids 0 to 255."""
    letters = [chr(0x4E00 + byte) for byte in range(256)]
    written = {word: "".join(letters[byte] for byte in word.encode()) for word in corpus}
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = BpeTrainer(vocab_size=256 + n_merges, initial_alphabet=letters, show_progress=False, min_frequency=0)
    tokenizer.train_from_iterator([" ".join([written[word]] * count) for word, count in corpus.items()], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = model["vocab"]
    return {(vocab[left], vocab[right]): vocab[left + right] for left, right in model["merges"]}


@given(corpus=corpora, n_merges=st.integers(0, 40))
def test_the_merges_learned_are_those_of_tokenizers(corpus, n_merges):
    assert trained(corpus, n_merges) == library_merges(corpus, n_merges)


@every_seed
def test_so_they_are_in_every_case(seed):
    for texts, counts, n_merges in arguments("train_bpe", seed):
        corpus = dict(zip(texts, counts, strict=True))
        assert trained(corpus, n_merges) == library_merges(corpus, n_merges)


@given(corpus=corpora, text=words)
def test_the_ids_of_a_word_are_those_of_tiktoken(corpus, text):
    merges = trained(corpus, 40)
    ranks = {token: number for number, token in spelled(merges).items()}
    encoding = tiktoken.Encoding("own", pat_str=r"[\s\S]+", mergeable_ranks=ranks, special_tokens={})
    assert REFERENCE["bpe_encode"](list(text.encode()), merges) == encoding.encode_ordinary(text)


@every_seed
def test_so_they_are_in_every_case_but_for_the_order_that_the_dict_lists(seed):
    for word, merges in arguments("bpe_encode", seed):
        in_order = dict(sorted(merges.items(), key=lambda item: item[1]))
        ranks = {token: number for number, token in spelled(in_order).items()}
        assert len(ranks) == 256 + len(merges), "two merges make the same token, which tokenizers cannot tell apart"
        encoding = tiktoken.Encoding("own", pat_str=r"[\s\S]+", mergeable_ranks=ranks, special_tokens={})
        assert REFERENCE["bpe_encode"](word, merges) == encoding.encode_ordinary(bytes(word).decode())


@given(corpus=corpora, text=words)
def test_decoding_undoes_encoding(corpus, text):
    merges = trained(corpus, 40)
    assert REFERENCE["bpe_decode"](REFERENCE["bpe_encode"](list(text.encode()), merges), merges) == text


@given(data=st.binary(max_size=12))
def test_bytes_that_are_no_text_are_marked_where_tokenizers_marks_them(data):
    decoded = decoders.ByteLevel().decode(["".join(BYTE_TO_CHAR[byte] for byte in data)])
    assert REFERENCE["bpe_decode"](list(data), {}) == decoded


@given(corpus=st.lists(st.tuples(ids, st.integers(1, 9)), max_size=7))
def test_every_word_adds_its_count_for_each_id_but_its_last(corpus):
    found = REFERENCE["pair_counts"]([word for word, _ in corpus], [count for _, count in corpus])
    assert sum(found.values()) == sum(count * max(len(word) - 1, 0) for word, count in corpus)
    assert set(found) == {pair for word, _ in corpus for pair in pairwise(word)}


@given(ids=ids, pair=st.tuples(st.integers(97, 99), st.integers(97, 99)))
def test_a_merge_is_what_a_regular_expression_replaces(ids, pair):
    merged = REFERENCE["merge_pair"](ids, pair, 300)
    text = "".join(map(chr, ids))
    assert merged == [ord(c) for c in re.sub(re.escape("".join(map(chr, pair))), chr(300), text)]
    assert [each for new in merged for each in (pair if new == 300 else (new,))] == ids
    assert pair not in pairwise(merged)


@given(text=st.text(max_size=20))
def test_a_normalised_text_is_composed_and_stays_what_it_is(text):
    result = REFERENCE["normalize_text"](text)
    if all(unicodedata.category(c) != "Cn" for c in text):  # the library may know another version of Unicode
        kept = "".join(c for c in text if c.isspace() or unicodedata.category(c) != "Cc")
        assert result == " ".join(unicodedata.normalize("NFC", kept).split())
        assert unicodedata.is_normalized("NFC", result)
    assert REFERENCE["normalize_text"](result) == result
    assert not any(unicodedata.category(c) == "Cc" for c in result)
    assert result == result.strip()
    assert "  " not in result


pieces = st.text(st.sampled_from("ab爱"), min_size=1, max_size=3)


@given(word=st.text(st.sampled_from("ab爱"), max_size=9), firsts=st.sets(pieces), others=st.sets(pieces))
def test_wordpiece_takes_the_longest_piece_at_each_step_or_gives_up(word, firsts, others):
    vocab = {piece: number for number, piece in enumerate(["[UNK]", *firsts, *(f"##{piece}" for piece in others)])}
    found, rest, fitting = REFERENCE["wordpiece"](word, vocab), word, []
    while rest:
        known = firsts if rest == word else others
        longest = max((piece for piece in known if rest.startswith(piece)), key=len, default=None)
        if longest is None:
            assert found == ["[UNK]"]
            return
        fitting.append(longest if rest == word else f"##{longest}")
        rest = rest[len(longest) :]
    assert found == fitting


def all_cuts(text):
    for count in range(len(text)):
        for places in combinations(range(1, len(text)), count):
            yield [text[start:end] for start, end in pairwise([0, *places, len(text)])]


@every_seed
def test_the_cut_of_unigram_is_the_best_of_all_and_no_other_is_as_good(seed):
    for text, log_probs in arguments("unigram_viterbi", seed):
        assert best_ways(text, log_probs) == 1
        if 0 < len(text) < 15:
            scored = [
                (math.fsum(map(log_probs.__getitem__, cut)), cut)
                for cut in all_cuts(text)
                if log_probs.keys() >= set(cut)
            ]
            assert REFERENCE["unigram_viterbi"](text, log_probs) == max(scored)[1]


def test_merges_are_numbered_as_they_are_learned():
    assert merges_of("b c", "a bc") == {(98, 99): 256, (97, 256): 257}
    assert trained({"abcbc": 1}, 2) == merges_of("b c", "a bc")
