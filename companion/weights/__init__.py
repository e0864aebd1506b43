"""Weights to and from other libraries: checkpoints found, read safely, and every tensor accounted for."""

from companion.weights.bert import BERT_FAMILY
from companion.weights.errors import CheckpointError
from companion.weights.family import Family
from companion.weights.files import Checkpoint, StoredTensor, find_checkpoint, open_checkpoint, write_checkpoint
from companion.weights.gpt2 import GPT2_FAMILY
from companion.weights.llama import LLAMA_FAMILY
from companion.weights.rename import Match, RenameTable, Rule
from companion.weights.report import LoadReport
from companion.weights.settings import Settings
from companion.weights.t5 import T5_FAMILY

__all__ = [
    "BERT_FAMILY",
    "GPT2_FAMILY",
    "LLAMA_FAMILY",
    "T5_FAMILY",
    "Checkpoint",
    "CheckpointError",
    "Family",
    "LoadReport",
    "Match",
    "RenameTable",
    "Rule",
    "Settings",
    "StoredTensor",
    "find_checkpoint",
    "open_checkpoint",
    "write_checkpoint",
]
