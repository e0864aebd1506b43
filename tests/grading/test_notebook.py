"""A submission may be any bytes; a lab tells the student's cells from the instructor's."""

import json
import os

import pytest

from companion.grading.lab import load_lab
from companion.grading.notebook import UnreadableError, code_cells, digest, read_bytes


def notebook(*cells, **more):
    return json.dumps({"cells": list(cells), "nbformat": 4, **more}).encode()


def cell(source, grade_id=None, **more):
    metadata = {} if grade_id is None else {"nbgrader": {"grade_id": grade_id, "locked": True, "solution": False}}
    return {"cell_type": "code", "source": source, "metadata": metadata, **more}


def test_source_may_be_one_string_or_lines_and_a_byte_order_mark_is_ignored():
    data = b"\xef\xbb\xbf" + notebook(cell(["a = 1\n", "b = 2"]), {"cell_type": "markdown"}, cell("c = 3"))
    assert [(each.number, each.source) for each in code_cells(data)] == [(1, "a = 1\nb = 2"), (3, "c = 3")]


@pytest.mark.parametrize(
    "damage",
    [
        {"metadata": None},
        {"metadata": {"nbgrader": []}},
        {"metadata": {"nbgrader": {"grade_id": 7}}},
        {"id": ["x"]},
        {"outputs": "nonsense"},
        {"execution_count": "nonsense"},
    ],
)
def test_damaged_metadata_and_outputs_cost_nothing(damage):
    (found,) = code_cells(notebook(cell("x = 1") | damage))
    assert found.source == "x = 1"
    assert found.ids == frozenset()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"  \n ", "empty"),
        (b"PK\x03\x04 a zip file", "not a notebook"),
        (b"\x00" * 50, "not a notebook"),
        (b"null", "not a notebook"),
        (b'{"cells": {}}', "format 4"),
        (notebook(cell("x"))[:-9], "breaks off"),
        (notebook(*[cell("")] * 2001), "2001 cells"),
        (notebook(cell("x" * (1 << 20) + "y")), "1 MB of code"),
        (notebook(cell([1, 2])), "not text"),
        (b'{"cells": ' + b"9" * 5000 + b"}", "cannot be read"),
    ],
)
def test_what_is_no_notebook_is_named(data, reason):
    with pytest.raises(UnreadableError, match=reason):
        code_cells(data)


def test_links_pipes_folders_and_devices_are_not_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (tmp_path / "link.ipynb").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "device.ipynb").symlink_to("/dev/zero")
    for name in ("link", "pipe", "folder", "device", "missing"):
        with pytest.raises(UnreadableError):
            read_bytes(tmp_path / f"{name}.ipynb")
    assert digest(read_bytes(secret)) == digest(b"{}")


def released(tmp_path, *cells):
    path = tmp_path / "released.ipynb"
    path.write_bytes(notebook(*cells))
    return path


IMPORTS = "import math, torch\nfrom companion.exercises import check\nimport companion\nfrom torch import nn\nx = 1\n"


def test_only_our_imports_reach_the_answers_and_never_the_companion(tmp_path):
    lab = load_lab("attention", released(tmp_path, cell(IMPORTS, "setup"), cell("%magic", "other")))
    assert lab.prelude == "import math, torch\nfrom torch import nn"


def test_our_cells_are_known_by_name_or_by_text_and_are_not_run(tmp_path):
    lab = load_lab("attention", released(tmp_path, cell("import torch", "setup"), cell("check()", "check_softmax")))
    data = notebook(
        cell("edited = 1", "check_softmax"),
        cell("check()"),
        cell("  check()\n"),
        cell(""),
        cell("mine = 1", "softmax"),
        cell("mine = 2"),
    )
    assert [each.source for each in lab.students_cells(code_cells(data))] == ["mine = 1", "mine = 2"]


def test_the_experiment_that_a_person_reads_is_not_run(tmp_path):
    experiment = cell("", "scale_and_length_code") | {"metadata": {"nbgrader": {"grade_id": "scale_and_length_code"}}}
    lab = load_lab("attention", released(tmp_path, cell("import torch", "setup"), experiment))
    assert lab.students_cells(code_cells(notebook(cell("while True: pass", "scale_and_length_code")))) == []


def test_the_version_changes_with_the_released_notebook(tmp_path):
    first = load_lab("attention", released(tmp_path, cell("import torch", "setup")))
    again = load_lab("attention", released(tmp_path, cell("import torch", "setup")))
    other = load_lab("attention", released(tmp_path, cell("import math", "setup")))
    assert first.version == again.version != other.version


def test_a_notebook_that_locks_nothing_is_no_released_lab(tmp_path):
    with pytest.raises(ValueError, match="give the released notebook"):
        load_lab("attention", released(tmp_path, cell("import torch")))
