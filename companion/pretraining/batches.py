"""From a step to its batch: rows filled by each objective, the same for the same seed and step whatever came before."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion.data.corpus import PackedRows, Shards
from companion.data.corpus.order import permutation
from companion.data.corpus.packing import best_fit
from companion.objectives import (
    SentencePair,
    assemble_pair,
    causal_labels,
    corrupt_spans,
    mask_tokens,
    masked_positions,
    next_sentence_pairs,
)
from companion.pretraining.presets import Preset
from companion.pretraining.texts import FLAGS, SENTENCE, SENTINELS, WORD, Texts
from companion.tokenization import Tokenizer

Batch = dict[str, Tensor]
PADDING = -1  # the document of an empty position
IGNORED = -100


def generator_for(*parts: int | str) -> torch.Generator:
    """Make a source of random numbers that depends on these alone."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def make_batches(preset: Preset, texts: Texts, shards: Shards, *, seed: int, hidden_share: float | None = None) -> Any:
    """Return the function from a step to a batch of a preset's objective; its length is the batches of an epoch.

    Parameters
    ----------
    preset, texts
        What the batches are for.
    shards
        The part of the texts: to train on or held out.
    seed
        Of everything that is drawn.
    hidden_share
        In place of the preset's, where tokens are hidden.
    """
    sizes: dict[str, Any] = {"length": preset.length, "batch_size": preset.batch_size, "seed": seed}
    if preset.objective == "causal":
        return CausalBatches(shards, **sizes)
    sizes["hidden_share"] = hidden_share or preset.hidden_share
    if preset.objective == "masked":
        return PairBatches(shards, texts.tokenizer, **sizes)
    return SpanBatches(shards, texts.tokenizer, **sizes, span_length=preset.span_length)


class CausalBatches:
    """Packed rows, each token labelled with the next of its document."""

    def __init__(self, shards: Shards, *, length: int, batch_size: int, seed: int) -> None:
        self.rows = PackedRows(shards, length=length, batch_size=batch_size, seed=seed)

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step."""
        batch = self.rows(step)
        return batch | {"labels": causal_labels(batch["input_ids"], document_ids=batch["document_ids"])}


class SpanBatches:
    """Rows of text without a gap, with spans hidden: the text with marks, and what is behind the marks.

    Documents lie end to end as in T5's own training, and its encoder sees the neighbours in a row; they end with a
    token that tells them apart.
    """

    def __init__(
        self,
        shards: Shards,
        tokenizer: Tokenizer,
        *,
        length: int,
        batch_size: int,
        seed: int,
        hidden_share: float,
        span_length: float = 3.0,
    ) -> None:
        self.rows = PackedRows(shards, length=length, batch_size=batch_size, seed=seed, cut="anywhere")
        self.sentinels = [tokenizer.vocab[name] for name in SENTINELS]
        self.end_id = tokenizer.vocab["</s>"]
        self.seed, self.hidden_share, self.span_length = seed, hidden_share, span_length

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step; hidden anew in each epoch."""
        generator = generator_for("spans", self.seed, step)
        corrupted = [
            corrupt_spans(
                row,
                density=self.hidden_share,
                mean_length=self.span_length,
                sentinels=self.sentinels,
                end_id=self.end_id,
                generator=generator,
            )
            for row in self.rows(step)["input_ids"]
        ]
        return {
            "input_ids": torch.stack([one.input_ids for one in corrupted]),
            "labels": torch.stack([one.labels for one in corrupted]),
        }


class PairBatches:
    """Rows packed with pairs of texts, with tokens hidden, for BERT's two questions.

    Half of the second texts are of another document. A document of one sentence has no second text, and is not asked
    about one. Each epoch has other pairs, other rows and other hidden tokens.

    Parameters
    ----------
    shards
        Documents with flags, as ``companion.pretraining.texts.encode_flagged`` writes them.
    tokenizer
        Names the special tokens.
    length, batch_size
        Positions of a row, and rows of a batch.
    seed
        Of everything that is drawn.
    hidden_share
        What share of the tokens hides.
    """

    def __init__(
        self, shards: Shards, tokenizer: Tokenizer, *, length: int, batch_size: int, seed: int, hidden_share: float
    ) -> None:
        self.length, self.batch_size, self.seed, self.hidden_share = length, batch_size, seed, hidden_share
        self.vocab_size = tokenizer.vocab_size
        self.cls_id, self.sep_id, self.pad_id, self.mask_id, self.unknown_id = (
            tokenizer.vocab[name] for name in ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]")
        )
        self.special_ids = sorted(tokenizer.special_tokens.values())
        documents = [list(_sentences(shards[index])) for index in range(len(shards))]
        self.documents = [document for document in documents if len(document) > 1]
        if len(self.documents) < 2:
            raise ValueError(
                f"data must hold documents of two or more sentences, so that there are pairs, "
                f"got {len(self.documents)} of them among {len(documents)}; choose other texts, or another preset"
            )
        self.lone = [document[0] for document in documents if len(document) == 1]
        self.per_row = round(hidden_share * length)
        # No pair is shorter than [CLS] a [SEP] b [SEP]; more than this in one row are left for the next.
        self.pairs_per_row = max(1, length // 16)
        self._last: tuple[int, list[list[SentencePair]]] = (0, self._plan(0))
        self._length_of_epoch = max(1, len(self._last[1]) // batch_size)

    def __len__(self) -> int:
        """Return the number of batches of an epoch: that of the first one, for others differ by a few rows."""
        return self._length_of_epoch

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step."""
        epoch, at = divmod(step, len(self))
        if self._last[0] != epoch:
            self._last = (epoch, self._plan(epoch))
        plan = self._last[1]
        generator = generator_for("hide", self.seed, step)
        rows = [plan[(at * self.batch_size + row) % len(plan)] for row in range(self.batch_size)]
        made = [self._row(pairs, generator) for pairs in rows]
        return {name: torch.stack([row[name] for row in made]) for name in made[0]}

    def _plan(self, epoch: int) -> list[list[SentencePair]]:
        """Return the pairs of each row of an epoch."""
        generator = generator_for("pairs", self.seed, epoch)
        pairs = next_sentence_pairs(self.documents, max_length=self.length - 3, generator=generator)
        alone = [SentencePair(sentence[: self.length - 2], [], IGNORED) for sentence in self.lone]
        pairs += alone
        sizes = np.array([len(pair.first) + (len(pair.second) + 1 if pair.second else 0) + 2 for pair in pairs])
        # Packed in another order each time, or the same short texts would always share a row.
        order = permutation(len(pairs), "pairs", self.seed, epoch)
        places, n_rows = best_fit(sizes[order], self.length)
        rows: list[list[SentencePair]] = [[] for _ in range(n_rows)]
        for index, place in zip(order.tolist(), places.tolist(), strict=True):
            if len(rows[place]) < self.pairs_per_row:
                rows[place].append(pairs[index])
        return [rows[index] for index in permutation(n_rows, "rows", self.seed, epoch).tolist()]

    def _row(self, pairs: list[SentencePair], generator: torch.Generator) -> Batch:
        made = [
            assemble_pair(a, b or None, cls_id=FLAGS * self.cls_id, sep_id=FLAGS * self.sep_id) for a, b, _ in pairs
        ]
        codes = self._fill(torch.cat([one.input_ids for one in made]), FLAGS * self.pad_id)
        document_ids = torch.cat([torch.full((len(one.input_ids),), index) for index, one in enumerate(made)])
        maskable = self._fill(torch.cat([one.maskable for one in made]), False)
        input_ids = codes // FLAGS
        maskable &= input_ids != self.unknown_id
        masked = mask_tokens(
            input_ids,
            mask_id=self.mask_id,
            vocab_size=self.vocab_size,
            maskable=maskable,
            word_starts=codes % FLAGS % SENTENCE == WORD,
            count=min(self.per_row, max(1, round(self.hidden_share * int(maskable.sum())))),
            special_ids=self.special_ids,
            generator=generator,
        )
        positions = masked_positions(masked.labels)
        spare = self.per_row - len(positions)
        begins = np.cumsum([0] + [len(one.input_ids) for one in made[:-1]]).tolist()
        room = self.pairs_per_row - len(pairs)
        return {
            "input_ids": masked.input_ids,
            "token_type_ids": self._fill(torch.cat([one.token_type_ids for one in made]), 0),
            "document_ids": self._fill(document_ids, PADDING),
            "positions": torch.cat([positions, positions.new_zeros(spare)]),
            "labels": torch.cat([masked.labels[positions], positions.new_full((spare,), IGNORED)]),
            "pair_starts": torch.tensor(begins + [0] * room),
            "pair_labels": torch.tensor([pair.label for pair in pairs] + [IGNORED] * room),
        }

    def _fill(self, values: Tensor, padding: int | bool) -> Tensor:
        return torch.cat([values, values.new_full((self.length - len(values),), padding)])


def _sentences(codes: np.ndarray) -> Iterator[list[int]]:
    """Cut a document where the flags say that a sentence begins; the flag itself has then done its work."""
    starts = np.flatnonzero(codes % FLAGS >= SENTENCE)
    for sentence in np.split(codes, starts[1:]) if len(starts) else []:
        yield (sentence - (sentence % FLAGS >= SENTENCE) * SENTENCE).tolist()
