"""Our GPT against transformers' GPT-2, our modern decoder against its Llama: logits, losses, gradients, greedy text."""

import copy

import pytest
import torch
import torch.nn.functional as F
from transformers import DynamicCache

from companion.models import GPTConfig, ModernDecoderConfig
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree, heads, value_and_gradients
from tests.parity.pairs import assert_gradients_agree, pair, positions, ragged, tokens

# Awkward sizes: distinct primes for every axis that may be one.
GPTS = {
    "gpt": GPTConfig(vocab_size=101, max_len=23, d_model=35, n_heads=5, n_layers=3, d_ff=53),
    "gpt of one head": GPTConfig(vocab_size=43, max_len=19, d_model=13, n_heads=1, n_layers=1, d_ff=7, norm_eps=0.01),
}
MODERN = {
    "llama": ModernDecoderConfig(vocab_size=101, max_len=23, d_model=42, n_heads=7, n_layers=3, d_ff=53),
    "llama of shared heads": ModernDecoderConfig(
        vocab_size=97, max_len=29, d_model=60, n_heads=15, n_kv_heads=5, n_layers=2, d_ff=37, theta=53.0, tied=True
    ),
    "llama of wide heads": ModernDecoderConfig(
        vocab_size=83, max_len=19, d_model=33, n_heads=3, n_kv_heads=1, d_head=14, n_layers=2, d_ff=31, norm_eps=0.01
    ),
}
DECODERS = GPTS | MODERN
every_decoder = pytest.mark.parametrize("config", DECODERS.values(), ids=DECODERS.keys())
BATCH, LENGTH, LENGTHS = 3, 17, (17, 11, 2)


@pytest.mark.parametrize("padding", ["none", "right", "left"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@every_decoder
def test_logits_loss_and_gradients(config, dtype, padding):
    # In double precision their eager Llama rounds its softmax to single.
    eager = padding == "none" and (config in GPTS.values() or dtype == torch.float32)
    both = pair(config, dtype, "eager" if eager else "sdpa")
    input_ids, mask = tokens(config, BATCH, LENGTH), ragged(LENGTHS, padding)
    labels = input_ids if mask is None else input_ids.masked_fill(mask == 0, -100)

    logits = both.ours(input_ids, attention_mask=mask)
    expected = both.theirs(input_ids, attention_mask=mask, position_ids=positions(mask), labels=labels)
    real = torch.ones_like(input_ids).bool() if mask is None else mask.bool()
    # What a padding position predicts means nothing, even where (on the left) a real token comes next.
    targets = labels[:, 1:].masked_fill(~real[:, :-1], -100).flatten()
    loss, their_loss = (F.cross_entropy(scores[:, :-1].flatten(0, 1), targets) for scores in (logits, expected.logits))
    assert_agree([logits[real], loss], [expected.logits[real], their_loss], TOLERANCE[dtype])
    if padding != "left":
        assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)  # theirs is always in float32

    loss.backward()
    their_loss.backward()
    assert_gradients_agree(both, TOLERANCE[dtype])


@pytest.mark.parametrize("padded", [False, True])
@every_decoder
def test_cached_reading(config, padded):
    both = pair(config, torch.float64)
    input_ids, mask = tokens(config, BATCH, LENGTH), ragged(LENGTHS if padded else (LENGTH,) * BATCH, "left")
    caches, their_cache, n_read = both.ours.new_caches(BATCH), DynamicCache(config=both.theirs.config), 0
    with torch.no_grad():
        for piece in input_ids.split([7, 1, 1, 5, 3], dim=1):
            new = slice(n_read, n_read + piece.shape[1])
            n_read = new.stop
            logits = both.ours(piece, caches, attention_mask=mask[:, :n_read])
            expected = both.theirs(
                piece,
                past_key_values=their_cache,
                attention_mask=mask[:, :n_read],
                position_ids=positions(mask)[:, new],
            ).logits
            real = mask[:, new].bool()
            assert_agree([logits[real]], [expected[real]], 1e-10)


@every_decoder
def test_greedy_continuations_of_ragged_prompts(config):
    both, n_new = pair(config, torch.float64), 9
    prompt, mask = tokens(config, BATCH, 7), ragged((7, 5, 2), "left")
    theirs = both.theirs.generate(
        prompt, attention_mask=mask, max_new_tokens=n_new, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    text, new, caches = prompt, prompt, both.ours.new_caches(BATCH)
    with torch.no_grad():
        for _ in range(n_new):
            new = both.ours(new, caches, attention_mask=mask)[:, -1:].argmax(-1)
            text, mask = torch.cat([text, new], dim=1), torch.cat([mask, torch.ones_like(new)], dim=1)
    assert torch.equal(text, theirs)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_attention_alone_is_gpt2s(dtype, implementation):
    config = GPTS["gpt"]
    both = pair(config, dtype, implementation)
    ours, theirs = both.ours.decoder.blocks[1].attention, both.theirs.transformer.h[1].attn
    x = heads(BATCH, LENGTH, config.d_model, dtype=dtype)
    future = torch.full((LENGTH, LENGTH), torch.finfo(dtype).min, dtype=dtype).triu(1)[None, None]
    mine = value_and_gradients(lambda t: ours(t, is_causal=True), x)
    assert_agree(mine, value_and_gradients(lambda t: theirs(t, attention_mask=future)[0], x), TOLERANCE[dtype])
    for name, gradient in zip(("query", "key", "value"), theirs.c_attn.weight.grad.chunk(3, dim=1), strict=True):
        assert_agree([getattr(ours, name).weight.grad], [gradient.mT], TOLERANCE[dtype])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.1)], ids=str)
@pytest.mark.parametrize("config", [GPTS["gpt"], MODERN["llama"]], ids=["gpt", "llama"])
def test_half_precision_is_as_near_to_the_exact_logits_as_theirs(config, dtype, tolerance):
    both, input_ids = pair(config), tokens(config, BATCH, LENGTH)
    with torch.no_grad():
        exact = copy.deepcopy(both.theirs).double()(input_ids).logits
        scale = exact.abs().max()
        for logits in (both.ours.to(dtype)(input_ids), both.theirs.to(dtype)(input_ids).logits):
            assert_agree([logits.double() / scale], [exact / scale], tolerance)
