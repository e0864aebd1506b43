"""Laws of every lab's exercises: right answers pass, listed wrong ones are caught, known mistakes named."""

import inspect
import io
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.exercises import PUBLIC_SEED, SLUGS, ExerciseFailed, Mistake, check, exercises_of, get, local_call
from companion.exercises.registry import mutants_of
from companion.exercises.trial import verdict
from companion.exercises.values import doubled, unchanged
from companion.grading.codec import pack, unpack
from tests.exercises.labs import CHECKED, EXERCISES, solutions, stubs

MUTANTS = [
    pytest.param(exercise, mutant, id=f"{exercise.name}-{mutant.name}")
    for exercise in CHECKED
    for mutant in mutants_of(exercise.slug)[exercise.name]
]
every_exercise = pytest.mark.parametrize("exercise", CHECKED, ids=lambda exercise: exercise.name)


def arguments(exercise, seed):
    return [(*case.args, *case.kwargs.values()) for case in exercise.cases(torch.Generator().manual_seed(seed))]


@every_exercise
@given(seed=st.integers(0, 2**63 - 1))
def test_the_labs_solution_is_right_for_any_seed(exercise, seed):
    exercise.verify(local_call(solutions(exercise.slug)[exercise.name]), seed)


@every_exercise
def test_the_labs_solution_passes_the_check(exercise, capsys):
    check(exercise.name, solutions(exercise.slug)[exercise.name])
    assert capsys.readouterr().out == f"{exercise.name}: right, {exercise.points} of {exercise.points} points\n"


@every_exercise
def test_the_stub_is_told_that_it_is_a_stub(exercise):
    with pytest.raises(ExerciseFailed, match=f"^{exercise.name} is not implemented yet"):
        check(exercise.name, stubs(exercise.slug)[exercise.name])


@pytest.mark.parametrize(("exercise", "mutant"), MUTANTS)
@pytest.mark.parametrize("seed", [PUBLIC_SEED, 0, 1, 2])
def test_every_listed_wrong_answer_is_caught_and_each_known_mistake_named(exercise, mutant, seed):
    message = verdict(exercise, mutant, seed)
    if seed == PUBLIC_SEED and not mutant.public:
        assert message is None, "it was meant to pass on the public inputs"
        return
    assert message is not None
    assert (mutant.mistake or "") in message


@pytest.mark.parametrize(("exercise", "mutant"), MUTANTS)
def test_no_message_gives_a_number_of_the_answer_away(exercise, mutant):
    message = verdict(exercise, mutant, 1)
    assert not set(re.findall(r"\d\.\d\d+", message.replace(exercise.name, ""))) & numbers_in(exercise, 1)
    assert "tensor(" not in message
    assert len(message) < 1000


def numbers_in(exercise, seed):
    """Every decimal of the right answers, as a message might write it."""
    cases = exercise.cases(torch.Generator().manual_seed(seed))
    right = repr([exercise.reference(*map(doubled, case.args), **doubled(case.kwargs)) for case in cases])
    return {f"{float(number):.{digits}g}" for number in re.findall(r"\d+\.\d\d+", right) for digits in (3, 4, 5)}


@every_exercise
def test_eight_or_more_wrong_answers_are_listed_under_distinct_names(exercise):
    mutants = mutants_of(exercise.slug)[exercise.name]
    assert len(mutants) >= 8
    assert len({mutant.name for mutant in mutants}) == len(mutants)


def test_the_phrases_of_all_listed_mistakes_are_tried_by_some_wrong_answer():
    """A diagnosis that no mutant reaches is one that nobody has seen work."""
    for exercise in CHECKED:
        said = [verdict(exercise, mutant, 1) or "" for mutant in mutants_of(exercise.slug)[exercise.name]]
        for phrase in {known.phrase for known in (*exercise.wrong_ways, *exercise.error_hints)}:
            assert any(phrase in message for message in said), f"{exercise.name}: {phrase}"


@every_exercise
def test_the_inputs_depend_on_the_seed_alone(exercise):
    assert unchanged(arguments(exercise, 5), arguments(exercise, 5))
    public, secret = arguments(exercise, PUBLIC_SEED), arguments(exercise, 6)
    assert not unchanged(public, secret)


@every_exercise
def test_a_judgement_leaves_the_global_random_state_alone(exercise):
    before = torch.get_rng_state()
    exercise.verify(local_call(solutions(exercise.slug)[exercise.name]), 3)
    assert torch.equal(before, torch.get_rng_state())


@every_exercise
def test_the_lab_and_the_grader_call_by_the_signature_that_the_exercise_states(exercise):
    assert str(inspect.signature(solutions(exercise.slug)[exercise.name])) == exercise.signature.removeprefix(
        exercise.name
    )
    assert exercise.parameters == tuple(inspect.signature(solutions(exercise.slug)[exercise.name]).parameters)


@every_exercise
def test_what_the_function_is_called_with_crosses_the_graders_wall_exactly(exercise):
    for value in (value for call in arguments(exercise, 4) for value in call):
        assert unchanged(unpack(io.BytesIO(pack({}, value)).read)[1], value)


CHANGEABLE = [
    (e, i)
    for e in CHECKED
    for i, value in enumerate(arguments(e, 0)[0])
    if isinstance(value, (torch.Tensor, list, dict))
]


def spoil(value):
    """Change a value in place."""
    if isinstance(value, torch.Tensor):
        value.logical_not_() if value.dtype == torch.bool else value.sub_(7)
    elif value:
        value.popitem() if isinstance(value, dict) else value.pop()


@pytest.mark.parametrize(("exercise", "position"), CHANGEABLE, ids=lambda each: getattr(each, "name", each))
def test_a_change_in_place_of_any_argument_is_caught_and_named(exercise, position):
    def spoiling(*args, **kwargs):
        value = solutions(exercise.slug)[exercise.name](*args, **kwargs)
        spoil(args[position])
        return value

    with pytest.raises(Mistake, match=rf"changed its argument `{exercise.parameters[position]}` in place"):
        exercise.verify(local_call(spoiling), 0)


@every_exercise
@pytest.mark.parametrize("value", [None, 1, 1.0, True, "x", [], (), [[]], torch.zeros(()), torch.zeros(0)])
def test_nonsense_is_refused_in_the_students_terms(exercise, value):
    with pytest.raises(Mistake, match=f"^{exercise.name}"):
        exercise.verify(local_call(lambda *args, **kwargs: value), 0)


def test_a_name_belongs_to_one_exercise_of_all_labs():
    assert len({exercise.name for exercise in EXERCISES}) == len(EXERCISES)
    assert all(get(exercise.name) is exercise for exercise in EXERCISES)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_lab_has_six_or_more_checked_exercises_and_one_for_a_person_to_mark(slug):
    by_hand = [exercise.manual for exercise in exercises_of(slug)]
    assert by_hand.count(False) >= 6
    assert by_hand.count(True) == 1
    assert 20 <= sum(exercise.points for exercise in exercises_of(slug)) <= 30


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_every_exercise_has_a_complete_card(exercise):
    assert exercise in exercises_of(exercise.slug)
    assert 1 <= exercise.difficulty <= 5
    assert exercise.minutes > 0
    for text in (exercise.title, exercise.objective, exercise.why, exercise.try_next):
        assert text
    assert not exercise.title.endswith(".")
    assert exercise.why.endswith(".")
