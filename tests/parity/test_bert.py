"""Our BERT against transformers' with all its heads: vectors, logits, the loss of pretraining, every gradient."""

import pytest
import torch
import torch.nn.functional as F

from companion.models import BERTConfig
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree
from tests.parity.pairs import assert_gradients_agree, pair, positions, ragged, tokens

CONFIGS = {
    "bert": BERTConfig(vocab_size=101, max_len=23, d_model=35, n_heads=5, n_layers=3, d_ff=53),
    "of three segments": BERTConfig(vocab_size=43, max_len=17, d_model=13, n_heads=1, n_layers=1, d_ff=7, n_segments=3),
    "of another eps": BERTConfig(vocab_size=61, max_len=19, d_model=22, n_heads=11, n_layers=2, d_ff=5, norm_eps=0.01),
}
BATCH, LENGTH, LENGTHS = 3, 17, (17, 11, 3)


@pytest.mark.parametrize("padding", ["none", "right", "left"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_vectors_logits_loss_and_gradients(config, dtype, padding):
    both = pair(config, dtype, "eager" if padding == "none" else "sdpa")
    input_ids, mask = tokens(config, BATCH, LENGTH), ragged(LENGTHS, padding)
    segments = input_ids % config.n_segments
    real = torch.ones_like(input_ids).bool() if mask is None else mask.bool()
    hidden_tokens = real & (tokens(config, BATCH, LENGTH, seed=1) % 3 == 0)
    labels, follows = input_ids.masked_fill(~hidden_tokens, -100), torch.tensor([0, 1, 1])

    hidden = both.ours(input_ids, attention_mask=mask, token_type_ids=segments)
    expected = both.theirs(
        input_ids,
        attention_mask=mask,
        position_ids=positions(mask),
        token_type_ids=segments,
        labels=labels,
        next_sentence_label=follows,
        output_hidden_states=True,
    )
    assert_agree([hidden[real]], [expected.hidden_states[-1][real]], TOLERANCE[dtype])
    assert_agree([both.ours.mlm_logits(hidden)[real]], [expected.prediction_logits[real]], TOLERANCE[dtype])
    # Only what is asked for is worked out.
    asked = both.ours.mlm_logits(hidden[hidden_tokens])
    # The first position is the pooler's; on the left of a padded text it means nothing.
    texts = real[:, 0]
    nsp = both.ours.nsp_logits(hidden)
    assert_agree([nsp[texts]], [expected.seq_relationship_logits[texts]], TOLERANCE[dtype])
    loss = F.cross_entropy(asked, labels[hidden_tokens]) + F.cross_entropy(nsp[texts], follows[texts])
    their_loss = F.cross_entropy(expected.prediction_logits.flatten(0, 1), labels.flatten()) + F.cross_entropy(
        expected.seq_relationship_logits[texts], follows[texts]
    )
    assert_agree([loss], [their_loss], TOLERANCE[dtype])
    if padding != "left":
        assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)

    loss.backward()
    their_loss.backward()
    assert_gradients_agree(both, TOLERANCE[dtype])


def test_without_segments_all_tokens_are_of_the_first():
    config = CONFIGS["bert"]
    both, input_ids = pair(config, torch.float64), tokens(config, BATCH, LENGTH)
    expected = both.theirs.bert(input_ids)
    hidden = both.ours(input_ids)
    assert_agree([hidden, both.ours.pool(hidden)], [expected.last_hidden_state, expected.pooler_output], 1e-10)
