"""The pages of the book as a whole: which there are, what each label stands for, how each source is cited."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from docutils.nodes import make_id

from companion.publish.myst import Directive, walk
from companion.publish.project import page_url

BIBLIOGRAPHY = "book/references.bib"


def notebook_sources(root: Path) -> list[Path]:
    """Return the MyST notebooks of the book and the labs: the pages with a kernel in their header."""
    pages = sorted((root / "book").glob("*.md")) + sorted((root / "labs").glob("*.md"))
    return [page for page in pages if is_notebook(page.read_text("utf8"))]


def is_notebook(text: str) -> bool:
    """Tell whether a page starts with a header that names a kernel."""
    header = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
    return header is not None and re.search(r"^kernelspec:", header[1], flags=re.MULTILINE) is not None


@dataclass(frozen=True)
class Label:
    """Something the text can refer to: where it is, and what to call it when the text does not say."""

    docname: str
    anchor: str
    title: str

    @property
    def url(self) -> str:
        """Its address on the site."""
        return f"{page_url(self.docname)}#{self.anchor}"


class SiteIndex:
    """What the pages of a checkout define, read from their sources.

    Parameters
    ----------
    root
        The checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _pages(self) -> dict[str, tuple[str, dict[str, Label]]]:
        files = [path for folder in ("book", "labs") for path in sorted((self.root / folder).rglob("*.md"))]
        names = {path.relative_to(self.root).with_suffix("").as_posix(): path for path in files}
        return {name: read_page(name, path.read_text("utf8")) for name, path in names.items()}

    def title(self, docname: str) -> str:
        """Return a page's first heading.

        Raises
        ------
        KeyError
            When there is no such page.
        """
        return self._pages[docname][0]

    @cached_property
    def labels(self) -> dict[str, Label]:
        """Every label of every page."""
        return {name: label for _, labels in self._pages.values() for name, label in labels.items()}

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Documented modules, and the page each is documented on."""
        pages = (self.root / "book" / "api").glob("*.md")
        found = re.compile(r"(?:automodule|currentmodule|module)\s*::\s*([\w.]+)")
        texts = {page.relative_to(self.root).with_suffix("").as_posix(): page.read_text("utf8") for page in pages}
        return {module: name for name, text in sorted(texts.items()) for module in found.findall(text)}

    def api_url(self, name: str) -> str | None:
        """Return where the site documents a dotted name, or None when it does not."""
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            if page := self._modules.get(".".join(parts[:length])):
                return f"{page_url(page)}#{name if length < len(parts) else 'module-' + name}"
        return None

    @cached_property
    def _bibliography(self) -> dict[str, tuple[str, str]]:
        """Each citation key with its authors and year."""
        from pybtex.database import parse_string

        entries = parse_string((self.root / BIBLIOGRAPHY).read_text("utf8"), "bibtex").entries
        return {
            key: (_authors(entry.persons.get("author", [])), entry.fields["year"]) for key, entry in entries.items()
        }

    def citation(self, key: str) -> tuple[str, str]:
        """Return the authors and the year of a source.

        Raises
        ------
        KeyError
            When the bibliography has no such entry.
        """
        return self._bibliography[key]


def _authors(persons: list) -> str:
    names = [" ".join(person.last_names) for person in persons]
    return names[0] + " et al." if len(names) > 2 else " and ".join(names)


def read_page(docname: str, text: str) -> tuple[str, dict[str, Label]]:
    """Return a page's title and the labels it defines, equations and exercises numbered in order."""
    title, labels, pending = "", {}, []
    numbers = Counter()

    def define(name: str | None, call_it: str, prefix: str = "") -> None:
        if name:
            labels[name] = Label(docname, make_id(prefix + name), call_it)

    for token, directive, after in walk(text):
        if token.type == "myst_target":
            pending.append(token.content)
            continue
        heading = after.content if token.type == "heading_open" and after else ""
        title = title or heading
        for name in pending:
            define(name, heading or ("the figure" if directive else title))
        pending = []
        if token.type == "math_block_label" or (directive and directive.name == "math" and directive.label):
            numbers["equation"] += 1
            define(directive.label if directive else token.info, f"({numbers['equation']})", "equation-")
        elif directive and directive.name == "exercise":
            numbers["exercise"] += 1
            define(directive.label, f"Exercise {numbers['exercise']}")
        elif directive:
            define(_figure_label(directive), "the figure")
    return title or docname, labels


def _figure_label(directive: Directive) -> str | None:
    mystnb = directive.options.get("mystnb")
    return mystnb.get("figure", {}).get("name") if isinstance(mystnb, dict) else directive.label
