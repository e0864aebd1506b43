"""Laws of the attention lab's source: it says what the exercises say, it runs, and it gives nothing away."""

import ast
import contextlib
import io
import re

import matplotlib as mpl
import pytest
import torch

from companion.exercises import exercises_of
from companion.publish.project import setup_line

EXERCISES = exercises_of("attention")
CHECKED = [exercise for exercise in EXERCISES if not exercise.manual]
every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
every_checked = pytest.mark.parametrize("exercise", CHECKED, ids=lambda exercise: exercise.name)


def nbgrader(cell):
    return cell.metadata.get("nbgrader", {})


def graded(notebook, grade_id):
    """Find the one cell with this id."""
    (cell,) = [cell for cell in notebook.cells if nbgrader(cell).get("grade_id") == grade_id]
    return cell


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def words(text):
    return " ".join(text.split())


def run(cells, names=None):
    """Run code cells as the notebook would, and return what they printed and the names they left."""
    mpl.use("Agg")
    names = names if names is not None else {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells:
            exec(compile(cell.source, nbgrader(cell)["grade_id"], "exec"), names)
    return printed.getvalue(), names


def test_the_setup_line_comes_first_and_is_the_books_own(lab):
    first = code_cells(lab)[0]
    assert first.source == setup_line()
    assert "setup" in tags(first)
    assert nbgrader(first)["grade_id"] == "setup"


@every_checked
def test_an_exercise_has_one_solution_cell_and_one_check_cell_with_its_points(lab, exercise):
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


def test_the_open_question_is_a_cell_for_a_person_to_mark(lab):
    (question,) = [exercise for exercise in EXERCISES if exercise.manual]
    cell = graded(lab, question.name)
    assert cell.cell_type == "markdown"
    expected = {"grade": True, "solution": True, "locked": False, "points": question.points}
    assert expected.items() <= nbgrader(cell).items()


def test_no_points_are_given_that_no_exercise_has(lab):
    given = sum(nbgrader(cell).get("points", 0) for cell in lab.cells)
    assert given == sum(exercise.points for exercise in EXERCISES) == 25
    assert "checked (19 points)" in lab.cells[0].source
    assert "report on (6 points)" in lab.cells[0].source
    assert sum(exercise.points for exercise in CHECKED) == 19


@every_exercise
def test_the_text_says_what_the_exercise_says(lab, exercise):
    number = EXERCISES.index(exercise) + 1
    text = words(graded(lab, f"text_{exercise.name}").source)
    by_hand = ", marked by hand" if exercise.manual else ""
    numbers = (
        f"**{exercise.points} points{by_hand} · {exercise.minutes} minutes · difficulty {exercise.difficulty} of 5**"
    )
    assert text.startswith(f"## Exercise {number}. {exercise.title} {numbers} {exercise.why} {exercise.objective}")


@every_checked
def test_after_a_check_come_one_folded_hint_and_what_to_try_next(lab, released, exercise):
    cells = lab.cells
    position = cells.index(graded(lab, f"check_{exercise.name}"))
    assert cells[position - 1] is graded(lab, exercise.name)
    after = cells[position + 1].source
    assert len(re.findall(r"^:::\{admonition\} Hint\n:class: dropdown$", after, flags=re.MULTILINE)) == 1
    assert after.rstrip().endswith(f"**Try next.** {exercise.try_next}")
    assert after.count(":::") == 2


@every_checked
def test_the_stub_has_the_exercises_signature_and_names_the_shapes(released, exercise):
    (function,) = ast.parse(graded(released, exercise.name).source).body
    assert isinstance(function, ast.FunctionDef)
    assert f"{function.name}({ast.unparse(function.args)})".replace(" = ", "=") == exercise.signature
    described = ast.get_docstring(function)
    assert described is not None
    assert all(parameter in described for parameter in exercise.parameters)
    assert "Returns" in described
    assert "raise NotImplementedError()" in ast.unparse(function)


def test_the_released_notebook_holds_no_line_of_a_solution(lab, released):
    text = "\n".join(cell.source for cell in released.cells)
    assert "SOLUTION" not in text
    regions = [
        body
        for cell in lab.cells
        for body in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, flags=re.DOTALL)
    ]
    assert len(regions) == len(CHECKED) + 1
    lines = {line.strip() for region in regions for line in region.splitlines() if len(line.strip()) > 20}
    assert not {line for line in lines if line in text}
    assert graded(released, "scale_and_length").source == "YOUR ANSWER HERE"


def test_all_but_the_answers_is_locked(lab):
    answers = {exercise.name for exercise in EXERCISES} | {"scale_and_length_code"}
    for cell in lab.cells[1:]:
        assert nbgrader(cell)["locked"] == (nbgrader(cell)["grade_id"] not in answers)


def test_the_reading_before_the_first_exercise_takes_less_than_ten_minutes(lab):
    before = lab.cells[: lab.cells.index(graded(lab, "softmax"))]
    count = sum(len(cell.source.split()) for cell in before if cell.cell_type == "markdown")
    assert count < 10 * 150


def test_every_figure_has_a_description(lab):
    drawing = [cell for cell in code_cells(lab) if "plt.show()" in cell.source]
    assert drawing
    for cell in drawing:
        assert len(cell.metadata["mystnb"]["image"]["alt"].split()) > 10


def test_what_is_printed_is_checked_unless_it_stands_beside_a_figure(lab):
    for cell in code_cells(lab):
        if "print(" in cell.source and "plt.show()" not in cell.source:
            assert "nbval-check-output" in tags(cell)


def test_the_demonstrations_show_what_the_text_says(lab, solutions):
    cells = [graded(lab, name) for name in ("demo_overflow", "demo_spread", "demo_cache")]
    printed, _ = run(cells, dict(solutions))
    assert printed.splitlines() == [
        "exp(80) is finite: True",
        "exp(88) is finite: True",
        "exp(89) is finite: False",
        "d_k =    4: standard deviation about 2",
        "d_k =   64: standard deviation about 8",
        "d_k = 1024: standard deviation about 32",
        "Fifty steps give what one pass gives: True",
    ]


def test_what_the_softmax_exercise_proposes_to_try_does_go_wrong(solutions):
    weights = solutions["softmax"](torch.zeros(100_000, dtype=torch.float16), 0)
    assert (weights == 0).all()


def test_the_model_answer_to_the_open_question_says_what_its_measurement_says(lab, solutions):
    import matplotlib.pyplot as plt

    printed, names = run([graded(lab, "scale_and_length_code")], {**solutions, "plt": plt})
    assert printed.count(": True") == 2
    assert "False" not in printed
    answer = graded(lab, "scale_and_length").source
    assert "stays below 0.6 nats for $d_k = 256$ while $\\ln n$ grows from 2.8 to 8.3" in answer
    assert max(names["entropies"][256, "nothing"]) < 0.6
    assert [round(torch.tensor(n).log().item(), 1) for n in (names["n_keys"][0], names["n_keys"][-1])] == [2.8, 8.3]
    nearly_equal = names["entropies"][256, "d_k"]
    assert all(torch.tensor(n).log() - h < 0.01 for n, h in zip(names["n_keys"], nearly_equal, strict=True))


@pytest.mark.data
@pytest.mark.slow
def test_the_students_functions_reproduce_the_real_layer(lab, solutions):
    names = ("load_minilm", "compare_minilm", "compare_padding", "figure_heads", "fact_heads")
    import matplotlib.pyplot as plt

    printed, left = run([graded(lab, name) for name in names], {**solutions, "plt": plt})
    assert printed.splitlines() == [
        "17 tokens: [CLS] the bicycle has two wheels , and it is steered with a handle ##bar . [SEP]",
        "Your function gives the model's numbers: True",
        "Tokens in each text: [17, 7]",
        "Padding changes nothing: True",
        "Heads with nearly all their weight on the word before: [3]",
    ]
    config = left["model"].config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (6, 384, 12)
    tokens, looks = left["tokens"], left["looks"]
    # What the figure's description says of head 6.
    assert looks[5, tokens.index("and")] + looks[5, tokens.index(",")] > 0.5
    others = [head for head in range(12) if head not in (2, 5)]
    assert looks[others].max() < 0.5


@pytest.mark.data
@pytest.mark.slow
def test_the_padding_mask_is_needed_there(lab, solutions):
    """Without it the short text does change, so the lab's check of it is not empty."""
    import matplotlib.pyplot as plt

    def sees_all(lengths, max_len):
        return torch.ones(len(lengths), 1, 1, max_len, dtype=torch.bool)

    cells = [graded(lab, name) for name in ("load_minilm", "compare_minilm", "compare_padding")]
    printed, _ = run(cells, {**solutions, "plt": plt, "padding_mask": sees_all})
    assert "Padding changes nothing: False" in printed
