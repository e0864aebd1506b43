"""NumPy's own files, numbers only.

An ``.npy`` file whose elements are Python objects holds a pickle, which runs code when it is read. Its header says so:
such a file is refused when it is unpacked, and NumPy refuses it again when it is read.
"""

from __future__ import annotations

import io
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING

from companion.data.errors import DataError

if TYPE_CHECKING:
    import numpy as np

# What NumPy raises over a file that is no array; it reads a header with Python's own tokenizer and parser.
NOT_AN_ARRAY = (ValueError, EOFError, SyntaxError, TokenError)


def refuse_objects(head: bytes, name: str) -> None:
    """Refuse an ``.npy`` file by its first bytes unless it holds numbers.

    Raises
    ------
    DataError
        Naming the file and what is wrong.
    """
    from numpy.lib import format as npy

    file = io.BytesIO(head)
    try:
        version = npy.read_magic(file)
        _, _, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    except NOT_AN_ARRAY as error:
        raise DataError(f"{name} is refused: its content is not what its name says ({error})") from error
    if dtype.hasobject:
        raise DataError(f"{name} is refused: it holds Python objects, which are pickled, and not numbers")


def read_array(path: Path) -> np.ndarray:
    """Read an array of numbers; one of Python objects, which would have to be unpickled, is refused.

    Raises
    ------
    DataError
        When the file holds no numbers.
    """
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except NOT_AN_ARRAY as error:
        raise DataError(f"{path} is refused: {error}. Nothing in it was run; delete its folder and fetch it") from error
