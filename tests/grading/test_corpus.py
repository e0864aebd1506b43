"""Honest and hostile submissions of the attention lab: each gets its due, and none touches another."""

import csv
import json
import time

import pytest
from corpus import NAMES, NO_CAUSAL_MASK, RIGHT, causal, dump

from companion.grading.batch import grade_all

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(1800)]


def results_of(batch):
    return {name: json.loads((batch.out / f"{name}.json").read_text()) for name in batch.corpus}


def scores_of(result):
    return tuple(each["score"] for each in result["exercises"] if not each["manual"])


def test_every_submission_gets_exactly_its_score(batch):
    got = {name: scores_of(result) for name, result in results_of(batch).items()}
    assert got == {name: submission.scores for name, submission in batch.corpus.items()}
    assert batch.finished
    assert sum(submission.hostile for submission in batch.corpus.values()) >= 30


def test_the_feedback_names_what_is_wrong(batch):
    for name, result in results_of(batch).items():
        feedback = {each["name"]: each["feedback"] for each in result["exercises"]}
        for exercise, phrase in batch.corpus[name].says.items():
            assert phrase in feedback[exercise], (name, exercise, feedback[exercise])


def test_one_process_that_takes_20_gb_is_stopped_by_its_memory(sandbox, lab, options, tmp_path):
    """On its own, and with time: to fill 2 GB anew may take a busy machine longer than a call of the corpus may."""
    hog = causal(inside="x = []\nwhile True:\n    x.append(bytearray(b'x') * (64 << 20))")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "hog.ipynb").write_bytes(dump(lab.solved(causal_mask=hog)))
    assert grade_all(options(tmp_path / "in", tmp_path / "out", timeout=30.0))
    result = json.loads((tmp_path / "out" / "hog.json").read_text())
    assert scores_of(result) == NO_CAUSAL_MASK
    assert "MB of memory" in next(each["feedback"] for each in result["exercises"] if each["name"] == "causal_mask")


def test_an_open_question_has_no_score_yet(batch):
    for result in results_of(batch).values():
        by_hand = [each for each in result["exercises"] if each["manual"]]
        assert [(each["score"], each["points"]) for each in by_hand] == [(None, 6)]
        assert result["manual_points"] == 6


def test_neighbours_are_byte_identical_without_the_hostile_ones(batch, options, tmp_path):
    honest = [name for name, submission in batch.corpus.items() if not submission.hostile]
    submissions = tmp_path / "submissions"
    submissions.mkdir()
    for name in honest:
        (submissions / f"{name}.ipynb").write_bytes(batch.corpus[name].data)
    assert grade_all(options(submissions, tmp_path / "out", jobs=1))
    for name in honest:
        assert (tmp_path / "out" / f"{name}.json").read_bytes() == (batch.out / f"{name}.json").read_bytes()


def test_nothing_runs_on_after_the_batch(batch):
    assert batch.still_running == []


def test_a_second_run_grades_nothing_and_takes_seconds(batch, options):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in batch.out.glob("*.json")}
    grades = (batch.out / "grades.csv").read_bytes()
    log = (batch.out / "log.jsonl").read_bytes()
    began = time.process_time()
    assert grade_all(options(batch.submissions, batch.out))
    assert time.process_time() - began < 5
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    assert (batch.out / "grades.csv").read_bytes() == grades
    assert (batch.out / "log.jsonl").read_bytes() == log


def test_the_gradebook_holds_every_student_and_adds_up(batch):
    with (batch.out / "grades.csv").open(newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(batch.corpus)
    for name, submission in batch.corpus.items():
        assert tuple(int(rows[name][exercise]) for exercise in NAMES) == submission.scores
        assert int(rows[name]["total"]) == sum(submission.scores)
    assert rows["right"]["total"] == str(sum(RIGHT))
    assert rows["right"]["max"] == "25"
    assert rows["right"]["manual_pending"] == "6"
    assert "empty" in rows["zero bytes"]["note"]


def test_the_secret_is_written_nowhere(batch, seed_file):
    from companion.grading.secret import read_secret

    secret, _ = read_secret(seed_file)
    hidden = [secret.value, *(str(secret.seed("attention", name)).encode() for name in NAMES)]
    for path in batch.out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(each in content for each in hidden), path


def test_each_student_gets_a_page_of_feedback(batch):
    pages = {path.stem: path.read_text() for path in (batch.out / "feedback").iterdir()}
    assert set(pages) == set(batch.corpus)
    assert "Scaled dot-product attention: 4 of 4" in pages["right"]
    assert "not implemented yet" in pages["empty"]
