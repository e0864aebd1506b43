"""Distinct rows and parts: laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.finetuning import drop_repeated, same_text, split_rows

rows = st.lists(st.tuples(st.sampled_from(["A b", "a B!", "c", "d", "...", "?"]), st.integers(0, 1)), max_size=12).map(
    lambda pairs: [{"text": text, "label": label, "line": i} for i, (text, label) in enumerate(pairs, start=1)]
)


@given(rows)
def test_every_row_is_kept_or_reported_once(rows):
    kept, left_out = drop_repeated(rows, lambda row: same_text(row["text"]), lambda row: row["label"])
    assert sorted([row["line"] for row in kept] + [one.line for one in left_out]) == [row["line"] for row in rows]
    keys = [same_text(row["text"]) for row in kept]
    assert len(set(keys)) == len(keys)
    for row in kept:
        same = {other["label"] for other in rows if same_text(other["text"]) == same_text(row["text"])}
        assert same == {row["label"]}


def test_the_reason_names_the_line_or_the_labels():
    rows = [
        {"text": "A b", "label": 1, "line": 2},
        {"text": "a B!", "label": 1, "line": 5},
        {"text": "c", "label": 0, "line": 6},
        {"text": "c", "label": 1, "line": 9},
    ]
    _, left_out = drop_repeated(rows, lambda row: same_text(row["text"]), lambda row: row["label"])
    assert [(one.line, one.reason) for one in left_out] == [
        (5, "repeats line 2"),
        (6, "the same text has the labels 0, 1"),
        (9, "the same text has the labels 0, 1"),
    ]


@given(st.integers(3, 60), st.integers(0, 99), st.booleans())
def test_parts_are_disjoint_and_are_everything(n, seed, is_grouped):
    rows = [{"line": i} | ({"group": i // 4} if is_grouped and n > 12 else {}) for i in range(n)]
    parts = split_rows(rows, [0.2, 0.1], seed=seed)
    assert sorted(row["line"] for part in parts for row in part) == list(range(n))
    assert all(parts)
    assert parts == split_rows(rows, [0.2, 0.1], seed=seed)
    if is_grouped and n > 12:
        groups = [{row["group"] for row in part} for part in parts]
        assert sum(map(len, groups)) == len(set().union(*groups))


def test_another_seed_is_another_split():
    rows = [{"line": i} for i in range(50)]
    assert split_rows(rows, [0.2], seed=0) != split_rows(rows, [0.2], seed=1)
    assert split_rows(rows, [0.0], seed=0)[1] == []


@pytest.mark.parametrize(
    ("n", "shares", "message"),
    [
        (9, [0.5, 0.5], "must leave something"),
        (9, [-0.1], "at least 0 and below 1"),
        (2, [0.1, 0.1], "more than the 2"),
    ],
)
def test_impossible_shares_are_refused(n, shares, message):
    with pytest.raises(ValueError, match=message):
        split_rows([{"line": i} for i in range(n)], shares)
