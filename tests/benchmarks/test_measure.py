"""The benchmark's arithmetic and its file: no test here looks at the clock."""

import json
import sys

import pytest

from tests.benchmarks import gpu, measure, run, training
from tests.benchmarks.measure import Benchmark, Result, interleave, markdown, merge, summarise

BENCHMARK = Benchmark(name="a", peer="theirs", target=2.0, prepare=lambda: (int, int))
RESULT = Result(peer="theirs", ratio=3.0, low=2.5, high=3.5, target=2.0)


def test_ratio_is_how_many_times_as_long_the_peer_takes():
    result = summarise(BENCHMARK, [(1.0, 3.0), (2.0, 4.0), (1.0, 7.0)])
    assert (result.ratio, result.target, result.peer) == (3.0, 2.0, "theirs")
    assert result.low <= result.ratio <= result.high
    assert (result.low, result.high) == pytest.approx((2.2, 6.2))


def test_a_slow_minute_that_hits_both_changes_no_ratio():
    calm = summarise(BENCHMARK, [(1.0, 3.0), (1.0, 3.0)])
    assert summarise(BENCHMARK, [(1.0, 3.0), (9.0, 27.0)]) == calm


def test_one_round_has_no_spread():
    result = summarise(BENCHMARK, [(1.0, 2.0)])
    assert result.low == result.ratio == result.high == 2.0


def test_both_run_in_every_round_in_alternating_order(monkeypatch):
    monkeypatch.setattr(measure, "cpu_seconds", lambda function, repeats: function())
    calls, advanced = [], []

    def ours():
        calls.append("ours")
        return 1.0

    def theirs():
        calls.append("theirs")
        return 3.0

    assert interleave(ours, theirs, 3, progress=lambda: advanced.append(True)) == [(1.0, 3.0)] * 3
    warm_up = ["ours", "theirs"]
    assert calls == [*warm_up, "ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert len(advanced) == 3


def test_short_functions_are_repeated_until_the_clock_can_see_them(monkeypatch):
    asked = []
    monkeypatch.setattr(measure, "cpu_seconds", lambda function, repeats: asked.append(repeats) or function())
    interleave(lambda: 0.001, lambda: 1.0, 1)
    assert asked == [1, 1, 50, 1]


def test_table_says_which_targets_are_met():
    short = Result(peer="p", ratio=1.0, low=0.9, high=1.1, target=2.0)
    *_, first, second = markdown({"good": RESULT, "bad": short}).splitlines()
    assert first == "| good | theirs | 3.00 | 2.50 | 3.50 | 2.00 | yes |"
    assert second.endswith("| no |")


def test_merging_keeps_what_was_not_run_and_replaces_what_was(tmp_path):
    path = tmp_path / "_build" / "bench.json"
    merge(path, {"a": RESULT, "b": RESULT})
    merge(path, {"b": Result(peer="other", ratio=1.0, low=1.0, high=1.0, target=1.0)})
    written = json.loads(path.read_text())
    assert set(written) == {"a", "b"}
    assert written["b"]["peer"] == "other"
    assert set(written["a"]) == {"peer", "ratio", "low", "high", "target", "unit"}
    assert [file.name for file in path.parent.iterdir()] == ["bench.json"]


def test_names_are_unique_and_every_target_is_a_draw_or_better():
    names = [benchmark.name for benchmark in run.BENCHMARKS]
    assert len(set(names)) == len(names)
    assert all(benchmark.target >= 0.95 for benchmark in run.BENCHMARKS)


def test_an_unknown_name_is_an_error(capsys):
    assert run.main(["--only", "nonsense"]) == 2
    assert "no benchmark's name contains 'nonsense'" in capsys.readouterr().err


def test_list_shows_the_names_and_runs_nothing(capsys, tmp_path):
    out = tmp_path / "bench.json"
    assert run.main(["--only", "ATTENTION, batch 8", "--list", "--out", str(out)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert not out.exists()


def test_main_measures_prints_and_writes(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(run, "BENCHMARKS", [BENCHMARK])
    out = tmp_path / "bench.json"
    assert run.main(["--quick", "--out", str(out)]) == 0
    assert "| a | theirs |" in capsys.readouterr().out
    assert json.loads(out.read_text())["a"]["target"] == 2.0


def test_memory_is_measured_once_and_as_bytes():
    memory = Benchmark(name="m", peer="p", target=1.0, prepare=lambda: (lambda: 10, lambda: 25), unit=measure.MEMORY)
    result = summarise(memory, measure.run(memory, 11))
    assert (result.ratio, result.low, result.high, result.unit) == (2.5, 2.5, 2.5, measure.MEMORY)


def test_a_benchmark_may_ask_for_fewer_rounds(monkeypatch):
    asked = []
    monkeypatch.setattr(measure, "interleave", lambda ours, theirs, rounds, progress: asked.append(rounds) or [(1, 1)])
    long = Benchmark(name="l", peer="p", target=1.0, prepare=lambda: (int, int), rounds=7)
    for benchmark, rounds in ((long, 11), (long, 3), (BENCHMARK, 11)):
        measure.run(benchmark, rounds)
    assert asked == [7, 3, 11]


def test_training_memory_is_counted_in_processes_of_their_own(monkeypatch):
    asked = []
    run_process = training.subprocess.run

    def tiny(command, **options):
        asked.append(command[2:])
        return run_process([sys.executable, "-c", "print('noise'); print(4096)"], **options)

    monkeypatch.setattr(training.subprocess, "run", tiny)
    mine, other = training.memory("4 layers", "fast", "plain")
    assert (mine(), other()) == (4096, 4096)
    assert asked == [["4 layers", "ours", "fast"], ["4 layers", "theirs", "plain"]]
    assert training.resident("VmRSS") > 2**26  # torch alone takes more


def test_the_gpu_file_runs_and_counts(tmp_path, capsys):
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--tiny", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["name"].split()[0] for row in rows] == ["ours", "transformers", "torch's"]
    assert all(row["tokens_per_second"] > 0 and row["mfu"] is None for row in rows)
    # GPT-2's 124 million weights: about six FLOP for each and token, and a tenth for attention.
    assert gpu.flops_per_token(gpu.CONFIG) == pytest.approx(6 * 124e6 * 1.15, rel=0.02)
