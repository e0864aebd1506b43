"""Clean a corpus: one spelling for every text, nothing that cannot be seen, no text twice."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b
from typing import Any, Literal, get_args

from companion._validation import describe, requires
from companion.tokenization.base import require_texts

Form = Literal["NFC", "NFKC"]
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Controls, halves of characters, private use and non-characters, the replacement character; then what has no width
# and no meaning of its own: soft hyphens, directions, invisible operators, byte order marks. Not all of Unicode's
# format characters: some can be seen, and flags are spelt with others.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffd-\uffff\U000f0000-\U0010ffff"
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_JOINERS = re.compile("[\u200c\u200d]")


def _check_clean(text: Any, *, form: Any = "NFC", keep_joiners: bool = True) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {describe(text)}")
    if form is not None and form not in get_args(Form):
        raise ValueError(f"form must be None or one of {', '.join(get_args(Form))}, got {describe(form)}")


@requires(_check_clean)
def clean_text(text: str, *, form: Form | None = "NFC", keep_joiners: bool = True) -> str:
    r"""Bring a text to one spelling, without what a reader cannot see.

    Line ends become ``\n``; control, zero-width, private and replacement characters and halves of characters go; the
    normal form is applied; a run of other white space becomes one space, none stays at the ends of a line, and no two
    lines in a row stay empty. Cleaning twice changes nothing more.

    Parameters
    ----------
    text
        Any string, even one with lone surrogates.
    form
        ``"NFC"`` composes characters and changes nothing that can be seen. ``"NFKC"`` also replaces what looks
        different but means the same, such as ``ﬁ``, ``Ａ`` and ``①``, but then ``x²`` by ``x2`` too. None applies no
        form.
    keep_joiners
        Keep the zero-width joiner and non-joiner, with which Persian, Indic scripts and emoji are spelt.

    Raises
    ------
    TypeError, ValueError
        If the text is not a string or there is no such form.

    References
    ----------
    Unicode Standard Annex 15, "Unicode Normalization Forms".
    """
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    if not keep_joiners:
        text = _JOINERS.sub("", text)
    if form:
        text = unicodedata.normalize(form, text)
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip(" \n")


@requires(lambda texts, key=None: require_texts("texts", texts))
def exact_duplicates(texts: Iterable[str], *, key: Callable[[str], str] | None = None) -> list[int | None]:
    """Say of each text which earlier one it repeats.

    Only a hash of 16 bytes is kept of each text: among a thousand million texts, two that differ have the same hash
    with a probability of about 1e-21.

    Parameters
    ----------
    texts
        The corpus, read once.
    key
        What must be equal, e.g. ``clean_text`` or ``str.casefold``; the text itself by default.

    Returns
    -------
    list
        For each text the index of the first that is equal to it, or None if it is the first itself.
    """
    first: dict[bytes, int] = {}
    result: list[int | None] = []
    for index, text in enumerate(texts):
        spelled = key(text) if key else text
        digest = blake2b(spelled.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        earlier = first.setdefault(digest, index)
        result.append(None if earlier == index else earlier)
    return result


def _check_stop_words(text: Any, stop_words: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {describe(text)}")
    if isinstance(stop_words, str) or not isinstance(stop_words, Collection):
        raise TypeError(f"stop_words must be a set of words, got {describe(stop_words)}")


@requires(_check_stop_words)
def remove_stop_words(text: str, stop_words: Collection[str]) -> str:
    """Remove frequent small words, as search engines once did; a language model that is to write must not.

    Parameters
    ----------
    text
        Words with spaces between them. Punctuation next to a word that is removed goes with it.
    stop_words
        The words to remove, in lower case, such as ``{"the", "to", "not"}``.

    Raises
    ------
    TypeError
        If the text is not a string or the stop words are not a collection.
    """
    unwanted = frozenset(stop_words)
    return " ".join(word for word in text.split() if re.sub(r"^\W+|\W+$", "", word).lower() not in unwanted)
