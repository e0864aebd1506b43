"""Try the listed wrong answers of an exercise on its specification."""

from collections.abc import Sequence
from dataclasses import dataclass

from companion.exercises.spec import PUBLIC_SEED, Exercise, Mistake, Mutant, local_call


@dataclass(frozen=True)
class Trial:
    """How many wrong answers of one exercise were caught, and how many of the known mistakes among them named."""

    exercise: str
    mutants: int
    caught: int
    known: int
    named: int
    failures: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Give the figures that are written to a file."""
        return {"mutants": self.mutants, "caught": self.caught, "known": self.known, "named": self.named}


def try_mutants(exercise: Exercise, mutants: Sequence[Mutant], seeds: int) -> Trial:
    """Try each wrong answer on the public seed and on `seeds` others; it counts only if every one catches it."""
    caught = named = 0
    failures = []
    for mutant in mutants:
        tried = (PUBLIC_SEED, *range(seeds)) if mutant.public else range(seeds)
        messages = [verdict(exercise, mutant, seed) for seed in tried]
        if None in messages:
            failures.append(f"{exercise.name}, {mutant.name}: not caught")
            continue
        caught += 1
        if mutant.mistake is None:
            continue
        unnamed = [message for message in messages if message and mutant.mistake not in message]
        named += not unnamed
        failures += [f"{exercise.name}, {mutant.name}: not named {mutant.mistake!r} but: {m}" for m in unnamed[:1]]
    known = sum(mutant.mistake is not None for mutant in mutants)
    return Trial(exercise.name, len(mutants), caught, known, named, tuple(failures))


def verdict(exercise: Exercise, mutant: Mutant, seed: int) -> str | None:
    """Give the message that a wrong answer gets, None if it passes for right."""
    try:
        exercise.verify(local_call(mutant.function), seed)
    except Mistake as mistake:
        return str(mistake)
    return None
