"""Every lab is graded as the attention lab is: honest answers get their points, and a forger gets none."""

import copy
import json

import jupytext
import pytest

from companion.exercises import SLUGS, exercises_of
from companion.grading.batch import Options, grade_all
from companion.publish.release import release_lab

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(900)]

FORGED = """
class Anything(dict, metaclass=type("M", (type,), {"__instancecheck__": lambda *_: True})):
    __eq__ = __ne__ = __lt__ = __gt__ = __contains__ = lambda *_: True
    __hash__ = object.__hash__
    __len__ = __int__ = lambda self: 1
    __float__ = lambda self: 1.0
    shape = ()


def NAME(*args, **kwargs):
    return Anything()
"""
NOTHING = "def NAME(*args, **kwargs):\n    return None"
KILLED = "def NAME(*args, **kwargs):\n    import os\n    os.kill(os.getpid(), 9)"
PEEKING = "def NAME(*args, **kwargs):\n    from companion.exercises import get\n    return get('NAME').reference(*args)"
FRAMED = "import sys\ndef NAME(*args, **kwargs):\n    return sys._getframe(1).f_locals['expected']"


@pytest.fixture(scope="module", params=[slug for slug in SLUGS if slug != "attention"])
def graded_lab(request, sandbox, seed_file, repository_root, tmp_path_factory):
    """The points of a lab's exercises, the two that some submissions spoil, and what each submission was given."""
    slug = request.param
    folder = tmp_path_factory.mktemp(slug)
    notebook = release_lab(repository_root, slug, folder / "released")
    empty = json.loads(notebook.read_text(encoding="utf-8"))
    points = {exercise.name: exercise.points for exercise in exercises_of(slug) if not exercise.manual}
    answers = solutions(repository_root / "labs" / f"{slug}.md", points)
    solved = fill(empty, answers)
    first, second = unused_by_others(answers)[:2]
    submissions = {
        "right": solved,
        "empty": empty,
        "forged": fill(solved, {name: FORGED.replace("NAME", name) for name in points}),
        "nothing": fill(solved, {first: NOTHING.replace("NAME", first)}),
        "killed": fill(solved, {second: KILLED.replace("NAME", second)}),
        "peeking": fill(solved, {first: PEEKING.replace("NAME", first)}),
        "framed": fill(solved, {first: FRAMED.replace("NAME", first)}),
    }
    (folder / "in").mkdir()
    for name, submission in submissions.items():
        (folder / "in" / f"{name}.ipynb").write_text(json.dumps(submission), encoding="utf-8")
    assert grade_all(Options(folder / "in", slug, seed_file, folder / "out", jobs=2, released=notebook))
    given = {name: scores(folder / "out" / f"{name}.json") for name in submissions}
    return points, {"first": first, "second": second}, given


def unused_by_others(answers):
    """Name the answers that no other one calls: a wrong one of these can cost its own points only."""
    return [name for name in answers if not any(f"{name}(" in answers[other] for other in answers if other != name)]


def solutions(source, names):
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in jupytext.read(source).cells}
    return {name: cells[name] for name in names}


def fill(notebook, answers):
    filled = copy.deepcopy(notebook)
    for cell in filled["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if cell["cell_type"] == "code" and name in answers:
            cell["source"] = answers[name]
    return filled


def scores(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    return {each["name"]: each["score"] for each in result["exercises"] if not each["manual"]}


def test_the_solution_gets_every_point(graded_lab):
    points, _, given = graded_lab
    assert given["right"] == points


def test_stubs_and_objects_equal_to_everything_get_none(graded_lab):
    points, _, given = graded_lab
    assert given["empty"] == given["forged"] == dict.fromkeys(points, 0)


@pytest.mark.parametrize(
    ("submission", "which"), [("nothing", "first"), ("killed", "second"), ("peeking", "first"), ("framed", "first")]
)
def test_one_bad_answer_costs_its_own_points_and_no_others(graded_lab, submission, which):
    points, spoiled, given = graded_lab
    assert given[submission] == points | {spoiled[which]: 0}
