"""What all models can do with weights: read a checkpoint, write one, and become a model of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from companion._validation import describe, requires
from companion.transformer.initialization import require_generator
from companion.weights import CheckpointError, Family, LoadReport, open_checkpoint
from companion.weights.family import plan, read_tensors, to_transformers, understand, write
from companion.weights.files import require_name, require_path

_Model = TypeVar("_Model", bound="PretrainedModel")


def _check_from_pretrained(
    cls: type, name_or_path: Any, *, revision: Any = None, dtype: Any = torch.float32, generator: Any = None
) -> None:
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating point torch.dtype, such as torch.float32, got {describe(dtype)}")
    require_generator(generator)
    require_name(name_or_path, revision)


def _check_save(model: nn.Module, folder: Any) -> None:
    require_path("folder", folder)


class PretrainedModel(nn.Module):
    """A model that has a form in transformers, and so checkpoints that it can read and write."""

    family: ClassVar[Family]
    config_class: ClassVar[type]
    config: Any

    load_report: LoadReport | None = None
    """Where each tensor of the checkpoint went; None for a model that was not read from one."""

    @classmethod
    @requires(_check_from_pretrained)
    def from_pretrained(
        cls: type[_Model],
        name_or_path: str | Path,
        *,
        revision: str | None = None,
        dtype: torch.dtype = torch.float32,
        generator: torch.Generator | None = None,
    ) -> _Model:
        """Read a model from a checkpoint: a folder, a model of this course by name, or one of the Hugging Face hub.

        Every tensor of the checkpoint must have its place, and every parameter its tensor; what was done with each is
        told in ``load_report``. The files are only read as numbers: nothing in them is run.

        Parameters
        ----------
        name_or_path
            A folder, one of our own checkpoints such as ``"tiny-bert"``, a model of :mod:`companion.data`, or a name on
            the hub; they are tried in this order.
        revision
            A branch, tag or commit, for a name on the hub alone.
        dtype
            Of the parameters, in whatever format the checkpoint stores them.
        generator
            Source of the weights of parts that the checkpoint lacks, such as a head; torch's global one by default.

        Returns
        -------
        PretrainedModel
            Of this class, on the CPU and in evaluation mode.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong type, or a revision is given for a folder.
        companion.weights.CheckpointError
            If the checkpoint is damaged, a pickle, of another family, or does not fit; the message lists all reasons.
        FileNotFoundError, ConnectionError
            If there is no such checkpoint, it has not been fetched, or the hub cannot be reached.
        ImportError
            If it is on the hub and the hub's library is missing.
        """
        with open_checkpoint(name_or_path, revision=revision) as checkpoint:
            arguments, notes = understand(cls.family, checkpoint, cls.__name__)
            try:
                config = cls.config_class(**arguments)
            except ValueError as error:
                raise CheckpointError(f"config.json of {checkpoint.source} contradicts itself: {error}") from error
            with torch.device("meta"):  # names and shapes; no memory is taken before they fit
                model = cls(config)
            report = plan(cls.family, checkpoint, config, model.state_dict(), notes)
            tensors = read_tensors(cls.family, checkpoint, config, report, dtype)
        if report.fresh:
            model = cls(config, generator).to(dtype)
        model.load_state_dict(tensors, strict=not report.fresh, assign=True)
        model.load_report = report
        return model.eval()

    @requires(_check_save)
    def save_pretrained(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors``, which transformers loads too, each whole or not at all.

        Parameters
        ----------
        folder
            Where to; it is made when it is not there.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ValueError
            If the family's checkpoints have no form for this model.
        OSError
            If it cannot be written.
        """
        return write(self.family, folder, self.config, self.state_dict())

    def to_transformers(self) -> Any:
        """Make the model of transformers that computes the same, with copies of these weights.

        It has this model's dtype and device, and is in the same mode (training or evaluation). Which tokens begin, end
        and pad a text is not part of a model here: set the tokenizer's in its ``generation_config`` to write with it.

        Raises
        ------
        ValueError
            If transformers has no form for this model.
        ImportError
            If transformers is missing; the message says how to install it.
        """
        return to_transformers(self.family, self.config, self.state_dict()).train(self.training)
