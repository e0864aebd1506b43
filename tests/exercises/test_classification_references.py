"""The classification lab's references are what scikit-learn, NumPy, autograd and the companion compute."""

import math

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from sklearn.naive_bayes import MultinomialNB

from companion.applications import Classifier, choose_threshold, occlusion
from companion.exercises import get
from companion.finetuning import drop_repeated

GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def whole(low, high, *shape):
    return torch.randint(low, high, shape, generator=GENERATOR)


def test_what_is_kept_is_what_the_companions_fine_tuning_keeps():
    texts = ["One two", "one  TWO", "three four", "five", "Three four ", "six", "FIVE", "seven", "eight"]
    labels = [0, 0, 1, 1, 0, 1, 1, 0, 1]
    rows = [
        {"line": i, "text": text, "label": label} for i, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    kept = drop_repeated(rows, lambda row: " ".join(row["text"].lower().split()), lambda row: row["label"]).rows
    train, test = get("split_distinct").reference(texts, labels, 2)
    assert sorted(train + test) == sorted(row["line"] for row in kept) == [0, 3, 5, 7, 8]
    assert test == [3, 7]


def test_the_weights_are_scikit_learns():
    seen, counts = whole(0, 3, 13, 7), whole(0, 4, 5, 7)
    seen[:, 3] = 0
    counts[2] = 0
    expected = TfidfTransformer().fit(seen.numpy()).transform(counts.numpy()).toarray()
    np.testing.assert_allclose(get("tf_idf").reference(counts, seen).numpy(), expected, rtol=1e-6, atol=1e-7)


def test_the_gradient_vanishes_where_scikit_learns_classifier_ends():
    features, labels, l2 = draw(43, 5), whole(0, 3, 43), 0.05
    fitted = LogisticRegression(C=1 / (l2 * 43), tol=1e-10, max_iter=10_000).fit(features.numpy(), labels.numpy())
    weight, bias = (torch.from_numpy(values) for values in (fitted.coef_, fitted.intercept_))
    for part in get("softmax_gradient").reference(features, labels, weight, bias, l2):
        assert part.abs().max() < 1e-6
    started = get("softmax_gradient").reference(features, labels, torch.zeros_like(weight), bias, l2)
    assert started[0].abs().max() > 1e-2


@pytest.mark.parametrize("predicted_too", [True, False])
def test_the_scores_are_scikit_learns(predicted_too):
    k = 5
    right, predicted = whole(0, k, 200), whole(0, k, 200)
    predicted = torch.where(whole(0, 2, 200) == 1, right, predicted)
    if not predicted_too:
        predicted[predicted == 2] = 0
    confusion = torch.bincount(k * right + predicted, minlength=k * k).view(k, k)
    expected = (
        accuracy_score(right, predicted),
        f1_score(right, predicted, average="macro", labels=range(k), zero_division=0.0),
        matthews_corrcoef(right, predicted),
    )
    assert get("confusion_scores").reference(confusion) == pytest.approx(expected)


def test_scores_that_are_not_defined_are_zero():
    assert get("confusion_scores").reference(torch.tensor([[9, 0], [1, 0]])) == pytest.approx((0.9, 9 / 19, 0.0))


def test_the_cheapest_threshold_costs_what_the_companions_costs():
    labels, probabilities = whole(0, 2, 67), draw(67).sigmoid()
    for false_alarm, miss in ((1.0, 1.0), (7.0, 1.0), (1.0, 7.0), (500.0, 1.0)):
        ours = choose_threshold(
            labels.tolist(), probabilities.tolist(), cost_false_positive=false_alarm, cost_false_negative=miss
        )
        threshold, cost = get("cheapest_threshold").reference(labels, probabilities, false_alarm, miss)
        assert cost == pytest.approx(ours.cost)
        flagged = probabilities >= threshold
        assert cost == false_alarm * int((flagged & (labels == 0)).sum()) + miss * int((~flagged & (labels == 1)).sum())


def test_the_languages_scores_are_those_of_naive_bayes():
    texts = {"a": "kalo vane miru tesho", "b": "vane kalo kalo pido", "c": "shoru lomi teka pi"}
    vectorizer = CountVectorizer(analyzer="char", ngram_range=(3, 3), lowercase=True)
    counts = vectorizer.fit_transform([f" {text} " for text in texts.values()])
    pieces = vectorizer.get_feature_names_out()
    tables = {
        name: {piece: int(n) for piece, n in zip(pieces, row, strict=True) if n}
        for name, row in zip(texts, counts.toarray(), strict=True)
    }
    bayes = MultinomialNB(alpha=1.0, fit_prior=False).fit(counts, list(texts))
    text = "Kalo vane kalo"
    expected = bayes.predict_joint_log_proba(vectorizer.transform([f" {text} "]))[0] + math.log(3)
    unknown = [piece for piece in vectorizer.build_analyzer()(f" {text} ") if piece not in vectorizer.vocabulary_]
    assert not unknown, "a piece that scikit-learn does not know would be left out there"
    assert list(get("language_scores").reference(text, tables, 3).values()) == pytest.approx(expected)


def test_leaving_words_out_is_the_companions_occlusion():
    words = ["ant", "bee", "cat", "dog", "emu"]
    vectors, weight, bias = draw(5, 3), draw(3), 0.4

    def scores(texts):
        rows = []
        for text in texts:
            ids = [words.index(word) for word in text.split()]
            mean = vectors[ids].mean(0) if ids else torch.zeros(3, dtype=torch.float64)
            rows.append([0.0, float(mean @ weight) + bias])
        return np.array(rows)

    text = "dog ant cat ant emu"
    found = occlusion(Classifier(labels=["no", "yes"], scores=scores), text, label="yes")
    ids = torch.tensor([words.index(word) for word in text.split()])
    expected = get("leave_one_out").reference(ids, vectors, weight, bias)
    assert [influence.change for influence in found] == pytest.approx(expected.tolist())


def test_the_interval_of_a_drop_is_numpys():
    home, away = whole(0, 10, 37) < 8, whole(0, 10, 61) < 6
    x, y = whole(0, 37, 211, 37), whole(0, 61, 211, 61)
    differences = home.numpy()[x.numpy()].mean(1) - away.numpy()[y.numpy()].mean(1)
    expected = home.double().mean() - away.double().mean(), *np.percentile(differences, [2.5, 97.5])
    assert get("accuracy_drop").reference(home, away, x, y) == pytest.approx(tuple(map(float, expected)))
