"""What a step frees stays with the process: the next step takes it without asking the system for a single page."""

import subprocess
import sys

import pytest
import torch

from companion.training import PLAIN, Mode, freed_memory, mode

STEPS = """
import resource, torch
from companion.training.freed_memory import keep_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(2**21) for _ in range(20)]
    del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

new_pages()
print(new_pages(), keep_freed_memory(), new_pages(), new_pages())
"""


def test_a_step_takes_what_the_last_one_freed(repository_root):
    done = subprocess.run(
        [sys.executable, "-c", STEPS], cwd=repository_root, capture_output=True, text=True, check=True
    )
    before, is_kept, _, after = done.stdout.split()
    assert is_kept == "True"
    assert int(before) > 10_000
    assert int(after) < 100


def test_other_systems_and_libraries_are_left_alone(monkeypatch):
    ask = freed_memory.keep_freed_memory.__wrapped__
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda name: object())
    assert not ask()
    monkeypatch.setattr(freed_memory.sys, "platform", "darwin")
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", None)  # not even looked at
    assert not ask()


@pytest.mark.parametrize(
    ("how", "device", "is_kept"),
    [(Mode(is_compiled=True), "cpu", True), (Mode(is_compiled=True), "cuda", False), (PLAIN, "cpu", False)],
)
def test_compiled_steps_on_the_cpu_keep_it(how, device, is_kept, monkeypatch):
    asked = []
    monkeypatch.setattr(mode, "keep_freed_memory", lambda: asked.append(True))
    mode.run_in(how, torch.sum, device)
    assert bool(asked) == is_kept
