"""What we write is what transformers' generate writes, token for token."""

import pytest
import torch

from companion.generation import generate
from companion.models import T5Config
from tests.generation.small import CONFIGS, prompts
from tests.parity.pairs import pair

NEW = 31
# Theirs cannot be without biases.
PAIRED = {name: config for name, config in CONFIGS.items() if getattr(config, "bias", True)}
every_model = pytest.mark.parametrize("config", PAIRED.values(), ids=PAIRED.keys())


def theirs(model, config, ids, mask, **options):
    """Transformers' greedy continuation, without its prompt (for a T5 without its start token)."""
    options = {"do_sample": False, "pad_token_id": 0, "max_new_tokens": NEW} | options
    if isinstance(config, T5Config):
        options["decoder_start_token_id"] = config.start_id
        options["use_cache"] = False  # theirs breaks where the decoder is deeper than the encoder
    sequences = model.generate(ids, attention_mask=mask, **options)
    return sequences[:, 1 if isinstance(config, T5Config) else ids.shape[1] :]


def both(config):
    models = pair(config)
    # Their configs name end tokens by default.
    models.theirs.generation_config.eos_token_id = None
    return models.ours.eval(), models.theirs.eval()


@pytest.mark.parametrize("lengths", [(7,), (7, 7, 7), (13, 2, 11)], ids=["one", "equal", "ragged"])
@every_model
def test_greedy(config, lengths):
    ours, reference = both(config)
    ids, mask = prompts(config, lengths)
    expected = theirs(reference, config, ids, mask)
    result = generate(ours, ids, attention_mask=mask, max_new_tokens=NEW)
    assert torch.equal(result.ids, expected)
    assert result.lengths.tolist() == [NEW] * len(lengths)
    assert result.reasons == ("length",) * len(lengths)


@every_model
def test_greedy_until_end_tokens(config):
    ours, reference = both(config)
    ids, mask = prompts(config, (13, 2, 11))
    free = generate(ours, ids, attention_mask=mask, max_new_tokens=NEW).ids
    end_ids = [int(free[0, 4]), int(free[2, 9])]
    expected = theirs(reference, config, ids, mask, eos_token_id=end_ids)
    result = generate(ours, ids, attention_mask=mask, max_new_tokens=NEW, end_ids=end_ids)
    assert torch.equal(result.ids, expected)
    assert result.lengths[0] <= 5


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_other_dtypes_agree_with_reading_everything_at_once(dtype):
    config = CONFIGS["llama of shared heads"]
    ours, _ = both(config)
    ours.to(dtype)
    ids, mask = prompts(config, (5, 3))
    result = generate(ours, ids, attention_mask=mask, max_new_tokens=NEW)
    text = torch.cat([ids, result.ids], dim=1)
    whole = torch.cat([mask, torch.ones_like(result.ids)], dim=1)
    with torch.no_grad():
        logits = ours(text, attention_mask=whole)[:, ids.shape[1] - 1 : -1].double()
    chosen = logits.gather(2, result.ids[..., None]).squeeze(2)
    tolerance = 1e-10 if dtype == torch.float64 else 0.25  # bfloat16 keeps three digits, and scores are about 20
    assert (logits.amax(2) - chosen).max() <= tolerance
