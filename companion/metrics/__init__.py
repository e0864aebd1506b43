"""Scores: other libraries' behind one face, references first, and the few that no kept library has."""

from companion.metrics.calibration import Reliability, expected_calibration_error, reliability
from companion.metrics.classification import accuracy, auc, f1, mcc
from companion.metrics.likelihood import bits_per_byte, count_bytes, perplexity
from companion.metrics.significance import (
    Difference,
    Interval,
    McNemar,
    bootstrap_interval,
    mcnemar,
    paired_bootstrap,
)
from companion.metrics.tags import EntityScores, entity_f1
from companion.metrics.texts import bleu, chrf, exact_match, normalize_answer, rouge, token_f1

__all__ = [
    "Difference",
    "EntityScores",
    "Interval",
    "McNemar",
    "Reliability",
    "accuracy",
    "auc",
    "bits_per_byte",
    "bleu",
    "bootstrap_interval",
    "chrf",
    "count_bytes",
    "entity_f1",
    "exact_match",
    "expected_calibration_error",
    "f1",
    "mcc",
    "mcnemar",
    "normalize_answer",
    "paired_bootstrap",
    "perplexity",
    "reliability",
    "rouge",
    "token_f1",
]
