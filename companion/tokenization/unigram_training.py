"""Learn the pieces of Unigram: begin with too many, fit their probabilities, drop those that matter least."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.progress import Progress

from companion._validation import require_count, require_finite
from companion.tokenization.base import require_texts
from companion.tokenization.lattice import Lattices

TINY = 1e-300  # stands for an expected count of 0, whose logarithm would be infinite


def check_training(
    texts: Any,
    vocab_size: Any,
    *,
    max_piece_length: Any = 16,
    seed_size: Any = None,
    n_em_steps: Any = 2,
    kept_share: Any = 0.75,
    character_coverage: Any = 1.0,
    **_: Any,
) -> None:
    """Raise unless these can be arguments of a training."""
    require_texts("texts", texts)
    require_count("vocab_size", vocab_size)
    require_count("max_piece_length", max_piece_length)
    require_count("n_em_steps", n_em_steps)
    if seed_size is not None:
        require_count("seed_size", seed_size)
    require_finite("kept_share", kept_share)
    if not 0 < kept_share < 1:
        raise ValueError(f"kept_share must be above 0 and below 1, got {kept_share}")
    require_finite("character_coverage", character_coverage)
    if not 0 < character_coverage <= 1:
        raise ValueError(f"character_coverage must be above 0 and at most 1, got {character_coverage}")


def frequent_substrings(word_counts: Mapping[str, int], max_length: int) -> dict[str, int]:
    """Count the substrings of words: every character, and whatever is longer and occurs twice or more.

    A substring can only be frequent if what is left without its last character is, so each length builds on the
    frequent ones of the length before.
    """
    text = "".join(word_counts)
    if not text:
        return {}
    lengths = np.array([len(word) for word in word_counts])
    weight = np.repeat(np.array(list(word_counts.values()), dtype=np.int64), lengths)
    room = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(text))  # characters up to the end of the word
    alphabet, letters = np.unique(np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32), return_inverse=True)
    places, ids = np.arange(len(text)), letters
    found: dict[str, int] = {}
    for length in range(1, max_length + 1):
        _, first, ids = np.unique(ids, return_index=True, return_inverse=True)
        counts = np.bincount(ids, weights=weight[places]).astype(np.int64)
        frequent = counts >= (2 if length > 1 else 1)
        for place, count in zip(places[first][frequent].tolist(), counts[frequent].tolist(), strict=True):
            found[text[place : place + length]] = count
        alive = frequent[ids] & (room[places] > length)
        places, ids = places[alive], ids[alive]
        if not len(places):
            break
        ids = ids * len(alphabet) + letters[places + length]
    return found


def seed_pieces(word_counts: Mapping[str, int], max_length: int, size: int) -> dict[str, int]:
    """Return all characters and the substrings that cover most of the text, no more than ``size`` with them."""
    counts = frequent_substrings(word_counts, max_length)
    letters = sorted(piece for piece in counts if len(piece) == 1)
    longer = sorted((piece for piece in counts if len(piece) > 1), key=lambda p: (-counts[p] * len(p), p))
    return {piece: counts[piece] for piece in letters + longer[: max(0, size - len(letters))]}


def log_frequencies(counts: np.ndarray) -> np.ndarray:
    """Return the log-probabilities under which the counts are most likely: EM's M step."""
    counts = np.maximum(counts, TINY)
    return np.log(counts) - np.log(counts.sum())


def losses(pieces: list[str], scores: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return how much log-likelihood each piece is worth: what its occurrences lose if it is spelt by other pieces.

    A character has no other spelling, so its loss is infinite.
    """
    longer = [index for index, piece in enumerate(pieces) if len(piece) > 1]
    result = np.full(len(pieces), np.inf)
    if longer:
        ids = {piece: index for index, piece in enumerate(pieces)}
        otherwise, _ = Lattices([pieces[index] for index in longer], ids, whole=False).forward(scores)
        result[longer] = expected[longer] * (scores[longer] - otherwise)
    return result


def learn_pieces(
    word_counts: Mapping[str, int],
    n_pieces: int,
    *,
    max_piece_length: int,
    seed_size: int,
    n_em_steps: int,
    kept_share: float,
    progress: bool,
) -> list[tuple[str, float]]:
    """Return pieces and their log-probabilities, the most probable first."""
    words = sorted(word_counts)
    weights = np.array([word_counts[word] for word in words], dtype=float)
    seeds = seed_pieces(word_counts, max_piece_length, seed_size)
    pieces, expected = list(seeds), np.array(list(seeds.values()), dtype=float)
    n_letters = sum(len(piece) == 1 for piece in pieces)
    if n_letters > n_pieces:
        raise ValueError(
            f"vocab_size must leave room for the {n_letters} characters of the texts, got room for {n_pieces}; raise "
            "it, or lower character_coverage to leave rare ones unknown"
        )
    if not words:
        return []
    lattices = Lattices(words, {piece: index for index, piece in enumerate(pieces)})
    with Progress(disable=not progress) as bar:
        task = bar.add_task("Dropping pieces", total=max(0, len(pieces) - n_pieces))
        while True:
            scores = log_frequencies(expected)
            for _ in range(n_em_steps):
                expected, _ = lattices.expected_counts(scores, weights)
                scores = log_frequencies(expected)
            if len(pieces) <= n_pieces:
                break
            n_kept = max(n_pieces, int(kept_share * len(pieces)))
            kept = np.zeros(len(pieces), dtype=bool)
            kept[np.argsort(-losses(pieces, scores, expected), kind="stable")[:n_kept]] = True
            bar.update(task, advance=len(pieces) - n_kept)
            lattices.without(kept)
            pieces, expected = [piece for piece, keep in zip(pieces, kept, strict=True) if keep], expected[kept]
    # Short decimals, since `tokenizers` reads longer ones less exactly than it should, and then breaks ties otherwise.
    # A character that only ever occurs inside longer pieces has an expected count near 0, yet new words may need it.
    scores = log_frequencies(np.maximum(expected, 0.5)).round(9)
    return sorted(zip(pieces, scores.tolist(), strict=True), key=lambda item: (-item[1], item[0]))


def split_at_rare(word_counts: Mapping[str, int], coverage: float) -> dict[str, int]:
    """Cut words at the characters left over when the most frequent ones make up ``coverage`` of the text."""
    counts = frequent_substrings(word_counts, 1)
    needed = coverage * sum(counts.values())
    rare: set[str] = set()
    seen = 0
    for letter in sorted(counts, key=lambda c: (-counts[c], c)):
        if seen >= needed:
            rare.add(letter)
        seen += counts[letter]
    if not rare:
        return dict(word_counts)
    result: dict[str, int] = {}
    for word, count in word_counts.items():
        for part in "".join("\0" if letter in rare else letter for letter in word).split("\0"):
            if part:
                result[part] = result.get(part, 0) + count
    return result
