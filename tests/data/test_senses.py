"""The sentences with "bank": each found again in the fetched texts, with the sense that a person gave it."""

import json
from collections import Counter
from importlib import resources

import pytest

from companion.data.senses import bank_senses, key_of

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def rows():
    return bank_senses()


def test_every_judgement_finds_its_sentence(rows):
    stored = json.loads(resources.files("companion.data").joinpath("bank_senses.json").read_text("utf8"))
    assert {key_of(row["text"]): row["sense"] for row in rows} == stored
    assert len(rows) == len(stored)


def test_there_are_168_banks_of_money_and_86_of_rivers(rows):
    assert Counter(row["sense"] for row in rows) == {"money": 168, "river": 86}


def test_the_word_stands_in_its_sentence(rows):
    assert all(row["word"] in row["text"] for row in rows)
    assert {row["word"] for row in rows} == {"bank", "banks"}


def test_the_senses_agree_with_the_company_that_a_bank_keeps(rows):
    """A coarse second opinion: rivers are named beside river banks, and seldom beside the others."""
    by_sense = {sense: [row["text"].lower() for row in rows if row["sense"] == sense] for sense in ("money", "river")}
    share = {sense: sum("river" in text for text in texts) / len(texts) for sense, texts in by_sense.items()}
    assert share["river"] > 0.6
    assert share["money"] < 0.02


def test_the_repository_holds_hashes_and_no_sentence():
    stored = resources.files("companion.data").joinpath("bank_senses.json").read_text("utf8")
    assert all(len(key) == 12 and set(key) <= set("0123456789abcdef") for key in json.loads(stored))
