"""Which token comes next: the best one, or one drawn by its probability, after changes to the scores that compose."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from companion._validation import describe, require_count, require_finite, require_float_tensor, requires

#: From the scores of one step (batch vocab) and a source of random numbers to a token for each text.
Pick = Callable[[Tensor, torch.Generator | None], Tensor]
#: From scores (batch vocab) to scores; minus infinity forbids a token.
Change = Callable[[Tensor], Tensor]


def _check_logits(logits: Any, generator: Any = None) -> None:
    require_float_tensor("logits", logits, "batch vocab")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {describe(generator)}")


@requires(_check_logits)
def greedy(logits: Float[Tensor, "batch vocab"], generator: torch.Generator | None = None) -> Int[Tensor, " batch"]:
    """Pick the token with the highest score; of equal ones, the first.

    Parameters
    ----------
    logits
        The scores of one step.
    generator
        Not used: there is nothing to draw.

    Raises
    ------
    TypeError, ValueError
        If the scores are not a floating point tensor of two axes.
    """
    return logits.argmax(-1)


def _check_changes(*changes: Any) -> None:
    for i, change in enumerate(changes):
        if not callable(change):
            raise TypeError(
                "changes must be functions from scores to scores, such as temperature(0.8) and top_p(0.9), got "
                f"changes[{i}] = {describe(change)}"
            )


@requires(_check_changes)
def sampler(*changes: Change) -> Pick:
    """Return a function that draws each token by its probability, one random number for each text and step.

    Parameters
    ----------
    *changes
        Applied to the scores one after the other before the softmax, for instance ``temperature(0.8), top_p(0.9)``:
        first the scores are divided, then the tail of the new distribution is cut off.

    Returns
    -------
    Pick
        Takes scores (batch vocab) and a ``torch.Generator``, returns tokens (batch). The numbers are drawn on the
        generator's device, so one on the CPU gives the same text on every device, as far as the scores agree.

    Raises
    ------
    TypeError, ValueError
        Here, if a change is not a function; when it draws, if there is no generator, or nothing left to draw from.
    """

    def sample(logits: Tensor, generator: torch.Generator | None) -> Tensor:
        _check_logits(logits, generator)
        if generator is None:
            raise ValueError("sampling needs a generator; pass generator=torch.Generator().manual_seed(0)")
        for change in changes:
            logits = change(logits)
        # In double precision, a sum over a hundred thousand tokens still tells the smallest of them apart.
        cumulative = logits.softmax(-1, dtype=torch.float64).cumsum(-1)
        total = cumulative[:, -1:]
        if not (total > 0).all():
            raise ValueError(
                "there is nothing to draw from: a row of scores is NaN, infinite, or forbids every token; "
                "see what the model returns, and what the changes leave of it"
            )
        drawn = torch.rand(len(logits), 1, dtype=torch.float64, device=generator.device, generator=generator)
        # The first token whose sum exceeds the drawn share: never one of probability zero, whose sum adds nothing.
        return torch.searchsorted(cumulative, drawn.to(logits.device) * total, right=True).squeeze(-1)

    return sample


def _check_temperature(t: Any) -> None:
    require_finite("t", t)
    if t <= 0:
        raise ValueError(f"t must be above 0, got {t}; pick=greedy is what a temperature of 0 would mean")


@requires(_check_temperature)
def temperature(t: float) -> Change:
    """Return a change that divides the scores: below 1 favours the best tokens, above 1 evens them out.

    Raises
    ------
    TypeError, ValueError
        If ``t`` is not a finite number above 0.

    References
    ----------
    Ackley et al. (1985), A Learning Algorithm for Boltzmann Machines, equation 5.
    """
    return lambda logits: logits / t


def _check_top_k(k: Any) -> None:
    require_count("k", k)


@requires(_check_top_k)
def top_k(k: int) -> Change:
    """Return a change that forbids all tokens but the k best; those as good as the k-th stay too.

    With no more than k tokens it changes nothing.

    Raises
    ------
    TypeError, ValueError
        If ``k`` is not an integer of at least 1.

    References
    ----------
    Fan et al. (2018), Hierarchical Neural Story Generation, section 5.4.
    """

    def keep(logits: Tensor) -> Tensor:
        least = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]
        return logits.masked_fill(logits < least, -torch.inf)

    return keep


def _check_top_p(p: Any) -> None:
    require_finite("p", p)
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got {p}")


@requires(_check_top_p)
def top_p(p: float) -> Change:
    """Return a change that keeps the fewest best tokens whose probabilities sum to at least p (nucleus sampling).

    The best token always stays.

    Raises
    ------
    TypeError, ValueError
        If ``p`` is not a number above 0 and at most 1.

    References
    ----------
    Holtzman et al. (2020), The Curious Case of Neural Text Degeneration, equation 2.
    """

    def keep(logits: Tensor) -> Tensor:
        ordered, order = logits.sort(dim=-1, descending=True)
        share = ordered.softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        before = share.cumsum(-1) - share
        is_cut = (before >= p).scatter(-1, order, before >= p)
        return logits.masked_fill(is_cut, -torch.inf)

    return keep
