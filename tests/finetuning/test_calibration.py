"""Temperature: it finds the one that was used, changes no decision, and lowers the calibration error."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.finetuning import fit_temperature
from companion.metrics import expected_calibration_error


def draw(temperature, n=4000, n_classes=3, seed=0):
    """Draw scores, and labels with the probabilities that the scores at this temperature mean."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n_classes, generator=generator) * 2
    labels = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
    return logits, labels


@settings(max_examples=8)
@given(st.sampled_from([0.5, 1.0, 2.0, 4.0]), st.integers(0, 99))
def test_the_temperature_that_was_used_is_found(temperature, seed):
    assert fit_temperature(*draw(temperature, seed=seed)) == pytest.approx(temperature, rel=0.15)


def test_a_model_that_is_too_sure_is_calibrated_without_another_decision():
    logits, labels = draw(3.0)
    temperature = fit_temperature(logits[:2000], labels[:2000])
    before, after = (scores[2000:].softmax(-1) for scores in (logits, logits / temperature))
    assert torch.equal(before.argmax(-1), after.argmax(-1))
    errors = [expected_calibration_error(labels[2000:], one) for one in (before, after)]
    assert errors[1] < errors[0] / 3


def test_a_model_that_is_always_right_stays_within_bounds():
    logits = torch.eye(3)
    assert 1 / 20 <= fit_temperature(logits, torch.arange(3)) < 0.1


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), ValueError, "at least one example"),
        (torch.zeros(2, 2), torch.zeros(3, dtype=torch.int64), ValueError, r"must have the shape \(2,\)"),
        (torch.zeros(2, 2), [0, 1], TypeError, "class numbers"),
        (torch.zeros(2, 3, 2), torch.tensor([0, 1]), ValueError, "for every token"),
    ],
)
def test_wrong_arguments_are_named(logits, labels, error, message):
    with pytest.raises(error, match=message):
        fit_temperature(logits, labels)
