"""How the wrong answers of a lab are filed: by exercise, with the phrase that must name the mistake."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from companion.exercises.spec import PUBLIC_SEED, Exercise, Mutant, Refusal
from companion.exercises.values import unchanged

Mutants = dict[str, tuple[Mutant, ...]]
Answer = Callable[..., Any]


def filing(mutants: Mutants) -> Callable[..., Callable[[Answer], Answer]]:
    """Make the decorator that files the function below it: ``@wrong("softmax", "no exponential", "the phrase")``."""

    def wrong(exercise: str, name: str, mistake: str | None = None) -> Callable[[Answer], Answer]:
        def file(function: Answer) -> Answer:
            mutants[exercise] = (*mutants.get(exercise, ()), Mutant(name, function, mistake))
            return function

        return file

    return wrong


def file_learned_by_heart(mutants: Mutants, exercises: Sequence[Exercise]) -> None:
    """File, for each checked exercise, the answer that knows the public inputs and no others."""
    for exercise in exercises:
        if not exercise.manual:
            mutants[exercise.name] += (learned_by_heart(exercise),)


def learned_by_heart(exercise: Exercise) -> Mutant:
    """Answer the public inputs only: an open repository cannot hide a test, but a secret seed hides inputs."""
    cases = exercise.cases(torch.Generator().manual_seed(PUBLIC_SEED))
    known = [(*case.args, *case.kwargs.values()) for case in cases]

    def answer(*args: Any, **kwargs: Any) -> Any:
        if not any(unchanged(each, (*args, *kwargs.values())) for each in known):
            raise KeyError("not among the public inputs")
        right = exercise.reference(*args, **kwargs)
        if isinstance(right, Refusal):
            raise right.error()
        return right

    return Mutant("learned the public inputs by heart", answer, "KeyError", public=False)
