"""Cleaning: laws of `tidy`, of removing duplicates and of splitting, and the real texts."""

import json
import random
import unicodedata
from collections import Counter

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data import DataError, readers
from companion.data.loading import SPLITS, part
from companion.data.readers import read_recipes, read_wiki
from companion.data.readers.cleaning import plain, strip_markup, tidy, unique

messy = st.text(alphabet="ab ,.;:()[]\n\t\u00a0\u2009\u2060\u200be\u0301*'", max_size=40)


@given(messy)
def test_tidy_leaves_no_double_space_no_empty_parentheses_and_no_invisible_character(text):
    clean = tidy(text)
    assert clean == " ".join(clean.split())
    assert "()" not in clean
    assert "( " not in clean
    assert not {"\u2060", "\u200b"} & set(clean)
    assert unicodedata.is_normalized("NFC", clean)


@given(st.text(max_size=40))
def test_plain_text_is_nfc_with_single_spaces_and_stays_so(text):
    clean = plain(text)
    assert clean == " ".join(clean.split()) == plain(clean)
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


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["en", "fr"])), max_size=60), st.integers(0, 5))
def test_rows_with_one_key_are_in_one_part(pairs, seed):
    rows = [{"key": str(key), "text": f"{language} {key}"} for key, language in pairs]
    parts = [part(rows, split, seed, "key") for split in SPLITS]
    assert sum(map(len, parts)) == len(rows)
    for row in rows:
        assert sum(row["key"] in {other["key"] for other in rows_} for rows_ in parts) == 1


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


def write(folder, name, *lines):
    (folder / name).write_text("\n".join(lines), encoding="utf-8")


def write_json(folder, name, *values):
    write(folder, name, *(json.dumps(value, ensure_ascii=False) for value in values))


def test_french_keeps_the_space_before_its_colon_and_loses_the_marks_of_foreign_links(tmp_path):
    extract = "Le roi\u00a0: Johann Wirn (en), ''maire'' de Berne [1]\u00a0; il fut élu en 1291 ."
    article = {"title": "Roi", "extract": extract, "description": None, "topic": "Histoire"}
    write_json(tmp_path, "summaries_fr-fr.json", {"Roi": article})
    (row,) = read_wiki(tmp_path)
    assert row["text"] == "Le roi : Johann Wirn, maire de Berne ; il fut élu en 1291."


def test_a_boolq_passage_stands_once_with_its_title_wherever_the_file_has_it(tmp_path):
    long = "The ``wild boar'' is the king 's animal and lives -- as pigs do -- in the wood."
    clean = 'The "wild boar" is the king\'s animal and lives -- as pigs do -- in the wood.'
    other = "An ostrich is a large bird that cannot fly but runs fast."
    write_json(tmp_path, "dev.jsonl", {"passage": long, "title": "Feral pig"})
    write_json(tmp_path, "combined.jsonl", {"passage": long}, {"passage": f"Ostrich -- {other}"})
    write_json(tmp_path, "test.jsonl", {"passage": f"Ostrich -- {other}"})
    assert readers.read_boolq(tmp_path) == [{"title": "Feral pig", "text": clean}, {"title": "Ostrich", "text": other}]


def test_bible_verses_are_joined_by_chapter_and_the_empty_one_is_dropped(tmp_path):
    verses = ["In the beginning was the Word,", "and the Word was with God.", "[]", "There was a man sent from God."]
    numbers = [("John", 1), ("John", 1), ("John", 1), ("John", 2)]
    write_json(
        tmp_path,
        "kjv.jsonl",
        *({"book": b, "chapter": c, "text": text} for (b, c), text in zip(numbers, verses, strict=True)),
    )
    assert readers.read_kjv(tmp_path) == [
        {"book": "John", "chapter": 1, "text": "In the beginning was the Word, and the Word was with God."},
        {"book": "John", "chapter": 2, "text": "There was a man sent from God."},
    ]


def test_factbook_entries_carry_their_country_and_field_and_short_ones_are_dropped(tmp_path):
    long = "<p>one two three four five&nbsp;six seven eight nine ten eleven twelve</p>"
    chad = {
        "Government": {"Country name": {"conventional short form": {"text": "Chad"}}, "Flag": {"text": long}},
        "Economy": {"Trade": {"text": "too short", "with": {"text": long + " and Peru"}}},
    }
    world = {"Geography": {"Climate": {"text": long + " and more", "note": "kept out"}}}
    union = {
        "Government": {
            "Union name": {"conventional long form": {"text": "European Union"}},
            "Flag": {"text": long + "!?x"},
        }
    }
    write_json(
        tmp_path,
        "countries.jsonl",
        *(
            [path, json.dumps(tree)]
            for path, tree in (("d/africa/cd.json", chad), ("d/world/xx.json", world), ("d/europe/ee.json", union))
        ),
    )
    rows = readers.read_factbook(tmp_path)
    assert [(row["country"], row["section"], row["field"]) for row in rows] == [
        ("Chad", "Government", "Flag"),
        ("Chad", "Economy", "Trade, with"),
        ("World", "Geography", "Climate"),
        ("European Union", "Government", "Flag"),
    ]
    assert rows[0]["text"] == "one two three four five six seven eight nine ten eleven twelve"


def test_a_review_with_both_labels_or_lost_characters_is_no_review(tmp_path):
    write(tmp_path, "pos.txt", "这本书写得很好。", "这本书 写得很好!", "价格便宜，质量不错。", "好")
    write(tmp_path, "neg.txt", "房间太小了，不会再来。", "价格便宜, 质量不错", "一拿到?器，这?是正品?有人?手")
    assert readers.read_zh_reviews(tmp_path) == [
        {"text": "房间太小了，不会再来。", "label": 0},
        {"text": "这本书写得很好。", "label": 1},
    ]


def test_newspaper_lines_become_words_and_tags_even_where_the_word_is_a_slash(tmp_path):
    write(tmp_path, "199801.txt", "迈向/v  充满/v  希望/n  的/u  新/a  世纪/n  //w  一九九八年/t", "", "本报/r 讯/Ng")
    assert readers.read_zh_news(tmp_path) == [
        {
            "text": "迈向充满希望的新世纪/一九九八年",
            "words": ["迈向", "充满", "希望", "的", "新", "世纪", "/", "一九九八年"],
            "tags": ["v", "v", "n", "u", "a", "n", "w", "t"],
        }
    ]


def test_the_best_translated_key_stands_for_its_english_string(tmp_path):
    def strings(language, **components):
        write_json(
            tmp_path,
            f"{language}.jsonl",
            *(
                [f"homeassistant/components/{name}/translations/{language}.json", json.dumps(tree)]
                for name, tree in components.items()
            ),
        )

    strings("en", lamp={"title": "Lamp", "state": {"on": "Switched  on", "off": "-"}}, plug={"on": "Switched on"})
    strings("de", lamp={"title": "Lamp", "state": {"on": "Eingeschaltet"}}, plug={"on": "An"}, old={"x": "Veraltet"})
    strings("fr", plug={"on": "Allumé"}, lamp={"title": ""})
    assert readers.read_interface_strings(tmp_path) == [
        {"key": "lamp.title", "language": "en", "text": "Lamp"},
        {"key": "plug.on", "language": "en", "text": "Switched on"},
        {"key": "plug.on", "language": "de", "text": "An"},
        {"key": "plug.on", "language": "fr", "text": "Allumé"},
    ]


def test_word_tests_are_read_as_published(tmp_path):
    write(
        tmp_path, "wordsim353.tsv", "# Word 1\tWord 2\tHuman (mean)", "tiger\ttiger\t10.00", "Jerusalem\tIsrael\t8.46"
    )
    write(tmp_path, "simlex999.txt", "# a comment", "old\tnew\t1.58")
    assert [tuple(row.values()) for row in readers.read_word_pairs(tmp_path)] == [
        ("wordsim353", "tiger", "tiger", 10.0),
        ("wordsim353", "Jerusalem", "Israel", 8.46),
        ("simlex999", "old", "new", 1.58),
    ]
    write(tmp_path, "questions-words.txt", ": family", "boy girl king queen", ": gram8-plural", "cat cats dog dogs")
    assert [tuple(row.values()) for row in readers.read_analogies(tmp_path)] == [
        ("family", "boy", "girl", "king", "queen"),
        ("gram8-plural", "cat", "cats", "dog", "dogs"),
    ]


def test_vectors_that_are_not_one_a_word_are_refused(tmp_path):
    words = pyarrow.table({"index": ["the", "of", "and"]})
    pyarrow.parquet.write_table(words, tmp_path / "glove_6B_index.parquet")
    np.save(tmp_path / "glove_6B_50d_emb.npy", np.zeros((3, 50), dtype=np.float32))
    assert readers.read_glove(tmp_path)[0] == ["the", "of", "and"]
    np.save(tmp_path / "glove_6B_50d_emb.npy", np.zeros((2, 50), dtype=np.float32))
    with pytest.raises(DataError, match=r"holds 3 words but vectors of shape \(2, 50\)"):
        readers.read_glove(tmp_path)


def test_rated_sentences_get_the_sign_of_their_rating_and_undecided_ones_are_left_out(tmp_path):
    lines = [
        "id\tsentiment\ttext",
        "1_1\t-0.5\tToo &amp; long.",
        "1_2\t0.0\tA film.",
        "12_1\t3.25\tA joy.",
        "12_2\t-1\ta  JOY",
    ]
    write(tmp_path, "movieReviewSnippets_GroundTruth.txt", *lines[:4])
    assert readers.read_movie_snippets(tmp_path) == [
        {"text": "Too & long.", "label": 0, "score": -0.5},
        {"text": "A joy.", "label": 1, "score": 3.25},
    ]
    write(tmp_path, "amazonReviewSnippets_GroundTruth.txt", *lines[:4])
    assert [row["review"] for row in readers.read_amazon_snippets(tmp_path)] == ["1", "12"]
    # Praised once and blamed once: no label can be right.
    write(tmp_path, "movieReviewSnippets_GroundTruth.txt", *lines)
    assert [row["text"] for row in readers.read_movie_snippets(tmp_path)] == ["Too & long."]


def test_messages_and_questions_are_read_each_once(tmp_path):
    write(tmp_path, "sms-spam.csv", ",spam,text", '0,0,"Ok lar, see u"', "1,1,Win &lt;#&gt; now", "2,1,WIN # now!")
    assert readers.read_sms_spam(tmp_path) == [
        {"text": "Ok lar, see u", "label": 0},
        {"text": "Win <#> now", "label": 1},
    ]
    write(
        tmp_path,
        "question_labels.txt",
        "DESC:def What 's `` dew point '' ?",
        "HUM:ind Who wrote NN DT NNP NNP '' ?",
        "LOC:city Which s\ufffdster city ?",
        "ENTY:word Where is ` ok ' from , then ?",
        "DESC:def What's dew point?",
    )
    assert readers.read_trec_questions(tmp_path) == [
        {"text": 'What\'s "dew point"?', "label": "DESC", "fine": "def"},
        {"text": "Where is 'ok' from, then?", "label": "ENTY", "fine": "word"},
    ]
