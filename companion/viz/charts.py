"""Interactive charts: everything that moves is computed in the page, so no kernel is needed."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from companion.viz._checks import as_numbers, as_weights, as_words
from companion.viz.style import COLOURS, SEQUENTIAL_ENDS

if TYPE_CHECKING:
    import altair as alt


def temperature_chart(
    scores: ArrayLike,
    tokens: Sequence[str],
    *,
    start: float = 1.0,
    low: float = 0.5,
    high: float = 32.0,
    step: float = 0.5,
    label: str = "divide the scores by",
    title: str | Sequence[str] = "",
) -> "alt.LayerChart":
    """Draw softmax(scores / t) as bars, with a slider for t.

    Parameters
    ----------
    scores
        One row of scores, before any scaling.
    tokens
        A label for each score.
    start, low, high, step
        Where the slider begins, its ends, and how far it moves at a time.
    label
        Name of the slider.
    title
        What the chart shows, as a finding; a list gives one line each.

    Returns
    -------
    altair.LayerChart
        Responsive in width.

    Raises
    ------
    TypeError, ValueError
        If the scores are not one row of finite numbers, the labels do not fit,
        or not 0 < low <= start <= high with step > 0.
    """
    import altair as alt

    row = as_numbers("scores", scores, ("key",))
    words = as_words("tokens", tokens, len(row))
    if not (0 < low <= start <= high and step > 0):
        raise ValueError(
            f"the slider needs 0 < low <= start <= high and step > 0, got {low=}, {start=}, {high=}, {step=}"
        )
    divisor = alt.param(
        name="divisor", value=start, bind=alt.binding_range(min=low, max=high, step=step, name=f"{label} ")
    )
    # exp is taken of differences from the largest score: never more than 1, whatever the slider says.
    data = [
        {"position": i, "score": round(float(score), 4), "gap": round(float(score - row.max()), 4)}
        for i, score in enumerate(row)
    ]
    base = (
        alt.Chart(alt.InlineData(values=data))
        .transform_calculate(power="exp(datum.gap / divisor)")
        .transform_joinaggregate(total="sum(power)")
        .transform_calculate(weight="datum.power / datum.total", word=_lookup(words, "datum.position"))
        .encode(y=alt.Y("position:O", title=None, axis=_word_axis(words)))
    )
    bars = base.mark_bar(color=COLOURS["ours"]).encode(
        x=alt.X("weight:Q", title="weight (softmax)", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)),
        tooltip=[
            alt.Tooltip("word:N", title="word"),
            alt.Tooltip("score:Q", format=".2f"),
            alt.Tooltip("weight:Q", format=".3f"),
        ],
    )
    numbers = base.mark_text(align="left", dx=4, color=COLOURS["ink"]).encode(
        x="weight:Q", text=alt.Text("weight:Q", format=".2f")
    )
    return _finish(alt.layer(bars, numbers).add_params(divisor), title, rows=len(words))


def heads_chart(
    weights: ArrayLike,
    tokens: Sequence[str],
    *,
    layer: int = 1,
    head: int = 1,
    title: str | Sequence[str] = "",
) -> "alt.Chart":
    """Draw one head's attention over a sentence, with menus to choose the layer and the head.

    Parameters
    ----------
    weights
        Array (layer, head, query, key) of numbers from 0 to 1.
    tokens
        A label for each position.
    layer, head
        What to show first, counted from 1 as the menus do.
    title
        What the chart shows, as a finding; a list gives one line each.

    Returns
    -------
    altair.Chart
        Responsive in width.

    Raises
    ------
    TypeError, ValueError
        If the weights do not have four axes with as many keys as queries, are not between 0 and 1, the labels do not
        fit, or the layer or head does not exist.
    """
    import altair as alt

    array = as_weights("weights", weights, ("layer", "head", "query", "key"))
    n_layers, n_heads, n_query, n_key = array.shape
    if n_query != n_key:
        raise ValueError(f"weights must have as many keys as queries, got {n_query} queries and {n_key} keys")
    words = as_words("tokens", tokens, n_key)
    for name, value, count in (("layer", layer, n_layers), ("head", head, n_heads)):
        if value not in range(1, count + 1):
            raise ValueError(f"{name} must be from 1 to {count}, got {value!r}")
    menus = [
        alt.param(name=name, value=value, bind=alt.binding_select(options=list(range(1, count + 1)), name=f"{name} "))
        for name, value, count in (("layer", layer, n_layers), ("head", head, n_heads))
    ]
    # One row a head, its matrix flattened to whole thousandths: a tenth of the size of one row a weight.
    thousandths = np.rint(array * 1000).astype(int).reshape(n_layers, n_heads, -1)
    data = [{"l": i + 1, "h": j + 1, "w": thousandths[i, j].tolist()} for i in range(n_layers) for j in range(n_heads)]
    chart = (
        alt.Chart(alt.InlineData(values=data))
        .transform_filter("datum.l == layer && datum.h == head")
        .transform_flatten(["w"])
        .transform_window(cell="row_number()")
        .transform_calculate(
            query=f"floor((datum.cell - 1) / {n_key})", key=f"(datum.cell - 1) % {n_key}", weight="datum.w / 1000"
        )
        .transform_calculate(looking=_lookup(words, "datum.query"), looked=_lookup(words, "datum.key"))
        .mark_rect(stroke="#dddddd", strokeWidth=0.5)
        .encode(
            x=alt.X("key:O", title="looked at (key)", axis=_word_axis(words, angle=-90)),
            y=alt.Y("query:O", title="looking (query)", axis=_word_axis(words)),
            color=alt.Color(
                "weight:Q",
                scale=alt.Scale(range=list(SEQUENTIAL_ENDS), domain=[0, 1]),
                legend=alt.Legend(title="weight", orient="top", gradientLength=160),
            ),
            tooltip=["looking:N", "looked:N", alt.Tooltip("weight:Q", format=".3f")],
        )
        .add_params(*menus)
    )
    return _finish(chart, title, rows=len(words))


def _lookup(words: list[str], index: str) -> str:
    """Vega expression for the word at a position: words may repeat, so positions are the axis and words its labels."""
    return f"{json.dumps(words, ensure_ascii=False)}[{index}]"


def _word_axis(words: list[str], angle: int = 0) -> Any:
    import altair as alt

    return alt.Axis(labelExpr=_lookup(words, "datum.value"), labelAngle=angle, labelOverlap=False, ticks=False)


def _finish(chart: Any, title: str | Sequence[str], rows: int) -> Any:
    """Give a chart the book's look: as wide as the page allows, white under it, legible type."""
    import altair as alt

    lines = [title] if isinstance(title, str) else list(title)
    heading = alt.TitleParams(text=lines, anchor="start", frame="bounds", fontSize=14, fontWeight="bold")
    return (
        chart.properties(width="container", height=24 * rows, background="white", title=heading)
        .configure_axis(labelFontSize=12, titleFontSize=12, labelColor=COLOURS["ink"], titleColor=COLOURS["ink"])
        .configure_legend(labelFontSize=12, titleFontSize=12)
        .configure_title(color=COLOURS["ink"])
        .configure_view(stroke=None)
    )
