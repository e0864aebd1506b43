"""Losses: against torch's, additivity, and errors that name a known mistake."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from companion.finetuning import (
    balanced_weights,
    classification_loss,
    regression_loss,
    span_loss,
    tagging_loss,
)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 9), st.integers(2, 5), st.integers(0, 999), st.booleans())
def test_the_mean_is_torch_s_value_and_gradient(n, n_classes, seed, is_weighted):
    labels = torch.randint(n_classes, (n,), generator=torch.Generator().manual_seed(seed))
    weights = draw(seed + 1, n_classes).exp() + 1 if is_weighted else None
    ours, theirs = (draw(seed, n, n_classes).requires_grad_() for _ in range(2))
    loss = classification_loss(ours, labels, class_weights=weights).mean
    expected = F.cross_entropy(theirs, labels, weight=weights)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_losses_of_unequal_parts_add_up_to_that_of_the_whole():
    logits, labels = draw(0, 7, 3), torch.tensor([0, 1, 2, 0, -100, 1, 1])
    weights = torch.tensor([1.0, 3.0, 0.5])
    for options in ({}, {"class_weights": weights}):
        whole = classification_loss(logits, labels, **options)
        parts = [classification_loss(logits[rows], labels[rows], **options) for rows in (slice(0, 2), slice(2, 7))]
        torch.testing.assert_close(parts[0].total + parts[1].total, whole.total)
        torch.testing.assert_close(parts[0].count + parts[1].count, whole.count)


def test_tags_that_do_not_count_change_nothing():
    logits = draw(0, 2, 5, 3)
    labels = torch.tensor([[0, 2, -100, 1, -100], [-100] * 5])
    loss = tagging_loss(logits, labels)
    assert loss.count == 3
    torch.testing.assert_close(loss.mean, F.cross_entropy(logits[0, [0, 1, 3]], torch.tensor([0, 2, 1])))
    assert tagging_loss(logits, torch.full((2, 5), -100)).mean == 0


def test_a_span_costs_the_mean_of_its_two_ends():
    logits, labels = draw(0, 3, 2, 11), torch.tensor([[2, 5], [-100, -100], [0, 10]])
    loss = span_loss(logits, labels)
    rows = [0, 2]
    expected = [F.cross_entropy(logits[rows, end], labels[rows, end]) for end in (0, 1)]
    torch.testing.assert_close(loss.mean, sum(expected) / 2)
    assert loss.count == 2


def test_regression_is_the_squared_error():
    values, targets = draw(0, 7), draw(1, 7)
    torch.testing.assert_close(regression_loss(values, targets).mean, F.mse_loss(values, targets))


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_with_balanced_weights_every_class_counts_the_same(labels):
    if set(labels) != {0, 1, 2}:
        with pytest.raises(ValueError, match="must have each of the 3 classes, got none of"):
            balanced_weights(labels, 3)
        return
    weights = balanced_weights(labels, 3)
    sums = [labels.count(k) * weights[k].item() for k in range(3)]
    assert sums == pytest.approx([len(labels) / 3] * 3)


IDS = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: classification_loss(torch.zeros(2, 9, 3), IDS), ValueError, "for every token.*pool the tokens"),
        (lambda: classification_loss(torch.zeros(2, 3), ["a", "b"]), TypeError, "a LabelEncoder makes numbers"),
        (lambda: classification_loss(torch.zeros(2, 3), IDS.float()), TypeError, "class numbers"),
        (lambda: classification_loss(torch.zeros(3, 3), IDS), ValueError, r"labels must have the shape \(3,\)"),
        (lambda: classification_loss(torch.zeros(2, 1), IDS), ValueError, "from 0 to 0, got 1"),
        (lambda: classification_loss(torch.zeros(2, 2), IDS, class_weights=torch.ones(3)), ValueError, "2 classes"),
        (lambda: classification_loss(torch.zeros(2, 2), IDS, class_weights=-torch.ones(2)), ValueError, "at least 0"),
        (lambda: tagging_loss(torch.zeros(2, 3), IDS), ValueError, "exactly 3 axes"),
        (lambda: span_loss(torch.zeros(2, 3, 4), torch.zeros(2, 2).long()), ValueError, "first and of the last"),
        (lambda: regression_loss(torch.zeros(2), torch.zeros(2, 1)), ValueError, "targets must be floating"),
        (lambda: balanced_weights([], 2), ValueError, "labels must be a list"),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
