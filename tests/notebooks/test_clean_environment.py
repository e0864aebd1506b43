"""A student's whole way: a bare environment, the setup line, every cell of a lab; then once more without a network.

The environment has what a hosted notebook runtime has, and neither the companion nor anything it alone needs.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from companion.data import fetch
from companion.exercises import SLUGS
from companion.publish.project import setup_line

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.timeout(900)]

RUNTIME = ["torch", "numpy", "transformers", "datasets", "scikit-learn", "matplotlib", "altair", "ipywidgets"]
RUNNER = ["ipykernel", "nbclient"]
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors="--all" in sys.argv).execute()
nbformat.write(notebook, sys.argv[1])
"""
OFFLINE = {"PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1", "COMPANION_OFFLINE": "1"}


def run(command, cwd=None, **environment):
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def runtime(tmp_path_factory, repository_root):
    """A bare environment; yields its Python."""
    folder = tmp_path_factory.mktemp("runtime")
    run([sys.executable, "-m", "venv", folder])
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "-c", repository_root / "constraints.txt"]
    run([*pip, "torch"])
    run([*pip, *RUNTIME, *RUNNER])
    return python


def versions(python: Path) -> dict[str, str]:
    listed = json.loads(run([python, "-m", "pip", "list", "--format", "json"]))
    return {package["name"].lower().replace("_", "-"): package["version"] for package in listed}


def execute(python: Path, notebook: Path, *options: str, **environment: str) -> dict:
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    # Not in the checkout, where `import companion` would find it without installing anything.
    run([python, "-c", RUN, notebook, *options], cwd=notebook.parent, PATH=path, OMP_NUM_THREADS="2", **environment)
    return json.loads(notebook.read_text(encoding="utf8"))


def said(notebook: dict) -> dict[str, str]:
    """What each check cell printed, or the error it raised, by the cell's name."""
    texts = {}
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if cell["cell_type"] == "code" and name.startswith("check_"):
            outputs = cell["outputs"]
            texts[name] = "".join("".join(o.get("text", [])) + o.get("evalue", "") for o in outputs)
    return texts


@pytest.fixture(scope="module")
def equipped(runtime, repository_root, tmp_path_factory):
    """The same environment after the setup line of a lab has run, and what it had installed before."""
    before = versions(runtime)
    assert "plm-companion" not in before
    setup = tmp_path_factory.mktemp("setup") / "setup.py"
    setup.write_text(setup_line(), encoding="utf8")
    run([runtime, setup], cwd=setup.parent, COMPANION_SOURCE=f"{repository_root}[labs]")
    return runtime, before


def test_the_setup_line_adds_the_companion_and_changes_nothing_that_was_there(equipped):
    python, before = equipped
    after = versions(python)
    assert "plm-companion" in after
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("slug", SLUGS)
def test_a_lab_runs_in_a_bare_environment_and_its_solution_without_a_network(equipped, repository_root, tmp_path, slug):
    fetch(progress=False)
    python, _ = equipped
    student = tmp_path / "student.ipynb"
    shutil.copy(repository_root / f"labs/{slug}.ipynb", student)
    checks = said(execute(python, student, "--all"))
    assert checks
    assert all("is not implemented yet" in text for text in checks.values()), checks

    solved = tmp_path / "solved.ipynb"
    shutil.copy(repository_root / f"labs/instructor/{slug}.ipynb", solved)
    solved_checks = said(execute(python, solved, **OFFLINE))
    assert solved_checks.keys() == checks.keys()
    assert all(": right, " in text for text in solved_checks.values()), solved_checks
