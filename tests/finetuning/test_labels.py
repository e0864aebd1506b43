"""Labels: both ways, plain JSON, and unknown ones listed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.finetuning import LabelEncoder

names = st.lists(st.text(alphabet="ab技术 1", min_size=1).filter(str.strip), min_size=1, unique_by=str.strip)


@given(names)
def test_decoding_what_was_encoded_gives_the_labels_back(names):
    names = [name.strip() for name in names]
    encoder = LabelEncoder.fit(names + names)
    assert encoder.decode(encoder.encode(names)) == names
    assert sorted(encoder.names) == sorted(names)
    assert sorted(encoder.encode(encoder.names)) == list(range(len(encoder)))


def test_numbers_are_ordered_as_numbers_and_are_the_same_label_as_their_text():
    encoder = LabelEncoder.fit([10, "2", -1, "b", "a", 2])
    assert encoder.names == ["-1", "2", "10", "a", "b"]
    assert encoder.encode([2, "2", " 2 "]) == [1, 1, 1]


def test_it_is_saved_as_plain_json(tmp_path):
    encoder = LabelEncoder.fit(["娱乐", "技术"])
    encoder.save(tmp_path / "labels.json")
    assert json.loads((tmp_path / "labels.json").read_text("utf8")) == encoder.names
    assert LabelEncoder.load(tmp_path / "labels.json") == encoder


def test_labels_unseen_in_training_are_listed_with_their_number():
    encoder = LabelEncoder(["ham", "spam"])
    with pytest.raises(ValueError, match=r"'ham', 'spam', got 'Spam' \(2 times\), 'eggs' \(1 times\): correct them"):
        encoder.encode(["ham", "Spam", "eggs", "Spam"])
    with pytest.raises(ValueError, match="and 3 others: correct"):
        encoder.encode([f"label {i}" for i in range(13)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LabelEncoder([]), TypeError, "names must be a list of one label or more"),
        (lambda: LabelEncoder(["a", "a"]), ValueError, "must be different, got 'a' more than once"),
        (lambda: LabelEncoder(["a", ""]), TypeError, "texts that are not empty"),
        (lambda: LabelEncoder("ab"), TypeError, "names must be a list"),
        (lambda: LabelEncoder.fit([1.5]), TypeError, "a text, an integer or a truth, got 1.5"),
        (lambda: LabelEncoder.fit(["a", " "]), ValueError, "must not be empty"),
        (lambda: LabelEncoder(["a"]).decode([1]), ValueError, "from 0 to 0, got 1"),
    ],
)
def test_wrong_labels_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("content", ['{"a": 1}', "[1, 2]", "not json", '["a", "a"]'])
def test_what_is_no_list_of_labels_is_not_read(tmp_path, content):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(ValueError, match="must be a JSON list of labels"):
        LabelEncoder.load(tmp_path / "labels.json")
