"""The baseline that a fine-tuned model has to beat: counted words and one linear layer."""

from __future__ import annotations

from typing import Any, Literal

from companion._optional import optional_import
from companion._validation import describe, require_count, requires

Analyzer = Literal["words", "characters"]
ANALYZERS = ("words", "characters")
# Words: pairs catch "not good", and a word of one letter ("I", "a") counts. Characters: up to three, across words.
COUNTED: dict[str, dict[str, Any]] = {
    "words": {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    "characters": {"analyzer": "char", "ngram_range": (1, 3)},
}
#: How little the weights are held back. Rows of TF-IDF have the length 1, and want more than scikit-learn's 1.
INVERSE_PENALTY = 10.0


def _check(*, seed: Any, analyzer: Any = "words") -> None:
    require_count("seed", seed, minimum=0)
    if analyzer not in ANALYZERS:
        raise ValueError(f"analyzer must be one of {', '.join(ANALYZERS)}, got {describe(analyzer)}")


@requires(_check)
def tfidf_classifier(*, seed: int, analyzer: Analyzer = "words") -> Any:
    """Make a classifier of texts that knows no word before it is fitted: TF-IDF with logistic regression.

    It learns in a second and needs no pretrained model. What a larger model is worth is how much better it is.

    Parameters
    ----------
    seed
        Of the solver, where it draws anything.
    analyzer
        What is counted: ``"words"`` and pairs of them, or ``"characters"``, up to three in a row, for scripts that
        put no space between words and for telling languages apart.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With ``fit(texts, labels)``, ``predict(texts)`` and ``predict_proba(texts)``.

    Raises
    ------
    TypeError, ValueError
        If the seed is no count, or there is no such analyzer.
    ImportError
        If scikit-learn is missing.

    References
    ----------
    Sparck Jones (1972), A statistical interpretation of term specificity and its application in retrieval. Wang and
    Manning (2012), Baselines and Bigrams: Simple, Good Sentiment and Topic Classification.
    """
    purpose = "for the baseline"
    texts = optional_import("sklearn.feature_extraction.text", extra="labs", purpose=purpose)
    linear = optional_import("sklearn.linear_model", extra="labs", purpose=purpose)
    pipeline = optional_import("sklearn.pipeline", extra="labs", purpose=purpose)
    counts = texts.TfidfVectorizer(lowercase=True, sublinear_tf=True, **COUNTED[analyzer])
    layer = linear.LogisticRegression(C=INVERSE_PENALTY, max_iter=1000, random_state=seed)
    return pipeline.Pipeline([("tfidf", counts), ("logistic", layer)])
