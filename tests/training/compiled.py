"""The fast mode trains as the plain one does, but for bfloat16's rounding (run by test_step.py)."""

import functools

import pytest
import torch
import torch.nn.functional as F

from companion.models import GPT, T5, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config
from companion.training import PLAIN, Mode, Trainer, TrainerConfig, TrainingStep, adamw, mode
from tests.training import small

CONFIG = GPTConfig(vocab_size=101, max_len=19, d_model=32, n_heads=4, n_layers=1)
HALF = Mode(is_compiled=True, autocast=torch.bfloat16, is_fused=True)


def gpt(config=CONFIG):
    return GPT(config, torch.Generator().manual_seed(0))


def batch(config=CONFIG, seed=1):
    ids = torch.randint(config.vocab_size, (5, 18), generator=torch.Generator().manual_seed(seed))
    return ids[:, :-1], ids[:, 1:]


def next_token_loss(model):
    return lambda ids, labels: F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())


def train(how, steps=5):
    model = gpt()
    step = TrainingStep(next_token_loss(model), adamw(model.parameters(), lr=3e-3, mode=how), mode=how)
    first = step.backward(*batch())
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    step.update()
    return torch.stack([first, *(step(*batch()) for _ in range(steps))]), gradients


def test_the_fast_mode_learns_what_the_plain_one_learns():
    plain, plain_gradients = train(PLAIN)
    assert plain[-1] < plain[0] - 0.2
    fast, fast_gradients = train(HALF)
    # bfloat16 rounds to three digits at every product.
    torch.testing.assert_close(fast, plain, rtol=5e-3, atol=0)
    for ours, expected in zip(fast_gradients, plain_gradients, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - expected).norm() <= 0.02 * expected.norm() + 1e-6


@pytest.mark.parametrize("options", [{}, {"accumulation": 2, "gradient_checkpointing": True}])
def test_a_run_in_the_fast_mode_learns_what_a_plain_one_learns(options, monkeypatch):
    """What the compiler makes of the graph is not generated here: it is the same as for a step."""
    monkeypatch.setattr(mode.torch, "compile", functools.partial(torch.compile, backend="aot_eager"))

    def losses(how):
        config = TrainerConfig(steps=5, lr=3e-3, mode=how, **options)
        return small.losses(Trainer(small.gpt(0.0), small.loss, small.batches, config, show_progress=False).run())

    torch.testing.assert_close(losses(HALF), losses(PLAIN), rtol=5e-3, atol=0)


MODELS = {
    "gpt": (GPT, CONFIG),
    "llama": (
        ModernDecoder,
        ModernDecoderConfig(vocab_size=101, max_len=19, d_model=24, n_heads=6, n_kv_heads=2, n_layers=1),
    ),
    "t5": (T5, T5Config(vocab_size=101, d_model=24, n_heads=3, n_layers=1)),
}


@pytest.mark.parametrize(("kind", "config"), MODELS.values(), ids=MODELS.keys())
def test_the_compiler_sees_one_graph_that_computes_the_same(kind, config):
    """Also with padding, grouped heads and biases, where attention takes another way while it is compiled.

    A second graph would keep the compiler from joining what lies on both sides. What it would make of the graph is not
    generated here: that takes a minute for each.
    """
    model = kind(config, torch.Generator().manual_seed(0))
    ids, labels = batch(config)
    mask = (torch.arange(17) < torch.tensor([17, 5, 11, 1, 16])[:, None]).flip(1).long()

    def loss(ids, labels):
        logits = model(ids, ids, attention_mask=mask) if kind is T5 else model(ids, attention_mask=mask)
        return F.cross_entropy(logits.flatten(0, 1), labels.masked_fill(mask == 0, -100).flatten())

    expected = loss(ids, labels)
    expected.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    result = torch.compile(loss, backend="eager", fullgraph=True, dynamic=False)(ids, labels)
    result.backward()
    torch.testing.assert_close(result, expected, rtol=1e-6, atol=0)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"is_compiled": 1}, "is_compiled must be True or False, got 1"),
        ({"autocast": "bf16"}, "autocast must be a torch.dtype or None, got 'bf16'"),
    ],
)
def test_switches_of_other_types(options, message):
    with pytest.raises(TypeError, match=message):
        Mode(**options)
