"""Labels as numbers and back: the part of a classifier that is not in its weights."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from companion._validation import describe, requires
from companion.tokenization.base import write_text

SHOWN = 10


def _check_names(self: Any, names: Any) -> None:
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise TypeError(f"names must be a list of one label or more, got {describe(names)}")
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"names must be texts that are not empty, got {describe(name)}")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"names must be different, got {', '.join(map(repr, repeated))} more than once")


class LabelEncoder:
    """The names of the classes, each with its number; plain JSON when it is saved.

    Labels are texts: the 1 of a table and the 1 of a JSON file are the same label.

    Parameters
    ----------
    names
        The label of class 0, of class 1, and so on.

    Raises
    ------
    TypeError, ValueError
        If these are no texts, or one stands there twice.
    """

    @requires(_check_names)
    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._numbers = {name: number for number, name in enumerate(self.names)}

    @classmethod
    def fit(cls, labels: Iterable[Any]) -> LabelEncoder:
        """Give each label that occurs a number, in the order of their names (of numbers, in that of their size).

        Raises
        ------
        TypeError, ValueError
            If there is none, or one is neither a text, an integer nor a truth.
        """
        return cls(sorted({label_name(label) for label in labels}, key=_order))

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelEncoder) and self.names == other.names

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"LabelEncoder({self.names})"

    def encode(self, labels: Iterable[Any]) -> list[int]:
        """Return the labels' numbers.

        Raises
        ------
        TypeError
            If one is neither a text, an integer nor a truth.
        ValueError
            If some do not occur in training; all of them are listed.
        """
        named = [label_name(label) for label in labels]
        unknown = Counter(name for name in named if name not in self._numbers)
        if unknown:
            listed = ", ".join(f"{name!r} ({count} times)" for name, count in unknown.most_common(SHOWN))
            more = f" and {len(unknown) - SHOWN} others" if len(unknown) > SHOWN else ""
            raise ValueError(
                f"labels must be those of training, {self._listed()}, got {listed}{more}: correct them, or put "
                "examples of them into the training data"
            )
        return [self._numbers[name] for name in named]

    def _listed(self) -> str:
        more = f" and {len(self) - SHOWN} others" if len(self) > SHOWN else ""
        return ", ".join(map(repr, self.names[:SHOWN])) + more

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the names of classes.

        Raises
        ------
        ValueError
            If there is no such class.
        """
        numbers = [int(number) for number in numbers]
        for number in numbers:
            if not 0 <= number < len(self):
                raise ValueError(f"numbers must be from 0 to {len(self) - 1}, got {number}")
        return [self.names[number] for number in numbers]

    def save(self, path: str | Path) -> None:
        """Write the names as a JSON list."""
        write_text(Path(path), json.dumps(self.names, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> LabelEncoder:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            return cls(json.loads(Path(path).read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} must be a JSON list of labels ({error})") from error


def label_name(label: Any) -> str:
    """Return a label as a text.

    Raises
    ------
    TypeError, ValueError
        If it is neither a text, an integer nor a truth, or empty.
    """
    if not isinstance(label, str | int):
        raise TypeError(f"a label must be a text, an integer or a truth, got {describe(label)}")
    name = str(label).strip()
    if not name:
        raise ValueError("a label must not be empty")
    return name


def _order(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.isascii() and name.lstrip("-").isdigit() else (1, 0, name)
