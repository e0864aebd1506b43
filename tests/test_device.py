"""The device is the fastest there is, or the one that was asked for, or an error; never another in silence."""

import pytest
import torch

from companion.device import VARIABLE, pick_device


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have other hardware."""

    def pretend(*, cuda=0, mps=False, wanted=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.delenv(VARIABLE, raising=False)
        if wanted is not None:
            monkeypatch.setenv(VARIABLE, wanted)

    return pretend


@pytest.mark.parametrize(
    ("hardware", "device"),
    [
        ({}, "cpu"),
        ({"mps": True}, "mps"),
        ({"cuda": 1}, "cuda"),
        ({"cuda": 2, "mps": True}, "cuda"),
        ({"cuda": 1, "wanted": "cpu"}, "cpu"),
        ({"cuda": 1, "wanted": ""}, "cuda"),
        ({"cuda": 2, "wanted": " cuda:1 "}, "cuda:1"),
        ({"cuda": 1, "mps": True, "wanted": "mps"}, "mps"),
    ],
)
def test_the_fastest_device_unless_another_is_asked_for(machine, hardware, device):
    machine(**hardware)
    assert pick_device() == torch.device(device)


@pytest.mark.parametrize(
    ("hardware", "message"),
    [
        ({"wanted": "cuda"}, "COMPANION_DEVICE='cuda' asks for a device that is not available here.*0 CUDA devices"),
        ({"wanted": "mps"}, "COMPANION_DEVICE='mps' asks for a device that is not available"),
        ({"cuda": 1, "wanted": "cuda:1"}, "COMPANION_DEVICE='cuda:1' asks for a device that is not available"),
        ({"wanted": "gpu"}, "COMPANION_DEVICE='gpu' names no device; use cpu"),
        ({"wanted": "meta"}, "COMPANION_DEVICE='meta' is not a device of this course"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(machine, hardware, message):
    machine(**hardware)
    with pytest.raises(ValueError, match=message):
        pick_device()
