"""Texts in one spelling, without those that no language can be learnt from."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any, get_args

from companion._validation import describe, require_count, require_finite, requires
from companion.data.corpus.report import Kept, keep
from companion.tokenization.base import require_texts
from companion.tokenization.cleaning import Form, clean_text


def _check_share(name: str, value: Any) -> None:
    require_finite(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value}")


def _check(
    texts: Any, *, form: Any = "NFC", min_characters: Any = 10, min_letters: Any = 0.5, max_repeated: Any = 0.3
) -> None:
    require_texts("texts", texts)
    if form is not None and form not in get_args(Form):
        raise ValueError(f"form must be None or one of {', '.join(get_args(Form))}, got {describe(form)}")
    require_count("min_characters", min_characters)
    _check_share("min_letters", min_letters)
    _check_share("max_repeated", max_repeated)


@requires(_check)
def clean_texts(
    texts: Iterable[str],
    *,
    form: Form | None = "NFC",
    min_characters: int = 10,
    min_letters: float = 0.5,
    max_repeated: float = 0.3,
) -> Kept:
    """Bring texts to one spelling and drop those with little language in them.

    Parameters
    ----------
    texts
        The corpus.
    form
        The normal form of Unicode; see `companion.tokenization.clean_text`.
    min_characters
        Shorter texts are dropped; length is counted after cleaning.
    min_letters
        Texts in which a smaller share of the characters that can be seen are letters are dropped: tables, dumps of
        numbers, rows of signs. Chinese characters are letters, and so are the accents that some scripts write apart.
    max_repeated
        Texts are dropped if a larger share of their lines repeat an earlier line; only those of four lines and more
        are looked at.

    Returns
    -------
    Kept
        The texts and a report: what was dropped and why.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range, or a text is not a string.

    References
    ----------
    The rules, in a simpler form, of Rae et al. 2021, "Scaling Language Models" (Gopher), appendix A.
    """
    given = list(texts)
    reasons = (
        "empty",
        f"shorter than {min_characters} characters",
        f"less than {min_letters:.0%} letters",
        f"more than {max_repeated:.0%} repeated lines",
    )
    kept: dict[int, str] = {}
    dropped: dict[str, list[int]] = {reason: [] for reason in reasons}
    for index, text in enumerate(given):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}] must be a string, got {type(text).__name__}")
        cleaned = clean_text(text, form=form)
        failed = (
            not cleaned,
            len(cleaned) < min_characters,
            letter_share(cleaned) < min_letters,
            repeated_lines(cleaned) > max_repeated,
        )
        if any(failed):
            dropped[reasons[failed.index(True)]].append(index)
        else:
            kept[index] = cleaned
    return keep("cleaning", given, kept, dropped)


def letter_share(text: str) -> float:
    """Return the share of letters among the characters that can be seen."""
    visible = "".join(text.split())
    if not visible:
        return 0.0
    letters = sum(character.isalpha() or unicodedata.category(character) in {"Mn", "Mc"} for character in visible)
    return letters / len(visible)


def repeated_lines(text: str) -> float:
    """Return the share of lines that repeat an earlier one; 0 for texts of less than four lines."""
    lines = [line for line in text.split("\n") if line]
    return 1 - len(Counter(lines)) / len(lines) if len(lines) >= 4 else 0.0
