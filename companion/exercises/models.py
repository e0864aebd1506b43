"""The exercises of the models lab.

Right answers come from torch in double precision, or from a plain loop; the mistakes that students make stand in
`companion.exercises.mistakes.models`.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.inputs import draw, draw_sizes
from companion.exercises.mistakes import models as mistakes
from companion.exercises.spec import Case, ErrorHint, Exercise, OpenQuestion

PARTS = ("bert", "gpt", "t5 encoder", "t5 decoder", "t5 cross")


class FamilyMask(Exercise):
    """The mask that makes an attention layer BERT's, GPT's or one of T5's three."""

    slug = "models"
    signature = "family_mask(part, n_query, n_key)"
    title = "Who may look at whom"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Give each family its mask, when the queries are the last of the positions."
    why = "The three families share their blocks; what tells them apart first of all is a table of True and False."
    try_next = "Give BERT's vectors of a real text a causal mask, and see how many of them change."
    wrong_ways = mistakes.FAMILY_MASK

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw every part: square, then with positions before the queries, then with one query."""
        small, middle, large = sorted((2 + torch.randperm(30, generator=generator)[:3]).tolist())
        for part in PARTS:
            if part != "t5 cross":
                yield Case((part, middle, middle))
        yield Case(("t5 cross", middle, small), about="the keys are another text's")
        yield Case(("t5 cross", small, large), about="the keys are another text's")
        yield Case(("gpt", small, large), about="the queries are the last of the positions")
        yield Case(("t5 decoder", middle, large), about="the queries are the last of the positions")
        yield Case(("gpt", 1, middle), about="one new token after a cache")

    def reference(self, part: str, n_query: int, n_key: int) -> Tensor:
        """Compare positions where the part reads from left to right."""
        if part in ("gpt", "t5 decoder"):
            return torch.arange(n_key) <= torch.arange(n_key - n_query, n_key)[:, None]
        return torch.ones(n_query, n_key, dtype=torch.bool)


class ShareHeads(Exercise):
    """Grouped queries: hand each key head to the query heads that share it."""

    slug = "models"
    signature = "share_heads(x, n_heads)"
    title = "One key head for several queries"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Repeat the key heads so that neighbouring query heads share one."
    why = "Modern decoders have fewer key heads than query heads, and a wrong neighbour gives no error, only nonsense."
    try_next = "Do the same with `expand` and no copy, and compare the memory."
    wrong_ways = mistakes.SHARE_HEADS
    error_hints = (
        ErrorHint("shape", "each key head is needed n_heads / n_kv_heads times, along the axis of heads"),
        ErrorHint("must match the existing size", "`expand` repeats only axes of size 1: make one for it first"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw groups, one key head for all, and a key head for each."""
        batch, n_kv_heads, n, d_head = draw_sizes(generator, 4)
        for times in (3, 2):
            yield Case((draw(generator, batch, n_kv_heads, n, d_head), times * n_kv_heads))
        yield Case((draw(generator, batch, 1, n, d_head), 4), about="one key head for all")
        yield Case((draw(generator, batch, n_kv_heads, n, d_head), n_kv_heads), about="a key head for each query head")
        yield Case((draw(generator, batch, n_kv_heads, n, d_head, dtype=torch.float64), 2 * n_kv_heads))

    def reference(self, x: Tensor, n_heads: int) -> Tensor:
        """Ask torch."""
        return x.repeat_interleave(n_heads // x.shape[1], dim=1)


class CountParameters(Exercise):
    """The number of weights of a GPT, from its sizes alone."""

    slug = "models"
    signature = "count_parameters(vocab_size, max_len, d_model, n_layers, d_ff, tied)"
    title = "How many numbers are in a GPT?"
    points = 3
    minutes = 20
    difficulty = 3
    objective = "Count the weights of a GPT from its sizes, without building it."
    why = "The count decides what fits into memory, and a count that is off shows a part that you have forgotten."
    try_next = "Find the width from which GPT-2's twelve blocks outweigh its vocabulary."
    wrong_ways = mistakes.COUNT_PARAMETERS

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw sizes, tied and not, with an inner layer of any size, and end with GPT-2 itself."""
        for tied in (True, False, True):
            vocab_size, max_len, d_model, n_layers, d_ff = draw_sizes(generator, 5)
            yield Case((100 * vocab_size, 10 * max_len + 5, 4 * d_model, n_layers, 7 * d_ff, tied))
        yield Case((50257, 1024, 768, 12, 3072, True), about="the sizes of GPT-2")

    def reference(self, vocab_size: int, max_len: int, d_model: int, n_layers: int, d_ff: int, tied: bool) -> int:
        """Add up the shapes of all tensors."""
        linear = [(d_model, d_model), (d_model,)] * 4 + [(d_ff, d_model), (d_ff,), (d_model, d_ff), (d_model,)]
        norm = [(d_model,)] * 2
        tables = [(vocab_size, d_model)] * (1 if tied else 2) + [(max_len, d_model)]
        shapes = tables + n_layers * (linear + 2 * norm) + norm
        return sum(torch.Size(shape).numel() for shape in shapes)


class OurName(Exercise):
    """One row of a rename table at a time: from a BERT file's names to the companion's."""

    slug = "models"
    signature = "our_name(name)"
    title = "What the file calls it"
    points = 4
    minutes = 25
    difficulty = 3
    objective = "Translate the name of each tensor in a BERT file into the name that the companion's BERT gives it."
    why = "To load a model is to copy tensors from one set of names to another; a wrong name loads the wrong tensor."
    try_next = "Write the way back, and check on all names that there and back is where you started."
    wrong_ways = mistakes.OUR_NAME

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw every kind of tensor, from layers of one and two digits, with and without the prefix."""
        layers = torch.randperm(23, generator=generator).add(1).tolist()
        for name in mistakes.OUTSIDE:
            yield Case((name,))
        for i, name in enumerate(mistakes.INSIDE):
            layer = 0 if i == 0 else layers[i]
            yield Case((f"encoder.layer.{layer}.{name}",))
        yield Case((f"encoder.layer.11.{next(iter(mistakes.INSIDE))}",), about="two digits")
        yield Case(("bert.embeddings.word_embeddings.weight",), about="a file of a model with heads")
        yield Case((f"bert.encoder.layer.{layers[20]}.output.dense.bias",), about="a file of a model with heads")
        yield Case(("embeddings.position_ids",), about="the numbers 0, 1, 2, ..., which nobody trained")

    def reference(self, name: str) -> str:
        """Look the name up."""
        name = name.removeprefix("bert.")
        if name.startswith("encoder.layer."):
            layer, inside = name.removeprefix("encoder.layer.").split(".", 1)
            return f"encoder.blocks.{layer}.{mistakes.INSIDE[inside]}"
        return mistakes.OUTSIDE.get(name, "")


class Pool(Exercise):
    """BERT's pooler: one vector for a whole text."""

    slug = "models"
    signature = "pool(hidden, weight, bias)"
    title = "One vector for a text"
    points = 2
    minutes = 10
    difficulty = 2
    objective = "Compute BERT's pooler from the vectors of all tokens."
    why = "A classifier needs one vector a text, and BERT was pretrained to put it in a certain place."
    try_next = "Pool the mean of the vectors in place of the first, and compare both on pairs of sentences."
    wrong_ways = mistakes.POOL
    error_hints = (
        ErrorHint("shapes cannot be multiplied", "two shapes do not fit; which of the vectors stands for the text?"),
        ErrorHint("must match the size", "two shapes do not fit; print the shape after each step"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw batches, a single text, a single token and double precision."""
        batch, n, d_model = draw_sizes(generator, 3)
        n += 1  # of two tokens, the last would be the second

        def tensors(batch: int = batch, n: int = n, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
            shapes = ((batch, n, d_model), (d_model, d_model), (d_model,))
            return tuple(draw(generator, *shape, dtype=dtype) for shape in shapes)

        yield Case(tensors())
        yield Case(tensors(batch=1), about="a batch of one")
        yield Case(tensors(n=1), about="a single token")
        yield Case(tensors(batch=d_model), about="as many texts as features")
        yield Case(tensors(dtype=torch.float64))

    def reference(self, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Ask torch."""
        return F.linear(hidden[:, 0], weight, bias).tanh()


class FillMasks(Exercise):
    """Write the best-scoring token wherever a token is hidden."""

    slug = "models"
    signature = "fill_masks(input_ids, logits, mask_id)"
    title = "Read the answer where the question is"
    points = 3
    minutes = 15
    difficulty = 2
    objective = "Replace each hidden token, wherever it stands, by the token with the highest score there."
    why = "A model answers at every position, asked or not, so a wrong position gives a word and no error."
    try_next = "Give the three best tokens for each hidden one, with their probabilities."
    wrong_ways = mistakes.FILL_MASKS
    error_hints = (
        ErrorHint("shape mismatch", "there may be several hidden tokens in a text, and texts without any"),
        ErrorHint("converted to Scalar", "there may be several hidden tokens in a text"),
    )

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw texts with one hidden token, several, one at either end, and none."""
        n, vocab = 11, 997
        mask_id = int(torch.randint(3, vocab, (), generator=generator))

        def texts(*hidden: list[int]) -> tuple[Tensor, Tensor, int]:
            ids = torch.randint(vocab - 1, (len(hidden), n), generator=generator)
            ids += ids >= mask_id
            for row, places in zip(ids, hidden, strict=True):
                row[places] = mask_id
            logits = draw(generator, len(hidden), n, vocab)
            logits[..., mask_id] = 0.0  # neither the highest nor the lowest: a filled place is seen to be filled
            return ids, logits, mask_id

        def places(count: int, low: int = 1) -> list[int]:
            return (low + torch.randperm(n - 1 - low, generator=generator)[:count]).tolist()

        # Late in the first text: there no fixed position is right, nor is the one before or after it.
        yield Case(texts(places(1, low=7)))
        yield Case(texts(places(1, low=7), places(1), places(1)), about="one hidden token in each text")
        yield Case(texts(places(3), places(3), places(3)), about="three hidden tokens in each text")
        yield Case(texts([0, n - 1], places(1)), about="hidden at both ends")
        yield Case(texts([], places(2), []), about="texts with nothing hidden")

    def reference(self, input_ids: Tensor, logits: Tensor, mask_id: int) -> Tensor:
        """Choose between the text and the best scores."""
        return torch.where(input_ids == mask_id, logits.argmax(-1), input_ids)


class SplitFused(Exercise):
    """Take GPT-2's one matrix for queries, keys and values apart."""

    slug = "models"
    signature = "split_fused(weight)"
    returns = ("query", "key", "value")
    title = "Three matrices in one"
    points = 3
    minutes = 15
    difficulty = 3
    objective = "Take a fused matrix apart, and turn each part the way torch's linear layers have it."
    why = "GPT-2's files hold one matrix where your model has three, and hold it the other way round."
    try_next = "Do it for a model with fewer key heads than query heads: which sizes do the three parts have?"
    wrong_ways = mistakes.SPLIT_FUSED
    error_hints = (ErrorHint("too many values to unpack", "`split` takes the size of a part, `chunk` their number"),)

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw some widths, the last in double precision."""
        for i, d_model in enumerate(draw_sizes(generator, 3)):
            yield Case((draw(generator, d_model, 3 * d_model, dtype=torch.float64 if i == 2 else torch.float32),))

    def reference(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Feed each unit vector through the fused matrix: what comes out are the columns of the three."""
        units = torch.eye(len(weight), dtype=weight.dtype)
        return tuple(part.mT for part in (units @ weight).chunk(3, dim=-1))


class ShiftRight(Exercise):
    """What T5's decoder reads while it learns to write."""

    slug = "models"
    signature = "shift_right(labels, start_id, pad_id)"
    title = "What the decoder may read"
    points = 3
    minutes = 10
    difficulty = 2
    objective = "Make the decoder's input out of the labels."
    why = "A decoder that is given the token it must predict learns to copy, and its loss looks wonderful."
    try_next = "Train on labels that are not shifted, and watch the loss go to nothing."
    wrong_ways = mistakes.SHIFT_RIGHT

    def cases(self, generator: torch.Generator) -> Iterator[Case]:
        """Draw full texts, ragged ones with ignored labels, and texts of one token."""
        batch, n = draw_sizes(generator, 2)
        start_id, pad_id = (3 + torch.randperm(5, generator=generator)[:2]).tolist()

        def labels(batch: int = batch, n: int = n) -> Tensor:
            return torch.randint(10, 90, (batch, n), generator=generator)

        yield Case((labels(), start_id, pad_id))
        ragged = labels(batch, n + 2)
        kept = torch.randint(1, n + 2, (batch, 1), generator=generator)
        yield Case((ragged.where(torch.arange(n + 2) < kept, -100), start_id, pad_id), about="some labels are ignored")
        yield Case((labels(1, 1), start_id, pad_id), about="a single token")
        yield Case((labels(), start_id, start_id), about="texts begin with the padding, as T5's do")

    def reference(self, labels: Tensor, start_id: int, pad_id: int) -> Tensor:
        """Fill the input row by row."""
        rows = [[start_id, *(pad_id if label == -100 else label for label in row[:-1])] for row in labels.tolist()]
        return torch.tensor(rows)


class WhatALoadedPartIsWorth(OpenQuestion):
    """A small experiment to report on."""

    slug = "models"
    signature = "what_a_part_is_worth()"
    title = "What is each part of the file worth?"
    points = 6
    minutes = 45
    difficulty = 4
    objective = "Load a real model with one kind of tensor left at random, and measure what that costs."
    why = "A file that loads with a warning still gives vectors; whether they are worth anything is a measurement."
    try_next = "Leave out one layer at a time, and see whether the first or the last is dearer."


EXERCISES = (
    FamilyMask(),
    ShareHeads(),
    CountParameters(),
    OurName(),
    Pool(),
    FillMasks(),
    SplitFused(),
    ShiftRight(),
    WhatALoadedPartIsWorth(),
)
