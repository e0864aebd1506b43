"""What the tokenization lab's text promises is what its cells show."""

import re
from itertools import permutations

import pytest
import tiktoken

import companion.data
from companion.data.registry import get
from companion.tokenization import GPT2_PATTERN, read_ranks
from tests.exercises.labs import graded, run_solved, solutions, source

SLUG = "tokenization"
LAB = source(SLUG)
MEGABYTES = 8


@pytest.fixture(scope="module")
def solved():
    return run_solved(SLUG)


def text_of(grade_id):
    return " ".join(graded(LAB, grade_id).source.split())


def test_the_examples_in_the_text_are_right():
    functions = solutions(SLUG)
    assert functions["pair_counts"]([[7, 8, 7, 8]], [5]) == {(7, 8): 10, (8, 7): 5}
    assert functions["merge_pair"]([7, 8, 8, 7, 8], (7, 8), 300) == [300, 8, 300]
    assert "five times, it adds ten to the count of (7, 8) and five to that of (8, 7)" in text_of("text_pair_counts")
    assert "turns `[7, 8, 8, 7, 8]` into `[300, 8, 300]`" in text_of("text_merge_pair")


def test_the_order_of_the_three_steps_matters_as_the_hint_says():
    functions = solutions(SLUG)
    composed = functions["normalize_text"]("e\x00\u0301")
    normalize, category = functions["unicodedata"].normalize, functions["unicodedata"].category

    def without_controls(text):
        return "".join(c for c in text if category(c) != "Cc")

    steps = (without_controls, lambda text: normalize("NFC", text))
    results = [second(first("e\x00\u0301")) for first, second in permutations(steps)]
    assert results == [composed, "e\u0301"]


def test_an_emoji_joiner_is_no_control_character():
    assert solutions(SLUG)["normalize_text"]("👩\u200d💻") == "👩\u200d💻"


def test_a_character_takes_one_to_four_bytes():
    assert {len(chr(code).encode()) for code in (0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF)} == {
        1,
        2,
        3,
        4,
    }


def test_the_download_is_as_large_as_the_text_says():
    (names,) = re.findall(r"fetch\((\[.*?\])\)", graded(LAB, "train_recipes").source)
    sizes = {each.name: each.size for each in map(get, re.findall(r'"(\w+)"', names))}
    assert round(sum(sizes.values()) / 1e6) == MEGABYTES
    assert f"a download of {MEGABYTES} MB" in text_of("text_recipes")


@pytest.mark.data
@pytest.mark.slow
def test_the_solved_lab_prints_what_its_text_says(solved):
    printed, _ = solved
    assert printed == [
        "café and cafe\u0301 are equal: False; they have 4 and 5 characters",
        "e [101]",
        "é [195, 169]",
        "爱 [231, 136, 177]",
        "😀 [240, 159, 152, 128]",
        "4031 different words of 53952",
        "The first merges make: ' t' 'in' ' a' 'he' ' s' ' c' 'er' ' o' ' the' 'ed'",
        "The longest tokens are: ' chopped' ' chicken' 'gredients' ' teaspoon' 'ablespoon' 'Ingredients' "
        "' tablespoon' ' tablespoons'",
        "With 300 merges a token holds 2.4 bytes of: unseen recipes",
        "With 300 merges a token holds 1.8 bytes of: encyclopaedia",
        "With 300 merges a token holds 1.0 bytes of: Chinese sentences",
        "50000 merges, each of two parts: True",
        "The first merges make: ' t' ' a' 'he' 'in' 're' 'on' ' the' 'er' ' s' 'at'",
        "Hello world: [15496, 995]",
        "Your ids are those of the course's package in 551 texts: True",
        "language ['language']",
        "languages ['language', '##s']",
        "tokenization ['to', '##ken', '##i', '##za', '##tion']",
        "爱 ['爱']",
        "龘 ['[UNK]']",
        "😀 ['[UNK]']",
        "9% of the different words, 4% of the text",
        "' cloves' by BPE [' c', 'l', 'o', 'v', 'es'] by Unigram [' c', 'l', 'o', 've', 's']",
        "' each' by BPE [' e', 'ac', 'h'] by Unigram [' e', 'a', 'ch']",
        "' stock' by BPE [' s', 'to', 'c', 'k'] by Unigram [' st', 'o', 'c', 'k']",
        "' olive' by BPE [' o', 'l', 'i', 've'] by Unigram [' ', 'ol', 'i', 've']",
        "bytes: 25.8 and 28.2 a sentence, 3.00 and 1.00 a character",
        "GPT-2: 17.1 and 6.7 a sentence, 1.99 and 0.24 a character",
        "own, from English: 25.8 and 13.1 a sentence, 3.00 and 0.47 a character",
        "own, from Chinese: 12.0 and 28.2 a sentence, 1.40 and 1.00 a character",
        "own, from both: 14.1 and 15.1 a sentence, 1.64 and 0.54 a character",
    ]
    assert "have 53,952 words, but only 4,031 different ones" in text_of("text_pair_counts")


@pytest.mark.data
@pytest.mark.slow
def test_the_figures_description_says_what_the_figure_shows(solved):
    _, names = solved
    held = names["held"]
    assert {values[0] for values in held.values()} == {1.0}
    assert all(
        recipe > wiki for recipe, wiki in zip(held["unseen recipes"][1:], held["encyclopaedia"][1:], strict=True)
    )
    assert max(held["Chinese sentences"]) < 1.01


@pytest.mark.data
@pytest.mark.slow
def test_the_ids_are_gpt2s_own(solved):
    _, names = solved
    ranks = read_ranks(companion.data.model_path("gpt2_ranks") / "gpt2.tiktoken")
    theirs = tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=dict(ranks), special_tokens={})
    assert len(names["gpt2_tokens"]) == len(ranks) == 50_256
    for text in names["some"]:
        assert names["gpt2_ids"](text) == theirs.encode_ordinary(text)


@pytest.mark.data
@pytest.mark.slow
def test_the_model_answer_to_the_open_question_says_what_its_measurement_says(solved):
    _, names = solved
    answer, measured = text_of("tokens_by_language"), names["measured"]
    (chinese, per_chinese), (english, per_english) = measured["GPT-2"]
    assert round(chinese / english, 1) == 2.6
    assert round(per_chinese / per_english) == 8
    assert "2.6 times as much" in answer
    assert "8 times worse (1.99 against 0.24)" in answer
    letters, characters = (sum(len(row[side]) for row in names["held_out"]) for side in (1, 0))
    assert round(letters / characters, 1) == 3.3
    assert "says as much as 3.3 letters" in answer
    assert [len(names[part]) for part in ("held_out", "learned")] == [1000, 1500]
