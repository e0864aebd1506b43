"""From texts to checked arrays of token ids, by a tokenizer whose name changes when its ids do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from companion._validation import describe
from companion.tokenization import Tokenizer

MOST_IDS = 2**31  # that fit the widest type of the files

Encode = Tokenizer | Callable[[str], Sequence[int]]
EncodeBatch = Callable[[list[str]], list[np.ndarray]]


def digest(*parts: bytes) -> str:
    """Return a short hash of several byte strings."""
    result = blake2b(digest_size=16)
    for part in parts:
        result.update(len(part).to_bytes(8, "little") + part)
    return result.hexdigest()


def tokenizer_of(encode: Any) -> Any:
    """Return the tokenizer when ``encode`` is one or its method, else what was given."""
    owner = getattr(encode, "__self__", None)
    return owner if isinstance(owner, Tokenizer) and encode.__name__ == "encode" else encode


def fingerprint_of(encode: Any, given: Any = None) -> str:
    """Return a name of what ``encode`` does: the one given, or a hash of a tokenizer's contents.

    Raises
    ------
    TypeError
        If ``encode`` cannot be called, or the name is no string.
    ValueError
        If it is a function, which cannot say when it changes, and no name is given.
    """
    tokenizer = tokenizer_of(encode)
    if not isinstance(tokenizer, Tokenizer) and not callable(encode):
        raise TypeError(f"encode must be a tokenizer or a function from a text to ids, got {describe(encode)}")
    if given is not None and not isinstance(given, str):
        raise TypeError(f"fingerprint must be a string, got {describe(given)}")
    if given:
        return given
    if isinstance(tokenizer, Tokenizer):
        content = [type(tokenizer).__name__, tokenizer.to_json(), tokenizer.special_tokens]
        return digest(json.dumps(content, sort_keys=True).encode())
    raise ValueError(
        "fingerprint must be given when encode is a function, which cannot say when it changes: pass a name that "
        "changes whenever the ids do, or pass a tokenizer of companion.tokenization"
    )


def ids_of(name: str, ids: Any, vocab_size: int | None) -> np.ndarray:
    """Return token ids as an array.

    Raises
    ------
    TypeError, ValueError
        If they are no list of integers, or out of range.
    """
    try:
        values = np.asarray(ids)
    except (ValueError, TypeError, OverflowError):  # a ragged list, say
        values = np.zeros((0, 0))
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise TypeError(f"{name} must be a list of token ids, which are integers, got {describe(ids)}")
    limit = min(vocab_size or MOST_IDS, MOST_IDS)
    least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if least < 0 or most >= limit:
        wrong = least if least < 0 else most
        raise ValueError(f"{name} must be token ids from 0 to {limit - 1}, got {wrong}; is it of another tokenizer?")
    return values.astype(np.int32)


def batch_encoder(encode: Encode, before: np.ndarray, after: np.ndarray, vocab_size: int | None) -> EncodeBatch:
    """Return a function from texts to checked ids with what goes before and after them."""
    tokenizer = tokenizer_of(encode)

    def batch(texts: list[str]) -> list[np.ndarray]:
        many = (
            tokenizer.encode_batch(texts) if isinstance(tokenizer, Tokenizer) else [tokenizer(text) for text in texts]
        )
        return [np.concatenate([before, ids_of("encode(text)", ids, vocab_size), after]) for ids in many]

    return batch
