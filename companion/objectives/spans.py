"""Span corruption: hide stretches of a text, each behind a mark, and ask for what is behind the marks."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from companion._validation import require_finite, requires
from companion.objectives._checks import require_generator, require_id, require_id_list, require_ids


class Corrupted(NamedTuple):
    """A text with holes, and what is in them.

    Parameters
    ----------
    input_ids
        The text, a sentinel in place of each hidden span, and the end token.
    labels
        Each sentinel and the span behind it, one more sentinel, and the end token.
    """

    input_ids: Int[Tensor, " pos"]
    labels: Int[Tensor, " label"]


def _check_sentinels(sentinels: Any, end_id: Any) -> None:
    require_id_list("sentinels", sentinels)
    if len(set(sentinels)) < len(sentinels):
        raise ValueError(f"sentinels must all differ, got {list(sentinels)}")
    require_id("end_id", end_id)
    if end_id in sentinels:
        raise ValueError(f"end_id must not be a sentinel, got {end_id}")


def _check_corrupt(
    input_ids: Any, *, density: Any = 0.15, mean_length: Any = 3.0, sentinels: Any, end_id: Any, generator: Any
) -> None:
    require_ids("input_ids", input_ids, "pos")
    if len(input_ids) < 2:
        raise ValueError(f"input_ids must hold at least 2 tokens, so that one hides and one stays, got {input_ids}")
    for name, value in {"density": density, "mean_length": mean_length}.items():
        require_finite(name, value)
    if not 0 < density < 1:
        raise ValueError(f"density must be above 0 and below 1, got {density}")
    if mean_length < 1:
        raise ValueError(f"mean_length must be at least 1, got {mean_length}")
    _check_sentinels(sentinels, end_id)
    n_spans = _count_spans(len(input_ids), density, mean_length)[1]
    if len(sentinels) < n_spans + 1:
        raise ValueError(
            f"sentinels must be at least {n_spans + 1}, one for each of {n_spans} spans and one to end with, "
            f"got {len(sentinels)}; cut the text of {len(input_ids)} tokens, or lengthen the spans"
        )
    if not set(sentinels).isdisjoint(input_ids.tolist()):
        raise ValueError("input_ids must not hold a sentinel: nobody could tell it from those put in")
    require_generator(generator)


def _count_spans(length: int, density: float, mean_length: float) -> tuple[int, int]:
    """Say how many tokens hide, and in how many spans: as near as can be, with a token left between two spans."""
    n_hidden = min(max(round(length * density), 1), length - 1)
    n_spans = min(max(round(n_hidden / mean_length), 1), n_hidden, length - n_hidden + 1)
    return n_hidden, n_spans


def _split_at_random(total: int, parts: int, generator: torch.Generator) -> list[int]:
    """Draw one of the ways to write a number as a sum of so many positive ones, all equally likely."""
    order = torch.randperm(total - 1, generator=generator, device=generator.device)
    cuts = [0, *sorted(cut + 1 for cut in order[: parts - 1].tolist()), total]
    return [end - start for start, end in itertools.pairwise(cuts)]


@requires(_check_corrupt)
def corrupt_spans(
    input_ids: Int[Tensor, " pos"],
    *,
    density: float = 0.15,
    mean_length: float = 3.0,
    sentinels: Sequence[int],
    end_id: int,
    generator: torch.Generator,
) -> Corrupted:
    """Hide spans of a text, each behind a sentinel of its own.

    How many tokens hide, and in how many spans, follows from the length alone: texts of one length give inputs of one
    length and labels of one length. Where the spans lie is drawn, every placement equally likely. (T5's own program
    always keeps the first token and hides the last.)

    Parameters
    ----------
    input_ids
        The text, without its end token.
    density
        What share of the tokens hides; at least one, and never all.
    mean_length
        How long a span is on average.
    sentinels
        The marks in the order of their use, such as ``<extra_id_0>`` and on.
    end_id
        The token that ends a text.
    generator
        Source of the randomness.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If a number is out of range, there are too few sentinels, or one is in the text.

    References
    ----------
    Raffel et al. (2020), Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, figure 2
    and section 3.3.4.
    """
    n_hidden, n_spans = _count_spans(len(input_ids), density, mean_length)
    hidden = _split_at_random(n_hidden, n_spans, generator)
    kept = _split_at_random(len(input_ids) - n_hidden + 2, n_spans + 1, generator)
    kept[0] -= 1  # before the first span and after the last there may be nothing
    kept[-1] -= 1
    # Lists of so few numbers are several times as fast as tensors.
    text, read, written, place = input_ids.tolist(), [], [], 0
    for mark, n_kept, n in zip(sentinels, kept, [*hidden, 0], strict=False):
        read += text[place : place + n_kept]
        written += [mark, *text[place + n_kept : place + n_kept + n]]
        if n:
            read.append(mark)
        place += n_kept + n
    return Corrupted(input_ids.new_tensor([*read, end_id]), input_ids.new_tensor([*written, end_id]))


def _check_restore(input_ids: Any, labels: Any, *, sentinels: Any, end_id: Any) -> None:
    require_ids("input_ids", input_ids, "pos")
    require_ids("labels", labels, "label")
    _check_sentinels(sentinels, end_id)
    for name, ids in {"input_ids": input_ids, "labels": labels}.items():
        if ids[-1].item() != end_id:
            raise ValueError(f"{name} must end with end_id={end_id}, got {ids[-1].item()}; cut padding off")
    marks = set(sentinels)
    asked = [token for token in input_ids.tolist() if token in marks]
    told = [token for token in labels.tolist() if token in marks]
    if asked != list(sentinels[: len(asked)]):
        raise ValueError(f"input_ids must hold the sentinels in their order, each once, got {asked}")
    if told != list(sentinels[: len(asked) + 1]):
        raise ValueError(
            f"labels must hold the sentinels {list(sentinels[: len(asked) + 1])}: those of input_ids and one to end "
            f"with; got {told}"
        )
    if labels[0].item() not in marks or labels[-2].item() not in marks:
        raise ValueError("labels must begin with a sentinel, and end with one and the end token")


@requires(_check_restore)
def restore_spans(
    input_ids: Int[Tensor, " pos"], labels: Int[Tensor, " label"], *, sentinels: Sequence[int], end_id: int
) -> Int[Tensor, " text"]:
    """Put the hidden spans back: the inverse of :func:`corrupt_spans`.

    Parameters
    ----------
    input_ids, labels
        What :func:`corrupt_spans` returned, or a model's answer in place of its labels.
    sentinels, end_id
        As given to :func:`corrupt_spans`.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If the sentinels of the two are not the same in the same order, or an end is missing.
    """
    marks = set(sentinels)
    spans: dict[int, list[int]] = {}
    mark = -1
    for token in labels[:-1].tolist():
        if token in marks:
            mark = token
            spans[mark] = []
        else:
            spans[mark].append(token)
    text = [t for token in input_ids[:-1].tolist() for t in (spans[token] if token in marks else [token])]
    return torch.tensor(text, dtype=input_ids.dtype, device=input_ids.device)
