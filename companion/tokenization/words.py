"""The words of many texts, as places in their bytes."""

from typing import NamedTuple

import numpy as np


class Words(NamedTuple):
    """Where in ``data``, which is UTF-8, words begin and end, and how many there are up to the end of each text."""

    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    totals: np.ndarray

    @classmethod
    def at_characters(cls, text: str, starts: np.ndarray, ends: np.ndarray, totals: np.ndarray) -> "Words":
        """Encode a text of which we know the characters where words begin and end."""
        data = text.encode()
        if len(data) > len(text):
            is_first_byte = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
            byte = np.append(np.flatnonzero(is_first_byte), len(data))
            starts, ends = byte[starts], byte[ends]
        return cls(data, starts, ends, totals)
