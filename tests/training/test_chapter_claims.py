"""What book/training.md says in prose or in a solution, and no cell of it computes."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from statistics import fmean

import pytest
import torch
from torch import nn

from companion.pretraining import sweeps


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "training.md").read_text("utf8")


@pytest.fixture(scope="module")
def stored(repository_root):
    return json.loads((repository_root / "companion" / "pretraining" / "sweeps.json").read_text("utf8"))


def runs(stored, *names, **settings):
    chosen = [run for run in stored["runs"] if run["sweep"] in names and settings.items() <= run["settings"].items()]
    assert chosen
    return chosen


def bits(stored, *names, what="bits", **settings):
    return fmean(run[what] for run in runs(stored, *names, **settings))


def test_the_stored_results_are_those_of_the_command_that_is_named(stored, chapter):
    assert stored["command"] == "python -m companion.pretraining.sweeps"
    assert f"`{stored['command']}` did it once" in chapter
    planned = [(sweep, {**sweeps.DEFAULTS, **changes}) for sweep, changes in sweeps.sweeps()]
    assert [(run["sweep"], run["settings"]) for run in stored["runs"]] == planned
    assert stored["model"] == sweeps.SIZES
    assert (stored["steps"], stored["length"], stored["prompt"]) == (sweeps.STEPS, sweeps.LENGTH, sweeps.PROMPT)
    assert all(run["bits"] is not None for run in stored["runs"])  # "Nothing diverges"


def test_the_method_is_described_as_it_is(chapter):
    assert sweeps.ROWS * sweeps.STEPS == 2400
    assert "2,400 rows of 128 tokens, in 300 steps of 8 rows" in chapter
    assert "two blocks of 64 features, a peak rate of 0.01, 30 steps of warm-up and a cosine to zero" in chapter
    assert sweeps.SIZES == {"d_model": 64, "n_heads": 4, "n_layers": 2}
    expected = {"rows": 8, "lr": 1e-2, "warmup": 30, "schedule": "cosine", "optimizer": "adamw"}
    assert expected.items() <= sweeps.DEFAULTS.items()


def test_all_runs_take_about_as_long_as_the_text_says(stored):
    minutes = sum(run["cpu_seconds"] for run in stored["runs"]) / 60
    assert 5 < minutes < 15  # "ten minutes of one core"


def test_the_arms_of_adamws_u_are_as_high_as_the_text_says(stored):
    def loss(factor):
        return bits(stored, "rates", optimizer="adamw", lr=factor) - bits(stored, "rates", optimizer="adamw", lr=1e-2)

    assert [round(loss(lr), 1) for lr in (3e-3, 3e-2, 1e-1, 3e-4)] == [0.0, 0.3, 0.8, 1.1]


def test_seeds_fall_out_before_the_mean_rises(stored):
    def apart(lr):
        found = [run["bits"] for run in runs(stored, "rates", optimizer="adamw", lr=lr)]
        return max(found) - min(found)

    assert apart(3e-3) < 0.03
    assert [round(apart(lr), 1) for lr in (1e-2, 3e-2)] == [0.1, 0.2]


def test_muon_is_deeper_and_wider_and_sgd_stays_behind(stored):
    best = {
        name: min(bits(stored, "rates", optimizer=name, lr=lr) for lr in rates) for name, rates in sweeps.RATES.items()
    }
    assert round(best["adamw"] - best["muon"], 1) == 0.1
    wide = [bits(stored, "rates", optimizer="muon", lr=lr) for lr in (1e-2, 3e-2, 1e-1)]
    assert round(max(wide) - min(wide), 1) == 0.1
    assert round(best["sgd"] - best["adamw"], 1) == 0.7


def test_small_batches_learn_more_and_cost_more(stored):
    def best(rows):
        found = runs(stored, "batches", "rates", rows=rows, optimizer="adamw")
        rates = {run["settings"]["lr"] for run in found}
        return min((fmean(r["bits"] for r in found if r["settings"]["lr"] == lr), lr) for lr in rates)

    assert best(2)[1] == 3e-3
    assert best(8)[1] == best(32)[1] == 1e-2
    assert best(2) < best(8) < best(32)
    both = {rows: runs(stored, "batches", "rates", rows=rows, optimizer="adamw") for rows in (2, 8)}
    seconds = {rows: fmean(run["cpu_seconds"] for run in found) for rows, found in both.items()}
    assert 1.5 < seconds[2] / seconds[8] < 2.2  # "nearly twice the time"


def test_without_warm_up_the_same_peak_costs_as_much_as_the_text_says(stored):
    without, some = bits(stored, "warmups", warmup=0, lr=1e-2), bits(stored, "rates", optimizer="adamw", lr=1e-2)
    long = bits(stored, "warmups", warmup=100, lr=1e-2)
    assert [round(without - some, 1), round(without - long, 1)] == [0.2, 0.3]
    assert bits(stored, "clipping", lr=1e-2) > without


def test_the_falls_and_the_average_do_what_the_text_says(stored):
    def ends(schedule, what="bits"):
        return [run[what] for run in runs(stored, "schedules", schedule=schedule)]

    def lower(schedule):
        return [a < b for a, b in zip(ends(schedule), ends("constant"), strict=True)]

    assert all(lower("wsd"))
    assert all(lower("linear"))
    assert sum(lower("cosine")) == 1
    best = min(fmean(ends(name)) for name in ("wsd", "linear", "cosine"))
    assert abs(fmean(ends("constant", "average_bits")) - best) < 0.01
    for name in ("wsd", "linear", "cosine"):
        assert fmean(ends(name, "average_bits")) > fmean(ends(name)) - 0.01
    stay, constant = (runs(stored, "schedules", schedule=name, seed=0)[0]["curve"] for name in ("wsd", "constant"))
    assert stay[:16] == constant[:16]  # the same run until its last fifth


def test_the_batch_and_the_warm_up_are_worth_as_much_as_the_summary_says(stored):
    best = {
        rows: min(bits(stored, "batches", "rates", rows=rows, optimizer="adamw", lr=lr) for lr in (3e-3, 1e-2))
        for rows in (2, 32)
    }
    assert round(best[32] - best[2], 1) == 0.3


def test_a_velocity_grows_and_cancels_as_the_solution_says():
    same = alternating = 0.0
    for step in range(200):
        same, alternating = 0.9 * same + 1, 0.9 * alternating + (-1) ** step
    assert same == pytest.approx(10)
    assert round(abs(alternating), 2) == 0.53


def test_the_first_step_of_adam_without_correction_is_as_long_as_the_solution_says():
    assert round(0.1 / math.sqrt(0.001), 1) == 3.2


def test_a_leash_changes_sgd_and_not_adamw():
    ends = {}
    for make in (torch.optim.SGD, torch.optim.AdamW):
        for factor in (1.0, 0.1):
            weight = nn.Parameter(torch.ones(4, dtype=torch.float64))
            optimizer = make([weight], lr=0.1)
            for step in range(5):
                weight.grad = factor * torch.linspace(1, 2, 4, dtype=torch.float64) * (1 + step)
                optimizer.step()
            ends[make, factor] = weight.detach()
    torch.testing.assert_close(ends[torch.optim.AdamW, 1.0], ends[torch.optim.AdamW, 0.1], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(ends[torch.optim.SGD, 1.0], ends[torch.optim.SGD, 0.1])


def test_a_mean_of_means_is_what_the_solution_says():
    assert (8 + 99 * 2) / 100 == 2.06
    assert (8 + 2) / 2 == 5


def test_steps_of_half_the_size_never_move_a_bfloat16_three():
    weight = torch.tensor(3.0, dtype=torch.bfloat16)
    assert weight + 2.0**-7 == weight
    assert weight + 1.01 * 2.0**-7 > weight
    assert round(2.0**-7, 4) == 0.0078
    for _ in range(1000):
        weight = weight + 2.0**-8
    assert weight == 3


@pytest.mark.parametrize(("length", "percent"), [(128, "5.7"), (1024, "5.1")])
def test_as_many_labels_are_missing_as_the_solution_says(length, percent, chapter):
    from companion.exercises import get

    lengths = torch.randint(1, 40, (40_000,), generator=torch.Generator().manual_seed(0))  # 20 on average
    documents = [[1] * length for length in lengths.tolist()]
    _, _, labels = get("pack_documents").reference(documents, length)
    assert 100 * (labels == -100).double().mean().item() == pytest.approx(float(percent), abs=0.07)
    assert percent in re.search(r"solution\} training-labels.*?```", chapter, re.DOTALL)[0]


def test_the_warm_up_of_500_steps_is_a_twentieth_of_imdbs(chapter):
    assert 3 * math.ceil(25_000 / 8) == 9375
    assert round(9375 / 500) == 19  # "a twentieth", nearly
    assert "a warm-up of a twentieth" in chapter


RUN = """
import sys, torch
from companion.pretraining import sweeps
from companion.training import Trainer, TrainerConfig

def batches(step):
    draw = torch.Generator().manual_seed(step)
    ids = torch.randint(sweeps.VOCAB_SIZE, (6, 16), generator=draw)
    lengths = torch.randint(3, 17, (6, 1), generator=draw)
    return {"input_ids": ids, "document_ids": torch.where(torch.arange(16) < lengths, 0, -1)}

config = TrainerConfig(steps=3, lr=1e-2, warmup=1)
Trainer(sweeps.new_model(0), sweeps.next_token_loss, batches, config, folder=sys.argv[1]).run()
"""


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(tmp_path):
    """The text's "two processes give the losses of one; a test runs them", on batches whose rows differ in length."""
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1"]
    launch += ["--main_process_port=0", "--mixed_precision=no", "--dynamo_backend=no"]
    environment = {**os.environ, "COMPANION_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    losses = []
    for name, before in (("one", []), ("two", launch)):
        command = [sys.executable, *before, str(script), str(tmp_path / name)]
        subprocess.run(command, check=True, env=environment, capture_output=True, timeout=540)
        with (tmp_path / name / "log.csv").open(encoding="utf-8", newline="") as log:
            losses.append([float(row["loss"]) for row in csv.DictReader(log) if row["loss"]])
    assert len(losses[0]) == 3
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.data
@pytest.mark.slow
def test_the_command_repeats_itself_and_measures_on_the_same_texts(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(sweeps, "STEPS", 8)
    texts = sweeps.load_texts(tmp_path)
    assert round(texts.characters_per_token, 3) == stored["characters_per_token"]
    first, second = (sweeps.rounded(sweeps.run(texts, ema=0.5, rows=4, warmup=2)) for _ in range(2))
    assert {**first, "cpu_seconds": 0} == {**second, "cpu_seconds": 0}
    assert first.keys() | {"sweep", "settings"} == stored["runs"][0].keys()
    assert len(first["curve"]) == 16
    assert first["bits"] < 4.5
