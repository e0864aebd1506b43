"""Checkpoints that are either whole or not there: written aside, pushed to the disk, then renamed."""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from companion.training.errors import RunError

Parts = Mapping[str, Mapping[str, Tensor]]
FACTS = "run.json"
NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint: its folder, the step it was taken after, and the facts beside the tensors."""

    path: Path
    step: int
    facts: dict[str, Any]

    def load(self, part: str) -> dict[str, Tensor]:
        """Read the tensors of one part, such as ``"model"``."""
        return safetensors.torch.load_file(self.path / f"{part}.safetensors")


class Checkpoints:
    """The checkpoints of one run: a folder each, named after the step, with tensors, facts and checksums.

    Parameters
    ----------
    folder
        Where they are.
    keep
        How many stay, the newest ones.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def write(self, step: int, parts: Parts, facts: Mapping[str, Any]) -> Path:
        """Write a checkpoint, and remove those that are no longer kept.

        Whatever stops it, a full disk or a killed process, the earlier ones stay as they are.

        Raises
        ------
        RunError
            If it cannot be written; the message says what is missing.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        aside, final = self.folder / f".writing-{step:08d}", self.folder / f"step-{step:08d}"
        try:
            _write_folder(aside, parts, {**facts, "step": step})
        except (OSError, SafetensorError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise RunError(self._say_unwritten(step, parts, error)) from error
        if final.exists():  # damaged, or of a run that was taken up again before it
            final.rename(self.folder / f".old-{step:08d}")
        aside.rename(final)
        _push_to_disk(self.folder)
        self._remove_old()
        return final

    def newest(self) -> Checkpoint | None:
        """Find the newest checkpoint that is whole; None when there has never been one.

        Raises
        ------
        RunError
            If there are checkpoints and none of them is whole.
        """
        found = self._steps()
        for step, path in reversed(found):
            try:
                return Checkpoint(path, step, _verified(path))
            except (OSError, ValueError, KeyError) as error:
                warnings.warn(f"the checkpoint {path} is damaged and left out: {error}", stacklevel=2)
        if found:
            raise RunError(
                f"none of the {len(found)} checkpoints in {self.folder} is whole; the warnings say what is wrong with "
                "each. Remove the folder to begin anew"
            )
        return None

    def _steps(self) -> list[tuple[int, Path]]:
        if not self.folder.is_dir():
            return []
        matches = [(NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        return sorted((int(match[1]), path) for match, path in matches if match)

    def _sweep(self) -> None:
        for path in self.folder.glob(".*-*"):
            shutil.rmtree(path, ignore_errors=True)

    def _remove_old(self) -> None:
        for step, path in self._steps()[: -self.keep]:
            # Renamed first: a half-removed folder must not look like a damaged checkpoint.
            aside = self.folder / f".old-{step:08d}"
            path.rename(aside)
        self._sweep()

    def _say_unwritten(self, step: int, parts: Parts, error: Exception) -> str:
        size = sum(tensor.nbytes for part in parts.values() for tensor in part.values())
        kept = self._steps()
        last = f"the last good one is {kept[-1][1]}" if kept else "there is no earlier one"
        return (
            f"the checkpoint of step {step} could not be written to {self.folder}: {error}. It needs "
            f"{size / 1e6:.1f} MB; {last}. Make room, then resume the run"
        )


def _write_folder(folder: Path, parts: Parts, facts: Mapping[str, Any]) -> None:
    folder.mkdir()
    checksums = {}
    for part, tensors in parts.items():
        path = folder / f"{part}.safetensors"
        safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        _push_to_disk(path)
        checksums[path.name] = _checksum(path)
    path = folder / FACTS
    whole = {**facts, "checksums": checksums}
    text = json.dumps({**whole, "checksum": _text_checksum(whole)}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    _push_to_disk(path)
    _push_to_disk(folder)


def _verified(folder: Path) -> dict[str, Any]:
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if not isinstance(facts, dict) or not isinstance(facts.get("checksums"), dict):
        raise ValueError(f"{FACTS} is not what a checkpoint has")
    if facts.pop("checksum", None) != _text_checksum(facts):
        raise ValueError(f"{FACTS} is not what was written (its checksum differs)")
    for name, expected in facts["checksums"].items():
        if _checksum(folder / name) != expected:
            raise ValueError(f"{name} is not what was written (its checksum differs)")
    return facts


def _text_checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _push_to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows does not open folders
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
