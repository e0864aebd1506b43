"""Blocks that are computed twice give the same numbers and remember less, in any of our models."""

import pytest
import torch
from torch import nn

from companion.models import BERT, GPT, T5, BERTConfig, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config
from companion.training import recomputed
from tests.training.small import losses, trainer

SIZES = {"vocab_size": 41, "d_model": 24, "n_heads": 3, "n_layers": 4, "dropout": 0.2}
IDS = torch.randint(41, (5, 19), generator=torch.Generator().manual_seed(0))
MODELS = {
    "gpt": lambda: GPT(GPTConfig(max_len=19, **SIZES), torch.Generator().manual_seed(0)),
    "bert": lambda: BERT(BERTConfig(max_len=19, **SIZES), torch.Generator().manual_seed(0)),
    "t5": lambda: T5(T5Config(**SIZES), torch.Generator().manual_seed(0)),
    "decoder": lambda: ModernDecoder(
        ModernDecoderConfig(max_len=19, n_kv_heads=1, **{k: v for k, v in SIZES.items() if k != "dropout"}),
        torch.Generator().manual_seed(0),
    ),
}


def scores(model):
    if isinstance(model, T5):
        return model(IDS, IDS)
    if isinstance(model, BERT):
        return model.mlm_logits(model(IDS))
    return model(IDS)


def measure(model):
    """Return the scores, the gradients, and how many bytes are remembered between the two passes."""
    remembered = {}

    def pack(tensor):
        remembered[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found = scores(model)
    kept = sum(remembered.values()) - sum(p.untyped_storage().nbytes() for p in model.parameters())
    found.square().mean().backward()
    return found.detach(), [p.grad for p in model.parameters() if p.grad is not None], kept


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_the_same_numbers_from_less_memory(make):
    model, same = make(), make()
    expected, gradients, kept = measure(model)
    with recomputed(same):
        found, their_gradients, kept_now = measure(same)
    assert torch.equal(found, expected)
    for ours, theirs in zip(their_gradients, gradients, strict=True):
        assert torch.equal(ours, theirs)
    assert kept_now < 0.35 * kept
    same.zero_grad()
    assert measure(same)[2] == kept  # the model is as it was


def test_a_run_has_the_same_losses():
    assert losses(trainer(gradient_checkpointing=True).run()) == losses(trainer().run())


def test_writing_with_a_cache_is_left_alone():
    model = MODELS["gpt"]().eval()
    caches = model.new_caches(5)
    with recomputed(model), torch.no_grad():
        first = model(IDS[:, :7], caches)
        second = model(IDS[:, 7:], caches)
    torch.testing.assert_close(torch.cat([first, second], 1), model(IDS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (nn.Linear(2, 2), ValueError, r"blocks in an nn.ModuleList .* none in Linear; leave gradient"),
        (3, TypeError, r"model must be a torch.nn.Module, got 3"),
    ],
)
def test_bad_input(model, error, message):
    with pytest.raises(error, match=message):
        recomputed(model)
