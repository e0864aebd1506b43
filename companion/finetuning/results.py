"""What the study of fine-tuning found: a small file of runs, written by :mod:`companion.finetuning.study`."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from companion._validation import describe

NAME = "study.json"
# Log-odds are kept in tenths in one byte, so 12.7 is as sure as a stored answer can be.
SCALE = 10.0


def pack_answers(answers: np.ndarray) -> str:
    """Write answers of 0 and 1 as hexadecimal digits, four to each."""
    return np.packbits(np.asarray(answers, dtype=bool)).tobytes().hex()


def unpack_answers(packed: str, count: int) -> np.ndarray:
    """Read what :func:`pack_answers` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8), count=count).astype(np.int64)


def pack_log_odds(log_odds: np.ndarray) -> str:
    """Write log-odds in tenths, a byte each, as base64."""
    tenths = np.clip(np.round(np.asarray(log_odds, dtype=np.float64) * SCALE), -127, 127)
    return base64.b64encode(tenths.astype(np.int8).tobytes()).decode()


def unpack_log_odds(packed: str) -> np.ndarray:
    """Read what :func:`pack_log_odds` wrote."""
    return np.frombuffer(base64.b64decode(packed), np.int8) / SCALE


@dataclass(frozen=True)
class Run:
    """One trained classifier: what was done, and what came of it.

    Parameters
    ----------
    settings
        What was done: ``part``, ``arm``, ``n_labels``, ``seed`` and more.
    facts
        What came of it: scores, and ``cpu_seconds``.
    n_test, n_validation
        Rows of each part.
    """

    settings: dict[str, Any]
    facts: dict[str, Any]
    n_test: int
    n_validation: int

    def __getitem__(self, name: str) -> Any:
        """Return a setting or a fact by its name."""
        return self.settings[name] if name in self.settings else self.facts[name]

    @property
    def predictions(self) -> np.ndarray:
        """What was predicted for each test row, 0 or 1."""
        return unpack_answers(self.facts["predictions"], self.n_test)

    @property
    def log_odds(self) -> np.ndarray:
        """How sure of 1 it was at each test row, to a tenth; only runs of the first seed keep it."""
        return unpack_log_odds(self.facts["log_odds"])

    @property
    def validation_log_odds(self) -> np.ndarray:
        """The same of each validation row, to fit a temperature to."""
        return unpack_log_odds(self.facts["validation_log_odds"])


@dataclass(frozen=True)
class Study:
    """All runs, and what they were scored against.

    Parameters
    ----------
    header
        How and on what the study was made: ``command``, ``date``, ``model``, ``data``, ``rows`` of each part; and
        ``topics_before``, what the untouched body knows of topics.
    labels, validation_labels
        The right answers of the test and the validation rows, 0 or 1.
    runs
        In the order in which they were made.
    """

    header: dict[str, Any]
    labels: np.ndarray
    validation_labels: np.ndarray
    runs: list[Run]

    def select(self, part: str, **settings: Any) -> list[Run]:
        """Return the runs of a part that have these settings, such as ``arm="tfidf"``.

        Parameters
        ----------
        part
            ``"labels"``, ``"rates"``, ``"warmup"``, ``"decay"`` or ``"masked"``, among those the study has.
        **settings
            What they must have been.

        Raises
        ------
        ValueError
            If there is no such part or setting.
        """
        parts = list(dict.fromkeys(run.settings["part"] for run in self.runs))
        if part not in parts:
            raise ValueError(f"part must be one of {', '.join(parts)}, got {describe(part)}")
        found = [run for run in self.runs if run.settings["part"] == part]
        if unknown := sorted(set(settings) - set(found[0].settings)):
            known = ", ".join(found[0].settings)
            raise ValueError(f"settings must be of {known} for the part {part!r}, got {', '.join(unknown)}")
        return [run for run in found if all(run.settings.get(name) == value for name, value in settings.items())]


def to_study(content: dict[str, Any]) -> Study:
    """Make a study of what its file holds."""
    header = {name: value for name, value in content.items() if name not in ("runs", "labels", "validation_labels")}
    n_test, n_validation = header["rows"]["test"], header["rows"]["validation"]
    return Study(
        header,
        unpack_answers(content["labels"], n_test),
        unpack_answers(content["validation_labels"], n_validation),
        [Run(run["settings"], run["facts"], n_test, n_validation) for run in content["runs"]],
    )


def load_study(path: str | Path | None = None) -> Study:
    """Load the study that the chapter on fine-tuning draws, or another one.

    Parameters
    ----------
    path
        A file that ``python -m companion.finetuning.study --out`` wrote; the one in this package by default.

    Raises
    ------
    TypeError
        If the path is none.
    OSError, ValueError
        If the file cannot be read or is no study.
    """
    if path is not None and not isinstance(path, (str, Path)):
        raise TypeError(f"path must be a path or None, got {describe(path)}")
    if path is None:
        text = resources.files("companion.finetuning").joinpath(NAME).read_text("utf-8")
    else:
        text = Path(path).read_text("utf-8")
    try:
        return to_study(json.loads(text))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"path must hold a study, as companion.finetuning.study writes it: {error}") from error
