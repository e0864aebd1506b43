"""Scores of texts: against the packages used directly and another implementation, laws, and errors."""

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from companion.metrics import bleu, chrf, exact_match, normalize_answer, rouge, token_f1

VOCABULARY = ["the", "a", "cat", "dog", "sat,", "on.", "mat", "--", "Ran", "7"]
words = st.lists(st.sampled_from(VOCABULARY), max_size=8).map(" ".join)
filled = words.filter(lambda text: any(map(str.isalnum, text)))


def plain_words(text):
    words = ["".join(filter(str.isalnum, word)) for word in text.lower().split()]
    return [word for word in words if word not in ("", "a", "an", "the")]


@given(st.lists(st.tuples(words, words), min_size=1, max_size=5))
def test_answers_score_as_squad_defines_it(pairs):
    exact, overlap = 0.0, 0.0
    for right, answer in pairs:
        expected, found = plain_words(right), plain_words(answer)
        exact += expected == found
        common = sum(min(expected.count(word), found.count(word)) for word in set(expected))
        precision, recall = (common / len(side) if side else 0.0 for side in (found, expected))
        both = 2 * precision * recall / (precision + recall) if common else 0.0
        overlap += both if expected and found else expected == found
    right, given_ = map(list, zip(*pairs, strict=True))
    assert exact_match(right, given_) == pytest.approx(exact / len(pairs))
    assert token_f1(right, given_) == pytest.approx(overlap / len(pairs))


@given(words)
def test_normalizing_twice_is_once(text):
    assert normalize_answer(normalize_answer(text)) == normalize_answer(text)


def test_the_best_of_several_answers_counts_and_an_empty_one_is_right_where_nothing_is():
    assert exact_match([["Paris", "the city of Paris"], ["1998"]], ["City of Paris!", "1999"]) == 0.5
    assert token_f1([["Paris", "the city of Paris"]], ["city of light"]) == pytest.approx(2 * 2 / (3 + 3))
    assert exact_match(["", "x"], ["", ""]) == token_f1(["", "x"], ["", ""]) == 0.5


def test_a_chinese_character_counts_as_a_word():
    assert token_f1(["北京大学"], ["北京"]) == pytest.approx(2 * 2 / 6)
    assert exact_match(["北京。"], ["北京"]) == 1


@given(st.lists(st.tuples(filled, filled), min_size=1, max_size=4))
def test_bleu_and_chrf_are_sacrebleu_s(pairs):
    right, given_ = map(list, zip(*pairs, strict=True))
    assert bleu(right, given_) == sacrebleu.corpus_bleu(given_, [right]).score
    assert chrf(right, given_) == sacrebleu.corpus_chrf(given_, [right]).score
    assert chrf(right, given_, word_order=2) == sacrebleu.corpus_chrf(given_, [right], word_order=2).score
    several = [[one, "a cat"] for one in right]
    assert bleu(several, given_) == sacrebleu.corpus_bleu(given_, [right, ["a cat"] * len(right)]).score


def test_texts_may_have_different_numbers_of_references():
    assert bleu([["the cat sat on the mat"], ["no", "a dog ran on the mat"]], ["the cat sat on the mat"] * 2) < 100
    assert bleu([["a b c d"], ["x", "e f g h"]], ["a b c d", "e f g h"]) == pytest.approx(100)


def test_the_cut_into_words_decides_a_chinese_score():
    right, given_ = ["猫坐在红色的垫子上"], ["狗坐在红色的垫子上"]
    assert bleu(right, given_) < 1
    assert bleu(right, given_, tokenize="zh") > 50


@given(st.lists(st.tuples(filled, filled), min_size=1, max_size=4), st.booleans())
def test_rouge_of_ascii_texts_is_rouge_score_s(pairs, stem):
    right, given_ = map(list, zip(*pairs, strict=True))
    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stem)
    theirs = [scorer.score(*pair) for pair in pairs]
    ours = rouge(right, given_, kinds=kinds, stem=stem)
    for kind in kinds:
        assert ours[kind] == pytest.approx(sum(one[kind].fmeasure for one in theirs) / len(pairs))


def test_rouge_sees_letters_that_are_not_ascii():
    assert rouge_scorer.RougeScorer(["rouge1"]).score("猫坐在垫子上", "猫坐在垫子上")["rouge1"].fmeasure == 0
    assert rouge(["猫坐在垫子上"], ["猫坐在垫子上"])["rougeL"] == 1
    assert rouge(["Émile café"], ["emile cafe"])["rouge1"] == 0


@pytest.mark.parametrize("score", [bleu, chrf, exact_match, token_f1, lambda *pair: rouge(*pair)["rougeL"]])
def test_a_text_is_best_when_it_is_its_reference(score):
    text = "the quick brown fox jumps over the lazy dog"
    assert score([text], [text]) == pytest.approx(100 if score in (bleu, chrf) else 1)
    assert score([text], ["nothing at all alike"]) < score([text], [text])


@pytest.mark.parametrize("score", [bleu, chrf, exact_match, token_f1, rouge])
@pytest.mark.parametrize(
    ("right", "given_", "error", "message"),
    [
        ("text", ["text"], TypeError, "references must be a list of texts"),
        (["text"], "text", TypeError, "predictions must be a list of texts"),
        (["text", "more"], ["text"], ValueError, "one for each of the 2 references, got 1"),
        (["text"], [None], TypeError, "predictions must be texts, got None of type NoneType at position 0"),
        ([[]], ["text"], ValueError, r"references\[0\] must not be empty"),
        ([[3]], ["text"], TypeError, r"references\[0\] must be texts, got 3"),
    ],
)
def test_what_is_no_text_is_named(score, right, given_, error, message):
    with pytest.raises(error, match=message):
        score(right, given_)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bleu(["a"], ["a"], tokenize="words"), "tokenize must be one of .*13a.*zh.*, got 'words'"),
        (lambda: chrf(["a"], ["a"], word_order=-1), "word_order must be at least 0"),
        (lambda: rouge(["a"], ["a"], kinds=["rouge3"]), "kinds must be of rouge1, rouge2, rougeL, rougeLsum"),
    ],
)
def test_an_unknown_option_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
