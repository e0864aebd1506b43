"""From names of texts to a tokenizer and two tokenised corpora, made once and kept."""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from companion._optional import optional_import
from companion.data.cache import cache_dir
from companion.data.corpus import Shards, choose_texts
from companion.data.corpus.sentences import split_sentences
from companion.pretraining.presets import Preset, TokenizerKind, Words
from companion.tokenization import BertText, ByteLevelBPE, Tokenizer, Unigram, WordPiece, load
from companion.tokenization.bert_text import is_chinese

VERSION = 1  # raised when the same preset gives another corpus
SEED = 0  # of the split: what is held out must not depend on the seed of a run
HELD_OUT = 0.05
END = "<|endoftext|>"
SENTINELS = tuple(f"<extra_id_{i}>" for i in range(32))
# Two flags ride along with each token of a corpus for BERT, so that one file holds all that its objectives ask for.
WORD, SENTENCE = 1, 2
FLAGS = 4


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What a preset is trained on.

    Parameters
    ----------
    tokenizer
        Learned from the training texts.
    train, validation
        The tokenised documents. For the objective ``"masked"`` each number is FLAGS times the token, plus WORD where a
        word begins and SENTENCE where a sentence does.
    facts
        Characters, bytes and documents of both parts, and the fingerprint of all.
    report
        What was dropped on the way, and why.
    """

    tokenizer: Tokenizer
    train: Shards
    validation: Shards
    facts: dict[str, Any]
    report: str


def prepare_texts(preset: Preset, *, folder: str | os.PathLike[str] | None = None, progress: bool = True) -> Texts:
    """Clean, deduplicate and split a preset's texts, learn its tokenizer, and tokenise them.

    Parameters
    ----------
    preset
        Whose texts.
    folder
        Where corpora are kept; a folder of the cache by default.
    progress
        Whether to show progress on standard error.

    Raises
    ------
    FileNotFoundError
        If a text has not been fetched; the message says how.
    ValueError, DataError
        If a name is unknown, or the files cannot be written.
    """
    home = Path(folder) if folder is not None else cache_dir() / "corpora"
    chosen = choose_texts(preset.data, folder=home, validation=HELD_OUT, seed=SEED, progress=progress)
    settings = [VERSION, preset.objective, preset.tokenizer, preset.words, preset.model.vocab_size]
    key = hashlib.sha256(json.dumps([settings, chosen.train, chosen.validation]).encode())
    place = home / f"{'-'.join(preset.data)[:60]}-{key.hexdigest()[:16]}"
    with FileLock(home / f".{place.name}.lock"):
        if not (place / "facts.json").exists():
            _build(preset, chosen.train, chosen.validation, place, progress)
    facts = json.loads((place / "facts.json").read_text("utf-8"))
    return Texts(
        tokenizer=load(place / "tokenizer.json"),
        train=Shards.open(place / "train"),
        validation=Shards.open(place / "validation"),
        facts=facts,
        report=chosen.report,
    )


def _build(preset: Preset, train: list[str], validation: list[str], place: Path, progress: bool) -> None:
    tokenizer = train_tokenizer(preset.tokenizer, train, preset.model.vocab_size)
    place.mkdir(parents=True, exist_ok=True)
    tokenizer.save(place / "tokenizer.json")
    facts: dict[str, Any] = {}
    ends = ends_of(preset, tokenizer)
    for name, texts in (("train", train), ("validation", validation)):
        encode, size = encoder_of(preset, tokenizer)
        shards = Shards.build(
            texts,
            encode,
            place / name,
            begin=ends[0],
            end=ends[1],
            vocab_size=size,
            fingerprint=place.name,
            progress=progress,
        )
        facts[name] = {
            "documents": len(texts),
            "characters": sum(map(len, texts)),
            "bytes": sum(len(text.encode()) for text in texts),
            "tokens": shards.n_tokens,
        }
    facts["fingerprint"] = place.name
    # Last, and at once: its presence says that the rest is whole.
    with tempfile.NamedTemporaryFile("w", dir=place, delete=False, encoding="utf-8") as file:
        file.write(json.dumps(facts, indent=1))
    Path(file.name).chmod(0o644)
    Path(file.name).replace(place / "facts.json")


def train_tokenizer(kind: TokenizerKind, texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """Learn a tokenizer of one of three kinds, with the special tokens of the model that it is for."""
    if kind == "bpe":
        return ByteLevelBPE.train(texts, vocab_size, special_tokens=[END])
    if kind == "wordpiece":
        return WordPiece.train(texts, vocab_size, score="count", text=BertText())
    # T5 begins to write with its padding, which is its token 0.
    return Unigram.train(texts, vocab_size, special_tokens=["<pad>", "</s>", "<unk>", *SENTINELS], form="NFKC")


def ends_of(preset: Preset, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the tokens before and after each document: GPT begins and ends at the same, T5 ends, BERT joins later."""
    if preset.objective == "causal":
        return [tokenizer.vocab[END]], [tokenizer.vocab[END]]
    return [], [tokenizer.vocab["</s>"]] if preset.objective == "spans" else []


def encoder_of(preset: Preset, tokenizer: Tokenizer) -> tuple[Any, int]:
    """Return the function from a text to the numbers that its corpus holds, and how many different ones there are."""
    if preset.objective != "masked":
        return tokenizer, tokenizer.vocab_size
    return partial(encode_flagged, tokenizer=tokenizer, words=preset.words), FLAGS * tokenizer.vocab_size


def encode_flagged(text: str, *, tokenizer: Tokenizer, words: Words) -> list[int]:
    """Encode a text sentence by sentence, with a flag where a word and where a sentence begins."""
    flagged: list[int] = []
    for sentence in split_sentences(text):
        ids = tokenizer.encode(sentence)
        starts = word_starts([tokenizer.id_to_token[index] for index in ids], words)
        codes = [FLAGS * index + WORD * start for index, start in zip(ids, starts, strict=True)]
        if codes:
            codes[0] |= SENTENCE
        flagged += codes
    return flagged


def word_starts(pieces: Sequence[str], words: Words) -> list[bool]:
    """Say of each piece of WordPiece whether a word begins with it."""
    if words == "pieces":
        return [True] * len(pieces)
    starts = [not piece.startswith("##") for piece in pieces]
    if words == "jieba":
        for first, last in _chinese_runs(pieces):
            for index in range(first, last):
                starts[index] = False
            at = first
            for word in _cut_chinese("".join(pieces[first:last])):
                starts[at] = True
                at += len(word)
    return starts


def _chinese_runs(pieces: Sequence[str]) -> list[tuple[int, int]]:
    """Find the stretches of single Chinese characters: WordPiece never joins two of them."""
    flags = [len(piece) == 1 and is_chinese(piece) for piece in pieces]
    edges = np.flatnonzero(np.diff([0, *flags, 0]))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _cut_chinese(text: str) -> list[str]:
    jieba = optional_import("jieba", extra="labs", purpose="to hide whole Chinese words")
    jieba.setLogLevel("WARNING")
    return jieba.lcut(text)


def bits_per_byte(nats_per_token: float, tokens: int, n_bytes: int) -> float:
    """Turn a mean loss into bits per byte of the text, which does not depend on the tokenizer."""
    return nats_per_token / math.log(2) * tokens / n_bytes
