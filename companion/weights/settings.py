"""Reading a checkpoint's ``config.json`` with suspicion: every wrong or unknown setting is named, in one error."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from companion.weights.errors import CheckpointError

# No released model is as wide or reads as far. It only keeps a hostile file's products within what torch can count;
# what does not fit the tensors' shapes is found afterwards, and no memory is taken before.
LARGEST_SIZE = 2**24


class Settings:
    """The settings of one ``config.json``, read one by one; :meth:`finish` raises what was wrong with any of them.

    Parameters
    ----------
    config
        The file's content.
    source
        The checkpoint, for the message.
    tensors
        The names of its tensors. There cannot be more layers, and a setting may promise one of them.
    """

    def __init__(self, config: Mapping[str, Any], source: str, tensors: Collection[str]) -> None:
        self._config = config
        self._source = source
        self._tensors = tensors
        self._problems: list[str] = []
        self.notes: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting as it is; one that is null counts as left out."""
        value = self._config.get(key)
        return default if value is None else value

    def problem(self, text: str) -> None:
        """Remember what is wrong with a setting."""
        self._problems.append(text)

    def size(self, key: str, default: int | None = None, *, at_least: int = 1, at_most: int = LARGEST_SIZE) -> int:
        """Read a positive integer, or one that is at least another number."""
        value = self.get(key, default)
        if value is None:
            self.problem(f"{key} is missing")
        elif isinstance(value, bool) or not isinstance(value, int):
            self.problem(f"{key} must be an integer, got {_short(value)}")
        elif not at_least <= value <= at_most:
            self.problem(f"{key} must be from {at_least} to {at_most}, got {_short(value)}")
        else:
            return value
        return 1

    def layers(self, key: str, default: int | None = None) -> int:
        """Read a number of layers."""
        n_layers = self.size(key, default)
        if n_layers > len(self._tensors):
            self.problem(f"{key} is {n_layers}, but the files hold only {len(self._tensors)} tensors")
        return n_layers

    def promise(self, key: str, value: Any, tensor: str) -> None:
        """Refuse a value of a setting that promises a tensor which is not there."""
        if self.get(key) is value and tensor not in self._tensors:
            self.problem(f"{key} is {value!r}, but the files hold no {tensor}")

    def number(self, key: str, default: float, *, below: float = math.inf, value: Any = None) -> float:
        """Read a number that is at least 0; ``value`` where it was found in another place."""
        value = self.get(key, default) if value is None else value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.problem(f"{key} must be a number, got {_short(value)}")
        elif not 0 <= value < below:
            self.problem(f"{key} must be at least 0 and below {below}, got {_short(value)}")
        else:
            return float(value)
        return 0.0

    def switch(self, key: str, default: bool) -> bool:
        """Read a truth value."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            self.problem(f"{key} must be true or false, got {_short(value)}")
            return default
        return value

    def choice(self, key: str, supported: Mapping[Any, Any], default: Any) -> Any:
        """Translate a setting that has a few values which are built here."""
        value = self.get(key, default)
        if not isinstance(value, (str, bool, int)) or value not in supported:
            known = " or ".join(map(repr, supported))
            self.problem(f"{key} is {_short(value)}, which is not built here; only {known} is")
            return supported[default]
        return supported[value]

    def only(self, key: str, value: Any, *, default: Any = None) -> None:
        """Refuse any other value of a setting."""
        found = self.get(key, default)
        if found != value or isinstance(found, bool) != isinstance(value, bool):
            self.problem(f"{key} is {_short(found)}, which is not built here; only {value!r} is")

    def dropout(self, *keys: str) -> float:
        """Read several chances of dropping; the models here have one for all places."""
        values = {key: self.number(key, 0.0, below=1.0) for key in keys}
        largest = max(values.values())
        if len(set(values.values())) > 1:
            told = ", ".join(f"{key}={value}" for key, value in values.items())
            self.notes.append(f"config.json has {told}; this model drops with {largest} everywhere, in training")
        return largest

    def finish(self) -> tuple[str, ...]:
        """Raise if a setting was wrong; return what else is worth telling.

        Raises
        ------
        CheckpointError
            Naming every setting that is missing, out of range, or not built here.
        """
        if self._problems:
            listed = "".join(f"\n- {problem}" for problem in self._problems)
            raise CheckpointError(f"config.json of {self._source} describes no model that is built here:{listed}")
        return tuple(self.notes)


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "an integer of more than 30 digits"
    return text if len(text) <= 80 else text[:77] + "..."
