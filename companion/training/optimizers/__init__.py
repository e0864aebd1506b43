"""Optimizers written out as their equations are, each checked against torch's."""

from companion.training.optimizers.adamw import AdamW
from companion.training.optimizers.choice import make_optimizer
from companion.training.optimizers.muon import Muon, orthogonalize
from companion.training.optimizers.sgd import SGD

__all__ = ["SGD", "AdamW", "Muon", "make_optimizer", "orthogonalize"]
