"""The study of seven tasks: what it measures on, that it can be taken up again, and that its file is its own."""

import json

import numpy as np
import pytest

from companion.applications import classification_study as study


@pytest.fixture(scope="module")
def stored():
    return study.stored()


@pytest.fixture(scope="module")
def technology():
    return study.parts("technology")


def test_no_text_is_in_two_parts(technology):
    texts = [row["text"] for rows in technology for row in rows]
    assert len(set(texts)) == len(texts)
    assert (len(technology.train), len(technology.validation), len(technology.test)) == (500, 130, 518)


def test_translations_of_a_string_and_sentences_of_a_review_stay_together():
    for name in ("products", "languages"):
        groups = [{row["group"] for row in rows} for rows in study.parts(name)]
        assert sum(map(len, groups)) == len(set.union(*groups))


def test_a_seed_draws_other_rows_to_learn_from_and_the_same_to_measure_on(technology):
    other = study.parts("technology", seed=1)
    assert study.fingerprint(other.test) == study.fingerprint(technology.test)
    assert study.fingerprint(other.validation) == study.fingerprint(technology.validation)
    assert study.fingerprint(other.train) != study.fingerprint(technology.train)


def test_a_run_gives_what_is_stored(stored):
    again = study.run("technology", "tfidf", 0)
    (kept,) = (run for run in stored["runs"] if (run["task"], run["arm"], run["seed"]) == ("technology", "tfidf", 0))
    assert again["accuracy"] == pytest.approx(kept["accuracy"], abs=0.01)
    assert again["temperature"] == pytest.approx(kept["temperature"], abs=0.05)
    chances = np.array(again["answers"]["test"]["second"]), np.array(kept["answers"]["test"]["second"])
    assert np.abs(chances[0] - chances[1]).mean() < 100  # of ten thousand
    assert len(kept["answers"]["test"]["second"]) == 518


def test_scores_become_probabilities_and_are_kept_in_parts_of_ten_thousand():
    scores = np.log(np.array([[0.2, 0.8], [0.5, 0.5]]))
    assert study.answered(scores, 1.0) == {"second": [8000, 5000]}
    assert study.answered(scores, 2.0)["second"][0] == round(10_000 * 2 / 3)  # the root of a ratio of 4
    three = np.log(np.array([[0.1, 0.2, 0.7]]))
    assert study.answered(three, 1.0) == {"best": [2], "probability": [7000]}


def test_a_file_of_another_study_is_refused(tmp_path, monkeypatch, stored):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(stored | {"recipes": {}}), "utf8")
    monkeypatch.setattr("sys.argv", ["study", "--out", str(path)])
    with pytest.raises(SystemExit, match="another study: its recipes differ"):
        study.main()


def test_what_has_been_run_is_not_run_again(tmp_path, monkeypatch, stored):
    asked = []

    def run(name, arm, seed):
        asked.append((name, arm, seed))
        return {"task": name, "arm": arm, "seed": seed}

    path = tmp_path / "half.json"
    study.write(path, stored | {"runs": stored["runs"][:5]})
    monkeypatch.setattr(study, "run", run)
    monkeypatch.setattr("sys.argv", ["study", "--out", str(path)])
    study.main()
    done = [(one["task"], one["arm"], one["seed"]) for one in stored["runs"][:5]]
    assert asked == [one for one in study.plan() if one not in done]
    assert len(json.loads(path.read_text("utf8"))["runs"]) == len(list(study.plan()))
