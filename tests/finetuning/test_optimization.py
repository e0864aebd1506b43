"""Which parameters move, and how fast."""

import pytest
import torch
from torch import nn

from companion.finetuning import TextClassifier, freeze_body, layer_groups
from companion.training import TrainerConfig, make_optimizer


def scales(model, **options):
    found = {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in layer_groups(model, **options):
        found |= {names[id(parameter)]: group["lr_scale"] for parameter in group["params"]}
    return found


def test_rates_fall_from_the_head_to_the_embedding(body, kind):
    model = TextClassifier(body, 2)
    rate = scales(model, layer_decay=0.5, head_lr_scale=10.0)
    assert set(rate) == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    stack = "decoder" if kind in ("gpt", "decoder") else "encoder"
    assert rate["head.weight"] == 10
    assert rate[f"body.{stack}.blocks.1.feed_forward.up.weight"] == 1
    assert rate[f"body.{stack}.blocks.0.feed_forward.up.weight"] == 0.5
    assert rate["body.token_embedding.weight"] == 0.25
    if kind == "bert":
        assert rate["body.pooler.weight"] == 1


def test_the_optimizer_uses_them(bert):
    model = TextClassifier(bert, 2)
    config = TrainerConfig(steps=3, lr=0.01, weight_decay=0.1)
    optimizer = make_optimizer(model, config, layer_groups(model, layer_decay=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.head.weight)] == pytest.approx(0.01)
    assert rates[id(bert.token_embedding.weight)] == pytest.approx(0.0025)


@pytest.mark.parametrize(("n_blocks", "frozen"), [(None, "all"), (0, "embedding"), (1, "one block"), (2, "all blocks")])
def test_the_lower_part_is_frozen(n_blocks, frozen, bert):
    model = TextClassifier(bert, 2)
    n_trained = freeze_body(model, n_blocks)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert n_trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert {"head.weight", "head.bias"} <= trained
    assert "body.token_embedding.weight" not in trained
    blocks = {name.split(".")[3] for name in trained if ".blocks." in name}
    assert blocks == {"all": set(), "embedding": {"0", "1"}, "one block": {"1"}, "all blocks": set()}[frozen]
    assert ("body.pooler.weight" in trained) == (n_blocks is not None)


def test_what_is_frozen_does_not_move(bert):
    model = TextClassifier(bert, 2)
    freeze_body(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = make_optimizer(model, TrainerConfig(steps=1, weight_decay=0.5), layer_groups(model))
    model(torch.randint(5, 50, (3, 7))).square().sum().backward()
    optimizer.step()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda model: layer_groups(nn.Linear(2, 2)), TypeError, "model must be a head on a body"),
        (lambda model: layer_groups(model, layer_decay=1.5), ValueError, "layer_decay must be above 0 and at most 1"),
        (lambda model: layer_groups(model, head_lr_scale=0), ValueError, "head_lr_scale must be above 0"),
        (lambda model: freeze_body(model, 3), ValueError, "n_blocks must be at most the model's 2, got 3"),
        (lambda model: freeze_body(model, "all"), TypeError, "n_blocks must be an integer or None"),
    ],
)
def test_wrong_arguments_are_named(call, error, message, bert):
    with pytest.raises(error, match=message):
        call(TextClassifier(bert, 2))
