"""What a run leaves behind and shows: CSV, TensorBoard, a bar."""

import csv
import io
import sys

import pytest
from rich.console import Console

from companion._optional import MissingPackageError
from companion.training import Record, Trainer, TrainerConfig, progress
from companion.training.log import CsvLog, read_log
from companion.training.progress import ProgressBar
from tests.training.small import batches, gpt, loss, trainer

NAMES = ["step", "loss", "lr", "grad_norm", "tokens", "tokens_per_second", "loader_share", "seconds", "cpu_seconds"]


def test_the_log_has_every_number_of_the_history(tmp_path):
    history = trainer(folder=tmp_path, validation={"a": [batches(9)], "b": [batches(8)]}, eval_every=2, ema=0.5).run()
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    validation = ["validation_loss_a", "validation_loss_b", "ema_validation_loss_a", "ema_validation_loss_b"]
    assert list(rows[0]) == NAMES + validation
    columns = history.columns
    for name in rows[0]:
        assert [float(row[name]) if row[name] else None for row in rows] == columns[name]
    assert [vars(record) for record in read_log(tmp_path / "log.csv")] == [vars(record) for record in history]


def test_a_log_keeps_its_rows_up_to_a_step(tmp_path):
    log = CsvLog(tmp_path / "log.csv", ["validation_loss"])
    assert log.start(0) == []
    records = [Record(step=step, loss=1 / (step + 1), validation={"validation_loss": 2 / 3}) for step in range(5)]
    for record in records:
        log.write(record)
    assert log.start(2) == records[:3]
    log.write(records[3])
    log.sync()
    assert read_log(log.path) == records[:4]
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_tensorboard_shows_each_step_once_after_a_resumption(tmp_path):
    def made(callbacks=()):
        config = TrainerConfig(steps=5, save_every=2)
        return Trainer(
            gpt(), loss, batches, config, folder=tmp_path, callbacks=callbacks, tensorboard=True, show_progress=False
        )

    class CrashError(RuntimeError):
        pass

    def crash(run, record):
        if record.step == 3:
            raise CrashError

    with pytest.raises(CrashError):
        made([crash]).run()
    run = made()
    assert run.resume() == 2
    history = run.run()
    found = scalars(tmp_path / "tensorboard")
    assert found["loss"] == pytest.approx({record.step: record.loss for record in history})
    assert sorted(found["tokens"]) == [1, 2, 3, 4, 5]


def test_tensorboard_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingPackageError, match="tensorboard is needed to log for TensorBoard"):
        Trainer(gpt(), loss, batches, TrainerConfig(steps=1), folder=tmp_path, tensorboard=True)


def test_the_bar_shows_loss_speed_and_the_time_left():
    bar = ProgressBar(10)
    bar.progress.live.console = console = Console(file=io.StringIO(), width=120, force_terminal=True)
    bar.start(3)
    bar.advance(4)
    bar.write(Record(step=4, loss=3.25, tokens_per_second=12345.6, validation={"validation_loss": 3.5}))
    bar.progress.refresh()
    bar.close()
    shown = console.file.getvalue()
    assert "4/10" in shown
    assert "loss 3.250  validation 3.500  12,346 tokens/s" in shown
    assert "left" in shown


def test_a_bar_is_shown_where_somebody_watches(monkeypatch):
    shown = []
    monkeypatch.setattr(ProgressBar, "start", lambda bar, step: shown.append(step))
    monkeypatch.setattr("companion.training.trainer.is_watched", lambda: True)
    Trainer(gpt(), loss, batches, TrainerConfig(steps=1)).run()
    Trainer(gpt(), loss, batches, TrainerConfig(steps=1), show_progress=False).run()
    assert shown == [0]
    monkeypatch.setattr(progress.sys.stdout, "isatty", lambda: False, raising=False)
    assert progress.is_watched() == ("ipykernel" in sys.modules)
