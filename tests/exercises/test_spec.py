"""Laws of the specification, on an exercise small enough to see through."""

from collections import Counter

import numpy as np
import pytest
import torch

from companion.exercises import (
    SLUGS,
    CallFailed,
    Exercise,
    ExerciseFailed,
    Mistake,
    OpenQuestion,
    Outcome,
    check,
    exercises_of,
    get,
    local_call,
)
from companion.exercises.registry import mutants_of
from companion.exercises.spec import Case, ErrorHint, Refusal, WrongWay


class Doubled(Exercise):
    slug, signature = "test", "doubled(x, times)"
    title = objective = why = try_next = "Double."
    points, minutes, difficulty = 1, 1, 1
    wrong_ways = (
        WrongWay("you tripled", lambda x, times: 3 * x),
        WrongWay("never defined", lambda x, times: x[99]),
        WrongWay("harmless", lambda x, times: 2 * x * times),
    )
    error_hints = (ErrorHint("hinted", "the hint"),)

    def cases(self, generator):
        yield Case((torch.rand(3, 5, generator=generator) + 1, 1), about="the case")
        yield Case((torch.rand(7, generator=generator, dtype=torch.float64) + 1, 1))

    def reference(self, x, times):
        return 2 * x * times


class Pair(Doubled):
    signature = "pair(x, times)"
    returns = ("first", "second")
    wrong_ways = ()

    def reference(self, x, times):
        return 2 * x, x > 1.5


def message(function, exercise=None):
    with pytest.raises(Mistake) as caught:
        (exercise or Doubled()).verify(local_call(function), 0)
    return str(caught.value)


class Fake(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return True


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no")


def raising(error):
    def function(x, times):
        raise error

    return function


def test_a_right_answer_passes():
    Doubled().verify(local_call(lambda x, times: x + x), 0)
    Pair().verify(local_call(lambda x, times: [x + x, x > 1.5]), 0)


def test_an_answer_that_carries_gradients_passes():
    Doubled().verify(local_call(lambda x, times: (x + x).requires_grad_()), 0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda x: None, "doubled returned None: did you forget `return`?"),
        (lambda x: (2 * x).numpy(), "doubled returned a numpy.ndarray, expected a plain torch.Tensor"),
        (lambda x: (2 * x).tolist(), "doubled returned a list of 3, expected a plain torch.Tensor"),
        (lambda x: 2.0, "doubled returned a float"),
        (lambda x: (2 * x).as_subclass(Fake), "Fake, expected a plain torch.Tensor"),
        (lambda x: torch.nn.Parameter(2 * x), "Parameter, expected a plain torch.Tensor"),
        (lambda x: (2 * x).to_sparse(), "a sparse or nested tensor"),
        (lambda x: torch.nested.nested_tensor([2 * x]), "a sparse or nested tensor"),
        (lambda x: torch.empty(3, 5, device="meta"), "a tensor on meta, but its inputs are on cpu"),
        (lambda x: (2 * x).double(), "dtype float64, expected float32, the dtype of its inputs"),
        (lambda x: (2 * x).to(torch.complex64), "dtype complex64, expected float32"),
        (lambda x: (2 * x).mT, "doubled returned shape (5, 3), expected (3, 5), for x of shape (3, 5), times = 1"),
        (lambda x: x.new_zeros(()).expand(10**9, 10**9), "shape (1000000000, 1000000000), expected (3, 5)"),
        (lambda x: x.new_zeros(0, 5), "shape (0, 5), expected (3, 5)"),
        (lambda x: 2 * x / 0, "doubled returned inf, for x of shape"),
        (lambda x: x - x * torch.nan, "doubled returned NaN, for x of shape"),
        (lambda x: 2 * x + torch.eye(3, 5), "3 wrong values of 15"),
        (lambda x: 3 * x, "doubled: you tripled (x of shape (3, 5), times = 1; the case)"),
        (lambda x: np.float64(2), "numpy.float64"),
        (lambda x: type("T" * 10_000, (), {})(), "TTT..."),
        (lambda x: raising, "a function"),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_wrong_value_is_told_what_it_is(value, words):
    assert words in message(lambda x, times: value(x))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda x: 2 * x, "expected the 2 values (first, second)"),
        (lambda x: (2 * x,), "pair returned 1 values, expected 2: (first, second)"),
        (lambda x: (2 * x, None), "pair returned, as its `second`, None"),
        (lambda x: (2 * x, x), "as its `second`, a tensor of dtype float32, expected bool"),
        (lambda x: (2 * x, x > 9), "as its `second`,"),
        (lambda x: (2 * x[:1], x > 1.5), "as its `first`, shape (1, 5), expected (3, 5)"),
    ],
)
def test_of_several_values_the_wrong_one_is_named(value, words):
    assert words in message(lambda x, times: value(x), Pair())


class Plain(Exercise):
    """Returns what it is told to expect: a stand-in for any exercise with plain values."""

    slug, signature = "test", "plain(text, items)"
    title = objective = why = try_next = "Return."
    points, minutes, difficulty = 1, 1, 1

    def __init__(self, expected):
        self.expected = expected

    def cases(self, generator):
        yield Case(("abc", [1, [2, (3, "x")], {"k": [4]}]))

    def reference(self, text, items):
        return self.expected


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (3, 3),
        (0.3, 0.1 + 0.2),
        (2.0, 2),
        (float("nan"), float("nan")),
        ("é", "é"),
        (True, True),
        ([1, "a", (2, 3)], (1, "a", [2, 3])),
        ({("a", "b"): 2, "c": [0.5]}, {"c": (0.5 + 1e-9,), ("a", "b"): 2}),
        ([torch.ones(2)], [torch.ones(2)]),
        ([], []),
    ],
)
def test_a_right_plain_value_passes(expected, value):
    Plain(expected).verify(local_call(lambda text, items: value), 0)


@pytest.mark.parametrize(
    ("expected", "value", "words"),
    [
        (3, None, "plain returned None: did you forget `return`?"),
        (3, 4, "plain returned 4, which is wrong, for text = 'abc', items = [1, [2, (3, 'x')], {'k': [4]}]"),
        (3, 3.0, "plain returned a float, expected an int"),
        (1, True, "a bool, expected an int"),
        (True, 1, "an int, expected a bool"),
        (0.5, torch.tensor(0.5), "expected a plain float: take it out with .item()"),
        (0.5, np.float64(0.5), "a numpy.float64, expected a float"),
        (0.5, 0.25, "the wrong number 0.25"),
        (0.5, float("nan"), "the wrong number nan"),
        ("abc", "abd", "a text that is wrong from character 2 on: 'abd'"),
        ("abc", "ab", "a text that is wrong from character 2 on: 'ab'"),
        ("abc", b"abc", "a bytes, expected a str"),
        ([1, 2], [1], "1 items, expected 2"),
        ([1, [2, 3]], [1, [2, 4]], "4 at [1][1], which is wrong"),
        ([1, 2], [1, "2"], "a str at [1], expected an int"),
        ([1, 2], iter([1, 2]), "a list_iterator, expected a list"),
        ([1, 2], {1, 2}, "a set, expected a list"),
        ({"a": 1}, {}, "a dict without the key 'a'"),
        ({"a": 1}, {"a": 1, "b": 2}, "a dict with the key 'b', which does not belong there"),
        ({"a": [1]}, {"a": [2]}, "2 at ['a'][0], which is wrong"),
        ({"a": 1}, Counter("a"), "a collections.Counter, expected a plain dict: wrap it in dict(...)"),
        ([torch.ones(2)], [torch.zeros(2)], "2 wrong values of 2 at [0]"),
        ([torch.ones(2)], [1.0], "a float at [0], expected a plain torch.Tensor"),
    ],
)
def test_a_wrong_plain_value_is_told_what_it_is(expected, value, words):
    assert words in message(lambda text, items: value, Plain(expected))


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items.append(1),
        lambda items: items[1].clear(),
        lambda items: items[2].update(k=5),
        lambda items: items[2].pop("k"),
        lambda items: items.__setitem__(0, True),
    ],
)
def test_a_plain_argument_changed_in_place_is_named_and_the_original_is_safe(change):
    exercise = Plain(0)
    (case,) = exercise.cases(torch.Generator())
    assert "changed its argument `items` in place" in message(lambda text, items: [0, change(items)][0], exercise)
    local_call(lambda text, items: change(items))(case.args, {})
    assert case.args == next(iter(exercise.cases(torch.Generator()))).args


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotImplementedError(), "doubled is not implemented yet"),
        (ValueError("bad"), "doubled raised ValueError: bad, called with x of shape (3, 5), times = 1; the case"),
        (RuntimeError("it hinted"), "Likely cause: the hint"),
        (UnprintableError(), "its message cannot be printed"),
        (ValueError("x" * 10**6), "xxx..."),
        (SystemExit(3), "doubled raised SystemExit: 3"),
        (RecursionError("deep"), "doubled raised RecursionError"),
    ],
)
def test_an_exception_is_reported_with_the_inputs_and_the_line(error, words):
    text = message(raising(error))
    assert words in text
    assert len(text) < 1000
    if not isinstance(error, NotImplementedError):
        assert "of your code: raise error" in text


def test_an_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        Doubled().verify(local_call(raising(KeyboardInterrupt())), 0)


def test_a_wrong_number_of_parameters_is_reported():
    assert "TypeError" in message(lambda x: x)


@pytest.mark.parametrize(
    "change", [lambda x: x.add_(1), lambda x: x.resize_(2), lambda x: x.unsqueeze_(0), lambda x: x.data.zero_()]
)
def test_an_argument_changed_in_place_is_named(change):
    def function(x, times):
        answer = 2 * x
        change(x)
        return answer

    assert "changed its argument `x` in place" in message(function)


@pytest.mark.parametrize("forged", [None, 1, "x", [[1.0]], torch.zeros(3, 5), torch.zeros(3, 5, dtype=torch.int64)])
def test_a_forged_report_of_the_arguments_counts_as_a_change(forged):
    def call(args, kwargs):
        return Outcome(2 * args[0], (forged, 1))

    with pytest.raises(Mistake, match="changed its argument `x`"):
        Doubled().verify(call, 0)


def test_the_originals_are_out_of_the_functions_reach():
    seen = []

    def call(args, kwargs):
        seen.append(args[0].clone())
        outcome = local_call(lambda x, times: x.mul_(2))(args, kwargs)
        assert torch.equal(args[0], seen[-1])
        return outcome

    with pytest.raises(Mistake, match="in place"):
        Doubled().verify(call, 0)


def test_a_proxys_failure_reads_like_a_local_one():
    def call(args, kwargs):
        raise CallFailed("ValueError", "far away")

    with pytest.raises(Mistake, match="doubled raised ValueError: far away, called with x of shape"):
        Doubled().verify(call, 0)


def test_the_inputs_depend_on_the_seed_alone():
    first, again, other = (
        [case.args[0] for case in Doubled().cases(torch.Generator().manual_seed(s))] for s in (1, 1, 2)
    )
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))


def test_check_prints_one_line_for_a_right_answer(capsys):
    check("softmax", torch.softmax)
    assert capsys.readouterr().out == "softmax: right, 2 of 2 points\n"


def test_check_raises_an_assertion_error_with_no_traceback_to_show(capsys):
    with pytest.raises(ExerciseFailed) as caught:
        check("softmax", lambda x, dim: x)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert caught.value._render_traceback_() == [f"ExerciseFailed: {caught.value}"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "function", "error", "words"),
    [
        ("sofmax", torch.softmax, ValueError, "'sofmax' is no exercise; the exercises are: "),
        ("softmax", torch.zeros(3), TypeError, "function must be the function itself, as in check('softmax', softmax)"),
        ("scale_and_length", print, ValueError, "marked by hand"),
    ],
)
def test_a_wrong_use_of_check_is_explained(name, function, error, words):
    with pytest.raises(error) as caught:
        check(name, function)
    assert words in str(caught.value)


@pytest.mark.parametrize("ask", [exercises_of, mutants_of])
def test_an_unknown_lab_is_refused_by_name(ask):
    with pytest.raises(ValueError, match=f"slug = 'atention' is no lab; the labs are: {', '.join(SLUGS)}"):
        ask("atention")


def test_an_open_question_is_judged_by_nobody_but_a_person():
    question = get("scale_and_length")
    assert isinstance(question, OpenQuestion)
    assert question.manual
    assert list(question.cases(torch.Generator())) == []
    for judge in (question.reference, lambda: question.verify(local_call(print), 0)):
        with pytest.raises(TypeError, match="marked by hand"):
            judge()


class Divided(Doubled):
    """An exercise in which zero is refused, by name."""

    signature = "divided(x, times)"
    wrong_ways = (WrongWay("infinity is no answer", lambda x, times: x / 0.0 if times == 0 else x / times),)

    def cases(self, generator):
        yield Case((torch.rand(3, generator=generator) + 1, 2))
        yield Case((torch.rand(3, generator=generator) + 1, 0), about="nothing to divide by")

    def reference(self, x, times):
        return x / times if times else Refusal("ValueError", ("zero", "by"))


def refusing(error):
    def divided(x, by):
        if by == 0:
            raise error
        return x / by

    return divided


def test_an_error_may_be_the_right_answer():
    Divided().verify(local_call(refusing(ValueError("by must not be zero"))), 0)
    assert isinstance(Refusal("KeyError", ("zero",)).error(), KeyError)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusing(ValueError("no")), "the message does not name 'zero', 'by'"),
        (refusing(ValueError("by")), "the message does not name 'zero'"),
        (refusing(KeyError("zero by")), "raised KeyError: 'zero by', called with x of shape (3,), times = 0; nothing"),
        (refusing(KeyError("zero by")), "; here it should raise ValueError"),
        (lambda x, by: x / by if by else x, "returned a torch.Tensor where it should raise ValueError, for x of shape"),
        (lambda x, by: x / by, "divided: infinity is no answer"),
        (lambda x, by: x / by if by else None, "did you forget `return`?"),
        (refusing(NotImplementedError()), "divided is not implemented yet"),
    ],
)
def test_what_should_have_been_refused_is_told(answer, words):
    assert words in message(answer, Divided())


def test_an_error_is_no_answer_where_a_value_is_expected():
    def divided(x, by):
        raise ValueError("zero by")

    assert "divided raised ValueError: zero by, called with x of shape (3,), times = 2" in message(divided, Divided())
