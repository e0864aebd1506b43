"""WordPiece, the tokenizer of BERT: words cut into the longest known pieces, from the left."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from companion._validation import describe, require_count, requires
from companion.tokenization.base import Tokenizer, require_text
from companion.tokenization.bert_text import BertText
from companion.tokenization.bpe_json import special_tokens_from_json
from companion.tokenization.memo import Memo
from companion.tokenization.wordpiece_training import Score, check_training, learn_pieces

UNKNOWN = "[UNK]"
BERT_SPECIAL_TOKENS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")

# What BERT's decoder closes up, in this order.
_CLOSED_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def _check_pieces(
    self: "WordPiece",
    vocab: Any,
    *,
    unk_token: Any = UNKNOWN,
    prefix: Any = "##",
    max_word_length: Any = 100,
    **_: Any,
) -> None:
    if not isinstance(vocab, Mapping):
        raise TypeError(f"vocab must map tokens to ids, got {describe(vocab)}")
    require_text("unk_token", unk_token)
    require_text("prefix", prefix)
    require_count("max_word_length", max_word_length)
    if unk_token not in vocab:
        raise ValueError(f"unk_token must be in vocab, which holds {len(vocab)} tokens, got {unk_token!r}")


class WordPiece(Tokenizer):
    """Cut each word into pieces, always the longest that fits, from the left; or give up and say "unknown".

    Parameters
    ----------
    vocab
        The id of every piece. A piece that does not begin a word is written with ``prefix`` before it.
    special_tokens
        The tokens that text cannot produce; by default those of BERT's that the vocabulary has.
    unk_token
        What stands for a word that cannot be cut into pieces.
    prefix
        What marks a piece that does not begin a word.
    max_word_length
        A longer word, in characters, is unknown.
    text
        How a text becomes words.
    close_up
        Whether `decode` removes the space before a full stop, a comma and the like.

    Raises
    ------
    TypeError, ValueError
        If ``unk_token`` is not in the vocabulary, or an argument is of the wrong type.

    References
    ----------
    Schuster and Nakajima 2012, "Japanese and Korean voice search"; Devlin et al. 2019, "BERT". Ids are those of
    ``BertTokenizer`` in transformers and of ``WordPiece`` in ``tokenizers``.
    """

    @requires(_check_pieces)
    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        special_tokens: Iterable[str] | None = None,
        unk_token: str = UNKNOWN,
        prefix: str = "##",
        max_word_length: int = 100,
        text: BertText | None = None,
        close_up: bool = True,
    ):
        names = {unk_token, *BERT_SPECIAL_TOKENS} & set(vocab) if special_tokens is None else set(special_tokens)
        super().__init__(vocab, {name: vocab.get(name, -1) for name in names})
        self.unk_token = unk_token
        self.prefix = prefix
        self.max_word_length = max_word_length
        self.text = text or BertText()
        self.close_up = close_up
        ordinary = {piece: index for piece, index in self.vocab.items() if piece not in names}
        self._first = ordinary
        self._later = {
            piece.removeprefix(prefix): index
            for piece, index in ordinary.items()
            if piece.startswith(prefix) and piece != prefix
        }
        self._longest = max(map(len, ordinary), default=0)
        self._ids_of_word = Memo(self._encode_word)
        self._ids_of_chunk = Memo(self._encode_chunk, max_key_length=32)

    @classmethod
    def from_vocab_file(cls, path: str | os.PathLike[str], *, text: BertText | None = None) -> "WordPiece":
        """Read BERT's ``vocab.txt``: one token a line, the first has id 0."""
        # Not splitlines: it would also cut at characters that are tokens, such as U+2028.
        tokens = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        return cls({token: index for index, token in enumerate(tokens)}, text=text)

    @classmethod
    @requires(lambda cls, texts, vocab_size, **options: check_training(texts, vocab_size, **options))
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        score: Score = "likelihood",
        min_count: int = 2,
        special_tokens: Iterable[str] = BERT_SPECIAL_TOKENS,
        text: BertText | None = None,
        progress: bool = False,
    ) -> "WordPiece":
        """Learn a vocabulary: begin with letters and join the best pair of neighbours until there are enough pieces.

        Google never published the program that made BERT's vocabulary; three scores stand for what is known or used.

        Parameters
        ----------
        texts
            What to learn from.
        vocab_size
            How many tokens to learn at most, with the special tokens; fewer when the pairs run out.
        score
            ``"likelihood"``: the gain in log-likelihood of the text, if each piece is drawn by itself with the
            probability of its frequency. This is the criterion of Schuster and Nakajima.
            ``"ratio"``: count(ab) / (count(a) count(b)), the formula found in most descriptions. It asks how much more
            often the pair occurs than chance would have it and forgets how often that is, so rare pairs come first.
            ``"count"``: count(ab), which is BPE; it is what ``WordPieceTrainer`` in ``tokenizers`` does.
        min_count
            Join no pair that occurs less often.
        special_tokens
            The first tokens; ``"[UNK]"`` must be one of them.
        text
            How a text becomes words.
        progress
            Show a progress bar.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, or ``vocab_size`` is too small for the letters of the texts.
        """
        text = text or BertText()
        special = list(dict.fromkeys(special_tokens))
        chunks: Counter[str] = Counter()
        for one in texts:
            require_text("texts", one)
            chunks.update(text.chunks(one))
        words: Counter[str] = Counter()
        for chunk, count in chunks.items():
            for word in text.words(chunk):
                words[word] += count
        pieces = learn_pieces(
            words, vocab_size - len(special), score=score, min_count=min_count, prefix="##", progress=progress
        )
        vocab = {token: index for index, token in enumerate(dict.fromkeys([*special, *pieces]))}
        return cls(vocab, special_tokens=special, text=text)

    def _encode_text(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._ids_of_chunk.__getitem__, self.text.chunks(text))))

    def _encode_chunk(self, chunk: str) -> list[int]:
        return list(chain.from_iterable(map(self._ids_of_word.__getitem__, self.text.words(chunk))))

    def _encode_word(self, word: str) -> list[int]:
        unknown = [self.vocab[self.unk_token]]
        if len(word) > self.max_word_length:
            return unknown
        ids: list[int] = []
        start, pieces = 0, self._first
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                if (index := pieces.get(word[start:end])) is not None:
                    break
            else:
                return unknown
            ids.append(index)
            start, pieces = end, self._later
        return ids

    def _safe_cut(self, text: str) -> int:
        return self.text.safe_cut(text)

    def _decode_ids(self, ids: list[int]) -> str:
        words = []
        for position, index in enumerate(ids):
            token = self.id_to_token[index]
            if position:
                token = token[len(self.prefix) :] if token.startswith(self.prefix) else f" {token}"
            if self.close_up:
                for apart, together in _CLOSED_UP:
                    token = token.replace(apart, together)
            words.append(token)
        return "".join(words)

    def to_json(self) -> dict[str, Any]:
        """Return what `tokenizers` needs to do the same, BERT's ``[CLS] text [SEP]`` included."""
        return {
            **self.text.to_json(),
            "post_processor": _template(self.special_tokens),
            "decoder": {"type": "WordPiece", "prefix": self.prefix, "cleanup": self.close_up},
            "model": {
                "type": "WordPiece",
                "unk_token": self.unk_token,
                "continuing_subword_prefix": self.prefix,
                "max_input_chars_per_word": self.max_word_length,
                "vocab": self.vocab,
            },
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "WordPiece":
        """Read the content of a ``tokenizer.json`` with a WordPiece model and BERT's way with text.

        Raises
        ------
        ValueError
            If it does anything that this class does not.
        """
        model, decoder = content["model"], content.get("decoder") or {}
        special = special_tokens_from_json(content.get("added_tokens") or [])
        return cls(
            model["vocab"] | special,
            special_tokens={*special, model["unk_token"]},
            unk_token=model["unk_token"],
            prefix=model["continuing_subword_prefix"],
            max_word_length=model["max_input_chars_per_word"],
            text=BertText.from_json(content),
            close_up=decoder.get("cleanup", True),
        )


def _template(special_tokens: Mapping[str, int]) -> dict[str, Any] | None:
    if not {"[CLS]", "[SEP]"} <= special_tokens.keys():
        return None

    def sequence(name: str, segment: int) -> list[dict[str, Any]]:
        return [{"Sequence": {"id": name, "type_id": segment}}, {"SpecialToken": {"id": "[SEP]", "type_id": segment}}]

    first = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, *sequence("A", 0)]
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": first + sequence("B", 1),
        "special_tokens": {
            name: {"id": name, "ids": [special_tokens[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
        },
    }
