"""What book/tokenization.md says in prose or in a solution, and no cell of it computes."""

import ast
import math
from collections import Counter
from itertools import pairwise

import jieba
import jupytext
import pytest

from companion.data import load, model_path
from companion.tokenization import ByteLevelBPE, Unigram, WordPiece


@pytest.fixture(scope="module")
def functions(repository_root):
    """The functions that the chapter defines, run by themselves."""
    names = {"Counter": Counter, "pairwise": pairwise}
    for cell in jupytext.read(repository_root / "book" / "tokenization.md").cells:
        if cell.cell_type == "code" and "def naive_bpe" in cell.source:
            exec(compile(ast.parse(cell.source), "chapter", "exec"), names)
    return names


def word(text):
    return tuple(text.encode())


def test_es_is_joined_first_and_shortens_the_corpus_by_nine(functions):
    corpus = {word("low"): 5, word("lower"): 2, word("newest"): 6, word("widest"): 3}
    (first,) = functions["naive_bpe"](corpus, 1)
    assert first == word("es")
    before = sum(count * len(each) for each, count in corpus.items())
    after = sum(count * len(functions["joined"](each, first, 256)) for each, count in corpus.items())
    assert before - after == 9
    st = sum(count for each, count in corpus.items() if word("st") == each[-2:])
    assert st == 9


def test_joining_aa_makes_aaaaa_two_tokens_shorter(functions):
    assert functions["joined"](word("aaaaa"), word("aa"), 256) == (256, 256, ord("a"))


def test_rank_and_length_cut_abcd_differently():
    merges = [("b", "c"), ("a", "b"), ("ab", "c"), ("bc", "d")]
    plain = ByteLevelBPE.train([], 256)
    vocab = plain.vocab | {left + right: 256 + i for i, (left, right) in enumerate(merges)}
    assert ByteLevelBPE(vocab, merges).tokens("abcd") == ["a", "bcd"]
    assert max((token for token in vocab if "abcd".startswith(token)), key=len) == "abc"


@pytest.mark.data
def test_one_byte_of_three_decodes_to_the_replacement_sign():
    gpt2 = ByteLevelBPE.from_tiktoken(model_path("gpt2_ranks") / "gpt2.tiktoken")
    ids = next(ids for ids in map(gpt2.encode, "的一是在不了有和人这中大为上个国我以要他") if len(ids) > 1)
    assert gpt2.decode(ids[:1]) == "\ufffd"


def test_the_longest_piece_can_lead_nowhere():
    vocab = {piece: i for i, piece in enumerate(["[UNK]", "un", "unk", "##known", "##nown"])}
    assert WordPiece(vocab).tokens("unknown") == ["unk", "##nown"]
    del vocab["##nown"]
    assert WordPiece(vocab).tokens("unknown") == ["[UNK]"]


def test_hug_stays_whole_with_54_percent():
    chances = {"h": 0.2, "u": 0.1, "g": 0.2, "hu": 0.2, "ug": 0.2, "hug": 0.1}
    pieces = [("<unk>", -20.0), *((piece, math.log(chance)) for piece, chance in chances.items())]
    tokenizer = Unigram(pieces, prefix_space=False)
    assert tokenizer.tokens("hug") == ["hug"]
    assert math.exp(tokenizer.log_probability("hug")) == pytest.approx(0.184)
    assert round(0.1 / 0.184, 2) == 0.54


def spans(words):
    ends = [0]
    for each in words:
        ends.append(ends[-1] + len(each))
    return set(pairwise(ends))


@pytest.mark.data
@pytest.mark.slow
def test_jieba_finds_79_in_100_of_the_words_cut_by_hand_and_joins_most_names():
    rows = load("zh_news").select(range(500))
    by_hand = [spans(words) for words in rows["words"]]
    found = [spans(jieba.cut("".join(words))) for words in rows["words"]]
    share = sum(len(a & b) for a, b in zip(by_hand, found, strict=True)) / sum(map(len, by_hand))
    assert round(share, 2) == 0.79
    names = [
        (start, end) in cut
        for row, cut in zip(rows, found, strict=True)
        for start, end in full_names(row["words"], row["tags"])
    ]
    assert len(names) > 100
    assert sum(names) / len(names) > 0.5


def full_names(words, tags):
    """Spans of a surname and the given name after it, which are tagged alike."""
    start = 0
    for i, word in enumerate(words):
        if i + 1 < len(words) and tags[i] == tags[i + 1] == "nr" and len(word) == 1:
            yield start, start + len(word) + len(words[i + 1])
        start += len(word)


@pytest.mark.data
def test_the_learning_text_is_divided_as_the_experiment_says():
    strings = {}
    for row in load("interface_strings"):
        strings.setdefault(row["language"], {})[row["key"]] = row["text"]
    common = set.intersection(*map(set, strings.values()))
    size = {
        language: sum(len(text) for key, text in texts.items() if key not in common)
        for language, texts in strings.items()
    }
    assert sum(size[language] for language in ("en", "de", "fr", "es")) > sum(size.values()) / 2
    assert min(size, key=size.get) == "he"
    assert round(size["en"] / size["he"]) == 7
    assert round(size["el"] / size["en"], 1) == 0.5


@pytest.mark.data
def test_chinese_bert_knows_the_characters_that_the_english_vocabulary_lacks():
    chinese = WordPiece.from_vocab_file(model_path("bert_chinese_vocab") / "vocab.txt")
    assert chinese.tokens("技术") == ["技", "术"]
    assert chinese.tokens("娱乐") == ["娱", "乐"]
