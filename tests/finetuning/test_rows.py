"""Reading tables: every row is either read or reported with its line and the reason."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.finetuning import Classification, RowError, read_rows

WRITERS = {
    "tsv": lambda rows: "".join(
        f"{row['label']}\t{row['text']}\n" for row in [{"label": "label", "text": "text"}, *rows]
    ),
    "jsonl": lambda rows: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
    "json": lambda rows: json.dumps(rows, ensure_ascii=False, indent=1),
}


def write_csv(rows):
    file = io.StringIO()
    writer = csv.DictWriter(file, ["text", "label"])
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


WRITERS["csv"] = write_csv
texts = st.text(alphabet="ab \"',;猫é\\", min_size=1, max_size=12).filter(str.strip)
tables = st.lists(st.fixed_dictionaries({"text": texts, "label": texts}), min_size=1, max_size=6)


def write(tmp_path, kind, content):
    path = tmp_path / f"data.{kind}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=40)
@given(rows=tables)
def test_what_is_written_is_read(kind, rows, tmp_path_factory):
    table = read_rows(write(tmp_path_factory.mktemp("rows"), kind, WRITERS[kind](rows)))
    assert not table.left_out
    assert [{name: row[name] for name in ("text", "label")} for row in table.rows] == rows
    assert [row["line"] for row in table.rows] == sorted({row["line"] for row in table.rows})


BAD = {
    "tsv": "label\ttext\n1\tgood\n1\ttoo\tmany\nalone\n\n2\t\n3\tfine\n",
    "csv": 'label,text\n1,good\n1,too,many\nalone\n\n2,\n3,"fine, really"\n',
    "jsonl": '{"label": 1, "text": "good"}\n{"label": 1}\n[1]\n\n'
    '{"label": 2, "text": " "}\n{"label": 3, "text": "fine"}\n',
    "json": '[{"label": 1, "text": "good"},\n{"label": 1},\n[1],\n\n{"label": 2, "text": " "},\n'
    '{"label": 3, "text": "fine"}]\n',
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_rows_are_reported_by_line_and_good_ones_kept(kind, tmp_path):
    table = read_rows(write(tmp_path, kind, BAD[kind]), Classification().parse)
    assert [row["label"] for row in table.rows] == ["1", "3"]
    is_table = kind in ("tsv", "csv")
    assert [one.line for one in table.left_out] == ([3, 4, 6] if is_table else [2, 3, 5])
    assert [row["line"] for row in table.rows] == ([2, 7] if is_table else [1, 6])
    reasons = [one.reason for one in table.left_out]
    assert "3 values, not one for each of label, text" in reasons[0] if is_table else "there is no 'text'" in reasons[0]
    assert "'text' is empty" in reasons[2]
    with pytest.raises(
        ValueError, match=r"3 rows that cannot be used, beside 2 that can:\n(  line \d.*\n){3}Correct them"
    ):
        table.require_whole()


def test_a_quotation_mark_is_a_character_of_a_tsv(tmp_path):
    # A reader of CSV would take the two lines for one value.
    path = write(tmp_path, "tsv", 'label\ttext\n1\t"Fine, he said\n0\tand left"\n')
    assert [row["text"] for row in read_rows(path).rows] == ['"Fine, he said', 'and left"']


def test_a_value_of_several_lines_begins_in_its_first(tmp_path):
    path = write(tmp_path, "csv", 'text,label\n"two\nlines",1\n\nx,2,3\n"and\nmore",3\n')
    table = read_rows(path)
    assert [(row["line"], row["text"]) for row in table.rows] == [(2, "two\nlines"), (6, "and\nmore")]
    assert [one.line for one in table.left_out] == [5]


def test_an_open_quotation_mark_is_reported_and_nothing_is_lost_in_silence(tmp_path):
    # A reader of CSV takes all that follows for one value: a hundred good rows would be one bad one.
    good = "".join(f"y{i},3\n" for i in range(100))
    table = read_rows(write(tmp_path, "csv", f'text,label\nx,1\n"open,2\n{good}"two\nlines",4\n'))
    assert [row["text"] for row in table.rows] == ["x", *[f"y{i}" for i in range(100)], "two\nlines"]
    assert [row["line"] for row in table.rows] == [2, *range(4, 105)]
    assert [(one.line, one.reason) for one in table.left_out] == [(3, "no CSV: ',' expected after '\"'")]
    table = read_rows(write(tmp_path, "csv", f'text,label\n"open,2\n{good}'))
    assert (len(table.rows), table.left_out[0].reason) == (100, "no CSV: unexpected end of data")


def test_a_line_of_names_that_cannot_be_read_is_no_reason_to_take_the_next_one(tmp_path):
    with pytest.raises(ValueError, match=r"has a line of names that cannot be read: line 1: not UTF-8"):
        read_rows(write(tmp_path, "tsv", b"text\xff\tlabel\na\tb\nc\td\n"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-8-sig"])
def test_what_a_spreadsheet_of_windows_saves_is_read(encoding, tmp_path):
    mark = "" if encoding in ("utf-16", "utf-8-sig") else "\ufeff"
    content = (mark + "text\tlabel\r\ncafé 猫 😀\t1\r\n").encode(encoding)
    table = read_rows(write(tmp_path, "tsv", content))
    assert table.rows == [{"text": "café 猫 😀", "label": "1", "line": 2}]


def test_damaged_utf16_and_what_is_no_text_is_told_by_line(tmp_path):
    lines = "text\na\n".encode("utf-16") + b"\x00\xd8\n\x00" + "b\n".encode("utf-16-le") + b"c"
    table = read_rows(write(tmp_path, "tsv", lines))
    assert [row["text"] for row in table.rows] == ["a", "b"]
    assert [(one.line, one.reason[:9]) for one in table.left_out] == [(3, "not UTF-8"), (5, "not UTF-8")]
    table = read_rows(write(tmp_path, "tsv", b"text\na\x00b\n\x1b[31mred\xff\n"))
    assert [one.reason[:13] for one in table.left_out] == ["has NUL bytes", "not UTF-8 (in"]
    assert "\x1b" not in table.left_out[1].content
    with pytest.raises(ValueError, match="is in UTF-32"):
        read_rows(write(tmp_path, "tsv", "text\na".encode("utf-32")))


def test_one_line_in_another_encoding_costs_one_row(tmp_path):
    content = "text,label\ncafé,1\n".encode() + "naïve,2\n".encode("latin-1") + b"plain,3\n"
    table = read_rows(write(tmp_path, "csv", b"\xef\xbb\xbf" + content))
    assert [(row["line"], row["text"]) for row in table.rows] == [(2, "café"), (4, "plain")]
    assert [(one.line, one.reason[:9]) for one in table.left_out] == [(3, "not UTF-8")]


def test_windows_line_ends_are_read(tmp_path):
    for kind, content in (("tsv", "text\tlabel\r\na\t1\r\n"), ("jsonl", '{"text": "a", "label": 1}\r\n')):
        assert read_rows(write(tmp_path, kind, content), Classification().parse).rows[0]["label"] == "1"


def test_a_damaged_json_list_is_reported_from_where_it_is_damaged(tmp_path):
    good = '[{"text": "a", "label": 1},\n{"text": "b", "label": 2}'
    for end, line, reason in (
        (",\n{text: 3}]", 3, "no JSON from here to the end"),
        ("", 2, "the list has no end"),
        ("]\nmore", 2, "something stands behind the end"),
    ):
        table = read_rows(write(tmp_path, "json", good + end))
        assert len(table.rows) == 2
        assert (table.left_out[0].line, table.left_out[0].reason[: len(reason)]) == (line, reason)


def test_what_is_wrong_with_a_line_of_json_is_told_by_its_own_characters(tmp_path):
    table = read_rows(write(tmp_path, "jsonl", '{"a": 1}\n{"a": x}\n' + "[" * 100_000 + "\n"))
    assert [one.line for one in table.left_out] == [2, 3]
    assert table.left_out[0].reason == "no JSON: Expecting value at its character 7"
    assert table.left_out[1].reason == "no JSON: nested too deep"


def test_names_can_be_given_where_the_file_has_none(tmp_path):
    path = write(tmp_path, "txt", "1\tfine\n0\tdull\n")
    assert read_rows(path, columns=["label", "text"]).rows[1] == {"label": "0", "text": "dull", "line": 2}


def test_a_long_report_is_cut(tmp_path):
    table = read_rows(write(tmp_path, "jsonl", "no\n" * 25 + '{"a": 1}\n'))
    with pytest.raises(ValueError, match="and 15 more"):
        table.require_whole()


def test_the_reasons_of_a_parser_are_kept(tmp_path):
    def parse(values):
        raise RowError("too plain")

    table = read_rows(write(tmp_path, "jsonl", '{"a": "' + "x" * 200 + '"}\n'), parse)
    assert table.left_out[0].reason == "too plain"
    assert len(table.left_out[0].content) == 80


@pytest.mark.parametrize(
    ("kind", "content", "options", "error", "message"),
    [
        ("tsv", "a\ta\n1\t2\n", {}, ValueError, "different column names, got"),
        ("tsv", "", {}, ValueError, "must hold at least one row, got none"),
        ("xml", "<a/>", {}, ValueError, r"path must end in \.tsv"),
        ("json", "[]", {"columns": ["a"]}, ValueError, "columns are for files without names"),
        ("tsv", "a\n1\n", {"kind": "excel"}, ValueError, "kind must be one of tsv, csv, jsonl, json"),
        ("tsv", "a\n1\n", {"columns": "ab"}, TypeError, "columns must be a list of names"),
    ],
)
def test_what_is_no_table_is_refused(kind, content, options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        read_rows(write(tmp_path, kind, content), **options)
