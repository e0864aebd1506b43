"""Laws of the commands on exercises."""

import json
import subprocess
import sys

import pytest
import torch
import typer
from typer.testing import CliRunner

from companion.exercises import Mutant, commands, exercises_of
from companion.exercises.mutants import attention as mutants

APP = typer.Typer()
APP.command()(commands.exercises)
APP.command()(commands.mutants)


def invoke(*arguments):
    return CliRunner().invoke(APP, arguments, env={"COLUMNS": "200"})


def test_the_list_names_every_exercise_with_its_points():
    result = invoke("exercises")
    assert result.exit_code == 0
    for exercise in exercises_of("attention"):
        assert exercise.name in result.stdout
    assert "6 by hand" in result.stdout


@pytest.mark.parametrize("command", ["exercises", "mutants"])
def test_an_unknown_lab_is_refused(command):
    result = invoke(command, "atention")
    assert result.exit_code == 2
    assert "is no lab" in result.output


def test_all_wrong_answers_are_caught_and_counted(tmp_path):
    out = tmp_path / "deep" / "mutants.json"
    result = invoke("mutants", "attention", "--seeds", "1", "--out", str(out))
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert set(report["attention"]) == {exercise.name for exercise in exercises_of("attention") if not exercise.manual}
    for counts in report["attention"].values():
        assert counts["mutants"] == counts["caught"] >= 8
        assert counts["known"] == counts["named"] > 0
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("escaped", "words"),
    [
        (Mutant("right", torch.softmax), "softmax, right: not caught"),
        (Mutant("vague", lambda x, dim: x, "a phrase"), "softmax, vague: not named 'a phrase' but: "),
    ],
)
def test_a_wrong_answer_that_escapes_fails_the_command(escaped, words, tmp_path, monkeypatch):
    monkeypatch.setitem(mutants.MUTANTS, "softmax", (escaped,))
    result = invoke("mutants", "attention", "--seeds", "1", "--out", str(tmp_path / "mutants.json"))
    assert result.exit_code == 1
    assert words in result.output
    assert (tmp_path / "mutants.json").is_file()


def test_importing_the_commands_loads_no_torch():
    script = "import sys, companion.exercises.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_public_name_can_be_imported():
    import companion.exercises

    for name in companion.exercises.__all__:
        assert getattr(companion.exercises, name) is not None
    assert not hasattr(companion.exercises, "nothing")
