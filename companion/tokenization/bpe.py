"""Byte-level byte-pair encoding: GPT-2's way to turn any text into tokens, none of them unknown."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

from rich.progress import track

from companion._validation import describe, require_count, requires
from companion.tokenization.base import Tokenizer, require_text, require_texts
from companion.tokenization.bpe_json import (
    BYTE_LEVEL,
    merges_from_json,
    pattern_from_json,
    pattern_to_json,
    require_plain_model,
    special_tokens_from_json,
)
from companion.tokenization.bpe_training import count_words, learn_merges
from companion.tokenization.bytes_unicode import BYTE_TO_CHAR, bytes_to_chars, chars_to_bytes
from companion.tokenization.memo import Memo
from companion.tokenization.merging import MergeTable, pack, unpack
from companion.tokenization.pretokenize import GPT2_PATTERN, Pretokenizer, blocks
from companion.tokenization.ranks import read_ranks, recover_merges
from companion.tokenization.word_table import WordEncoder

_FEW = 3_000  # characters: for fewer, arrays are slower than one word after the other


class MergeStep(NamedTuple):
    """A word after one more merge: the rank of the merge (None before the first), the pair, and the tokens."""

    rank: int | None
    pair: tuple[str, str] | None
    tokens: list[str]


def _check_vocabulary(
    self: Any, vocab: Mapping[str, int], merges: Iterable[tuple[str, str]], *, special_tokens: Any = None, **_: Any
) -> None:
    if lacking := [char for char in BYTE_TO_CHAR.values() if char not in vocab]:
        raise ValueError(
            f"vocab must hold the characters of all 256 bytes, so that no text is unknown; it lacks {len(lacking)} "
            f"of them, such as {lacking[0]!r}"
        )
    for left, right in merges:
        if absent := [token for token in (left, right, left + right) if token not in vocab]:
            raise ValueError(f"merges must join two tokens of vocab into a third: ({left!r}, {right!r}) needs {absent}")
    ordinary = {*BYTE_TO_CHAR.values(), *(left + right for left, right in merges)}
    if forged := sorted(ordinary.intersection(special_tokens or ())):
        raise ValueError(f"special_tokens must not be what ordinary text is encoded as, got {forged}")


def _check_train(
    cls: Any,
    texts: Any,
    vocab_size: Any,
    *,
    special_tokens: Any = (),
    min_frequency: Any = 1,
    **_: Any,
) -> None:
    require_texts("texts", texts)
    require_count("min_frequency", min_frequency)
    if isinstance(special_tokens, str) or not isinstance(special_tokens, Collection):
        raise TypeError(f"special_tokens must be a sequence of strings, got {describe(special_tokens)}")
    if len(set(special_tokens)) < len(special_tokens):
        raise ValueError(f"special_tokens must differ from each other, got {list(special_tokens)}")
    require_count("vocab_size", vocab_size, minimum=len(BYTE_TO_CHAR) + len(special_tokens))


def _check_word(self: "ByteLevelBPE", word: Any) -> None:
    require_text("word", word)
    if len(words := self.pretokenizer.words(word)) != 1:
        raise ValueError(f"word must be one word, since no merge crosses two, got {len(words)}: {words}")


class ByteLevelBPE(Tokenizer):
    """Start from the bytes of each word and merge pairs of tokens, in the order in which they were learned.

    Whatever text there is has bytes, so nothing is unknown and decoding gives the text back. Merges and vocabulary are
    written in printable characters, one a byte, as by `bytes_to_chars`.

    Parameters
    ----------
    vocab
        The id of every token; the 256 bytes are among them.
    merges
        Pairs of tokens, the first learned first; the two joined are a token too.
    pattern
        What cuts text into words, as for `Pretokenizer`.
    special_tokens
        The id of every special token. No text is encoded as one, unless the caller allows it.
    ignore_merges
        Encode a word that is a token as this token, even if the merges do not lead there. Trained merges always do.

    Attributes
    ----------
    merges : list of tuple
        As given.

    Raises
    ------
    ValueError
        If a byte is missing, a merge leads out of the vocabulary, or ordinary text could become a special token.

    References
    ----------
    Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016; on bytes: Radford
    et al., "Language models are unsupervised multitask learners", 2019, section 2.2.
    """

    @requires(_check_vocabulary)
    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        pattern: str = GPT2_PATTERN,
        special_tokens: Mapping[str, int] | None = None,
        ignore_merges: bool = False,
    ):
        special_tokens = special_tokens or {}
        super().__init__({**vocab, **special_tokens}, special_tokens)
        self.merges = list(merges)
        self.pretokenizer = Pretokenizer(pattern)
        self.ignore_merges = ignore_merges
        self._table = MergeTable(
            [vocab[BYTE_TO_CHAR[byte]] for byte in range(256)],
            [(vocab[left], vocab[right], vocab[left + right]) for left, right in merges],
        )
        self._bytes = {
            index: token.encode() if token in special_tokens else chars_to_bytes(token)
            for token, index in self.vocab.items()
        }
        special_ids = set(special_tokens.values())
        self._whole = {data: pack([index]) for index, data in self._bytes.items() if index not in special_ids}
        self._many_words = WordEncoder(self._encode_words)
        self._word_by_word = Memo(self._encode_word)

    @classmethod
    @requires(_check_train)
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        pattern: str = GPT2_PATTERN,
        special_tokens: Sequence[str] = (),
        min_frequency: int = 1,
        progress: bool = False,
    ) -> "ByteLevelBPE":
        """Learn merges from texts.

        The ids are those of the 256 bytes in GPT-2's order, of the merges as learned, and of the special tokens. The
        merges are those of the trainer of ``tokenizers``: the most frequent pair first, of equally frequent pairs the
        one with the smaller left id, then with the smaller right id.

        Parameters
        ----------
        texts
            Any number of texts, read once. No word crosses two of them.
        vocab_size
            How many tokens to have at most. There are fewer when no pair is left that is frequent enough.
        pattern
            What cuts text into words, as for `Pretokenizer`.
        special_tokens
            Names of special tokens; they count as tokens.
        min_frequency
            How often a pair must occur to be merged.
        progress
            Show a progress bar.

        Raises
        ------
        TypeError, ValueError
            If the size does not even hold bytes and special tokens, or the texts are not an iterable of strings.
        """
        counts = count_words(track(texts, "counting words", disable=not progress), Pretokenizer(pattern))
        words = {word.encode(): count for word, count in counts.items()}
        byte_ids = {byte: index for index, byte in enumerate(BYTE_TO_CHAR)}
        tokens = list(BYTE_TO_CHAR.values())
        merges = []
        total = vocab_size - len(tokens) - len(special_tokens)
        learned = islice(learn_merges(words, byte_ids, min_frequency), total)
        for left, right, _ in track(learned, "learning merges", total=total, disable=not progress):
            merges.append((tokens[left], tokens[right]))
            tokens.append(tokens[left] + tokens[right])
        return cls(
            {token: index for index, token in enumerate(tokens)},
            merges,
            pattern=pattern,
            special_tokens={name: len(tokens) + i for i, name in enumerate(special_tokens)},
        )

    @classmethod
    def from_tiktoken(
        cls,
        path: str | os.PathLike[str],
        *,
        pattern: str = GPT2_PATTERN,
        special_tokens: Mapping[str, int] | None = None,
    ) -> "ByteLevelBPE":
        """Read the ranks that tiktoken stores; the ids are its ids.

        Parameters
        ----------
        path
            A ``.tiktoken`` file.
        pattern, special_tokens
            As for the class; the file does not hold them.

        Raises
        ------
        ValueError
            If the file is not such a file, or its ranks do not come from merges.
        """
        ranks = read_ranks(path)
        merges = [(bytes_to_chars(left), bytes_to_chars(right)) for left, right in recover_merges(ranks)]
        vocab = {bytes_to_chars(token): rank for token, rank in ranks.items()}
        return cls(vocab, merges, pattern=pattern, special_tokens=special_tokens)

    def _encode_text(self, text: str) -> list[int]:
        return self._encode_texts([text])[0]

    def _encode_texts(self, texts: list[str]) -> list[list[int]]:
        if sum(map(len, texts)) < _FEW:
            words = map(self.pretokenizer.words, texts)
            return [unpack(b"".join(map(self._word_by_word.__getitem__, row))) for row in words]
        encoded: list[list[int]] = []
        for block in blocks(texts):
            encoded += self._encode_block(block) if len(block) > 1 else [self._encode_parts(block[0])]
        return encoded

    def _encode_parts(self, text: str) -> list[int]:
        ids: list[int] = []
        for part in self.pretokenizer.parts(text):
            ids += self._encode_block([part])[0]
        return ids

    def _encode_block(self, texts: list[str]) -> list[list[int]]:
        words = self.pretokenizer.cut(texts)
        ids, totals = self._many_words.encode(words)
        of_all, ends = ids.tolist(), totals[words.totals].tolist()
        return [of_all[start:end] for start, end in pairwise([0, *ends])]

    def _encode_word(self, word: str) -> bytes:
        return self._encode_words([word.encode()])[0]

    def _encode_words(self, words: list[bytes]) -> list[bytes]:
        ids = self._table.apply_to_all(words)
        if self.ignore_merges:
            return [self._whole.get(word, merged) for word, merged in zip(words, ids, strict=True)]
        return ids

    def _safe_cut(self, text: str) -> int:
        return self.pretokenizer.safe_cut(text)

    @requires(_check_word)
    def encode_steps(self, word: str) -> list[MergeStep]:
        """Watch one word being merged: its bytes first, then the tokens after each merge.

        Raises
        ------
        TypeError, ValueError
            If ``word`` is not one word, such as ``" hello"``.
        """
        data = word.encode()
        steps = [MergeStep(None, None, [BYTE_TO_CHAR[byte] for byte in data])]
        for rank, merged in self._table.steps(data):
            steps.append(MergeStep(rank, self.merges[rank], [self.id_to_token[index] for index in merged]))
        return steps

    def token_bytes(self, index: int) -> bytes:
        """Return the bytes that an id stands for; they need not be whole characters."""
        return self._bytes[index]

    def _decode_ids(self, ids: list[int]) -> str:
        return b"".join(map(self._bytes.__getitem__, ids)).decode(errors="replace")

    def to_json(self) -> dict[str, Any]:
        """Return the parts of a ``tokenizer.json`` that are this class's own."""
        return {
            "normalizer": None,
            "pre_tokenizer": pattern_to_json(self.pretokenizer.pattern),
            "post_processor": None,
            "decoder": BYTE_LEVEL,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": self.ignore_merges,
                "vocab": self.vocab,
                "merges": [list(pair) for pair in self.merges],
            },
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ByteLevelBPE":
        """Read the content of a ``tokenizer.json`` with a byte-level BPE model.

        Raises
        ------
        ValueError
            If it does anything that this class does not.
        """
        require_plain_model(content)
        model = content["model"]
        special = special_tokens_from_json(content.get("added_tokens") or [])
        return cls(
            model["vocab"],
            merges_from_json(model["merges"]),
            pattern=pattern_from_json(content.get("pre_tokenizer")),
            special_tokens=special,
            ignore_merges=bool(model.get("ignore_merges", False)),
        )
