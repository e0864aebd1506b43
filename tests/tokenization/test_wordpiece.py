"""WordPiece: the ids of `tokenizers` and transformers for any text, and vocabularies learnt by three scores."""

import json
import math
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import BertTokenizer

import companion.data
from companion.tokenization import BertText, WordPiece, load
from companion.tokenization.wordpiece_training import PairTable

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "un",
    "a",
    "##aff",
    "##able",
    "aff",
    "##ab",
    "##a",
    "我",
    ",",
    "CLS",
]


def all_characters():
    return map(chr, (*range(0xD800), *range(0xE000, 0x110000)))


def newer_letters():
    """Capitals that the reference knows and this Python's Unicode does not."""
    lower = tokenizers.normalizers.Lowercase()
    unknown = [character for character in all_characters() if unicodedata.category(character) == "Cn"]
    lowered = lower.normalize_str(" ".join(unknown)).split(" ")
    return "".join(character for character, other in zip(unknown, lowered, strict=True) if character != other)


NEWER = newer_letters()
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters=NEWER), max_size=40)
MARKED_TEXT = st.text(
    st.sampled_from("aAéÉΣσςİıß我々かナ한豈.,$-_[]#'’— \t\n\x0b\x1c\x85\xa0\0\ufffd\u200b\u200d\u0301\u0327\u0345"
                    "\u093c\u1734"
                    "\u08d4\u1abf\u05c8\u166d\U000111c9\U0001e001\U00011938\u1715\U00016ff0\u2028\U0002b820\U0002b920")
)  # fmt: skip


@pytest.fixture(scope="module", params=["minilm", "bert_chinese_vocab"])
def vocab_file(request):
    return companion.data.model_path(request.param) / "vocab.txt"


@pytest.fixture(scope="module")
def ours(vocab_file):
    return WordPiece.from_vocab_file(vocab_file)


def read_vocab(path):
    return {token: index for index, token in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))}


@pytest.fixture(scope="module")
def theirs(vocab_file):
    tokenizer = BertWordPieceTokenizer(read_vocab(vocab_file))
    tokenizer.encode_special_tokens = True
    return tokenizer


def reference_words(text, **options):
    normalizer = tokenizers.normalizers.BertNormalizer(**options)
    pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return [word for word, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text))]


def test_only_letters_unknown_to_this_python_are_left_out():
    assert len(NEWER) < 100
    assert {unicodedata.category(character) for character in NEWER} <= {"Cn"}


def test_every_character_is_treated_as_in_the_reference():
    # Of the many thousand Chinese and Korean ones, which are all alike, every 97th.
    assigned = [
        character
        for character in all_characters()
        if unicodedata.category(character) not in ("Cn", "Co")
        and (not unicodedata.name(character, "").startswith(("CJK", "HANGUL SYL")) or ord(character) % 97 == 0)
    ]
    for start in range(0, len(assigned), 4999):
        text = "\n".join(f"a{character}b" for character in assigned[start : start + 4999])
        assert BertText().words(text) == reference_words(text)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("chinese", [True, False])
@given(text=ANY_TEXT | MARKED_TEXT)
def test_words_are_those_of_the_reference(text, lowercase, strip_accents, chinese):
    ours = BertText(lowercase, strip_accents, chinese)
    expected = reference_words(text, lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=chinese)
    assert ours.words(text) == expected
    assert [word for chunk in ours.chunks(text) for word in ours.words(chunk)] == expected


@given(text=ANY_TEXT | MARKED_TEXT)
def test_a_text_may_be_cut_where_it_is_said_to_be_safe(text):
    for ours in (BertText(), BertText(chinese_characters=False)):
        cut = ours.safe_cut(text)
        assert 0 <= cut < max(1, len(text))
        assert ours.words(text[:cut]) + ours.words(text[cut:]) == ours.words(text)


@pytest.mark.data
@given(text=ANY_TEXT | MARKED_TEXT)
def test_ids_and_their_text_are_those_of_tokenizers_for_any_text(text, ours, theirs):
    expected = theirs.encode(text, add_special_tokens=False)
    assert ours.encode(text) == expected.ids
    assert ours.tokens(text) == expected.tokens
    assert ours.decode(expected.ids) == theirs.decode(expected.ids, skip_special_tokens=False)
    assert list(ours.encode_stream([*text])) == expected.ids


@pytest.mark.data
@pytest.mark.parametrize("source", ["wiki", "recipes", "hsk"])
def test_ids_are_those_of_tokenizers_and_transformers_on_real_text(source, ours, theirs, vocab_file):
    texts = companion.data.load(source)["text"][:151]
    expected = [theirs.encode(text, add_special_tokens=False).ids for text in texts]
    assert [ours.encode(text) for text in texts] == expected
    assert list(ours.encode_stream(text + "\n" for text in texts)) == [index for ids in expected for index in ids]
    hub = BertTokenizer(vocab=read_vocab(vocab_file))
    assert [hub.encode(text, add_special_tokens=False) for text in texts] == expected


@pytest.mark.data
def test_a_file_of_theirs_gives_the_same_ids_and_so_does_one_of_ours(tmp_path):
    path = companion.data.model_path("minilm") / "tokenizer.json"
    ours, theirs = load(path), tokenizers.Tokenizer.from_file(str(path))
    theirs.no_padding()
    theirs.no_truncation()
    ours.save(tmp_path / "ours.json")
    theirs_of_ours = tokenizers.Tokenizer.from_file(str(tmp_path / "ours.json"))
    for text in companion.data.load("wiki")["text"][:47]:
        ids = ours.encode(text)
        assert theirs.encode(text, add_special_tokens=False).ids == ids
        assert theirs_of_ours.encode(text, add_special_tokens=False).ids == ids
        for pair in (None, "and more"):
            assert theirs_of_ours.encode(text, pair).ids == theirs.encode(text, pair).ids
            assert theirs_of_ours.encode(text, pair).type_ids == theirs.encode(text, pair).type_ids
    assert load(tmp_path / "ours.json").vocab == ours.vocab


def small(**options):
    return WordPiece({piece: index for index, piece in enumerate(PIECES)}, **options)


def test_the_longest_piece_wins_even_where_it_leads_nowhere():
    assert small().tokens("unaffable") == ["un", "##aff", "##able"]
    # "aff" is taken first and "##x" does not exist, so all of the word is unknown.
    assert small().tokens("affx aff unab") == ["[UNK]", "aff", "un", "##ab"]


def test_a_word_may_have_a_hundred_characters():
    word = "a" * 100
    assert small().tokens(word) == ["a"] + ["##a"] * 99
    assert small().tokens(word + "a") == ["[UNK]"]
    assert small(max_word_length=3).tokens("aaa aaaa") == ["a", "##a", "##a", "[UNK]"]


def test_chinese_characters_are_words_and_accents_and_capitals_go():
    assert small().tokens("Á我a,我") == ["a", "我", "a", ",", "我"]


@given(
    text=st.lists(st.sampled_from(["[CLS]", "[SEP]", "[UNK]", "[PAD]", "CLS", "[", "]", " ", "a", "我"])).map("".join)
)
def test_text_cannot_spell_a_special_token(text):
    tokenizer = small(
        special_tokens=["[PAD]", "[CLS]", "[SEP]", "[MASK]", "CLS", "[UNK]"], text=BertText(lowercase=False)
    )
    ids = tokenizer.encode(text)
    assert not {tokenizer.special_tokens[name] for name in ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "CLS")} & set(ids)
    allowed = tokenizer.encode(text, allowed_special={"[CLS]"})
    assert allowed.count(tokenizer.vocab["[CLS]"]) == text.count("[CLS]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": None}, "normalizer must be a BertNormalizer.*got None"),
        ({"normalizer": {"type": "BertNormalizer", "clean_text": False}}, "that cleans the text"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer must be a BertPreTokenizer"),
        ({"model": {"type": "WordLevel"}}, "WordPiece"),
        ({"added_tokens": [{"id": 5, "content": "un", "special": False}]}, "added_tokens must be special"),
    ],
)
def test_a_file_that_asks_for_something_else_is_refused(change, message, tmp_path):
    small().save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "tokenizer.json")


# Learning a vocabulary


WORD_COUNTS = st.dictionaries(st.text("abcd", min_size=1, max_size=7), st.integers(1, 9), min_size=1, max_size=7)


def log_likelihood(words, counts):
    """Of the pieces, each drawn by itself with the probability of its frequency."""
    pieces = Counter()
    for word, count in zip(words, counts, strict=True):
        for piece in word:
            pieces[piece] += count
    total = sum(pieces.values())
    return sum(count * math.log(count / total) for count in pieces.values())


@given(counts=WORD_COUNTS, n_joins=st.integers(0, 5))
def test_scores_are_what_counting_anew_gives(counts, n_joins):
    table = PairTable(counts, "##")
    for _ in range(n_joins):
        row = table.best("likelihood", 1)
        if row is not None:
            table.join(row)
    pairs, pieces = Counter(), Counter()
    for word, count in zip(table.words, table.word_counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
        for piece in word:
            pieces[piece] += count
    assert {pair: table.count[row] for pair, row in table.row_of.items() if table.count[row]} == pairs
    assert Counter(dict(enumerate(table.piece_counts))) == pieces
    for (left, right), count in pairs.items():
        row = np.array([table.row_of[left, right]])
        assert table.scores("count", row)[0] == count
        assert table.scores("ratio", row)[0] == pytest.approx(count / (pieces[left] * pieces[right]))
        if left != right:
            joined = [join_by_hand(word, left, right) for word in table.words]
            gain = log_likelihood(joined, table.word_counts) - log_likelihood(table.words, table.word_counts)
            assert table.scores("likelihood", row)[0] == pytest.approx(gain, abs=1e-9)


def join_by_hand(word, left, right):
    text = ",".join(f"<{piece}>" for piece in word).replace(f"<{left}>,<{right}>", "<new>")
    return text.split(",")


@given(counts=WORD_COUNTS, least=st.integers(1, 3))
@example(counts={"abbbb": 2, "acacaca": 3}, least=1)
def test_the_search_by_bound_finds_a_best_pair(counts, least):
    table = PairTable(counts, "##")
    while (row := table.best("likelihood", least)) is not None:
        frequent = np.flatnonzero(table.count >= least)
        assert table.scores("likelihood", np.array([row]))[0] == table.scores("likelihood", frequent).max()
        table.join(row)
    assert not (table.count >= least).any()


TEXTS = ["the cat sat on the mat with the hat", "the bat and the rat sat", "that cat hates the fat rat at the gate"] * 3


@pytest.mark.parametrize("score", ["likelihood", "ratio", "count"])
def test_training_does_not_depend_on_the_order_of_the_texts_and_gives_what_is_asked_for(score):
    ours = WordPiece.train(TEXTS, 41, score=score)
    assert ours.vocab == WordPiece.train(TEXTS[::-1], 41, score=score).vocab
    assert ours.vocab_size == 41
    assert [ours.vocab[name] for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [0, 1, 2, 3, 4]
    assert ours.decode(ours.encode(TEXTS[0])) == TEXTS[0]


@pytest.mark.data
def test_by_count_it_is_the_bpe_that_tokenizers_trains_and_by_the_others_it_is_not():
    texts = companion.data.load("recipes")["text"][:101]
    theirs = BertWordPieceTokenizer()
    theirs.train_from_iterator(texts, vocab_size=401, min_frequency=2, show_progress=False)
    shared = {
        score: len(WordPiece.train(texts, 401, score=score).vocab.keys() & theirs.get_vocab().keys()) / 401
        for score in ("count", "likelihood", "ratio")
    }
    assert shared["count"] > 0.99  # ties are broken otherwise
    assert shared["likelihood"] < 0.9
    assert shared["ratio"] < 0.9


def test_the_ratio_joins_what_occurs_nowhere_else_before_what_is_frequent():
    texts = ["the"] * 500 + ["this", "that", "hat", "he"] * 50 + ["zq"] * 2
    by_score = {score: WordPiece.train(texts, 17, score=score).vocab for score in ("likelihood", "ratio")}
    assert "zq" in by_score["ratio"]
    assert "zq" not in by_score["likelihood"]


@given(texts=st.lists(ANY_TEXT, max_size=5))
def test_anything_can_be_learnt_from_and_its_words_are_known(texts):
    ours = WordPiece.train(texts, 10_000, min_count=1)
    for text in texts:
        words = BertText().words(text)
        assert "[UNK]" not in ours.tokens(text) or any(len(word) > 100 for word in words)
        assert len(ours.encode(text)) == len(words)  # with all pairs joined, every word is a piece


@pytest.mark.parametrize("texts", [[], [""], [" \n"], ["\0"]])
def test_nothing_to_learn_from_leaves_the_special_tokens(texts):
    ours = WordPiece.train(texts, 53)
    assert ours.vocab_size == 5
    assert ours.encode("a") == [1]
    assert ours.encode("") == []


def test_one_character_is_enough():
    assert WordPiece.train(["x"], 53).encode("x xx") == [5, 1]
    assert WordPiece.train(["xxxx"] * 2, 53).tokens("xxxx") == ["xxxx"]


@pytest.mark.data
def test_learnt_from_real_text_it_saves_and_loads_with_the_same_ids(tmp_path):
    texts = companion.data.load("recipes")["text"][:59]
    ours = WordPiece.train(texts, 499)
    ours.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in companion.data.load("recipes")["text"][-97:]:
        ids = ours.encode(text)
        assert theirs.encode(text, add_special_tokens=False).ids == ids
        assert load(tmp_path / "tokenizer.json").encode(text) == ids


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: WordPiece(["a"]), TypeError, "vocab must map tokens to ids"),
        (lambda: WordPiece({"a": 0}), ValueError, r"unk_token must be in vocab.*'\[UNK\]'"),
        (lambda: WordPiece({"[UNK]": 0, "a": 0}), ValueError, "vocab must give every token an id of its own"),
        (lambda: small(max_word_length=0), ValueError, "max_word_length must be at least 1"),
        (lambda: small(special_tokens=["[X]"]), ValueError, r"special token '\[X\]'"),
        (lambda: WordPiece.train("text", 53), TypeError, "texts must be an iterable of strings"),
        (lambda: WordPiece.train(iter([b"text"]), 53), TypeError, "texts must be a string, got bytes"),
        (lambda: WordPiece.train(["text"], 0), ValueError, "vocab_size must be at least 1"),
        (lambda: WordPiece.train(["text"], 7), ValueError, "vocab_size must leave room for the 4 letters"),
        (lambda: WordPiece.train(["text"], 53, score="pmi"), ValueError, "score must be one of likelihood, ratio"),
        (lambda: WordPiece.train(["text"], 53, min_count=0), ValueError, "min_count must be at least 1"),
        (lambda: WordPiece.train(["text"], 53, special_tokens=["[PAD]"]), ValueError, "unk_token must be in vocab"),
        (lambda: small().encode(b"a"), TypeError, "text must be a string"),
        (lambda: small().encode("\ud800"), ValueError, "lone surrogate"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()
