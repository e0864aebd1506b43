"""A missing package says what it is for and how to install it."""

import ast
import json
import subprocess
import sys
import tomllib

import pytest

from companion._optional import optional_import


def test_a_package_that_is_there_is_returned():
    assert optional_import("json", extra="labs", purpose="to read JSON") is json
    assert optional_import("os.path", extra="labs", purpose="to join paths").join("a", "b")


@pytest.mark.parametrize("name", ["jieba_not_here", "jieba_not_here.posseg"])
def test_a_missing_package_is_named_with_its_purpose_and_the_command(name):
    with pytest.raises(ImportError) as caught:
        optional_import(name, extra="labs", purpose="to cut Chinese into words")
    assert str(caught.value) == (
        "jieba_not_here is needed to cut Chinese into words and is not installed: "
        'run `pip install "plm-companion[labs]"`'
    )
    assert caught.value.name == "jieba_not_here"


def test_a_package_whose_own_import_fails_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import a_dependency_not_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ImportError, match=r"half_installed .* is installed, but cannot be imported .*a_dependency_not_"
    ):
        optional_import("half_installed", extra="labs", purpose="to test")


def test_an_error_that_is_no_import_error_is_the_package_s_own(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError):
        optional_import("broken_package", extra="labs", purpose="to test")


def test_every_use_in_the_package_names_an_extra_that_exists(repository_root):
    extras = tomllib.loads((repository_root / "pyproject.toml").read_text("utf8"))["project"]["optional-dependencies"]
    used = {
        (path.name, keyword.value.value)
        for path in (repository_root / "companion").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "optional_import"
        for keyword in call.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Constant)
    }
    assert used
    assert {extra for _, extra in used} <= set(extras), used


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split()))  # as if they were not installed
from pathlib import Path
from companion.data import loading
from companion.data.readers import read_glove
loading.rows_of = lambda name: [{{"text": "a row"}}]
try:
    {call}
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("missing", "call"),
    [
        ("datasets", "loading.load('wiki')"),
        ("pyarrow", "read_glove(Path('.'))"),
    ],
)
def test_companion_data_without_a_package_says_which_extra_to_install(missing, call):
    # A process of its own: setting a module to None makes its import fail as if it were absent.
    code = WITHOUT.format(call=call)
    answer = subprocess.run([sys.executable, "-c", code, missing], capture_output=True, text=True, check=True)
    assert f"{missing} is needed to " in answer.stdout
    assert 'run `pip install "plm-companion[labs]"`' in answer.stdout
