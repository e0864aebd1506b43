"""From texts to what a model reads: special tokens, pairs, words, and batches that depend on the step alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from companion._validation import describe, require_count, requires
from companion.data.corpus.order import permutation
from companion.finetuning.heads import IGNORED
from companion.models import BERT, T5
from companion.tokenization import Tokenizer

Example = dict[str, Any]
# A word, a sign, or a character of a script without spaces.
WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
SEPARATORS = ("<|endoftext|>", "</s>", "[SEP]")


class Encoded(NamedTuple):
    """A text for a model, and where each of its words stands."""

    input_ids: list[int]
    token_type_ids: list[int]
    words: list[int]
    """The number of the word of each token; -1 for special tokens and those of another text."""


def _check(self: Any, tokenizer: Any, body: Any, *, max_len: Any = None) -> None:
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(
            f"tokenizer must be one of companion.tokenization, such as load(...) gives, got {describe(tokenizer)}"
        )
    if max_len is not None:
        require_count("max_len", max_len, minimum=8)
    room = getattr(body.config, "max_len", None)
    if max_len is not None and room is not None and max_len > room:
        raise ValueError(f"max_len must be at most the model's {room} positions, got {max_len}")
    if tokenizer.vocab_size > body.config.vocab_size:
        raise ValueError(
            f"tokenizer must be the model's own: it has {tokenizer.vocab_size} tokens, and the model knows "
            f"{body.config.vocab_size}"
        )


class TextInputs:
    """Put texts as a model was pretrained to read them.

    BERT reads ``[CLS] text [SEP]``, or ``[CLS] first [SEP] second [SEP]`` with segments; T5 ``first </s> second </s>``;
    a decoder ``first <|endoftext|> second <|endoftext|>``, where the last token has seen everything.

    Parameters
    ----------
    tokenizer
        The model's.
    body
        The model.
    max_len
        Longer texts are cut off at the end, of two the longer one first; the model's longest, at most 512, by default.

    Raises
    ------
    TypeError, ValueError
        If the tokenizer cannot be the model's, or lacks a token that is needed, or the model is too short.
    """

    @requires(_check)
    def __init__(self, tokenizer: Tokenizer, body: Any, *, max_len: int | None = None) -> None:
        self.tokenizer = tokenizer
        self.max_len = max_len or min(512, getattr(body.config, "max_len", 512))
        self.has_segments = isinstance(body, BERT)
        special = tokenizer.special_tokens
        wanted = {BERT: ("[SEP]",), T5: ("</s>",)}
        names = next((found for kind, found in wanted.items() if isinstance(body, kind)), SEPARATORS)
        ends = [special[name] for name in names if name in special]
        if not ends or (self.has_segments and "[CLS]" not in special):
            needed = "[CLS] and [SEP]" if self.has_segments else " or ".join(names)
            raise ValueError(
                f"tokenizer must have {needed} to end a text for {type(body).__name__}, got {sorted(special)}"
            )
        self.end_id = ends[0]
        self.begin = [special["[CLS]"]] if self.has_segments else []
        self.pad_id = special.get("[PAD]", special.get("<pad>", self.end_id))

    def encode(self, text: str, pair: str | None = None) -> Encoded:
        """Encode a text, or two."""
        texts = [text] if pair is None else [text, pair]
        parts = [self.tokenizer.encode(one) for one in texts]
        return self._assemble(parts, [[-1] * len(part) for part in parts])

    def encode_words(self, words: Sequence[str]) -> Encoded:
        """Encode a text that is cut into words already, with the number of each token's word."""
        ids, numbers = self._pieces([f" {word}" if i else word for i, word in enumerate(words)])
        return self._assemble([ids], [numbers])

    def encode_question(self, question: str, words: Sequence[str]) -> Encoded:
        """Encode a question and, behind it, a text in words, with the number of each token's word of the text."""
        asked = self.tokenizer.encode(question)
        ids, numbers = self._pieces(words)
        return self._assemble([asked, ids], [[-1] * len(asked), numbers])

    def _pieces(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        encoded = self.tokenizer.encode_batch(words)
        ids = [index for pieces in encoded for index in pieces]
        return ids, [number for number, pieces in enumerate(encoded) for _ in pieces]

    def _assemble(self, parts: list[list[int]], numbers: list[list[int]]) -> Encoded:
        room = self.max_len - len(self.begin) - len(parts)
        kept = _room(list(map(len, parts)), room)
        ids, types, words = list(self.begin), [0] * len(self.begin), [-1] * len(self.begin)
        for kind, (part, number, count) in enumerate(zip(parts, numbers, kept, strict=True)):
            ids += [*part[:count], self.end_id]
            types += [kind] * (count + 1)
            words += [*number[:count], -1]
        return Encoded(ids, types, words)

    def collate(self, examples: Sequence[Example], *, multiple_of: int = 1) -> dict[str, Tensor]:
        """Pad examples on the right into one batch.

        Returns
        -------
        dict
            ``input_ids``, ``attention_mask`` (1 for a token), for BERT ``token_type_ids``, and whatever else the
            examples have: one number each, or one list each, padded with -100.
        """
        longest = max(len(example["input_ids"]) for example in examples)
        width = min(-(-longest // multiple_of) * multiple_of, max(self.max_len, longest))
        batch = {
            "input_ids": _padded([example["input_ids"] for example in examples], width, self.pad_id),
            "attention_mask": _padded([[1] * len(example["input_ids"]) for example in examples], width, 0),
        }
        for name in examples[0]:
            values = [example[name] for example in examples]
            if name == "input_ids" or (name == "token_type_ids" and not self.has_segments):
                continue
            if name == "token_type_ids":
                batch[name] = _padded(values, width, 0)
            elif isinstance(values[0], list):
                batch[name] = _padded(values, width, IGNORED)
            else:
                batch[name] = torch.tensor(values)
        return batch


def _room(lengths: list[int], room: int) -> list[int]:
    """Say how much of each text is kept: the longer one gives way first."""
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    kept = min(first, max(room - second, (room + 1) // 2))
    return [kept, min(second, room - kept)]


def _padded(rows: Sequence[Sequence[int]], width: int, value: int) -> Tensor:
    batch = torch.full((len(rows), width), value)
    for i, row in enumerate(rows):
        batch[i, : len(row)] = torch.tensor(row)
    return batch


def find_words(text: str) -> list[tuple[int, int]]:
    """Return where each word of a text begins and ends; a sign, or a character of Chinese or Japanese, is one too."""
    return [match.span() for match in WORDS.finditer(text)]


def _check_batches(
    examples: Any, inputs: Any, *, batch_size: Any, seed: Any = 0, pool: Any = 50, multiple_of: Any = 1
) -> None:
    if not isinstance(examples, Sequence) or not examples:
        raise ValueError(f"examples must be a list of one or more, got {describe(examples)[:200]}")
    if not isinstance(inputs, TextInputs):
        raise TypeError(f"inputs must be a TextInputs, got {describe(inputs)}")
    for name, value in {"batch_size": batch_size, "pool": pool, "multiple_of": multiple_of}.items():
        require_count(name, value)
    require_count("seed", seed, minimum=0)


class LabelledBatches:
    """Batches of labelled examples that depend on the seed and the step alone, similar lengths together.

    An epoch has every example once. Examples are shuffled and dealt into pools, sorted by length inside a pool, cut
    into batches, and the batches are shuffled.

    Parameters
    ----------
    examples
        As a task makes them.
    inputs
        Pads them.
    batch_size
        How many in a batch; the last one of an epoch may have fewer.
    seed
        Chooses the orders.
    pool
        How many batches are sorted together; 1 for batches that are random in all.
    multiple_of
        Widths are rounded up to multiples of this, for compilers, which like few different shapes.

    Raises
    ------
    TypeError, ValueError
        If there is no example, or a number is out of range.
    """

    @requires(lambda self, *args, **kwargs: _check_batches(*args, **kwargs))
    def __init__(
        self,
        examples: Sequence[Example],
        inputs: TextInputs,
        *,
        batch_size: int,
        seed: int = 0,
        pool: int = 50,
        multiple_of: int = 1,
    ) -> None:
        self.examples, self.inputs, self.batch_size = examples, inputs, batch_size
        self.seed, self.pool, self.multiple_of = seed, pool, multiple_of
        self._lengths = np.array([len(example["input_ids"]) for example in examples])
        self._last_plan = 0, self._make_plan(0)

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-len(self.examples) // self.batch_size)

    def _make_plan(self, epoch: int) -> list[list[int]]:
        order = permutation(len(self.examples), "examples", self.seed, epoch)
        batches: list[list[int]] = []
        for start in range(0, len(order), self.pool * self.batch_size):
            pool = order[start : start + self.pool * self.batch_size]
            if self.pool > 1:
                pool = pool[np.argsort(self._lengths[pool], kind="stable")]
            batches += [pool[at : at + self.batch_size].tolist() for at in range(0, len(pool), self.batch_size)]
        return [batches[i] for i in permutation(len(batches), "batches", self.seed, epoch).tolist()]

    def rows(self, step: int) -> list[int]:
        """Return which examples a step's batch has."""
        require_count("step", step, minimum=0)
        epoch, at = divmod(step, len(self))
        last, plan = self._last_plan  # in one go: another thread may change it
        if last != epoch:
            plan = self._make_plan(epoch)
            self._last_plan = epoch, plan
        return plan[at]

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return the batch of a step, counted from 0 and through all epochs."""
        return self.inputs.collate([self.examples[row] for row in self.rows(step)], multiple_of=self.multiple_of)
