"""Multi-head attention: heads split the features, and the module is the equation between four projections."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.attention import MultiHeadAttention, causal_mask, merge_heads, split_heads
from tests.attention.compare import assert_agree, heads, value_and_gradients
from tests.attention.naive import naive_attention

BATCH, QUERY, KEY, D_MODEL, N_HEADS = 2, 5, 11, 42, 6


@given(st.integers(0, 3), st.integers(1, 7), st.integers(1, 5), st.integers(1, 5))
def test_merge_undoes_split(batch, pos, n_heads, d_head):
    x = heads(batch, pos, n_heads * d_head)
    split = split_heads(x, n_heads)
    assert split.shape == (batch, n_heads, pos, d_head)
    assert torch.equal(merge_heads(split), x)


def test_a_head_holds_its_own_features_of_every_position():
    x = torch.arange(2 * 3 * 10.0).reshape(2, 3, 10)
    split = split_heads(x, 5)
    for head in range(5):
        assert torch.equal(split[:, head], x[..., 2 * head : 2 * head + 2])


def test_split_takes_tensors_of_any_layout():
    x = heads(10, 3, 2).permute(2, 1, 0)
    assert torch.equal(split_heads(x, 5), split_heads(x.contiguous(), 5))


def by_hand(module, x, context, mask):
    """The module, written out head by head."""
    query, key, value = module.query(x), module.key(context), module.value(context)
    d_head, group = D_MODEL // N_HEADS, N_HEADS // module.n_kv_heads
    outputs = []
    for head in range(N_HEADS):
        mine = slice(head * d_head, (head + 1) * d_head)
        shared = slice(head // group * d_head, (head // group + 1) * d_head)
        outputs.append(naive_attention(query[..., mine], key[..., shared], value[..., shared], mask))
    return module.output(torch.cat(outputs, dim=-1))


@pytest.mark.parametrize("n_kv_heads", [1, 2, 3, 6])
@pytest.mark.parametrize("bias", [True, False])
def test_module_is_attention_head_by_head_between_projections(n_kv_heads, bias):
    module = MultiHeadAttention(D_MODEL, N_HEADS, n_kv_heads=n_kv_heads, bias=bias).double()
    assert all((layer.bias is not None) == bias for layer in module.children())
    x, context = heads(BATCH, QUERY, D_MODEL), heads(BATCH, KEY, D_MODEL, seed=1)
    cross = value_and_gradients(lambda *t: module(*t), x, context)
    assert_agree(cross, value_and_gradients(lambda x, c: by_hand(module, x, c, None), x, context), 1e-10)
    causal = value_and_gradients(lambda t: module(t, is_causal=True), x)
    assert_agree(causal, value_and_gradients(lambda t: by_hand(module, t, t, causal_mask(QUERY)), x), 1e-10)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"mask": torch.eye(QUERY, dtype=torch.bool)}])
def test_weights_are_those_that_forward_uses(options):
    module = MultiHeadAttention(D_MODEL, N_HEADS, n_kv_heads=2).double()
    x = heads(BATCH, QUERY, D_MODEL)
    weights = module.weights(x, **options)
    values = split_heads(module.value(x), 2).repeat_interleave(3, dim=1)
    assert_agree([module.output(merge_heads(weights @ values))], [module(x, **options)], 1e-10)


def test_weights_of_cross_attention_have_a_column_a_key():
    module = MultiHeadAttention(D_MODEL, N_HEADS)
    weights = module.weights(torch.randn(BATCH, QUERY, D_MODEL), torch.randn(BATCH, KEY, D_MODEL))
    assert weights.shape == (BATCH, N_HEADS, QUERY, KEY)


def test_without_positions_attention_is_equivariant_to_permutation():
    module = MultiHeadAttention(D_MODEL, N_HEADS).double()
    x, order = heads(BATCH, KEY, D_MODEL), torch.randperm(KEY)
    assert_agree([module(x[:, order])], [module(x)[:, order]], 1e-10)


def test_dropout_acts_in_training_only():
    module = MultiHeadAttention(D_MODEL, N_HEADS, dropout=0.5)
    x = torch.randn(BATCH, QUERY, D_MODEL)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_a_text_that_is_all_padding_gives_the_output_bias():
    module = MultiHeadAttention(D_MODEL, N_HEADS)
    x = torch.randn(BATCH, QUERY, D_MODEL, requires_grad=True)
    mask = torch.tensor([True, False])[:, None, None, None]
    output = module(x, mask=mask)
    torch.testing.assert_close(output[1], module.output.bias.expand(QUERY, D_MODEL))
    output.sum().backward()
    assert x.grad[0].ne(0).any()
    assert x.grad[1].eq(0).all()


def test_an_empty_batch_gives_an_empty_output():
    assert MultiHeadAttention(D_MODEL, N_HEADS)(torch.ones(0, QUERY, D_MODEL)).shape == (0, QUERY, D_MODEL)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_runs_under_autocast(dtype):
    module = MultiHeadAttention(D_MODEL, N_HEADS)
    x = torch.randn(BATCH, QUERY, D_MODEL)
    with torch.autocast("cpu", dtype=dtype):
        output = module(module(x, is_causal=True))
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), module(module(x, is_causal=True)), rtol=0.05, atol=0.05)
