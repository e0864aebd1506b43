"""The text that BERT sees: cleaned, without accents or capitals, cut at spaces, punctuation and Chinese characters."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any

# What counts as Chinese, as in the `tokenizers` library: the last range begins there at U+2B920 and not, as in BERT's
# own code, at U+2B820, so the first 256 characters of Extension E are not set apart.
_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

# Vocabularies were built when Unicode had fewer characters, and `tokenizers` still tells marks, punctuation and format
# characters by tables of Unicode 8 and decomposes by tables of Unicode 9, while `unicodedata` grows with every Python.
# In these ranges lies whatever came later; it is left alone, so that a text gives the same ids under every Python.
_AFTER_UNICODE_8 = (
    "5c8-5c9 61d 7fd 890-8e2 9fd-9fe a76 afa-aff b53-b55 c04-c3c c77 c84 d00 d3b-d3c d81 eba ece 1715 180f-1886 "
    "1abf-1af0 1b4e-1b4f 1b7d-1b7f 1df6-1dfb 2e43-2e63 a82c a8c5 a8ff a9bd 105c9-105e4 10d24-10f89 11070-11074 "
    "110c2-110cd 111cf 1123e-11241 1133b 11383-1145e 11660-1166c 116b9 1182f-11fff 12ff1-1612f 16d68-16f4f 16fe2-16ff1 "
    "1cf00-1d128 1d25b-1d25c 1e000-1e6f5 1e944-1e95f"
)
_OF_UNICODE_9 = "8d4-8e1 1dfb 11442 11446 11c3f 1e000-1e02a 1e944-1e94a"
_RECLASSIFIED = {"\u166d": "Po", "\U000111c9": "Po", "\u1734": "Mn"}

# Dropped as control characters, although Python's str.split() takes them for spaces.
_CONTROL_SPACES = "\v\f\x1c\x1d\x1e\x1f\x85"


def _character_class(ranges: str) -> str:
    ends = [[chr(int(end, 16)) for end in item.split("-")] for item in ranges.split()]
    return "[" + "".join("-".join(pair) for pair in ends) + "]"


@cache
def _without_category() -> re.Pattern[str]:
    return re.compile(_character_class(_AFTER_UNICODE_8))


@cache
def _without_decomposition() -> re.Pattern[str]:
    return re.compile(f"((?!{_character_class(_OF_UNICODE_9)}){_character_class(_AFTER_UNICODE_8)})")


def _category(character: str) -> str:
    if _without_category().match(character):
        return "Cn"
    return _RECLASSIFIED.get(character) or unicodedata.category(character)


def is_chinese(character: str) -> bool:
    """Tell whether BERT treats a character as a word of its own (so neither kana nor hangul)."""
    return any(low <= ord(character) <= high for low, high in _CHINESE)


def is_punctuation(character: str) -> bool:
    """Tell whether BERT cuts a character off: Unicode's punctuation and every printable ASCII sign, ``$`` included."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return _category(character).startswith("P")


def _is_dropped(character: str) -> bool:
    if character in "\t\n\r":
        return False
    return character in "\0\ufffd" or _category(character) in ("Cc", "Cf", "Co")


def _decompose(text: str) -> str:
    """NFD in which newer characters stand still."""
    if not _without_decomposition().search(text):
        return unicodedata.normalize("NFD", text)
    parts = _without_decomposition().split(text)
    return "".join(part if index % 2 else unicodedata.normalize("NFD", part) for index, part in enumerate(parts))


class _CharacterMap(dict[int, str]):
    """A table for ``str.translate`` that is filled in as characters turn up."""

    def __init__(self, rule: Callable[[str], str]):
        super().__init__()
        self.rule = rule

    def __missing__(self, code_point: int) -> str:
        self[code_point] = image = self.rule(chr(code_point))
        return image


@dataclass(frozen=True)
class BertText:
    """BERT's normaliser and pre-tokenizer.

    Control, zero-width and replacement characters are dropped, every white space becomes a space, Chinese characters
    get spaces around them, accents are removed and capitals lowered, each character by itself. Words are what lies
    between spaces; each punctuation character is a word.

    Parameters
    ----------
    lowercase
        Lower capitals.
    strip_accents
        Remove combining marks; None means as ``lowercase``.
    chinese_characters
        Set Chinese characters apart.

    References
    ----------
    Devlin et al. 2019, "BERT", and its ``tokenization.py``. On every string of characters that this Python knows the
    result is that of ``BertNormalizer`` and ``BertPreTokenizer`` of the ``tokenizers`` library.
    """

    lowercase: bool = True
    strip_accents: bool | None = None
    chinese_characters: bool = True

    @cached_property
    def _cleaned(self) -> _CharacterMap:
        def rule(character: str) -> str:
            if _is_dropped(character):
                return ""
            if character.isspace():
                return " "
            return f" {character} " if self.chinese_characters and is_chinese(character) else character

        return _CharacterMap(rule)

    @cached_property
    def _unmarked(self) -> _CharacterMap:
        return _CharacterMap(lambda character: "" if _category(character) == "Mn" else character)

    @cached_property
    def _spaced(self) -> _CharacterMap:
        return _CharacterMap(lambda character: f" {character} " if is_punctuation(character) else character)

    def normalize(self, text: str) -> str:
        """Clean a text and, if so set, lower it and remove its accents."""
        text = text.translate(self._cleaned)
        if (self.lowercase if self.strip_accents is None else self.strip_accents) and not text.isascii():
            text = _decompose(text).translate(self._unmarked)
        # str.lower() looks at the neighbours of one letter only, the capital sigma; the reference looks at none.
        return text.replace("Σ", "σ").lower() if self.lowercase else text

    def words(self, text: str) -> list[str]:
        """Normalise a text and cut it into words."""
        return self.normalize(text).translate(self._spaced).split()

    def chunks(self, text: str) -> list[str]:
        """Cut a raw text at white space; the words of the chunks are the words of the text."""
        for character in _CONTROL_SPACES:
            if character in text:
                text = text.replace(character, "")
        return text.split()

    def safe_cut(self, text: str) -> int:
        """Find the last position where the words before and after do not depend on each other, or 0."""
        for position in range(len(text) - 1, 0, -1):
            character = text[position]
            if character.isascii():
                safe = character in " \t\n\r" or is_punctuation(character)
            else:
                # Neither combines with what precedes it.
                safe = self.chinese_characters and is_chinese(character)
            if safe:
                return position
        return 0

    def to_json(self) -> dict[str, Any]:
        """Return the ``normalizer`` and ``pre_tokenizer`` of a tokenizer file."""
        settings = asdict(self)
        settings["handle_chinese_chars"] = settings.pop("chinese_characters")
        return {
            "normalizer": {"type": "BertNormalizer", "clean_text": True, **settings},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "BertText":
        """Read the ``normalizer`` and ``pre_tokenizer`` of a tokenizer file.

        Raises
        ------
        ValueError
            If they are not BERT's.
        """
        normalizer, pre_tokenizer = content.get("normalizer") or {}, content.get("pre_tokenizer") or {}
        if normalizer.get("type") != "BertNormalizer" or not normalizer.get("clean_text", True):
            raise ValueError(f"normalizer must be a BertNormalizer that cleans the text, got {normalizer or None}")
        if pre_tokenizer.get("type") != "BertPreTokenizer":
            raise ValueError(f"pre_tokenizer must be a BertPreTokenizer, got {pre_tokenizer or None}")
        return cls(
            lowercase=normalizer.get("lowercase", True),
            strip_accents=normalizer.get("strip_accents"),
            chinese_characters=normalizer.get("handle_chinese_chars", True),
        )
