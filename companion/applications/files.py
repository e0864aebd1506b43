"""Whole files through a classifier, in bounded memory: every line is answered or told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from companion._validation import require_count, requires
from companion.applications.classification import Classifier, Prediction, check_classifier, predictions
from companion.applications.texts import LONGEST, Text, check_source, read_texts
from companion.finetuning import LeftOut
from companion.finetuning.lines import ByteStream


class Classified(NamedTuple):
    """What a classifier says of a line's text."""

    line: int
    """Where the text begins in the file; the first line is 1."""
    prediction: Prediction


def _check(source: Any, classifier: Any, *, batch_size: Any = 32, **options: Any) -> None:
    check_source(source, **options)
    check_classifier(classifier)
    require_count("batch_size", batch_size)


@requires(_check)
def classify_file(
    source: str | Path | ByteStream,
    classifier: Classifier,
    *,
    column: str | None = None,
    kind: str | None = None,
    batch_size: int = 32,
    longest: int = LONGEST,
) -> Iterator[Classified | LeftOut]:
    """Label the texts of a file of any size, in their order; a line that holds none is told, and the next one read.

    Parameters
    ----------
    source
        A file's path, or a file that is open for reading bytes, such as ``sys.stdin.buffer``; in UTF-8, or in UTF-16
        that begins with its mark.
    classifier
        Such as :meth:`Classifier.load` reads.
    column
        The column or the key that holds the text; ``"text"`` by default.
    kind
        ``"text"`` for one text a line, ``"jsonl"``, ``"csv"`` or ``"tsv"``; by default what the file's name ends in,
        or else what its first line looks like.
    batch_size
        How many texts go through the model together; so many lines are read before the first answer.
    longest
        A line of more bytes than this is passed over and told.

    Returns
    -------
    iterator of Classified or LeftOut
        One for each line, or row of a table; :class:`companion.finetuning.LeftOut` for one that holds no text.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, or, at the first answer, the file holds no table with such a column.
    OSError
        If it cannot be read.
    """
    texts = read_texts(source, column=column, kind=kind, longest=longest)
    return answer(texts, classifier, batch_size)


def answer(texts: Iterator[Text | LeftOut], classifier: Classifier, batch_size: int) -> Iterator[Classified | LeftOut]:
    """Label texts in batches; what is left out stays in its place."""
    while some := list(islice(texts, batch_size)):
        answers = iter(predictions(classifier, [one.text for one in some if isinstance(one, Text)]))
        for one in some:
            yield Classified(one.line, next(answers)) if isinstance(one, Text) else one
