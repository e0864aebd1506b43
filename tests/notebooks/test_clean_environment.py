"""A student's whole way: a bare environment, the setup line, every cell of the lab; then once more without a network.

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


def test_the_lab_runs_in_a_bare_environment_and_then_without_a_network(runtime, repository_root, tmp_path):
    fetch(["minilm"], progress=False)
    before = versions(runtime)
    assert "plm-companion" not in before

    student = tmp_path / "student.ipynb"
    shutil.copy(repository_root / "labs/attention.ipynb", student)
    checks = said(execute(runtime, student, "--all", COMPANION_SOURCE=f"{repository_root}[labs]"))
    assert checks
    assert all("is not implemented yet" in text for text in checks.values()), checks

    after = versions(runtime)
    assert "plm-companion" in after
    assert {name: after[name] for name in before} == before, "the setup line changed what was installed"

    solved = tmp_path / "solved.ipynb"
    shutil.copy(repository_root / "labs/instructor/attention.ipynb", solved)
    solved_checks = said(execute(runtime, solved, **OFFLINE))
    assert solved_checks.keys() == checks.keys()
    assert all(": right, " in text for text in solved_checks.values()), solved_checks
