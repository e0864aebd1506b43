"""A tokenizer for a corpus, learned from the part that a model will be trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from companion.data.corpus.building import explained
from companion.data.corpus.encoding import digest
from companion.data.corpus.prepare import choose_texts
from companion.tokenization import ByteLevelBPE, Tokenizer, Unigram, WordPiece, load
from companion.tokenization.unigram import UNKNOWN
from companion.tokenization.wordpiece import BERT_SPECIAL_TOKENS

VERSION = 1  # raised when the same texts and settings give another tokenizer


def learn_tokenizer(
    names: str | Iterable[str],
    kind: str,
    *,
    folder: str | os.PathLike[str],
    vocab_size: int,
    end: str | None = None,
    **choice: Any,
) -> tuple[Tokenizer, Path]:
    """Load a tokenizer, or learn one from the training part of a corpus, or load the one that was learned from it.

    Parameters
    ----------
    names, folder, choice
        As in `choose_texts`.
    kind
        ``"bpe"``, ``"wordpiece"`` or ``"unigram"``, or the path of a ``tokenizer.json``.
    vocab_size
        How many tokens to learn.
    end
        A special token that it must have.

    Returns
    -------
    tokenizer, path
        The tokenizer and the file that holds it.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError, DataError
        As by `choose_texts`; and if there is no such tokenizer or it has no such token.
    """
    if kind in _LEARNED:
        tokenizer, path = _learned(names, kind, vocab_size, end, folder=folder, **choice)
    else:
        path = Path(kind)
        if not path.exists():
            raise ValueError(f"tokenizer must be a file or one of {', '.join(_LEARNED)}, got {kind!r}")
        tokenizer = load(path)
    if end is not None and end not in tokenizer.special_tokens:
        raise ValueError(
            f"end must be a special token of the tokenizer, got {end!r}; it has {[*tokenizer.special_tokens]}"
        )
    return tokenizer, path


def _learned(
    names: str | Iterable[str], kind: str, vocab_size: int, end: str | None, **choice: Any
) -> tuple[Tokenizer, Path]:
    train, default = _LEARNED[kind]
    special = [*default, *([end] if end is not None and end not in default else [])]
    texts = choose_texts(names, **choice).train
    name = digest(json.dumps([VERSION, kind, vocab_size, special]).encode(), *(text.encode() for text in texts))
    path = Path(choice["folder"]).absolute() / f"tokenizer-{name}.json"
    if not path.exists():
        tokenizer = train(texts, vocab_size, special_tokens=special, progress=True)
        with explained(path.parent):
            tokenizer.save(path)
    return load(path), path


# How each kind is learned, and its special tokens.
_LEARNED: dict[str, tuple[Callable[..., Tokenizer], Sequence[str]]] = {
    "bpe": (ByteLevelBPE.train, ()),
    "wordpiece": (WordPiece.train, BERT_SPECIAL_TOKENS),
    "unigram": (Unigram.train, (UNKNOWN,)),
}
