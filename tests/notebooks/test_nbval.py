"""A stored output that is not what the code prints fails; so does having none; so does a GPU that is not there."""

import re
from datetime import UTC, datetime

import nbformat
import pytest
import torch
from notebook_samples import edit

from companion.publish.nbval import REFUSED, require_checked_outputs, run_nbval
from companion.publish.notebooks import executed_notebooks
from companion.publish.project import colab_url, repository_root, setup_line
from companion.publish.runtimes import PAGE, Run, hardware_name, read_runs, record_runs, render_page

CHAPTER = "book/adding.ipynb"
OURS = executed_notebooks(repository_root())


def checked_cell(notebook):
    return next(cell for cell in notebook["cells"] if "nbval-check-output" in cell["metadata"].get("tags", []))


def test_stored_outputs_pass_and_their_run_times_are_recorded(generated):
    assert run_nbval(generated, [], "cpu", True) == 0
    page = (generated / PAGE).read_text("utf8")
    runs = read_runs(page)
    assert [(run.notebook, run.device) for run in runs] == [
        (CHAPTER, "cpu"),
        ("labs/instructor/adding.ipynb", "cpu"),
    ]
    assert {run.date for run in runs} == {datetime.now(UTC).date().isoformat()}
    assert all(0 < run.seconds < 100 for run in runs)
    assert {run.hardware for run in runs} == {hardware_name("cpu")}
    assert "- CUDA: not yet run." in page


def test_a_stored_output_that_does_not_match_fails_and_is_not_recorded(generated):
    def doctor(notebook):
        checked_cell(notebook)["outputs"][0]["text"] = ["the sum is 4\n"]

    edit(generated / CHAPTER, doctor)
    assert run_nbval(generated, [generated / CHAPTER], "cpu", True) == 1
    assert read_runs((generated / PAGE).read_text("utf8")) == []


def test_a_cell_that_raises_fails(generated):
    def doctor(notebook):
        notebook["cells"][-1]["source"] = ["1 / 0"]

    edit(generated / CHAPTER, doctor)
    assert run_nbval(generated, [generated / CHAPTER], "cpu", False) == 1
    assert not (generated / PAGE).exists()


def test_the_kernels_are_told_the_device_and_not_the_book_build(generated, monkeypatch):
    monkeypatch.setenv("BOOK_BUILD", "1")

    def doctor(notebook):
        cell = checked_cell(notebook)
        cell["source"] = ["import os; print(os.environ['COMPANION_DEVICE'], os.environ.get('BOOK_BUILD'))"]
        cell["outputs"][0]["text"] = ["cpu None\n"]

    edit(generated / CHAPTER, doctor)
    assert run_nbval(generated, [generated / CHAPTER], "cpu", False) == 0


@pytest.mark.parametrize(
    "doctor",
    [
        lambda cell: cell.update(outputs=[]),
        lambda cell: cell.update(execution_count=None),
        lambda cell: cell["metadata"].update(tags=[]),
    ],
    ids=["no output", "never run", "nothing tagged"],
)
def test_a_notebook_that_stores_nothing_to_compare_is_refused(generated, doctor):
    edit(generated / CHAPTER, lambda notebook: doctor(checked_cell(notebook)))
    with pytest.raises(ValueError, match=r"book/adding\.ipynb: .*(no stored output|no cell is tagged)"):
        run_nbval(generated, [generated / CHAPTER], "cpu", False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_is_refused_where_there_is_none_and_nothing_is_run(generated, monkeypatch, capsys):
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("must not run on the CPU in its place"))
    assert run_nbval(generated, [], "cuda", True) == REFUSED == 2
    assert "No CUDA device is available" in capsys.readouterr().err
    assert not (generated / PAGE).exists()


def test_an_unknown_device_is_refused(generated):
    with pytest.raises(ValueError, match="device: expected cpu or cuda, got 'tpu'"):
        run_nbval(generated, [], "tpu", False)


def test_the_page_survives_being_read_and_written():
    first = Run("b", "cuda", "G", 4.0, "2026-02-01")
    runs = [first, Run("book/a.ipynb", "cpu", "A processor, 2 cores", 12.3, "2026-01-31")]
    assert read_runs(render_page(runs)) == runs
    page = render_page(runs)
    assert "- CPU: run, last on 2026-01-31. Not yet: `b`." in page
    assert "- CUDA: run, last on 2026-02-01. Not yet: `book/a.ipynb`." in page
    assert "- CPU: not yet run.\n- CUDA: not yet run.\n" in render_page([])


def test_a_new_run_replaces_that_device_s_row_and_keeps_the_other_and_lost_notebooks_go(tmp_path):
    (tmp_path / "a.ipynb").touch()
    old = [Run("a.ipynb", "cpu", "C", 1.0, "2026-01-01"), Run("a.ipynb", "cuda", "G", 2.0, "2026-01-01")]
    record_runs(tmp_path, [*old, Run("gone.ipynb", "cpu", "C", 3.0, "2026-01-01")])
    record_runs(tmp_path, [Run("a.ipynb", "cpu", "C", 5.0, "2026-03-01")])
    runs = read_runs((tmp_path / PAGE).read_text("utf8"))
    assert runs == [Run("a.ipynb", "cpu", "C", 5.0, "2026-03-01"), old[1]]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem + "-" + path.parent.name)
def test_every_notebook_of_the_course_stores_checked_outputs(path):
    require_checked_outputs(path)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem + "-" + path.parent.name)
def test_every_notebook_of_the_course_is_valid_and_opens_with_badge_and_setup(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    name = path.relative_to(repository_root()).as_posix()
    assert f"]({colab_url(name)})" in notebook.cells[0].source
    assert next(cell for cell in notebook.cells if cell.cell_type == "code").source == setup_line()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem + "-" + path.parent.name)
def test_no_directive_or_role_is_left_in_the_course_s_notebooks(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            left = re.search(r"^[ >]*(`{3,}|:{3,})\{|\{[a-z:]+\}`[^`]", cell.source, flags=re.MULTILINE)
            assert left is None, (cell.id, left[0])


def test_the_course_s_page_of_run_times_says_which_devices_have_been_run():
    page = (repository_root() / PAGE).read_text("utf8")
    assert page == render_page(read_runs(page))
