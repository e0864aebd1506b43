"""Scores of entities in tagged texts: seqeval's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from companion._optional import MissingPackageError, optional_import
from companion._validation import describe, requires
from companion.metrics._checks import require_as_many

SCHEMES = ("IOB1", "IOB2", "IOE1", "IOE2", "IOBES", "BILOU")


class EntityScores(NamedTuple):
    """How well entities were found: each counts only when its beginning, its end and its kind are all right."""

    precision: float
    recall: float
    f1: float
    n_entities: int
    """How many entities the references hold."""


def _seqeval(module: str) -> Any:
    try:
        return optional_import(f"seqeval.{module}", extra="metrics", purpose="to score entities")
    except MissingPackageError as error:
        raise MissingPackageError(
            f"{error}. Where its source does not build, run `pip install setuptools setuptools_scm wheel` and then "
            "`pip install --no-build-isolation seqeval`",
            name=error.name,
        ) from error


def _check(references: Any, predictions: Any, *, scheme: Any = None) -> None:
    for name, texts in (("references", references), ("predictions", predictions)):
        if isinstance(texts, str) or not isinstance(texts, Sequence) or not texts:
            raise TypeError(f"{name} must be a list of texts, each a list of tags, got {describe(texts)}")
        for i, tags in enumerate(texts):
            if isinstance(tags, str) or not isinstance(tags, Sequence):
                raise TypeError(f"{name}[{i}] must be a list of tags, got {describe(tags)}")
            for tag in tags:
                _check_tag(f"{name}[{i}]", tag)
    require_as_many(references, predictions)
    for i, (reference, prediction) in enumerate(zip(references, predictions, strict=True)):
        if len(reference) != len(prediction):
            raise ValueError(
                f"predictions[{i}] must have a tag for each of its {len(reference)} tokens, got {len(prediction)}; "
                "was the text cut off?"
            )
    if scheme is not None and scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)} or None, got {describe(scheme)}")


def _check_tag(name: str, tag: Any) -> None:
    if not isinstance(tag, str):
        raise TypeError(f"{name} must hold tags such as 'B-person', got {describe(tag)}")
    mark, dash, kind = tag.partition("-")
    if tag != "O" and (mark not in {*"BIOESLU"} or not dash or not kind):
        raise ValueError(f"{name} must hold 'O' and tags such as 'B-person' and 'I-person', got {tag!r}")


@requires(_check)
def entity_f1(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], *, scheme: str | None = None
) -> EntityScores:
    """Score entities in tagged texts, over all texts and kinds together (micro).

    Parameters
    ----------
    references, predictions
        For each text its tokens' tags: ``"O"``, ``"B-person"``, ``"I-person"`` and so on.
    scheme
        None reads tags leniently, as the script of CoNLL-2000 does: an ``I-`` that follows no ``B-`` begins an entity.
        ``"IOB2"`` and the like are strict: an entity that is not written as the scheme has it is none.

    Raises
    ------
    TypeError, ValueError
        If a tag is not one, or a text's tags are not as many as its tokens.
    ImportError
        If seqeval is missing.

    References
    ----------
    Tjong Kim Sang and De Meulder (2003), Introduction to the CoNLL-2003 Shared Task.
    """
    options: dict[str, Any] = {"average": "micro", "zero_division": 0}
    module = "metrics.sequence_labeling"
    if scheme is not None:
        module, options["scheme"] = "metrics.v1", getattr(_seqeval("scheme"), scheme)
    reference, prediction = [list(tags) for tags in references], [list(tags) for tags in predictions]
    scores = _seqeval(module).precision_recall_fscore_support(reference, prediction, **options)
    precision, recall, score, count = map(float, scores)
    return EntityScores(precision, recall, score, int(count))
