"""A step is torch's own loop; a mode is what the machine can do; every wrong argument is named."""

import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.models import GPT, GPTConfig
from companion.training import Mode, TrainingStep, adamw, fast_mode, mode

CONFIG = GPTConfig(vocab_size=101, max_len=19, d_model=32, n_heads=4, n_layers=2)
HALF = Mode(is_compiled=True, autocast=torch.bfloat16, is_fused=True)


def gpt(config=CONFIG):
    return GPT(config, torch.Generator().manual_seed(0))


def batch(config=CONFIG, seed=1):
    ids = torch.randint(config.vocab_size, (5, 18), generator=torch.Generator().manual_seed(seed))
    return ids[:, :-1], ids[:, 1:]


def next_token_loss(model):
    return lambda ids, labels: F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())


def train(model, how, steps=8):
    step = TrainingStep(next_token_loss(model), adamw(model.parameters(), lr=3e-3, mode=how), mode=how)
    return torch.stack([step(*batch()) for _ in range(steps)])


def test_compiled_modes(repository_root):
    """Checked annotations cannot be compiled, so these tests run in a process that does not check them."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider"]
    file = repository_root / "tests" / "training" / "compiled.py"
    done = subprocess.run(
        [*command, "-o", "addopts=", file], cwd=repository_root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_step_is_torchs_own_loop():
    ours, theirs = gpt(), gpt()
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in theirs.parameters() if p.dim() > 1], "weight_decay": 0.1},
            {"params": [p for p in theirs.parameters() if p.dim() == 1], "weight_decay": 0.0},
        ],
        lr=1e-3,
        betas=(0.8, 0.9),
    )
    step = TrainingStep(
        next_token_loss(ours), adamw(ours.parameters(), lr=1e-3, weight_decay=0.1, betas=(0.8, 0.9)), max_norm=0.5
    )
    for _ in range(3):
        loss = next_token_loss(theirs)(*batch())
        loss.backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        torch.testing.assert_close(step(*batch()), loss.detach(), rtol=1e-5, atol=0)
    for ours_now, theirs_now in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours_now, theirs_now, rtol=0, atol=1e-5)  # the norm is summed in another order
        assert ours_now.grad is None


def test_several_small_batches_make_a_large_one():
    model, (ids, labels) = gpt(), batch()
    step = TrainingStep(next_token_loss(model), adamw(model.parameters(), lr=1e-3))
    step.backward(ids, labels)
    whole = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    for row in range(5):
        step.backward(ids[row : row + 1], labels[row : row + 1])
    for parameter, gradient in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad / 5, gradient, rtol=1e-4, atol=1e-6)


def test_fast_mode_asks_the_machine(monkeypatch):
    monkeypatch.setattr(mode, "_multiplies_bfloat16", lambda kind: False)
    assert fast_mode().autocast is None
    monkeypatch.setattr(mode, "_multiplies_bfloat16", lambda kind: True)
    assert fast_mode("cpu").autocast == torch.bfloat16
    assert fast_mode().is_fused
    monkeypatch.setattr(mode.shutil, "which", lambda name: None)
    assert not fast_mode().is_compiled
    monkeypatch.setattr(mode.shutil, "which", lambda name: name)
    assert fast_mode().is_compiled == torch._dynamo.is_dynamo_supported()
    monkeypatch.setattr(torch._dynamo, "is_dynamo_supported", lambda: False)
    assert not fast_mode().is_compiled


def test_bfloat16_is_not_imitated(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert fast_mode().autocast is None
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert fast_mode().autocast == torch.bfloat16
    assert fast_mode("mps") == Mode(is_fused=True)


WEIGHT = nn.Parameter(torch.ones(2))


def sgd():
    return torch.optim.SGD([WEIGHT], lr=0.1)


CASES = {
    "half": (lambda: Mode(autocast=torch.float16), ValueError, "must be torch.bfloat16 or None, got torch.float16"),
    "device": (lambda: fast_mode(0), TypeError, "device must be a torch.device or its name, got 0"),
    "lr": (lambda: adamw([WEIGHT], lr=-1.0), ValueError, "lr must be at least 0, got -1.0"),
    "no lr": (lambda: adamw([WEIGHT], lr=None), TypeError, "lr must be a number, got None"),
    "decay": (lambda: adamw([WEIGHT], lr=1.0, weight_decay=float("nan")), ValueError, "weight_decay must be finite"),
    "betas": (lambda: adamw([WEIGHT], lr=1.0, betas=0.9), TypeError, "betas must be two numbers"),
    "beta": (lambda: adamw([WEIGHT], lr=1.0, betas=(0.9, 1.0)), ValueError, r"betas\[1\] must be.*below 1"),
    "nothing": (lambda: adamw([], lr=1.0), ValueError, "parameters must hold something to train"),
    "frozen": (lambda: adamw(gpt().requires_grad_(False).parameters(), lr=1.0), ValueError, "something to train"),
    "adamw's mode": (
        lambda: adamw([WEIGHT], lr=1.0, mode="fast"),
        TypeError,
        r"mode must be a Mode, such as fast_mode",
    ),
    "loss": (lambda: TrainingStep(3.0, sgd()), TypeError, "loss must be a function"),
    "optimizer": (lambda: TrainingStep(sum, None), TypeError, "optimizer must be a torch optimizer"),
    "mode": (lambda: TrainingStep(sum, sgd(), mode=True), TypeError, "mode must be a Mode"),
    "norm": (lambda: TrainingStep(sum, sgd(), max_norm=0), ValueError, "max_norm must be above 0, got 0"),
    "losses": (lambda: TrainingStep(lambda: WEIGHT, sgd())(), ValueError, "single number.*shape \\(2,\\)"),
    "a float": (lambda: TrainingStep(lambda: 3.0, sgd())(), ValueError, "single number.*got 3.0"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)
