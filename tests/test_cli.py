"""The ``companion`` command: light, complete, and clear about a user's mistakes."""

import resource
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import companion
from companion import cli
from companion.data import sources

HEAVY = ("torch", "transformers", "datasets", "numpy", "matplotlib", "nbformat", "jupytext", "nbgrader", "altair")


def run(*arguments):
    return CliRunner().invoke(cli.app, list(arguments))


def test_the_version_is_the_package_s():
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"companion {companion.__version__}\n")


def test_python_dash_m_is_the_same_command():
    result = subprocess.run(
        [sys.executable, "-m", "companion", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"companion {companion.__version__}\n"


@pytest.mark.parametrize(
    "command", ["classify", "data", "doctor", "exercises", "finetune", "grade", "mutants", "pretrain", "release"]
)
def test_every_command_is_listed_and_has_help(command):
    assert command in run("--help").output
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_command_line_imports_nothing_heavy():
    code = f"import sys, companion.cli; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def cpu_seconds(*arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_costs_little_more_than_the_libraries_that_print_it():
    # Interleaved and as a ratio: a busy machine slows both. Measured 1.4 to 1.8.
    pairs = [
        (cpu_seconds("-m", "companion", "--help"), cpu_seconds("-c", "import typer, rich.table, rich.markdown"))
        for _ in range(5)
    ]
    ours, libraries = map(min, zip(*pairs, strict=True))
    assert ours < 2.5 * libraries


@pytest.mark.parametrize("arguments", [["nonsense"], ["data", "fetch", "--nonsense"], ["data", "show"]])
def test_wrong_usage_is_exit_code_2(arguments):
    assert run(*arguments).exit_code == 2


def test_a_wrong_name_is_one_line_and_exit_code_1():
    result = run("data", "show", "imdb")
    assert result.exit_code == 1
    assert result.stderr == f"error: name must be one of {', '.join(source.name for source in sources())}; got 'imdb'\n"


def test_a_wrong_name_can_be_asked_for_its_traceback():
    with pytest.raises(ValueError, match="name must be one of"):
        CliRunner().invoke(cli.app, ["--traceback", "data", "show", "imdb"], catch_exceptions=False)


def test_missing_data_is_one_line_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    result = run("data", "show", "recipes")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "`companion data fetch recipes`" in result.stderr


def test_a_fetch_that_must_not_use_the_network_is_one_line_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    monkeypatch.setenv("COMPANION_OFFLINE", "1")
    result = run("data", "fetch", "recipes")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: recipes is not in")
    assert result.stderr.count("\n") == 1


def test_an_error_of_our_own_keeps_its_traceback(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr("companion.data.registry.sources", broken)
    monkeypatch.setattr("companion.data.sources", broken)
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(cli.app, ["data", "list"], catch_exceptions=False)


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = f"{sys.executable} -m companion --help | head -c 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stderr == ""


def test_list_shows_each_source_and_whether_it_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    output = run("data", "list").output
    for source in sources():
        assert source.name in output
    assert "yes" not in output
    assert str(tmp_path) in output.replace("\n", "")


@pytest.mark.data
def test_show_prints_the_card_and_three_rows():
    output = run("data", "show", "wiki").output
    assert "CC BY-SA 4.0" in output
    assert output.count("title: ") == 3


@pytest.mark.data
def test_fetch_of_what_is_there_prints_where_it_is():
    output = run("data", "fetch", "wiki").output
    assert output.startswith("wiki: ")
    assert output.count("\n") == 1
