"""Where tensors live: one rule for the choice of the device, for every notebook and command."""

import os

import torch

VARIABLE = "COMPANION_DEVICE"


def pick_device() -> torch.device:
    """Choose the fastest device there is: CUDA, then Apple's MPS, then the CPU.

    The environment variable ``COMPANION_DEVICE`` (``cpu``, ``cuda``, ``cuda:1``, ``mps``) overrides the choice, and
    never falls back in silence to another device.

    Raises
    ------
    ValueError
        If the variable names no device, or one that this machine or this build of torch does not have.
    """
    wanted = os.environ.get(VARIABLE, "").strip()
    if not wanted:
        return torch.device("cuda" if _has_cuda() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ValueError(f"{VARIABLE}={wanted!r} names no device; use cpu, cuda, cuda:0 or mps, or unset it") from error
    available = {"cpu": lambda: True, "cuda": _has_cuda, "mps": _has_mps}
    if device.type not in available:
        raise ValueError(f"{VARIABLE}={wanted!r} is not a device of this course; use cpu, cuda, cuda:0 or mps")
    if not available[device.type]() or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise ValueError(
            f"{VARIABLE}={wanted!r} asks for a device that is not available here (torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices); unset it, or use cpu"
        )
    return device


def _has_cuda() -> bool:
    return torch.cuda.is_available()


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
