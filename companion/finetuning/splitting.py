"""Setting examples apart for validation and test so that none is on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from companion._validation import require_count, require_finite, requires
from companion.data.corpus.order import permutation
from companion.data.readers.cleaning import letters
from companion.finetuning.rows import LeftOut

Row = dict[str, Any]


class Distinct(NamedTuple):
    """Rows of which no two are the same example, and the others."""

    rows: list[dict[str, Any]]
    left_out: list[LeftOut]


def same_text(*texts: str) -> str:
    """Return what makes two texts the same example: their letters and digits, or all of them where there are none."""
    return "\n".join(letters(text) or text.strip() for text in texts)


def drop_repeated(
    rows: Sequence[Row], key: Callable[[Row], str], answer: Callable[[Row], Hashable] | None = None
) -> Distinct:
    """Keep the first of the rows that are the same example; drop all of those whose answers contradict each other.

    A repeated row would stand in training and in the test alike; a contradicted one teaches chance.

    Parameters
    ----------
    rows
        Each with its ``line``.
    key
        From a row to what makes it the same example, such as :func:`same_text` of its text.
    answer
        From a row to its label; None when there is none.
    """
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    kept, left_out = [], []
    for name, group in groups.items():
        answers = {answer(row) for row in group} if answer else set()
        first = group[0]
        if len(answers) > 1:
            listed = ", ".join(sorted(map(repr, answers)))
            left_out += [LeftOut(row["line"], f"the same text has the labels {listed}", name[:80]) for row in group]
        else:
            kept.append(first)
            reason = f"repeats line {first['line']}"
            left_out += [LeftOut(row["line"], reason, name[:80]) for row in group[1:]]
    return Distinct(kept, sorted(left_out))


def _check_split(rows: Any, shares: Any, *, seed: Any = 0) -> None:
    for i, share in enumerate(shares):
        require_finite(f"shares[{i}]", share)
        if not 0 <= share < 1:
            raise ValueError(f"shares[{i}] must be at least 0 and below 1, got {share}")
    if sum(shares) >= 1:
        raise ValueError(f"shares must leave something to train on, got {list(shares)}")
    require_count("seed", seed, minimum=0)
    if len(rows) <= len(shares):
        raise ValueError(f"rows must be more than the {len(shares)} parts to set apart, got {len(rows)}")


@requires(_check_split)
def split_rows(rows: Sequence[Row], shares: Sequence[float], *, seed: int = 0) -> list[list[Row]]:
    """Set shares of the rows apart, drawn at random; what is left comes first.

    Rows that have a ``group``, such as the sentences of one review, stay together.

    Parameters
    ----------
    rows
        Distinct ones, as :func:`drop_repeated` returns them.
    shares
        The share of each part, such as ``[0.1, 0.1]`` for validation and test; a share above 0 gets at least one row.
    seed
        Of the drawing, which is the same on every machine.

    Returns
    -------
    list of list of dict
        The training rows, then each part.

    Raises
    ------
    TypeError, ValueError
        If the shares leave nothing, or the rows are too few.
    """
    groups: dict[Any, list[Row]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[row.get("group", ("row", number))].append(row)
    order = [list(groups.values())[i] for i in permutation(len(groups), "split", seed).tolist()]
    parts, start = [], 0
    for share in shares:
        count = max(1, round(share * len(order))) if share else 0
        parts.append([row for group in order[start : start + count] for row in group])
        start += count
    return [[row for group in order[start:] for row in group], *parts]
