"""A run is the loop one would write by hand, however its batches are cut; what goes wrong is named."""

import math
import os
import random
import signal
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from companion._optional import MissingPackageError
from companion.objectives import Loss
from companion.training import (
    Mode,
    NonFiniteError,
    RunError,
    Trainer,
    TrainerConfig,
    WeightAverage,
    clip_gradients,
    warmup_cosine,
)
from tests.training.small import assert_equal, batches, gpt, loss, losses, trainer, weights


def by_hand(model, steps, *, lr=1e-2, warmup=2, max_norm=0.5):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    schedule = warmup_cosine(steps=steps, warmup=warmup, floor=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    found = []
    for step in range(steps):
        mean = loss(model, batches(step)).mean
        mean.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        optimizer.zero_grad()
        found.append((mean.item(), norm.item(), scheduler.get_last_lr()[0]))
        scheduler.step()
    return found


@pytest.mark.parametrize("mode", [Mode(), Mode(is_fused=True)])
def test_a_run_is_the_loop_one_would_write(mode):
    ours, theirs = gpt(dropout=0.0), gpt(dropout=0.0)
    history = trainer(ours, warmup=2, max_norm=0.5, mode=mode).run()
    expected = by_hand(theirs, 6)
    assert [(r.loss, r.grad_norm, r.lr) for r in history] == [pytest.approx(row, rel=1e-5) for row in expected]
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=2e-5)


@pytest.fixture(scope="module")
def uncut():
    model = gpt(dropout=0.0)
    return losses(trainer(model).run()), model


@pytest.mark.parametrize("parts", [2, 3, 7, 9])
def test_parts_of_a_batch_make_the_whole(parts, uncut):
    """Rows have 1 to 13 tokens, so a mean of the parts' means would be another number; 9 parts are more than rows."""
    model = gpt(dropout=0.0)
    assert losses(trainer(model, accumulation=parts).run()) == pytest.approx(uncut[0], rel=1e-5)
    for ours, theirs in zip(model.parameters(), uncut[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-4)


def test_the_mean_of_means_is_another_number():
    model, batch = gpt(dropout=0.0), batches(0)
    means = [loss(model, {name: rows[i : i + 1] for name, rows in batch.items()}).mean for i in range(7)]
    assert abs(torch.stack(means).mean() - loss(model, batch).mean) > 1e-2


@given(norm=st.floats(1e-3, 1e3), scale=st.floats(1e-3, 1e3), size=st.floats(1e-3, 1e3))
def test_clipping_is_torchs(norm, scale, size):
    ours = [nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in [(3, 2), (5,), (1,)]]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    for mine, other in zip(ours[:2], theirs, strict=False):
        mine.grad = torch.randn(mine.shape, dtype=torch.float64) * size
        other.grad = mine.grad * scale
    expected = nn.utils.clip_grad_norm_(theirs, norm)
    assert clip_gradients(ours, norm, scale=scale) == pytest.approx(expected.item(), rel=1e-5)
    for mine, other in zip(ours[:2], theirs, strict=False):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=0)
    assert clip_gradients(ours[2:], 1.0) == 0.0


def test_no_clipping_still_measures():
    history = trainer(max_norm=None).run()
    assert all(record.grad_norm > 0 for record in history)


def test_the_average_of_the_weights():
    model = gpt()
    average = trainer(model, ema=0.8)
    expected = weights(model)
    average.callbacks.append(
        lambda run, record: [expected[name].lerp_(now, 0.2 * bool(record.step)) for name, now in weights(model).items()]
    )
    average.run()
    now = weights(model)
    with average.ema.applied():
        for name, tensor in weights(model).items():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-7)
    assert_equal(weights(model), now)


def test_the_average_of_a_rising_weight():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.9)
    start = model.weight.item()
    for _ in range(50):
        model.weight.data += 1.0
        average.update()
    # It follows by decay / (1 - decay) steps.
    assert average.averages["weight"].item() == pytest.approx(start + 50 - 9 * (1 - 0.9**50), rel=1e-5)


def test_validation_is_the_mean_over_all_tokens_and_the_same_every_time():
    def noisy(model, batch):
        found = loss(model, batch)
        return Loss(found.total * (1 + torch.rand(())), found.count)

    sets = {"short": [batches(90)], "long": [batches(91), batches(92)]}
    model = gpt(dropout=0.5)
    run = trainer(model, validation=sets, eval_every=4, ema=0.9, lr=0.0)
    history = run.run()
    assert [bool(record.validation) for record in history] == [True, False, False, False, True, False, True]
    assert [record.step for record in history] == list(range(7))
    assert history[0].loss is None
    model.eval()
    found = [loss(model, batch) for batch in sets["long"]]
    expected = (sum(one.total for one in found) / sum(one.count for one in found)).item()
    names = ["validation_loss_short", "validation_loss_long", "ema_validation_loss_short", "ema_validation_loss_long"]
    for record in (history[0], history[4], history[6]):
        assert list(record.validation) == names
        assert record.validation["validation_loss_long"] == pytest.approx(expected, rel=1e-5)
    noisy_history = trainer(loss=noisy, validation=[batches(90)], eval_every=2, lr=0.0).run()
    assert len({record.validation["validation_loss"] for record in noisy_history if record.validation}) == 1


class Countable:
    """Batches as a corpus gives them: called with a number, with as many as it says."""

    def __len__(self):
        return 2

    def __call__(self, step):
        return batches(90 + step)


def test_validation_from_what_gives_batches():
    records = trainer(validation=Countable(), steps=1, lr=0.0).run()
    expected = trainer(validation=[batches(90), batches(91)], steps=1, lr=0.0).run()
    assert records[0].validation == expected[0].validation


def test_validation_changes_nothing_of_the_training():
    assert losses(trainer().run()) == losses(trainer(validation=[batches(90)], eval_every=1).run())


@pytest.mark.usefixtures("unchecked_annotations")
def test_random_numbers_are_those_of_the_run_alone():
    def drawing(model, batch):
        found = loss(model, batch)
        return Loss(found.total + random.random() + np.random.random() + torch.rand(()), found.count)  # noqa: NPY002

    models = [gpt() for _ in range(3)]  # which draws, too
    torch.manual_seed(7), random.seed(7), np.random.seed(7)  # noqa: NPY002
    expected = torch.rand(1).item(), random.random(), np.random.random()  # noqa: NPY002
    torch.manual_seed(7), random.seed(7), np.random.seed(7)  # noqa: NPY002
    first = losses(trainer(models[0], loss=drawing).run())
    assert (torch.rand(1).item(), random.random(), np.random.random()) == expected  # noqa: NPY002
    assert losses(trainer(models[1], loss=drawing).run()) == first
    assert losses(trainer(models[2], loss=drawing, seed=1).run()) != first


def test_a_log_that_is_written_seldom_has_the_mean_of_what_lies_between():
    often, seldom = trainer().run(), trainer(log_every=4).run()
    assert [record.step for record in seldom] == [4, 6]
    counts = [batches(step)["attention_mask"].sum().item() - 7 for step in range(6)]
    for record, steps in zip(seldom, (range(4), range(4, 6)), strict=True):
        expected = sum(often[step].loss * counts[step] for step in steps) / sum(counts[step] for step in steps)
        assert record.loss == pytest.approx(expected, rel=1e-5)
    assert seldom[-1].tokens == often[-1].tokens == sum(counts) + 42


def test_the_time_for_loading_is_measured():
    def slow(step):
        time.sleep(0.05)
        return batches(step)

    history = trainer(batches=slow).run()
    assert all(record.loader_share > 0.3 for record in history if record.loss is not None and record.seconds < 1)
    assert all(0 <= record.loader_share < 1 for record in trainer().run())
    assert history[-1].seconds >= 0.3
    assert history[-1].cpu_seconds > 0
    assert history[-1].tokens_per_second > 0


def test_a_callback_may_stop_the_run():
    def stop(run, record):
        if record.step == 3:
            run.stop("enough")

    history = trainer(callbacks=[stop]).run()
    assert history.stopped == "enough"
    assert [record.step for record in history] == [1, 2, 3]
    assert trainer().run().stopped is None


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_step_and_saves(name, tmp_path):
    def interrupted(step):
        if step == 3:
            os.kill(os.getpid(), getattr(signal, name))
        return batches(step)

    before = signal.getsignal(getattr(signal, name))
    model = gpt()
    history = trainer(model, tmp_path, batches=interrupted).run()
    assert (history.stopped, history[-1].step) == (name, 4)
    assert signal.getsignal(getattr(signal, name)) is before
    resumed = trainer(gpt(seed=3), tmp_path)
    assert resumed.resume() == 4
    assert_equal(weights(resumed.model), weights(model))
    assert losses(resumed.run()) == losses(trainer().run())


def test_a_second_interrupt_does_not_wait(tmp_path):
    def interrupted(step):
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return batches(step)

    with pytest.raises(KeyboardInterrupt):
        trainer(None, tmp_path, batches=interrupted).run()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_number_that_is_none_stops_the_run(where, value, tmp_path):
    class Poison(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * value

    state = {"calls": 0}

    def poisoned(model, batch):
        found, state["calls"] = loss(model, batch), state["calls"] + 1
        if state["calls"] < 4:
            return found
        return Loss(Poison.apply(found.total) if where == "gradient" else found.total * value, found.count)

    model = gpt()
    before = []
    run = trainer(model, tmp_path, loss=poisoned, callbacks=[lambda run, record: before.append(weights(model))])
    with pytest.raises(NonFiniteError, match=f"the {where}.* of step 3 is (nan|inf); its batch is in") as caught:
        run.run()
    assert caught.value.step == 3
    assert_equal(load_file(caught.value.saved), batches(3))
    assert_equal(weights(model), before[-1])
    state["calls"] = 9
    with pytest.raises(NonFiniteError, match="give the trainer a folder"):
        trainer(loss=poisoned).run()


def test_a_run_without_accelerate_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(
        MissingPackageError, match=r'accelerate is needed to train.*pip install "plm-companion\[labs\]"'
    ):
        trainer()


def test_history_in_columns():
    columns = trainer(validation=[batches(9)]).run().columns
    assert columns["step"] == list(range(7))
    assert columns["loss"][0] is None
    assert columns["validation_loss"][0] > 0
    assert columns["validation_loss"][1:6] == [None] * 5


def test_frozen_parameters_stay():
    model = gpt()
    model.token_embedding.weight.requires_grad_(False)
    before = weights(model)
    trainer(model).run()
    now = weights(model)
    assert torch.equal(now["token_embedding.weight"], before["token_embedding.weight"])
    assert not torch.equal(now["decoder.norm.weight"], before["decoder.norm.weight"])


@settings(max_examples=10)
@given(rows=st.integers(1, 12), parts=st.integers(1, 12))
def test_every_row_is_in_one_part(rows, parts):
    from companion.training.batches import cut

    found = cut({"x": torch.arange(rows)}, parts)
    assert len(found) == parts
    assert torch.cat([part.rows["x"] for part in found if part.weight]).tolist() == list(range(rows))
    sizes = [len(part.rows["x"]) for part in found if part.weight]
    assert max(sizes) - min(sizes) <= 1


def made(**options):
    settings = {"model": gpt(), "loss": loss, "batches": batches, "config": TrainerConfig(steps=2)} | options
    return Trainer(
        settings.pop("model"), settings.pop("loss"), settings.pop("batches"), settings.pop("config"), **settings
    )


def failing(batch):
    return lambda: made(batches=lambda step: batch, show_progress=False).run()


CASES = {
    "model": (lambda: made(model=loss), TypeError, "model must be a torch.nn.Module"),
    "loss": (lambda: made(loss=3.0), TypeError, "loss must be a function of a model and a batch, got 3.0"),
    "batches": (lambda: made(batches=[batches(0)]), TypeError, "batches must be a function from a step to a batch"),
    "config": (lambda: made(config={"steps": 3}), TypeError, "config must be a TrainerConfig"),
    "folder": (lambda: made(folder=3), TypeError, "folder must be a path or None, got 3"),
    "nowhere": (lambda: made(tensorboard=True), ValueError, "folder must be given for checkpoints or TensorBoard"),
    "unsaved": (
        lambda: made(config=TrainerConfig(steps=2, save_every=1)),
        ValueError,
        "folder must be given for checkpoints",
    ),
    "settings": (lambda: made(settings="tiny"), TypeError, "settings must be a dict"),
    "callbacks": (lambda: made(callbacks=[3]), TypeError, r"callbacks\[0\] must be a function"),
    "validation": (lambda: made(validation=batches), TypeError, "validation must be a list of batches, a function"),
    "no validation": (lambda: made(validation=[]), ValueError, "validation must have at least one batch"),
    "frozen": (lambda: made(model=gpt().requires_grad_(False)), ValueError, "model must hold something to train"),
    "no dict": (failing(torch.ones(3)), TypeError, r"batches\(0\) must be a dict of names to tensors"),
    "empty": (failing({}), TypeError, r"batches\(0\) must be a dict of names to tensors"),
    "rows": (failing({"x": torch.ones(2), "y": torch.ones(3)}), ValueError, "same number of rows.*'x': 2, 'y': 3"),
    "no rows": (failing({"x": torch.ones(0, 3)}), ValueError, "at least one, got rows {'x': 0}"),
    "scalar": (failing({"x": torch.ones(())}), ValueError, "at least one, got rows {'x': None}"),
    "a mean": (
        lambda: made(loss=lambda model, batch: loss(model, batch).mean, show_progress=False).run(),
        TypeError,
        "loss must return a Loss, whose total and count",
    ),
    "resume": (lambda: made().resume(), RunError, "give the trainer its folder"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_learning_happens():
    """Each optimizer learns a rule: the next token is the last one plus one."""
    ids = (torch.arange(13) + torch.arange(7)[:, None]) % 31
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    for optimizer, lr in {"adamw": 1e-2, "muon": 1e-2, "sgd": 0.3}.items():
        found = losses(trainer(gpt(0.0), batches=lambda step: batch, optimizer=optimizer, lr=lr, steps=40).run())
        assert found[0] == pytest.approx(math.log(31), abs=0.1)
        assert found[-1] < 0.6 * found[0], optimizer
