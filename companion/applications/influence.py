"""What a classifier looks at: each word is left out in turn, and the probability watched."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from companion._validation import describe, require_count, requires
from companion.applications.classification import Classifier, check_classifier
from companion.finetuning import find_words


class Influence(NamedTuple):
    """What a word does to the probability of a label."""

    word: str
    start: int
    """Where the word begins in the text."""
    end: int
    """Where it ends."""
    change: float
    """The probability with the word, less the one without it; above 0 where the word speaks for the label."""


def _check(classifier: Any, text: Any, *, label: Any = None, batch_size: Any = 32) -> None:
    check_classifier(classifier)
    if not isinstance(text, str):
        raise TypeError(f"text must be a text, got {describe(text)[:200]}")
    if not find_words(text):
        raise ValueError(f"text must have a word, got {text[:40]!r}")
    if label is not None and label not in classifier.labels:
        raise ValueError(f"label must be one of {', '.join(classifier.labels)}, got {describe(label)}")
    require_count("batch_size", batch_size)


@requires(_check)
def occlusion(classifier: Classifier, text: str, *, label: str | None = None, batch_size: int = 32) -> list[Influence]:
    """Leave out each word of a text in turn, and say by how much the probability of the label was higher with it.

    Parameters
    ----------
    classifier
        Anything that classifies: the model is only asked, never opened.
    text
        A text; a sign, or a character of Chinese or Japanese, is a word too.
    label
        Whose probability is watched; the likeliest label's by default.
    batch_size
        How many of the shortened texts go through the model together.

    Returns
    -------
    list of Influence
        One a word, in their order.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, the text has no word, or there is no such label.

    References
    ----------
    Li, Monroe and Jurafsky (2016), Understanding Neural Networks through Representation Erasure, section 3. Zeiler and
    Fergus (2014), Visualizing and Understanding Convolutional Networks, section 4.2, for images.
    """
    spans = find_words(text)
    shortened = [text, *(text[:start] + text[end:] for start, end in spans)]
    rows = np.concatenate(
        [classifier.probabilities(shortened[i : i + batch_size]) for i in range(0, len(shortened), batch_size)]
    )
    watched = int(rows[0].argmax()) if label is None else classifier.labels.index(label)
    changes = rows[0, watched] - rows[1:, watched]
    return [
        Influence(text[start:end], start, end, change)
        for (start, end), change in zip(spans, changes.tolist(), strict=True)
    ]
