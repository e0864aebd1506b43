"""A run that is killed again and again, also while it saves, ends where the uninterrupted one does, bit by bit."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked")
def test_killed_and_resumed_is_the_same(repository_root, tmp_path):
    command = [sys.executable, "-m", "tests.training.killed", tmp_path]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=repository_root, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    kills = json.loads((tmp_path / "kills.json").read_text())
    assert kills["random"] == 4
    assert kills["saving"] >= 7
    whole = json.loads((tmp_path / "whole" / "result.json").read_text())
    rows = (tmp_path / "whole" / "log.csv").read_text().splitlines()
    for name in ("random", "saving"):
        assert json.loads((tmp_path / name / "result.json").read_text()) == whole
        theirs = (tmp_path / name / "log.csv").read_text().splitlines()
        # What is not a time.
        assert [row.split(",")[:5] + row.split(",")[9:] for row in theirs] == [
            row.split(",")[:5] + row.split(",")[9:] for row in rows
        ]
