"""``companion pretrain``: its errors are one line and exit code 1, and it is as good as the function."""

import json

import pytest
from typer.testing import CliRunner

import companion.data.corpus.prepare as prepare
from companion import cli
from companion.pretraining import presets, run
from tests.pretraining import small


@pytest.fixture(autouse=True)
def small_presets(monkeypatch, tmp_path):
    monkeypatch.setattr(prepare, "rows_of", small.made_up_rows)
    monkeypatch.setattr(presets, "PRESETS", {preset.name: preset for preset in small.PRESETS.values()})
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))


def call(*arguments):
    return CliRunner().invoke(cli.app, ["pretrain", "--plain", *map(str, arguments)])


def test_it_trains_and_says_where_the_card_is(tmp_path):
    result = call("--preset", "small-gpt", "--steps", 6, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip().endswith("README.md")
    assert json.loads((tmp_path / "run" / "pretraining.json").read_text())["steps"] == 6
    again = call("--preset", "small-gpt", "--steps", 6, "--out", tmp_path / "run", "--resume")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "huge"], "preset must be one of small-gpt, small-bert, small-t5, got 'huge'"),
        (["--preset", "small-gpt", "--minutes", "0"], "minutes must be above 0, got 0.0"),
        (["--preset", "small-gpt", "--minutes", "1e-9"], "minutes must be at least"),
        (["--preset", "small-gpt", "--minutes", "1", "--steps", "3"], "give steps or minutes, not both"),
        (["--preset", "small-gpt", "--device", "abacus"], "names no device"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DEVICE", "cpu")
    result = call(*arguments, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "error: " in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    result = call("--preset", "small-gpt", "--steps", 3, "--out", tmp_path / "file" / "run")
    assert result.exit_code == 1
    assert "error: " in result.stderr
    assert "file" in result.stderr


def test_a_folder_with_another_run_is_one_line(tmp_path):
    assert call("--preset", "small-gpt", "--steps", 3, "--out", tmp_path / "run").exit_code == 0
    result = call("--preset", "small-gpt", "--steps", 3, "--out", tmp_path / "run")
    assert (result.exit_code, "add --resume" in result.stderr) == (1, True)
    result = call("--preset", "small-gpt", "--steps", 3, "--seed", 4, "--out", tmp_path / "run", "--resume")
    assert (result.exit_code, "--seed 4" in result.stderr) == (1, True)


def test_a_loss_that_is_no_number_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(run.LOSSES, "causal", lambda model, batch: run_to_nan(model, batch))
    result = call("--preset", "small-gpt", "--steps", 3, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "of step 0 is nan; its batch is in" in result.stderr
    assert list((tmp_path / "run" / "run").glob("batch-of-step-*.safetensors"))


def run_to_nan(model, batch):
    from companion.objectives import Loss
    from companion.pretraining import causal_loss

    loss = causal_loss(model, batch)
    return Loss(loss.total * float("nan"), loss.count)
