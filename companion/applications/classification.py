"""Classification: a text in, a label and a calibrated probability out, whatever made the classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from companion._validation import describe, require_count, require_finite, requires
from companion.applications.texts import read_texts
from companion.device import pick_device
from companion.finetuning import FineTuned, LabelEncoder, LeftOut, fit_temperature
from companion.finetuning.lines import TableError
from companion.finetuning.predicting import class_scores
from companion.finetuning.run import MODEL
from companion.finetuning.saving import KIND
from companion.weights import CheckpointError, open_checkpoint

LEAST = 1e-30  # a probability of 0 has no logarithm


class Prediction(NamedTuple):
    """What a classifier says of a text."""

    label: str
    """The likeliest."""
    probability: float
    """How likely it is."""
    probabilities: dict[str, float]
    """How likely each label is; they add up to 1."""


def _check_classifier(self: Any) -> None:
    LabelEncoder(self.labels)
    if len(self.labels) < 2:
        raise ValueError(f"labels must be two or more, got {describe(self.labels)}")
    if not callable(self.scores):
        raise TypeError(f"scores must be a function from texts to an array, got {describe(self.scores)}")
    require_finite("temperature", self.temperature)
    if self.temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {self.temperature}")


def _check_load(cls: Any, folder: Any, **_: Any) -> None:
    if not isinstance(folder, str | Path):
        raise TypeError(f"folder must be a string or a path, got {describe(folder)}")


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Anything that scores labels for texts, with the temperature that makes probabilities of the scores.

    Parameters
    ----------
    labels
        Their names, in the order of the scores.
    scores
        From a list of texts to an array with a row a text and a column a label; probabilities are the softmax of a row.
    temperature
        What scores are divided by first.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two labels, one stands there twice, or the temperature is no number above 0.

    References
    ----------
    Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2.
    """

    labels: Sequence[str]
    scores: Callable[[Sequence[str]], np.ndarray]
    temperature: float = 1.0

    def __post_init__(self) -> None:
        _check_classifier(self)
        object.__setattr__(self, "labels", tuple(self.labels))

    @classmethod
    @requires(_check_load)
    def load(cls, folder: str | Path, *, device: str | torch.device | None = None) -> Classifier:
        """Read a model that ``companion finetune`` wrote.

        Parameters
        ----------
        folder
            What was ``--out``, or the ``model`` in it.
        device
            Where to compute; what ``companion.device.pick_device`` chooses by default.

        Raises
        ------
        companion.weights.CheckpointError
            If it holds something else, or is damaged, or the model does not label single texts.
        FileNotFoundError
            If there is no such folder.
        TypeError
            If the folder is neither a string nor a path.
        """
        path = Path(folder)
        if (path / MODEL / "config.json").is_file() and not (path / "config.json").is_file():
            path = path / MODEL
        if not path.exists():
            _explain_missing(str(folder))
        tuned = FineTuned.load(path)
        return cls.from_finetuned(tuned, device=device)

    @classmethod
    def from_finetuned(cls, tuned: FineTuned, *, device: str | torch.device | None = None) -> Classifier:
        """Use a fine-tuned model that is in memory.

        Parameters
        ----------
        tuned
            Its model is moved to the device.
        device
            As in :meth:`load`.

        Raises
        ------
        companion.weights.CheckpointError
            If the model does not label single texts.
        """
        if tuned.task.name != "classification" or tuned.task.labels is None:
            raise CheckpointError(
                f"a model for the task classification is needed, and this one is for {tuned.task.name}; use "
                "FineTuned.load(...).predict"
            )
        model = tuned.model.to(pick_device() if device is None else device)

        def scores(texts: Sequence[str]) -> np.ndarray:
            rows = [{"text": text} for text in texts]
            return class_scores(tuned.task, model, tuned.inputs, rows, batch_size=max(1, len(rows))).numpy()

        return cls(labels=tuple(tuned.task.labels.names), scores=scores, temperature=tuned.task.temperature)

    @classmethod
    def from_pipeline(cls, pipeline: Any, labels: Sequence[str] | None = None) -> Classifier:
        """Use a fitted classifier of scikit-learn that takes texts and has ``predict_proba``.

        Parameters
        ----------
        pipeline
            Such as :func:`companion.finetuning.tfidf_classifier` makes. It stays in memory: nothing is pickled.
        labels
            The names of its classes: in any order if it was fitted to names, name by number if to numbers from 0. Its
            own classes by default.

        Raises
        ------
        TypeError, ValueError
            If it is no such classifier, is not fitted, or has other classes than these.
        """
        if not callable(getattr(pipeline, "predict_proba", None)):
            raise TypeError(
                f"pipeline must be a classifier with predict_proba, got {type(pipeline).__name__}; end it with "
                "LogisticRegression, for example"
            )
        own = np.asarray(getattr(pipeline, "classes_", ())).tolist()
        if not own:
            raise ValueError(
                "pipeline must be fitted first, got one that knows no classes; call its fit(texts, labels)"
            )
        names = [str(name) for name in own] if labels is None else list(labels)
        columns = _columns(own, names)

        def scores(texts: Sequence[str]) -> np.ndarray:
            found = np.asarray(pipeline.predict_proba(list(texts)), dtype=np.float64)
            probabilities = np.zeros((len(texts), len(names)))
            probabilities[:, columns] = found
            return np.log(np.maximum(probabilities, LEAST))

        return cls(labels=tuple(names), scores=scores)

    def calibrated(self, texts: Sequence[str], labels: Sequence[str]) -> Classifier:
        """Return this classifier with the temperature that fits examples it was not trained on, nor is tested on.

        Parameters
        ----------
        texts, labels
            The examples.

        Raises
        ------
        TypeError, ValueError
            If these are not as many, or a label is unknown.
        """
        texts = list(texts)
        numbers = LabelEncoder(self.labels).encode(labels)
        if not texts or len(texts) != len(numbers):
            raise ValueError(f"labels must be one for each of the texts, got {len(numbers)} for {len(texts)}")
        checked = [_text(number, one) for number, one in enumerate(texts)]
        scores = [np.asarray(self.scores(checked[i : i + 32])) for i in range(0, len(checked), 32)]
        found = fit_temperature(torch.from_numpy(np.concatenate(scores)), torch.tensor(numbers))
        return replace(self, temperature=found)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return a row a text and a column a label; all texts go through the model together.

        Raises
        ------
        ValueError
            If the scores are no finite numbers, or not one for each label.
        """
        if not len(texts):
            return np.zeros((0, len(self.labels)))
        scores = np.asarray(self.scores(texts), dtype=np.float64)
        if scores.shape != (len(texts), len(self.labels)):
            raise ValueError(f"scores must give an array of shape {(len(texts), len(self.labels))}, got {scores.shape}")
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite, got NaN or infinity: the model is broken")
        scores = scores / self.temperature
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)


def _explain_missing(name: str) -> None:
    try:
        with open_checkpoint(name) as checkpoint:
            kind = checkpoint.config.get("model_type")
    except (CheckpointError, OSError, ValueError):
        raise FileNotFoundError(
            f"folder must be one that `companion finetune` wrote, and there is no {name!r}"
        ) from None
    if kind != KIND:
        raise CheckpointError(
            f"{name} is a pretrained model that knows no labels yet: fine-tune it first, with `companion finetune "
            f"--model {name} --task classification --data ... --out FOLDER`, and load FOLDER"
        )


def _columns(own: list[Any], names: list[str]) -> list[int]:
    """Say in which column of ``names`` each class of a pipeline goes."""
    if all(isinstance(one, str) for one in own):
        if set(own) != set(names):
            raise ValueError(f"labels must be the classes of the pipeline, {sorted(own)}, got {names}")
        return [names.index(one) for one in own]
    if len(names) == len(own) and [str(one) for one in own] == names:
        return list(range(len(own)))
    numbers = [int(one) for one in own]
    if numbers != own or min(numbers) < 0 or max(numbers) >= len(names):
        raise ValueError(f"labels must have a name for each class of the pipeline, {own}, got {len(names)}: {names}")
    return numbers


def _text(number: int, text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"texts[{number}] must be a text, got {describe(text)[:200]}")
    if not text.strip():
        raise ValueError(f"texts[{number}] must not be empty, got {text[:20]!r}")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"texts[{number}] must be whole, got half a character (a lone surrogate) in {text[:20]!r}")
    return text.strip()


def check_classifier(classifier: Any) -> None:
    """Raise unless this is a classifier."""
    if not isinstance(classifier, Classifier):
        raise TypeError(f"classifier must be a Classifier, such as Classifier.load(folder), got {describe(classifier)}")


def _check(texts: Any, classifier: Any, *, batch_size: Any = 32) -> None:
    if not isinstance(texts, Path) and (not isinstance(texts, Iterable) or isinstance(texts, bytes | dict)):
        raise TypeError(
            f"texts must be a text, the Path of a file, or anything that gives texts, got {describe(texts)[:200]}"
        )
    check_classifier(classifier)
    require_count("batch_size", batch_size)


@requires(_check)
def classify(
    texts: str | Path | Iterable[str], classifier: Classifier, *, batch_size: int = 32
) -> Iterator[Prediction]:
    """Label texts, lazily and in their order: only one batch of them is in memory.

    Parameters
    ----------
    texts
        One text; anything that gives texts one after the other, such as a list or a generator; or the ``Path`` of a
        file, with one text a line, or in the column ``text`` of a table.
    classifier
        Such as :meth:`Classifier.load` reads.
    batch_size
        How many texts go through the model together; so many are read before the first answer.

    Returns
    -------
    iterator of Prediction
        One a text.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or, when its turn comes, a text is none or empty; the message says which.
        For files whose bad lines are to be told and passed over there is :func:`classify_file`.
    """
    if isinstance(texts, Path):
        checked = _texts_of(texts)
    else:
        given = [texts] if isinstance(texts, str) else texts
        checked = (_text(number, one) for number, one in enumerate(given))
    return _predictions(checked, classifier, batch_size)


def _texts_of(path: Path) -> Iterator[str]:
    try:
        for one in read_texts(path):
            if isinstance(one, LeftOut):
                raise ValueError(f"{path}, line {one.line}: {one.reason}; classify_file goes on behind bad lines")
            yield one.text
    except TableError as error:
        raise ValueError(f"{path} {error}") from error


def _predictions(texts: Iterator[str], classifier: Classifier, batch_size: int) -> Iterator[Prediction]:
    while some := list(islice(texts, batch_size)):
        yield from predictions(classifier, some)


def predictions(classifier: Classifier, texts: Sequence[str]) -> list[Prediction]:
    """Label one batch of texts, none of them empty."""
    answers = []
    for row in classifier.probabilities(texts):
        shares = dict(zip(classifier.labels, row.tolist(), strict=True))
        label = classifier.labels[int(row.argmax())]
        answers.append(Prediction(label, shares[label], shares))
    return answers
