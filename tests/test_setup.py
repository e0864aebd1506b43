"""`.ci/setup` says what is missing and what to do, instead of failing somewhere inside pip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FAKE_PYTHON = """#!/bin/bash
case "$*" in
    *"--version"*) echo "Python 3.11.9" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip install"*) echo "{says}"; exit 1 ;;
esac
"""
# What the script itself calls.
TOOLS = [
    "awk",
    "basename",
    "bash",
    "cat",
    "cksum",
    "cp",
    "dirname",
    "env",
    "grep",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "tee",
]


@pytest.fixture
def machine(tmp_path, repository_root):
    """A checkout and a PATH with nothing but the basic tools: no Python, and plenty of disk."""
    checkout, tools = tmp_path / "checkout", tmp_path / "tools"
    (checkout / ".ci").mkdir(parents=True)
    tools.mkdir()
    for name in (".ci/setup", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository_root / name, checkout / name)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, f"this test needs {tool}"
        (tools / tool).symlink_to(found)
    add_tool(tools, "df", "#!/bin/bash\necho head\necho disk 1 1 99999999 1% /\n")
    return checkout, tools


def add_tool(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(script)
    (tools / name).chmod(0o755)


def set_up(checkout: Path, tools: Path) -> subprocess.CompletedProcess:
    environment = {"PATH": str(tools), "HOME": str(checkout), "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    return subprocess.run(
        [str(tools / "bash"), ".ci/setup"], cwd=checkout, env=environment, capture_output=True, text=True, timeout=60
    )


def test_without_python_it_names_the_versions_that_will_do(machine):
    done = set_up(*machine)
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 was found" in done.stderr
    assert "make book PYTHON=" in done.stderr


def test_without_disk_it_says_how_much_is_needed(machine):
    checkout, tools = machine
    add_tool(tools, "python3.11", FAKE_PYTHON)
    add_tool(tools, "df", "#!/bin/bash\necho head\necho disk 1 1 1048576 1% /\n")
    done = set_up(checkout, tools)
    assert done.returncode == 1
    assert "only 1 GB of disk is free" in done.stderr
    assert "takes 6 GB" in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("pip_says", "expected"),
    [
        ("error: command 'gcc' failed: No such file or directory", "no working C compiler"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: Could not find a version that satisfies the requirement torch", "pip could not fetch a package"),
        ("Segmentation fault", "pip failed"),
    ],
)
def test_a_failing_pip_is_explained_and_leaves_the_setup_unfinished(machine, pip_says, expected):
    checkout, tools = machine
    add_tool(tools, "python3.11", FAKE_PYTHON.replace("{says}", pip_says))
    done = set_up(checkout, tools)
    assert done.returncode == 1
    assert pip_says in done.stdout
    assert expected in done.stderr
    assert "What to do:" in done.stderr
    assert not (checkout / ".venv/.ready").exists()
