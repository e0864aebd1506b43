"""Texts out of files and pipes: hostile lines are told by their number, and nothing is taken for what it is not."""

import io
import json

import pytest

from companion.applications.texts import LONGEST, Text, read_texts
from companion.finetuning import LeftOut
from companion.finetuning.lines import TableError


class Drip(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, content: bytes, size: int) -> None:
        self.content, self.size = content, size

    def read(self, _=-1):
        given, self.content = self.content[: self.size], self.content[self.size :]
        return given


def read(content, **options):
    content = content if isinstance(content, bytes) else content.encode()
    found = [list(read_texts(io.BytesIO(content), **options))]
    found += [list(read_texts(Drip(content, size), **options)) for size in (1, 3, 7)]  # pyright: ignore[reportArgumentType]
    assert found[1:] == found[:-1]
    return [one if isinstance(one, Text) else (one.line, one.reason) for one in found[0]]


def test_every_line_is_a_text_or_is_told():
    content = b"\xef\xbb\xbfone\r\n\r\n  two  \nthr\xffee\nfo\0ur\n\t\n" + b"x" * 50 + b"\nlast"
    assert read(content, longest=40) == [
        (1, "one"),
        (2, "the line is empty"),
        (3, "two"),
        (4, "not UTF-8 (invalid start byte at byte 4)"),
        (5, "has NUL bytes, so it is no text in UTF-8"),
        (6, "the line is empty"),
        (7, "longer than 40 bytes (50)"),
        (8, "last"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends_make_no_difference(encoding, end):
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    content = (mark + end.join(["text,label", "café 猫 😀,a", '"two', 'lines, with ""signs""",b', "x,c"]) + end).encode(
        encoding
    )
    assert read(content, kind="csv") == [(2, "café 猫 😀"), (3, 'two\nlines, with "signs"'), (5, "x")]


def test_json_lines_are_told_one_by_one():
    lines = [
        '{"text": "good", "id": 1}',
        '{"text": "bad"',
        '{"txt": "no"}',
        '{"text": 5}',
        '{"text": null}',
        '{"text": " "}',
        '["text"]',
        "",
        '{"text": "half \\ud83d"}',
        '{"text": "' + "[" * 10 + '", "deep": ' + "[" * 50_000 + "}",
        '{"text": "n", "big": ' + "9" * 5000 + "}",
        "NaN",
        '{"text": "caf\\u00e9"}',
    ]
    found = read("\n".join(lines), kind="jsonl")
    assert [one for one in found if isinstance(one, Text)] == [(1, "good"), (13, "café")]
    reasons = dict(one for one in found if not isinstance(one, Text))
    assert list(reasons) == list(range(2, 13))
    assert reasons[2].startswith("no JSON: Expecting ',' delimiter at its character")
    assert reasons[3] == "there is no 'text', only 'txt'"
    assert reasons[4] == "'text' must be a text, got 5 of type int"
    assert reasons[6] == "'text' is empty"
    assert reasons[7] == "no JSON object but list"
    assert reasons[8] == "the line is empty"
    assert reasons[9] == "'text' has half a character (a lone surrogate)"
    assert reasons[10] == "no JSON: nested too deep"
    assert reasons[11].startswith("no JSON: Exceeds the limit")
    assert reasons[12] == "no JSON object but float"


def test_rows_of_a_table_are_told_one_by_one():
    content = 'id\treview\n1\tgood\n2\n3\ta\tb\n\n4\t \n5\t"open\n6\tend\n'
    assert read(content, kind="tsv", column="review") == [
        (2, "good"),
        (3, "1 values, not one for each of id, review (tabs too many or missing)"),
        (4, "3 values, not one for each of id, review (tabs too many or missing)"),
        (5, "the line is empty"),
        (6, "'review' is empty"),
        (7, '"open'),
        (8, "end"),
    ]


def test_an_open_quotation_mark_costs_one_line_of_a_csv():
    rows = "".join(f"row {i},x\n" for i in range(2000))
    found = read(f'text,label\ngood,a\n"open,b\n{rows}', kind="csv")
    assert found[:3] == [(2, "good"), (3, "no CSV: unexpected end of data"), (4, "row 0")]
    assert len(found) == 2002
    # Not even one that is read from a pipe without end keeps more than a value's most.
    endless = read_texts(Endless(b'text,label\n"open,b\n', b"row,x\n"), kind="csv")  # pyright: ignore[reportArgumentType]
    first = next(endless)
    assert isinstance(first, LeftOut)
    assert first.line == 2
    assert next(endless) == (3, "row")


class Endless(io.RawIOBase):
    """A stream that begins with something and goes on for ever with something else."""

    def __init__(self, head: bytes, tail: bytes) -> None:
        self.head, self.tail = head, tail * 1000

    def read(self, _=-1):
        given, self.head = self.head, self.tail
        return given


def test_a_line_without_end_is_passed_over_in_little_memory():
    content = b"a\n" + b"x" * (3 * LONGEST) + b"\nb\n" + b'{"text": "' + b"y" * LONGEST + b'"}\n'
    found = list(read_texts(io.BytesIO(content)))
    assert [one if isinstance(one, Text) else one.line for one in found] == [(1, "a"), 2, (3, "b"), 4]
    assert isinstance(found[1], LeftOut)
    assert found[1].reason == f"longer than {LONGEST:,} bytes ({3 * LONGEST:,})"
    assert len(found[1].content) == 80


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        ('{"text": "a"}\n', None, [(1, "a")]),
        ('{ "review": "a" }\n', "review", [(1, "a")]),
        ("id\ttext\n1\ta\n", None, [(2, "a")]),
        ("id\treview\n1\ta\n", "review", [(2, "a")]),
        ('id,"review"\n1,a\n', "review", [(2, "a")]),
        ("review\na\n", "review", [(2, "a")]),
        ("Please text, or call\n", None, [(1, "Please text, or call")]),
        ("text\n", None, [(1, "text")]),
        ("[sic] a film\n", None, [(1, "[sic] a film")]),
        ("{curly}\n", None, [(1, "{curly}")]),
        ("", None, []),
        ("", "review", []),
    ],
)
def test_what_a_pipe_brings_is_told_by_its_first_line(content, column, expected):
    assert read(content, column=column) == expected


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\n1,2\n", {"kind": "csv"}, "without the column asked for: there is no 'text', only 'a', 'b'"),
        ("a,a\n1,2\n", {"kind": "csv"}, "must begin with a line of different column names, got 'a', 'a'"),
        (b"a\xff,b\n1,2\n", {"kind": "csv"}, "has a line of names that cannot be read: line 1: not UTF-8"),
        ("a film\n", {"column": "review"}, "has no column 'review' in its first line, 'a film'"),
        ('[{"text": "a"},\n', {}, "is a list of JSON, which is not read line by line"),
        ('[\n{"text": "a"}\n]', {}, "is a list of JSON, which is not read line by line"),
        ("text\na".encode("utf-32"), {}, "is in UTF-32"),
    ],
)
def test_what_is_no_table_at_all_is_refused(content, options, message):
    with pytest.raises(TableError, match=message):
        read(content, **options)


def test_the_name_of_a_file_says_what_it_is(tmp_path):
    for name, content in {
        "a.txt": '{"text": "a"}\n',
        "a.jsonl": '{"text": "a"}\n',
        "a.CSV": "text\na\n",
        "a.tsv": "text\na\n",
        "a.json": '{"text": "a"}\n',
    }.items():
        (tmp_path / name).write_text(content)
        (one,) = read_texts(tmp_path / name)
        assert isinstance(one, Text)
        assert json.loads(one.text)["text"] == "a" if name == "a.txt" else one.text == "a"
    with pytest.raises(TableError, match="has no column 'b', since every line of it is a text"):
        list(read_texts(tmp_path / "a.txt", column="b"))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "xml"}, ValueError, "kind must be one of text, jsonl, csv, tsv, got 'xml'"),
        ({"kind": "text", "column": "a"}, ValueError, "column must be None where every line is a text"),
        ({"column": 3}, TypeError, "column must be a name, got 3"),
        ({"longest": 0}, ValueError, "longest must be at least 1"),
    ],
)
def test_wrong_arguments_are_told_at_once(options, error, message):
    with pytest.raises(error, match=message):
        read_texts(io.BytesIO(b""), **options)
    with pytest.raises(TypeError, match="source must be a path or an open binary file, got 3"):
        read_texts(3)  # pyright: ignore[reportArgumentType]
