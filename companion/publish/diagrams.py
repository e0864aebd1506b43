"""Mermaid diagrams, drawn while the site is built: a page holds the picture and runs no script for it."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

# DejaVu Sans, with which mermaidx measures, is as wide as Verdana: on no screen does a word outgrow its box.
FONTS = "DejaVu Sans, Verdana, sans-serif"
INK, PAPER, PALE, LINE, FRAME = "#222222", "#ffffff", "#f7fbff", "#0072B2", "#8A8A8A"
# Words as text of the picture, not as HTML inside it: not every browser shows that within an image.
CONFIG: dict[str, Any] = {
    "fontFamily": FONTS,
    "htmlLabels": False,
    "flowchart": {
        "htmlLabels": False,
        "curve": "linear",
        "nodeSpacing": 16,
        "rankSpacing": 22,
        "padding": 8,
        "wrappingWidth": 300,
        "subGraphTitleMargin": {"top": 2, "bottom": 10},
    },
    "themeVariables": {
        "fontSize": "15px",
        "primaryColor": PALE,
        "primaryBorderColor": LINE,
        "primaryTextColor": INK,
        "textColor": INK,
        "titleColor": INK,
        "lineColor": INK,
        "clusterBkg": PAPER,
        "clusterBorder": FRAME,
        "edgeLabelBackground": PAPER,
    },
}
_TITLE = re.compile(r'(<rect [^>]*\bx="([\d.-]+)"[^>]*/><g class="cluster-label" transform="translate\()[\d.-]+, ')


def draw(source: str) -> str:
    """Draw a diagram with Mermaid's own code, in an engine that needs no browser.

    Parameters
    ----------
    source
        Mermaid text, such as ``flowchart TB`` and its lines.

    Returns
    -------
    str
        An SVG picture.

    Raises
    ------
    ValueError
        If Mermaid cannot read the text.
    """
    import mermaidx

    try:
        svg = mermaidx.render(source, theme="base", config=CONFIG).svg()
    except RuntimeError as error:
        raise ValueError(f"source is no Mermaid diagram: {error}") from error
    # In the middle of its frame, where Mermaid puts it, a frame's title is crossed by the arrow that enters there.
    return _TITLE.sub(lambda found: f"{found[1]}{float(found[2]) + 8:g}, ", svg)


def figure(svg: str, alt: str) -> str:
    """Put a picture and the words for who cannot see it into one element of a page.

    Parameters
    ----------
    svg
        What `draw` returned.
    alt
        What a person would see.
    """
    box = re.search(r'viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("svg must have a viewBox, which says how large the picture is")
    width, height = (round(float(side)) for side in box.groups())
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<figure class="book-diagram"><img src="data:image/svg+xml;base64,{data}" '
        f'width="{width}" height="{height}" alt="{html.escape(alt, quote=True)}"></figure>'
    )


class Mermaid(SphinxDirective):
    """The directive ``{mermaid}``; its option ``alt`` must say in words what is drawn."""

    has_content = True
    option_spec: ClassVar[dict[str, Callable[[str], Any]] | None] = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        if "alt" not in self.options:
            raise self.error("a diagram needs the option `alt`, which says what a person would see")
        try:
            svg = draw("\n".join(self.content))
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", figure(svg, " ".join(self.options["alt"].split())), format="html")]
