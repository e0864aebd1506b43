"""Training that knows no model: how a step is computed, and how fast."""

from companion.training.mode import PLAIN, Mode, fast_mode
from companion.training.step import TrainingStep, adamw

__all__ = ["PLAIN", "Mode", "TrainingStep", "adamw", "fast_mode"]
