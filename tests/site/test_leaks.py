"""No page, index or file of the site gives away a solution, a hidden test or a wrong answer of the checkers.

A solution's *distinctive* lines are searched: those that stand nowhere in what the site shows on purpose (the chapters,
the public part of the labs, the documented source). The search itself is tested by planting a solution.
"""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.site.browser import ROOT, SITE

pytestmark = pytest.mark.site

LABS = sorted((ROOT / "labs").glob("*.md"))
SOLUTION = re.compile(r"^[ \t]*### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION", re.M | re.S)
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS\n(.*?)^[ \t]*### END HIDDEN TESTS", re.M | re.S)
MARKS = ("### BEGIN SOLUTION", "### END SOLUTION", "### BEGIN HIDDEN TESTS")
TEXT = {".html", ".js", ".json", ".ipynb", ".md", ".txt", ".py", ".xml", ".csv", ".svg"}
DOCUMENTED = {"__init__", "commands", "registry", "spec"}  # of companion.exercises: how checking works, no answer
SHORT = 22  # a shorter line of code is anybody's


def squeeze(text: str) -> str:
    """Drop all white space: highlighting and wrapping change nothing else."""
    return re.sub(r"\s+", "", text)


def code_lines(text: str) -> set[str]:
    lines = (squeeze(line.split("  #")[0]) for line in text.splitlines())
    return {line for line in lines if len(line) >= SHORT and not line.startswith(("#", "def", "import", "from"))}


def public_text() -> str:
    shown = [path.read_text("utf8") for path in (ROOT / "book").rglob("*.md")]
    shown += [HIDDEN.sub("", SOLUTION.sub("", path.read_text("utf8"))) for path in LABS]
    shown += [
        path.read_text("utf8")
        for path in (ROOT / "companion").rglob("*.py")
        if "exercises" not in path.parts or path.stem in DOCUMENTED
    ]
    return squeeze("\n".join(shown))


def distinctive(secrets: Iterable[str]) -> set[str]:
    public = public_text()
    return {line for secret in secrets for line in code_lines(secret) if line not in public}


def lab_secrets() -> set[str]:
    texts = [path.read_text("utf8") for path in LABS]
    return distinctive(block for text in texts for pattern in (SOLUTION, HIDDEN) for block in pattern.findall(text))


def checker_secrets() -> set[str]:
    sources = (ROOT / "companion" / "exercises").rglob("*.py")
    return distinctive(path.read_text("utf8") for path in sources if path.stem not in DOCUMENTED)


def published(folder: Path) -> dict[str, str]:
    """Return the text of every file that a visitor can download, without white space."""
    files = {}
    for path in folder.rglob("*"):
        if not path.is_file() or path.suffix not in TEXT or "mathjax" in path.parts:
            continue
        text = path.read_text("utf8", errors="replace")
        seen = BeautifulSoup(text, "html.parser").get_text() if path.suffix == ".html" else ""
        # Escaped and unescaped, as mark-up and as text: in whichever form a solution comes.
        files[path.relative_to(folder).as_posix()] = squeeze(
            "\n".join((text, html.unescape(text), seen, text.replace("\\n", "\n")))
        )
    return files


@pytest.fixture(scope="module")
def site_text() -> dict[str, str]:
    return published(SITE)


def leaks(files: dict[str, str], secrets: Iterable[str]) -> list[str]:
    return [f"{name}: {secret}" for name, text in files.items() for secret in secrets if secret in text]


def test_there_are_solutions_and_wrong_answers_to_look_for():
    assert len(lab_secrets()) >= 6
    assert len(checker_secrets()) >= 40


def test_no_solution_of_a_lab_is_published(site_text: dict[str, str]):
    assert not leaks(site_text, lab_secrets())


def test_no_solution_mark_or_hidden_test_is_published(site_text: dict[str, str]):
    assert not leaks(site_text, map(squeeze, MARKS))


def test_neither_checkers_nor_wrong_answers_are_published(site_text: dict[str, str]):
    assert not leaks(site_text, checker_secrets())
    shown = {Path(name).stem for name in site_text if name.startswith("_modules/companion/exercises/")}
    assert shown <= DOCUMENTED


def test_no_notebook_source_or_cache_is_published():
    stray = [
        p.relative_to(SITE).as_posix()
        for p in SITE.rglob("*")
        if p.suffix in {".ipynb", ".py", ".pkl", ".pickle", ".doctree", ".db"}
    ]
    assert not stray
    assert not (SITE / "_sources").exists()
    assert not (SITE / "_downloads").exists()


def test_the_student_notebooks_hold_no_solution():
    notebooks = {
        path.name: squeeze(path.read_text("utf8").replace("\\n", "\n").replace('\\"', '"'))
        for path in (ROOT / "labs").glob("*.ipynb")
    }
    assert notebooks
    assert not leaks(notebooks, [*lab_secrets(), *map(squeeze, MARKS)])


def test_the_search_finds_a_solution_that_is_planted(tmp_path: Path):
    secret = [solution for lab in LABS for solution in SOLUTION.findall(lab.read_text("utf8"))]
    page = tmp_path / "page.html"
    shutil.copy(SITE / "search.html", page)
    coloured = "\n".join(f"<span class='k'>{html.escape(line)}</span>" for line in "\n".join(secret).splitlines())
    page.write_text(page.read_text("utf8").replace("</body>", f"<pre>{coloured}</pre></body>"), "utf8")
    assert len(leaks(published(tmp_path), lab_secrets())) == len(lab_secrets())
