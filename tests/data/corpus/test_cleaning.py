"""Cleaning: what goes, for which reason, and that cleaning twice changes nothing more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data.corpus import clean_texts

GOOD = "A sentence that is long enough."


def reasons(texts, **options):
    report = clean_texts(texts, **options).report
    return {reason: indices for reason, indices in report.dropped.items() if indices}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("\0\u200b\ufeff", "empty"),
        ("\ud83d", "empty"),
        ("Too short", "shorter than 10 characters"),
        ("1998 | 12.5 | 13.7 | 99 | 1,000", "less than 50% letters"),
        ("🐈🐈🐈🐈🐈🐈🐈🐈🐈🐈🐈🐈", "less than 50% letters"),
        ("buy now today\n" * 9 + "something else", "more than 30% repeated lines"),
    ],
)
def test_a_text_without_language_is_dropped_with_the_reason(text, reason):
    assert reasons([GOOD, text, GOOD]) == {reason: [1]}


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "猫坐在垫子上，看着窗外的雨。",
        "नमस्ते दुनिया, आप कैसे हैं",
        "สวัสดีชาวโลก วันนี้อากาศดี",
        "Chapter 1: 1998 was a year like many others.",
        "la la la\nla la la\nla la la",
    ],
)
def test_language_is_kept(text):
    assert clean_texts([text]).texts == [text]


def test_what_is_kept_has_one_spelling():
    assert clean_texts(["Cafe\u0301  au\u200b lait\r\nis   good"]).texts == ["Café au lait\nis good"]
    assert clean_texts(["ﬁne letters here"], form="NFKC").texts == ["fine letters here"]


def test_the_report_counts():
    report = clean_texts([GOOD, "short", "  " + GOOD]).report
    assert (report.given, report.kept) == (3, [0, 2])
    assert (report.characters, report.characters_kept) == (2 * len(GOOD) + 7, 2 * len(GOOD))
    assert str(report) == (
        f"cleaning: kept 2 of 3 texts, {2 * len(GOOD)} of {2 * len(GOOD) + 7} characters\n"
        "  dropped 1: shorter than 10 characters"
    )


@given(texts=st.lists(st.text(st.characters(exclude_categories=[])), max_size=6))
def test_every_text_is_kept_or_dropped_for_one_reason(texts):
    kept, report = clean_texts(texts, min_characters=2)
    assert sorted(sum(report.dropped.values(), report.kept)) == list(range(len(texts)))
    assert clean_texts(kept, min_characters=2).texts == kept


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"texts": "one"}, TypeError, "texts must be an iterable of strings, got one str"),
        ({"texts": iter(["a", 3])}, TypeError, r"texts\[1\] must be a string, got int"),
        ({"form": "NFX"}, ValueError, "form must be None or one of NFC, NFKC"),
        ({"min_characters": 0}, ValueError, "min_characters must be at least 1"),
        ({"min_letters": 1.5}, ValueError, "min_letters must be from 0 to 1, got 1.5"),
        ({"max_repeated": float("nan")}, ValueError, "max_repeated must be finite"),
    ],
)
def test_wrong_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        clean_texts(**({"texts": [GOOD]} | options))
