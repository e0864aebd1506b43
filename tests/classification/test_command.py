"""`companion classify` as a user runs it: input of any size, bad lines told, nothing lost and nothing kept."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from companion.cli import app
from companion.finetuning import FineTuned, Pairs

COMMAND = [sys.executable, "-m", "companion", "classify", "--model"]
BAD = b'{"text": "a warm film"}\n{"text": "a dull\n{"review": "x"}\n\n{"text": ""}\n\xff\n{"text": "a fine plot"}\n'


def run(folder, *arguments, stdin=b""):
    result = CliRunner().invoke(app, ["classify", "--model", str(folder), *map(str, arguments)], input=stdin)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_lines_of_stdin_are_labelled_in_their_order(random_folder):
    code, records, told = run(random_folder, stdin="a warm film\r\na dull plot\n猫\n".encode())
    assert code == 0
    assert [list(one) for one in records] == [["line", "label", "probability"]] * 3
    assert [one["line"] for one in records] == [1, 2, 3]
    assert all(one["label"] in ("blame", "praise") and 0.5 <= one["probability"] <= 1 for one in records)
    assert told == "3 texts classified, 0 lines that hold none\n"


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_a_bad_line_is_told_stands_in_the_output_and_the_next_one_is_read(batch_size, random_folder):
    code, records, told = run(random_folder, "--batch-size", batch_size, stdin=BAD)
    assert code == 3
    assert [one["line"] for one in records] == [1, 2, 3, 4, 5, 6, 7]
    assert [("label" in one, "error" in one) for one in records] == [
        (i in (1, 7), i not in (1, 7)) for i in range(1, 8)
    ]
    reasons = ["no JSON: ", "there is no 'text', only 'review'", "the line is empty", "'text' is empty", "not UTF-8 ("]
    for line, reason, message in zip(range(2, 7), reasons, told.splitlines(), strict=False):
        assert records[line - 1]["error"].startswith(reason)
        assert message.startswith(f"stdin: line {line}: {reason}")
    assert told.endswith("2 texts classified, 5 lines that hold none\n")


def test_files_of_all_kinds_go_one_after_the_other(random_folder, tmp_path):
    (tmp_path / "a.csv").write_text('id,review\n1,"two\nlines"\n2,one\n')
    (tmp_path / "b.tsv").write_text("id\treview\n1\tone\n")
    (tmp_path / "c.jsonl").write_text('{"review": "one"}\n')
    (tmp_path / "d.csv").write_text("id,text\n1,one\n2,two\n")
    (tmp_path / "e.csv").write_text("id,review\n1,one\n")
    names = [tmp_path / f"{name}" for name in ("a.csv", "b.tsv", "c.jsonl", "d.csv", "e.csv")]
    code, records, told = run(random_folder, *names, "--column", "review", "--out", tmp_path / "out.jsonl")
    assert (code, records) == (3, [])
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf8").splitlines()]
    places = [(one["file"], one["line"], "label" in one) for one in found]
    a, b, c, d, e = map(str, names)
    assert places == [(a, 2, True), (a, 4, True), (b, 2, True), (c, 1, True), (d, 1, False), (e, 2, True)]
    assert "nothing of the file is read: it has a table without the column asked for: there is no 'review'" in told
    assert not list(tmp_path.glob("*.part"))


def test_texts_on_the_command_line_and_all_probabilities(random_folder):
    code, records, told = run(random_folder, "--text", "a warm film", "--text", "x", "--probabilities")
    assert (code, told, [one["line"] for one in records]) == (0, "", [1, 2])
    for one in records:
        assert list(one["probabilities"]) == ["blame", "praise"]
        assert sum(one["probabilities"].values()) == pytest.approx(1, abs=2e-6)
        assert one["probability"] == max(one["probabilities"].values())
    assert run(random_folder, "--text", " ", "--text", "x")[0] == 3


def test_a_dash_is_stdin_among_files(random_folder, tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    _, records, _ = run(random_folder, tmp_path / "a.txt", "-", stdin=b"two\n")
    assert [one["file"] for one in records] == [str(tmp_path / "a.txt"), "stdin"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/nowhere.txt"], "FILE must be a file, got {folder}/nowhere.txt, nothing"),
        (["{folder}"], "FILE must be a file, got {folder}, a folder"),
        (["{folder}/a.txt", "--out", "{folder}/a.txt"], "--out must be another file than those that are read"),
        (["{folder}/a.txt", "--column", "x"], "--column is for tables"),
        (["{folder}/a.txt", "--text", "x"], "--text stands in place of files"),
        (["{folder}/a.txt", "--format", "xml"], "kind must be one of text, jsonl, csv, tsv, got 'xml'"),
        (["--model", "{folder}/nowhere"], "folder must be one that `companion finetune` wrote"),
        (["--model", "tiny-bert"], "tiny-bert is a pretrained model that knows no labels yet: fine-tune it first"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, message, random_folder, tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    code, records, told = run(random_folder, *[one.format(folder=tmp_path) for one in arguments])
    assert (code, records) == (1, [])
    assert told.startswith("error: " + message.format(folder=tmp_path))
    assert told.count("\n") == 1
    assert (tmp_path / "a.txt").read_text() == "one\n"


def test_a_model_for_another_task_is_refused(random_folder, tmp_path):
    tuned = FineTuned.load(random_folder)
    pairs = Pairs()
    pairs.labels = tuned.task.labels
    FineTuned(pairs, tuned.model, tuned.inputs).save(tmp_path)
    code, _, told = run(tmp_path, "--text", "a")
    assert code == 1
    assert "this one is for pairs" in told


def test_what_is_no_file_is_written_to_and_not_replaced(random_folder):
    before = Path("/dev/null").stat()
    assert run(random_folder, "--out", "/dev/null", stdin=b"one\n")[0] == 0
    assert Path("/dev/null").stat().st_rdev == before.st_rdev


def test_an_answer_comes_before_the_input_ends_and_a_stop_is_told(random_folder, tmp_path):
    out = tmp_path / "out.jsonl"
    process = subprocess.Popen(
        [*COMMAND, random_folder, "--batch-size", "1", "--out", out],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell has what it runs in the background ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdin is not None
    process.stdin.write(b"one\ntwo\n")
    process.stdin.flush()
    part = tmp_path / "out.jsonl.part"
    deadline = time.monotonic() + 400
    while not (part.exists() and part.read_bytes().count(b"\n") == 2):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=240)
    assert process.returncode == 130
    assert (
        told.decode().splitlines()[-1]
        == f"stopped: 2 texts classified, 0 lines that hold none until then, and are in {part}"
    )
    assert not out.exists()


def test_a_reader_that_goes_away_is_no_error_worth_a_traceback(random_folder):
    feed = subprocess.Popen(
        [sys.executable, "-c", "for i in range(200_000): print('a warm film', i)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process = subprocess.Popen(
        [*COMMAND, random_folder], stdin=feed.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["line"] == 1
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    process.wait(240)
    feed.kill()
    feed.wait()
    assert told == b""
    assert process.returncode == 1


def test_a_person_at_a_terminal_sees_how_far_it_is(random_folder, tmp_path):
    (tmp_path / "a.txt").write_text("one\n\n" + "two\n" * 400)
    seen, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, random_folder, tmp_path / "a.txt", "--out", tmp_path / "out"],
        stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(terminal)
    told = b""
    try:
        while more := os.read(seen, 4096):
            told += more
    except OSError:  # what the last one to close a terminal leaves
        pass
    assert process.wait(240) == 3
    assert b"a.txt: line 2: the line is empty" in told
    assert "━".encode() in told
    assert b"401 texts classified, 1 lines that hold none" in told


def peak(arguments, write):
    """Return the exit code and the most memory that a run ever had, in MiB."""
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    write(process.stdin)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(random_folder, tmp_path):
    long = b"a warm film and a dull plot " * 8000  # 224 kB
    sizes = []

    def write_much(stream):
        for i in range(360):
            sizes.append(stream.write(long + b"\n" if i % 2 else b'{"text": "' + long + b'"}\n'))
        for _ in range(120):  # one line
            sizes.append(stream.write(b"x" * 1_000_000))
        sizes.append(stream.write(b"\nlast\n"))

    arguments = [*map(str, [*COMMAND, random_folder]), "--format", "text", "--out"]
    small_code, small = peak([*arguments, str(tmp_path / "a")], lambda stream: stream.write((long + b"\n") * 40))
    large_code, large = peak([*arguments, str(tmp_path / "b")], write_much)
    assert sum(sizes) > 200_000_000
    assert (small_code, large_code) == (0, 3)
    records = [json.loads(line) for line in (tmp_path / "b").read_text("utf8").splitlines()]
    assert [one["line"] for one in records] == list(range(1, 363))
    assert records[360]["error"] == "longer than 1,048,576 bytes (120,000,000)"
    assert large < small + 30, f"{small:.0f} MiB for 9 MB, {large:.0f} MiB for {sum(sizes) / 1e6:.0f} MB"
