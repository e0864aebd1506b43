"""The next-sentence objective: say whether the second text follows the first, or was put there by chance."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from companion._validation import describe, require_count, requires
from companion.objectives._checks import require_generator, require_id, require_id_list

Sentence = Sequence[int]

#: How often another second text is drawn before the documents are called too alike.
TRIES = 100


class SentencePair(NamedTuple):
    """Two texts and whether they belong together.

    Parameters
    ----------
    first, second
        Token ids without special tokens.
    label
        0 where the second follows the first, 1 where it is of another document (as in BERT's own head).
    """

    first: list[int]
    second: list[int]
    label: int


def _check_pairs(documents: Any, *, max_length: Any, generator: Any, random: Any = 0.5) -> None:
    if not isinstance(documents, Sequence) or isinstance(documents, (str, bytes)):
        raise TypeError(f"documents must be a list of lists of sentences, got {describe(documents)}")
    for i, document in enumerate(documents):
        if not isinstance(document, Sequence) or isinstance(document, (str, bytes)):
            raise TypeError(f"documents[{i}] must be a list of sentences, got {describe(document)}")
        for j, sentence in enumerate(document):
            if not isinstance(sentence, Sequence) or isinstance(sentence, (str, bytes)):
                raise TypeError(f"documents[{i}][{j}] must be a list of token ids, got {describe(sentence)}")
            if not sentence:
                raise ValueError(f"documents[{i}][{j}] is an empty sentence; leave it out")
    require_count("max_length", max_length, minimum=2)
    require_generator(generator)
    if isinstance(random, bool) or not isinstance(random, (int, float)) or not 0 <= random <= 1:
        raise ValueError(f"random must be a number from 0 to 1, got {describe(random)}")
    n_filled = sum(bool(document) for document in documents)
    if random > 0 and n_filled < 2:
        raise ValueError(f"documents must be at least 2 with sentences, to draw from another, got {n_filled}")


@requires(_check_pairs)
def next_sentence_pairs(
    documents: Sequence[Sequence[Sentence]], *, max_length: int, generator: torch.Generator, random: float = 0.5
) -> list[SentencePair]:
    """Cut documents into pairs of texts; half of the second texts come from another document.

    A text here is one sentence or several, as many as fit: short ones would leave the model nothing to look far for.
    What a random text took the place of is used again, as the beginning of the next pair. A document's last sentence
    has none after it, so no pair begins with it alone.

    Parameters
    ----------
    documents
        Their sentences in order, each a list of token ids.
    max_length
        The most tokens of both texts together, without special tokens. What is too long is cut where it does not
        touch the other text: at the beginning of the first, at the end of the second.
    generator
        Source of the randomness.
    random
        Chance of a second text from another document.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If a sentence is empty, there is no other document to draw from, or the documents are so alike that a text
        drawn by chance is always the true next one.

    References
    ----------
    Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, section
    3.1 (task 2) and appendix A.2.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
    filled = [document for document in documents if document]
    return [pair for i in range(len(filled)) for pair in _pairs_of(filled, i, max_length, random, rng)]


def _pairs_of(
    documents: Sequence[Sequence[Sentence]], i: int, max_length: int, random: float, rng: np.random.Generator
) -> Iterator[SentencePair]:
    sentences, start = documents[i], 0
    while start + 1 < len(sentences):
        end = _fill(sentences, start, max_length, at_least=2)
        middle = int(rng.integers(start + 1, end))
        first, second = _join(sentences[start:middle]), _join(sentences[middle:end])
        is_random = rng.random() < random
        if is_random:
            # As much is compared with the true next sentence as cutting leaves at least.
            room = max(max_length - len(first), max_length // 2)
            second = _draw_other(documents, i, sentences[middle][:room], len(second), rng)
        yield SentencePair(*_cut(first, second, max_length), int(is_random))
        start = middle if is_random else end


def _fill(sentences: Sequence[Sentence], start: int, length: int, at_least: int) -> int:
    """Return the end of as many sentences as reach a length; the last may cross it, as in the authors' code."""
    end, total = start, 0
    while end < len(sentences) and (total < length or end - start < at_least):
        total += len(sentences[end])
        end += 1
    return end


def _join(sentences: Sequence[Sentence]) -> list[int]:
    return [token for sentence in sentences for token in sentence]


def _draw_other(
    documents: Sequence[Sequence[Sentence]], i: int, truth: Sentence, length: int, rng: np.random.Generator
) -> list[int]:
    """Draw a text of another document: as long as the true one, or its length would tell, but beginning otherwise."""
    for _ in range(TRIES):
        other = int(rng.integers(len(documents) - 1))
        sentences = documents[other + (other >= i)]
        start = int(rng.integers(len(sentences)))
        shared = min(len(sentences[start]), len(truth))
        if list(sentences[start][:shared]) != list(truth[:shared]):
            return _join(sentences[start : _fill(sentences, start, length, at_least=1)])
    raise ValueError(
        f"documents are too alike: {TRIES} texts drawn from others all begin as the true next one does; drop duplicates"
    )


def _cut(first: list[int], second: list[int], max_length: int) -> tuple[list[int], list[int]]:
    """Shorten the longer of the two until both fit, where it does not touch the other."""
    n_first = min(len(first), max(max_length - len(second), (max_length + 1) // 2))
    return first[len(first) - n_first :], second[: max_length - n_first]


class Assembled(NamedTuple):
    """One row for the model.

    Parameters
    ----------
    input_ids
        The tokens with the special ones.
    token_type_ids
        0 for the first text and its special tokens, 1 for the second and its separator.
    maskable
        False at the special tokens; for :func:`companion.objectives.mask_tokens`.
    """

    input_ids: Int[Tensor, " pos"]
    token_type_ids: Int[Tensor, " pos"]
    maskable: Bool[Tensor, " pos"]


def _check_assemble(first: Any, second: Any = None, *, cls_id: Any, sep_id: Any) -> None:
    require_id_list("first", first)
    if second is not None:
        require_id_list("second", second)
    require_id("cls_id", cls_id)
    require_id("sep_id", sep_id)


@requires(_check_assemble)
def assemble_pair(first: Sentence, second: Sentence | None = None, *, cls_id: int, sep_id: int) -> Assembled:
    """Put two texts in one row: [CLS] first [SEP] second [SEP]; or one, [CLS] first [SEP].

    Parameters
    ----------
    first, second
        Token ids without special tokens.
    cls_id, sep_id
        The special tokens.

    Raises
    ------
    TypeError, ValueError
        If a token is not an integer of at least 0.

    References
    ----------
    Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, figure 2.
    """
    parts = [[cls_id, *first, sep_id]] + ([] if second is None else [[*second, sep_id]])
    types = [kind for kind, part in enumerate(parts) for _ in part]
    special = {0, len(first) + 1, len(types) - 1}
    return Assembled(
        torch.tensor(_join(parts)),
        torch.tensor(types),
        torch.tensor([i not in special for i in range(len(types))]),
    )
