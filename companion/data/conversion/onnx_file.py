"""The weights of an ONNX file, and which operation uses each, read without the ``onnx`` library.

An ONNX file is one protocol-buffer message. A message is a run of fields; a field is a key, which holds its number and
its form, and then a number, eight or four bytes, or a length and that many bytes. The numbers below are those of
``onnx.proto``; every field that is not named here is passed over, so the graph itself is never run.

References
----------
ONNX, the schema ``onnx.proto``, and Protocol Buffers, the page "Encoding".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from companion.data.errors import DataError

if TYPE_CHECKING:
    import numpy as np

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_NAME, NODE_OPERATION = 1, 3, 4
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_INTEGERS, TENSOR_NAME, TENSOR_RAW = 1, 2, 4, 5, 8, 9
TYPES = {1: "<f4", 2: "|u1", 3: "|i1"}  # those that a quantised model has
VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
LONGEST_VARINT = 10


@dataclass(frozen=True)
class Node:
    """One operation: what it does, how it is called, and what goes into it."""

    operation: str
    name: str
    inputs: tuple[str, ...]


def read_onnx(path: Path) -> tuple[dict[str, np.ndarray], list[Node]]:
    """Read a file's stored tensors by name, and its operations in their order.

    Raises
    ------
    DataError
        When the file is cut short, is no ONNX file, or stores a tensor in a type that is not read here.
    """
    try:
        model = dict(_fields(memoryview(path.read_bytes())))
        graph = list(_fields(_bytes(model.get(MODEL_GRAPH, b""))))
        tensors = dict(_tensor(_bytes(value)) for number, value in graph if number == GRAPH_INITIALIZER)
        nodes = [_node(_bytes(value)) for number, value in graph if number == GRAPH_NODE]
    except (IndexError, OverflowError, ValueError) as error:
        raise DataError(f"{path.name} is damaged or no ONNX file ({error}); delete it and fetch again") from error
    if not tensors:
        raise DataError(f"{path.name} is no ONNX file with weights inside; delete it and fetch again")
    return tensors, nodes


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, form = key >> 3, key & 7
        if form == VARINT:
            value, position = _varint(data, position)
        else:
            length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(form)
            if form == BYTES:
                length, position = _varint(data, position)
            if length is None or position + length > len(data):
                raise ValueError(f"field {number} reaches beyond the end")
            value, position = data[position : position + length], position + length
        yield number, value


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for count in range(LONGEST_VARINT):
        byte = data[position + count]
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, position + count + 1
    raise ValueError("a number has no end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _bytes(value: int | bytes | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a part was expected")
    return memoryview(value)


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()


def _integers(values: list[int | memoryview]) -> list[int]:
    """Flatten a repeated integer field: one number a field, or all of them packed into one."""
    integers = []
    for value in values:
        if isinstance(value, int):
            integers.append(_signed(value))
            continue
        position = 0
        while position < len(value):
            number, position = _varint(value, position)
            integers.append(_signed(number))
    return integers


def _node(data: memoryview) -> Node:
    parts = list(_fields(data))
    texts = {number: _text(value) for number, value in parts if number in {NODE_NAME, NODE_OPERATION}}
    inputs = tuple(_text(value) for number, value in parts if number == NODE_INPUT)
    return Node(texts.get(NODE_OPERATION, ""), texts.get(NODE_NAME, ""), inputs)


def _tensor(data: memoryview) -> tuple[str, np.ndarray]:
    import numpy as np

    parts: dict[int, list[int | memoryview]] = {}
    for number, value in _fields(data):
        parts.setdefault(number, []).append(value)
    name = _text(parts.get(TENSOR_NAME, [memoryview(b"")])[0])
    (kind,) = _integers(parts.get(TENSOR_TYPE, [0]))
    if kind not in TYPES:
        raise ValueError(f"tensor {name!r} is of type {kind}; only float32, int8 and uint8 are read")
    shape = _integers(parts.get(TENSOR_DIMS, []))
    if TENSOR_RAW in parts:
        values = np.frombuffer(_bytes(parts[TENSOR_RAW][0]), TYPES[kind])
    elif kind == 1:
        values = np.frombuffer(b"".join(bytes(_bytes(part)) for part in parts.get(TENSOR_FLOATS, [])), "<f4")
    else:
        values = np.array(_integers(parts.get(TENSOR_INTEGERS, [])), TYPES[kind])
    if min(shape, default=0) < 0 or values.size != math.prod(shape):
        raise ValueError(f"tensor {name!r} of shape {tuple(shape)} has {values.size} values")
    return name, values.reshape(shape)
