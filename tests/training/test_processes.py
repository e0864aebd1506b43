"""Two processes, with copies of the model or shards of it, give the losses of one, on ragged batches."""

import json
import os
import subprocess
import sys

import pytest

from tests.training.launched import OPTIONS, outcome
from tests.training.small import gpt, trainer, weights

LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]


@pytest.fixture(scope="module")
def launched(repository_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("launched")
    command = [sys.executable, *LAUNCH, "-m", "tests.training.launched", folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COMPANION_DEVICE": "cpu"}
    done = subprocess.run(command, cwd=repository_root, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return folder, json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("how", ["copies", "adamw", "muon"])
def test_two_processes_give_the_losses_of_one(how, launched):
    expected = outcome(trainer(gpt(dropout=0.0), optimizer="muon" if how == "muon" else "adamw", **alone()).run())
    found = launched[1][how]
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5)
    assert found["tokens"] == expected["tokens"]
    for ours, theirs in zip(found["validation"], expected["validation"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def alone():
    return {name: value for name, value in OPTIONS.items() if name != "save_every"}


def test_they_ran_as_meant(launched):
    found = launched[1]
    assert "MULTI_CPU" in found["kind"]
    assert found["parts"] == ["DTensor"]
    assert found["resumed"] == OPTIONS["steps"]
    assert found["same"]


@pytest.mark.parametrize("how", ["copies", "adamw", "muon"])
def test_a_checkpoint_of_two_processes_is_one_of_one(how, launched):
    folder = launched[0] / how
    options = OPTIONS | {"optimizer": "muon" if how == "muon" else "adamw"}
    run = trainer(gpt(dropout=0.0, seed=9), folder, **options)
    assert run.resume() == 5
    rest = trainer(gpt(dropout=0.0), **alone(), optimizer=options["optimizer"])
    rest.run()
    for ours, theirs in zip(weights(run.model).values(), weights(rest.model).values(), strict=True):
        assert (ours - theirs).abs().max() < 1e-4
    assert [row.split(",")[0] for row in (folder / "log.csv").read_text().splitlines()[1:]] == list("012345")
