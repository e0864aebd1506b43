"""Laws of the attention lab's exercises: right answers pass, listed wrong ones are caught, known mistakes named."""

import inspect
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention.bias import causal_lower_right

from companion.exercises import PUBLIC_SEED, SLUGS, ExerciseFailed, Mistake, check, exercises_of, get, local_call
from companion.exercises.registry import mutants_of
from companion.exercises.trial import verdict

CHECKED = [exercise for exercise in exercises_of("attention") if not exercise.manual]
MUTANTS = [
    pytest.param(exercise, mutant, id=f"{exercise.name}-{mutant.name}")
    for exercise in CHECKED
    for mutant in mutants_of("attention")[exercise.name]
]
every_exercise = pytest.mark.parametrize("exercise", CHECKED, ids=lambda exercise: exercise.name)


def arguments(exercise, seed):
    return [(*case.args, *case.kwargs.values()) for case in exercise.cases(torch.Generator().manual_seed(seed))]


def same(left, right):
    return all(
        a.shape == b.shape and torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for first, second in zip(left, right, strict=True)
        for a, b in zip(first, second, strict=True)
    )


@every_exercise
@given(seed=st.integers(0, 2**63 - 1))
def test_the_labs_solution_is_right_for_any_seed(exercise, solutions, seed):
    exercise.verify(local_call(solutions[exercise.name]), seed)


@every_exercise
def test_the_labs_solution_passes_the_check(exercise, solutions, capsys):
    check(exercise.name, solutions[exercise.name])
    assert capsys.readouterr().out == f"{exercise.name}: right, {exercise.points} of {exercise.points} points\n"


@every_exercise
def test_the_stub_is_told_that_it_is_a_stub(exercise, stubs):
    with pytest.raises(ExerciseFailed, match=f"^{exercise.name} is not implemented yet"):
        check(exercise.name, stubs[exercise.name])


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
    assert not re.search(r"\d\.\d\d", message.replace(exercise.name, ""))
    assert "tensor(" not in message
    assert len(message) < 1000


@every_exercise
def test_eight_or_more_wrong_answers_are_listed_under_distinct_names(exercise):
    mutants = mutants_of("attention")[exercise.name]
    assert len(mutants) >= 8
    assert len({mutant.name for mutant in mutants}) == len(mutants)


def test_the_phrases_of_all_listed_mistakes_are_tried_by_some_wrong_answer():
    """A diagnosis that no mutant reaches is one that nobody has seen work."""
    for exercise in CHECKED:
        said = [verdict(exercise, mutant, 1) or "" for mutant in mutants_of("attention")[exercise.name]]
        for phrase in {known.phrase for known in (*exercise.wrong_ways, *exercise.error_hints)}:
            assert any(phrase in message for message in said), f"{exercise.name}: {phrase}"


@every_exercise
def test_the_inputs_depend_on_the_seed_alone(exercise):
    assert same(arguments(exercise, 5), arguments(exercise, 5))
    public, secret = arguments(exercise, PUBLIC_SEED), arguments(exercise, 6)
    assert not same(public, secret)


@every_exercise
def test_a_judgement_leaves_the_global_random_state_alone(exercise, solutions):
    before = torch.get_rng_state()
    exercise.verify(local_call(solutions[exercise.name]), 3)
    assert torch.equal(before, torch.get_rng_state())


@every_exercise
def test_the_lab_and_the_grader_call_by_the_signature_that_the_exercise_states(exercise, solutions):
    assert str(inspect.signature(solutions[exercise.name])) == exercise.signature.removeprefix(exercise.name)
    assert exercise.parameters == tuple(inspect.signature(solutions[exercise.name]).parameters)


@every_exercise
def test_only_plain_values_cross_to_the_function(exercise):
    for value in (value for call in arguments(exercise, 4) for value in call):
        assert type(value) in (torch.Tensor, int)


TENSORS = [(e, i) for e in CHECKED for i, value in enumerate(arguments(e, 0)[0]) if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize(("exercise", "position"), TENSORS, ids=lambda each: getattr(each, "name", each))
def test_a_change_in_place_of_any_argument_is_caught_and_named(exercise, position, solutions):
    def spoil(*args, **kwargs):
        value = solutions[exercise.name](*args, **kwargs)
        args[position].neg_() if args[position].dtype != torch.bool else args[position].logical_not_()
        return value

    with pytest.raises(Mistake, match=rf"changed its argument `{exercise.parameters[position]}` in place"):
        exercise.verify(local_call(spoil), 0)


@every_exercise
@pytest.mark.parametrize("value", [None, 1, 1.0, True, "x", [], (), [[]], torch.zeros(()), torch.zeros(0)])
def test_nonsense_is_refused_in_the_students_terms(exercise, value):
    with pytest.raises(Mistake, match=f"^{exercise.name}"):
        exercise.verify(local_call(lambda *args, **kwargs: value), 0)


def test_names_are_unique_and_points_add_up():
    exercises = [exercise for slug in SLUGS for exercise in exercises_of(slug)]
    assert len({exercise.name for exercise in exercises}) == len(exercises)
    assert all(get(exercise.name) is exercise for exercise in exercises)
    points = {exercise.name: exercise.points for exercise in exercises_of("attention")}
    assert points == {
        "softmax": 2,
        "scaled_dot_product_attention": 4,
        "causal_mask": 2,
        "padding_mask": 2,
        "multi_head_attention": 5,
        "cache_step": 4,
        "scale_and_length": 6,
    }


@pytest.mark.parametrize("exercise", exercises_of("attention"), ids=lambda exercise: exercise.name)
def test_every_exercise_has_a_complete_card(exercise):
    assert exercise.slug == "attention"
    assert 1 <= exercise.difficulty <= 5
    assert exercise.minutes > 0
    for text in (exercise.title, exercise.objective, exercise.why, exercise.try_next):
        assert text
    assert not exercise.title.endswith(".")
    assert exercise.why.endswith(".")


def test_the_causal_reference_is_torchs_lower_right_bias():
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 5, generator=generator, dtype=torch.float64) for n in (7, 11, 11))
    mask = get("causal_mask").reference(7, 11)
    torch.testing.assert_close(
        F.scaled_dot_product_attention(query, key, value, attn_mask=mask),
        F.scaled_dot_product_attention(query, key, value, attn_mask=causal_lower_right(7, 11)),
    )


def test_the_multi_head_reference_is_torchs_module():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 7, 15, generator=generator)
    weights = [torch.randn(15, 15, generator=generator) for _ in range(4)]
    module = torch.nn.MultiheadAttention(15, 3, bias=False, batch_first=True)
    module.in_proj_weight.data = torch.cat(weights[:3], dim=1).T.contiguous()
    module.out_proj.weight.data = weights[3].T.contiguous()
    mask = torch.ones(7, 7, dtype=torch.bool).tril()
    expected = module(x, x, x, attn_mask=~mask, need_weights=False)[0].detach()
    torch.testing.assert_close(get("multi_head_attention").reference(x, *weights, 3, mask), expected)
