"""Reading MyST: the parser of the site, and directives taken apart into name, argument, options and body."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

EXTENSIONS = {"amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"}
# The body of these is not MyST: it is shown, drawn or executed as it stands.
VERBATIM = {"code", "code-block", "code-cell", "eval-rst", "literalinclude", "math", "mermaid", "raw", "raw-cell"}


@cache
def _parser() -> MarkdownIt:
    return create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)


def block_tokens(text: str) -> list[Token]:
    """Parse MyST text into markdown-it's tokens, each block with the range of lines it stands on."""
    return _parser().parse(text)


@dataclass(frozen=True)
class Directive:
    """A directive as written: ``{name} argument``, its options, and its body without them."""

    name: str
    argument: str
    body: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """The name by which the text can refer to it."""
        return self.options.get("label") or self.options.get("name")

    @property
    def classes(self) -> list[str]:
        """The CSS classes given in its ``class`` option."""
        return str(self.options.get("class") or "").split()


def as_directive(token: Token) -> Directive | None:
    """Return the directive that a fence holds, or None for any other token."""
    head = re.match(r"\{([\w:-]+)\}\s*(.*)", token.info.strip()) if token.type in ("fence", "colon_fence") else None
    if head is None:
        return None
    options, body = _split_options(token.content.splitlines())
    return Directive(head[1], head[2].strip(), "\n".join(body), options)


def _split_options(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    if lines and lines[0].strip() == "---" and "---" in (line.strip() for line in lines[1:]):
        end = next(i for i, line in enumerate(lines[1:], start=1) if line.strip() == "---")
        return yaml.safe_load("\n".join(lines[1:end])) or {}, lines[end + 1 :]
    options: dict[str, Any] = {}
    for count, line in enumerate(lines):
        option = re.match(r":([\w-]+):(?:\s+(.*))?$", line)
        if option is None:
            return options, lines[count:]
        options[option[1]] = (option[2] or "").strip()
    return options, []


def walk(text: str) -> Iterator[tuple[Token, Directive | None, Token | None]]:
    """Yield every block of a page in reading order, directives' bodies included, each with the token after it."""
    tokens = block_tokens(text)
    for token, after in itertools.zip_longest(tokens, tokens[1:]):
        directive = as_directive(token)
        yield token, directive, after
        if directive and directive.name not in VERBATIM:
            yield from walk(directive.body)
