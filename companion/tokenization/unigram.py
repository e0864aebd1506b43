"""Unigram: pieces with probabilities, and the most probable way to cut a word into them, or a random one."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import chain
from typing import Any, get_args

import numpy as np

from companion._validation import describe, require_count, require_finite, requires
from companion.tokenization.base import Tokenizer, require_text
from companion.tokenization.bpe_json import special_tokens_from_json
from companion.tokenization.memo import Memo
from companion.tokenization.unigram_json import SPACE, Form, form_from_json, prefix_from_json
from companion.tokenization.unigram_training import check_training, learn_pieces, split_at_rare

UNKNOWN_PENALTY = 10.0  # an unknown character scores this much less than the worst piece
UNKNOWN = "<unk>"
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))


def _check_pieces(
    self: "Unigram",
    pieces: Any,
    *,
    unk_token: Any = UNKNOWN,
    byte_fallback: Any = False,
    form: Any = None,
    **_: Any,
) -> None:
    if not isinstance(pieces, Sequence) or isinstance(pieces, str):
        raise TypeError(f"pieces must be a list of pieces with their scores, got {describe(pieces)}")
    for piece, score in pieces:
        require_text("pieces", piece)
        require_finite(f"the score of {piece!r} in pieces", score)
    names = [piece for piece, _ in pieces]
    if len(set(names)) < len(names):
        raise ValueError(f"pieces must not hold {Counter(names).most_common(1)[0][0]!r} twice")
    if unk_token is not None and unk_token not in names:
        raise ValueError(f"unk_token must be None or one of the {len(names)} pieces, got {unk_token!r}")
    if byte_fallback and not set(BYTE_TOKENS) <= set(names):
        raise ValueError("pieces must hold all of <0x00> to <0xFF> for byte_fallback")
    if form is not None and form not in get_args(Form):
        raise ValueError(f"form must be None or one of {', '.join(get_args(Form))}, got {describe(form)}")


def _check_sample(self: "Unigram", text: Any, *, rng: Any, temperature: Any = 1.0) -> None:
    require_text("text", text)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {describe(rng)}; write numpy.random.default_rng(0)")
    require_finite("temperature", temperature)
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}; for the most probable pieces use encode()")


def _check_n_best(self: "Unigram", text: Any, n: Any) -> None:
    require_text("text", text)
    require_count("n", n)


class Unigram(Tokenizer):
    """Cut each word into the pieces whose probabilities have the largest product.

    Spaces become ``▁`` at the beginning of the word that follows; one is put before the text, so that its first word
    looks like any other. `decode` undoes this: a text comes back as it was, unless it began with a space, held ``▁``
    or characters that have no piece, or was changed by ``form``.

    Parameters
    ----------
    pieces
        Every piece with its score, the natural logarithm of its probability; the first one has id 0.
    special_tokens
        The pieces that text cannot produce; ``unk_token`` is always one of them.
    unk_token
        What stands for characters that have no piece. A run of them becomes one token. Without it they are an error.
    byte_fallback
        Spell what is unknown in bytes, for which there are pieces ``<0x00>`` to ``<0xFF>``.
    form
        The Unicode normal form to bring the text to first, or None.
    prefix_space
        Whether to put a space before the text.

    Raises
    ------
    TypeError, ValueError
        If a piece comes twice or its score is not finite, or ``unk_token`` or the pieces for bytes are missing.

    References
    ----------
    Kudo 2018, "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword Candidates".
    Ids are those of ``Unigram`` with ``Metaspace`` in ``tokenizers``, except that a text cannot spell out
    ``<unk>``, ``<0x00>`` or another special token.
    """

    @requires(_check_pieces)
    def __init__(
        self,
        pieces: Sequence[tuple[str, float]],
        *,
        special_tokens: Iterable[str] = (),
        unk_token: str | None = UNKNOWN,
        byte_fallback: bool = False,
        form: Form | None = None,
        prefix_space: bool = True,
    ):
        vocab = {piece: index for index, (piece, _) in enumerate(pieces)}
        special = {*special_tokens} | ({unk_token} if unk_token is not None else set())
        super().__init__(vocab, {name: vocab.get(name, -1) for name in special})
        self.pieces = [(piece, float(score)) for piece, score in pieces]
        self.unk_token = unk_token
        self.byte_fallback = byte_fallback
        self.form: Form | None = form
        self.prefix_space = prefix_space
        hidden = special | (set(BYTE_TOKENS) if byte_fallback else set())
        self._ids = {piece: index for piece, index in vocab.items() if piece not in hidden}
        # Beginnings of pieces are there with the score None: a search that leaves this dictionary can stop.
        self._scores: dict[str, float | None] = {}
        for piece, score in self.pieces:
            if piece in self._ids:
                self._scores.update({piece[:end]: None for end in range(1, len(piece)) if piece[:end] not in self._ids})
                self._scores[piece] = score
        self._unknown_score = min((score for _, score in self.pieces), default=0.0) - UNKNOWN_PENALTY
        self._ids_of_word = Memo(self._encode_word)

    @classmethod
    @requires(lambda cls, texts, vocab_size, **options: check_training(texts, vocab_size, **options))
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = (UNKNOWN,),
        unk_token: str = UNKNOWN,
        byte_fallback: bool = False,
        form: Form | None = None,
        max_piece_length: int = 16,
        seed_size: int | None = None,
        n_em_steps: int = 2,
        kept_share: float = 0.75,
        character_coverage: float = 1.0,
        progress: bool = False,
    ) -> "Unigram":
        """Learn pieces and their probabilities from texts.

        Begin with the substrings that cover most of the text; fit their probabilities by EM; drop those without which
        the text loses least likelihood; repeat until ``vocab_size`` is reached.

        Parameters
        ----------
        texts
            What to learn from.
        vocab_size
            How many pieces to learn at most, with special tokens and bytes; fewer when the texts have no more.
        special_tokens
            The first pieces.
        unk_token
            What stands for characters that have no piece; added to the special tokens if need be.
        byte_fallback
            Add pieces for the 256 bytes.
        form
            The Unicode normal form to bring texts to first, or None.
        max_piece_length
            In characters.
        seed_size
            How many pieces to begin with; by default ten times as many as are wanted in the end.
        n_em_steps
            Steps of EM between two cuts.
        kept_share
            The share of pieces that survives a cut.
        character_coverage
            Leave out the rarest characters as long as the others make up this share of the text.
        progress
            Show a progress bar.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, or ``vocab_size`` is too small for the characters of the texts.
        """
        special = list(dict.fromkeys([*special_tokens, unk_token]))
        first = [(token, 0.0) for token in (*special, *(BYTE_TOKENS if byte_fallback else ()))]

        def with_pieces(pieces: list[tuple[str, float]]) -> "Unigram":
            return cls(pieces, special_tokens=special, unk_token=unk_token, byte_fallback=byte_fallback, form=form)

        cutter = with_pieces(first)
        words: Counter[str] = Counter()
        for text in texts:
            require_text("texts", text)
            words.update(cutter._words(text))
        learned = learn_pieces(
            split_at_rare(words, character_coverage),
            vocab_size - len(first),
            max_piece_length=max_piece_length,
            seed_size=seed_size or 10 * vocab_size,
            n_em_steps=n_em_steps,
            kept_share=kept_share,
            progress=progress,
        )
        return with_pieces(first + learned)

    def _words(self, text: str) -> list[str]:
        if self.form:
            text = unicodedata.normalize(self.form, text)
        text = text.replace(" ", SPACE)
        if self.prefix_space and text and not text.startswith(SPACE):
            text = SPACE + text
        return re.findall(f"{SPACE}[^{SPACE}]*|[^{SPACE}]+", text)

    def _encode_text(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._ids_of_word.__getitem__, self._words(text))))

    def _encode_word(self, word: str) -> list[int]:
        """Viterbi: the best way to reach each position, from the left."""
        scores, length = self._scores, len(word)
        best, came_from = [-math.inf] * (length + 1), [0] * (length + 1)
        best[0] = 0.0
        for start in range(length):
            reached = best[start]
            if scores.get(word[start]) is None and reached + self._unknown_score > best[start + 1]:
                best[start + 1], came_from[start + 1] = reached + self._unknown_score, start
            for end in range(start + 1, length + 1):
                score = scores.get(word[start:end], False)
                if score is False:
                    break
                if score is not None and reached + score > best[end]:
                    best[end], came_from[end] = reached + score, start
        cuts = [length]
        while cuts[-1]:
            cuts.append(came_from[cuts[-1]])
        return self._ids_of_cuts(word, cuts)

    def _ids_of_cuts(self, word: str, cuts: list[int]) -> list[int]:
        """Look up the pieces between the positions of ``cuts``, last to first; a run of unknown ones is one piece."""
        ids: list[int] = []
        unknown = ""
        for end, start in zip(cuts[-2::-1], cuts[:0:-1], strict=True):
            piece = word[start:end]
            if piece not in self._ids:
                unknown += piece
                continue
            ids += self._ids_of_unknown(unknown)
            ids.append(self._ids[piece])
            unknown = ""
        return ids + self._ids_of_unknown(unknown)

    def _ids_of_unknown(self, text: str) -> list[int]:
        if not text:
            return []
        if text in self._ids:  # the run happens to be a piece too improbable to have been chosen, as in `tokenizers`
            return [self._ids[text]]
        if self.byte_fallback:
            return [self.vocab[BYTE_TOKENS[byte]] for byte in text.encode()]
        if self.unk_token is None:
            raise ValueError(f"text must be made of this vocabulary's characters, got {text!r}; give an unk_token")
        return [self.vocab[self.unk_token]]

    def _ways(self, word: str) -> Iterator[list[tuple[int, float]]]:
        """For each position but the first: from where a piece leads to it, and the score of the piece."""
        for end in range(1, len(word) + 1):
            ways = [(start, self._scores.get(word[start:end])) for start in range(end)]
            known = [(start, score) for start, score in ways if score is not None]
            if self._scores.get(word[end - 1]) is None:
                known.append((end - 1, self._unknown_score))
            yield known

    @requires(lambda self, text: require_text("text", text))
    def log_probability(self, text: str) -> float:
        """Return the logarithm of the probability of a text, summed over all ways to cut its words into pieces."""
        return sum(_forward(list(self._ways(word)))[-1] for word in self._words(text))

    @requires(_check_sample)
    def sample(self, text: str, *, rng: np.random.Generator, temperature: float = 1.0) -> list[int]:
        """Cut a text at random: each way with its probability, by filtering forward and sampling backward.

        Parameters
        ----------
        text
            Any text.
        rng
            Where the randomness comes from.
        temperature
            Probabilities are raised to the power of ``1 / temperature``: the most probable way only near 0, all ways
            alike when it is large.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, or the temperature is not above 0.
        """
        ids: list[int] = []
        for word in self._words(text):
            ways = [[(start, score / temperature) for start, score in into] for into in self._ways(word)]
            reached = _forward(ways)
            cuts = [len(word)]
            while end := cuts[-1]:
                shares = np.exp([reached[start] + score - reached[end] for start, score in ways[end - 1]])
                chosen = np.searchsorted(np.cumsum(shares), rng.random() * shares.sum(), side="right")
                cuts.append(ways[end - 1][chosen][0])
            ids += self._ids_of_cuts(word, cuts)
        return ids

    @requires(_check_n_best)
    def n_best(self, text: str, n: int) -> list[tuple[list[int], float]]:
        """Return the ``n`` most probable ways to cut a text (fewer if there are fewer), with their log-probabilities.

        Raises
        ------
        TypeError, ValueError
            If ``text`` is not a string or ``n`` is not a positive integer.
        """
        found: list[tuple[float, list[int]]] = [(0.0, [])]
        for word in self._words(text):
            to: list[list[tuple[float, list[int]]]] = [[(0.0, [0])]]
            for end, into in enumerate(self._ways(word), start=1):
                candidates = ((old + score, [end, *cuts]) for start, score in into for old, cuts in to[start])
                to.append(nlargest(n, candidates))
            ways = [(score, self._ids_of_cuts(word, cuts)) for score, cuts in to[-1]]
            found = nlargest(n, ((old + score, ids + more) for old, ids in found for score, more in ways))
        return [(ids, score) for score, ids in found]

    def _safe_cut(self, text: str) -> int:
        # Before the first of several spaces as well as between them: each begins a word of its own.
        cut = max(text.rfind(" "), text.rfind(SPACE))
        return max(cut, 0)

    def _decode_ids(self, ids: list[int]) -> str:
        tokens = self._with_bytes_joined([self.id_to_token[index] for index in ids])
        if tokens and self.prefix_space:
            tokens[0] = tokens[0].replace(SPACE, "")
        return "".join(tokens).replace(SPACE, " ")

    def _with_bytes_joined(self, tokens: list[str]) -> list[str]:
        if not self.byte_fallback:
            return tokens
        result: list[str] = []
        held = b""
        for token in [*tokens, ""]:
            if token in BYTE_TOKENS:
                held += bytes([BYTE_TOKENS.index(token)])
                continue
            if held:
                result.append(_decode_bytes(held))
                held = b""
            result.append(token)
        return result[:-1]

    def to_json(self) -> dict[str, Any]:
        """Return what `tokenizers` needs to do the same."""
        scheme = "always" if self.prefix_space else "never"
        spaces = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": True}
        bytes_too = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, spaces]}
        return {
            "normalizer": {"type": self.form} if self.form else None,
            "pre_tokenizer": spaces,
            "post_processor": None,
            "decoder": bytes_too if self.byte_fallback else spaces,
            "model": {
                "type": "Unigram",
                "unk_id": None if self.unk_token is None else self.vocab[self.unk_token],
                "vocab": [[piece, score] for piece, score in self.pieces],
                "byte_fallback": self.byte_fallback,
            },
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Unigram":
        """Read the content of a ``tokenizer.json`` with a Unigram model whose words are cut by Metaspace.

        Raises
        ------
        ValueError
            If it does anything that this class does not.
        """
        model = content["model"]
        special = special_tokens_from_json(content.get("added_tokens") or [])
        known = {piece for piece, _ in model["vocab"]}
        outside = sorted(special.keys() - known, key=special.__getitem__)
        pieces = [(piece, float(score)) for piece, score in [*model["vocab"], *((name, 0.0) for name in outside)]]
        return cls(
            pieces,
            special_tokens=special,
            unk_token=None if model.get("unk_id") is None else pieces[model["unk_id"]][0],
            byte_fallback=model.get("byte_fallback", False),
            form=form_from_json(content.get("normalizer")),
            prefix_space=prefix_from_json(content.get("pre_tokenizer")),
        )


def _forward(ways: list[list[tuple[int, float]]]) -> list[float]:
    """Return the log-probability of reaching each position, summed over the ways."""
    reached = [0.0]
    for into in ways:
        logs = [reached[start] + score for start, score in into]
        most = max(logs)
        reached.append(most + math.log(sum(math.exp(log - most) for log in logs)))
    return reached


def _decode_bytes(raw: bytes) -> str:
    """Decode a run of bytes, all of it or none: `tokenizers` replaces every byte of a run that is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "\ufffd" * len(raw)
