"""Scores of written texts: sacrebleu's and rouge-score's, and the two of question answering, which have no package."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from companion._optional import optional_import
from companion._validation import describe, require_count, requires
from companion.metrics._checks import as_reference_texts

References = Sequence[str] | Sequence[Sequence[str]]
ROUGE_KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
ARTICLES = re.compile(r"\b(?:a|an|the)\b")
# Han, kana and hangul: written without spaces, or with spaces that are not between all words.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
PIECES = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def _check(references: Any, predictions: Any, **_: Any) -> None:
    as_reference_texts(references, predictions)


def normalize_answer(text: str) -> str:
    """Return an answer without what no one would call wrong: case, punctuation, articles and repeated spaces.

    References
    ----------
    Rajpurkar et al. (2016), SQuAD: 100,000+ Questions for Machine Comprehension of Text, section 6.1.
    """
    letters = "".join(character for character in text.lower() if not _is_punctuation(character))
    return " ".join(ARTICLES.sub(" ", letters).split())


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


@requires(_check)
def exact_match(references: References, predictions: Sequence[str]) -> float:
    """Return the share of answers that are one of their references, up to :func:`normalize_answer`.

    Parameters
    ----------
    references
        For each answer the right one, or a list of those that are right.
    predictions
        The answers.

    Raises
    ------
    TypeError, ValueError
        If they are not texts, or not as many.
    """
    pairs = zip(*as_reference_texts(references, predictions), strict=True)
    hits = [normalize_answer(answer) in map(normalize_answer, right) for right, answer in pairs]
    return sum(hits) / len(hits)


@requires(_check)
def token_f1(references: References, predictions: Sequence[str]) -> float:
    """Return the mean F1 of the answers' words: an answer that overlaps its best reference counts in part.

    A Chinese, Japanese or Korean character counts as a word.

    Parameters
    ----------
    references
        For each answer the right one, or a list of those that are right.
    predictions
        The answers.

    Raises
    ------
    TypeError, ValueError
        If they are not texts, or not as many.

    References
    ----------
    Rajpurkar et al. (2016), SQuAD, section 6.1; Cui et al. (2019), A Span-Extraction Dataset for Chinese Machine
    Reading Comprehension, for characters.
    """
    pairs = zip(*as_reference_texts(references, predictions), strict=True)
    scores = [max(_overlap(one, answer) for one in right) for right, answer in pairs]
    return sum(scores) / len(scores)


def _overlap(right: str, answer: str) -> float:
    expected, given = (Counter(PIECES.findall(normalize_answer(text))) for text in (right, answer))
    if not expected or not given:  # an empty answer is right only where nothing is
        return float(expected == given)
    common = (expected & given).total()
    return 2 * common / (expected.total() + given.total())


def _columns(references: list[list[str]]) -> list[list[str | None]]:
    """Turn lists of references into sacrebleu's form: the first of each text, the second of each, and so on."""
    most = max(map(len, references))
    return [[one[i] if i < len(one) else None for one in references] for i in range(most)]


def _sacrebleu(purpose: str) -> Any:
    return optional_import("sacrebleu", extra="metrics", purpose=purpose)


def _check_bleu(references: Any, predictions: Any, *, tokenize: Any = "13a") -> None:
    _check(references, predictions)
    known = sorted(_sacrebleu("to compute BLEU").BLEU.TOKENIZERS)
    if tokenize not in known:
        raise ValueError(f"tokenize must be one of {', '.join(known)}, got {describe(tokenize)}")


@requires(_check_bleu)
def bleu(references: References, predictions: Sequence[str], *, tokenize: str = "13a") -> float:
    """Return BLEU of all texts together, from 0 to 100, as sacrebleu computes it.

    Parameters
    ----------
    references
        For each text the right one, or a list of those that are right.
    predictions
        The texts written.
    tokenize
        How texts are cut into words: ``"13a"`` for languages with spaces, ``"zh"`` for Chinese, whose characters stand
        alone. Scores of different cuts cannot be compared.

    Raises
    ------
    TypeError, ValueError
        If they are not texts or not as many, or there is no such cut.
    ImportError
        If sacrebleu is missing.

    References
    ----------
    Papineni et al. (2002), BLEU: a Method for Automatic Evaluation of Machine Translation. Post (2018), A Call for
    Clarity in Reporting BLEU Scores.
    """
    several, predicted = as_reference_texts(references, predictions)
    scorer = _sacrebleu("to compute BLEU").BLEU(tokenize=tokenize)
    return float(scorer.corpus_score(predicted, _columns(several)).score)


def _check_chrf(references: Any, predictions: Any, *, word_order: Any = 0) -> None:
    _check(references, predictions)
    require_count("word_order", word_order, minimum=0)


@requires(_check_chrf)
def chrf(references: References, predictions: Sequence[str], *, word_order: int = 0) -> float:
    """Return chrF, the F-score of the sequences of characters, from 0 to 100, as sacrebleu computes it.

    Parameters
    ----------
    references
        For each text the right one, or a list of those that are right.
    predictions
        The texts written.
    word_order
        Up to how many words in sequence count too: 0 is chrF, 2 is chrF++.

    Raises
    ------
    TypeError, ValueError
        If they are not texts or not as many.
    ImportError
        If sacrebleu is missing.

    References
    ----------
    Popović (2015), chrF: character n-gram F-score for automatic MT evaluation.
    """
    several, predicted = as_reference_texts(references, predictions)
    scorer = _sacrebleu("to compute chrF").CHRF(word_order=word_order)
    return float(scorer.corpus_score(predicted, _columns(several)).score)


class _Pieces:
    """Cut a text for rouge-score: its own cut keeps a to z and digits alone, so a Chinese text would score 0."""

    def __init__(self, stem: Any) -> None:
        self.stem = stem

    def tokenize(self, text: str) -> list[str]:
        words = PIECES.findall(text.lower().replace("_", " "))
        # As rouge-score has it: short words stay.
        return [self.stem(word) if self.stem and len(word) > 3 else word for word in words]


def _check_rouge(references: Any, predictions: Any, *, kinds: Any = ROUGE_KINDS[:3], stem: Any = False) -> None:
    _check(references, predictions)
    if isinstance(kinds, str) or not isinstance(kinds, Sequence) or not kinds:
        raise TypeError(f"kinds must be a list of {', '.join(ROUGE_KINDS)}, got {describe(kinds)}")
    for kind in kinds:
        if kind not in ROUGE_KINDS:
            raise ValueError(f"kinds must be of {', '.join(ROUGE_KINDS)}, got {describe(kind)}")
    if not isinstance(stem, bool):
        raise TypeError(f"stem must be True or False, got {describe(stem)}")


@requires(_check_rouge)
def rouge(
    references: References,
    predictions: Sequence[str],
    *,
    kinds: Sequence[str] = ROUGE_KINDS[:3],
    stem: bool = False,
) -> dict[str, float]:
    """Return the mean ROUGE F-scores, from 0 to 1, as rouge-score computes them; of several references the best.

    Words are cut so that accented letters stay, and a Chinese, Japanese or Korean character counts as a word: the
    package's own cut would drop both.

    Parameters
    ----------
    references
        For each text the right one, or a list of those that are right.
    predictions
        The texts written, such as summaries.
    kinds
        ``"rouge1"`` and ``"rouge2"`` compare words and pairs of words, ``"rougeL"`` the longest common subsequence,
        ``"rougeLsum"`` the same line by line.
    stem
        Whether English words are cut to their stems first.

    Raises
    ------
    TypeError, ValueError
        If they are not texts or not as many, or there is no such kind.
    ImportError
        If rouge-score is missing.

    References
    ----------
    Lin (2004), ROUGE: A Package for Automatic Evaluation of Summaries.
    """
    several, predicted = as_reference_texts(references, predictions)
    package = optional_import("rouge_score.rouge_scorer", extra="metrics", purpose="to compute ROUGE")
    stemmer = None
    if stem:
        porter = optional_import("nltk.stem.porter", extra="metrics", purpose="to cut words to their stems")
        stemmer = porter.PorterStemmer().stem
    scorer = package.RougeScorer(list(kinds), tokenizer=_Pieces(stemmer))
    totals = dict.fromkeys(kinds, 0.0)
    for right, text in zip(several, predicted, strict=True):
        scores = scorer.score_multi(right, text)
        for kind in kinds:
            totals[kind] += scores[kind].fmeasure
    return {kind: total / len(predicted) for kind, total in totals.items()}
