"""What each family does in its own way: heads, ties, defaults of sizes, dropout."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.models import BERT, GPT, T5, ModernDecoder, ModernDecoderConfig
from companion.transformer import LayerNorm, RMSNorm
from tests.attention.compare import assert_agree
from tests.models.families import CONFIGS, make, tokens

IDS = tokens(2, 5)


def changed(kind, **changes):
    return make(kind, dataclasses.replace(CONFIGS[kind], **changes))


SHIFTING = changed(T5, start_id=7)


def run(model):
    return model(IDS, IDS) if isinstance(model, T5) else model(IDS)


def test_configs_hold_what_the_models_use():
    common = {"vocab_size", "d_model", "n_heads", "n_layers", "d_ff", "dropout", "norm_eps"}
    own = {
        GPT: {"max_len", "bias"},
        BERT: {"max_len", "n_segments"},
        ModernDecoder: {"max_len", "n_kv_heads", "d_head", "theta", "tied"},
        T5: {"n_decoder_layers", "d_head", "gated", "tied", "n_buckets", "max_distance", "start_id"},
    }
    for kind, config in CONFIGS.items():
        assert {field.name for field in dataclasses.fields(config)} == common | own[kind]


def test_defaults_of_sizes_follow_d_model():
    for kind in (GPT, BERT, T5):
        model = changed(kind, d_ff=None)
        stack = model.decoder if kind is GPT else model.encoder
        assert stack.blocks[0].feed_forward.up.out_features == 4 * 15
    block = changed(ModernDecoder, d_ff=None, d_head=None, n_heads=3, n_kv_heads=None).decoder.blocks[0]
    assert block.feed_forward.up.out_features == 8 * 18 // 3
    assert (block.attention.n_kv_heads, block.attention.d_head) == (3, 6)
    assert len(changed(T5, n_decoder_layers=None).decoder.blocks) == 2


def test_a_gate_of_8_thirds_weighs_as_much_as_four_times_without():
    d_model = 12
    config = ModernDecoderConfig(vocab_size=5, max_len=5, d_model=d_model, n_heads=2, n_layers=1)
    feed_forward = ModernDecoder(config).decoder.blocks[0].feed_forward
    assert sum(parameter.numel() for parameter in feed_forward.parameters()) == 2 * d_model * 4 * d_model


@pytest.mark.parametrize("kind", [ModernDecoder, T5])
def test_a_tied_model_has_no_head_of_its_own(kind):
    tied, untied = changed(kind, tied=True), changed(kind, tied=False)
    assert tied.head is None
    assert untied.head.weight.shape == tied.token_embedding.weight.shape
    names = {name for name, _ in untied.named_parameters()} - {name for name, _ in tied.named_parameters()}
    assert names == {"head.weight"}


def test_a_tied_t5_scales_its_scores_and_an_untied_one_does_not():
    tied, untied = changed(T5, tied=True), changed(T5, tied=False)
    untied.load_state_dict(tied.state_dict() | {"head.weight": tied.token_embedding.weight})
    assert_agree([run(tied)], [run(untied) / 15**0.5], 1e-12)


@pytest.mark.parametrize("kind", CONFIGS)
def test_norms_are_the_families_and_have_its_eps(kind):
    model = changed(kind, norm_eps=0.25)
    norms = [part for part in model.modules() if isinstance(part, (LayerNorm, RMSNorm))]
    blocks = [block for name, block in model.named_modules() if name.endswith("attention_norm")]
    assert len(norms) > len(blocks) > 0
    assert {type(norm) for norm in norms} == {LayerNorm if kind in (GPT, BERT) else RMSNorm}
    assert {norm.eps for norm in norms} == {0.25}


@pytest.mark.parametrize("kind", CONFIGS)
def test_dropout_acts_in_training_only(kind):
    model = changed(kind, dropout=0.5)
    assert torch.equal(run(model), run(model))
    model.train()
    assert not torch.equal(run(model), run(model))


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_generator_decides_the_weights(kind):
    one, same, other = (kind(CONFIGS[kind], torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert_agree(list(one.parameters()), list(same.parameters()), 0.0)
    assert not torch.equal(one.token_embedding.weight, other.token_embedding.weight)


def test_bert_answers_at_selected_positions_what_it_answers_at_all():
    model = make(BERT)
    hidden = model(IDS)
    assert hidden.shape == (2, 5, 15)
    asked = torch.tensor([[0, 1, 0, 0, 1], [1, 0, 0, 0, 0]]).bool()
    assert_agree([model.mlm_logits(hidden[asked])], [model.mlm_logits(hidden)[asked]], 1e-12)
    assert_agree([model.mlm_logits(hidden[0, 0])], [model.mlm_logits(hidden)[0, 0]], 1e-12)


def test_bert_pools_the_first_token():
    model = make(BERT)
    hidden = torch.randn(2, 5, 15, dtype=torch.float64)
    other = torch.cat([hidden[:, :1], torch.randn(2, 3, 15, dtype=torch.float64)], dim=1)
    assert_agree([model.pool(hidden)], [model.pool(other)], 1e-12)
    assert_agree([model.nsp_logits(hidden)], [model.nsp(model.pool(hidden))], 0.0)
    assert model.pool(100 * hidden).abs().max() <= 1


@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_t5_reads_each_label_one_place_after_it_is_wanted(batch, length, seed):
    labels = torch.randint(100, (batch, length), generator=torch.Generator().manual_seed(seed))
    labels[labels < 20] = -100
    shifted = SHIFTING.shift_right(labels)
    assert shifted.shape == labels.shape
    assert (shifted >= 0).all()
    assert shifted[:, 0].eq(SHIFTING.config.start_id).all()
    known = labels[:, :-1] != -100
    assert torch.equal(shifted[:, 1:][known], labels[:, :-1][known])
    assert shifted[:, 1:][~known].eq(SHIFTING.config.start_id).all()


def test_t5_begins_with_its_start_token():
    model = changed(T5, start_id=7)
    labels = torch.tensor([[3, 4, 5], [6, -100, -100]])
    assert model.shift_right(labels).tolist() == [[7, 3, 4], [7, 6, 7]]
    assert labels[1, 1] == -100


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("way", ["autocast", "weights"])
def test_bfloat16_is_the_same_but_for_rounding(kind, way):
    model = make(kind).float()
    mask = torch.tensor([[1] * 5, [1] * 3 + [0] * 2])
    exact, scale = run(model), run(model).abs().max()
    if way == "weights":
        model = model.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way == "autocast"):
        scores = run(model)
        assert ((scores - exact).abs().max() / scale).item() < 0.1
        masked = model(IDS, IDS, attention_mask=mask, decoder_attention_mask=mask) if kind is T5 else None
        masked = model(IDS, attention_mask=mask) if masked is None else masked
        masked[mask.bool()].float().sum().backward()
    used = [parameter for name, parameter in model.named_parameters() if parameter.grad is not None]
    assert len(used) > 10
    assert all(parameter.grad.isfinite().all() for parameter in used)
