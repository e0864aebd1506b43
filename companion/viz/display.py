"""Show an interactive chart on a page without a kernel, in Jupyter and in Colab, with words for who cannot see it."""

import html
import json
import os
from collections.abc import Callable
from typing import Any

from companion.viz._checks import require_text

# The page loads its own copy of vega-embed, perhaps after this script has run: so the script waits for it. The chart
# is an image to a screen reader; its controls must not be, so they are placed outside the element with role="img".
# Vega gives the element it draws in a role and a label of its own, so that is another element inside.
# Vega measures its container while a resized page is still being laid out, so the script measures again afterwards.
_PAGE = """<div class="book-chart" style="background:#fff; color:#222; border-radius:.25rem; padding:.5rem">
<div class="book-chart-picture" role="img" aria-label="{alt}"><div style="width:100%"></div></div>
<div class="book-chart-controls"></div>
<noscript>{alt}</noscript>
<script>
(function (box) {{
  const spec = {spec};
  const picture = box.querySelector(".book-chart-picture > div");
  const controls = box.querySelector(".book-chart-controls");
  function draw() {{
    if (!window.vegaEmbed) return setTimeout(draw, 50);
    window.vegaEmbed(picture, spec, {{actions: false, renderer: "svg", bind: controls}}).then(function (drawn) {{
      new ResizeObserver(function () {{
        drawn.view.width(picture.clientWidth).runAsync();
      }}).observe(picture);
    }}).catch(function (error) {{
      picture.textContent = "This chart could not be drawn: " + error;
    }});
  }}
  draw();
}})(document.currentScript.parentElement);
</script>
</div>"""


def is_book_build() -> bool:
    """Tell whether the notebook runs to become a page of the site, where no kernel will answer (``BOOK_BUILD=1``)."""
    return os.environ.get("BOOK_BUILD") == "1"


class _Shown:
    """What a notebook cell returns: it knows how to draw itself where it is displayed."""

    def __init__(self, chart: Any, alt: str) -> None:
        self._chart, self._alt = chart, alt

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if is_book_build():
            return {"text/html": _page_html(self._chart.to_dict(), self._alt), "text/plain": self._alt}
        return self._chart._repr_mimebundle_(include, exclude)


def _page_html(spec: dict[str, Any], alt: str) -> str:
    # "</" would end the script element in the middle of a string.
    text = json.dumps(spec, ensure_ascii=False, sort_keys=True).replace("</", "<\\/")
    return _PAGE.format(alt=html.escape(alt, quote=True), spec=text)


def show(chart: Any, alt: str) -> _Shown:
    """Display an Altair chart that stays interactive on the static page.

    Parameters
    ----------
    chart
        An Altair chart.
    alt
        What a person who cannot see the chart should know.

    Returns
    -------
    object
        To be the last line of a cell. When the book is built it is an HTML element that draws the chart with the
        page's own vega-embed; elsewhere it is the chart as Altair shows it.

    Raises
    ------
    TypeError
        If the chart is no Altair chart, or the description no string.
    ValueError
        If the description is empty.
    """
    if not (hasattr(chart, "to_dict") and hasattr(chart, "_repr_mimebundle_")):
        raise TypeError(f"chart must be an Altair chart, got {type(chart).__name__}")
    require_text("alt", alt)
    return _Shown(chart, alt)


def explore(draw: Callable[..., Any], **controls: Any) -> None:
    """Offer ipywidgets that call ``draw`` again, where a live kernel can answer; elsewhere do nothing.

    Parameters
    ----------
    draw
        Function of the controls' values.
    controls
        As for ``ipywidgets.interact``: a widget, a range or a list for each argument of ``draw``.

    Raises
    ------
    TypeError
        If ``draw`` cannot be called, or there are no controls.
    """
    if not callable(draw) or not controls:
        raise TypeError("explore needs a function and at least one control: explore(draw, size=(1, 9))")
    if is_book_build() or not _in_notebook():
        return
    import ipywidgets

    ipywidgets.interact(draw, **controls)


def _in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this code."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None
