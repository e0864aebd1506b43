"""What a family of models needs to be read from a checkpoint, written as one, and made into transformers' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from companion._optional import optional_import
from companion.weights.errors import CheckpointError
from companion.weights.files import DTYPES, Checkpoint, write_checkpoint
from companion.weights.rename import RenameTable
from companion.weights.report import LoadReport, require_all
from companion.weights.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Family:
    """The three translations of one family.

    Parameters
    ----------
    model_type
        What ``config.json`` calls the family.
    architecture
        The class of transformers that has all its parts.
    read_config
        From the settings of a checkpoint to the arguments of our config.
    write_config
        From our config to the settings of transformers'.
    table
        From our config to the names of its tensors.
    """

    model_type: str
    architecture: str
    read_config: Callable[[Settings], dict[str, Any]]
    write_config: Callable[[Any], dict[str, Any]]
    table: Callable[[Any], RenameTable]


def understand(family: Family, checkpoint: Checkpoint, model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Translate a checkpoint's settings into the arguments of our config, and say what else is worth telling.

    Nothing of the size that they name is made yet.

    Raises
    ------
    CheckpointError
        If it is of another family, or a setting is missing, out of range or not built here.
    """
    found = checkpoint.config.get("model_type")
    if found != family.model_type:
        raise CheckpointError(
            f"{checkpoint.source} is of model_type {found!r}, and {model} reads {family.model_type!r}; "
            "load it with the class of its own family"
        )
    settings = Settings(checkpoint.config, checkpoint.source, checkpoint.tensors)
    if "quantization_config" in checkpoint.config:
        settings.problem("quantization_config is set, and quantised weights are not read; use the full ones")
    arguments = family.read_config(settings)
    return arguments, settings.finish()


def plan(
    family: Family, checkpoint: Checkpoint, config: Any, parameters: Mapping[str, Tensor], notes: tuple[str, ...] = ()
) -> LoadReport:
    """Give every tensor of the checkpoint its place, by names, shapes and formats alone.

    Parameters
    ----------
    family, checkpoint
        What is read.
    config
        Our config, made from its settings.
    parameters
        Our parameters by name; of each only the shape is looked at.
    notes
        What the settings had to tell.

    Raises
    ------
    CheckpointError
        Listing every tensor that is missing, unexpected, there twice, of another shape, or not of floating point.
    """
    table, stored = family.table(config), checkpoint.tensors
    match = table.match(stored)
    expected = {name: tuple(tensor.shape) for name, tensor in table.write(parameters).items()}
    unequal = [
        (name, match.found[of])
        for name, of in match.tied.items()
        if stored[name].shape == stored[match.found[of]].shape
        and not torch.equal(checkpoint.read(name), checkpoint.read(match.found[of]))
    ]
    shapes = {name: one.shape for name, one in stored.items()}
    require_all(checkpoint.source, match, shapes, expected, unequal=unequal)
    used = {*match.found.values(), *match.tied}
    odd = [f"{name} ({stored[name].dtype})" for name in stored if name in used and stored[name].dtype not in DTYPES]
    if odd:
        raise CheckpointError(
            f"{checkpoint.source} has tensors that are not of floating point, or quantised: {', '.join(odd)}; "
            f"only {', '.join(DTYPES)} are read"
        )
    absent = set(match.absent)
    return LoadReport(
        source=checkpoint.source,
        folder=str(checkpoint.folder),
        read={name: match.found[one.theirs] for one in table.rules if one.theirs in match.found for name in one.ours},
        fresh=tuple(name for one in table.rules if one.theirs in absent for name in one.ours),
        ignored=match.ignored,
        tied=match.tied,
        dtypes=tuple(sorted({stored[name].dtype for name in used})),
        notes=notes,
    )


def read_tensors(
    family: Family, checkpoint: Checkpoint, config: Any, report: LoadReport, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Read a checkpoint's numbers into our names, each tensor into memory of its own.

    Raises
    ------
    CheckpointError
        Listing every tensor that is not finite, as it is stored or in the precision that is asked for.
    """
    tensors: dict[str, Tensor] = {}
    endless = []
    for one in family.table(config).rules:
        if one.ours[0] in report.read:
            name = report.read[one.ours[0]]
            read = one.read(checkpoint.read(name))
            parts = {ours: torch.empty(part.shape, dtype=dtype).copy_(part) for ours, part in read.items()}
            if not all(bool(part.isfinite().all()) for part in parts.values()):
                endless.append(name)
            tensors |= parts
    if endless:
        raise CheckpointError(
            f"{checkpoint.source} holds NaN or infinity in {', '.join(endless)} (read as {dtype}); it is damaged, or "
            "its numbers are too large for this dtype"
        )
    return tensors


def write(family: Family, folder: str | Path, config: Any, parameters: Mapping[str, Tensor]) -> Path:
    """Write our model as a checkpoint that transformers loads."""
    tensors = family.table(config).write(parameters)
    return write_checkpoint(folder, _settings(family, config, parameters), tensors)


def _settings(family: Family, config: Any, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    dtype = str(next(iter(parameters.values())).dtype).removeprefix("torch.")
    # The second is what transformers before version 5 called the first.
    about = {"model_type": family.model_type, "architectures": [family.architecture], "dtype": dtype}
    return about | {"torch_dtype": dtype} | family.write_config(config)


def to_transformers(family: Family, config: Any, parameters: Mapping[str, Tensor]) -> Any:
    """Make transformers' model of the family with our weights.

    Raises
    ------
    ImportError
        If transformers is missing; the message says how to install it.
    RuntimeError
        If this version of transformers names its tensors in another way.
    """
    transformers = optional_import("transformers", extra="labs", purpose="to make a model of its own")
    table = family.table(config)
    settings = transformers.AutoConfig.for_model(family.model_type, **family.write_config(config))
    model = getattr(transformers, family.architecture)(settings)
    first = next(iter(parameters.values()))
    model = model.to(device=first.device, dtype=first.dtype)
    tensors = table.write(parameters)
    for name, of in table.tied.items():
        if name in tensors and of in tensors:  # transformers has tied what here are two
            owner, _, last = name.rpartition(".")
            setattr(model.get_submodule(owner), last, torch.nn.Parameter(torch.empty_like(tensors[name])))
    left = model.load_state_dict(tensors, strict=False)
    lost = [name for name in left.missing_keys if name not in table.tied]
    if lost or left.unexpected_keys:
        raise RuntimeError(
            f"transformers {transformers.__version__} names tensors in another way: it wants {lost} and does not know "
            f"{left.unexpected_keys}; install the version of constraints.txt"
        )
    return model
