"""Text that came from outside, made safe to show."""

import unicodedata

LONGEST = 400


def clean(text: str, longest: int = LONGEST) -> str:
    """Keep one line of printable text: no control or direction characters, no more than `longest` characters."""
    kept = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * longest])
    line = " ".join(kept.split())
    return line if len(line) <= longest else f"{line[:longest]}..."
