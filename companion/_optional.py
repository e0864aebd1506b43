"""Packages that only a part of the course needs: imported at first use, missed with the command that installs them."""

from __future__ import annotations

import importlib
from types import ModuleType

DISTRIBUTION = "plm-companion"


class MissingPackageError(ImportError):
    """A package is missing that only a part of the course needs; the message has the command that installs it."""


def optional_import(name: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a package that an extra of this distribution brings.

    Parameters
    ----------
    name : str
        The module, such as ``"jieba"`` or ``"pyarrow.parquet"``.
    extra : str
        The extra of plm-companion that installs it.
    purpose : str
        What it is needed for, as the end of "... is needed", such as ``"to cut Chinese into words"``.

    Raises
    ------
    MissingPackageError
        When it is missing, naming the package, its purpose and the command that installs it; and when it is there but
        cannot be imported, with the package's own reason.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            problem = f"{package} is needed {purpose} and is not installed"
        else:
            problem = f"{package} is needed {purpose} and is installed, but cannot be imported ({error})"
        raise MissingPackageError(f'{problem}: run `pip install "{DISTRIBUTION}[{extra}]"`', name=package) from error
