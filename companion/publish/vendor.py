"""The JavaScript of the site, copied from installed packages so that no page loads anything from another host."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

from companion.publish.project import write_bytes

VENDOR = "_build/vendor"
STAMP = "_build/vendor.txt"
MATHJAX_PACKAGE = "sphinx-mathjax-offline"
# What tex-chtml.js may load later: fonts, TeX extensions, its menu, and what it offers to screen readers.
MATHJAX_PARTS = ("tex-chtml.js", "input/tex", "output/chtml", "a11y", "sre", "ui")
VEGA_SCRIPT = "vega.js"
VEGA_GLOBAL = "window.vegaEmbed = vegaEmbed;"
# In a function of its own: the bundle's short top-level names are also those of Sphinx's scripts.
VEGA_BEFORE, VEGA_AFTER = "(function () {\n", "\n})();\n"


def vendor_scripts(root: Path) -> bool:
    """Copy MathJax and Vega into ``_build/vendor``; tell whether that was needed.

    Vega, Vega-Lite and vega-embed are one script, ``vega.js``, which sets ``window.vegaEmbed``.
    """
    folder = root / VENDOR
    versions = _versions()
    stamp = root / STAMP
    complete = (folder / VEGA_SCRIPT).exists() and all((folder / "mathjax" / part).exists() for part in MATHJAX_PARTS)
    if complete and stamp.exists() and stamp.read_text() == versions:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    _copy_mathjax(folder / "mathjax")
    _bundle_vega(folder / VEGA_SCRIPT)
    write_bytes(stamp, versions.encode())
    return True


def _versions() -> str:
    """Name everything that the copied files follow from."""
    names = (MATHJAX_PACKAGE, "vl-convert-python")
    packages = "".join(f"{name} {importlib.metadata.version(name)}\n" for name in names)
    return packages + VEGA_BEFORE + VEGA_GLOBAL + VEGA_AFTER


def _copy_mathjax(folder: Path) -> None:
    # The package's name is no identifier, so it is found by its installed files rather than imported.
    package = Path(str(importlib.metadata.distribution(MATHJAX_PACKAGE).locate_file(MATHJAX_PACKAGE)))
    source = package / "static" / "mathjax"
    for part in MATHJAX_PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, folder / part)
        else:
            shutil.copy(source / part, folder / part)


def _bundle_vega(path: Path) -> None:
    import altair
    import vl_convert

    known = vl_convert.get_vegalite_versions()
    wanted = altair.SCHEMA_VERSION.removeprefix("v").rsplit(".", 1)[0]
    # An Altair newer than vl-convert writes charts that the newest Vega-Lite of the same generation draws.
    version = wanted if wanted in known else known[-1]
    bundle = vl_convert.javascript_bundle(VEGA_GLOBAL, version)
    write_bytes(path, (VEGA_BEFORE + bundle + VEGA_AFTER).encode("utf8"))
