"""Models that come with this package: our own checkpoints, trained on the texts of this course."""

from pathlib import Path

#: Their names, which ``from_pretrained`` of the model classes takes.
PACKAGED = ("tiny-gpt", "tiny-bert", "tiny-t5", "tiny-bert-zh")


def packaged_path(name: str) -> Path:
    """Return the folder of one of them.

    Raises
    ------
    ValueError
        If there is none of this name; the message lists those there are.
    """
    if name not in PACKAGED:
        raise ValueError(f"name must be one of {', '.join(PACKAGED)}, got {name!r}")
    return Path(__file__).parents[1] / "checkpoints" / name
