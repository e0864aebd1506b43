"""The masked objective: hide some tokens, and ask for them where they were."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from companion._validation import describe, require_count, require_finite, requires
from companion.objectives._checks import (
    IGNORED,
    require_bool_like,
    require_generator,
    require_id,
    require_id_list,
    require_ids,
)


class Masked(NamedTuple):
    """Texts with hidden tokens, and what was there.

    Parameters
    ----------
    input_ids
        The texts; most of the chosen tokens hidden, some exchanged, some as they were.
    labels
        The token that was at each chosen position; -100 everywhere else.
    """

    input_ids: Int[Tensor, "*batch pos"]
    labels: Int[Tensor, "*batch pos"]


def _check_mask(
    input_ids: Any,
    *,
    mask_id: Any,
    vocab_size: Any,
    maskable: Any,
    probability: Any = 0.15,
    generator: Any,
    word_starts: Any = None,
    keep: Any = 0.1,
    random: Any = 0.1,
    count: Any = None,
    special_ids: Any = (),
) -> None:
    require_ids("input_ids", input_ids, "*batch pos")
    require_id("mask_id", mask_id)
    require_count("vocab_size", vocab_size)
    require_bool_like("maskable", maskable, input_ids)
    if word_starts is not None:
        require_bool_like("word_starts", word_starts, input_ids)
    for name, value in {"probability": probability, "keep": keep, "random": random}.items():
        require_finite(name, value)
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be at least 0 and at most 1, got {value}")
    if keep + random > 1 + 1e-9:
        raise ValueError(f"keep and random must add up to at most 1, got {keep} + {random}")
    require_generator(generator)
    _check_vocabulary(mask_id, vocab_size, special_ids, random)
    if count is not None:
        require_count("count", count, minimum=0)
        if count > int(maskable.sum()):
            raise ValueError(f"count must be at most the {int(maskable.sum())} maskable positions, got {count}")


def _check_vocabulary(mask_id: int, vocab_size: int, special_ids: Any, random: float) -> None:
    require_id_list("special_ids", special_ids)
    for name, token in {"mask_id": mask_id, "special_ids": max(special_ids, default=0)}.items():
        if token >= vocab_size:
            raise ValueError(f"{name} must be below vocab_size={vocab_size}, got {token}")
    if random > 0 and len({mask_id, *special_ids}) >= vocab_size:
        raise ValueError(f"vocab_size must leave a token to draw besides mask_id and special_ids, got {vocab_size}")


@requires(_check_mask)
def mask_tokens(
    input_ids: Int[Tensor, "*batch pos"],
    *,
    mask_id: int,
    vocab_size: int,
    maskable: Bool[Tensor, "*batch pos"],
    probability: float = 0.15,
    generator: torch.Generator,
    word_starts: Bool[Tensor, "*batch pos"] | None = None,
    keep: float = 0.1,
    random: float = 0.1,
    count: int | None = None,
    special_ids: Sequence[int] = (),
) -> Masked:
    """Choose tokens, label them, and hide most of them.

    A chosen token becomes the mask eight times out of ten, another token once and stays itself once: a model that saw
    only masks would learn nothing about tokens that are there. Every call draws anew, so a text is hidden otherwise in
    each epoch (dynamic masking), and in the same way for the same state of the generator.

    Parameters
    ----------
    input_ids
        The texts.
    mask_id
        The token that hides another.
    vocab_size
        Number of tokens, to draw others from.
    maskable
        Where a token may be chosen: not at special tokens, not at padding.
    probability
        Chance of a token (of a word, where there are words) to be chosen; not used with ``count``.
    generator
        Source of the randomness; its device may be another than the texts'.
    word_starts
        Where a word begins. All pieces of a word are then chosen or none is (whole word masking). A word ends at the
        next one, at a position that is not maskable, and at the end of its row.
    keep, random
        What share of the chosen stays itself, and what share becomes a token drawn from the vocabulary.
    count
        Choose exactly so many positions of the whole batch, whatever their texts, so that shapes never change. With
        words it is as near below as whole words allow, and :func:`masked_positions` fills up.
    special_ids
        Tokens that are never drawn in place of another, as ``mask_id`` never is.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If a shape or a number does not fit.

    References
    ----------
    Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, section
    3.1 and appendix A.1. Liu et al. (2019), RoBERTa: A Robustly Optimized BERT Pretraining Approach, section 4.1, for
    masks drawn anew. The authors' code of BERT for whole words.
    """
    chosen = _choose(maskable, word_starts, probability, count, generator).to(input_ids.device)
    where = chosen.flatten().nonzero().squeeze(1)
    fate = torch.rand(len(where), generator=generator, device=generator.device).to(input_ids.device)
    drawn = _draw_tokens(len(where), vocab_size, {mask_id, *special_ids}, generator).to(input_ids)
    old = input_ids.flatten()[where]
    new = torch.where(fate < keep, old, torch.where(fate < keep + random, drawn, mask_id))
    hidden = input_ids.flatten().index_copy(0, where, new).view_as(input_ids)
    return Masked(hidden, input_ids.masked_fill(~chosen, IGNORED))


def _draw_tokens(n: int, vocab_size: int, excluded: set[int], generator: torch.Generator) -> Tensor:
    if len(excluded) >= vocab_size:  # and none will be used
        return torch.zeros(n, dtype=torch.int64)
    drawn = torch.randint(vocab_size - len(excluded), (n,), generator=generator, device=generator.device)
    for token in sorted(excluded):  # step over each, from the lowest on
        drawn += drawn >= token
    return drawn


def _choose(
    maskable: Tensor, word_starts: Tensor | None, probability: float, count: int | None, generator: torch.Generator
) -> Tensor:
    """Draw which positions are chosen, where the generator is."""
    maskable = maskable.to(generator.device)
    luck = torch.rand(maskable.numel(), generator=generator, device=generator.device)
    if word_starts is None:
        if count is None:
            return maskable & (luck < probability).view_as(maskable)
        # Numbers above 1 come last.
        lucky = torch.where(maskable.flatten(), luck, 2.0).topk(count, largest=False).indices
        return torch.zeros_like(maskable).flatten().index_fill(0, lucky, True).view_as(maskable)
    words = _number_words(maskable, word_starts.to(generator.device))
    chosen = luck < probability if count is None else _choose_words(words[maskable], luck, count)
    return maskable & chosen[words]


def _number_words(maskable: Tensor, word_starts: Tensor) -> Tensor:
    """Give the pieces of each word the same number."""
    after_gap = ~maskable.roll(1, -1)
    after_gap[..., 0] = True  # a row begins
    return (maskable & (word_starts | after_gap)).flatten().cumsum(0).view_as(maskable) - 1


def _choose_words(words: Tensor, luck: Tensor, count: int) -> Tensor:
    """Choose the luckiest words as long as their pieces fit into the count; return one truth for each word."""
    sizes = words.bincount(minlength=len(luck))
    order = torch.where(sizes > 0, luck, 2.0).argsort(stable=True)
    n_whole = int((sizes[order].cumsum(0) <= count).logical_and(sizes[order] > 0).sum())
    left = count - int(sizes[order[:n_whole]].sum())
    chosen = torch.zeros_like(luck, dtype=torch.bool).index_fill(0, order[:n_whole], True)
    for word, size in zip(order[n_whole:].tolist(), sizes[order[n_whole:]].tolist(), strict=True):
        if left == 0 or size == 0:
            break
        if size <= left:
            chosen[word] = True
            left -= size
    return chosen


def _check_positions(labels: Any, count: Any = None) -> None:
    require_ids("labels", labels, "*batch pos")
    if count is not None:
        require_count("count", count)
        if count > labels.numel():
            raise ValueError(f"count must be at most the {labels.numel()} labels, got {count}")
        n_labelled = int((labels != IGNORED).sum())
        if n_labelled > count:
            raise ValueError(f"count must be at least the {n_labelled} labels that are not {IGNORED}, got {count}")


@requires(_check_positions)
def masked_positions(labels: Int[Tensor, "*batch pos"], count: int | None = None) -> Int[Tensor, " masked"]:
    """Find the labelled positions, in the batch laid out as one line.

    The head of a masked language model is its dearest part, and these are the only positions it is asked at.

    Parameters
    ----------
    labels
        From :func:`mask_tokens`.
    count
        Return exactly so many, filled up with positions whose label is -100, which no loss counts. Shapes that never
        change let a compiled step be compiled once.

    Raises
    ------
    TypeError, ValueError
        If the labels are not integers, or more of them are labelled than the count.
    """
    ignored = labels.flatten() == IGNORED
    if count is None:
        return (~ignored).nonzero().squeeze(1)
    return ignored.to(torch.uint8).argsort(stable=True)[:count].sort().values


def _check_take(x: Any, positions: Any) -> None:
    if not isinstance(x, Tensor) or x.dim() < 2:
        raise ValueError(f"x must be a tensor of at least two axes (batch pos ...), got {describe(x)}")
    require_ids("positions", positions, "batch")
    if positions.device != x.device:
        raise ValueError(f"positions must be on x's device {x.device}, got one on {positions.device}")
    size = x.shape[0] * x.shape[1]
    if positions.device.type == "cpu" and positions.numel() and not 0 <= int(positions.min()) <= positions.max() < size:
        raise ValueError(
            f"positions must be at least 0 and below {size} = {x.shape[0]} x {x.shape[1]}, "
            f"got values from {positions.min()} to {positions.max()}"
        )


@requires(_check_take)
def take_positions(
    x: Shaped[Tensor, "batch pos *rest"], positions: Int[Tensor, " masked"]
) -> Shaped[Tensor, "masked *rest"]:
    """Take from a batch, laid out as one line, what is at these positions: vectors for the head, or their labels.

    Parameters
    ----------
    x
        Anything with a batch and a position axis.
    positions
        From :func:`masked_positions`.

    Raises
    ------
    TypeError, ValueError
        If there are no two axes, or a position is none of the batch's (looked for on the CPU).
    """
    return x.flatten(0, 1).index_select(0, positions)
