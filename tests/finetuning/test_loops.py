"""One fine-tuning three ways gives the same losses, the same weights and the same predictions, on real sentences."""

import copy

import pytest
import torch

from companion.data.loading import part, rows_of
from companion.finetuning import (
    LabelledBatches,
    TextInputs,
    evaluate,
    layer_groups,
    make_task,
    predict,
    train_by_hand,
    train_with_companion,
    train_with_transformers,
)
from companion.metrics import accuracy
from companion.models import BERT, BERTConfig
from companion.tokenization import WordPiece
from companion.training import TrainerConfig

CONFIG = TrainerConfig(
    steps=14, lr=2e-3, weight_decay=0.05, betas=(0.9, 0.999), schedule="linear", floor=0.0, warmup=3, max_norm=0.5
)


@pytest.fixture(scope="module")
def real():
    """Two hundred real sentences: rows, a task fitted to them, what encodes them, and a model at its start."""
    rows = part(rows_of("movie_snippets"), "test", 0)[:200]
    task = make_task("classification")
    rows = [task.parse(row) | {"line": line} for line, row in enumerate(rows, start=1)]
    task.fit(rows[:110])
    tokenizer = WordPiece.train([row["text"] for row in rows[:110]], 400)
    config = BERTConfig(vocab_size=tokenizer.vocab_size, max_len=64, d_model=24, n_heads=3, n_layers=2)
    body = BERT(config, torch.Generator().manual_seed(0))
    return rows, task, TextInputs(tokenizer, body), task.make_model(body, generator=torch.Generator().manual_seed(1))


def train(way, real, config=CONFIG, **options):
    rows, task, inputs, first = real
    model = copy.deepcopy(first)
    examples = [task.example(row, inputs) for row in rows]
    # 110 is no multiple of 16: the last batch of an epoch is smaller.
    batches = LabelledBatches(examples[:110], inputs, batch_size=16, seed=3)
    groups = layer_groups(model, layer_decay=0.8, head_lr_scale=5.0)
    if way is train_with_transformers:
        options |= {
            "logits": task.logits,
            "evaluation": examples[110:],
            "compute_metrics": lambda answers: {
                "accuracy": accuracy(answers.label_ids, answers.predictions.argmax(-1))
            },
        }
    result = way(model, task.loss, batches, config, parameter_groups=groups, **options)
    return model, result


@pytest.mark.data
def test_three_ways_agree_in_losses_weights_and_predictions(real):
    rows, task, inputs, _ = real
    by_hand, losses = train(train_by_hand, real)
    companion, companion_losses = train(train_with_companion, real, show_progress=False)
    theirs, (their_losses, scores) = train(train_with_transformers, real)
    assert len(losses) == CONFIG.steps
    assert losses[-1] < losses[0]
    assert companion_losses == pytest.approx(losses, abs=1e-5)
    assert their_losses == pytest.approx(losses, abs=1e-5)
    for other in (companion, theirs):
        for (name, a), b in zip(by_hand.named_parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=lambda message, name=name: f"{name}: {message}")
    answers = [predict(task, model, inputs, rows[110:]) for model in (by_hand, companion, theirs)]
    for a, *others in zip(*answers, strict=True):
        assert all(a["predicted"] == b["predicted"] for b in others)
        assert all(a["probability"] == pytest.approx(b["probability"], abs=1e-4) for b in others)
    ours = evaluate(task, by_hand, inputs, rows[110:])
    assert scores["eval_accuracy"] == pytest.approx(ours["accuracy"])


@pytest.mark.data
def test_a_batch_in_parts_gives_the_same_losses(real):
    from dataclasses import replace

    _, whole = train(train_with_companion, real, show_progress=False)
    _, parts = train(train_with_companion, real, replace(CONFIG, accumulation=3), show_progress=False)
    assert parts == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("way", [train_by_hand, train_with_companion, train_with_transformers])
def test_wrong_arguments_are_named(way, bert, wordpiece, rows):
    task = make_task("classification")
    task.fit(rows)
    inputs = TextInputs(wordpiece, bert)
    batches = LabelledBatches([task.example(row, inputs) for row in rows], inputs, batch_size=4)
    model = task.make_model(bert)
    more = {"logits": task.logits} if way is train_with_transformers else {}
    for arguments, message in (
        (("model", task.loss, batches, CONFIG), "model must be a torch.nn.Module"),
        ((model, "loss", batches, CONFIG), "loss must be a function"),
        ((model, task.loss, [1], CONFIG), "batches must be LabelledBatches"),
        ((model, task.loss, batches, {"steps": 3}), "config must be a TrainerConfig"),
    ):
        with pytest.raises(TypeError, match=message):
            way(*arguments, **more)


def test_transformers_trainer_is_not_asked_for_what_it_would_do_otherwise(bert, wordpiece, rows):
    from dataclasses import replace

    task = make_task("classification")
    task.fit(rows)
    inputs = TextInputs(wordpiece, bert)
    batches = LabelledBatches([task.example(row, inputs) for row in rows], inputs, batch_size=4)
    with pytest.raises(ValueError, match=r"config\.accumulation must be 1"):
        train_with_transformers(
            task.make_model(bert), task.loss, batches, replace(CONFIG, accumulation=2), logits=task.logits
        )
