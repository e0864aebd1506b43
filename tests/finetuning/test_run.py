"""`companion finetune` from a table to predictions: every row accounted for, resumed to the same end."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from companion.cli import app
from companion.finetuning import FineTuned, FineTuning, finetune, gather, load_body, make_task
from companion.models import BERT, BERTConfig
from companion.tokenization import WordPiece
from companion.weights import CheckpointError
from tests.finetuning.conftest import ANSWERS, TEXTS


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "bert"
    tokenizer = WordPiece.train(TEXTS, 101, min_count=1)
    config = BERTConfig(vocab_size=tokenizer.vocab_size, max_len=40, d_model=12, n_heads=3, n_layers=2, dropout=0.1)
    BERT(config, torch.Generator().manual_seed(0)).save_pretrained(folder)
    tokenizer.save(folder / "tokenizer.json")
    return folder


@pytest.fixture
def table(tmp_path):
    lines = [f"{ANSWERS[i % 10]}\t{TEXTS[i % 10]} {i}" for i in range(40)]
    lines[7] += "\tanother"  # line 9 of the file
    lines[9] = lines[1]  # line 11 repeats line 3
    path = tmp_path / "reviews.tsv"
    path.write_text("\n".join(["label\ttext", *lines]) + "\n")
    return path


def options(pretrained, table, out, **more):
    return FineTuning(
        **{
            "task": "classification",
            "data": table,
            "model": pretrained,
            "out": out,
            "skips_bad_rows": True,
            "epochs": 2,
            "batch_size": 8,
            "lr": 1e-3,
            "max_len": 30,
        }
        | more
    )


def quiet(_):
    return None


def test_a_run_writes_scores_predictions_and_every_row_that_is_left_out(pretrained, table, tmp_path):
    out = tmp_path / "out"
    said = []
    scores = finetune(options(pretrained, table, out), say=said.append, show_progress=False)
    assert 0 <= scores["test_accuracy_low"] <= scores["test_accuracy"] <= scores["test_accuracy_high"] <= 1
    left_out = [json.loads(line) for line in (out / "left_out.jsonl").read_text("utf8").splitlines()]
    assert [(one["line"], one["reason"][:14]) for one in left_out] == [(9, "3 values, not "), (11, "repeats line 3")]
    assert any("2 rows are not used" in line for line in said)
    predictions = [json.loads(line) for line in (out / "predictions.jsonl").read_text("utf8").splitlines()]
    assert len(predictions) == 4
    right = sum(one["label"] == one["predicted"] for one in predictions) / 4
    assert right == scores["test_accuracy"]
    assert json.loads((out / "metrics.json").read_text())["scores"] == scores
    tuned = FineTuned.load(out / "model")
    again = tuned.predict([{"text": one["text"]} for one in predictions])
    assert [one["predicted"] for one in again] == [one["predicted"] for one in predictions]
    assert tuned.task.labels.names == ["blame", "praise"]
    with pytest.raises(ValueError, match=r"rows\[1\]: there is no 'text', only 'txt'"):
        tuned.predict([{"text": "a"}, {"txt": "b"}])


def test_an_interrupted_run_ends_as_if_it_had_not_been(pretrained, table, tmp_path, monkeypatch):
    from companion.training import Trainer

    whole = finetune(options(pretrained, table, tmp_path / "whole"), say=quiet, show_progress=False)
    advance = Trainer._advance

    def stop_early(trainer):
        advance(trainer)
        if trainer.step == 5:
            trainer.stop("the test asked to")

    monkeypatch.setattr(Trainer, "_advance", stop_early)
    out = tmp_path / "parts"
    assert finetune(options(pretrained, table, out), say=quiet, show_progress=False) is None
    monkeypatch.setattr(Trainer, "_advance", advance)
    with pytest.raises(RuntimeError, match="holds a run already; resume it"):
        finetune(options(pretrained, table, out), say=quiet, show_progress=False)
    with pytest.raises(RuntimeError, match=r"layer_decay was 1\.0 and is 0\.5"):
        finetune(options(pretrained, table, out, layer_decay=0.5), is_resumed=True, say=quiet, show_progress=False)
    said = []
    resumed = finetune(options(pretrained, table, out), is_resumed=True, say=said.append, show_progress=False)
    # The step that was under way when the run was asked to stop is the last one of the first part.
    assert any(line.startswith("going on at step") for line in said)
    assert resumed == whole
    for name in ("predictions.jsonl", "left_out.jsonl"):
        assert (out / name).read_text("utf8") == (tmp_path / "whole" / name).read_text("utf8")


def test_a_killed_run_goes_on_with_resume_and_ends_as_if_it_had_not_been(pretrained, table, tmp_path):
    def arguments(out):
        needed = {"--task": "classification", "--data": table, "--model": pretrained, "--out": out, "--max-len": 30}
        more = {"--epochs": 40, "--batch-size": 4, "--lr": 1e-3}
        return [*[str(part) for pair in (needed | more).items() for part in pair], "--skip-bad-rows"]

    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "companion", "finetune", *arguments(out)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 400
    while not any(int(one.name[-8:]) > 8 for one in (out / "checkpoints").glob("step-*")):  # the one before is whole
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (out / "metrics.json").exists()
    resumed, whole = invoke(*arguments(out), "--resume"), invoke(*arguments(tmp_path / "whole"))
    assert (resumed.exit_code, whole.exit_code) == (0, 0), resumed.output + whole.output
    assert int(re.search(r"going on at step (\d+) of \d+", resumed.output).group(1)) > 0
    for name in ("predictions.jsonl", "left_out.jsonl"):
        assert (out / name).read_text("utf8") == (tmp_path / "whole" / name).read_text("utf8")
    assert len((out / "log.csv").read_text().splitlines()) == len(
        (tmp_path / "whole" / "log.csv").read_text().splitlines()
    )


def test_without_a_folder_the_run_has_one_named_after_data_and_model(pretrained, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    needed = ("--task", "classification", "--data", table, "--model", pretrained)
    done = invoke(*needed, "--skip-bad-rows", "--epochs", 1, "--max-len", 30)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "runs" / "reviews-bert" / "predictions.jsonl").is_file()


def invoke(*arguments):
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)])


def test_the_command_does_it_all(pretrained, table, tmp_path):
    needed = ("--task", "classification", "--data", table, "--model", pretrained, "--out", tmp_path / "out")
    refused = invoke(*needed)
    assert refused.exit_code == 1
    assert "1 rows that cannot be used, beside 39 that can" in refused.output
    assert "line 9: 3 values" in refused.output
    done = invoke(*needed, "--skip-bad-rows", "--epochs", 1, "--frozen", "body", "--balanced", "--max-len", 30)
    assert done.exit_code == 0, done.output
    assert "test accuracy:" in done.output
    assert "26 parameters to train" in done.output
    again = invoke(*needed, "--skip-bad-rows")
    assert again.exit_code == 1
    assert "holds a run already" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "sentiment"], "task must be one of classification, pairs"),
        (["--data", "nothing.tsv"], "data must be a file or one of wiki"),
        (["--column", "label"], "--column must be the task's name, =, and yours"),
        (["--column", "label=stars", "--skip-bad-rows"], "must hold more examples, got 0 that can be used"),
        (["--frozen", "all"], 'frozen must be None, "body" or a number of blocks'),
        (["--pooling", "max"], "pooling must be one of"),
        (["--held-out", "0"], "held_out must be above 0"),
        (["--model", "/nowhere/at/all", "--skip-bad-rows"], "name_or_path must be a folder"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, message, pretrained, table, tmp_path):
    needed = {"--task": "classification", "--data": table, "--model": pretrained, "--out": tmp_path / "out"}
    flags = list(arguments)
    if flags[0] in needed:
        name, value, *flags = flags
        needed[name] = value
    result = invoke(*[part for pair in needed.items() for part in pair], *flags)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())


def test_labels_of_a_test_file_that_training_has_not_are_listed(pretrained, table, tmp_path):
    test = tmp_path / "test.jsonl"
    test.write_text('{"text": "new", "label": "meh"}\n{"text": "newer", "label": "praise"}\n')
    with pytest.raises(ValueError, match=r"the test data: .*'blame', 'praise', got 'meh' \(1 times\)"):
        finetune(options(pretrained, table, tmp_path / "out", test=test), say=quiet, show_progress=False)


def test_what_stands_in_the_test_is_taken_out_of_the_training(tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(20)))
    test.write_text("text,label\nText 4!,0\nother,1\n")
    examples = gather(make_task("classification"), train, test=test)
    assert [(one.line, one.reason) for one in examples.left_out[str(train)]] == [(6, "also line 2 of the test data")]
    texts = {row["text"] for row in [*examples.train, *examples.validation]}
    assert len(texts) == 19
    assert "text 4" not in texts
    limited = gather(make_task("classification"), train, limit=5)
    assert len(limited.train) == 5
    assert len(limited.test) == 2


@pytest.mark.data
def test_sentences_of_one_review_stay_on_one_side():
    examples = gather(make_task("classification"), "amazon_snippets")
    groups = [{row["group"] for row in part} for part in (examples.train, examples.validation, examples.test)]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_a_model_of_another_kind_or_a_damaged_one_is_refused(pretrained, table, tmp_path):
    with pytest.raises(CheckpointError, match="not a fine-tuned model"):
        FineTuned.load(pretrained)
    finetune(options(pretrained, table, tmp_path / "out", epochs=1), say=quiet, show_progress=False)
    config = tmp_path / "out/model/config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps(facts | {"labels": ["a", "b", "c"]}))
    with pytest.raises(CheckpointError, match=r"do not fit its config.json: head\.bias, head\.weight"):
        FineTuned.load(tmp_path / "out/model")
    config.write_text(json.dumps(facts | {"task": "poetry"}))
    with pytest.raises(CheckpointError, match="contradicts itself"):
        FineTuned.load(tmp_path / "out/model")
    with pytest.raises(CheckpointError, match="model_type 'companion-finetuned', and those built here are"):
        load_body(tmp_path / "out/model")


def test_random_weights_have_the_architecture_and_not_the_weights(pretrained):
    body, _ = load_body(pretrained)
    drawn, _ = load_body(pretrained, is_random=True, generator=torch.Generator().manual_seed(5))
    assert drawn.config == body.config
    assert not torch.equal(drawn.token_embedding.weight, body.token_embedding.weight)


FILES = {
    "pairs": ("csv", lambda i, text: {"text": text, "pair": "a film", "label": i % 2}),
    "regression": ("tsv", lambda i, text: {"text": text, "label": i / 4}),
    "tagging": (
        "jsonl",
        lambda i, text: {"tokens": text.split(), "tags": ["B-x" if i % 2 else "O"] * len(text.split())},
    ),
    "spans": ("json", lambda i, text: {"question": "which", "context": text, "answer": text.split()[-1]}),
}


@pytest.mark.parametrize("task", FILES)
def test_every_task_goes_from_its_file_to_its_predictions(task, pretrained, tmp_path):
    kind, make = FILES[task]
    rows = [make(i, f"{TEXTS[i % 10]} {i}") for i in range(30)]
    path = tmp_path / f"data.{kind}"
    if kind == "json":
        path.write_text(json.dumps(rows))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        separator = "\t" if kind == "tsv" else ","
        lines = [
            separator.join(f'"{value}"' if kind == "csv" else str(value) for value in row.values()) for row in rows
        ]
        path.write_text("\n".join([separator.join(rows[0]), *lines]) + "\n")
    out = tmp_path / "out"
    scores = finetune(
        options(pretrained, path, out, task=task, epochs=1, skips_bad_rows=False), say=quiet, show_progress=False
    )
    assert any(name.startswith("test_") for name in scores)
    predictions = [json.loads(line) for line in (out / "predictions.jsonl").read_text("utf8").splitlines()]
    assert len(predictions) == 3
    assert all("predicted" in one for one in predictions)
    again = FineTuned.load(out / "model").predict(predictions)
    for one, other in zip(predictions, again, strict=True):
        expected = pytest.approx(one["predicted"], abs=1e-4) if task == "regression" else one["predicted"]
        assert other["predicted"] == expected


def test_the_commands_of_the_reference_have_options_that_exist(repository_root):
    page = (repository_root / "book/api/finetuning.md").read_text("utf8")
    known = set(
        re.findall(r"--[a-z-]+", CliRunner().invoke(app, ["finetune", "--help"], env={"COLUMNS": "200"}).output)
    )
    lines = [line for line in page.splitlines() if line.startswith("companion finetune ")]
    assert len(lines) >= 3
    for line in lines:
        assert set(re.findall(r"--[a-z-]+", line)) <= known
