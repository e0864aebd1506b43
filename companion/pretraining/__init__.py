"""Pretraining by name: texts, a tokenizer, an objective, a model and a recipe put together; and what came of it.

Names are imported on first use, so that the command line can list its commands without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion.pretraining.batches import CausalBatches, PairBatches, SpanBatches, make_batches
    from companion.pretraining.checkpoints import Pretrained, load_checkpoint, read_evaluation, read_record
    from companion.pretraining.evaluation import evaluate
    from companion.pretraining.losses import LOSSES, causal_loss, masked_loss, span_loss
    from companion.pretraining.presets import PRESETS, Preset, get_preset
    from companion.pretraining.run import Options, pretrain
    from companion.pretraining.texts import Texts, prepare_texts

__all__ = [
    "LOSSES",
    "PRESETS",
    "CausalBatches",
    "Options",
    "PairBatches",
    "Preset",
    "Pretrained",
    "SpanBatches",
    "Texts",
    "causal_loss",
    "evaluate",
    "get_preset",
    "load_checkpoint",
    "make_batches",
    "masked_loss",
    "prepare_texts",
    "pretrain",
    "read_evaluation",
    "read_record",
    "span_loss",
]

_HOMES = {
    "batches": ("CausalBatches", "PairBatches", "SpanBatches", "make_batches"),
    "checkpoints": ("Pretrained", "load_checkpoint", "read_evaluation", "read_record"),
    "evaluation": ("evaluate",),
    "losses": ("LOSSES", "causal_loss", "masked_loss", "span_loss"),
    "presets": ("PRESETS", "Preset", "get_preset"),
    "run": ("Options", "pretrain"),
    "texts": ("Texts", "prepare_texts"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
