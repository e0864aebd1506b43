"""Where one sentence ends and the next begins, in English and in Chinese."""

import re
from typing import Any

from companion._validation import describe, requires

# Chinese marks end a sentence wherever they stand; a western one only before a space, and not where a small letter
# follows. Quotes and brackets that close belong to the sentence before.
_CLOSING = "[\"'”’』」》）)\\]]*"
_END = re.compile(rf"[。！？；…]+{_CLOSING}\s*|[.!?]+{_CLOSING}\s+(?![a-zß-ÿ])|\n\s*")
_NO_END = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[A-Z]|[A-Za-z](?:\.[A-Za-z])+|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Mt|Ft|"
    r"vs|etc|cf|ca|No|Nos|Vol|pp|Fig|approx|est|Inc|Ltd|Co|Corp)\.$"
)


def _check(text: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {describe(text)}")


@requires(_check)
def split_sentences(text: str) -> list[str]:
    """Cut a text into its sentences.

    By rules alone, so it is wrong now and then: where an abbreviation that it does not know is followed by a name, or
    one that it knows ends a sentence. Nothing but white space between sentences is lost.

    Parameters
    ----------
    text
        English, Chinese or both; a line end always ends a sentence too.

    Raises
    ------
    TypeError
        If the text is not a string.
    """
    sentences: list[str] = []
    start = 0
    for match in _END.finditer(text):
        sentence = text[start : match.end()].strip()
        if sentence and not ("\n" not in match.group() and _NO_END.search(sentence)):
            sentences.append(sentence)
            start = match.end()
    if rest := text[start:].strip():
        sentences.append(rest)
    return sentences
