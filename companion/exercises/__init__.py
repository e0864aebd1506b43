"""Exercises as specifications: one for the student's own check and for the grader alike.

Names are imported on first use, so that the command line can list its commands without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion.exercises.registry import SLUGS, check, exercises_of, get, mutants_of
    from companion.exercises.spec import (
        PUBLIC_SEED,
        CallFailed,
        Exercise,
        ExerciseFailed,
        Mistake,
        Mutant,
        OpenQuestion,
        Outcome,
        local_call,
    )

__all__ = [
    "PUBLIC_SEED",
    "SLUGS",
    "CallFailed",
    "Exercise",
    "ExerciseFailed",
    "Mistake",
    "Mutant",
    "OpenQuestion",
    "Outcome",
    "check",
    "exercises_of",
    "get",
    "local_call",
    "mutants_of",
]

_REGISTRY = {"SLUGS", "check", "exercises_of", "get", "mutants_of"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "registry" if name in _REGISTRY else "spec"
    return getattr(import_module(f"{__name__}.{home}"), name)
