"""In training, dropout falls where transformers has it: with one seed, the same features are dropped.

Llama is left out, which drops attention weights alone.
"""

import dataclasses

import pytest
import torch

from companion.models import BERTConfig, T5Config
from tests.attention.compare import assert_agree
from tests.parity import test_bert, test_decoders, test_t5
from tests.parity.pairs import pair, tokens

CONFIGS = test_decoders.GPTS | test_bert.CONFIGS | test_t5.CONFIGS


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_the_same_features_are_dropped(config):
    both = pair(dataclasses.replace(config, dropout=0.3))
    both.ours.train()
    both.theirs.train()
    input_ids = tokens(config, 3, 9)
    runs = {
        T5Config: (lambda m: m(input_ids, input_ids), lambda m: m(input_ids, decoder_input_ids=input_ids).logits),
        BERTConfig: (lambda m: m.mlm_logits(m(input_ids)), lambda m: m(input_ids).prediction_logits),
    }
    ours, theirs = runs.get(type(config), (lambda m: m(input_ids), lambda m: m(input_ids).logits))
    torch.manual_seed(7)
    mine = ours(both.ours)
    torch.manual_seed(7)
    assert_agree([mine], [theirs(both.theirs)], 1e-5)
    assert not torch.allclose(mine, ours(both.ours))
