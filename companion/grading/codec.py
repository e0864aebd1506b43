"""Plain values as bytes: a JSON header, then the raw bytes of each tensor.

The same file runs on both sides of the sandbox's wall, so it imports nothing of the companion. Inside, `pack` refuses
all but the exact plain types, so that a stand-in for a tensor is a wrong answer. Outside, `unpack` believes nothing:
what it reads may be forged, and can only ever become a plain value, which is then judged. Nothing is unpickled.
"""

import json
import struct
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

MAX_HEADER = 1 << 20
MAX_PAYLOAD = 64 << 20
MAX_VALUES = 10_000
MAX_DEPTH = 8
MAX_TEXT = 10_000
MAX_DIMENSIONS = 16
MAX_INTEGER_BITS = 8_000  # below the digits that Python agrees to read back from decimal

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
    )
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_SIZE = struct.Struct(">I")


class CodecError(ValueError):
    """A value that may not cross, or bytes that mean no value."""


def pack(header: dict[str, Any], value: Any) -> bytes:
    """Write a message: a few plain fields, and one value.

    Raises
    ------
    CodecError
        If the value holds anything but plain types, or is too large.
    """
    payloads: list[bytes] = []
    count = [0]
    node = _encode(value, payloads, count, 0)
    text = json.dumps({**header, "value": node, "sizes": [len(each) for each in payloads]}).encode()
    if len(text) > MAX_HEADER:
        raise CodecError(f"a value whose description takes {len(text)} bytes, more than {MAX_HEADER}")
    return b"".join([_SIZE.pack(len(text)), text, *payloads])


def unpack(read: Callable[[int], bytes]) -> tuple[dict[str, Any], Any]:
    """Read one message through `read(n)`, which returns exactly n bytes or raises.

    Raises
    ------
    CodecError
        If the bytes are anything but a message within the limits.
    """
    (length,) = _SIZE.unpack(read(_SIZE.size))
    if length > MAX_HEADER:
        raise CodecError(f"a header of {length} bytes, more than {MAX_HEADER}")
    header = _parse(read(length))
    sizes = header.pop("sizes", None)
    if type(sizes) is not list or not all(type(size) is int and size >= 0 for size in sizes):
        raise CodecError("a header without a list of sizes")
    if sum(sizes) > MAX_PAYLOAD:
        raise CodecError(f"{sum(sizes)} bytes of tensors, more than {MAX_PAYLOAD}")
    payloads = [read(size) for size in sizes]
    node = header.pop("value", None)
    value = _decode(node, payloads, [0], 0)
    if payloads:
        raise CodecError("tensor bytes that belong to no tensor")
    return header, value


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise CodecError("a header that is not JSON") from None
    if type(header) is not dict:
        raise CodecError("a header that is not an object")
    return header


def _encode(value: Any, payloads: list[bytes], count: list[int], depth: int) -> list:
    _count(count, depth)
    kind = type(value)
    if kind is Tensor:
        return _encode_tensor(value, payloads)
    if kind in (list, tuple):
        items = [_encode(item, payloads, count, depth + 1) for item in value]
        return ["list" if kind is list else "tuple", items]
    if kind is dict:
        if not all(map(_is_key, value)):
            raise CodecError("a dict with keys other than int, str, and tuples of them")
        pairs = [[_encode(each, payloads, count, depth + 1) for each in pair] for pair in value.items()]
        return ["dict", pairs]
    if kind is str and len(value) > MAX_TEXT:
        raise CodecError(f"a str of {len(value)} characters, more than {MAX_TEXT}")
    if kind is int and value.bit_length() > MAX_INTEGER_BITS:
        raise CodecError(f"an int of {value.bit_length()} bits, more than {MAX_INTEGER_BITS}")
    if value is None or kind in (bool, int, float, str):
        return ["plain", value]
    raise CodecError(f"a {kind.__module__}.{kind.__qualname__}")


def _encode_tensor(tensor: Tensor, payloads: list[bytes]) -> list:
    if tensor.dtype not in _NAMES or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        raise CodecError(f"a tensor of dtype {tensor.dtype}, layout {tensor.layout}, on {tensor.device.type}")
    # Before the bytes are asked for: an expanded tensor can claim any size and occupy none.
    size = _bytes_of(tensor.dtype, list(tensor.shape))
    if size + sum(map(len, payloads)) > MAX_PAYLOAD:
        raise CodecError(f"tensors of more than {MAX_PAYLOAD >> 20} MB, the last of shape {tuple(tensor.shape)}")
    # `contiguous` would leave one element with whatever stride it had, and `view` refuses that.
    flat = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format).reshape(-1)
    payloads.append(flat.view(torch.uint8).numpy().tobytes())
    return ["tensor", _NAMES[tensor.dtype], list(tensor.shape)]


def _decode(node: Any, payloads: list[bytes], count: list[int], depth: int) -> Any:
    """Build the value of a node; tensors take their bytes from the front of `payloads`, in order."""
    _count(count, depth)
    match node:
        case ["plain", value] if value is None or type(value) in (bool, int, float):
            return value
        case ["plain", str(value)] if len(value) <= MAX_TEXT:
            return value
        case ["list", list(items)]:
            return [_decode(item, payloads, count, depth + 1) for item in items]
        case ["tuple", list(items)]:
            return tuple(_decode(item, payloads, count, depth + 1) for item in items)
        case ["dict", list(pairs)]:
            return _decode_dict(pairs, payloads, count, depth + 1)
        case ["tensor", str(dtype), list(shape)] if dtype in DTYPES and payloads:
            return _decode_tensor(DTYPES[dtype], shape, payloads.pop(0))
    raise CodecError("a description of no value")


def _decode_dict(pairs: list, payloads: list[bytes], count: list[int], depth: int) -> dict:
    decoded = {}
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2:
            raise CodecError("a dict entry that is no pair")
        key, value = (_decode(node, payloads, count, depth) for node in pair)
        if not _is_key(key) or key in decoded:
            raise CodecError("a dict with a key that is no key, or twice the same")
        decoded[key] = value
    return decoded


def _is_key(value: Any) -> bool:
    """Allow as keys what can be compared without surprises: texts, whole numbers, and tuples of keys."""
    return type(value) in (bool, int, str) or (type(value) is tuple and all(map(_is_key, value)))


def _decode_tensor(dtype: torch.dtype, shape: list, payload: bytes) -> Tensor:
    if _bytes_of(dtype, shape) != len(payload):
        raise CodecError(f"{len(payload)} bytes for a tensor of {prod(shape)} numbers of {dtype.itemsize} bytes")
    if not payload:
        return torch.empty(shape, dtype=dtype)
    if dtype == torch.bool:  # a byte that is neither 0 nor 1 is no bool to torch
        return torch.frombuffer(bytearray(payload), dtype=torch.uint8).ne(0).reshape(shape)
    return torch.frombuffer(bytearray(payload), dtype=dtype).reshape(shape)


def _bytes_of(dtype: torch.dtype, shape: list) -> int:
    if len(shape) > MAX_DIMENSIONS or not all(type(size) is int and size >= 0 for size in shape):
        raise CodecError("a tensor of impossible shape")
    # An axis of size zero must not smuggle in strides that overflow.
    if prod(max(size, 1) for size in shape) * dtype.itemsize > MAX_PAYLOAD:
        raise CodecError(f"a tensor of shape {tuple(shape)}, more than {MAX_PAYLOAD >> 20} MB")
    return prod(shape) * dtype.itemsize


def _count(count: list[int], depth: int) -> None:
    count[0] += 1
    if depth > MAX_DEPTH:
        raise CodecError(f"lists nested more than {MAX_DEPTH} deep")
    if count[0] > MAX_VALUES:
        raise CodecError(f"more than {MAX_VALUES} values")
