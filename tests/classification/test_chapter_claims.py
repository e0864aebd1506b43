"""What book/classification.md says in prose or in a solution, and no cell of it computes."""

import math
from statistics import fmean

import numpy as np
import pytest
from torch import Tensor

from companion.applications import choose_threshold
from companion.applications import classification_study as study
from companion.metrics import accuracy, f1, mcc
from companion.models import BERT


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "classification.md").read_text("utf8")


@pytest.fixture(scope="module")
def stored():
    return study.stored()


def _size(model):
    return sum(map(Tensor.numel, model.parameters()))


def runs(stored, task, arm):
    chosen = [run for run in stored["runs"] if (run["task"], run["arm"]) == (task, arm)]
    assert chosen
    return chosen


def mean(stored, task, arm, what="accuracy"):
    return fmean(run[what] for run in runs(stored, task, arm))


def test_the_stored_results_are_those_of_the_command_that_is_named(stored, chapter):
    assert stored["command"] == "python -m companion.applications.classification_study"
    assert f"`{stored['command']}` did it once" in chapter
    assert [(run["task"], run["arm"], run["seed"]) for run in stored["runs"]] == list(study.plan())
    assert stored["recipes"] == {arm: recipe._asdict() for arm, recipe in study.RECIPES.items()}


def test_the_method_is_described_as_it_is(stored, chapter):
    sizes = {name: tuple(map(len, study.parts(name))) for name in study.QUESTIONS}
    assert sizes.pop("technology") == (500, 130, 518)
    assert set(sizes.values()) == {(1000, 300, 1000)}
    assert "1,000 rows each to learn from (500 where there are no more)" in chapter
    assert len(study.QUESTIONS) == 7
    assert len({row["label"] for row in study.parts("topics").test}) == 11
    assert len({row["label"] for row in study.parts("languages").test}) == 11
    minutes = sum(run["cpu_seconds"] for run in stored["runs"]) / 60
    assert round(minutes) == 7  # "seven minutes of one core"


def test_reading_pays_where_meaning_counts(stored):
    def gain(task):
        return mean(stored, task, "minilm") - mean(stored, task, "tfidf")

    assert [round(100 * gain(task)) for task in ("products", "topics", "technology", "spam")] == [11, 14, 5, 2]
    assert 0.11 <= gain("films") <= 0.14
    assert round(100 * (1 - mean(stored, "spam", "tfidf"))) == 3
    (slow,), (quick,) = (runs(stored, "languages", arm) for arm in ("minilm", "tfidf"))
    assert 20 < slow["cpu_seconds"] < 40  # "half a minute"
    assert quick["cpu_seconds"] <= 0.5


def test_our_small_models_are_where_the_text_says(stored, repository_root):
    assert mean(stored, "films", "tiny") == pytest.approx(mean(stored, "films", "tfidf"), abs=0.01)
    shares = [mean(stored, "products", arm) for arm in ("tiny", "tfidf")]
    assert [math.floor(100 * share + 0.5) for share in shares] == [68, 73]
    chinese = [mean(stored, "zh_reviews", arm) for arm in ("tiny", "random", "tfidf")]
    assert [math.floor(100 * share + 0.5) for share in chinese] == [75, 74, 79]
    for task, percent in (("topics", [78, 74]), ("technology", [96, 92]), ("languages", [78, 91])):
        assert [round(100 * mean(stored, task, arm)) for arm in ("tiny", "tfidf")] == percent
    assert mean(stored, "spam", "tiny") > mean(stored, "spam", "tfidf")
    small, large = (BERT.from_pretrained(name) for name in ("tiny-bert", "minilm"))
    assert 3.5 < _size(large) / _size(small) < 4.5
    pretraining = (repository_root / "companion" / "checkpoints" / "tiny-bert-zh" / "README.md").read_text("utf8")
    assert "`zh_reviews` | Chinese reviews" in pretraining


def test_elsewhere_less_is_left_of_counting(stored):
    at_home, elsewhere = ({}, {})
    for learned in ("films", "products"):
        for arm in ("minilm", "tfidf"):
            (run,) = runs(stored, learned, arm)
            at_home[learned, arm], elsewhere[learned, arm] = run["accuracy"], run["elsewhere"]["accuracy"]
    assert round(elsewhere["films", "tfidf"], 2) == 0.55
    praise = fmean(row["label"] == "praise" for row in study.parts("products").test)
    assert elsewhere["films", "tfidf"] < praise  # "less than if it said praise to everything"
    assert round(elsewhere["films", "minilm"], 2) == 0.72
    assert round(100 * (at_home["films", "minilm"] - elsewhere["films", "minilm"])) == 8
    assert round(100 * (at_home["products", "minilm"] - elsewhere["products", "minilm"])) == 12
    for learned in ("films", "products"):  # "its lead is larger still"
        leads = [scores[learned, "minilm"] - scores[learned, "tfidf"] for scores in (at_home, elsewhere)]
        assert leads[0] < leads[1]


def test_errors_fall_with_how_strongly_people_felt(stored):
    rows = study.parts("films").test
    strength = np.abs([row["source"]["score"] for row in rows])
    praise = np.array([row["label"] == "praise" for row in rows])
    errors = {}
    for arm in ("minilm", "tfidf"):
        wrong = (np.array(runs(stored, "films", arm)[0]["answers"]["test"]["second"]) >= 5000) != praise
        errors[arm] = [wrong[strength < 0.5].mean(), wrong[strength >= 2].mean()]
    assert errors["minilm"] == pytest.approx([0.48, 0.10], abs=0.01)
    assert errors["tfidf"] == pytest.approx([0.565, 0.26], abs=0.01)


def test_some_topics_are_found_and_some_are_everywhere(stored):
    rows = study.parts("topics")
    labels = sorted({row["label"] for row in rows.train})
    right = np.array([labels.index(row["label"]) for row in rows.test])
    given = np.array(runs(stored, "topics", "minilm")[0]["answers"]["test"]["best"])
    found = {name: (given[right == i] == i).mean() for i, name in enumerate(labels)}
    assert found["People"] == 1
    assert min(found["Geography"], found["Biology and health sciences"]) >= 0.945  # 95 percent
    for name in ("Everyday life", "Technology"):
        assert 0.25 < 1 - found[name] < 0.35  # "three in ten"
        others = np.bincount(given[(right == labels.index(name)) & (given != right)], minlength=len(labels))
        assert labels[others.argmax()] == "Society and social sciences"


# Solutions


def test_copies_meet_themselves():
    source = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        order = source.permutation(1000)
        shares.append((order[:100] < 300).sum())  # the first 300 are the copies
    assert fmean(shares) == pytest.approx(30, abs=1)


def test_one_refund_weighs_six_times_the():
    assert 1 + math.log(1000 / 1000) == 1
    assert round(1 + math.log(1000 / 10), 1) == 5.6
    assert math.ceil(5.6) == 6


def test_what_is_known_hardly_teaches():
    sure, unsure = np.array([0.99, 0.01]) - [1, 0], np.array([0.5, 0.5]) - [1, 0]
    assert np.linalg.norm(unsure) / np.linalg.norm(sure) == pytest.approx(50)


def test_a_filter_that_knows_nothing_is_right_on_95_of_100():
    right, predicted = [0] * 950 + [1] * 50, [0] * 1000
    assert accuracy(right, predicted) == 0.95
    assert round(f1(right, predicted), 2) == 0.49
    assert mcc(right, predicted) == 0


def test_a_missed_illness_sets_the_threshold_to_a_hundredth():
    source = np.random.default_rng(0)
    honest = source.uniform(0, 0.1, 200_000)
    ill = source.random(200_000) < honest
    found = choose_threshold(ill, honest, cost_false_positive=1.0, cost_false_negative=99.0).threshold
    assert found == pytest.approx(0.01, abs=0.003)
    scores = np.log(honest / (1 - honest))
    too_sure = 1 / (1 + np.exp(-2 * scores))  # the same scores at half the temperature
    assert (too_sure >= 0.01).sum() < (honest >= 0.01).sum()


def test_five_points_of_drift_need_560_texts():
    error = math.sqrt(0.8 * 0.2 / 100 + 0.75 * 0.25 / 100)
    assert round(error, 2) == 0.06
    assert round((0.8 * 0.2 + 0.75 * 0.25) / 0.025**2, -1) == 560
