"""The loss that scores a few positions at a time: the numbers and gradients of all scores at once."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.objectives import linear_cross_entropy, token_loss

VOCAB, FEATURES = 23, 8


def inputs(shape=(3, 5), dtype=torch.float64, seed=0):
    """Features, weights, and labels of which some do not count."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(*shape, FEATURES, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(VOCAB, FEATURES, generator=generator, dtype=dtype, requires_grad=True)
    labels = torch.randint(VOCAB, shape, generator=generator)
    return hidden, weight, labels.masked_fill(torch.rand(shape, generator=generator) < 0.3, -100)


def plain(hidden, weight, labels):
    """The formula as it stands."""
    logits = hidden @ weight.mT
    kept = labels != -100
    return (logits.logsumexp(-1) - logits.gather(-1, labels.clamp(min=0)[..., None])[..., 0])[kept].sum()


@pytest.mark.parametrize("rows", [1, 4, 15, 1024])
@pytest.mark.parametrize("shape", [(15,), (3, 5), (1, 3, 2)])
def test_equals_the_formula_with_all_scores_at_once(shape, rows):
    hidden, weight, labels = inputs(shape)
    loss = linear_cross_entropy(hidden, weight, labels, rows=rows)
    expected = plain(hidden, weight, labels)
    torch.testing.assert_close(loss.total, expected, rtol=1e-12, atol=1e-12)
    assert loss.count == (labels != -100).sum()
    ours = torch.autograd.grad(3 * loss.mean, (hidden, weight))
    theirs = torch.autograd.grad(3 * expected / loss.count, (hidden, weight))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    hidden, weight, labels = inputs((4,))
    assert torch.autograd.gradcheck(lambda h, w: linear_cross_entropy(h, w, labels, rows=3).total, (hidden, weight))


def test_without_gradients_the_same_number():
    hidden, weight, labels = inputs()
    with torch.no_grad():
        loss = linear_cross_entropy(hidden, weight, labels, rows=4)
    assert not loss.total.requires_grad
    torch.testing.assert_close(loss, token_loss(hidden @ weight.mT, labels))


@pytest.mark.parametrize("frozen", [0, 1])
def test_either_side_may_be_frozen(frozen):
    pair = list(inputs()[:2])
    labels = inputs()[2]
    pair[frozen] = pair[frozen].detach()
    (ours,) = torch.autograd.grad(linear_cross_entropy(*pair, labels).total, pair[1 - frozen])
    (theirs,) = torch.autograd.grad(plain(*pair, labels), pair[1 - frozen])
    torch.testing.assert_close(ours, theirs)


def test_nothing_counts_and_nothing_is_learned():
    hidden, weight, labels = inputs()
    loss = linear_cross_entropy(hidden, weight, torch.full_like(labels, -100))
    loss.mean.backward()
    assert loss.mean == 0
    assert hidden.grad.eq(0).all()
    assert weight.grad.eq(0).all()


def test_in_bfloat16_as_near_as_all_scores_at_once():
    hidden, weight, labels = inputs((64,), torch.float32)
    norm = nn.LayerNorm(FEATURES)  # its output, of single precision, is what a model gives

    def ours(x):
        return linear_cross_entropy(norm(x), weight, labels, rows=16).mean

    def theirs(x):
        return F.cross_entropy(F.linear(norm(x), weight), labels)

    found = []
    for function in (ours, theirs):
        with torch.autocast("cpu", torch.bfloat16):
            loss = function(hidden)
        found.append((loss, *torch.autograd.grad(loss, (hidden, weight))))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=5e-3, atol=0)
    for mine, other in zip(found[0][1:], found[1][1:], strict=True):
        assert mine.dtype == torch.float32
        assert (mine - other).norm() < 0.02 * other.norm()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"hidden": torch.ones(3, 5, FEATURES, dtype=torch.int64)}, TypeError, "hidden must be floating point"),
        ({"weight": torch.ones(VOCAB, FEATURES + 1)}, ValueError, "weight must have the axes"),
        ({"labels": torch.zeros(3, 4, dtype=torch.int64)}, ValueError, "labels must have the shape of hidden"),
        ({"labels": torch.zeros(3, 5)}, TypeError, "labels must be a tensor of"),
        ({"labels": torch.full((3, 5), VOCAB)}, ValueError, f"below the {VOCAB} rows of weight"),
        ({"rows": 0}, ValueError, "rows must be"),
    ],
)
def test_says_what_is_wrong(changes, error, message):
    hidden, weight, labels = inputs(dtype=torch.float32)
    with pytest.raises(error, match=message):
        linear_cross_entropy(**({"hidden": hidden, "weight": weight, "labels": labels} | changes))
