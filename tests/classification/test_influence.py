"""What a classifier looks at: each word left out, and nothing else changed."""

import numpy as np
import pytest

from companion.applications import Classifier, occlusion
from tests.classification.conftest import BAD, GOOD, sentences


def weights(texts):
    """Score by known weights, so that what each word does is known too."""
    known = {"good": 2.0, "not": -1.0, "bad": -3.0}
    totals = [sum(weight for word, weight in known.items() if word in text.split()) for text in texts]
    return np.array([[0.0, total] for total in totals])


KNOWN = Classifier(labels=("blame", "praise"), scores=weights)


def chance(total):
    return 1 / (1 + np.exp(-total))


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_a_word_s_influence_is_the_probability_that_goes_with_it(batch_size):
    text = "not a good film, really"
    found = occlusion(KNOWN, text, batch_size=batch_size)
    assert [one.word for one in found] == ["not", "a", "good", "film", ",", "really"]
    assert [text[one.start : one.end] for one in found] == [one.word for one in found]
    expected = [chance(1) - chance(2), 0, chance(1) - chance(-1), 0, 0, 0]
    assert [one.change for one in found] == pytest.approx(expected)
    other = occlusion(KNOWN, text, label="blame")
    assert [one.change for one in other] == pytest.approx([-value for value in expected])


def test_the_likeliest_label_is_watched_and_one_word_alone_can_be_left_out(model):
    (only,) = occlusion(KNOWN, "bad")
    assert only.change == pytest.approx((1 - chance(-3)) - 0.5)
    assert len(occlusion(model, "warm")) == 1
    assert [one.word for one in occlusion(KNOWN, "好电影 good")] == ["好", "电", "影", "good"]


def test_the_words_that_decide_are_found_in_a_fine_tuned_model_and_in_a_pipeline(classifier):
    found = [one for text, _ in sentences(12, 3) for one in occlusion(classifier, text, label="praise")]
    good, bad = (np.mean([one.change for one in found if one.word in words]) for words in (GOOD, BAD))
    assert bad < -0.01 < 0.01 < good


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        ("", {}, ValueError, "text must have a word, got ''"),
        (" \n", {}, ValueError, "text must have a word"),
        ("a", {"label": "joy"}, ValueError, "label must be one of blame, praise, got 'joy'"),
        (3, {}, TypeError, "text must be a text, got 3"),
        ("a", {"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(text, options, error, message):
    with pytest.raises(error, match=message):
        occlusion(KNOWN, text, **options)
    with pytest.raises(TypeError, match="classifier must be a Classifier"):
        occlusion("a", "b")  # pyright: ignore[reportArgumentType]
