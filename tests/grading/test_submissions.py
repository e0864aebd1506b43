"""Students are told apart by safe names; a secret stays one; marks and tables are kept safe."""

import csv
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.grading import report
from companion.grading.secret import Secret, read_secret
from companion.grading.submissions import find_submissions
from companion.grading.text import clean


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def test_both_layouts_are_found_and_said(tmp_path):
    touch(
        tmp_path,
        "ann.ipynb",
        "张三.ipynb",
        "bob/attention/attention.ipynb",
        "notes.txt",
        ".hidden.ipynb",
        "old/x.ipynb",
    )
    (tmp_path / "cy" / "attention").mkdir(parents=True)
    found = find_submissions(tmp_path, "attention")
    assert list(found.paths) == ["ann", "bob", "cy", "张三"]
    assert found.paths["bob"] == tmp_path / "bob" / "attention" / "attention.ipynb"
    assert found.layout == "2 as <student>.ipynb, 2 as <student>/attention/attention.ipynb"
    assert found.passed_over == ["notes.txt", "old"]


@pytest.mark.parametrize(
    "names", [("ann.ipynb", "Ann.ipynb"), ("é.ipynb", "e\u0301.ipynb"), ("ann.ipynb", "ann/attention/attention.ipynb")]
)
def test_two_submissions_of_one_student_are_refused(names, tmp_path):
    with pytest.raises(ValueError, match="two submissions of one student"):
        find_submissions(touch(tmp_path, *names), "attention")


@pytest.mark.parametrize("name", ["a\nb", "a\u202eb", "a\x1b[31m", " a", "x" * 150, os.fsdecode(b"\xff\xfe")])
def test_a_name_that_could_mislead_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="rename"):
        find_submissions(touch(tmp_path, f"{name}.ipynb"), "attention")


def test_a_folder_behind_a_link_is_passed_over(tmp_path):
    touch(tmp_path / "elsewhere", "attention/attention.ipynb")
    inbox = touch(tmp_path / "in", "ann.ipynb")
    (inbox / "bob").symlink_to(tmp_path / "elsewhere")
    assert find_submissions(inbox, "attention").passed_over == ["bob"]


def test_nothing_to_grade_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nothing to grade"):
        find_submissions(tmp_path, "attention")


def secret_file(tmp_path, data, mode=0o600):
    path = tmp_path / "seed"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_secret_gives_each_exercise_its_own_seed_and_never_shows(tmp_path):
    secret, warning = read_secret(secret_file(tmp_path, b"\xff\xfe secret\n"))
    assert warning is None
    assert "xff" not in repr(secret)
    seeds = {secret.seed(lab, name) for lab in ("attention", "models") for name in ("softmax", "causal_mask")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert secret.seed("attention", "softmax") == Secret(b"\xff\xfe secret").seed("attention", "softmax")
    assert secret.fingerprint() != Secret(b"another one").fingerprint()


@pytest.mark.parametrize(
    ("data", "message"), [(b"", "0 characters"), (b" 12 345\n 67 ", "7 characters"), (b"x" * 100_000, "larger")]
)
def test_a_secret_that_is_none_is_refused(data, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_secret(secret_file(tmp_path, data))


def test_a_secret_that_others_can_read_is_warned_about(tmp_path):
    _, warning = read_secret(secret_file(tmp_path, b"long enough", 0o644))
    assert warning is not None
    assert "chmod 600" in warning


def test_a_missing_secret_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(FileNotFoundError, match="write a secret"):
            read_secret(path)


@given(text=st.text(max_size=3000))
def test_cleaned_text_is_one_short_printable_line(text):
    shown = clean(text)
    assert len(shown) <= 403
    assert shown.isprintable()
    assert clean(shown[:400]) == shown[:400].strip()


def test_terminal_and_direction_codes_are_removed():
    assert clean("a\x1b[31m\u202eb\r\n\x00c\ud800d") == "a [31m b c d"


@pytest.fixture
def lab(released):
    from companion.grading.lab import load_lab

    return load_lab("attention", released)


def verdict(lab, reason="because"):
    from companion.grading.grade import unread_verdict

    return unread_verdict(lab, reason)


def test_marks_given_by_hand_enter_the_gradebook_and_stay(lab, tmp_path):
    manual, grades = tmp_path / "manual.csv", tmp_path / "grades.csv"
    report.write_marks_to_fill_in(manual, lab, ["ann", "bob"])
    assert manual.read_text().splitlines() == [
        "student,exercise,points,comment",
        "ann,scale_and_length,,",
        "bob,scale_and_length,,",
    ]
    marked = manual.read_text().replace("ann,scale_and_length,,", 'ann,scale_and_length,4.5,"clear, and short"')
    manual.write_text("\ufeff" + marked)
    marks = report.read_marks(manual, lab)
    assert marks == {("ann", "scale_and_length"): (4.5, "clear, and short")}
    report.write_marks_to_fill_in(manual, lab, ["ann", "bob", "cy"])
    assert report.read_marks(manual, lab) == marks
    assert manual.read_text().splitlines()[-1] == "cy,scale_and_length,,"
    report.write_grades(grades, lab, {"ann": verdict(lab), "bob": verdict(lab)}, marks)
    rows = list(csv.DictReader(grades.open()))
    assert [(row["total"], row["manual_pending"], row["scale_and_length"]) for row in rows] == [
        ("4.5", "0", "4.5"),
        ("0", "6", ""),
    ]
    report.write_feedback(tmp_path / "ann.md", lab, "ann", verdict(lab), marks)
    assert "4.5 of 6\n\nclear, and short" in (tmp_path / "ann.md").read_text()


@pytest.mark.parametrize(
    "row", ["ann,scale_and_length,7,", "ann,scale_and_length,-1,", "ann,softmax,2,", "ann,scale_and_length,x,"]
)
def test_marks_out_of_range_are_refused_by_line(row, lab, tmp_path):
    path = tmp_path / "manual.csv"
    path.write_text(f"student,exercise,points,comment\n{row}\n")
    with pytest.raises(ValueError, match="line 2"):
        report.read_marks(path, lab)
    path.write_text(f"student;exercise;points;comment\n{row}\n")
    with pytest.raises(ValueError, match="separated by commas"):
        report.read_marks(path, lab)


@pytest.mark.parametrize("student", ["=1+1", "+1", "-1", "@x", "'x"])
def test_a_spreadsheet_never_sees_a_formula(student, lab, tmp_path):
    report.write_grades(tmp_path / "grades.csv", lab, {student: verdict(lab, "=HYPERLINK(1)")}, {})
    (row,) = csv.DictReader((tmp_path / "grades.csv").open())
    assert row["student"] == f"'{student}"
    assert row["note"].startswith("'=")


def test_a_verdict_is_written_whole_clean_and_always_alike(lab, tmp_path):
    result = verdict(lab, "bad\x1b[0m\u202e text" + "x" * 5000) | {"student": "ann"}
    for name in ("a", "b"):
        report.write_result(tmp_path / name, dict(reversed(result.items())) if name == "b" else result)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "\x1b" not in (tmp_path / "a").read_text()
    assert len((tmp_path / "a").read_text()) < 20_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert report.read_result(tmp_path / "a")["student"] == "ann"
