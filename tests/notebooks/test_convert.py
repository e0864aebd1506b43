"""A page's notebook: valid, the same every time, with ids that its neighbours cannot change."""

import re

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell
from notebook_samples import CHAPTER, page, source_of, write

from companion.publish.convert import assign_ids, code_hash, convert, to_bytes
from companion.publish.project import colab_url, setup_line

SECTIONS = st.lists(
    st.tuples(st.sampled_from(["Why", "How", "Was jetzt?", "为什么", "A 2", "a"]), st.lists(st.booleans(), max_size=4)),
    min_size=1,
    max_size=6,
    unique_by=lambda section: section[0],
)


def cells_of(sections):
    cells = []
    for heading, kinds in sections:
        cells.append(new_markdown_cell(f"## {heading}\n\ntext"))
        cells += [new_code_cell("x = 1") if code else new_markdown_cell("text") for code in kinds]
    return cells


@given(SECTIONS)
def test_ids_are_unique_and_allowed_by_the_format(sections):
    cells = cells_of(sections)
    ids = assign_ids(cells, "page")
    assert len(set(ids)) == len(ids) == len(cells)
    for cell, cell_id in zip(cells, ids, strict=True):
        cell.id = cell_id
    nbformat.validate(nbformat.v4.new_notebook(cells=cells, nbformat_minor=5))


@given(SECTIONS, st.data())
def test_inserting_a_cell_leaves_the_ids_of_other_sections_alone(sections, data):
    chosen = data.draw(st.integers(0, len(sections) - 1))
    longer = [(h, [*kinds, True] if i == chosen else kinds) for i, (h, kinds) in enumerate(sections)]
    before, after = assign_ids(cells_of(sections), "p"), assign_ids(cells_of(longer), "p")
    position = sum(1 + len(kinds) for _, kinds in longer[: chosen + 1]) - 1
    assert before == after[:position] + after[position + 1 :]


def test_an_explicit_id_comes_before_the_grade_id_and_both_before_the_section():
    cells = [
        new_markdown_cell("# One"),
        new_code_cell("a", metadata={"id": "mine", "nbgrader": {"grade_id": "theirs"}}),
        new_code_cell("b", metadata={"nbgrader": {"grade_id": "one-1"}}),
        new_code_cell("c"),
    ]
    assert assign_ids(cells, "page") == ["one-2", "mine", "one-1", "one-3"]


@pytest.mark.parametrize("bad", ["two words", "x" * 65, "ü"])
def test_an_id_that_the_format_forbids_is_refused(bad):
    with pytest.raises(ValueError, match="page: a cell's id"):
        assign_ids([new_code_cell("a", metadata={"id": bad})], "page")


def test_two_cells_with_one_id_are_refused():
    cells = [
        new_code_cell("a", metadata={"id": "same"}),
        new_code_cell("b", metadata={"nbgrader": {"grade_id": "same"}}),
    ]
    with pytest.raises(ValueError, match="two cells have the id 'same'"):
        assign_ids(cells, "page")


def test_a_page_becomes_a_valid_notebook_with_badge_and_setup_first(checkout, index):
    notebook = convert(source_of(checkout, "book/adding.md"), index, "book/adding.ipynb")
    nbformat.validate(notebook)
    assert colab_url("book/adding.ipynb") in notebook.cells[0].source
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[0].source == setup_line()
    assert code[1].metadata.tags == ["nbval-check-output"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(re.search(r"\{[\w:]+\}`", cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(code) == 3
    assert all(cell.outputs == [] for cell in code)


def test_converting_twice_gives_the_same_bytes_with_lf_and_one_newline_at_the_end(checkout, index):
    source = source_of(checkout, "book/adding.md")
    first, second = (to_bytes(convert(source, index, "book/adding.ipynb")) for _ in range(2))
    assert first == second
    assert b"\r" not in first
    assert first.endswith(b"}\n")
    assert not first.endswith(b"\n\n")


def test_text_does_not_change_the_code_hash_and_code_and_tags_do(checkout, index):
    def hash_of(body):
        write(checkout / "book/adding.md", page(body))
        return code_hash(convert(source_of(checkout, "book/adding.md"), index, "book/adding.ipynb"))

    assert hash_of(CHAPTER) == hash_of(CHAPTER.replace("## Why add", "## Why ever add"))
    assert hash_of(CHAPTER) != hash_of(CHAPTER.replace("total = 3", "total = 4"))
    assert hash_of(CHAPTER) != hash_of(CHAPTER.replace("nbval-check-output", "hide-input"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("# T\n\n```{code-cell} ipython3\nx = 1\n```\n", "first code cell must be the setup line"),
        ("# T\n\ntext only\n", "first code cell must be the setup line"),
        ("# T\n\n```{code-cell} ipython3\n:tags: [setup]\n\nimport companion\n```\n", "is not what .*setup_line"),
    ],
)
def test_a_page_without_the_setup_line_is_refused(checkout, index, body, message):
    write(checkout / "book/adding.md", page(body))
    with pytest.raises(ValueError, match="book/adding.md: .*" + message):
        convert(source_of(checkout, "book/adding.md"), index, "book/adding.ipynb")
