"""The committed notebooks are what their sources say, and a failure leaves the old file as it was."""

import json

import nbformat
import pytest
from notebook_samples import CHAPTER, LAB, edit, page, write

from companion.publish import __main__ as command_line
from companion.publish.execute import ExecutionFailedError
from companion.publish.notebooks import check_notebooks, executed_notebooks, rewrite_setup_cell, write_notebooks
from companion.publish.project import setup_line

CHAPTER_NOTEBOOK = "book/adding.ipynb"
SOLVED, STUDENTS = "labs/instructor/adding.ipynb", "labs/adding.ipynb"


def silent(*_):
    pass


def problems(root):
    return {problem.name: problem.what for problem in check_notebooks(root)}


def code_of(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_every_page_gets_its_notebooks_and_only_checked_cells_keep_what_they_print(generated):
    assert problems(generated) == {}
    assert executed_notebooks(generated) == [generated / CHAPTER_NOTEBOOK, generated / SOLVED]
    chapter = code_of(generated / CHAPTER_NOTEBOOK)
    assert [cell.outputs for cell in chapter] == [
        [],
        [{"name": "stdout", "output_type": "stream", "text": "the sum is 3\n"}],
        [],
    ]
    assert [cell.execution_count for cell in chapter] == [None, 2, None]
    assert all(cell.outputs == [] for cell in code_of(generated / STUDENTS))


def test_a_second_run_writes_nothing_and_runs_nothing(generated, monkeypatch):
    monkeypatch.setattr("companion.publish.notebooks.execute", lambda *_: pytest.fail("nothing has changed"))
    assert write_notebooks(generated, silent) == []


def test_a_change_of_text_alone_keeps_the_stored_outputs(generated, monkeypatch):
    write(generated / "book/adding.md", page(CHAPTER.replace("Why add", "Why ever add")))
    assert problems(generated) == {CHAPTER_NOTEBOOK: "stale"}
    monkeypatch.setattr("companion.publish.notebooks.execute", lambda *_: pytest.fail("no code has changed"))
    assert write_notebooks(generated, silent) == [CHAPTER_NOTEBOOK]
    assert code_of(generated / CHAPTER_NOTEBOOK)[1].outputs[0].text == "the sum is 3\n"
    assert problems(generated) == {}


def test_a_change_of_code_makes_the_notebook_stale_until_it_is_run_again(generated):
    write(generated / "book/adding.md", page(CHAPTER.replace("1 + 2", "1 + 6")))
    assert problems(generated) == {CHAPTER_NOTEBOOK: "stale: its code changed since its outputs were stored"}
    assert write_notebooks(generated, silent) == [CHAPTER_NOTEBOOK]
    assert code_of(generated / CHAPTER_NOTEBOOK)[1].outputs[0].text == "the sum is 7\n"


def test_a_missing_notebook_is_named(generated):
    (generated / STUDENTS).unlink()
    assert problems(generated) == {STUDENTS: "missing"}


def test_a_notebook_without_a_source_is_named(generated):
    write(generated / "book/left.ipynb", "{}")
    assert list(problems(generated)) == ["book/left.ipynb"]


@pytest.mark.parametrize(
    "change",
    [
        lambda nb: nb["cells"][1]["source"].append("more"),
        lambda nb: nb["cells"][4]["outputs"][0]["text"].__setitem__(0, "the sum is 4\n"),
        lambda nb: nb["metadata"].update(title="mine"),
        lambda nb: nb["cells"].pop(),
    ],
    ids=["text", "stored output", "metadata", "cell removed"],
)
def test_an_edit_by_hand_is_told_from_a_stale_file(generated, change):
    path = generated / CHAPTER_NOTEBOOK
    before = path.read_bytes()
    edit(path, change)
    assert path.read_bytes() != before
    assert problems(generated) == {CHAPTER_NOTEBOOK: "edited by hand"}


def test_the_same_notebook_written_differently_is_no_longer_the_generated_file(generated):
    path = generated / CHAPTER_NOTEBOOK
    path.write_text(json.dumps(json.loads(path.read_text("utf8"))), "utf8")
    assert problems(generated) == {CHAPTER_NOTEBOOK: "edited by hand"}


@pytest.mark.parametrize("content", ["", "not json", "{}", '{"cells": []}'])
def test_a_file_that_is_no_notebook_is_reported_and_replaced(generated, content):
    write(generated / CHAPTER_NOTEBOOK, content)
    assert CHAPTER_NOTEBOOK in problems(generated)
    assert write_notebooks(generated, silent) == [CHAPTER_NOTEBOOK]
    assert problems(generated) == {}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise KeyError('the reason')", "the reason"),
        ("import os; os._exit(3)", "died"),
        ("pass", "prints nothing"),
        ("import sys; print('x', file=sys.stderr); print('y')", "writes to stderr"),
        ("from IPython.display import HTML, display; display(HTML('<b>x</b>'))", "text/html"),
    ],
)
def test_a_failing_cell_is_named_and_the_old_file_stays(generated, code, message):
    write(generated / "book/adding.md", page(CHAPTER.replace('print("the sum is", 1 + 2)', code)))
    before = (generated / CHAPTER_NOTEBOOK).read_bytes()
    with pytest.raises(ExecutionFailedError, match=message) as failure:
        write_notebooks(generated, silent)
    assert "book/adding.ipynb: cell 'how-2'" in str(failure.value)
    assert (generated / CHAPTER_NOTEBOOK).read_bytes() == before
    assert list((generated / "book").glob(".*")) == []


def test_a_picture_beside_checked_text_is_left_out(generated):
    code = "import matplotlib.pyplot as plt; plt.plot([1, 2]); print('plotted')"
    write(generated / "book/adding.md", page(CHAPTER.replace('print("the sum is", 1 + 2)', code)))
    write_notebooks(generated, silent)
    outputs = code_of(generated / CHAPTER_NOTEBOOK)[1].outputs
    assert "plotted\n" in [output.get("text") for output in outputs]
    assert {kind for output in outputs for kind in output.get("data", {})} <= {"text/plain"}


def test_kernels_of_notebooks_do_not_think_they_build_the_book(generated, monkeypatch):
    monkeypatch.setenv("BOOK_BUILD", "1")
    code = "import os; print('BOOK_BUILD' in os.environ)"
    write(generated / "book/adding.md", page(CHAPTER.replace('print("the sum is", 1 + 2)', code)))
    write_notebooks(generated, silent)
    assert code_of(generated / CHAPTER_NOTEBOOK)[1].outputs[0].text == "False\n"


def test_a_setup_cell_that_is_out_of_date_is_rewritten_in_the_source(checkout):
    path = write(checkout / "book/adding.md", page(CHAPTER).replace(setup_line(), "SETUP_LINE"))
    assert rewrite_setup_cell(path)
    assert path.read_text("utf8") == page(CHAPTER)
    assert not rewrite_setup_cell(path)


def test_the_command_fails_with_the_file_and_a_diff(generated, monkeypatch, capsys):
    write(generated / "book/adding.md", page(CHAPTER.replace("Why add", "Why ever add")))
    monkeypatch.chdir(generated)
    monkeypatch.setattr("sys.argv", ["publish", "notebooks", "--check"])
    with pytest.raises(SystemExit) as exit_code:
        command_line.main()
    assert exit_code.value.code == 1
    said = capsys.readouterr().out
    assert "book/adding.ipynb: stale" in said
    assert "Why ever add" in said


def test_a_source_that_cannot_be_converted_is_reported_by_the_check(generated):
    write(generated / "labs/adding.md", page(LAB.replace("Ten minutes.", "{ref}`nowhere`")))
    assert set(problems(generated)) == {SOLVED, STUDENTS}
