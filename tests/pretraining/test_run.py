"""A run from texts to a checkpoint: complete, repeatable, and the same after a kill."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import companion.data.corpus.prepare as prepare
from companion.models import GPT, T5, GPTConfig, T5Config
from companion.pretraining import load_checkpoint, pretrain
from companion.pretraining.names import CARD, RECORD, SHIPPED
from companion.pretraining.names import LABELS as LABELS_FILE
from companion.pretraining.run import rate_groups
from companion.training import NonFiniteError, RunError
from tests.pretraining import small

TIMES = ("seconds", "cpu_seconds", "tokens_per_second", "loader_share")


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    monkeypatch.setattr(prepare, "rows_of", small.made_up_rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of each objective."""
    home = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setattr(prepare, "rows_of", small.made_up_rows)
    folders = {
        name: pretrain(small.options(name, home / name), show_progress=False) for name in ("causal", "masked", "spans")
    }
    patch.undo()
    return folders


def log_of(folder):
    """The log without what depends on the clock."""
    with (Path(folder) / "run" / "log.csv").open(newline="") as file:
        return [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(file)]


@pytest.mark.parametrize("objective", ["causal", "masked", "spans"])
def test_a_run_leaves_a_whole_checkpoint_that_has_learned(finished, objective):
    folder = finished[objective]
    assert set(SHIPPED) - {path.name for path in folder.iterdir()} == {LABELS_FILE}
    rows = log_of(folder)
    validation = [float(row["validation_loss"]) for row in rows if row["validation_loss"]]
    assert validation[-1] < 0.9 * validation[0]
    model, tokenizer = load_checkpoint(folder)
    assert model.config.vocab_size == tokenizer.vocab_size
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"


@pytest.mark.parametrize("objective", ["causal", "masked", "spans"])
def test_the_same_run_again_gives_the_same_log_and_weights(finished, objective, tmp_path):
    again = pretrain(small.options(objective, tmp_path / objective), show_progress=False)
    assert log_of(again) == log_of(finished[objective])
    assert (again / "model.safetensors").read_bytes() == (finished[objective] / "model.safetensors").read_bytes()
    names = ("tokenizer.json", "evaluation.json")
    for name in names:
        assert (again / name).read_text() == (finished[objective] / name).read_text()


def test_a_killed_run_goes_on_to_the_same_log_and_weights(finished, tmp_path):
    command = [sys.executable, small.__file__, "masked", str(tmp_path / "masked")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    saved = tmp_path / "masked" / "run" / "checkpoints"
    deadline = time.monotonic() + 300
    while not (saved.is_dir() and any(path.name[0] != "." for path in saved.iterdir())):
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "masked" / "model.safetensors").exists()
    done = pretrain(small.options("masked", tmp_path / "masked", resume=True), show_progress=False)
    assert log_of(done) == log_of(finished["masked"])
    assert (done / "model.safetensors").read_bytes() == (finished["masked"] / "model.safetensors").read_bytes()


def test_minutes_become_a_number_of_steps_that_is_recorded(tmp_path):
    folder = pretrain(small.options("causal", tmp_path / "timed", minutes=0.01), show_progress=False)
    record = json.loads((folder / RECORD).read_text())
    assert f"--steps {record['steps']} " in record["command"]
    assert "--minutes" not in record["command"]
    assert log_of(folder)[-1]["step"] == str(record["steps"])


def test_too_few_minutes_say_how_many_are_needed(tmp_path):
    with pytest.raises(ValueError, match=r"minutes must be at least .* one step's time on this machine, got 1e-09"):
        pretrain(small.options("causal", tmp_path / "timed", minutes=1e-9), show_progress=False)


def test_a_folder_with_a_run_is_not_overwritten(finished):
    with pytest.raises(ValueError, match="holds a run already: add --resume"):
        pretrain(small.options("causal", finished["causal"]), show_progress=False)


def test_another_run_cannot_go_on(finished):
    with pytest.raises(RunError, match="not `companion pretrain"):
        pretrain(small.options("causal", finished["causal"], resume=True, seed=7), show_progress=False)
    with pytest.raises(ValueError, match="steps must be those of the run that goes on, 40, got 50"):
        pretrain(small.options("causal", finished["causal"], resume=True, steps=50), show_progress=False)


def test_a_loss_that_is_no_number_stops_the_run_with_its_step_and_batch(tmp_path):
    preset = small.PRESETS["causal"]
    wild = replace(preset, recipe=replace(preset.recipe, optimizer="sgd", lr=1e30, max_norm=None, warmup=0))
    settings = replace(small.options("causal", tmp_path / "wild"), preset=wild)
    with pytest.raises(NonFiniteError, match=r"of step \d+ is (nan|inf|-inf); its batch is in") as caught:
        pretrain(settings, show_progress=False)
    assert caught.value.saved.exists()


def test_documents_of_one_sentence_have_no_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(
        prepare, "rows_of", lambda name: [row for row in small.made_up_rows(name, 2000) if row["text"].count(".") == 1]
    )
    with pytest.raises(ValueError, match="data must hold documents of two or more sentences"):
        pretrain(small.options("masked", tmp_path / "lone"), show_progress=False)


@pytest.mark.parametrize("objective", ["causal", "masked", "spans"])
def test_the_card_says_what_the_files_say(finished, objective):
    folder = finished[objective]
    card = (folder / CARD).read_text()
    evaluation = json.loads((folder / "evaluation.json").read_text())
    for name, value in evaluation["figures"].items():
        assert f"| {name} | {value:,} |" in card
    assert json.loads((folder / RECORD).read_text())["command"] in card


@pytest.mark.parametrize("objective", ["causal", "masked", "spans"])
def test_transformers_reads_the_checkpoint_and_its_tokenizer(finished, objective):
    transformers = pytest.importorskip("transformers")
    model, tokenizer = load_checkpoint(finished[objective])
    theirs = transformers.AutoTokenizer.from_pretrained(finished[objective])
    text = "The old man sees the garden by the sea."
    assert theirs(text, add_special_tokens=False)["input_ids"] == tokenizer.encode(text)
    ids = torch.tensor([tokenizer.encode(text)])
    with torch.no_grad():
        if objective == "spans":
            ours, other = model(ids, ids), model.to_transformers()(input_ids=ids, decoder_input_ids=ids).logits
        elif objective == "masked":
            ours = model.mlm_logits(model(ids))
            other = model.to_transformers()(input_ids=ids).prediction_logits
        else:
            ours, other = model(ids), model.to_transformers()(input_ids=ids).logits
    torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4)


def test_a_t5_of_any_head_size_changes_its_scores_at_the_rate_of_a_model_that_scales_them():
    """A step of its queries is smaller by what others divide the scores by; every parameter has one rate."""
    for d_head, scale in ((None, 0.5), (16, 0.25)):
        model = T5(T5Config(vocab_size=11, d_model=8, n_heads=2, n_layers=1, d_head=d_head))
        slow, usual = rate_groups(model) or ({}, {})
        assert slow["lr_scale"] == scale
        assert "lr_scale" not in usual
        names = {id(weight): name for name, weight in model.named_parameters()}
        assert sorted(names[id(weight)] for weight in slow["params"]) == sorted(
            name for name in names.values() if "query" in name
        )
        assert sorted(map(id, [*slow["params"], *usual["params"]])) == sorted(names)
    assert rate_groups(GPT(GPTConfig(vocab_size=11, max_len=4, d_model=8, n_heads=2, n_layers=1))) is None
