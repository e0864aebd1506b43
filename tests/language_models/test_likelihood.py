"""The softmax over the vocabulary and SGD by hand, against torch's own."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from companion.language_models import ascend, descend, log_likelihood, log_likelihood_gradient, log_softmax

TOKENS, VOCAB = 11, 7


def draw(dtype=torch.float64, scale=3.0):
    generator = torch.Generator().manual_seed(1)
    scores = scale * torch.randn(TOKENS, VOCAB, dtype=dtype, generator=generator)
    return scores, torch.randint(VOCAB, (TOKENS,), generator=generator)


def test_log_softmax_is_torchs():
    scores, _ = draw()
    torch.testing.assert_close(log_softmax(scores), F.log_softmax(scores, -1))
    torch.testing.assert_close(log_softmax(scores[0]), F.log_softmax(scores[0], -1))


@given(st.floats(-1e30, 1e30))
def test_a_shift_of_all_scores_changes_no_probability(shift):
    scores = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64)
    moved = log_softmax(scores + shift)
    assert torch.isfinite(moved).all()
    if abs(shift) < 1e6:
        torch.testing.assert_close(moved, log_softmax(scores), atol=1e-8, rtol=1e-8)


def test_the_log_likelihood_is_minus_torchs_summed_loss():
    scores, targets = draw()
    torch.testing.assert_close(log_likelihood(scores, targets), -F.cross_entropy(scores, targets, reduction="sum"))


def test_the_gradient_by_hand_is_autograds_and_minus_that_of_torchs_loss():
    scores, targets = draw()
    leaf = scores.clone().requires_grad_()
    log_likelihood(leaf, targets).backward()
    torch.testing.assert_close(log_likelihood_gradient(scores, targets), leaf.grad)
    other = scores.clone().requires_grad_()
    F.cross_entropy(other, targets, reduction="sum").backward()
    torch.testing.assert_close(log_likelihood_gradient(scores, targets), -other.grad)


def test_the_log_likelihood_passes_gradcheck():
    scores, targets = draw()
    assert torch.autograd.gradcheck(lambda s: log_likelihood(s, targets), scores.requires_grad_())


def test_the_gradient_is_that_of_finite_differences():
    scores, targets = draw()
    gradient, h = log_likelihood_gradient(scores, targets), 1e-6
    for row, column in ((0, 0), (3, 5), (10, 6)):
        up, down = scores.clone(), scores.clone()
        up[row, column] += h
        down[row, column] -= h
        slope = (log_likelihood(up, targets) - log_likelihood(down, targets)) / (2 * h)
        assert float(gradient[row, column]) == pytest.approx(float(slope), abs=1e-7)


def test_each_row_of_the_gradient_sums_to_zero():
    torch.testing.assert_close(
        log_likelihood_gradient(*draw()).sum(-1), torch.zeros(TOKENS, dtype=torch.float64), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("scores", [[[1e4, 0.0, -1e4]], [[-3e38, 3e38, 0.0]]])
def test_scores_of_any_size_give_finite_gradients(scores):
    scores = torch.tensor(scores)
    gradient = log_likelihood_gradient(scores, torch.tensor([2]))
    assert gradient.isfinite().all()


def problem():
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(3, 5, dtype=torch.float64, generator=generator), torch.randn(7, dtype=torch.float64)]


def run(step, parameters, steps=5):
    for _ in range(steps):
        step([parameters[0].square() - 1, parameters[1].sin()])
    return parameters


@pytest.mark.parametrize(("ours", "maximize"), [(ascend, True), (descend, False)])
def test_each_direction_is_torchs_sgd(ours, maximize):
    mine, theirs = problem(), [p.clone() for p in problem()]
    theirs = [t.copy_(m) for t, m in zip(theirs, mine, strict=True)]
    optimizer = torch.optim.SGD(theirs, lr=0.1, maximize=maximize)

    def their_step(gradients):
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()

    run(lambda gradients: ours(mine, gradients, 0.1), mine)
    run(their_step, theirs)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_up_and_down_undo_each_other():
    parameters = problem()
    before = [p.clone() for p in parameters]
    gradients = problem()
    ascend(parameters, gradients, 0.25)
    assert not torch.equal(parameters[0], before[0])
    descend(parameters, gradients, 0.25)
    for a, b in zip(parameters, before, strict=True):
        torch.testing.assert_close(a, b)


def test_ascending_a_likelihood_raises_it_and_descending_lowers_it():
    scores, targets = draw()
    start = log_likelihood(scores, targets)
    up, down = scores.clone(), scores.clone()
    ascend([up], [log_likelihood_gradient(up, targets)], 0.1)
    descend([down], [log_likelihood_gradient(down, targets)], 0.1)
    assert log_likelihood(down, targets) < start < log_likelihood(up, targets)


def test_parameters_of_a_module_may_be_moved():
    layer = torch.nn.Linear(3, 2)
    before = layer.weight.detach().clone()
    descend([layer.weight], [torch.ones(2, 3)], 0.5)
    torch.testing.assert_close(layer.weight.detach(), before - 0.5)
