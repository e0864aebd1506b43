"""The five tasks, each learnt to the end by a tiny model, and what they say of bad rows."""

import copy

import pytest
import torch

from companion.finetuning import (
    TASKS,
    LabelledBatches,
    RowError,
    TextInputs,
    evaluate,
    make_task,
    predict,
    train_by_hand,
)
from companion.training import TrainerConfig
from tests.finetuning.conftest import make_body, tokenizer_of

ROWS = {
    "classification": lambda i, text: {"text": text, "label": "film" if "film" in text else "other"},
    "pairs": lambda i, text: {"text": text, "pair": ["a film", "no word"][i % 2], "label": i % 2},
    "regression": lambda i, text: {"text": text, "label": 1.5 if "film" in text else -0.5},
    "tagging": lambda i, text: {
        "tokens": text.replace(",", "").split(),
        "tags": ["B-thing" if word in ("film", "plot", "cast") else "O" for word in text.replace(",", "").split()],
    },
    "spans": lambda i, text: {
        "question": "which thing",
        "context": text,
        "answer": next((word for word in ("film", "plot", "jokes", "joy", "end", "loud") if word in text), "warm"),
    },
}
MAIN = {"classification": "accuracy", "pairs": "accuracy", "tagging": "entity_f1", "spans": "exact_match"}


def rows_of(name, texts):
    task = make_task(name)
    return task, [task.parse(ROWS[name](i, text)) | {"line": i + 1} for i, text in enumerate(texts)]


FAMILIES = {"bert": [*TASKS], "gpt": ["tagging", "spans"], "t5": ["regression", "spans"], "decoder": ["pairs"]}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in FAMILIES.items() for name in names])
def test_each_task_is_learnt(kind, name, texts, wordpiece, bpe):
    tokenizer = tokenizer_of(kind, wordpiece, bpe)
    task, rows = rows_of(name, texts)
    task.fit(rows)
    body = make_body(kind, tokenizer.vocab_size)
    inputs = TextInputs(tokenizer, body)
    examples = [task.example(row, inputs) for row in rows]
    model = task.make_model(body, generator=torch.Generator().manual_seed(0))
    config = TrainerConfig(steps=60, lr=2e-2, weight_decay=0.0, schedule="linear", floor=0.0, warmup=5)
    losses = train_by_hand(model, task.loss, LabelledBatches(examples, inputs, batch_size=10), config)
    assert losses[-1] < losses[0] / 2
    scores = evaluate(task, model, inputs, rows)
    # A tag by its word alone is easy for all; an answer takes a decoder, which does not see what follows, longer.
    if name == "regression":
        assert scores["mean_squared_error"] < 0.5
    elif name == "spans":
        assert scores["token_f1"] > 0.5
    else:
        assert scores[MAIN[name]] > 0.85


@pytest.mark.parametrize("name", TASKS)
def test_answers_come_in_the_order_of_the_rows_whatever_the_batches(name, texts, wordpiece):
    task, rows = rows_of(name, texts)
    task.fit(rows)
    body = make_body("bert", wordpiece.vocab_size)
    inputs = TextInputs(wordpiece, body)
    model = task.make_model(body).train()
    one, other = predict(task, model, inputs, rows, batch_size=1), predict(task, model, inputs, rows, batch_size=7)
    assert model.training
    for a, b in zip(one, other, strict=True):
        assert a.get("probability", 0) == pytest.approx(b.get("probability", 0), abs=1e-5)
        if name == "regression":
            assert a["predicted"] == pytest.approx(b["predicted"], abs=1e-5)
        else:
            assert a["predicted"] == b["predicted"]
    without = [{key: value for key, value in row.items() if key != task.answer_column} for row in rows]
    assert len(predict(task, model, inputs, without)) == len(rows)


def test_every_piece_behind_a_word_s_first_has_no_tag(texts, wordpiece):
    task, rows = rows_of("tagging", texts)
    task.fit(rows)
    inputs = TextInputs(wordpiece, make_body("bert", wordpiece.vocab_size), max_len=8)
    row = task.parse({"tokens": ["filmed", "film", "again", "andagain"], "tags": ["O", "B-thing", "O", "O"]})
    example = task.example(row, inputs)
    pieces = len(wordpiece.encode("filmed"))
    assert pieces > 1
    tags = [tag for tag in example["labels"] if tag != -100]
    assert len(tags) == len({word for word in example["words"] if word >= 0}) < 4
    model = task.make_model(make_body("bert", wordpiece.vocab_size))
    (answer,) = predict(task, model, inputs, [row])
    assert len(answer["predicted"]) == 4
    assert answer["predicted"][-1] is None  # cut off, and said so


def test_an_answer_beyond_the_end_is_no_label_and_one_in_the_middle_is_found(wordpiece):
    task = make_task("spans")
    inputs = TextInputs(wordpiece, make_body("bert", wordpiece.vocab_size), max_len=12)
    near = task.parse({"question": "a", "context": "a fine film and a true joy", "answer": "fine film"})
    far = task.parse({"question": "a", "context": "a fine film and a true joy to the very end", "answer": "end"})
    example = task.example(near, inputs)
    ids = example["input_ids"][example["first"] : example["last"] + 1]
    assert wordpiece.decode(ids) == "fine film"
    assert task.example(far, inputs)["first"] == -100


def test_the_given_place_of_an_answer_counts():
    task = make_task("spans")
    row = task.parse({"question": "q", "context": "no, no", "answer": {"text": "no", "start": 4}})
    assert row["start"] == 4
    with pytest.raises(RowError, match="'no' is not in the context at 3"):
        task.parse({"question": "q", "context": "no, no", "answer": {"text": "no", "start": 3}})


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("classification", {"text": "a"}, "there is no 'label', only 'text'"),
        ("classification", {"text": 3, "label": 1}, "'text' must be a text, got 3"),
        ("classification", {"text": "\ud800", "label": 1}, "half a character"),
        ("classification", {"text": "a", "label": 1.5}, "'label': a label must be a text"),
        ("pairs", {"text": "a", "pair": "", "label": 1}, "'pair' is empty"),
        ("regression", {"text": "a", "label": "high"}, "'label' must be a number, got 'high'"),
        ("regression", {"text": "a", "label": "nan"}, "'label' must be a number"),
        ("tagging", {"tokens": "a b", "tags": ["O", "O"]}, "'tokens' must be a list of words"),
        ("tagging", {"tokens": ["a"], "tags": ["O", "O"]}, "2 tags for 1 words"),
        ("tagging", {"tokens": ["a"], "tags": "O"}, "'tags' must be a list of tags"),
        ("spans", {"question": "q", "context": "a b", "answer": "c"}, "the answer 'c' is not in the context"),
        ("spans", {"question": "q", "context": "a b", "answer": ["a"]}, "'answer' must be a text"),
        ("spans", {"question": "q", "context": "a -- b", "answer": " "}, "must be a text that is not empty"),
    ],
)
def test_the_reason_why_a_row_cannot_be_used(name, values, message):
    with pytest.raises(RowError, match=message):
        make_task(name).parse(values)


def test_columns_may_have_other_names():
    task = make_task("classification", {"label": "topic"})
    assert task.parse({"text": "a", "topic": "b"}) == {"text": "a", "label": "b"}
    with pytest.raises(RowError, match="there is no 'topic'"):
        task.parse({"text": "a", "label": "b"})
    with pytest.raises(ValueError, match="columns must be of text, label for classification, got topic"):
        make_task("classification", {"topic": "label"})


def test_unknown_tasks_labels_and_poolings_are_refused(rows, bert):
    with pytest.raises(ValueError, match="task must be one of classification, pairs, regression, tagging, spans"):
        make_task("translation")
    task = make_task("classification")
    with pytest.raises(RuntimeError, match="fit it to the training rows first"):
        task.make_model(bert)
    with pytest.raises(ValueError, match=r"two labels or more, got only \['praise'\]"):
        task.fit([rows[0], rows[2]])
    task.fit(rows)
    with pytest.raises(ValueError, match=r"got 'meh' \(1 times\)"):
        task.check([{"label": "meh"}])
    with pytest.raises(ValueError, match="class weights are for tasks with labels"):
        make_task("regression").fit(rows, is_balanced=True)
    tagging = make_task("tagging")
    tagging.fit([{"tags": ["O", "B-x"]}])
    with pytest.raises(ValueError, match="pooling must be None for tagging"):
        tagging.make_model(bert, pooling="mean")


def test_balanced_weights_reach_the_loss(texts, wordpiece):
    task, rows = rows_of("classification", texts)
    plain = copy.deepcopy(task)
    task.fit(rows[:9], is_balanced=True)
    plain.fit(rows[:9])
    inputs = TextInputs(wordpiece, make_body("bert", wordpiece.vocab_size))
    batch = inputs.collate([task.example(row, inputs) for row in rows[:9]])
    model = task.make_model(make_body("bert", wordpiece.vocab_size)).eval()
    counts = torch.bincount(batch["labels"]).tolist()
    assert counts[0] != counts[1]
    losses = [one.loss(model, batch) for one in (task, plain)]
    assert losses[0].count.item() == pytest.approx(9)
    assert losses[0].total.item() != pytest.approx(losses[1].total.item())
