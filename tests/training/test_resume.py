"""A run that was stopped goes on as if it had not been; what is damaged, full or of another run is named."""

import errno
import json
import random
import shutil
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from companion.objectives import Loss
from companion.training import Mode, RunError, checkpoint
from companion.training.checkpoint import Checkpoints
from tests.training.small import assert_equal, batches, gpt, loss, losses, trainer, weights

CHECKPOINTS = "checkpoints"


def drawing(model, batch):
    """Draw from every generator there is, beside the dropout of the model."""
    found = loss(model, batch)
    noise = random.gauss(0, 1) + np.random.normal() + torch.rand(())  # noqa: NPY002
    return Loss(found.total * (1 + 0.01 * noise), found.count)


def stopping_at(step):
    return [lambda run, record: run.stop() if record.step == step else None]


OPTIONS = {
    "adamw": {"ema": 0.9},
    "fused": {"mode": Mode(is_fused=True), "log_every": 4},
    "sgd": {"optimizer": "sgd", "accumulation": 2},
    "muon": {"optimizer": "muon", "schedule": "wsd", "eval_every": 2, "gradient_checkpointing": True},
}
WHOLE = {}


@pytest.mark.usefixtures("unchecked_annotations")
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(OPTIONS)), step=st.integers(1, 5), save_every=st.none() | st.integers(1, 6))
def test_a_run_that_was_stopped_anywhere_goes_on_as_if_not(name, step, save_every, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    options = {"loss": drawing, "save_every": save_every, "validation": [batches(90)], **OPTIONS[name]}
    if name not in WHOLE:
        whole = trainer(folder=folder / "whole", **options)
        WHOLE[name] = (whole.run(), weights(whole.model), whole)
    expected, expected_weights, whole = WHOLE[name]

    def interrupted(at):
        if at == step - 1:
            first.stop()
        return batches(at)

    first = trainer(folder=folder / "run", batches=interrupted, **options)
    assert first.run().stopped
    second = trainer(gpt(seed=9), folder / "run", **options)
    assert second.resume() == step
    history = second.run()
    assert [(r.step, r.loss, r.lr, r.grad_norm, r.tokens, r.validation) for r in history] == [
        (r.step, r.loss, r.lr, r.grad_norm, r.tokens, r.validation) for r in expected
    ]
    assert_equal(weights(second.model), expected_weights)
    if whole.ema:
        assert_equal(second.ema.averages, whole.ema.averages)


@pytest.fixture
def saved(tmp_path):
    """The folder of a run of 6 steps with checkpoints after 2, 4 and 6."""
    trainer(folder=tmp_path, save_every=2, keep=3).run()
    return tmp_path


def steps_of(folder):
    return sorted(int(path.name.removeprefix("step-")) for path in (folder / CHECKPOINTS).glob("step-*"))


def test_only_the_newest_are_kept(tmp_path):
    trainer(folder=tmp_path, save_every=1, keep=2).run()
    assert steps_of(tmp_path) == [5, 6]
    assert [path.name for path in (tmp_path / CHECKPOINTS).iterdir() if path.name.startswith(".")] == []


def test_a_checkpoint_is_tensors_and_json_and_its_model_can_be_used_alone(saved):
    folder = saved / CHECKPOINTS / "step-00000006"
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}
    model = gpt(seed=9)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    resumed = trainer(gpt(seed=8), saved)
    assert resumed.resume() == 6
    assert_equal(weights(resumed.model), weights(model))
    assert losses(resumed.run()) == losses(trainer().run())


def test_resuming_where_nothing_is_begins(tmp_path):
    run = trainer(folder=tmp_path)
    assert run.resume() == 0
    assert losses(run.run()) == losses(trainer().run())


def test_a_folder_that_holds_a_run_is_not_overwritten(saved):
    with pytest.raises(RunError, match="holds a run already; resume"):
        trainer(folder=saved).run()
    assert steps_of(saved) == [2, 4, 6]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


DAMAGE = {"flipped": flip, "cut": cut, "gone": lambda path: path.unlink(), "empty": lambda path: path.write_bytes(b"")}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "random.safetensors", "run.json"])
def test_a_damaged_checkpoint_is_left_out_for_the_one_before(name, damage, saved):
    damage(saved / CHECKPOINTS / "step-00000006" / name)
    run = trainer(gpt(seed=9), saved, save_every=2, keep=3)
    with pytest.warns(UserWarning, match="step-00000006 is damaged and left out"):
        assert run.resume() == 4
    assert losses(run.run()) == losses(trainer().run())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trainer(None, saved).resume() == 6


def test_when_all_are_damaged_nothing_is_overwritten(saved):
    for step in (2, 4, 6):
        cut(saved / CHECKPOINTS / f"step-{step:08d}" / "model.safetensors")
    with (
        pytest.warns(UserWarning, match="damaged and left out"),
        pytest.raises(RunError, match=r"none of the 3 checkpoints in .* is whole"),
    ):
        trainer(folder=saved).resume()


def test_other_settings_are_refused_by_name(tmp_path):
    trainer(folder=tmp_path, settings={"data": ["a", "b"]}, save_every=2).run()
    with pytest.raises(RunError, match=r"other settings: lr was 0.01 and is 0.5; seed was 0 and is 1. Use the same"):
        trainer(folder=tmp_path, settings={"data": ["a", "b"]}, lr=0.5, seed=1).resume()
    with pytest.raises(RunError, match=r"other settings: data was \['a', 'b'\] and is \['a'\]"):
        trainer(folder=tmp_path, settings={"data": ["a"]}).resume()
    with pytest.raises(RunError, match=r"other settings: data was .* and is None"):
        trainer(folder=tmp_path).resume()
    assert trainer(folder=tmp_path, settings={"data": ["a", "b"]}, accumulation=2, keep=7).resume() == 6


def test_another_model_is_refused(saved):
    with pytest.raises(RunError, match=r"another model \(\d+ differences\): decoder.blocks.1.* is missing"):
        trainer(gpt(n_layers=2), saved).resume()


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("what", ["_push_to_disk", "_checksum", "safetensors.torch.save_file"])
def test_a_full_disk_stops_the_run_and_leaves_the_last_good_one(what, tmp_path, monkeypatch):
    def fill(step):
        if step == 4:
            monkeypatch.setattr(f"companion.training.checkpoint.{what}", full)
        return batches(step)

    message = r"step 6 could not be written.*No space left on device.*needs .* MB; the last good one is .*-00000003"
    with pytest.raises(RunError, match=message):
        trainer(None, tmp_path, batches=fill, save_every=3).run()
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / CHECKPOINTS).iterdir()] == ["step-00000003"]
    run = trainer(gpt(seed=9), tmp_path, save_every=3)
    assert run.resume() == 3
    assert losses(run.run()) == losses(trainer().run())


def test_a_real_limit_on_the_size_of_files(tmp_path):
    resource = pytest.importorskip("resource")
    run = trainer(folder=tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(RunError, match=r"step 0 could not be written.*there is no earlier one. Make room"):
            run.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run.save()
    assert steps_of(tmp_path) == [0]


def test_a_log_that_cannot_grow(tmp_path):
    def replace_log(step):
        (tmp_path / "log.csv").unlink()
        (tmp_path / "log.csv").mkdir()
        return batches(step)

    with pytest.raises(RunError, match=r"the log of step 1 could not be written: .*Make room, then resume"):
        trainer(folder=tmp_path, batches=replace_log).run()


def test_what_a_killed_run_left_is_swept_away(saved):
    shutil.copytree(saved / CHECKPOINTS / "step-00000006", saved / CHECKPOINTS / ".writing-00000008")
    run = trainer(None, saved)
    assert run.resume() == 6
    run.save()
    assert not list((saved / CHECKPOINTS).glob(".*"))


def test_a_log_cut_off_in_its_last_line_goes_on_without_a_gap(saved):
    expected = losses(trainer().run())
    shutil.rmtree(saved / CHECKPOINTS / "step-00000006")
    cut(saved / "log.csv")
    run = trainer(gpt(seed=9), saved)
    assert run.resume() == 4
    assert [record.step for record in run.run()] == [1, 2, 3, 4, 5, 6]
    rows = (saved / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3", "4", "5", "6"]
    assert [float(row.split(",")[1]) for row in rows[1:]] == expected


def test_a_log_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "log.csv").write_text("day,rain\n1,2\n")
    run = trainer(folder=tmp_path)
    run.resume()
    with pytest.raises(RunError, match=r"log.csv is not the log of a run: its columns are day, rain"):
        run.run()
    (tmp_path / "log.csv").unlink()
    trainer(folder=tmp_path, save_every=2).run()
    with (tmp_path / "log.csv").open("a") as file:
        file.write("7,much\n")
    run = trainer(folder=tmp_path)
    run.resume()
    with pytest.raises(RunError, match=r"log.csv has a row that is none of a run's log: 7,much"):
        run.run()


def test_facts_hold_numbers_exactly(tmp_path):
    store = Checkpoints(tmp_path, keep=1)
    facts = {"third": 1 / 3, "name": "词"}
    store.write(3, {"x": {"y": torch.tensor([1 / 3])}}, facts)
    found = store.newest()
    assert (found.step, found.facts["third"], found.facts["name"]) == (3, 1 / 3, "词")
    assert found.load("x")["y"].item() == torch.tensor(1 / 3).item()
    assert json.loads((found.path / checkpoint.FACTS).read_text())["step"] == 3
