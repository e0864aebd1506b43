"""MyST text as plain Markdown: what Colab and Jupyter show of a page written for Sphinx.

The parser says where each block stands; directives are rewritten where they stand and everything else is left as typed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from markdown_it.token import Token

from companion.publish.myst import Directive, as_directive, block_tokens
from companion.publish.project import BRANCH, page_url, project_urls
from companion.publish.sources import Label, SiteIndex

QUOTED = {
    "admonition", "attention", "caution", "danger", "epigraph", "error", "hint", "important", "margin", "note",
    "pull-quote", "seealso", "sidebar", "tip", "warning",
}  # fmt: skip
UNTITLED = {"admonition", "epigraph", "margin", "pull-quote", "sidebar"}
UNWRAPPED = {"container", "div", "table", "tab-set"}
LEFT_OUT = {"contents", "index", "raw", "toctree"}
API_ROLES = {"attr", "class", "data", "exc", "func", "meth", "mod", "obj"}
LITERAL_INCLUDE_NUMBERS = {"dedent", "tab-width"}
IMAGE = (".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp")

# A role is a code span with a name before it, so one pattern finds both and leaves plain code spans and formulas alone.
_INLINE = re.compile(
    r"(?:\{(?P<role>[\w:.+-]+)\})?(?P<ticks>`+)(?!`)(?P<content>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|(?P<formula>(?<![\\$])\$(?=\S)[^$`]*?(?<=\S)\$(?!\d))"
    r"|(?P<open>\[\]|\])\((?P<target>[^()\s]+)\)",
    flags=re.DOTALL,
)


class PlainMarkdown:
    """Converter of one page's text, cell by cell and in order (exercises are numbered as they come).

    Parameters
    ----------
    root
        The checkout, where included files are.
    docname
        The page's path from the root without its suffix, such as ``book/attention``.
    index
        What the other pages define.
    own
        The labels that this page defines.
    """

    def __init__(self, root: Path, docname: str, index: SiteIndex, own: dict[str, Label]) -> None:
        self.root, self.docname, self.index, self.own = root, docname, index, own
        self.exercises = 0

    def __call__(self, text: str) -> str:
        """Rewrite one piece of the page.

        Raises
        ------
        ValueError
            When it holds a directive, role, label or file that cannot be resolved; the message names the page.
        """
        lines, done, out = text.splitlines(), 0, []
        for start, end, written in self._edits(text, lines):
            if start < done:  # inside a block that was rewritten as a whole
                continue
            out += lines[done:start] + written
            done = end
            if not written and done < len(lines) and not lines[done].strip():
                done += 1  # what was left out takes the blank line after it along
        return "\n".join(out + lines[done:]).strip("\n")

    def _edits(self, text: str, lines: list[str]) -> list[tuple[int, int, list[str]]]:
        edits = []
        for token in block_tokens(text):
            if token.map is None:
                continue
            start, end = token.map
            written = self._rewrite(token, lines[start:end])
            if written is not None:
                edits.append((start, end, written))
        return edits

    def _rewrite(self, token: Token, lines: list[str]) -> list[str] | None:
        if token.type in ("myst_target", "myst_line_comment"):
            return []
        if token.type == "inline":
            return self.inline("\n".join(lines)).split("\n")
        if token.type == "math_block_label":
            return self._placed(lines[0], token.markup, _formula(token.content, self._label(token.info).title))
        if token.type in ("fence", "colon_fence"):
            self._require_closed(token, lines)
            directive = as_directive(token)
            if directive is not None:
                return self._placed(lines[0], token.markup, self._directive(directive))
        return None

    def _require_closed(self, token: Token, lines: list[str]) -> None:
        last = lines[-1].strip(" >")
        if len(lines) < 2 or set(last) != {token.markup[0]} or len(last) < len(token.markup):
            raise self._error(f"the fence {lines[0].strip()!r} is never closed")

    @staticmethod
    def _placed(first: str, markup: str, text: str) -> list[str]:
        """Put rewritten text where the block stood: inside the same list item or quotation."""
        prefix = first[: first.index(markup)]
        rest = re.sub(r"[^\s>]", " ", prefix)
        lines = text.splitlines()
        return [((rest if i else prefix) + line).rstrip() for i, line in enumerate(lines)]

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"{self.docname}.md: {problem}.")

    # Directives

    def _directive(self, directive: Directive) -> str:
        name = directive.name
        if name in LEFT_OUT:
            return ""
        if name in UNWRAPPED:
            caption = f"**{self.inline(directive.argument)}**\n\n" if name == "table" and directive.argument else ""
            return caption + self(directive.body)
        if name == "dropdown" or (name in QUOTED and "dropdown" in directive.classes):
            return _folded(self._heading(directive), self(directive.body))
        if name in QUOTED or name.startswith("prf:"):
            return _quoted(self._heading(directive), self(directive.body))
        method: Callable[[Directive], str] | None = getattr(self, f"_write_{name.replace('-', '_')}", None)
        if method is None:
            raise self._error(f"directive {{{name}}} has no plain Markdown: use another, or teach PlainMarkdown")
        return method(directive)

    def _heading(self, directive: Directive) -> str:
        kind = directive.name.removeprefix("prf:").capitalize().replace("Seealso", "See also")
        title = self.inline(directive.argument)
        if directive.name in UNTITLED or directive.name == "dropdown":
            return title
        return f"{kind}: {title}" if title else kind

    def _write_exercise(self, directive: Directive) -> str:
        self.exercises += 1
        title = self.inline(directive.argument)
        return _quoted(f"Exercise {self.exercises}" + (f": {title}" if title else ""), self(directive.body))

    def _write_solution(self, directive: Directive) -> str:
        return _folded(f"Solution to {self._label(directive.argument).title}", self(directive.body))

    def _write_tab_item(self, directive: Directive) -> str:
        return f"**{self.inline(directive.argument)}**\n\n{self(directive.body)}"

    def _write_figure(self, directive: Directive) -> str:
        picture = self._write_image(directive)
        caption = self(directive.body)
        return f"{picture}\n\n{caption}" if caption else picture

    def _write_image(self, directive: Directive) -> str:
        return f"![{directive.options.get('alt', '')}]({self._file_url(directive.argument)})"

    def _write_literalinclude(self, directive: Directive) -> str:
        from sphinx.config import Config
        from sphinx.directives.code import LiteralIncludeReader

        path = self._file(directive.argument)
        options = {
            key: (int(value) if value else None) if key in LITERAL_INCLUDE_NUMBERS else value
            for key, value in directive.options.items()
        }
        name = path.relative_to(self.root).as_posix()
        try:
            text, _ = LiteralIncludeReader(str(path), options, Config()).read()
        except ValueError as error:
            raise self._error(f"{{literalinclude}} of {name}: {error}") from error
        code = _fenced(text.rstrip("\n"), str(directive.options.get("language", "python")))
        return f"From [`{name}`]({_blob_url(name)}):\n\n{code}"

    def _write_code(self, directive: Directive) -> str:
        return _fenced(directive.body.strip("\n"), directive.argument)

    _write_code_block = _write_code

    def _write_math(self, directive: Directive) -> str:
        return _formula(directive.body, self._label(directive.label).title if directive.label else "")

    def _write_mermaid(self, directive: Directive) -> str:
        return _fenced(directive.body.strip("\n"), "mermaid")

    def _write_bibliography(self, directive: Directive) -> str:
        return f"The references are listed on [the page]({page_url(self.docname)})."

    def _write_eval_rst(self, directive: Directive) -> str:
        return f"*(This part is on [the page]({page_url(self.docname)}).)*"

    # Roles and links

    def inline(self, text: str) -> str:
        """Rewrite the roles and relative links of one paragraph; code spans and formulas stay."""
        return _INLINE.sub(self._inline_match, text)

    def _inline_match(self, match: re.Match[str]) -> str:
        if match["target"]:
            return self._link(match["open"], match["target"])
        if not match["role"]:
            return match[0]
        content = re.sub(r"\s*\n[\s>]*", " ", match["content"]).strip()
        return self._role(match["role"], content)

    def _role(self, role: str, content: str) -> str:
        domain, _, short = role.rpartition(":")
        if domain == "cite":
            return self._cite(short, content)
        if domain in ("", "py") and short in API_ROLES:
            return self._api(content)
        explicit = re.fullmatch(r"(.+?)\s*<([^<>]+)>", content)
        text, target = (explicit[1], explicit[2]) if explicit else ("", content)
        if role in ("ref", "numref", "prf:ref", "eq"):
            label = self._label(target)
            return f"[{label.title if not text or '%s' in text else text}]({label.url})"
        if role == "doc":
            docname = self._docname(target)
            return f"[{text or self._title(docname)}]({page_url(docname)})"
        plain = {"math": "${}$", "code": "`{}`", "kbd": "`{}`", "term": "{}", "abbr": "{}", "sub": "<sub>{}</sub>"}
        plain |= {"sup": "<sup>{}</sup>", "file": "`{}`"}
        if role not in plain:
            raise self._error(f"role {{{role}}} has no plain Markdown: use another, or teach PlainMarkdown")
        return plain[role].format(text or content)

    def _cite(self, style: str, content: str) -> str:
        sources = []
        for key in (key.strip() for key in content.split(",")):
            try:
                sources.append(self.index.citation(key))
            except KeyError:
                raise self._error(f"the bibliography has no entry {key!r}") from None
        if style in ("t", "ct"):
            text = "; ".join(f"{authors} ({year})" for authors, year in sources)
        else:
            text = "(" + "; ".join(f"{authors}, {year}" for authors, year in sources) + ")"
        return f"[{text}]({page_url(self.docname)})"

    def _api(self, content: str) -> str:
        explicit = re.fullmatch(r"(.+?)\s*<([^<>]+)>", content)
        target = (explicit[2] if explicit else content).lstrip("~")
        shown = explicit[1] if explicit else target.rsplit(".", 1)[-1] if content.startswith("~") else target
        url = self.index.api_url(target)
        return f"[`{shown}`]({url})" if url else f"`{shown}`"

    def _label(self, name: str) -> Label:
        label = self.own.get(name) or self.index.labels.get(name)
        if label is None:
            raise self._error(f"label {name!r} is defined on no page")
        return label

    def _link(self, opening: str, target: str) -> str:
        if re.match(r"[a-z]+:", target):
            return f"{opening}({target})"
        path, _, fragment = target.partition("#")
        if not path or (path in self.own or path in self.index.labels):
            label = self._label(path or fragment)
            return f"[{label.title}]({label.url})" if opening == "[]" else f"]({label.url})"
        if not path.endswith(".md"):
            return f"{opening}({self._file_url(path)})"
        docname = self._docname(path.removesuffix(".md"))
        title, url = self._title(docname), page_url(docname) + (f"#{fragment}" if fragment else "")
        return f"[{title}]({url})" if opening == "[]" else f"]({url})"

    def _docname(self, target: str) -> str:
        if target.startswith("/"):
            return target.lstrip("/")
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.docname), target))

    def _title(self, docname: str) -> str:
        try:
            return self.index.title(docname)
        except KeyError:
            raise self._error(f"there is no page {docname}.md") from None

    def _file(self, target: str) -> Path:
        path = self.root / self._docname(target)
        if not path.is_file():
            raise self._error(f"there is no file {self._docname(target)}")
        return path

    def _file_url(self, target: str) -> str:
        if re.match(r"https?:", target):
            return target
        name = self._file(target).relative_to(self.root).as_posix()
        if name.endswith(IMAGE):
            return f"{project_urls()['Repository']}/raw/{BRANCH}/{name}"
        return _blob_url(name)


def _blob_url(name: str) -> str:
    return f"{project_urls()['Repository']}/blob/{BRANCH}/{name}"


def _formula(body: str, number: str) -> str:
    tag = f"\n\\tag{{{number.strip('()')}}}" if number else ""
    return f"$$\n{body.strip()}{tag}\n$$"


def _fenced(code: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def _quoted(heading: str, body: str) -> str:
    lines = [f"**{heading}**", ""] if heading else []
    return "\n".join(f"> {line}".rstrip() for line in [*lines, *body.splitlines()])


def _folded(heading: str, body: str) -> str:
    return f"<details>\n<summary><b>{heading or 'More'}</b></summary>\n\n{body}\n\n</details>"
