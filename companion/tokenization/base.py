"""What all tokenizers share: special tokens, streams, checks of the input and the file that holds a tokenizer."""

import json
import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from companion._validation import describe, requires

BLOCK = 1 << 16  # characters that a stream encodes at a time: the larger, the fewer cuts; the smaller, the less memory


def require_text(name: str, value: Any) -> None:
    """Raise unless ``value`` is a string that has an encoding in UTF-8, so one without a lone surrogate."""
    if not isinstance(value, str):
        hint = f"; decode it first, e.g. {name}.decode('utf-8')" if isinstance(value, bytes) else ""
        raise TypeError(f"{name} must be a string, got {type(value).__name__}{hint}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} must be valid Unicode, got the lone surrogate U+{ord(value[error.start]):04X} at position "
            f"{error.start}; it is half of a character, left by a faulty decoder: read the text again, or replace it "
            f"with {name}.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
        ) from None


def require_texts(name: str, value: Any) -> None:
    """Raise unless ``value`` is an iterable of strings rather than one string, whose characters nobody means."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be an iterable of strings, got one {type(value).__name__}; write [{name}]")


def require_special_tokens(vocab: Mapping[str, int], special_tokens: Mapping[str, int]) -> None:
    """Raise unless every special token is a name that is not empty, in the vocabulary under its own id."""
    for name, index in special_tokens.items():
        require_text("special_tokens", name)
        if not name:
            raise ValueError("special_tokens must not hold the empty string, which is found everywhere in any text")
        if vocab.get(name) != index:
            raise ValueError(
                f"special token {name!r} must have the same id in vocab, got {index} here and {vocab.get(name)} there"
            )


def _check_encode(self: "Tokenizer", text: Any, *, allowed_special: Any = frozenset()) -> None:
    require_text("text", text)
    self.require_allowed(allowed_special)


def _check_batch(self: "Tokenizer", texts: Any, *, allowed_special: Any = frozenset()) -> None:
    require_texts("texts", texts)
    self.require_allowed(allowed_special)


def _check_stream(self: "Tokenizer", chunks: Any, *, allowed_special: Any = frozenset()) -> None:
    require_texts("chunks", chunks)
    self.require_allowed(allowed_special)


def _check_decode(self: "Tokenizer", ids: Any, *, skip_special: bool = False) -> None:
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise TypeError(f"ids must be an iterable of integers, got {describe(ids)}")


class Tokenizer(ABC):
    """Turn text into ids and back.

    A subclass says how ordinary text is encoded (`_encode_text`), where a text may be cut (`_safe_cut`), how ids become
    text (`_decode_ids`) and how it is written down (`to_json`). The rest is here, once.

    Special tokens such as ``<|endoftext|>`` steer the model, so text must not be able to forge them: in `encode` they
    are ordinary characters unless the caller names them in ``allowed_special``. A subclass makes sure that
    `_encode_text` never returns the id of a special token, except that of the unknown token.

    Parameters
    ----------
    vocab
        The id of every token, special tokens included.
    special_tokens
        The id of every special token.

    Raises
    ------
    ValueError
        If two tokens share an id, or a special token is not in the vocabulary under its id.
    """

    def __init__(self, vocab: Mapping[str, int], special_tokens: Mapping[str, int]):
        require_special_tokens(vocab, special_tokens)
        self.vocab = dict(vocab)
        self.special_tokens = dict(special_tokens)
        self.id_to_token = {index: token for token, index in self.vocab.items()}
        if len(self.id_to_token) < len(self.vocab):
            raise ValueError("vocab must give every token an id of its own, got two tokens with the same id")

    @property
    def vocab_size(self) -> int:
        """How many rows an embedding table needs, which is one more than the largest id."""
        return max(self.id_to_token, default=-1) + 1

    @abstractmethod
    def _encode_text(self, text: str) -> list[int]:
        """Encode text without special tokens; the text may be empty."""

    @abstractmethod
    def _safe_cut(self, text: str) -> int:
        """Find a late position where the text may be cut, or 0.

        For whatever follows, ``_encode_text(text[:cut]) + _encode_text(text[cut:] + rest)`` must equal
        ``_encode_text(text + rest)``.
        """

    @abstractmethod
    def _decode_ids(self, ids: list[int]) -> str:
        """Turn known ids into text."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the ``normalizer``, ``pre_tokenizer``, ``post_processor``, ``decoder`` and ``model`` of the file."""

    def require_allowed(self, allowed_special: Any) -> None:
        """Raise unless ``allowed_special`` is a collection of this tokenizer's special tokens."""
        if isinstance(allowed_special, str) or not isinstance(allowed_special, Collection):
            raise TypeError(f"allowed_special must be a set of special tokens, got {describe(allowed_special)}")
        if unknown := sorted(set(allowed_special) - set(self.special_tokens)):
            raise ValueError(
                f"allowed_special must name special tokens of this tokenizer, got {unknown}; "
                f"it has {sorted(self.special_tokens)}"
            )

    @requires(_check_encode)
    def encode(self, text: str, *, allowed_special: Collection[str] = frozenset()) -> list[int]:
        """Turn text into ids.

        Parameters
        ----------
        text
            Any text.
        allowed_special
            The special tokens to recognise in the text. Everything else that looks like one is ordinary text.

        Raises
        ------
        TypeError, ValueError
            If the text is not a string or holds a lone surrogate, or a name is not that of a special token.
        """
        if not allowed_special:
            return self._encode_text(text)
        ids: list[int] = []
        for piece in _pattern(allowed_special, capture=True).split(text):
            ids.extend([self.special_tokens[piece]] if piece in allowed_special else self._encode_text(piece))
        return ids

    @requires(_check_batch)
    def encode_batch(self, texts: Iterable[str], *, allowed_special: Collection[str] = frozenset()) -> list[list[int]]:
        """Turn several texts into ids, each as by `encode`; many together may be faster than one after the other.

        Parameters
        ----------
        texts
            Any number of texts.
        allowed_special
            As in `encode`.

        Raises
        ------
        TypeError, ValueError
            As in `encode`.
        """
        texts = list(texts)
        for text in texts:
            require_text("texts", text)
        if allowed_special:
            return [self.encode(text, allowed_special=allowed_special) for text in texts]
        return self._encode_texts(texts)

    def _encode_texts(self, texts: list[str]) -> list[list[int]]:
        return [self._encode_text(text) for text in texts]

    @requires(_check_stream)
    def encode_stream(self, chunks: Iterable[str], *, allowed_special: Collection[str] = frozenset()) -> Iterator[int]:
        """Turn a text that arrives in chunks into ids: those of ``encode`` of the whole text.

        Memory stays within a small multiple of ``BLOCK`` characters, however long the text is, or of its longest
        stretch that cannot be cut (such as one word of a gigabyte).

        Parameters
        ----------
        chunks
            The text in pieces, cut anywhere: a file open for reading will do.
        allowed_special
            As in `encode`; a special token may be cut too.

        Raises
        ------
        TypeError, ValueError
            As in `encode`; for a chunk, when the stream reaches it.
        """
        return self._stream(chunks, allowed_special)

    def _stream(self, chunks: Iterable[str], allowed_special: Collection[str]) -> Iterator[int]:
        held, enough = "", BLOCK
        for chunk in chunks:
            require_text("chunks", chunk)
            for start in range(0, len(chunk), BLOCK):
                held += chunk[start : start + BLOCK]
                if len(held) >= enough:
                    cut = self._stream_cut(held, allowed_special)
                    yield from self.encode(held[:cut], allowed_special=allowed_special)
                    held = held[cut:]
                    # Look again only when there is twice as much: a text that cannot be cut costs linear time too.
                    enough = max(BLOCK, 2 * len(held))
        yield from self.encode(held, allowed_special=allowed_special)

    def _stream_cut(self, text: str, allowed_special: Collection[str]) -> int:
        if not allowed_special:
            return self._safe_cut(text)
        # What starts at `end` or later might become a special token, or a longer one.
        end = len(text) - max(map(len, allowed_special)) + 1
        start = 0
        for match in _pattern(allowed_special).finditer(text):
            if match.start() < end:
                start = match.end()
        return start + self._safe_cut(text[start:end]) if start < end else start

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text as the strings of the vocabulary."""
        return [self.id_to_token[index] for index in self.encode(text)]

    @requires(_check_decode)
    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Turn ids into text.

        Parameters
        ----------
        ids
            Ids of the vocabulary: a list, or a tensor or array of one axis.
        skip_special
            Leave special tokens out.

        Raises
        ------
        TypeError, ValueError
            If ``ids`` is not an iterable, or holds what is not an id of this vocabulary.
        """
        known = [int(index) for index in ids]
        if unknown := [index for index in known if index not in self.id_to_token]:
            raise ValueError(
                f"ids must be ids of this vocabulary of {len(self.vocab)} tokens, got {unknown[0]}; "
                "was the text encoded by another tokenizer?"
            )
        if skip_special:
            special = set(self.special_tokens.values())
            known = [index for index in known if index not in special]
        return self._decode_ids(known)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as a ``tokenizer.json`` that ``tokenizers.Tokenizer.from_file`` loads too."""
        added = [
            {
                "id": index,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name, index in sorted(self.special_tokens.items(), key=lambda item: item[1])
        ]
        content = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, **self.to_json()}
        write_text(Path(path), json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, special_tokens={sorted(self.special_tokens)})"


def _pattern(special: Collection[str], *, capture: bool = False) -> re.Pattern[str]:
    """Match the special tokens, the longest of those that begin at the same place."""
    alternatives = "|".join(re.escape(name) for name in sorted(special, key=len, reverse=True))
    return re.compile(f"({alternatives})" if capture else alternatives)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8", newline="\n") as file:
        file.write(text)
    Path(file.name).replace(path)
