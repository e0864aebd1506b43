"""Vectors of a word in its sentence: what an encoder such as BERT makes of one occurrence."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from companion._validation import describe, require_count, requires


def find_word(sentence: str, word: str, occurrence: int = 0) -> tuple[int, int]:
    """Return where a whole word begins and ends in a sentence, whatever the case of its letters.

    Raises
    ------
    ValueError
        If the word does not occur so often; counting starts at 0.
    """
    matches = list(re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", sentence, flags=re.IGNORECASE))
    if occurrence >= len(matches):
        raise ValueError(
            f"sentence must hold the word {word!r} {occurrence + 1} times or more, "
            f"got it {len(matches)} times in {sentence[:80]!r}"
        )
    return matches[occurrence].span()


def _check(
    model: Any,
    tokenizer: Any,
    sentences: Any,
    word: Any,
    *,
    occurrence: Any = 0,
    layer: Any = -1,
    batch_size: Any = 32,
) -> None:
    if isinstance(sentences, str) or not isinstance(sentences, Sequence) or not sentences:
        raise ValueError(f"sentences must be a list of one sentence or more, got {describe(sentences)}")
    for sentence in sentences:
        if not isinstance(sentence, str):
            raise TypeError(f"sentences must be strings, got {describe(sentence)}")
    if not isinstance(word, Sequence):
        raise ValueError(f"word must be a word, or one for each sentence, got {describe(word)}")
    words = [word] * len(sentences) if isinstance(word, str) else word
    if not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"word must be a word, or one for each sentence, got {describe(word)}")
    if len(words) != len(sentences):
        raise ValueError(f"word must be one for each of the {len(sentences)} sentences, got {len(words)}")
    if not getattr(tokenizer, "is_fast", False):
        raise TypeError(
            f"tokenizer must be one of transformers' fast ones, which know where a token stands in the text, "
            f"got {type(tokenizer).__name__}"
        )
    require_count("occurrence", occurrence, minimum=0)
    require_count("batch_size", batch_size)
    depth = model.config.num_hidden_layers
    if isinstance(layer, bool) or not isinstance(layer, int) or not -depth - 1 <= layer <= depth:
        raise ValueError(f"layer must be from {-depth - 1} to {depth} (0 is the embedding), got {describe(layer)}")


@requires(_check)
@torch.inference_mode()
def contextual_states(
    model: Any,
    tokenizer: Any,
    sentences: Sequence[str],
    word: str | Sequence[str],
    *,
    occurrence: int = 0,
    layer: int = -1,
    batch_size: int = 32,
) -> Float[Tensor, "sentence d_model"]:
    """Return one vector a sentence for a word in it: the mean of a layer's states over the word's tokens.

    Parameters
    ----------
    model
        An encoder of transformers, such as ``AutoModel.from_pretrained`` gives; it is put into evaluation mode.
    tokenizer
        Its fast tokenizer.
    sentences
        Each holds its word.
    word
        One word for all sentences, or one for each, in any case of letters; only whole words count.
    occurrence
        Which of the word's occurrences in each sentence, from 0.
    layer
        Whose states: -1 is the last layer's, 0 the embedding before the first.
    batch_size
        How many sentences go through the model together.

    Raises
    ------
    TypeError
        If the tokenizer is not a fast one, or a sentence no string.
    ValueError
        If there is no sentence, one does not hold the word, or holds it beyond the model's longest input, or the
        model has no such layer.
    """
    model.eval()
    words = [word] * len(sentences) if isinstance(word, str) else word
    spans = [find_word(*pair, occurrence) for pair in zip(sentences, words, strict=True)]
    states = [
        _states(model, tokenizer, sentences[start : start + batch_size], spans[start : start + batch_size], layer)
        for start in range(0, len(sentences), batch_size)
    ]
    return torch.cat(states).cpu()


def _states(
    model: Any, tokenizer: Any, sentences: Sequence[str], spans: Sequence[tuple[int, int]], layer: int
) -> Float[Tensor, "sentence d_model"]:
    inputs = tokenizer(
        list(sentences),
        padding=True,
        truncation=True,
        max_length=min(tokenizer.model_max_length, model.config.max_position_embeddings),
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    begin, end = inputs.pop("offset_mapping").unbind(-1)
    word_begin, word_end = torch.tensor(spans)[:, :, None].unbind(1)
    # Tokens that overlap the word; special tokens and padding are empty, from 0 to 0.
    is_word = (begin < word_end) & (end > word_begin) & (end > begin)
    cut_off = (~is_word.any(-1)).nonzero().flatten().tolist()
    if cut_off:
        raise ValueError(f"sentences must hold the word before they are cut off, got {sentences[cut_off[0]][:80]!r}...")
    hidden = model(**inputs.to(model.device), output_hidden_states=True).hidden_states[layer]
    weights = (is_word / is_word.sum(-1, keepdim=True)).to(hidden)
    return torch.einsum("bp,bpd->bd", weights, hidden)
