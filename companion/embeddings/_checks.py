"""Argument checks that only this part of the package needs."""

from collections.abc import Collection, Iterable
from typing import Any

from companion._validation import describe, require_finite


def require_sentences(sentences: Any) -> None:
    """Raise unless ``sentences`` are several lists of strings."""
    if isinstance(sentences, str) or not isinstance(sentences, Iterable):
        raise TypeError(f"sentences must be a list of lists of words, got {describe(sentences)}")
    if isinstance(sentences, Collection):  # an iterator can be walked only once
        for sentence in sentences:
            require_sentence(sentence)


def require_sentence(sentence: Any) -> None:
    """Raise unless a sentence is a list of strings."""
    if isinstance(sentence, str):
        raise TypeError(f"each sentence must be a list of words, got the string {sentence[:40]!r}; use split_words")
    if not isinstance(sentence, Iterable):
        raise TypeError(f"each sentence must be a list of words, got {describe(sentence)}")
    if isinstance(sentence, Collection):
        for word in sentence:
            if not isinstance(word, str):
                raise TypeError(f"each sentence must be a list of words, got one that holds {describe(word)}")


def require_words(words: Any) -> None:
    """Raise unless ``words`` are several strings, and not one."""
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise TypeError(f"words must be a list of strings, got {describe(words)}")
    if isinstance(words, Collection):
        for word in words:
            if not isinstance(word, str):
                raise TypeError(f"words must be strings, got {describe(word)}")


def require_positive(name: str, value: Any) -> None:
    """Raise unless ``value`` is a finite number above 0."""
    require_finite(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be above 0, got {value}")


def require_not_negative(name: str, value: Any, meaning_of_zero: str) -> None:
    """Raise unless ``value`` is a finite number of at least 0."""
    require_finite(name, value)
    if value < 0:
        raise ValueError(f"{name} must be at least 0 ({meaning_of_zero}), got {value}")
