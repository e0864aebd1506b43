"""The setup line works where the companion is, where it is not, and says what to do where it cannot be had."""

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from notebook_samples import write

from companion.publish.project import colab_url, page_url, project_urls, repository_root, setup_line

# Stands in for pip: says what it was asked to install, and fails when told to.
FAKE_PIP = """\
import os, sys
print("pip", *sys.argv[1:])
sys.exit(int(os.environ.get("PIP_FAILS", 0)))
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory) -> Path:
    """An interpreter that has no companion, and a pip that only says what it was asked."""
    folder = tmp_path_factory.mktemp("bare") / "env"
    venv.create(folder, with_pip=False)
    site = next((folder / "lib").glob("python*/site-packages"))
    write(site / "pip/__init__.py", "")
    write(site / "pip/__main__.py", FAKE_PIP)
    return folder / "bin" / "python"


def run_line(python, cwd, **environment):
    cwd.mkdir(parents=True, exist_ok=True)
    known = {key: value for key, value in os.environ.items() if key not in ("COMPANION_SOURCE", "PYTHONPATH")}
    return subprocess.run(
        [python, "-c", setup_line()], cwd=cwd, env={**known, **environment}, capture_output=True, text=True, check=False
    )


def test_it_is_one_line_of_plain_python():
    assert "\n" not in setup_line()
    assert {type(node) for node in ast.parse(setup_line()).body} == {ast.Import, ast.Assert}


def test_it_does_nothing_where_the_companion_is_installed(tmp_path):
    done = run_line(sys.executable, tmp_path, PIP_NO_INDEX="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_alone_it_installs_the_repository_without_upgrading_anything(bare_python, tmp_path):
    done = run_line(bare_python, tmp_path)
    repository = project_urls()["Repository"]
    assert done.stdout == f"pip install -q plm-companion[labs] @ git+{repository}\n"
    assert done.returncode == 0


@pytest.mark.parametrize("folder", ["book", "labs", "labs/instructor"])
def test_in_a_checkout_it_installs_the_checkout(bare_python, checkout, folder):
    assert run_line(bare_python, checkout / folder).stdout == f"pip install -q {checkout}[labs]\n"


def test_companion_source_comes_before_both(bare_python, checkout):
    done = run_line(bare_python, checkout / "labs", COMPANION_SOURCE="./a.whl")
    assert done.stdout == "pip install -q ./a.whl\n"


def test_when_nothing_can_be_installed_it_says_what_to_do(bare_python, tmp_path):
    done = run_line(bare_python, tmp_path, PIP_FAILS="1")
    assert done.returncode == 1
    assert "Go online and run this cell again, or set COMPANION_SOURCE" in done.stderr


def test_addresses_come_from_the_project_s_urls():
    urls = project_urls()
    assert colab_url("labs/attention.ipynb").endswith("/blob/main/labs/attention.ipynb")
    assert urls["Repository"].removeprefix("https://github.com/") in colab_url("labs/attention.ipynb")
    assert page_url("book/attention") == f"{urls['Homepage']}/book/attention.html"
    assert repository_root() == Path(__file__).parents[2]


@pytest.mark.parametrize("path", ["/labs/a.ipynb", "../a.ipynb", "labs/a.md", ""])
def test_only_a_notebook_of_the_repository_opens_in_colab(path):
    with pytest.raises(ValueError, match=r"path: expected an \.ipynb"):
        colab_url(path)
