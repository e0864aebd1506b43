"""Laws of every lab's source: it says what the exercises say, it runs, and it gives nothing away."""

import ast
import re

import pytest

from companion.exercises import SLUGS, exercises_of
from companion.publish.project import setup_line
from tests.exercises import labs
from tests.exercises.labs import CHECKED, EXERCISES, code_cells, graded, nbgrader, tags

every_lab = pytest.mark.parametrize("slug", SLUGS)
every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
every_checked = pytest.mark.parametrize("exercise", CHECKED, ids=lambda exercise: exercise.name)


def words(text):
    return " ".join(text.split())


@every_lab
def test_the_setup_line_comes_first_and_is_the_books_own(slug):
    lab = labs.source(slug)
    first = code_cells(lab)[0]
    assert first.source == setup_line()
    assert "setup" in tags(first)
    assert nbgrader(first)["grade_id"] == "setup"


@every_checked
def test_an_exercise_has_one_solution_cell_and_one_check_cell_with_its_points(exercise):
    lab = labs.source(exercise.slug)
    solution, test = graded(lab, exercise.name), graded(lab, f"check_{exercise.name}")
    assert nbgrader(solution) == {
        "grade": False,
        "grade_id": exercise.name,
        "locked": False,
        "schema_version": 3,
        "solution": True,
        "task": False,
    }
    assert nbgrader(test) == {
        "grade": True,
        "grade_id": f"check_{exercise.name}",
        "locked": True,
        "points": exercise.points,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }
    assert test.source == f'check("{exercise.name}", {exercise.name})'
    assert "nbval-check-output" in tags(test)


@every_lab
def test_the_open_question_is_a_cell_for_a_person_to_mark(slug):
    lab = labs.source(slug)
    (question,) = [exercise for exercise in exercises_of(slug) if exercise.manual]
    cell = graded(lab, question.name)
    assert cell.cell_type == "markdown"
    expected = {"grade": True, "solution": True, "locked": False, "points": question.points}
    assert expected.items() <= nbgrader(cell).items()


@every_lab
def test_no_points_are_given_that_no_exercise_has(slug):
    lab = labs.source(slug)
    given = sum(nbgrader(cell).get("points", 0) for cell in lab.cells)
    checked = sum(exercise.points for exercise in exercises_of(slug) if not exercise.manual)
    assert given == sum(exercise.points for exercise in exercises_of(slug))
    assert f"checked ({checked} points)" in lab.cells[0].source
    assert f"report on ({given - checked} points)" in lab.cells[0].source


@every_exercise
def test_the_text_says_what_the_exercise_says(exercise):
    lab = labs.source(exercise.slug)
    number = exercises_of(exercise.slug).index(exercise) + 1
    text = words(graded(lab, f"text_{exercise.name}").source)
    by_hand = ", marked by hand" if exercise.manual else ""
    numbers = (
        f"**{exercise.points} points{by_hand} · {exercise.minutes} minutes · difficulty {exercise.difficulty} of 5**"
    )
    assert text.startswith(f"## Exercise {number}. {exercise.title} {numbers} {exercise.why} {exercise.objective}")


@every_checked
def test_after_a_check_come_one_folded_hint_and_what_to_try_next(exercise):
    lab = labs.source(exercise.slug)
    cells = lab.cells
    position = cells.index(graded(lab, f"check_{exercise.name}"))
    assert cells[position - 1] is graded(lab, exercise.name)
    after = cells[position + 1].source
    assert len(re.findall(r"^:::\{admonition\} Hint\n:class: dropdown$", after, flags=re.MULTILINE)) == 1
    assert after.rstrip().endswith(f"**Try next.** {exercise.try_next}")
    assert after.count(":::") == 2


@every_checked
def test_the_stub_has_the_exercises_signature_and_names_the_shapes(exercise):
    released = labs.released(exercise.slug)
    (function,) = ast.parse(graded(released, exercise.name).source).body
    assert isinstance(function, ast.FunctionDef)
    assert f"{function.name}({ast.unparse(function.args)})".replace(" = ", "=") == exercise.signature
    described = ast.get_docstring(function)
    assert described is not None
    assert all(parameter in described for parameter in exercise.parameters)
    assert "Returns" in described
    assert "raise NotImplementedError()" in ast.unparse(function)


@every_lab
def test_the_released_notebook_holds_no_line_of_a_solution(slug):
    lab = labs.source(slug)
    released = labs.released(slug)
    text = "\n".join(cell.source for cell in released.cells)
    assert "SOLUTION" not in text
    regions = [
        body
        for cell in lab.cells
        for body in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, flags=re.DOTALL)
    ]
    assert len(regions) == len(exercises_of(slug))
    lines = {line.strip() for region in regions for line in region.splitlines() if len(line.strip()) > 20}
    assert not {line for line in lines if line in text}
    assert graded(released, exercises_of(slug)[-1].name).source == "YOUR ANSWER HERE"


@every_lab
def test_all_but_the_answers_is_locked(slug):
    lab = labs.source(slug)
    answers = {exercise.name for exercise in exercises_of(slug)} | {f"{exercises_of(slug)[-1].name}_code"}
    for cell in lab.cells[1:]:
        assert nbgrader(cell)["locked"] == (nbgrader(cell)["grade_id"] not in answers)


@every_lab
def test_the_reading_before_the_first_exercise_takes_less_than_ten_minutes(slug):
    lab = labs.source(slug)
    before = lab.cells[: lab.cells.index(graded(lab, exercises_of(slug)[0].name))]
    count = sum(len(cell.source.split()) for cell in before if cell.cell_type == "markdown")
    assert count < 10 * 150


@every_lab
def test_every_figure_has_a_description(slug):
    lab = labs.source(slug)
    drawing = [cell for cell in code_cells(lab) if "plt.show()" in cell.source]
    assert drawing
    for cell in drawing:
        assert len(cell.metadata["mystnb"]["image"]["alt"].split()) > 10


@every_lab
def test_what_is_printed_is_checked_unless_it_stands_beside_a_figure(slug):
    lab = labs.source(slug)
    for cell in code_cells(lab):
        if "print(" in cell.source and "plt.show()" not in cell.source:
            assert "nbval-check-output" in tags(cell)
