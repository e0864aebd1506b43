"""Laws of every chapter: its length, its parts, its figures and its exercises."""

import ast
import re

import jupytext
import pytest

from companion.exercises import SLUGS, exercises_of
from tests.slugs import package_of

every_chapter = pytest.mark.parametrize("slug", SLUGS)


@pytest.fixture
def chapter(slug, repository_root):
    return (repository_root / "book" / f"{slug}.md").read_text("utf8")


def cells(chapter):
    return [cell.source for cell in jupytext.reads(chapter, fmt="md:myst").cells if cell.cell_type == "code"]


def raw_cells(chapter):
    return re.findall(r"```\{code-cell\} ipython3\n(.*?)\n```\n", chapter, re.DOTALL)


def prose(chapter):
    """The chapter without its header, code, equations and tables."""
    body = chapter.split("\n---\n", 1)[1]
    body = re.sub(r"```\{(code-cell|math|literalinclude|bibliography)\}.*?\n```\n", "", body, flags=re.DOTALL)
    return re.sub(r"^(\||:\S+:|```).*$", "", body, flags=re.MULTILINE)


def section(chapter, title):
    """The text under a heading of the second level."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", chapter, re.DOTALL | re.MULTILINE)
    return found


@every_chapter
def test_it_is_read_in_about_an_hour(chapter):
    assert 1500 <= len(prose(chapter).split()) <= 3000


@every_chapter
def test_it_opens_with_a_question_and_says_what_it_teaches_and_costs(chapter):
    first = re.search(r"^## (.+)$", chapter, re.MULTILINE)
    assert first is not None
    assert first[1].endswith("?")
    opening = section(chapter, re.escape(first[1]))
    assert "After this chapter you can" in opening
    assert "**You need**" in opening
    assert "**It takes**" in opening


@every_chapter
def test_every_cell_is_python_and_the_packages_own_source_is_shown(chapter, slug):
    for source in cells(chapter):
        ast.parse(source)
    assert re.search(rf"```\{{literalinclude\}} \.\./companion/{package_of(slug)}/", chapter)


@every_chapter
def test_every_figure_has_words_for_who_cannot_see_it(chapter):
    drawing = [cell for cell in raw_cells(chapter) if "plt.show()" in cell and "viz.explore" not in cell]
    assert all(re.search(r'alt: "[A-Z][^"]{60,}"', cell) for cell in drawing)
    interactive = sum("viz.show(" in cell for cell in raw_cells(chapter))
    assert interactive >= 1
    assert len(drawing) + interactive >= 5


@every_chapter
def test_what_the_articles_say_is_answered_by_cells_that_fail_if_we_are_wrong(chapter):
    answers = section(chapter, "What the articles say")
    assert re.search(r"^assert ", answers, re.MULTILINE)
    assert re.search(r"[Aa]rticle", answers)


@every_chapter
def test_it_has_six_exercises_each_with_a_folded_solution_and_names_the_lab(chapter, slug):
    exercises = re.findall(r"```\{exercise\} .+\n:label: (\S+)", chapter)
    solutions = re.findall(r"```\{solution\} (\S+)\n:class: dropdown", chapter)
    assert len(exercises) >= 6
    assert solutions == exercises
    assert f"../labs/{slug}.md" in section(chapter, "Exercises")
    checked = {exercise.name for exercise in exercises_of(slug) if not exercise.manual}
    assert any(f"`{name}`" in section(chapter, "Exercises") for name in checked)


@every_chapter
def test_it_ends_with_a_summary_and_its_references(chapter):
    titles = re.findall(r"^## (.+)$", chapter, re.MULTILINE)
    assert titles[-2:] == ["Summary", "References"]
    assert section(chapter, "Summary").strip()


@every_chapter
def test_every_work_it_cites_is_in_the_bibliography(chapter, repository_root):
    known = set(re.findall(r"@\w+\{([^,]+),", (repository_root / "book" / "references.bib").read_text("utf8")))
    cited = {key.strip() for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", chapter) for key in keys.split(",")}
    assert cited
    assert cited <= known
