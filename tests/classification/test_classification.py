"""Labels and probabilities: calibrated, in order, the same however texts are batched; from a folder or a pipeline."""

import itertools
import json
import shutil

import numpy as np
import pytest

from companion import applications
from companion.applications import Classified, Classifier, Prediction, classify, classify_file
from companion.finetuning import FineTuned, LeftOut, Pairs
from companion.metrics import expected_calibration_error
from companion.weights import CheckpointError
from tests.classification.conftest import sentences

HELD_OUT = sentences(900, 1)
TEXTS = [text for text, _ in HELD_OUT]
LABELS = [label for _, label in HELD_OUT]


def test_every_name_is_what_it_says_however_often_it_is_imported():
    # A module of the same name would take the place of a function once it is imported.
    for _ in range(2):
        for name in applications.__all__:
            assert getattr(applications, name).__name__ == name


def log_loss(classifier):
    numbers = [classifier.labels.index(label) for label in LABELS]
    rows = classifier.probabilities(TEXTS)
    return -np.log(rows[np.arange(len(numbers)), numbers]).mean()


def error(classifier):
    numbers = [classifier.labels.index(label) for label in LABELS]
    return expected_calibration_error(numbers, classifier.probabilities(TEXTS))


def with_temperature(classifier, temperature):
    return Classifier(labels=classifier.labels, scores=classifier.scores, temperature=temperature)


def test_a_prediction_is_the_likeliest_label_and_all_probabilities_add_up(classifier):
    found = list(classify(TEXTS[:50], classifier))
    for one in found:
        assert isinstance(one, Prediction)
        assert one.probability == max(one.probabilities.values()) == one.probabilities[one.label]
        assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-12)
    right = sum(one.label == label for one, label in zip(classify(TEXTS, classifier), LABELS, strict=True))
    assert right > 0.7 * len(TEXTS)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 500])
def test_batches_change_neither_order_nor_answers(classifier, batch_size):
    texts = [*TEXTS[:40], *[f"{text}, {text}" for text in TEXTS[:10]], "film", *TEXTS[40:45]]
    alone = [next(classify(text, classifier)) for text in texts]
    together = list(classify(iter(texts), classifier, batch_size=batch_size))
    assert [one.label for one in together] == [one.label for one in alone]
    np.testing.assert_allclose(
        [list(one.probabilities.values()) for one in together],
        [list(one.probabilities.values()) for one in alone],
        atol=1e-6,
    )


def test_only_one_batch_is_read_ahead_of_an_endless_source(classifier):
    asked = []

    def endless():
        for number in itertools.count():
            asked.append(number)
            yield TEXTS[number % len(TEXTS)]

    answers = classify(endless(), classifier, batch_size=8)
    assert not asked
    for _ in range(9):
        next(answers)
    assert len(asked) == 16


def test_a_run_saves_the_temperature_that_fits_its_validation_rows(run_folder, model):
    config = json.loads((run_folder / "model" / "config.json").read_text())
    scores = json.loads((run_folder / "metrics.json").read_text())["scores"]
    assert model.temperature == config["temperature"] == scores["temperature"] != 1.0
    predictions = [json.loads(line) for line in (run_folder / "predictions.jsonl").read_text("utf8").splitlines()]
    again = classify([one["text"] for one in predictions], model)
    for one, other in zip(predictions, again, strict=True):
        assert one["predicted"] == other.label
        assert one["probabilities"] == pytest.approx(other.probabilities, abs=1e-6)


def test_probabilities_mean_what_they_say_on_rows_that_were_never_seen(model):
    raw = with_temperature(model, 1.0)
    assert log_loss(model) < log_loss(raw)
    assert error(model) < min(0.06, error(raw))


def test_calibrating_anything_on_held_out_rows_lowers_its_surprise_on_others(classifier):
    too_sure = with_temperature(classifier, classifier.temperature / 4)
    rows = sentences(300, 2)
    mended = too_sure.calibrated([text for text, _ in rows], [label for _, label in rows])
    assert log_loss(mended) < log_loss(too_sure)
    assert error(mended) < 0.06 < error(too_sure)
    before, after = ([one.label for one in classify(TEXTS[:100], one_of)] for one_of in (too_sure, mended))
    assert before == after


def test_a_folder_a_run_and_a_model_in_memory_are_the_same(run_folder, tuned, model):
    for other in (Classifier.load(str(run_folder / "model")), Classifier.from_finetuned(tuned)):
        assert other.labels == model.labels
        np.testing.assert_array_equal(other.probabilities(TEXTS[:9]), model.probabilities(TEXTS[:9]))


def test_a_pipeline_keeps_its_probabilities_whatever_the_order_of_the_names(pipeline):
    expected = pipeline.predict_proba(TEXTS[:20])
    for labels in (None, ["blame", "praise"], ["praise", "blame"]):
        found = Classifier.from_pipeline(pipeline, labels)
        columns = [found.labels.index(name) for name in pipeline.classes_]
        np.testing.assert_allclose(found.probabilities(TEXTS[:20])[:, columns], expected, atol=1e-12)


def test_numbers_of_a_pipeline_are_named_and_a_class_it_never_saw_has_no_chance(pipeline):
    clone = pytest.importorskip("sklearn.base").clone
    numbered = [{"blame": 0, "praise": 2}[label] for label in LABELS[:200]]
    fitted = clone(pipeline).fit(TEXTS[:200], numbered)
    found = Classifier.from_pipeline(fitted, ["bad", "so so", "good"])
    assert found.probabilities(TEXTS[:5])[:, 1].max() < 1e-29
    np.testing.assert_allclose(found.probabilities(TEXTS[:5])[:, [0, 2]], fitted.predict_proba(TEXTS[:5]), atol=1e-12)
    assert Classifier.from_pipeline(fitted).labels == ("0", "2")
    with pytest.raises(ValueError, match=r"labels must have a name for each class of the pipeline, \[0, 2\]"):
        Classifier.from_pipeline(fitted, ["bad", "good"])


def test_what_is_no_pipeline_is_refused(pipeline):
    with pytest.raises(TypeError, match="pipeline must be a classifier with predict_proba, got dict"):
        Classifier.from_pipeline({})
    with pytest.raises(ValueError, match="pipeline must be fitted first"):
        Classifier.from_pipeline(type("Unfitted", (), {"predict_proba": lambda self, texts: None})())
    with pytest.raises(ValueError, match=r"labels must be the classes of the pipeline, \['blame', 'praise'\]"):
        Classifier.from_pipeline(pipeline, ["good", "bad"])


@pytest.mark.parametrize(
    ("texts", "kind", "message"),
    [
        (["good", ""], ValueError, r"texts\[1\] must not be empty, got ''"),
        (["good", "\n\t "], ValueError, r"texts\[1\] must not be empty"),
        (["good"] * 40 + [3], TypeError, r"texts\[40\] must be a text, got 3 of type int"),
        (["good", None], TypeError, r"texts\[1\] must be a text, got None"),
    ],
)
def test_a_text_that_is_none_is_told_by_its_number(texts, kind, message, classifier):
    with pytest.raises(kind, match=message):
        list(classify(iter(texts), classifier))  # beartype looks into lists


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((5, "model"), TypeError, "texts must be a text, the Path of a file, or anything that gives texts, got 5"),
        ((b"good", "model"), TypeError, "texts must be"),
        ((["good"], "a folder"), TypeError, "classifier must be a Classifier"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments, kind, message, model):
    texts, given = arguments
    with pytest.raises(kind, match=message):
        classify(texts, model if given == "model" else given)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        classify(["good"], model, batch_size=0)


def test_the_path_of_a_file_is_read_text_by_text(model, tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n" + "".join(f'{i},"{text}"\n' for i, text in enumerate(TEXTS[:9])))
    assert list(classify(tmp_path / "a.csv", model, batch_size=4)) == list(classify(TEXTS[:9], model, batch_size=4))
    (tmp_path / "b.txt").write_text("one\n\ntwo\n")
    answers = classify(tmp_path / "b.txt", model, batch_size=1)
    next(answers)
    with pytest.raises(ValueError, match=r"b.txt, line 2: the line is empty; classify_file goes on behind bad lines"):
        next(answers)
    found = list(classify_file(tmp_path / "b.txt", model))
    assert [one.line for one in found] == [1, 2, 3]
    assert isinstance(found[0], Classified)
    assert found[0].prediction.label == next(classify("one", model)).label
    assert found[1] == LeftOut(2, "the line is empty", "")
    (tmp_path / "c.csv").write_text("id\n1\n")
    with pytest.raises(ValueError, match=r"c.csv has a table without the column asked for: there is no 'text'"):
        next(classify(tmp_path / "c.csv", model))


def test_half_a_character_is_refused(classifier):
    with pytest.raises(ValueError, match=r"texts\[1\] must be whole, got half a character"):
        list(classify(["good", "half \ud83d"], classifier))


def test_no_texts_no_predictions(classifier):
    assert list(classify([], classifier)) == []


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ({"labels": ["a"]}, ValueError, "labels must be two or more"),
        ({"labels": ["a", "a"]}, ValueError, "names must be different"),
        ({"temperature": 0.0}, ValueError, "temperature must be above 0"),
        ({"temperature": float("nan")}, ValueError, "temperature must be finite"),
    ],
)
def test_a_classifier_of_ones_own_is_checked(values, kind, message):
    with pytest.raises(kind, match=message):
        Classifier(**{"labels": ["a", "b"], "scores": lambda texts: np.zeros((len(texts), 2))} | values)


def test_scores_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"scores must give an array of shape \(1, 2\), got \(1, 3\)"):
        next(classify("good", Classifier(labels=("a", "b"), scores=lambda texts: np.zeros((1, 3)))))
    with pytest.raises(ValueError, match="scores must be finite"):
        next(classify("good", Classifier(labels=("a", "b"), scores=lambda texts: np.full((1, 2), np.nan))))


def test_what_is_no_classifier_is_refused_with_what_to_do(tmp_path, run_folder, tuned):
    with pytest.raises(FileNotFoundError, match="folder must be one that `companion finetune` wrote"):
        Classifier.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="tiny-bert is a pretrained model that knows no labels yet: fine-tune it"):
        Classifier.load("tiny-bert")
    with pytest.raises(CheckpointError, match="not a fine-tuned model"):
        Classifier.load(run_folder.parent / "body")
    with pytest.raises(TypeError, match="folder must be a string or a path, got 3"):
        Classifier.load(3)  # pyright: ignore[reportArgumentType]
    pairs = Pairs()
    pairs.labels = tuned.task.labels
    with pytest.raises(CheckpointError, match="for the task classification is needed, and this one is for pairs"):
        Classifier.from_finetuned(FineTuned(pairs, tuned.model, tuned.inputs))


@pytest.mark.parametrize("value", ["1", 0, -1.5, True, "NaN"])
def test_a_damaged_temperature_is_refused(value, run_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run_folder / "model", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"temperature": value}))
    with pytest.raises(CheckpointError, match="temperature"):
        Classifier.load(folder)


def test_a_model_from_before_there_were_temperatures_has_none(run_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run_folder / "model", folder)
    config = json.loads((folder / "config.json").read_text())
    del config["temperature"]
    (folder / "config.json").write_text(json.dumps(config))
    assert Classifier.load(folder).temperature == 1.0
