"""Scores of classes: against their definitions, laws, and errors that say what to do."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.metrics import accuracy, auc, f1, mcc

pairs = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=40)
)


def by_hand(pairs, label):
    hit = sum(r == p == label for r, p in pairs)
    return hit, sum(p == label for _, p in pairs), sum(r == label for r, _ in pairs)


@given(pairs)
def test_f1_and_accuracy_are_their_definitions(pairs):
    reference, prediction = map(list, zip(*pairs, strict=True))
    counts = [by_hand(pairs, label) for label in sorted({*reference, *prediction})]
    each = [2 * hit / (given + there) for hit, given, there in counts]
    assert math.isclose(accuracy(reference, prediction), sum(r == p for r, p in pairs) / len(pairs))
    assert math.isclose(f1(reference, prediction), sum(each) / len(each), abs_tol=1e-12)
    assert math.isclose(f1(reference, prediction, average="micro"), accuracy(reference, prediction), abs_tol=1e-12)
    assert math.isclose(mcc(reference, prediction), gorodkin(pairs), abs_tol=1e-9)


def gorodkin(pairs):
    one_hot = np.eye(5)
    x, y = (one_hot[list(column)] for column in zip(*pairs, strict=True))
    x, y = x - x.mean(0), y - y.mean(0)
    scale = math.sqrt((x * x).sum() * (y * y).sum())
    return (x * y).sum() / scale if scale > 1e-12 else 0.0


@given(pairs)
def test_names_of_labels_do_not_matter_and_tensors_are_taken(pairs):
    reference, prediction = map(list, zip(*pairs, strict=True))
    named = [[f"label {label}" for label in column] for column in (reference, prediction)]
    tensors = [torch.tensor(column) for column in (reference, prediction)]
    for score in (accuracy, f1, mcc):
        assert score(reference, prediction) == score(*named) == score(*tensors)


def test_binary_f1_is_about_one_label():
    reference, prediction = ["spam", "spam", "ham", "ham", "ham"], ["spam", "ham", "spam", "ham", "ham"]
    assert f1(reference, prediction, average="binary", positive="spam") == pytest.approx(1 / 2)
    assert f1(reference, prediction, average="binary", positive="ham") == pytest.approx(2 / 3)
    assert f1([1, 0, 1], [1, 1, 0], average="binary") == pytest.approx(1 / 2)


def test_a_label_never_predicted_scores_zero_and_warns_of_nothing(recwarn):
    assert f1([0, 0, 1], [0, 0, 0]) == pytest.approx(0.8 / 2)
    assert mcc([0, 0, 1], [0, 0, 0]) == 0
    assert not recwarn.list


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=30))
def test_auc_counts_pairs_in_the_right_order(rows):
    labels, scores = map(list, zip(*rows, strict=True))
    if len(set(labels)) < 2:
        with pytest.raises(ValueError, match="must hold both 0 and 1"):
            auc(labels, scores)
        return
    groups = [[score for label, score in rows if label == wanted] for wanted in (1, 0)]
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(*groups)]
    assert auc(labels, scores) == pytest.approx(sum(wins) / len(wins))
    two = np.stack([10 - np.array(scores), np.array(scores)], 1) / 10
    assert auc(labels, two) == pytest.approx(auc(labels, scores))


def test_auc_of_several_classes_is_the_mean_of_one_against_the_rest():
    generator = np.random.default_rng(0)
    labels = np.arange(33) % 3
    scores = generator.dirichlet(np.ones(3), 33)
    each = [auc((labels == label).astype(int), scores[:, label]) for label in range(3)]
    assert auc(labels, scores) == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: accuracy([1, 0], [1]), ValueError, "one for each of the 2 references, got 1; were some examples"),
        (lambda: accuracy([], []), ValueError, "references must not be empty"),
        (lambda: accuracy("ab", "ab"), TypeError, "references must be a list, an array or a tensor"),
        (lambda: accuracy([1, 0], [0.9, 0.1]), TypeError, "predictions must be labels"),
        (lambda: accuracy([1, 0], torch.rand(2, 3)), ValueError, r"take argmax\(-1\) of scores first"),
        (lambda: accuracy(["1", "0"], [1, 0]), TypeError, "labels of one kind, got texts such as '1' and numbers"),
        (lambda: accuracy([[1], [0, 1]], [1, 0]), ValueError, "rows of different lengths"),
        (lambda: f1([1, 0], [1, 0], average="weighted"), ValueError, "average must be one of macro, micro, binary"),
        (lambda: f1([1, 0], [1, 0], positive=1), ValueError, "positive is only for"),
        (lambda: f1(["a", "b"], ["a", "b"], average="binary"), ValueError, r"which of the labels \['a', 'b'\] counts"),
        (lambda: f1([0, 1, 2], [0, 1, 2], average="binary"), ValueError, "is for two labels, got"),
        (lambda: auc(["a", "b"], [0.1, 0.2]), TypeError, "references must be class numbers"),
        (lambda: auc([0, 1], [0.1, math.nan]), ValueError, "scores must be finite"),
        (lambda: auc([0, 1], [[3.0, 1.0], [1.0, 2.0]]), ValueError, "take the softmax of scores first"),
        (lambda: auc([0, 1], [[0.5, 0.1, 0.4], [0.1, 0.7, 0.2]]), ValueError, "each of the 3 classes"),
        (lambda: auc([0, 1], [0.5]), ValueError, "one for each of the 2 references"),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
