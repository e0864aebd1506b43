"""TF-IDF with logistic regression: what it learns, for which scripts, and that a seed decides it."""

import numpy as np
import pytest

from companion.data.corpus.order import permutation
from companion.data.loading import rows_of
from companion.finetuning import tfidf_classifier

FILMS = ["a fine film", "a warm and fine film", "a dull film", "dull and long", "fine, and warm", "a long, dull film"]
VERDICTS = ["good", "good", "bad", "bad", "good", "bad"]


def test_it_learns_labels_of_texts_and_says_how_sure_it_is():
    classifier = tfidf_classifier(seed=0).fit(FILMS, VERDICTS)
    assert classifier.predict(["fine film", "dull film"]).tolist() == ["good", "bad"]
    probabilities = classifier.predict_proba(["fine film", "nothing known"])
    assert classifier.classes_.tolist() == ["bad", "good"]
    assert probabilities.shape == (2, 2)
    assert np.allclose(probabilities.sum(1), 1)
    assert probabilities[0, 1] > 0.6
    # A text without a known word leaves it with the labels' shares, which are even here.
    assert abs(probabilities[1, 1] - 0.5) < 0.1


def test_pairs_of_words_tell_what_single_words_do_not():
    texts = ["not good but bad", "not bad but good"] * 4
    classifier = tfidf_classifier(seed=0).fit(texts, ["blame", "praise"] * 4)
    assert classifier.predict(texts[:2]).tolist() == ["blame", "praise"]


def test_words_of_one_letter_count_and_case_does_not():
    classifier = tfidf_classifier(seed=0).fit(["I", "you", "I", "you"], [1, 2, 1, 2])
    assert classifier.predict(["i", "YOU"]).tolist() == [1, 2]


def test_characters_need_no_spaces():
    texts = ["这本书很好", "非常好看", "质量很差", "太差了", "很好很好", "差极了"]
    labels = [1, 1, 0, 0, 1, 0]
    characters = tfidf_classifier(seed=0, analyzer="characters").fit(texts, labels)
    assert characters.predict(["好书", "差书"]).tolist() == [1, 0]
    # Between spaces each of these sentences is one word, and an unseen sentence has none that is known.
    words = tfidf_classifier(seed=0).fit(texts, labels)
    assert len(set(words.predict_proba(["好书", "差书"])[:, 1])) == 1


def test_a_seed_decides_everything():
    first, second = (tfidf_classifier(seed=3).fit(FILMS, VERDICTS).decision_function(["a warm film"]) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": "one"}, TypeError, "seed must be an integer"),
        ({"seed": 0, "analyzer": "bytes"}, ValueError, "analyzer must be one of words, characters, got 'bytes'"),
        ({"seed": 0, "analyzer": ["words"]}, ValueError, "analyzer must be one of"),
    ],
)
def test_what_it_cannot_use_is_named(options, error, message):
    with pytest.raises(error, match=message):
        tfidf_classifier(**options)


@pytest.mark.data
def test_on_real_sentences_a_thousand_labels_reach_two_thirds():
    table = rows_of("movie_snippets")  # praise first
    rows = [table[i] for i in permutation(len(table), "baseline")[:2000].tolist()]
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    classifier = tfidf_classifier(seed=0).fit(texts[:1000], labels[:1000])
    assert 0.64 < classifier.score(texts[1000:], labels[1000:]) < 0.76
