"""Applications: what a fine-tuned model is for, from a function and from the command line.

Names are imported on first use, so that the command line can list its commands without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from companion.applications.classification import Classifier, Prediction, classify
    from companion.applications.files import Classified, classify_file
    from companion.applications.influence import Influence, occlusion
    from companion.applications.thresholds import Threshold, choose_threshold

__all__ = [
    "Classified",
    "Classifier",
    "Influence",
    "Prediction",
    "Threshold",
    "choose_threshold",
    "classify",
    "classify_file",
    "occlusion",
]

_HOMES = {
    "classification": ("Classifier", "Prediction", "classify"),
    "files": ("Classified", "classify_file"),
    "influence": ("Influence", "occlusion"),
    "thresholds": ("Threshold", "choose_threshold"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
