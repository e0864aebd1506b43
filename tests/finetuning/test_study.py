"""The study: its file, its resumption, its determinism at a tiny size, and what the stored one holds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import companion.finetuning
from companion.finetuning import bench as benches
from companion.finetuning import load_study, study
from companion.finetuning.bench import Bench, Rows, load_rows, train_rows
from companion.finetuning.results import pack_answers, pack_log_odds, unpack_answers, unpack_log_odds
from companion.models import BERT, BERTConfig
from companion.tokenization import WordPiece
from tests.finetuning.conftest import ANSWERS, TEXTS

N = {"pool": 24, "validation": 8, "test": 12}


def labelled(count: int, start: int) -> list[dict]:
    return [
        {"text": f"{TEXTS[i % 10]} {i}", "label": "1" if ANSWERS[i % 10] == "praise" else "0", "line": i + 1}
        for i in range(start, start + count)
    ]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "bert"
    tokenizer = WordPiece.train(TEXTS, 101, min_count=1, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    config = BERTConfig(vocab_size=tokenizer.vocab_size, max_len=64, d_model=12, n_heads=3, n_layers=2, dropout=0.1)
    BERT(config, torch.Generator().manual_seed(0)).save_pretrained(folder)
    tokenizer.save(folder / "tokenizer.json")
    return folder


@pytest.fixture
def bench(pretrained, monkeypatch) -> Bench:
    # Texts of another kind, in two topics that words tell apart.
    others = [{"text": f"{TEXTS[i % 10]} {i}", "topic": ("film", "joke")[i % 2]} for i in range(16)]
    monkeypatch.setattr(benches, "rows_of", lambda name: others)
    rows = Rows(labelled(N["pool"], 0), labelled(N["validation"], 30), labelled(N["test"], 50))
    return Bench(rows, model=pretrained, masked_model=pretrained, probe_rows=8)


def small_plan() -> list[dict]:
    """List a run of every part and arm, a few steps each."""
    settings = [
        one
        for one in study.plan(seeds=2, counts=(16,))
        if one["seed"] == 0 and one.get("lr", 1e-4) in (1e-4, 3e-4) and one.get("steps", 60) < 500
    ]
    return [one | {"n_labels": 16} | ({"steps": 2} if "steps" in one else {}) for one in settings]


def parts_of(settings: list[dict]) -> set:
    return {one["part"] for one in settings}


def without_time(content: dict) -> dict:
    runs = [
        {"settings": one["settings"], "facts": {k: v for k, v in one["facts"].items() if k != "cpu_seconds"}}
        for one in content["runs"]
    ]
    return content | {"runs": runs}


def test_answers_and_log_odds_come_back():
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 2, 2001)
    assert np.array_equal(unpack_answers(pack_answers(answers), 2001), answers)
    odds = rng.normal(0, 3, 500)
    back = unpack_log_odds(pack_log_odds(odds))
    assert np.abs(back - odds).max() <= 0.05 + 1e-9
    assert unpack_log_odds(pack_log_odds(np.array([99.0, -99.0]))).tolist() == [12.7, -12.7]


def test_the_plan_has_each_run_once_and_the_same_labels_for_every_arm():
    planned = list(study.plan())
    keys = [json.dumps(one, sort_keys=True) for one in planned]
    assert len(set(keys)) == len(keys)
    labels = [(one["arm"], one["n_labels"], one["seed"]) for one in planned if one["part"] == "labels"]
    assert len(labels) == len(set(labels)) == 4 * 7 * 3
    assert parts_of(planned) == {"labels", "rates", "warmup", "decay", "masked"}


def test_few_labels_are_read_more_often_and_many_not_to_the_end():
    assert [study.steps_for(n) for n in (50, 500, 1000, 5000)] == [60, 96, 189, 500]


def test_more_labels_have_the_fewer_ones_among_them_and_a_seed_has_its_own():
    rows = Rows(labelled(100, 0), [], [])
    few, many = train_rows(10, 0, rows), train_rows(40, 0, rows)
    assert many[:10] == few
    assert train_rows(10, 1, rows) != few
    with pytest.raises(ValueError, match="n_labels must be at most the 100 rows of the pool, got 101"):
        train_rows(101, 0, rows)


def test_every_part_and_arm_runs_and_the_file_can_be_loaded(bench, tmp_path):
    planned = small_plan()
    assert parts_of(planned) == {"labels", "rates", "warmup", "decay", "masked"}
    path = tmp_path / "study.json"
    study.go(bench, planned, path)
    loaded = load_study(path)
    assert [run.settings for run in loaded.runs] == planned
    assert loaded.labels.tolist() == [int(row["label"]) for row in bench.rows.test]
    assert loaded.validation_labels.tolist() == [int(row["label"]) for row in bench.rows.validation]
    for run in loaded.select("labels"):
        assert run.predictions.shape == (N["test"],)
        assert run["accuracy"] == pytest.approx((run.predictions == loaded.labels).mean(), abs=1e-4)
        assert run.log_odds.shape == (N["test"],)
        assert run.validation_log_odds.shape == (N["validation"],)
        assert run["cpu_seconds"] >= 0
    for run in (run for part in ("warmup", "decay") for run in loaded.select(part)):
        assert -1 <= run["similarity"] <= 1
        assert 0 <= run["topics"] <= 1
    for run in loaded.select("masked"):
        assert run["before"] > 0
        assert run["after"] > 0
    assert loaded.header["rows"] == N
    assert 0 <= loaded.header["topics_before"] <= 1
    assert {run["arm"] for run in loaded.select("labels", n_labels=16, seed=0)} == set(study.ARMS)


def test_a_study_goes_on_where_it_stopped_and_ends_the_same(bench, pretrained, tmp_path):
    planned = small_plan()
    study.go(bench, planned, tmp_path / "whole.json")
    study.go(bench, planned[:3], tmp_path / "parts.json")
    begun = json.loads((tmp_path / "parts.json").read_text())["runs"]
    asked = []
    again = Bench(bench.rows, model=pretrained, masked_model=pretrained, probe_rows=8)
    study.go(again, planned, tmp_path / "parts.json", lambda missing: asked.extend(missing) or missing)
    assert asked == planned[3:]
    whole, parts = (json.loads((tmp_path / name).read_text()) for name in ("whole.json", "parts.json"))
    assert parts["runs"][:3] == begun
    assert without_time(whole) == without_time(parts)


def test_the_file_is_whole_at_every_moment(bench, tmp_path, monkeypatch):
    path, planned = tmp_path / "study.json", small_plan()[:3]
    real = study.run

    def fails_at_the_third(bench: Bench, settings: dict) -> dict:
        if settings == planned[2]:
            raise KeyboardInterrupt
        return real(bench, settings)

    monkeypatch.setattr(study, "run", fails_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        study.go(bench, planned, path)
    assert [run.settings for run in load_study(path).runs] == planned[:2]
    assert [file.name for file in tmp_path.iterdir()] == ["study.json"]


def test_what_is_planned_no_more_is_left_out(bench, tmp_path):
    path, planned = tmp_path / "study.json", small_plan()[:3]
    study.go(bench, planned, path)
    study.go(bench, planned[1:], path)
    assert len(load_study(path).runs) == 3  # nothing was missing, and nothing was written
    changed = [planned[0] | {"n_labels": 12}, *planned[1:]]
    study.go(bench, changed, path)
    assert [run.settings for run in load_study(path).runs] == changed


def test_a_study_of_other_rows_is_refused(bench, pretrained, tmp_path):
    path, planned = tmp_path / "study.json", small_plan()[:1]
    study.go(bench, planned, path)
    other = Bench(bench.rows._replace(test=labelled(12, 70)), model=pretrained, masked_model=pretrained)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="holds a study of other rows; choose another file with --out"):
        study.go(other, planned, path)
    assert path.read_bytes() == before


def test_a_run_that_diverges_is_a_result_not_a_crash(bench):
    wild = {"part": "decay", "arm": "fine-tuned", "n_labels": 16, "seed": 0, "lr": 1e30, "steps": 5}
    facts = study.run(bench, wild | study.DEFAULTS | {"warmup": 0.0})
    assert facts["accuracy"] is None
    assert facts["topics"] is None


def test_random_weights_differ_with_the_seed_and_the_pretrained_ones_stay(bench):
    settings = {"part": "labels", "arm": "fine-tuned", "n_labels": 16, "seed": 1, "lr": 1e-3, "steps": 2}
    before = {name: values.clone() for name, values in bench.body("pretrained")[0].state_dict().items()}
    tuned = study.fine_tune(bench, settings | study.DEFAULTS)
    for name, values in bench.body("pretrained")[0].state_dict().items():
        assert torch.equal(values, before[name])
    drawn = study.fine_tune(bench, settings | study.DEFAULTS | {"arm": "random"})
    assert tuned is not None
    assert drawn is not None
    name = "token_embedding.weight"
    assert (tuned.body.state_dict()[name].cpu() - before[name]).abs().max() < 0.01
    assert (drawn.body.state_dict()[name].cpu() - before[name]).abs().max() > 0.01


@pytest.mark.parametrize(
    ("content", "message"), [("{}", "path must hold a study"), ("[1]", "path must hold a study"), ("{", "must hold")]
)
def test_a_file_that_is_no_study_is_named(content, message, tmp_path):
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_study(tmp_path / "study.json")


def test_a_part_or_setting_that_is_not_there_is_named():
    stored = load_study()
    with pytest.raises(ValueError, match=r"part must be one of .*labels.*, got 'label'"):
        stored.select("label")
    with pytest.raises(ValueError, match=r"settings must be of part, arm, n_labels, seed.*got size"):
        stored.select("labels", size=50)


def test_the_stored_study_is_whole_small_and_in_the_package():
    stored = load_study()
    assert [run.settings for run in stored.runs] == list(study.plan())
    assert len(stored.labels) == benches.N_TEST
    assert 0.4 < stored.labels.mean() < 0.6
    assert (Path(companion.finetuning.__file__).with_name("study.json")).stat().st_size < 400_000
    for run in stored.select("labels"):
        assert run["accuracy"] == pytest.approx((run.predictions == stored.labels).mean(), abs=1e-4)
    for run in stored.select("labels", seed=0):
        # What rounds to even odds may be on either side.
        agrees = ((run.log_odds > 0) == run.predictions) | (run.log_odds == 0)
        assert agrees.all()


@pytest.mark.data
def test_the_stored_study_s_rows_can_be_found_again():
    stored, rows = load_study(), load_rows()
    assert [int(row["label"]) for row in rows.test] == stored.labels.tolist()
    assert [int(row["label"]) for row in rows.validation] == stored.validation_labels.tolist()
    texts = [row["text"] for part in rows for row in part]
    assert len(set(texts)) == len(texts)


@pytest.mark.data
def test_two_runs_without_a_model_are_as_stored():
    stored = load_study()
    bench = Bench(load_rows())
    for run in stored.select("labels", arm="tfidf", n_labels=500)[:2]:
        assert study.run(bench, run.settings)["accuracy"] == pytest.approx(run["accuracy"], abs=0.002)


@pytest.mark.data
def test_the_command_finishes_a_study_that_is_whole_without_a_run(tmp_path, monkeypatch):
    path = tmp_path / "study.json"
    shutil.copy(Path(companion.finetuning.__file__).with_name("study.json"), path)
    monkeypatch.setattr("sys.argv", ["study", "--out", str(path)])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(study, "run", lambda *_: pytest.fail("nothing was missing"))
    before = path.read_bytes()
    study.main()
    assert path.read_bytes() == before
