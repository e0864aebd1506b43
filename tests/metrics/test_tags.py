"""Scores of entities: against entities found by hand, and errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion._optional import MissingPackageError
from companion.metrics import entity_f1, tags

TAGS = st.sampled_from(["O", "B-per", "I-per", "B-loc", "I-loc"])
texts = st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=9), min_size=1, max_size=4)


def entities(text, strict):
    """Find entities as CoNLL does; strictly, an I- must go on what a B- of its kind began."""
    found, start, kind = set(), None, None
    for position, tag in enumerate([*text, "O"]):
        mark, _, name = tag.partition("-")
        goes_on = mark == "I" and kind == name
        if kind is not None and not goes_on:
            found.add((start, position, kind))
            kind = None
        if mark == "B" or (mark == "I" and not goes_on and not strict):
            start, kind = position, name
    return found


@pytest.mark.parametrize("scheme", [None, "IOB2"])
@given(texts=texts)
def test_entities_are_counted_whole(texts, scheme):
    right = [[tag for tag, _ in text] for text in texts]
    given_ = [[tag for _, tag in text] for text in texts]
    sets = [
        {(i, *one) for i, text in enumerate(side) for one in entities(text, scheme is not None)}
        for side in (right, given_)
    ]
    hits = len(sets[0] & sets[1])
    scores = entity_f1(right, given_, scheme=scheme)
    assert scores.n_entities == len(sets[0])
    assert scores.precision == pytest.approx(hits / len(sets[1]) if sets[1] else 0)
    assert scores.recall == pytest.approx(hits / len(sets[0]) if sets[0] else 0)
    total = len(sets[0]) + len(sets[1])
    assert scores.f1 == pytest.approx(2 * hits / total if total else 0)


def test_a_boundary_off_by_one_finds_nothing():
    scores = entity_f1([["B-per", "I-per", "O"]], [["B-per", "O", "O"]])
    assert scores == (0.0, 0.0, 0.0, 1)


def test_other_schemes_are_read():
    assert entity_f1([["B-per", "E-per", "S-loc"]], [["B-per", "E-per", "O"]], scheme="IOBES")[:3] == (1.0, 0.5, 2 / 3)


@pytest.mark.parametrize(
    ("right", "given_", "error", "message"),
    [
        (["O"], [["O"]], TypeError, r"references\[0\] must be a list of tags"),
        ([["O"]], [["O"], ["O"]], ValueError, "one for each of the 1 references, got 2"),
        ([["O", "O"]], [["O"]], ValueError, r"predictions\[0\] must have a tag for each of its 2 tokens, got 1"),
        ([["per"]], [["O"]], ValueError, "tags such as 'B-person' and 'I-person', got 'per'"),
        ([[1]], [["O"]], TypeError, "got 1 of type int"),
        ([["X-per"]], [["O"]], ValueError, "got 'X-per'"),
    ],
)
def test_wrong_tags_are_named(right, given_, error, message):
    with pytest.raises(error, match=message):
        entity_f1(right, given_)


def test_an_unknown_scheme_lists_the_known_ones():
    with pytest.raises(ValueError, match="scheme must be one of IOB1, IOB2"):
        entity_f1([["O"]], [["O"]], scheme="BIO")


def test_without_seqeval_it_says_how_to_install_it(monkeypatch):
    def missing(name, **_):
        raise MissingPackageError("seqeval is needed", name="seqeval")

    monkeypatch.setattr(tags, "optional_import", missing)
    with pytest.raises(MissingPackageError, match="pip install --no-build-isolation seqeval"):
        entity_f1([["O"]], [["O"]])
