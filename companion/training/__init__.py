"""Training that knows no model: how a step is computed, and how fast; a run of many, logged and saved."""

from companion.training.clipping import clip_gradients
from companion.training.config import TrainerConfig
from companion.training.ema import WeightAverage
from companion.training.errors import NonFiniteError, RunError
from companion.training.history import History, Record
from companion.training.mode import PLAIN, Mode, fast_mode
from companion.training.optimizers import SGD, AdamW, Muon, make_optimizer, orthogonalize
from companion.training.recompute import recomputed
from companion.training.schedules import warmup_constant, warmup_cosine, warmup_linear, wsd
from companion.training.step import TrainingStep, adamw
from companion.training.trainer import Trainer

__all__ = [
    "PLAIN",
    "SGD",
    "AdamW",
    "History",
    "Mode",
    "Muon",
    "NonFiniteError",
    "Record",
    "RunError",
    "Trainer",
    "TrainerConfig",
    "TrainingStep",
    "WeightAverage",
    "adamw",
    "clip_gradients",
    "fast_mode",
    "make_optimizer",
    "orthogonalize",
    "recomputed",
    "warmup_constant",
    "warmup_cosine",
    "warmup_linear",
    "wsd",
]
