"""How the learning rate changes: functions from a step to a factor between 0 and 1."""

import math
from collections.abc import Callable
from typing import Any

from companion._validation import require_count, require_finite, requires


def _check(*, steps: Any, warmup: Any = 0, floor: Any = 0.0, decay: Any = 0.2) -> None:
    require_count("steps", steps)
    require_count("warmup", warmup, minimum=0)
    if warmup > steps:
        raise ValueError(f"warmup must be at most steps, got {warmup} of {steps}")
    for name, value in (("floor", floor), ("decay", decay)):
        require_finite(name, value)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {value}")


def _after_warmup(step: int, warmup: int, rest: Callable[[int], float]) -> float:
    # Not step / warmup, which is 0 at the first step and wastes it.
    return (step + 1) / (warmup + 1) if step < warmup else rest(step)


def _progress(step: int, first: int, last: int) -> float:
    return min(1.0, (step - first) / max(1, last - first))


@requires(_check)
def warmup_cosine(*, steps: int, warmup: int = 0, floor: float = 0.0) -> Callable[[int], float]:
    """Rise in a line, then fall along half a cosine.

    Parameters
    ----------
    steps
        How many steps the run has; later ones stay at the floor.
    warmup
        How many of them rise: step s has the factor (s + 1) / (warmup + 1).
    floor
        Where the fall ends.

    Returns
    -------
    Callable
        From a step, counted from 0, to the factor of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If the warm-up is longer than the run, or the floor is not between 0 and 1.

    References
    ----------
    Loshchilov and Hutter (2017), SGDR, equation 5, without restarts.
    """

    def fall(step: int) -> float:
        return floor + (1 - floor) * (1 + math.cos(math.pi * _progress(step, warmup, steps))) / 2

    return lambda step: _after_warmup(step, warmup, fall)


@requires(_check)
def warmup_linear(*, steps: int, warmup: int = 0, floor: float = 0.0) -> Callable[[int], float]:
    """Rise in a line, then fall in a line.

    Parameters
    ----------
    steps, warmup, floor
        As in :func:`warmup_cosine`.

    Returns
    -------
    Callable
        From a step, counted from 0, to the factor of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If the warm-up is longer than the run, or the floor is not between 0 and 1.

    References
    ----------
    Devlin et al. (2019), BERT, appendix A.2.
    """

    def fall(step: int) -> float:
        return 1 - (1 - floor) * _progress(step, warmup, steps)

    return lambda step: _after_warmup(step, warmup, fall)


@requires(_check)
def wsd(*, steps: int, warmup: int = 0, decay: float = 0.2, floor: float = 0.0) -> Callable[[int], float]:
    """Warm up, stay, decay: rise in a line, stay at 1, and fall in a line at the end.

    What was learned before the fall does not depend on where the end is, so a run can be made longer from there.

    Parameters
    ----------
    steps, warmup, floor
        As in :func:`warmup_cosine`.
    decay
        Share of all steps that fall.

    Returns
    -------
    Callable
        From a step, counted from 0, to the factor of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If the warm-up is longer than the run, or a share is not between 0 and 1.

    References
    ----------
    Hu et al. (2024), MiniCPM, section 4.
    """
    first = max(warmup, steps - round(decay * steps))

    def fall(step: int) -> float:
        return 1.0 if step < first else 1 - (1 - floor) * _progress(step, first, steps)

    return lambda step: _after_warmup(step, warmup, fall)


@requires(_check)
def warmup_constant(*, steps: int, warmup: int = 0) -> Callable[[int], float]:
    """Rise in a line, then stay.

    Parameters
    ----------
    steps, warmup
        As in :func:`warmup_cosine`.

    Returns
    -------
    Callable
        From a step, counted from 0, to the factor of the learning rate.

    Raises
    ------
    TypeError, ValueError
        If the warm-up is longer than the run.
    """
    return lambda step: _after_warmup(step, warmup, lambda _: 1.0)
