"""Our T5 against transformers', 1.0 and 1.1: vectors, logits, losses, gradients, cached decoding, greedy text."""

import pytest
import torch
import torch.nn.functional as F
from transformers import DynamicCache, EncoderDecoderCache

from companion.models import T5Config
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree
from tests.parity.pairs import assert_gradients_agree, pair, ragged, tokens

CONFIGS = {
    "t5 1.0": T5Config(
        vocab_size=101, d_model=35, n_heads=5, n_layers=2, d_ff=53, n_buckets=8, max_distance=11, start_id=0
    ),
    "t5 1.1": T5Config(
        vocab_size=97, d_model=13, n_heads=3, d_head=7, n_layers=1, n_decoder_layers=3, d_ff=29, gated=True, tied=False
    ),
    "gated and tied": T5Config(
        vocab_size=43, d_model=22, n_heads=2, d_head=3, n_layers=3, n_decoder_layers=1, d_ff=7, gated=True, start_id=5
    ),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
BATCH, READ, LENGTHS, WRITTEN, OUT_LENGTHS = 3, 17, (11, 17, 2), 13, (13, 5, 2)


@pytest.mark.parametrize("padding", ["none", "right", "left"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@every_config
def test_vectors_logits_loss_and_gradients(config, dtype, padding):
    both = pair(config, dtype, "eager" if padding == "none" else "sdpa")
    input_ids, mask = tokens(config, BATCH, READ), ragged(LENGTHS, padding)
    labels, out_mask = tokens(config, BATCH, WRITTEN, seed=1), ragged(OUT_LENGTHS, padding)
    real, written = (
        torch.ones(BATCH, n).bool() if m is None else m.bool() for m, n in ((mask, READ), (out_mask, WRITTEN))
    )
    labels = labels.masked_fill(~written, -100)
    written_input = both.ours.shift_right(labels)

    encoded = both.ours.encode(input_ids, attention_mask=mask)
    their_encoded = both.theirs.encoder(input_ids, attention_mask=mask).last_hidden_state
    assert_agree([encoded[real]], [their_encoded[real]], TOLERANCE[dtype])

    logits = both.ours(input_ids, written_input, attention_mask=mask, decoder_attention_mask=out_mask)
    expected = both.theirs(
        input_ids,
        attention_mask=mask,
        decoder_input_ids=written_input,
        decoder_attention_mask=out_mask,
        labels=labels,
    )
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    assert_agree([logits[written], loss], [expected.logits[written], expected.loss], TOLERANCE[dtype])

    loss.backward()
    expected.loss.backward()
    assert_gradients_agree(both, TOLERANCE[dtype])


@every_config
def test_shift_right(config):
    both, labels = pair(config), tokens(config, BATCH, WRITTEN)
    labels[1, 5:] = -100
    both.theirs.config.pad_token_id = config.start_id
    assert torch.equal(both.ours.shift_right(labels), both.theirs._shift_right(labels))


@every_config
def test_cached_decoding(config):
    both = pair(config, torch.float64)
    input_ids, mask = tokens(config, BATCH, READ), ragged(LENGTHS, "right")
    written, out_mask = tokens(config, BATCH, WRITTEN, seed=1), ragged(OUT_LENGTHS, "left")
    encoded = both.ours.encode(input_ids, attention_mask=mask)
    their_encoded = both.theirs.encoder(input_ids, attention_mask=mask)
    their_cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    with torch.no_grad():
        known, caches, n_read = both.ours.cross_keys_values(encoded), both.ours.new_caches(BATCH, WRITTEN), 0
        for piece in written.split([5, 1, 1, 4, 2], dim=1):
            new = slice(n_read, n_read + piece.shape[1])
            n_read = new.stop
            both_masks = {"attention_mask": mask, "decoder_attention_mask": out_mask[:, :n_read]}
            logits = both.ours.decode(piece, known, caches, **both_masks)
            expected = both.theirs(
                encoder_outputs=their_encoded, decoder_input_ids=piece, past_key_values=their_cache, **both_masks
            ).logits
            real = out_mask[:, new].bool()
            assert_agree([logits[real]], [expected[real]], 1e-10)


@every_config
def test_greedy_continuations_of_ragged_texts(config):
    both, n_new = pair(config, torch.float64), 9
    input_ids, mask = tokens(config, BATCH, READ), ragged(LENGTHS, "right")
    both.theirs.generation_config.eos_token_id = None
    theirs = both.theirs.generate(
        input_ids,
        attention_mask=mask,
        max_new_tokens=n_new,
        do_sample=False,
        use_cache=False,  # theirs makes one for as many layers as the encoder has
    )
    with torch.no_grad():
        known = both.ours.cross_keys_values(both.ours.encode(input_ids, attention_mask=mask))
        caches = both.ours.new_caches(BATCH, n_new)
        text = new = torch.full((BATCH, 1), config.start_id)
        for _ in range(n_new):
            new = both.ours.decode(new, known, caches, attention_mask=mask)[:, -1:].argmax(-1)
            text = torch.cat([text, new], dim=1)
    assert torch.equal(text, theirs)
