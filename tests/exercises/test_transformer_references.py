"""The transformer lab's references are what other libraries compute."""

import pytest
import torch
from torch import nn
from transformers.models.gptj.modeling_gptj import create_sinusoidal_positions
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRotaryEmbedding, apply_rotary_pos_emb

from companion.exercises import get

GENERATOR = torch.Generator().manual_seed(0)


def test_the_table_of_waves_is_gptjs_with_its_halves_taking_turns():
    table = create_sinusoidal_positions(19, 14)
    expected = torch.stack(table.chunk(2, -1), -1).flatten(1)
    torch.testing.assert_close(get("sinusoidal_positions").reference(19, 14).float(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("base", [10000.0, 500.0])
def test_the_rotation_is_llamas(base):
    config = LlamaConfig(hidden_size=40, num_attention_heads=4, rope_theta=base, max_position_embeddings=64)
    query = torch.randn(2, 4, 7, 10, generator=GENERATOR)
    positions = torch.arange(7) + 11
    cos, sin = LlamaRotaryEmbedding(config)(query, positions[None])
    expected, _ = apply_rotary_pos_emb(query, query, cos, sin)
    found = get("rotary").reference(query.double(), positions, base)
    torch.testing.assert_close(found.float(), expected, atol=1e-5, rtol=1e-5)


def test_the_gated_half_is_llamas():
    mlp = LlamaMLP(LlamaConfig(hidden_size=6, intermediate_size=11, num_attention_heads=2, hidden_act="silu")).double()
    x = torch.randn(3, 5, 6, generator=GENERATOR, dtype=torch.float64)
    weights = (part.weight.mT for part in (mlp.gate_proj, mlp.up_proj, mlp.down_proj))
    torch.testing.assert_close(get("swiglu").reference(x, *weights), mlp(x))


def test_the_norms_are_torchs_modules():
    x = torch.randn(3, 5, 6, generator=GENERATOR)
    weight, bias = torch.randn(2, 6, generator=GENERATOR)
    layer, rms = nn.LayerNorm(6, eps=1e-3), nn.RMSNorm(6, eps=1e-3)
    layer.load_state_dict({"weight": weight, "bias": bias})
    rms.load_state_dict({"weight": weight})
    torch.testing.assert_close(get("layer_norm").reference(x, weight, bias, 1e-3), layer(x))
    torch.testing.assert_close(get("rms_norm").reference(x, weight, 1e-3), rms(x))


def test_no_drawn_distance_lies_on_the_edge_of_a_bucket():
    """There a rounding error of the logarithm would decide, and a right answer might fail."""
    exercise = get("relative_bucket")
    for seed in range(20):
        for case in exercise.cases(torch.Generator().manual_seed(seed)):
            distance, n_buckets, max_distance, bidirectional = case.args
            expected = exercise.reference(*case.args)
            exact = n_buckets // (4 if bidirectional else 2)
            for factor in (1 - 1e-6, 1 + 1e-6):  # of the distances that go through the logarithm
                far = distance.abs() >= exact
                grown = (distance.abs().double() * factor / exact).log() / torch.tensor(max_distance / exact).log()
                bucket = (exact + (grown * exact).floor()).clamp(max=2 * exact - 1)
                half = 2 * exact * (distance > 0) if bidirectional else 0
                seen = far & ((distance < 0) | bidirectional)
                assert torch.equal((bucket + half)[seen].long(), expected[seen])
