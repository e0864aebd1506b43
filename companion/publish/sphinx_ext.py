"""Sphinx: labs without answers, alternative texts required, addresses from one place, charts and diagrams."""

from __future__ import annotations

import os
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from companion import __version__
from companion.publish.diagrams import Mermaid
from companion.publish.lab_pages import page_text
from companion.publish.project import BRANCH, project_urls
from companion.publish.vendor import VEGA_SCRIPT

CHART = "vegaEmbed"
THEME = "sphinx_book_theme"  # the one with a Colab button

logger = logging.getLogger(__name__)


def hide_answers(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace a lab's source by the version that students may see, before it is parsed or indexed."""
    source[0] = page_text(source[0], docname)


def require_alt_text(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of each picture and chart that has no words for who cannot see it."""
    for image in doctree.findall(nodes.image):
        alt = image.get("alt", "").strip()
        if not alt or alt == image["uri"]:
            logger.warning(
                "image %s has no alt text; in a code cell set `mystnb: {image: {alt: ...}}`, else the `alt` option",
                image["uri"],
                location=image,
                type="companion",
                subtype="alt",
            )
    for raw in doctree.findall(nodes.raw):
        if CHART in raw.astext() and "aria-label=" not in raw.astext():
            logger.warning("a chart has no aria-label; show it with companion.viz.show(chart, alt)", location=raw)


def load_chart_script(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load Vega, about a megabyte, on the pages that draw charts and on no other."""
    if doctree is not None and any(CHART in raw.astext() for raw in doctree.findall(nodes.raw)):
        app.add_js_file(VEGA_SCRIPT, loading_method="defer")


def give_addresses(app: Sphinx, config: Config) -> None:
    """Tell the site where it and its repository live: pyproject.toml says so, and no other file."""
    urls = project_urls()
    # With its slash: without it, what resolves addresses against it would drop its last part.
    config.html_baseurl = config.ogp_site_url = f"{urls['Homepage']}/"
    if config.html_theme == THEME:
        config.html_theme_options |= {"repository_url": urls["Repository"], "repository_branch": BRANCH}
    config.html_context["project_urls"] = urls


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    os.environ["BOOK_BUILD"] = "1"  # inherited by the kernels that execute pages
    app.add_directive("mermaid", Mermaid)
    app.connect("config-inited", give_addresses)
    app.connect("source-read", hide_answers)
    app.connect("doctree-read", require_alt_text)
    app.connect("html-page-context", load_chart_script)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
