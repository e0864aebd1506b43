"""How a training step is computed: compiled or not, in which numbers, with which optimizer."""

import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch

from companion._validation import describe, requires
from companion.training.freed_memory import keep_freed_memory

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How a training step is computed. The default is torch's own: no compiler, float32, a loop over the parameters.

    Parameters
    ----------
    is_compiled
        Whether torch compiles the loss and its gradient. The first step then takes seconds to minutes. On the CPU, the
        process also keeps the memory that a step frees, for the next one.
    autocast
        The numbers that matrix products round their inputs to, or None for the weights' own.
    is_fused
        Whether the optimizer updates all parameters in one pass.

    Raises
    ------
    TypeError, ValueError
        If a switch is not True or False, or the numbers are not torch.bfloat16 or torch.float16.
    """

    is_compiled: bool = False
    autocast: torch.dtype | None = None
    is_fused: bool = False

    def __post_init__(self) -> None:
        for name in ("is_compiled", "is_fused"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {describe(getattr(self, name))}")
        if self.autocast is not None and not isinstance(self.autocast, torch.dtype):
            raise TypeError(f"autocast must be a torch.dtype or None, got {describe(self.autocast)}")
        # float16 would need its loss scaled, or small gradients become zero.
        if self.autocast not in (None, torch.bfloat16):
            raise ValueError(f"autocast must be torch.bfloat16 or None, got {self.autocast}")


#: PyTorch's own defaults.
PLAIN = Mode()


def _check_fast(device: Any = "cpu") -> None:
    if not isinstance(device, (str, torch.device)):
        raise TypeError(f"device must be a torch.device or its name, got {describe(device)}")


@requires(_check_fast)
def fast_mode(device: torch.device | str = "cpu") -> Mode:
    """Choose the fastest mode that this machine can do.

    Compiled where there is a compiler, bfloat16 where the processor multiplies it faster than float32, and the fused
    optimizer where torch has one.

    Parameters
    ----------
    device
        Where the model will be trained.

    Raises
    ------
    TypeError
        If the device is not a torch.device or a string.
    """
    kind = torch.device(device).type
    return Mode(
        is_compiled=_can_compile(kind),
        autocast=torch.bfloat16 if _multiplies_bfloat16(kind) else None,
        is_fused=kind in ("cpu", "cuda", "mps"),
    )


def _can_compile(kind: str) -> bool:
    if not torch._dynamo.is_dynamo_supported():  # pyright: ignore[reportPrivateImportUsage]
        return False
    if kind == "cpu":  # its code is C++
        return any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "cl") if name)
    return kind == "cuda"


def _multiplies_bfloat16(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu":
        return False
    # Not torch.ops.mkldnn._is_mkldnn_bf16_supported, which is also true where it is imitated with float32.
    has_avx512 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return has_avx512() or has_amx()


def run_in(mode: Mode, function: Callable[P, R], device: str) -> Callable[P, R]:
    """Return the function as the mode has it computed, on a kind of device."""
    compiled = torch.compile(function, dynamic=False) if mode.is_compiled else function
    if mode.is_compiled and device == "cpu":
        keep_freed_memory()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.autocast(device, mode.autocast, enabled=mode.autocast is not None):
            return compiled(*args, **kwargs)

    return run
