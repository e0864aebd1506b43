"""The instructor's page gives commands that exist and states the limits that hold."""

import re
import shlex

import pytest
import typer

from companion.cli import app
from companion.grading.sandbox import MB, Limits
from companion.grading.student import CALLS_PER_SUBMISSION


@pytest.fixture(scope="module")
def page(repository_root):
    return (repository_root / "book" / "instructors.md").read_text(encoding="utf-8")


def commands_of(page):
    blocks = re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("companion ")]


def test_every_command_of_the_page_is_one_that_the_program_takes(page):
    group = typer.main.get_command(app)
    lines = commands_of(page)
    assert {shlex.split(line)[1] for line in lines} == {"doctor", "release", "grade"}
    for line in lines:
        _, name, *arguments = shlex.split(line)
        group.commands[name].make_context(name, arguments)


def test_the_options_that_the_page_names_exist(page):
    group = typer.main.get_command(app)
    options = {text for each in group.commands["grade"].params for text in each.opts}
    assert set(re.findall(r"`(--[a-z-]+)`", page)) <= options


def test_the_limits_on_the_page_are_those_of_the_sandbox(page):
    limits = Limits()
    stated = f"{limits.memory // MB} MB of memory, {limits.processes} processes, files of {limits.file_size // MB} MB"
    assert stated in page
    assert f"{CALLS_PER_SUBMISSION} times that for a whole submission" in page
