"""Cleaning: laws of `tidy`, of removing duplicates and of splitting, and the real texts."""

import json
import random
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data.loading import SPLITS, part
from companion.data.readers import read_recipes, read_wiki, strip_markup, tidy, unique

messy = st.text(alphabet="ab ,.;:()[]\n\t\u00a0\u2009\u2060\u200be\u0301*'", max_size=40)


@given(messy)
def test_tidy_leaves_no_double_space_no_empty_parentheses_and_no_invisible_character(text):
    clean = tidy(text)
    assert clean == " ".join(clean.split())
    assert "()" not in clean
    assert "( " not in clean
    assert not {"\u2060", "\u200b"} & set(clean)
    assert unicodedata.is_normalized("NFC", clean)


@given(messy)
def test_tidy_twice_is_tidy_once(text):
    assert tidy(tidy(text)) == tidy(text)


@given(messy)
def test_tidy_keeps_every_letter(text):
    def letters(string):
        return [character for character in unicodedata.normalize("NFC", string) if character.isalpha()]

    assert letters(tidy(text)) == letters(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Anime  is animation", "Anime is animation"),
        ("a boson ( ) is a", "a boson is a"),
        ("Cerreto (, also, Italian)", "Cerreto (also, Italian)"),
        ("The cinema of Japan , also", "The cinema of Japan, also"),
        ("variable length\u00a0... which", "variable length ... which"),
        ("753–509\u00a0BC", "753–509 BC"),
        ("cafe\u0301", "café"),
    ],
)
def test_tidy_closes_the_holes_of_removed_templates(text, clean):
    assert tidy(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('fluffy.<ref name="cookies" /> Add', "fluffy. Add"),
        ("clean.<ref>{{Cite web|url=x}}</ref> Grate", "clean. Grate"),
        ("the ''rougag'' with", "the rougag with"),
        ("350&nbsp;&deg;F", "350 °F"),
        ("chill (< 40°F) for", "chill (< 40°F) for"),
    ],
)
def test_markup_is_removed_and_signs_are_kept(text, clean):
    assert tidy(strip_markup(text)) == clean


rows_of_text = st.lists(st.text(alphabet="ab .", min_size=28, max_size=34), max_size=12).map(
    lambda texts: [{"text": text} for text in texts]
)


@given(rows_of_text)
def test_unique_keeps_the_first_of_each_and_nothing_twice(rows):
    kept = unique(rows)
    assert unique(kept) == kept
    assert all(row in rows for row in kept)
    assert unique(rows + rows) == kept


def test_rows_that_differ_in_case_and_punctuation_are_duplicates():
    rows = [{"text": "Combine all ingredients, and serve them."}, {"text": "combine all ingredients and serve them"}]
    assert unique(rows) == rows[:1]


@given(st.integers(0, 90), st.integers(-(2**70), 2**70))
def test_the_three_parts_are_disjoint_and_together_everything(count, seed):
    rows = [{"text": f"row {index}"} for index in range(count)]
    parts = [part(rows, split, seed) for split in SPLITS]
    assert Counter(row["text"] for rows_ in parts for row in rows_) == Counter(row["text"] for row in rows)
    assert len(parts[1]) == len(parts[2]) == round(0.05 * count)


@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_part_does_not_depend_on_the_order_of_the_rows(seed, generator):
    rows = [{"text": f"row {index}"} for index in range(61)]
    shuffled = random.Random(generator.random()).sample(rows, len(rows))
    assert part(rows, "test", seed) == part(shuffled, "test", seed)


def test_another_seed_holds_out_other_rows():
    rows = [{"text": f"row {index}"} for index in range(997)]
    assert part(rows, "test", 0) != part(rows, "test", 1)


def test_a_bad_split_or_seed_is_named():
    with pytest.raises(ValueError, match="split must be one of train, validation, test or None, got 'dev'"):
        part([], "dev", 0)
    with pytest.raises(TypeError, match="seed"):
        part([], "test", 0.5)


def test_articles_that_lost_their_formulas_and_recipes_with_markup_left_are_dropped(tmp_path):
    def article(title, extract):
        return {"title": title, "extract": extract, "description": None, "topic": "Mathematics"}

    articles = [
        article("Sine", "The sine is a function of an angle, written \u2060\u2060 here."),
        article("Sum", "x" * 40),
    ]
    (tmp_path / "summaries_en-us.json").write_text(json.dumps({row["title"]: row for row in articles}))
    assert read_wiki(tmp_path) == [{"title": "Sum", "description": "", "text": "x" * 40, "topic": "Mathematics"}]

    def recipe(title, step):
        return {"title": title, "category": None, "ingredients": ["* 1 cup () milk", "<ref/>"], "steps": [step]}

    recipes = [recipe("Tea", "Boil the milk with the tea leaves."), recipe("Pie", "Bake [[File:x.jpg|thumb")]
    (tmp_path / "recipes_en-us.json").write_text(json.dumps({row["title"]: row for row in recipes}))
    (row,) = read_recipes(tmp_path)
    assert row["ingredients"] == ["1 cup milk"]
    assert row["text"] == "Tea\nIngredients: 1 cup milk\nBoil the milk with the tea leaves."
