"""Our GPT against transformers' GPT-2: attention alone, then logits, loss and every gradient of the whole model."""

import pytest
import torch
import torch.nn.functional as F
from transformers import DynamicCache

from companion.attention import MultiHeadAttention
from companion.models import GPTConfig
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree, heads, value_and_gradients
from tests.parity.gpt2 import attention_names, model_names, pair, reference

# Awkward sizes: a prime for every axis that may be one.
CONFIG = GPTConfig(vocab_size=101, max_len=23, d_model=35, n_heads=5, n_layers=3, d_ff=53)
BATCH, LENGTH = 3, 17
LENGTHS = torch.tensor([17, 11, 2])


def tokens(seed=0):
    return torch.randint(CONFIG.vocab_size, (BATCH, LENGTH), generator=torch.Generator().manual_seed(seed))


def ragged(side):
    """A mask of texts of different lengths, padded on one side."""
    mask = torch.arange(LENGTH) < LENGTHS[:, None]
    return (mask if side == "right" else mask.flip(1)).long()


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_attention_is_gpt2s(dtype, implementation):
    theirs = reference(CONFIG, implementation=implementation).transformer.h[1].attn.to(dtype)
    ours = MultiHeadAttention(CONFIG.d_model, CONFIG.n_heads).to(dtype)
    ours.load_state_dict(attention_names(theirs.state_dict()))
    x = heads(BATCH, LENGTH, CONFIG.d_model, dtype=dtype)
    future = torch.full((LENGTH, LENGTH), torch.finfo(dtype).min, dtype=dtype).triu(1)[None, None]
    mine = value_and_gradients(lambda t: ours(t, is_causal=True), x)
    assert_agree(mine, value_and_gradients(lambda t: theirs(t, attention_mask=future)[0], x), TOLERANCE[dtype])
    their_gradients = attention_names({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        assert_agree([parameter.grad], [their_gradients[name]], TOLERANCE[dtype])


@pytest.mark.parametrize("padding", ["none", "right", "left"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_logits_loss_and_gradients_are_gpt2s(dtype, implementation, padding):
    ours, theirs = (model.to(dtype) for model in pair(CONFIG, implementation=implementation))
    input_ids = tokens()
    mask = None if padding == "none" else ragged(padding)
    labels = input_ids if mask is None else input_ids.masked_fill(mask == 0, -100)
    positions = None if mask is None else (mask.cumsum(1) - 1).clamp(min=0)

    logits = ours(input_ids, attention_mask=mask)
    expected = theirs(input_ids, attention_mask=mask, position_ids=positions, labels=labels)
    real = torch.ones_like(input_ids).bool() if mask is None else mask.bool()
    # What a padding position predicts means nothing, even where (on the left) a real token comes next.
    targets = labels[:, 1:].masked_fill(~real[:, :-1], -100).flatten()
    loss, their_loss = (F.cross_entropy(scores[:, :-1].flatten(0, 1), targets) for scores in (logits, expected.logits))
    assert_agree([logits[real], loss], [expected.logits[real], their_loss], TOLERANCE[dtype])
    if padding != "left":
        assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)  # theirs is always in float32

    loss.backward()
    their_loss.backward()
    their_gradients = model_names({name: p.grad for name, p in theirs.named_parameters()}, CONFIG.n_layers)
    assert {name for name, _ in ours.named_parameters()} == set(their_gradients)
    for name, parameter in ours.named_parameters():
        assert_agree([parameter.grad], [their_gradients[name]], TOLERANCE[dtype])


@pytest.mark.parametrize("padded", [False, True])
def test_cached_decoding_is_gpt2s(padded):
    ours, theirs = (model.double().eval() for model in pair(CONFIG))
    input_ids, mask = tokens(), ragged("left") if padded else torch.ones(BATCH, LENGTH, dtype=torch.long)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    caches, their_cache, n_read = ours.new_caches(BATCH), DynamicCache(config=theirs.config), 0
    with torch.no_grad():
        for piece in input_ids.split([7, 1, 1, 5, 3], dim=1):
            new = slice(n_read, n_read + piece.shape[1])
            n_read = new.stop
            logits = ours(piece, caches, attention_mask=mask[:, :n_read])
            expected = theirs(
                piece, past_key_values=their_cache, attention_mask=mask[:, :n_read], position_ids=positions[:, new]
            ).logits
            real = mask[:, new].bool()
            assert_agree([logits[real]], [expected[real]], 1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 5e-3), (torch.bfloat16, 4e-2)], ids=str)
def test_half_precision_is_as_near_to_the_exact_logits_as_gpt2s(dtype, tolerance):
    ours, theirs = pair(CONFIG)
    input_ids = tokens()
    with torch.no_grad():
        exact = theirs.double()(input_ids).logits
        assert_agree([ours.to(dtype)(input_ids).double()], [exact], tolerance)
        assert_agree([theirs.to(dtype)(input_ids).logits.double()], [exact], tolerance)
