"""What an exercise is: a specification that judges an answer by the plain data it returns.

The same specification serves the student's `check` in a notebook and the grader. Both hand it a `Call`: something that
runs the student's function on arguments and says what came back. In a notebook that is the function itself, run on
copies; in the grader it is a proxy to a sandboxed process.
"""

import builtins
import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from companion.exercises.values import (
    TOLERANCE,
    agree,
    clip,
    copy_of,
    describe,
    differences,
    doubled,
    kind_error,
    kind_of,
    unchanged,
)

PUBLIC_SEED = 2017


class Mistake(Exception):  # noqa: N818 - it is the student's mistake, not an error of ours
    """What is wrong with an answer, in words for the student."""


class ExerciseFailed(AssertionError):  # noqa: N818 - a student reads this name
    """Raised by `check` when an answer is wrong; a notebook shows its message and no traceback."""

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing the frames of the checker, which teach the student nothing.
        return [f"ExerciseFailed: {self}"]


class CallFailed(Exception):  # noqa: N818 - it says what the call did
    """The student's function raised instead of returning.

    Parameters
    ----------
    kind
        Name of the exception's class, such as ``"RuntimeError"``.
    message
        What the exception said.
    where
        The student's line that raised, when it is known.
    """

    def __init__(self, kind: str, message: str, where: str = ""):
        super().__init__(f"{kind}: {message}")
        self.kind, self.message, self.where = kind, message, where


@dataclass(frozen=True)
class Outcome:
    """What a call gave: the value returned, and the positional arguments as the function left them."""

    value: Any
    args_after: tuple


Call = Callable[[tuple, dict], Outcome]


@dataclass(frozen=True)
class Case:
    """One call that the specification makes; `about` says in a few words what is special about it."""

    args: tuple
    kwargs: dict = field(default_factory=dict)
    about: str = ""
    tolerance: float | None = None


@dataclass(frozen=True)
class Refusal:
    """What a reference returns where a right answer raises: the error's class, and words that its message must have."""

    kind: str
    words: tuple[str, ...] = ()

    def error(self) -> Exception:
        """Make such an error."""
        return getattr(builtins, self.kind)(", ".join(self.words))


@dataclass(frozen=True)
class WrongWay:
    """A known mistake: what it computes from the same arguments, in their own dtype, and how to tell the student."""

    phrase: str
    compute: Callable[..., Any]


@dataclass(frozen=True)
class ErrorHint:
    """A known mistake that makes torch raise: the exception's message contains `text`."""

    text: str
    phrase: str


@dataclass(frozen=True)
class Mutant:
    """A wrong answer that the specification must catch.

    Parameters
    ----------
    name
        A few words, unique within the exercise.
    function
        The wrong answer, written as a student would write it.
    mistake
        A phrase that the message must contain, for a mistake that the exercise knows; None if it must only be caught.
    public
        Whether the public seed must catch it too; an answer that learned the public inputs by heart passes there.
    """

    name: str
    function: Callable[..., Any]
    mistake: str | None = None
    public: bool = True


class Exercise(ABC):
    """One exercise: its card in the lab, and the specification of a right answer.

    A subclass gives `cases`, which draws arguments from a generator, and `reference`, which computes the right answer
    from them in double precision with a library other than the companion where there is one.
    """

    slug: ClassVar[str]
    signature: ClassVar[str]
    title: ClassVar[str]
    points: ClassVar[int]
    minutes: ClassVar[int]
    difficulty: ClassVar[int]
    objective: ClassVar[str]
    why: ClassVar[str]
    try_next: ClassVar[str]
    manual: ClassVar[bool] = False
    returns: ClassVar[tuple[str, ...]] = ()
    wrong_ways: ClassVar[tuple[WrongWay, ...]] = ()
    error_hints: ClassVar[tuple[ErrorHint, ...]] = ()

    @property
    def name(self) -> str:
        """The function that the student writes."""
        return self.signature.partition("(")[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the function's parameters, in order."""
        return tuple(re.findall(r"(\w+)(?:=\w+)?[,)]", self.signature))

    @abstractmethod
    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw the calls to make, the plainest first."""

    @abstractmethod
    def reference(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the right answer; floating arguments arrive in double precision."""

    def verify(self, call: Call, seed: int) -> None:
        """Judge an answer on inputs drawn from `seed`.

        Raises
        ------
        Mistake
            For the first case that the answer gets wrong.
        """
        for case in self.cases(torch.Generator().manual_seed(seed)):
            try:
                outcome = call(case.args, case.kwargs)
            except CallFailed as failure:
                if mistake := self._failure(case, failure):
                    raise Mistake(mistake) from None
            else:
                self._judge(case, outcome)

    def _failure(self, case: Case, failure: CallFailed) -> str | None:
        """Say what is wrong with having raised; None if that is what a right answer does here."""
        if failure.kind == "NotImplementedError":
            return (
                f"{self.name} is not implemented yet: replace the line that raises NotImplementedError with your code"
            )
        text = f"{self.name} raised {failure.kind}: {clip(failure.message)}, called with {self._inputs(case)}"
        expected = self.reference(*map(doubled, case.args), **doubled(case.kwargs))
        if isinstance(expected, Refusal):
            missing = [word for word in expected.words if word not in failure.message]
            if failure.kind != expected.kind:
                return f"{text}; here it should raise {expected.kind}"
            return f"{text}; the message does not name {', '.join(map(repr, missing))}" if missing else None
        if failure.where:
            text += f"; {failure.where}"
        hint = next((hint.phrase for hint in self.error_hints if hint.text in failure.message), None)
        return f"{text}. Likely cause: {hint}" if hint else text

    def _judge(self, case: Case, outcome: Outcome) -> None:
        expected = self.reference(*map(doubled, case.args), **doubled(case.kwargs))
        items = self._items(outcome.value)
        if isinstance(expected, Refusal):
            wrong = f"{self.name} returned {kind_of(outcome.value)} where it should raise {expected.kind}"
            cause = self._diagnosis(case, items, (expected,) * len(items), TOLERANCE[torch.float32])
            raise Mistake(cause or f"{wrong}, for {self._inputs(case)}")
        wanted = expected if self.returns else (expected,)
        dtype = next((a.dtype for a in case.args if isinstance(a, Tensor) and a.is_floating_point()), None)
        for label, item, want in zip(self._labels(), items, wanted, strict=True):
            if error := kind_error(item, want, dtype):
                raise Mistake(f"{label} {error}")
        self._check_unchanged(case, outcome.args_after)
        tolerance = case.tolerance or TOLERANCE[dtype or torch.float32]
        if all(agree(item, want, tolerance) for item, want in zip(items, wanted, strict=True)):
            return
        raise Mistake(
            self._diagnosis(case, items, wanted, tolerance) or self._difference(case, items, wanted, tolerance)
        )

    def _labels(self) -> tuple[str, ...]:
        return tuple(f"{self.name} returned, as its `{item}`," for item in self.returns) or (f"{self.name} returned",)

    def _items(self, value: Any) -> tuple:
        if value is None:
            raise Mistake(f"{self.name} returned None: did you forget `return`?")
        if not self.returns:
            return (value,)
        names = ", ".join(self.returns)
        if type(value) not in (tuple, list):
            raise Mistake(f"{self.name} returned {kind_of(value)}, expected the {len(self.returns)} values ({names})")
        if len(value) != len(self.returns):
            raise Mistake(f"{self.name} returned {len(value)} values, expected {len(self.returns)}: ({names})")
        return tuple(value)

    def _check_unchanged(self, case: Case, args_after: tuple) -> None:
        for name, before, after in zip(self.parameters, case.args, args_after, strict=False):
            if not unchanged(before, after):
                cause = "the caller still needs it, so make a new tensor"
                raise Mistake(f"{self.name} changed its argument `{name}` in place; {cause}")

    def _diagnosis(self, case: Case, items: tuple, wanted: tuple, tolerance: float) -> str | None:
        """Name the known mistake that gives these very values, if there is one."""
        for way in self.wrong_ways:
            try:
                wrong = way.compute(*case.args, **case.kwargs)
            except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
                # A wrong computation need not even be defined for these arguments.
                continue
            wrong = wrong if self.returns else (wrong,)
            pairs = list(zip(items, wrong, wanted, strict=True))
            harmless = all(agree(mistaken, want, 10 * tolerance) for _, mistaken, want in pairs)
            if not harmless and all(agree(item, mistaken, tolerance) for item, mistaken, _ in pairs):
                return f"{self.name}: {way.phrase} ({self._inputs(case)})"
        return None

    def _difference(self, case: Case, items: tuple, wanted: tuple, tolerance: float) -> str:
        """Say where the first wrong item differs, without saying what is right there."""
        for label, item, want in zip(self._labels(), items, wanted, strict=True):
            if where := next(differences(item, want, tolerance), None):
                return f"{label} {where}, for {self._inputs(case)}"
        raise AssertionError("two equal values were to be told apart")

    def _inputs(self, case: Case) -> str:
        named = [*zip(self.parameters, case.args, strict=False), *case.kwargs.items()]
        text = ", ".join(describe(name, value) for name, value in named)
        return f"{text}; {case.about}" if case.about else text


class OpenQuestion(Exercise):
    """An exercise that a person marks."""

    manual = True

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Have none: there is no function to call."""
        return iter(())

    def reference(self, *args: Any, **kwargs: Any) -> Any:
        """Have none: a person judges."""
        raise TypeError(f"{self.name} is an open question, marked by hand")

    def verify(self, call: Call, seed: int) -> None:
        """Refuse: only a person can judge this answer."""
        raise TypeError(f"{self.name} is an open question, marked by hand")


def local_call(function: Callable[..., Any]) -> Call:
    """Run a function of this process on copies of the arguments, so that it cannot spoil the originals."""

    def call(args: tuple, kwargs: dict) -> Outcome:
        copies = tuple(map(copy_of, args))
        try:
            value = function(*copies, **{name: copy_of(value) for name, value in kwargs.items()})
        except (Exception, SystemExit) as error:
            raise CallFailed(type(error).__name__, _message(error), _where(error, function)) from None
        return Outcome(value, copies)

    return call


def _message(error: BaseException) -> str:
    try:
        return clip(str(error))
    except Exception:
        return "(its message cannot be printed)"


def _where(error: BaseException, function: Callable[..., Any]) -> str:
    """Point to the deepest line of the student's own file or cell that was running."""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    return f"line {own[-1].lineno} of your code: {own[-1].line}" if own else ""
