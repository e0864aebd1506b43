"""What crosses the sandbox's wall is plain, exact and bounded, whatever the other side sends."""

import ast
import io
import json
import math
import struct
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import companion.grading
from companion.grading import codec
from companion.grading.codec import CodecError, pack, unpack

shapes = st.lists(st.integers(0, 5), max_size=4)
tensors = st.builds(
    lambda shape, seed: torch.randn(shape, generator=torch.Generator().manual_seed(seed)), shapes, st.integers(0, 999)
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**200), 2**200), st.floats(), st.text(max_size=50), st.characters()
)
keys = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
values = st.recursive(
    scalars | tensors,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=20,
)


def read_from(data: bytes):
    file = io.BytesIO(data)

    def read(size: int) -> bytes:
        found = file.read(size)
        if len(found) < size:
            raise EOFError
        return found

    return read


def same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bytes_of(a) == bytes_of(b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def bytes_of(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def frame(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + payload


@given(value=values)
def test_any_plain_value_comes_back_exactly(value):
    header, back = unpack(read_from(pack({"turn": "x"}, value)))
    assert header == {"turn": "x"}
    assert same(value, back)


@given(shape=shapes, name=st.sampled_from(sorted(codec.DTYPES)), seed=st.integers(0, 99))
def test_any_tensor_comes_back_exactly(shape, name, seed):
    dtype = codec.DTYPES[name]
    high = 2 if dtype == torch.bool else 256
    raw = torch.randint(
        0, high, (math.prod(shape) * dtype.itemsize,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    tensor = raw.view(dtype).reshape(shape) if raw.numel() else torch.empty(shape, dtype=dtype)
    for each in (tensor, tensor.mT.mT if tensor.ndim > 1 else tensor, tensor.flip(0) if tensor.ndim else tensor):
        assert same(unpack(read_from(pack({}, each)))[1], each.contiguous())


def test_one_element_of_any_stride_comes_back():
    column = torch.rand(1, 31).argsort()[:, 0]
    assert same(unpack(read_from(pack({}, column)))[1], torch.tensor(column.tolist()))


def test_a_view_sends_only_what_it_shows_and_no_gradient():
    whole = torch.arange(2.0 * 3 * 5 * 7, requires_grad=True).reshape(2, 3, 5, 7)
    part = whole[:, 1].mT
    back = unpack(read_from(pack({}, part)))[1]
    assert torch.equal(back, part.detach())
    assert not back.requires_grad


class SubTensor(torch.Tensor):
    pass


class FakeInt(int):
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(2).as_subclass(SubTensor), "SubTensor"),
        (torch.nn.Parameter(torch.zeros(2)), "Parameter"),
        (torch.zeros(2).numpy(), "ndarray"),
        (torch.zeros(2, 2).to_sparse(), "sparse"),
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
        (torch.zeros(2, device="meta"), "meta"),
        (torch.zeros(1).expand(1 << 40), "more than 64 MB"),
        (FakeInt(3), "FakeInt"),
        ({1.5: 1}, "dict with keys other than"),
        ({(1, (2.5,)): 1}, "dict with keys other than"),
        ({1: object()}, "object"),
        ({i: i for i in range(6_000)}, "more than 10000 values"),
        (Counter("aab"), "Counter"),
        (object(), "object"),
        (lambda: 0, "function"),
        ([[[[[[[[[[1]]]]]]]]]], "nested"),
        ([0] * 20_000, "more than 10000 values"),
        ("x" * 20_000, "20000 characters"),
        (1 << 10_000, "10001 bits"),
        (torch.return_types.max((torch.zeros(1), torch.zeros(1))), "max"),
    ],
)
def test_all_but_plain_bounded_values_are_refused(value, message):
    with pytest.raises(CodecError, match=message):
        pack({}, value)


GOOD = {"value": ["tensor", "float32", [2]], "sizes": [8]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00",
        struct.pack(">I", 100) + b"{}",
        struct.pack(">I", 0xFFFFFFFF),
        frame(b"not json"),
        frame(b"\xff\xfe"),
        frame(b"[" * 100_000),
        frame(b"9" * 100_000),
        frame([]),
        frame({}),
        frame({"sizes": [], "value": None}),
        frame({"sizes": [], "value": []}),
        frame({"sizes": [], "value": ["plain", {}]}),
        frame({"sizes": [], "value": ["plain", "x" * 20_000]}),
        frame({"sizes": [], "value": ["pickle", "gASV"]}),
        frame({"sizes": [], "value": ["dict", {}]}),
        frame({"sizes": [], "value": ["dict", [["plain", 1]]]}),
        frame({"sizes": [], "value": ["dict", [[["plain", 1]]]]}),
        frame({"sizes": [], "value": ["dict", [[["plain", 1.5], ["plain", 1]]]]}),
        frame({"sizes": [], "value": ["dict", [[["list", []], ["plain", 1]]]]}),
        frame({"sizes": [], "value": ["dict", [[["plain", 1], ["plain", 1]], [["plain", 1], ["plain", 2]]]]}),
        frame({"sizes": [-1], "value": ["plain", 1]}),
        frame({"sizes": [True], "value": ["plain", 1]}, b"x"),
        frame({"sizes": ["8"], "value": ["plain", 1]}),
        frame({"sizes": [1 << 60], "value": ["plain", 1]}),
        frame({"sizes": [8], "value": ["plain", 1]}, b"x" * 8),
        frame(GOOD | {"sizes": [7]}, b"x" * 7),
        frame(GOOD, b"x" * 7),
        frame(GOOD | {"sizes": []}),
        frame(GOOD | {"value": ["tensor", "object", [2]]}, b"x" * 8),
        frame(GOOD | {"value": ["tensor", "complex64", [1]]}, b"x" * 8),
        frame(GOOD | {"value": ["tensor", "float32", [-2]]}, b"x" * 8),
        frame(GOOD | {"value": ["tensor", "float32", [-1, -2]]}, b"x" * 8),
        frame(GOOD | {"value": ["tensor", "float32", [2.0]]}, b"x" * 8),
        frame(GOOD | {"value": ["tensor", "float32", [True, 2]]}, b"x" * 8),
        frame(GOOD | {"value": ["tensor", "float32", [1] * 99 + [2]]}, b"x" * 8),
        frame({"value": ["tensor", "float32", [0, 1 << 62, 1 << 62]], "sizes": [0]}),
        frame({"value": ["tensor", "float32", ["2"]], "sizes": [8]}, b"x" * 8),
        frame({"value": ["list", [["plain", 1]] * 20_000], "sizes": []}),
        frame(b'{"sizes": [], "value": ' + b'["list", [' * 20 + b'["plain", 1]' + b"]]" * 20 + b"}"),
    ],
)
def test_a_hostile_message_is_refused(data):
    with pytest.raises((CodecError, EOFError)):
        unpack(read_from(data))


@given(data=st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused_or_read(data):
    for message in (data, frame(data), frame(GOOD, data)):
        try:
            _, value = unpack(read_from(message))
        except (CodecError, EOFError):
            continue
        assert type(value) in (bool, int, float, str, list, tuple, torch.Tensor, type(None))


def test_a_byte_that_is_no_bool_becomes_one():
    _, value = unpack(read_from(frame({"value": ["tensor", "bool", [3]], "sizes": [3]}, b"\x00\x01\xff")))
    assert value.view(torch.uint8).tolist() == [0, 1, 1]


def test_nothing_in_grading_can_unpickle():
    unpicklers = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "multiprocessing", "concurrent"}
    for path in Path(companion.grading.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not unpicklers & {alias.name.partition(".")[0] for alias in node.names}, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in unpicklers, path
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("torch.load", "torch.jit", "numpy.load", "np.load"), path
