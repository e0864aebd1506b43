"""Word vectors by name: how near two words are, which are nearest, and a is to b as c is to what."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from companion._validation import require_count, requires
from companion.embeddings._checks import require_words


def _check_words(vectors: Any, words: Any, matrix: Any) -> None:
    require_words(words)


class WordVectors:
    """A matrix of vectors, one row a word.

    Parameters
    ----------
    words
        Distinct words.
    matrix
        One finite vector a word, in the same order; kept as float32.

    Raises
    ------
    TypeError
        If the words are not strings, or the matrix is not one of numbers.
    ValueError
        If there is no word, a word comes twice, or the matrix does not fit the words or is not finite.
    """

    @requires(_check_words)
    def __init__(self, words: Sequence[str], matrix: Any) -> None:
        self.words = tuple(words)
        self.index = {word: row for row, word in enumerate(self.words)}
        self.matrix = _as_floats(matrix)
        if not self.words or len(self.index) != len(self.words):
            raise ValueError(
                f"words must be distinct and at least one, got {len(self.words)}, {len(self.index)} distinct"
            )
        if self.matrix.ndim != 2 or len(self.matrix) != len(self.words) or self.matrix.shape[1] == 0:
            raise ValueError(f"matrix must have one row a word ({len(self.words)}), got shape {self.matrix.shape}")
        if not np.isfinite(self.matrix).all():
            raise ValueError("matrix must be finite, got NaN or infinity; did the training diverge?")

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def __getitem__(self, word: str) -> Float32[np.ndarray, " d_model"]:
        return self.matrix[self.row(word)]

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} words, d_model={self.matrix.shape[1]})"

    @cached_property
    def unit(self) -> Float32[np.ndarray, "vocab d_model"]:
        """The vectors scaled to length 1; a vector of zeros stays one."""
        norm = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        return self.matrix / np.where(norm == 0, 1, norm)

    def row(self, word: str) -> int:
        """Return the number of a word.

        Raises
        ------
        KeyError
            If the word has no vector.
        """
        try:
            return self.index[word]
        except (KeyError, TypeError):
            raise KeyError(f"{word!r} has no vector among the {len(self)} words; check the spelling and case") from None

    def similarity(self, word1: str, word2: str) -> float:
        """Return the cosine of the angle between two words' vectors, in [-1, 1].

        Raises
        ------
        KeyError
            If a word has no vector.
        """
        return float(self.unit[self.row(word1)] @ self.unit[self.row(word2)])

    def head(self, n: int) -> "WordVectors":
        """Return the first ``n`` words only: in files of vectors the most frequent ones, which tests are often cut to.

        Raises
        ------
        ValueError
            If ``n`` is below 1.
        """
        require_count("n", n)
        return WordVectors(self.words[:n], self.matrix[:n])

    def most_similar(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """Return the ``n`` words nearest to a word by cosine, the nearest first, the word itself left out.

        Raises
        ------
        KeyError
            If the word has no vector.
        """
        row = self.row(word)
        return self._nearest(self.unit[row], n, [row])

    def analogy(self, a: str, b: str, c: str, n: int = 10) -> list[tuple[str, float]]:
        """Answer "a is to b as c is to what?" with the ``n`` best words and their scores.

        Scores are the cosines with b - a + c, all of length 1 (3CosAdd). The three words of the question are left
        out, as everywhere in the literature: without that the best answer is mostly b or c itself.

        Raises
        ------
        KeyError
            If a word has no vector.

        References
        ----------
        Mikolov et al. (2013), Linguistic Regularities in Continuous Space Word Representations; Levy and Goldberg
        (2014), Linguistic Regularities in Sparse and Explicit Word Representations, equation 1, for the name.
        """
        rows = [self.row(word) for word in (a, b, c)]
        first, second, third = self.unit[rows]
        target = second - first + third
        return self._nearest(target / max(float(np.linalg.norm(target)), 1e-12), n, rows)

    def _nearest(self, target: Float32[np.ndarray, " d_model"], n: int, without: list[int]) -> list[tuple[str, float]]:
        require_count("n", n)
        scores = self.unit @ target
        scores[without] = -np.inf
        n = min(n, len(self) - len(set(without)))
        best = np.argsort(-scores, kind="stable")[:n]
        return [(self.words[row], float(scores[row])) for row in best]

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> None:
        """Write the vectors to a safetensors file, with float16 (half the size) if asked.

        The file is complete or not there: it is written under another name first.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        """
        path = Path(path)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"path must be in a folder that exists, got {path}; make {path.parent} first")
        matrix = self.matrix.astype(np.float16) if half else self.matrix
        metadata = {"words": json.dumps(self.words, ensure_ascii=False)}
        partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
        try:
            partial.write_bytes(save({"matrix": np.ascontiguousarray(matrix)}, metadata=metadata))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "WordVectors":
        """Read vectors that :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not one of word vectors.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path} does not exist")
        try:
            with safe_open(path, framework="numpy") as file:
                return cls(json.loads((file.metadata() or {})["words"]), file.get_tensor("matrix"))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a file of word vectors: {error}; WordVectors.save writes them") from error


def _as_floats(matrix: Any) -> np.ndarray:
    try:
        return np.asarray(matrix, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # the last is torch's, for a tensor that has a gradient
        raise TypeError(f"matrix must be a table of numbers, got {type(matrix).__name__}: {error}") from error
