"""Heads: laws that hold on every body, agreement with transformers' own heads, and errors."""

import pytest
import torch
import transformers
from torch import nn

from companion.finetuning import (
    SpanReader,
    TextClassifier,
    TextRegressor,
    TokenTagger,
    default_pooling,
    hidden_states,
    pool,
)
from companion.models import GPT, T5
from tests.finetuning.conftest import make_body

HEADS = [lambda body, **options: TextClassifier(body, 3, **options), TextRegressor, SpanReader]
HEADS.append(lambda body, **options: TokenTagger(body, 5, **options))
IDS = ["classifier", "regressor", "spans", "tagger"]


@pytest.fixture
def ids(body):
    return torch.randint(5, body.config.vocab_size, (3, 11), generator=torch.Generator().manual_seed(0))


def padded(ids, side, n=4):
    filling, ones = torch.zeros(len(ids), n, dtype=torch.int64), torch.ones_like(ids)
    parts = [(ids, ones), (filling, filling)]
    parts = parts[::-1] if side == "left" else parts
    return torch.cat([a for a, _ in parts], 1), torch.cat([b for _, b in parts], 1)


@pytest.mark.parametrize("head", HEADS, ids=IDS)
def test_shapes_and_gradients_reach_every_trained_parameter(head, body, ids):
    model = head(body)
    output = model(ids, attention_mask=torch.ones_like(ids))
    assert output.shape == {"TextClassifier": (3, 3), "TextRegressor": (3,), "SpanReader": (3, 2, 11)}.get(
        type(model).__name__, (3, 11, 5)
    )
    output.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pytest.mark.parametrize("head", HEADS[:2], ids=IDS[:2])
# On the left, padding would be the first token, which is why BERT is padded on the right.
@pytest.mark.parametrize(
    ("pooling", "side"),
    [("cls", "right"), ("pooled", "right"), ("mean", "right"), ("mean", "left"), ("last", "right"), ("last", "left")],
)
def test_padding_changes_no_answer(head, pooling, side, body, kind, ids):
    if (pooling == "pooled" and kind != "bert") or (pooling == "cls" and kind in ("gpt", "decoder")):
        with pytest.raises(ValueError, match="pooling"):
            head(body, pooling=pooling)
        return
    model = head(body, pooling=pooling).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(padded(ids, side)[0], attention_mask=padded(ids, side)[1]), model(ids))


def test_mean_and_last_are_what_they_say(body, ids):
    mask = torch.tensor([[1] * 11, [1] * 4 + [0] * 7, [0] * 6 + [1] * 5])
    hidden = torch.randn(3, 11, 12)
    mean, last = pool(hidden, mask, pooling="mean"), pool(hidden, mask, pooling="last")
    torch.testing.assert_close(mean[1], hidden[1, :4].mean(0))
    torch.testing.assert_close(mean[2], hidden[2, 6:].mean(0))
    torch.testing.assert_close(last, torch.stack([hidden[0, 10], hidden[1, 3], hidden[2, 10]]))
    torch.testing.assert_close(pool(hidden, pooling="mean"), hidden.mean(1))
    torch.testing.assert_close(pool(hidden, pooling="last"), hidden[:, -1])


def test_hidden_states_are_those_that_the_model_s_own_scores_come_from(body, kind, ids):
    with torch.no_grad():
        hidden = hidden_states(body.eval(), ids)
        if kind == "gpt":
            torch.testing.assert_close(hidden @ body.token_embedding.weight.T, body(ids))
        elif kind == "decoder":
            torch.testing.assert_close(body.head(hidden), body(ids))
        elif kind == "t5":
            torch.testing.assert_close(hidden, body.encode(ids))
        else:
            torch.testing.assert_close(hidden, body(ids))


def test_a_decoder_s_last_token_has_seen_all_and_its_first_nothing(wordpiece):
    body = make_body("gpt", 50).eval()
    ids = torch.arange(5, 12)[None]
    changed = ids.clone()
    changed[0, -1] = 20
    with torch.no_grad():
        one, other = hidden_states(body, ids), hidden_states(body, changed)
    assert torch.equal(one[:, 0], other[:, 0])
    assert not torch.allclose(one[:, -1], other[:, -1])
    assert default_pooling(body) == "last"


def test_the_classifier_is_transformers_own(bert):
    model = TextClassifier(bert, 3, generator=torch.Generator().manual_seed(1)).eval()
    theirs = transformers.BertForSequenceClassification(
        transformers.BertConfig(**(bert.to_transformers().config.to_dict() | {"num_labels": 3}))
    ).eval()
    theirs.bert.load_state_dict(bert.to_transformers().bert.state_dict(), strict=False)
    theirs.bert.pooler.dense.weight.data, theirs.bert.pooler.dense.bias.data = bert.pooler.weight, bert.pooler.bias
    theirs.classifier.weight.data, theirs.classifier.bias.data = model.head.weight, model.head.bias
    ids = torch.randint(5, bert.config.vocab_size, (3, 7))
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 3 + [0] * 4])
    segments = torch.tensor([[0] * 4 + [1] * 3] * 3)
    ours = model(ids, attention_mask=mask, token_type_ids=segments)
    torch.testing.assert_close(
        ours, theirs(ids, attention_mask=mask, token_type_ids=segments).logits, atol=1e-5, rtol=1e-5
    )


def test_spans_are_looked_for_in_the_context_alone(bert):
    model = SpanReader(bert).eval()
    ids = torch.randint(5, bert.config.vocab_size, (2, 7))
    context = torch.tensor([[0, 0, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 0]])
    scores = model(ids, attention_mask=torch.ones_like(ids), is_context=context)
    probabilities = scores.softmax(-1)
    assert probabilities.isfinite().all()
    assert (probabilities[~(context[:, None] == 1).expand(-1, 2, -1)] == 0).all()


def test_what_the_answer_does_not_pass_through_is_frozen(bert, body, kind):
    frozen = {name for name, p in TextClassifier(body, 2).body.named_parameters() if not p.requires_grad}
    expected = {"bert": ("mlm_", "nsp."), "t5": ("decoder",), "gpt": ("nothing",), "decoder": ("head.",)}[kind]
    assert frozen == {name for name, _ in body.named_parameters() if name.startswith(expected)}
    mean = TextClassifier(bert, 2, pooling="mean")
    assert not mean.body.pooler.weight.requires_grad


def test_the_same_generator_makes_the_same_head(body):
    one, other = (TextClassifier(body, 3, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one.head.weight, other.head.weight)
    assert not one.head.bias.any()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda body: TextClassifier(nn.Linear(2, 2), 2), TypeError, "body must be a BERT, GPT, T5 or ModernDecoder"),
        (lambda body: TextClassifier(body, 0), ValueError, "n_outputs must be at least 1"),
        (lambda body: TextClassifier(body, 2, pooling="max"), ValueError, "pooling must be one of cls, pooled, mean"),
        (lambda body: TextClassifier(body, 2, dropout=1.0), ValueError, "dropout must be at least 0 and below 1"),
        (lambda body: TextRegressor(body, pooling=3), ValueError, "pooling must be one of"),
        (lambda body: pool(torch.zeros(2, 3), pooling="mean"), ValueError, "hidden must have exactly 3 axes"),
        (lambda body: pool(torch.zeros(2, 3, 4), torch.ones(2, 4), pooling="mean"), ValueError, "attention_mask"),
    ],
)
def test_wrong_arguments_are_named(make, error, message, bert):
    with pytest.raises(error, match=message):
        make(bert)


def test_segments_are_for_bert_alone(body, kind, ids):
    if kind == "bert":
        return
    assert isinstance(body, GPT | T5) or kind == "decoder"
    with pytest.raises(ValueError, match="has no segments"):
        TextClassifier(body, 2)(ids, token_type_ids=torch.zeros_like(ids))
