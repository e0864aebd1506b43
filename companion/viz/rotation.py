"""A query and a key as arrows that turn with their positions: the reader moves both, or both together."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from companion.viz._checks import as_numbers
from companion.viz.charts import _finish
from companion.viz.style import COLOURS

if TYPE_CHECKING:
    import altair as alt


def rotation_chart(
    query: Sequence[float],
    key: Sequence[float],
    *,
    turn: float = 0.2,
    positions: tuple[int, int] = (5, 2),
    last: int = 30,
    title: str | Sequence[str] = "",
) -> "alt.LayerChart":
    """Draw one pair of features of a query and of a key, turned by their positions, with a slider for each position.

    Parameters
    ----------
    query, key
        The two features, before they are turned.
    turn
        The angle of one position, in radians.
    positions
        Where the query and the key stand first.
    last
        The last position of both sliders.
    title
        What the chart shows, as a finding; a list gives one line each.

    Returns
    -------
    altair.LayerChart
        Responsive in width.

    Raises
    ------
    TypeError, ValueError
        If query or key are not two finite numbers that are not both zero, or the first positions are not from 0 to
        ``last``.
    """
    import altair as alt

    arrows = []
    for name, vector in (("query", query), ("key", key)):
        numbers = as_numbers(name, np.asarray(vector), ("feature",))
        if len(numbers) != 2 or not numbers.any():
            raise ValueError(f"{name} must be two numbers, not both zero, got {numbers.tolist()}")
        arrows.append((name, float(math.hypot(*numbers)), math.atan2(numbers[1], numbers[0])))
    if not all(position in range(last + 1) for position in positions):
        raise ValueError(f"positions must be from 0 to {last}, got {positions}")
    sliders = [
        alt.param(name=name, value=start, bind=alt.binding_range(min=0, max=last, step=1, name=f"{label} at position "))
        for name, label, start in (("at_query", "query", positions[0]), ("at_key", "key", positions[1]))
    ]
    data = [{"arrow": name, "length": length, "angle": angle} for name, length, angle in arrows]
    reach = 1.25 * max(length for _, length, _ in arrows)
    up = alt.Scale(domain=[-reach, reach], nice=False)
    # As much wider than high as the page makes the chart, or angles would not look like angles.
    across = alt.Scale(domain=[{"expr": f"{sign}{reach} * width / height"} for sign in ("-", "")], nice=False)
    base = (
        alt.Chart(alt.InlineData(values=data))
        .transform_calculate(turned=f"datum.angle + {turn} * (datum.arrow == 'query' ? at_query : at_key)", zero="0")
        .transform_calculate(x="datum.length * cos(datum.turned)", y="datum.length * sin(datum.turned)")
    )
    colour = alt.Color(
        "arrow:N",
        scale=alt.Scale(domain=["query", "key"], range=[COLOURS["ours"], COLOURS["wrong"]]),
        legend=None,
    )
    tip = {
        "x": alt.X("x:Q", scale=across, title="feature i", axis=alt.Axis(tickCount=5)),
        "y": alt.Y("y:Q", scale=up, title="feature i + d/2", axis=alt.Axis(tickCount=5)),
        "color": colour,
    }
    lines = base.mark_rule(strokeWidth=3).encode(**tip, x2="zero:Q", y2="zero:Q")
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        **tip,
        shape=alt.Shape("arrow:N", scale=alt.Scale(domain=["query", "key"], range=["circle", "square"]), legend=None),
    )
    written = {name: channel for name, channel in tip.items() if name != "color"}  # too faint for letters
    names = base.mark_text(dy=-14, fontSize=13, fontWeight="bold", color=COLOURS["ink"]).encode(
        **written, text="arrow:N"
    )
    (_, query_length, query_angle), (_, key_length, key_angle) = arrows
    product = f"{query_length * key_length} * cos({query_angle - key_angle} + {turn} * (at_query - at_key))"
    caption = (
        alt.Chart(alt.InlineData(values=[{"corner": reach}]))
        .transform_calculate(
            words=f"'distance ' + (at_query - at_key) + ', dot product ' + format({product}, '.2f')",
            left="-datum.corner * width / height",
        )
        .mark_text(align="left", baseline="top", dx=6, dy=4, fontSize=14, color=COLOURS["ink"])
        .encode(x=alt.X("left:Q", scale=across), y=alt.Y("corner:Q", scale=up), text="words:N")
    )
    return _finish(alt.layer(lines, points, names, caption).add_params(*sliders), title, rows=13)
