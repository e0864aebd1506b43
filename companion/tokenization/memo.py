"""Remember what was computed for a key, up to a limit."""

from collections.abc import Callable, Hashable
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memo(dict[Key, Value]):
    """A dictionary that computes what it lacks: ``memo[word]`` costs no Python call when the word was seen before.

    Parameters
    ----------
    compute
        The value of a key.
    max_entries
        Remember no more than this many.
    max_key_length
        Do not remember longer strings: they hardly ever come back.
    """

    def __init__(self, compute: Callable[[Key], Value], *, max_entries: int = 1 << 18, max_key_length: int = 64):
        super().__init__()
        self.compute = compute
        self.max_entries = max_entries
        self.max_key_length = max_key_length

    def __missing__(self, key: Key) -> Value:
        value = self.compute(key)
        if len(self) < self.max_entries and (not isinstance(key, str) or len(key) <= self.max_key_length):
            self[key] = value
        return value
