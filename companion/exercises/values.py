"""What a student's function may return: tensors and plain values, told apart, compared and described.

A plain value is a bool, an int, a float, a str, None, or a list, tuple or dict of plain values and tensors. Comparing
never trusts a returned value's own methods: its exact type comes first.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 3e-3}
_LONGEST_TEXT = 300
_LONGEST_VALUE = 80


def describe(name: str, value: Any) -> str:
    """Say what an argument is: a tensor by its shape and any unusual dtype, anything else by its value."""
    if isinstance(value, Tensor):
        usual = value.dtype in (torch.float32, torch.int64, torch.bool)
        return f"{name} of shape {tuple(value.shape)}" + ("" if usual else f" and dtype {dtype_name(value.dtype)}")
    return f"{name} = {clip(_written(value), _LONGEST_VALUE)}"


def _written(value: Any) -> str:
    """Write a value as Python does, but a tensor inside it by its shape."""
    if isinstance(value, Tensor):
        return f"<shape {tuple(value.shape)}>"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(_written, value[:_LONGEST_VALUE]))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_written(item)}" for key, item in value.items()) + "}"
    return repr(value)


def dtype_name(dtype: torch.dtype) -> str:
    """Name a dtype as a student writes it after ``torch.``."""
    return str(dtype).removeprefix("torch.")


def kind_of(value: Any) -> str:
    """Name the type of a returned value."""
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    kind = type(value)
    return clip(_article(kind.__name__) if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__name__}")


def clip(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Keep the start of a text that may be enormous."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def copy_of(value: Any) -> Any:
    """Copy a value so that changing the copy in place leaves the original as it was."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, (list, tuple)):
        return type(value)(map(copy_of, value))
    if isinstance(value, dict):
        return {key: copy_of(item) for key, item in value.items()}
    return value


def doubled(value: Any) -> Any:
    """Put every floating point tensor in a value into double precision."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(map(doubled, value))
    if isinstance(value, dict):
        return {key: doubled(item) for key, item in value.items()}
    return value


def unchanged(before: Any, after: Any) -> bool:
    """Tell whether an argument is still what it was."""
    if isinstance(before, Tensor):
        return type(after) is Tensor and before.dtype == after.dtype and _same_numbers(before, after)
    if type(before) is not type(after):
        return False
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(unchanged, before, after))
    if isinstance(before, dict):
        return list(before) == list(after) and all(map(unchanged, before.values(), after.values()))
    return before == after


def _same_numbers(before: Tensor, after: Tensor) -> bool:
    """Compare two tensors of one dtype exactly; a NaN in the same place is the same."""
    if before.is_floating_point() and before.shape == after.shape:
        return bool(((before == after) | (before.isnan() & after.isnan())).all())
    return torch.equal(before, after)


def kind_error(item: Any, want: Any, dtype: torch.dtype | None) -> str | None:
    """Say what kind of value was returned when it is not the kind expected, before anything else is asked of it.

    ``dtype`` is that of the floating point inputs, which a floating point answer keeps; None where there are none.
    """
    if isinstance(want, Tensor):
        if not want.is_floating_point():
            return _tensor_error(item, want.dtype)
        return _tensor_error(item, dtype or torch.float32, ", the dtype of its inputs" if dtype else "")
    if _same_kind(item, want):
        return None
    if type(item) is Tensor and item.numel() == 1 and isinstance(want, (bool, int, float)):
        return f"a torch.Tensor, expected a plain {type(want).__name__}: take it out with .item()"
    if isinstance(item, dict) and isinstance(want, dict):
        return f"{kind_of(item)}, expected a plain dict: wrap it in dict(...)"
    return f"{kind_of(item)}, expected {_article(type(want).__name__)}"


def _tensor_error(item: Any, dtype: torch.dtype, cause: str = "") -> str | None:
    if item is None:
        return "None"
    if type(item) is not Tensor:
        return f"{kind_of(item)}, expected a plain torch.Tensor"
    if item.is_nested or item.layout is not torch.strided:
        return "a sparse or nested tensor, expected a dense one"
    if item.device.type != "cpu":
        return f"a tensor on {item.device.type}, but its inputs are on cpu: keep to the device of the inputs"
    if item.dtype != dtype:
        return f"a tensor of dtype {dtype_name(item.dtype)}, expected {dtype_name(dtype)}{cause}"
    return None


def _same_kind(item: Any, want: Any) -> bool:
    """Take a list for a tuple and an int for a float, nothing else for anything else."""
    kind = type(item)
    if isinstance(want, (list, tuple)):
        return kind in (list, tuple)
    if isinstance(want, float):
        return kind in (int, float)
    return kind is type(want)


def _article(noun: str) -> str:
    return "None" if noun == "NoneType" else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def agree(value: Any, expected: Any, tolerance: float) -> bool:
    """Tell whether a value is the expected one, floating point numbers up to a relative and absolute tolerance."""
    return next(differences(value, expected, tolerance), None) is None


def differences(value: Any, expected: Any, tolerance: float, path: str = "") -> Iterator[str]:
    """Say in words where a value differs from the expected one, and never what is right there."""
    place = f" at {path}" if path else ""
    if isinstance(expected, Tensor):
        yield from _tensor_differences(value, expected, tolerance, place)
    elif not _same_kind(value, expected):
        yield f"{kind_of(value)}{place}, expected {_article(type(expected).__name__)}"
    elif isinstance(expected, (list, tuple)):
        for i, (item, want) in enumerate(zip(value, expected, strict=False)):
            yield from differences(item, want, tolerance, f"{path}[{i}]")
        if len(value) != len(expected):
            yield f"{len(value)} items{place}, expected {len(expected)}"
    elif isinstance(expected, dict):
        yield from _dict_differences(value, expected, tolerance, path)
    elif isinstance(expected, str):
        if value != expected:
            same = next((i for i, (a, b) in enumerate(zip(value, expected, strict=False)) if a != b), None)
            start = min(len(value), len(expected)) if same is None else same
            yield f"a text{place} that is wrong from character {start} on: {clip(repr(value), _LONGEST_VALUE)}"
    elif isinstance(expected, float):
        close = math.isclose(value, expected, rel_tol=tolerance, abs_tol=tolerance)
        if not (close or (math.isnan(value) and math.isnan(expected))):
            yield f"the wrong number {value:.4g}{place}"
    elif value != expected:
        yield f"{clip(repr(value), _LONGEST_VALUE)}{place}, which is wrong"


def _dict_differences(value: dict, expected: dict, tolerance: float, path: str) -> Iterator[str]:
    place = f" at {path}" if path else ""
    for key in expected:
        if key not in value:
            yield f"a dict{place} without the key {clip(repr(key), _LONGEST_VALUE)}"
    for key, item in value.items():
        if key not in expected:
            yield f"a dict{place} with the key {clip(repr(key), _LONGEST_VALUE)}, which does not belong there"
        else:
            yield from differences(item, expected[key], tolerance, f"{path}[{clip(repr(key), _LONGEST_VALUE)}]")


def _tensor_differences(value: Any, expected: Tensor, tolerance: float, place: str) -> Iterator[str]:
    if type(value) is not Tensor:
        yield f"{kind_of(value)}{place}, expected a plain torch.Tensor"
    # Shapes first: it costs nothing, and a returned tensor may claim to be enormous.
    elif value.shape != expected.shape:
        yield f"shape {tuple(value.shape)}{place}, expected {tuple(expected.shape)}"
    elif value.is_floating_point() != expected.is_floating_point():
        yield f"a tensor of dtype {dtype_name(value.dtype)}{place}, expected {dtype_name(expected.dtype)}"
    else:
        wrong = _differs(value, expected, tolerance)
        if not wrong.any():
            return
        if value.is_floating_point() and not value.isfinite().all() and expected.isfinite().all():
            yield f"{'NaN' if value.isnan().any() else 'inf'}{place}"
        first = wrong.nonzero()[0].tolist()
        yield f"{int(wrong.sum())} wrong values of {wrong.numel()}{place}; the first is at position {first}"


def _differs(value: Tensor, expected: Tensor, tolerance: float) -> Tensor:
    if not expected.is_floating_point():
        return value != expected
    close = torch.isclose(value.detach().double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True)
    return ~close
