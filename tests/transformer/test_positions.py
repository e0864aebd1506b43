"""Every scheme of positions is its equation, and the relative ones feel nothing but the distance."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb
from transformers.models.t5.modeling_t5 import T5Attention

from companion.attention import MultiHeadAttention, Rotation, attention_weights, rotate
from companion.transformer import (
    LearnedPositions,
    Rotary,
    SinusoidalPositions,
    T5RelativeBias,
    alibi_bias,
    count_positions,
)
from tests.attention.compare import assert_agree, heads, value_and_gradients

# sinusoidal


@pytest.mark.parametrize("d_model", [1, 6, 11])
def test_sinusoidal_positions_are_the_papers(d_model):
    vectors = SinusoidalPositions(d_model)(torch.tensor([[0, 3, 50]]))
    for j, position in enumerate((0, 3, 50)):
        for feature in range(d_model):
            angle = position / 10000 ** (2 * (feature // 2) / d_model)
            expected = math.cos(angle) if feature % 2 else math.sin(angle)
            assert vectors[0, j, feature].item() == pytest.approx(expected, abs=1e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_sinusoidal_vectors_of_two_positions_feel_only_the_distance(start, distance):
    vectors = SinusoidalPositions(16)(torch.tensor([0, distance, start, start + distance])).double()
    assert (vectors[0] @ vectors[1]).item() == pytest.approx((vectors[2] @ vectors[3]).item(), abs=2e-3)


# learned


def test_learned_positions_look_up_their_vectors():
    positions = LearnedPositions(7, 3)
    numbers = torch.tensor([[0, 6, 2]])
    assert torch.equal(positions(numbers), positions.weight[numbers])
    assert torch.equal(positions(slice(2, 5)), positions.weight[2:5])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_positions_are_counted_from_the_first_token(padding, lengths):
    mask, expected = [], []
    for n_padding, length in zip(padding, lengths, strict=False):
        mask.append([0] * n_padding + [1] * length + [0] * (6 - n_padding - length))
        expected.append(list(range(length)))
    mask = torch.tensor(mask)
    counted = count_positions(mask)
    assert counted.min() >= 0
    for row, keep, wanted in zip(counted, mask.bool(), expected, strict=True):
        assert row[keep].tolist() == wanted


# rotary


def test_rotary_turns_each_pair_of_features():
    d_head, base = 6, 50.0
    x = heads(2, 3, 5, d_head)
    positions = torch.tensor([[0, 1, 2, 9, 4], [7, 1, 1, 0, 30]])
    turned = rotate(x, Rotary(d_head, base=base)(positions))
    for batch in range(2):
        for pos in range(5):
            for pair in range(3):
                angle = positions[batch, pos].item() / base ** (2 * pair / d_head)
                number = torch.complex(x[batch, :, pos, pair], x[batch, :, pos, pair + 3]) * complex(
                    math.cos(angle), math.sin(angle)
                )
                assert_agree([turned[batch, :, pos, pair]], [number.real], 1e-5)
                assert_agree([turned[batch, :, pos, pair + 3]], [number.imag], 1e-5)


def test_rotation_is_llamas_in_value_and_gradient():
    x, rotation = heads(2, 3, 5, 6), Rotary(6)(torch.arange(5)[None])
    cos, sin = (torch.cat([part, part], dim=-1).double() for part in rotation)
    theirs = value_and_gradients(lambda t: apply_rotary_pos_emb(t, t, cos, sin)[0], x)
    assert_agree(value_and_gradients(lambda t: rotate(t, rotation), x), theirs, 1e-10)


@given(st.integers(0, 300), st.sampled_from([2, 4, 10]))
def test_rotary_scores_feel_only_the_distance(shift, d_head):
    query, key = heads(1, 2, 5, d_head), heads(1, 2, 5, d_head, seed=1)
    rotary, positions = Rotary(d_head), torch.arange(5)[None]

    def scores(positions):
        rotation = Rotation(*(part.double() for part in rotary(positions)))
        return rotate(query, rotation) @ rotate(key, rotation).mT

    assert_agree([scores(positions + shift)], [scores(positions)], 1e-3)  # angles are single precision


def test_a_rotation_changes_no_length():
    x = heads(2, 3, 5, 6)
    turned = rotate(x, Rotary(6)(torch.randint(1000, (2, 5))))
    assert_agree([turned.norm(dim=-1)], [x.norm(dim=-1)], 1e-6)
    assert torch.equal(rotate(x, Rotary(6)(torch.zeros(1, 5).long())), x)


# T5's relative bias


@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (8, 13), (6, 7), (10, 1000)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_are_t5s(n_buckets, max_distance, bidirectional):
    bias = T5RelativeBias(3, n_buckets=n_buckets, max_distance=max_distance, bidirectional=bidirectional)
    distances = torch.arange(-2000, 2001)
    expected = T5Attention._relative_position_bucket(distances, bidirectional, n_buckets, max_distance)
    assert torch.equal(bias.buckets(distances), expected)


@given(st.integers(1, 7), st.integers(0, 7), st.booleans())
def test_relative_bias_feels_only_the_distance(n_query, n_read, bidirectional):
    bias = T5RelativeBias(3, n_buckets=8, max_distance=11, bidirectional=bidirectional)
    n_key = n_read + n_query
    values = bias(n_query, n_key)
    assert values.shape == (1, 3, n_query, n_key)
    everything = bias(n_key)
    assert torch.equal(values, everything[:, :, n_read:])
    assert torch.equal(everything[..., 1:, 1:], everything[..., :-1, :-1])


def test_a_causal_bias_gives_the_future_the_bucket_of_the_present():
    bias = T5RelativeBias(3, bidirectional=False)
    assert bias.buckets(torch.tensor([0, 1, 50])).tolist() == [0, 0, 0]


def test_relative_bias_learns():
    bias = T5RelativeBias(3, n_buckets=8, max_distance=11)
    bias(5).sum().backward()
    used = bias.buckets(torch.arange(5) - torch.arange(5)[:, None]).flatten().bincount(minlength=8)
    assert torch.equal(bias.weight.grad, used[:, None].expand(8, 3).float())


# ALiBi


@pytest.mark.parametrize("n_heads", [1, 2, 3, 8, 12, 20])
def test_alibi_is_blooms_where_a_key_may_be_seen(n_heads):
    n = 7
    theirs = build_alibi_tensor(torch.ones(1, n), n_heads, torch.float32).view(1, n_heads, 1, n)
    query, key = heads(1, n_heads, n, 5, dtype=torch.float32), heads(1, n_heads, n, 5, dtype=torch.float32, seed=1)
    ours = attention_weights(query, key, bias=alibi_bias(n_heads, n), is_causal=True)
    # Theirs grows with the key instead of falling with the distance: the same to a softmax, row by row.
    assert_agree([ours], [attention_weights(query, key, bias=theirs, is_causal=True)], 1e-5)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 5))
def test_alibi_feels_only_the_distance(n_heads, n_query, n_read):
    n_key = n_read + n_query
    everything = alibi_bias(n_heads, n_key, dtype=torch.float64)
    assert torch.equal(alibi_bias(n_heads, n_query, n_key, dtype=torch.float64), everything[:, :, n_read:])
    assert torch.equal(everything[..., 1:, 1:], everything[..., :-1, :-1])
    assert torch.equal(everything.diagonal(dim1=-2, dim2=-1), torch.zeros(1, n_heads, n_key).double())
    assert (everything <= 0).all()


def test_alibi_of_8_heads_halves_from_head_to_head():
    assert [-b for b in alibi_bias(8, 2)[0, :, 1, 0].tolist()] == [2.0**-i for i in range(1, 9)]


# in attention


@pytest.mark.parametrize("scheme", ["rotary", "T5", "ALiBi"])
def test_a_relative_scheme_makes_order_matter_and_a_shift_not(scheme):
    attention = MultiHeadAttention(12, 3).double()
    relative, rotary, x = T5RelativeBias(3).double(), Rotary(4), heads(1, 5, 12)

    def run(x, start=0):
        if scheme == "rotary":
            return attention(x, rotation=rotary(torch.arange(start, start + 5)[None]), is_causal=True)
        bias = relative(5) if scheme == "T5" else alibi_bias(3, 5, dtype=torch.float64)
        return attention(x, bias=bias, is_causal=True)

    order = torch.tensor([3, 1, 0, 2, 4])
    assert not torch.allclose(run(x[:, order])[:, -1], run(x)[:, -1], atol=1e-4)
    padding = heads(1, 3, 12, seed=1)
    mask = torch.arange(8)[None, None, None] >= 3
    both = torch.cat([padding, x], dim=1)
    if scheme == "rotary":
        shifted = attention(both, mask=mask, rotation=rotary(torch.arange(8)[None]), is_causal=True)
    else:
        bias = relative(8) if scheme == "T5" else alibi_bias(3, 8, dtype=torch.float64)
        shifted = attention(both, mask=mask, bias=bias, is_causal=True)
    assert_agree([shifted[:, 3:]], [run(x)], 1e-5 if scheme == "rotary" else 1e-10)


IDS = torch.arange(3)[None]
X = heads(2, 3, 5, 6)
CASES = {
    "sinusoidal size": (lambda: SinusoidalPositions(0), ValueError, "d_model must be at least 1, got 0"),
    "sinusoidal base": (lambda: SinusoidalPositions(4, base=1.0), ValueError, "base must be above 1, got 1.0"),
    "sinusoidal floats": (
        lambda: SinusoidalPositions(4)(IDS.float()),
        TypeError,
        "positions must be a tensor of torch",
    ),
    "learned size": (lambda: LearnedPositions(3, 0), ValueError, "d_model must be at least 1"),
    "learned list": (lambda: LearnedPositions(3, 2)([0]), TypeError, "positions must be a tensor"),
    "too far": (lambda: LearnedPositions(3, 2)(IDS + 1), ValueError, "below max_len=3, got values from 1 to 3"),
    "negative": (lambda: LearnedPositions(3, 2)(IDS - 1), ValueError, "at least 0 and below max_len=3"),
    "slice": (lambda: LearnedPositions(3, 2)(slice(1, 4)), ValueError, "positions must be below max_len=3"),
    "mask": (lambda: count_positions(torch.ones(2, 3)), TypeError, "attention_mask must be an integer"),
    "odd head": (lambda: Rotary(5), ValueError, "d_head must be even.*got 5"),
    "rotary base": (lambda: Rotary(4, base=float("inf")), ValueError, "base must be finite"),
    "rotary floats": (lambda: Rotary(4)(IDS.float()), TypeError, "positions must be a tensor"),
    "rotate rank": (lambda: rotate(X[0], Rotary(6)(IDS)), ValueError, "x must have exactly 4 axes"),
    "rotate tuple": (lambda: rotate(X, (X, X)), TypeError, "rotation must be a Rotation, as Rotary makes it"),
    "rotate length": (lambda: rotate(X, Rotary(6)(IDS)), ValueError, r"rotation.cos must have shape \(1 or 2, 5, 3\)"),
    "rotate head": (lambda: rotate(X, Rotary(8)(torch.arange(5)[None])), ValueError, r"\(1 or 2, 5, 3\).*\(1, 5, 4\)"),
    "no heads": (lambda: T5RelativeBias(0), ValueError, "n_heads must be at least 1"),
    "odd buckets": (lambda: T5RelativeBias(2, n_buckets=7), ValueError, "n_buckets must be even.*got 7"),
    "few buckets": (lambda: T5RelativeBias(2, n_buckets=2), ValueError, "n_buckets must be at least 4"),
    "distance": (
        lambda: T5RelativeBias(2, n_buckets=32, max_distance=8),
        ValueError,
        "max_distance must be above the 8 distances.*n_buckets=32, got 8",
    ),
    "more queries": (lambda: T5RelativeBias(2)(5, 3), ValueError, "n_key must be at least n_query=5.*got 3"),
    "distances": (lambda: T5RelativeBias(2).buckets(X), TypeError, "distances must be a tensor of torch.int64"),
    "alibi heads": (lambda: alibi_bias(0, 3), ValueError, "n_heads must be at least 1, got 0"),
    "alibi queries": (lambda: alibi_bias(2, 3.0), TypeError, "n_query must be an integer, got 3.0"),
    "alibi keys": (lambda: alibi_bias(2, 3, 2), ValueError, "n_key must be at least n_query=3"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
