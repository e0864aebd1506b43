"""Students get nbgrader's version of a lab and not a line of its answers."""

import nbformat
import pytest
from notebook_samples import LAB, page, source_of, write

from companion.publish.convert import sealed_bytes
from companion.publish.notebooks import generate, targets
from companion.publish.project import repository_root
from companion.publish.release import release_lab, student_notebook
from companion.publish.sources import SiteIndex, notebook_sources

STUB = "raise NotImplementedError()"


def students(checkout):
    return student_notebook(source_of(checkout, "labs/adding.md"), SiteIndex(checkout))


def cell(notebook, grade_id):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def test_answers_and_hidden_tests_are_cleared_and_checks_locked(checkout):
    notebook = students(checkout)
    assert cell(notebook, "add").source == f"def add(a, b):\n    # YOUR CODE HERE\n    {STUB}"
    assert cell(notebook, "check_add").source == 'assert add(1, 2) == 3\nprint("add: right")'
    assert cell(notebook, "report").source == "YOUR ANSWER HERE"
    assert cell(notebook, "check_add").metadata.editable is False
    assert cell(notebook, "add").metadata.deletable is False
    text = nbformat.writes(notebook)
    for secret in ("secret_sum", "-7", "model answer", "SOLUTION", "HIDDEN"):
        assert secret not in text


def test_the_metadata_that_grading_needs_is_kept(checkout):
    from nbgrader.nbgraderformat import MetadataValidator

    notebook = students(checkout)
    MetadataValidator().validate_nb(notebook)
    assert cell(notebook, "check_add").metadata.nbgrader.points == 2
    assert [c.id for c in notebook.cells if "nbgrader" in c.metadata] == ["setup", "add", "check_add", "report"]


def test_the_released_file_comes_from_the_source_byte_for_byte(generated, tmp_path):
    released = release_lab(generated, "adding", tmp_path / "out")
    assert released == tmp_path / "out" / "adding.ipynb"
    assert released.read_bytes() == (generated / "labs/adding.ipynb").read_bytes() == sealed_bytes(students(generated))


def test_an_unknown_lab_is_refused_with_those_there_are(checkout, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no lab 'nothing'.*adding"):
        release_lab(checkout, "nothing", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"grade_id": "add", "locked": false, ', '"grade_id": "add", ', "'add'.*locked"),
        ("points: 2, ", "", "'check_add'.*points"),
        ("### END SOLUTION", "", "'add'.*no end solution"),
        ("### END HIDDEN TESTS", "", "'check_add'.*[Nn]o end hidden"),
        ("### BEGIN SOLUTION\n", "", "'add' has no '### BEGIN SOLUTION'"),
        ("schema_version: 3", "schema_version: 1", "'check_add'.*schema"),
        ('"grade_id": "add"', '"grade_id": "check_add"', "two cells have the id 'check_add'"),
    ],
)
def test_a_broken_lab_is_refused_naming_the_cell(checkout, old, new, message):
    assert old in LAB
    write(checkout / "labs/adding.md", page(LAB.replace(old, new)))
    with pytest.raises(ValueError, match=r"labs/adding\.md: (?s:.*)" + message):
        students(checkout)


def test_a_lab_without_graded_cells_is_refused(checkout):
    body = "\n".join(line for line in LAB.splitlines() if "nbgrader" not in line)
    write(checkout / "labs/adding.md", page(body))
    with pytest.raises(ValueError, match="no cell has nbgrader metadata"):
        students(checkout)


def real_labs():
    root = repository_root()
    return [target for target in targets(root) if not target.executed]


def solution_lines(source):
    """Yield the lines between the marks of each solution, and the text of each model answer."""
    for solved in source.read().cells:
        given = solved.metadata.get("nbgrader", {})
        if given.get("solution") and given.get("grade"):
            yield from solved.source.splitlines()
        inside = False
        for line in solved.source.splitlines():
            if "END SOLUTION" in line or "END HIDDEN" in line:
                inside = False
            if inside:
                yield line
            if "BEGIN SOLUTION" in line or "BEGIN HIDDEN" in line:
                inside = True


@pytest.mark.parametrize("target", real_labs(), ids=lambda target: target.name)
def test_no_line_of_a_solution_is_in_the_students_notebook(target):
    secrets = {line.strip() for line in solution_lines(target.source)}
    # A line so short or so common that the lab's own text says it too gives nothing away: `return x`, `else:`.
    secrets = {line for line in secrets if len(line) > 12}
    assert secrets
    shown = {line.strip() for c in nbformat.read(target.path, 4).cells for line in c.source.splitlines()}
    assert secrets & shown == set()
    assert target.path.read_bytes() == sealed_bytes(generate(target, SiteIndex(target.source.root))[0])


def test_the_course_has_a_lab():
    assert any(path.parent.name == "labs" for path in notebook_sources(repository_root()))
