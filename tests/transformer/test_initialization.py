"""First weights have the sizes that the papers ask for, and follow their generator."""

import functools

import pytest
import torch
from torch import nn

from companion.attention import MultiHeadAttention
from companion.models import T5, T5Config
from companion.transformer import Block, FeedForward, LayerNorm, init_fan_in, init_normal
from tests.attention.compare import assert_agree

D_MODEL, D_FF = 128, 200


def block():
    return Block(
        MultiHeadAttention(D_MODEL, 4), FeedForward(D_MODEL, D_FF, gated=True), functools.partial(LayerNorm, D_MODEL)
    )


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def spread(parameter):
    return pytest.approx(parameter.std().item(), rel=0.05)


def test_init_normal_shrinks_what_is_added_to_the_residual_stream():
    module = block()
    init_normal(module, 0.3, residual_scale=0.1, generator=generator())
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            assert parameter.eq(0).all(), name
        elif "norm" in name:
            assert parameter.eq(1).all(), name
        else:
            assert (0.03 if "output" in name or "down" in name else 0.3) == spread(parameter), name


def test_init_fan_in_keeps_the_variance_of_what_enters():
    config = T5Config(vocab_size=499, d_model=D_MODEL, n_heads=4, d_head=24, d_ff=D_FF, n_layers=2, tied=False)
    model = T5(config, generator())
    stds = {
        "token_embedding": 1.0,
        "head": D_MODEL**-0.5,
        "attention.query": (D_MODEL * 24) ** -0.5,
        "attention.key": D_MODEL**-0.5,
        "attention.value": D_MODEL**-0.5,
        "attention.output": (4 * 24) ** -0.5,
        "feed_forward.up": D_MODEL**-0.5,
        "feed_forward.down": D_FF**-0.5,
    }
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert parameter.eq(1).all(), name
        elif "_bias" in name:
            assert pytest.approx(parameter.std().item(), rel=0.3) == D_MODEL**-0.5, name
        else:
            std = next(std for part, std in stds.items() if name.endswith(f"{part}.weight"))
            assert std == spread(parameter), name


@pytest.mark.parametrize("init", [init_normal, init_fan_in])
def test_the_generator_decides(init):
    one, same, other = block(), block(), block()
    for module, seed in ((one, 0), (same, 0), (other, 1)):
        init(module, generator=generator(seed))
    assert_agree(list(one.parameters()), list(same.parameters()), 0.0)
    assert not torch.equal(one.attention.query.weight, other.attention.query.weight)


CASES = {
    "module": (lambda: init_normal(torch.ones(2, 2)), TypeError, "module must be a torch.nn.Module"),
    "std": (lambda: init_normal(block(), 0.0), ValueError, "std must be above 0, got 0.0"),
    "scale": (lambda: init_normal(block(), residual_scale=-1.0), ValueError, "residual_scale must be above 0"),
    "seed": (lambda: init_normal(block(), generator=0), TypeError, "generator must be a torch.Generator, got 0"),
    "fan-in module": (lambda: init_fan_in([nn.Linear(2, 2)]), TypeError, "module must be a torch.nn.Module"),
    "fan-in seed": (lambda: init_fan_in(block(), generator=0), TypeError, "generator must be a torch.Generator"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
