"""Find exercises by chapter or by name, and check an answer in a notebook."""

from importlib import import_module

from companion.exercises.spec import PUBLIC_SEED, Exercise, ExerciseFailed, Mistake, Mutant, local_call

SLUGS = (
    "language_models",
    "tokenization",
    "embeddings",
    "attention",
    "transformer",
    "models",
    "objectives",
    "training",
    "finetuning",
    "classification",
)


def exercises_of(slug: str) -> list[Exercise]:
    """List the exercises of one lab, in the lab's order.

    Raises
    ------
    ValueError
        If no lab has this slug.
    """
    if slug not in SLUGS:
        raise ValueError(f"slug = {slug!r} is no lab; the labs are: {', '.join(SLUGS)}")
    return list(import_module(f"companion.exercises.{slug}").EXERCISES)


def mutants_of(slug: str) -> dict[str, tuple[Mutant, ...]]:
    """List the wrong answers kept for each checked exercise of one lab.

    Raises
    ------
    ValueError
        If no lab has this slug.
    """
    exercises_of(slug)
    return import_module(f"companion.exercises.mutants.{slug}").MUTANTS


def get(name: str) -> Exercise:
    """Find one exercise by the name of its function.

    Raises
    ------
    ValueError
        If no exercise has this name.
    """
    exercises = {exercise.name: exercise for slug in SLUGS for exercise in exercises_of(slug)}
    if name not in exercises:
        raise ValueError(f"name = {name!r} is no exercise; the exercises are: {', '.join(exercises)}")
    return exercises[name]


def check(name: str, function: object) -> None:
    """Check an answer on public inputs and print the points it earns.

    Raises
    ------
    ExerciseFailed
        If the answer is wrong; the message names the mistake.
    ValueError
        If there is no such exercise, or a person marks it.
    TypeError
        If `function` is not a function.
    """
    exercise = get(name)
    if exercise.manual:
        raise ValueError(f"name = {name!r} is an open question, marked by hand: there is nothing to check")
    if not callable(function):
        raise TypeError(
            f"function must be the function itself, as in check({name!r}, {name}), got {type(function).__name__}"
        )
    try:
        exercise.verify(local_call(function), PUBLIC_SEED)
    except Mistake as mistake:
        raise ExerciseFailed(str(mistake)) from None
    print(f"{name}: right, {exercise.points} of {exercise.points} points")
