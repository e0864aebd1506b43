"""Finding a checkpoint by name or folder, reading it without running anything in it, and writing one.

Weights are read from safetensors only: a header that says where each tensor lies, and then numbers. The formats before
it are pickles, small programs that Python runs when it reads them.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from companion._validation import describe, requires
from companion.data import PACKAGED, model_path, packaged_path, sources
from companion.weights.errors import CheckpointError
from companion.weights.hub import download

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
PICKLED = (".bin", ".ckpt", ".h5", ".msgpack", ".pickle", ".pkl", ".pt", ".pth")
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
LONGEST_JSON = 50_000_000  # bytes; the index of the largest released models has a tenth of it


@dataclass(frozen=True)
class StoredTensor:
    """What a file's header says of one tensor, before it is read."""

    file: str
    shape: tuple[int, ...]
    dtype: str


class Checkpoint:
    """A folder's settings and the headers of its tensors; each tensor is read when it is asked for.

    Parameters
    ----------
    source
        What the user asked for, for messages.
    folder
        Where the files are.
    config
        The content of ``config.json``.
    tensors
        The header of each tensor.
    handles
        The open files by name.
    """

    def __init__(
        self,
        source: str,
        folder: Path,
        config: dict[str, Any],
        tensors: dict[str, StoredTensor],
        handles: Mapping[str, Any],
    ) -> None:
        self.source = source
        self.folder = folder
        self.config = config
        self.tensors = tensors
        self._handles = handles

    def read(self, name: str) -> Tensor:
        """Read one tensor, on the CPU and as it is stored."""
        return self._handles[self.tensors[name].file].get_tensor(name)


def require_path(name: str, value: Any) -> None:
    """Raise unless a value is a string or a path."""
    if not isinstance(value, (str, Path)):
        raise TypeError(f"{name} must be a string or a path, got {describe(value)}")


def require_name(name_or_path: Any, revision: Any) -> None:
    """Raise unless these are of the types that :func:`find_checkpoint` takes."""
    require_path("name_or_path", name_or_path)
    if revision is not None and not isinstance(revision, str):
        raise TypeError(f"revision must be a string or None, got {describe(revision)}")


def _check_name(name_or_path: Any, *, revision: Any = None) -> None:
    require_name(name_or_path, revision)


def _check_write(folder: Any, config: Any, tensors: Any) -> None:
    require_path("folder", folder)


@requires(_check_name)
def find_checkpoint(name_or_path: str | Path, *, revision: str | None = None) -> Path:
    """Return the folder of a checkpoint; one of the hub is downloaded when it is not in the hub's cache.

    Parameters
    ----------
    name_or_path
        A folder, a model of this package such as ``"tiny-bert"`` or of :mod:`companion.data` such as ``"minilm"``, or a
        name on the Hugging Face hub such as ``"gpt2"``; they are tried in this order.
    revision
        A branch, tag or commit, for a name on the hub alone.

    Raises
    ------
    TypeError
        If the name is neither a string nor a path.
    ValueError
        If a revision is given for something that has none.
    FileNotFoundError
        If there is no such folder, a model has not been fetched yet, or the hub has no such model.
    ConnectionError
        If the hub cannot be reached.
    CheckpointError
        If it is a single file.
    """
    name = str(name_or_path)
    path = Path(name).expanduser()
    is_folder = bool(name) and path.is_dir()  # an empty name would be the current folder
    is_model = name in PACKAGED or name in {source.name for source in sources() if source.kind == "model"}
    if name and path.is_file():
        _refuse_file(path)
    if is_folder or is_model or isinstance(name_or_path, Path) or _looks_like_path(name):
        if revision is not None:
            raise ValueError(f"revision must be None for {name!r}, which is not on the hub; got {revision!r}")
        if is_model and not is_folder:
            return packaged_path(name) if name in PACKAGED else model_path(name)
        if not is_folder:
            raise FileNotFoundError(
                f"name_or_path must be a folder, a model of companion.data or of the hub, got {name!r}"
            )
        return path
    return download(name, revision)


def _looks_like_path(name: str) -> bool:
    return not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith((".", "~"))


def _refuse_file(path: Path) -> None:
    if path.suffix.lower() in PICKLED:
        raise CheckpointError(_pickle_message(path.name))
    raise CheckpointError(f"name_or_path must be the folder of a checkpoint, not one file of it: give {path.parent}")


def _pickle_message(name: str) -> str:
    return (
        f"{name} is refused: it is or may be a pickle, and reading a pickle runs whatever code is in it. Use a version "
        "of the checkpoint that has model.safetensors, or, if you trust its author, load it with transformers "
        "and save it again with save_pretrained, which writes safetensors"
    )


@requires(_check_name)
@contextmanager
def open_checkpoint(name_or_path: str | Path, *, revision: str | None = None) -> Iterator[Checkpoint]:
    """Open a checkpoint: its settings and the headers of its tensors are read and checked, its numbers are not.

    Parameters
    ----------
    name_or_path, revision
        As in :func:`find_checkpoint`.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged or a pickle, or the files of one checkpoint do not belong together; besides what
        :func:`find_checkpoint` raises.
    """
    folder = find_checkpoint(name_or_path, revision=revision)
    source = str(name_or_path)
    config = read_json(folder / CONFIG, source)
    with ExitStack() as stack:
        handles = {name: stack.enter_context(_opened(folder / name)) for name in _weight_files(folder, source)}
        tensors: dict[str, StoredTensor] = {}
        for file, handle in handles.items():
            for name in handle.keys():  # noqa: SIM118, it is no dictionary
                if name in tensors:
                    raise CheckpointError(f"{source} has the tensor {name} in {tensors[name].file} and in {file}")
                header = handle.get_slice(name)
                tensors[name] = StoredTensor(file, tuple(header.get_shape()), header.get_dtype())
        if len(handles) > 1 or not (folder / WEIGHTS).exists():
            _require_index(folder, source, tensors)
        yield Checkpoint(source, folder, config, tensors, handles)


def read_json(path: Path, source: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    CheckpointError
        If there is none, or it holds something else.
    """
    if not path.is_file():
        held = ", ".join(sorted(one.name for one in path.parent.iterdir())[:20]) or "nothing"
        raise CheckpointError(f"{source} has no {path.name} (its folder holds {held}); is it a checkpoint's folder?")
    if path.stat().st_size > LONGEST_JSON:
        raise CheckpointError(f"{path.name} of {source} is refused: {path.stat().st_size} bytes are too many for it")

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} of {source} is not JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} of {source} must hold an object, got a {type(content).__name__}")
    return content


def _weight_files(folder: Path, source: str) -> list[str]:
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / INDEX).is_file():
        return sorted(set(_index(folder, source).values()))
    names = sorted(one.name for one in folder.iterdir())
    pickles = [name for name in names if name.endswith(PICKLED)]
    if pickles:
        raise CheckpointError(f"{source} has no {WEIGHTS}. {_pickle_message(', '.join(pickles))}")
    raise CheckpointError(f"{source} has no {WEIGHTS}, nor {INDEX} and its parts; its folder holds {', '.join(names)}")


def _index(folder: Path, source: str) -> dict[str, str]:
    index = read_json(folder / INDEX, source).get("weight_map")
    if not isinstance(index, dict) or not index or not all(isinstance(file, str) for file in index.values()):
        raise CheckpointError(f"{INDEX} of {source} must have a weight_map from tensors to files")
    unsafe = sorted({file for file in index.values() if not re.fullmatch(r"[\w-][\w.-]*\.safetensors", file)})
    if unsafe:
        listed = ", ".join(map(repr, unsafe))
        raise CheckpointError(f"{INDEX} of {source} is refused: it names {listed}, not .safetensors files beside it")
    lost = sorted({file for file in index.values() if not (folder / file).is_file()})
    if lost:
        raise CheckpointError(f"{source} lacks {len(lost)} of its files: {', '.join(lost)}; download it again")
    return index


def _require_index(folder: Path, source: str, tensors: Mapping[str, StoredTensor]) -> None:
    index = _index(folder, source)
    told = [
        f"{name}, which is in {tensors[name].file if name in tensors else 'none of the files'}"
        for name, file in index.items()
        if name not in tensors or tensors[name].file != file
    ]
    told += [f"{name}, which is in {one.file}" for name, one in tensors.items() if name not in index]
    if told:
        raise CheckpointError(f"{INDEX} of {source} and its files disagree on {'; '.join(told)}; download it again")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] != b"{":  # eight bytes of length, then the header
        raise CheckpointError(_not_safetensors(path, head))
    try:
        handle = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or cut short ({error}); download it again") from error
    with handle as tensors:
        yield tensors


def _not_safetensors(path: Path, head: bytes) -> str:
    if head.startswith((b"PK", b"\x80")):
        return _pickle_message(path.name)
    if head.startswith(b"version "):
        return f"{path.name} is a pointer of Git LFS and not the weights; run `git lfs pull` in its folder"
    return f"{path.name} is no safetensors file or is damaged; download it again"


@requires(_check_write)
def write_checkpoint(folder: str | Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Write ``config.json`` and ``model.safetensors``, each whole or not at all.

    A new folder appears with both files in it. In one that is there already, other files are left alone.

    Parameters
    ----------
    folder
        Where to.
    config
        The settings.
    tensors
        The weights.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder = Path(folder).expanduser().absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, made / WEIGHTS, {"format": "pt"})
        (made / WEIGHTS).chmod(0o644)  # the library writes it for its owner alone
        (made / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        if not folder.exists():
            made.replace(folder)
        else:
            for file in (WEIGHTS, CONFIG):
                (made / file).replace(folder / file)
    return folder
