"""Words cut into pieces, one cut a step: the reader moves the slider."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from companion.viz._checks import as_words
from companion.viz.charts import _finish
from companion.viz.style import COLOURS

if TYPE_CHECKING:
    import altair as alt

_SHADES = ("#cfe3f1", "#fde6bf")  # two light neighbours of the palette, told apart in grey too


def pieces_chart(
    steps: Sequence[Sequence[Sequence[str]]],
    captions: Sequence[str],
    *,
    start: int = 0,
    label: str = "step",
    title: str | Sequence[str] = "",
) -> "alt.LayerChart":
    """Draw words as rows of pieces, with a slider through the ways to cut them.

    Parameters
    ----------
    steps
        For each step, for each word, its pieces. Every step cuts the same words.
    captions
        What happened at each step, one line each.
    start
        The step to show first, counted from 0.
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
        If there is no step, a step cuts other words than the first, the captions do not fit, or there is no step
        ``start``.
    """
    import altair as alt

    if not steps or not steps[0]:
        raise ValueError("steps must hold one step of one word or more, got none")
    words = ["".join(pieces) for pieces in steps[0]]
    for number, step in enumerate(steps):
        if ["".join(pieces) for pieces in step] != words:
            raise ValueError(f"every step must cut the same words, got others in step {number} than in step 0")
    if start not in range(len(steps)):
        raise ValueError(f"start must be from 0 to {len(steps) - 1}, got {start!r}")
    lines = as_words("captions", captions, len(steps))
    data = [row for number, step in enumerate(steps) for row in _rectangles(number, step)]
    slider = alt.param(
        name="step", value=start, bind=alt.binding_range(min=0, max=len(steps) - 1, step=1, name=f"{label} ")
    )
    width = max(map(len, words))
    base = alt.Chart(alt.InlineData(values=data)).transform_filter("datum.step == step")
    x = alt.X("start:Q", title=None, scale=alt.Scale(domain=[0, width], nice=False), axis=None)
    y = alt.Y("word:O", title=None, axis=None)
    boxes = base.mark_rect(stroke="white", strokeWidth=2).encode(
        x=x,
        x2="end:Q",
        y=y,
        color=alt.Color("shade:N", scale=alt.Scale(domain=[0, 1], range=list(_SHADES)), legend=None),
        tooltip=[alt.Tooltip("piece:N", title="piece")],
    )
    texts = base.mark_text(font="monospace", fontSize=13, color=COLOURS["ink"]).encode(
        x=alt.X("middle:Q"), y=y, text="piece:N"
    )
    notes = [{"step": number, "caption": line} for number, line in enumerate(lines)]
    caption = (
        alt.Chart(alt.InlineData(values=notes))
        .transform_filter("datum.step == step")
        .mark_text(align="left", baseline="bottom", fontSize=12, color=COLOURS["ink"], dy=-6)
        .encode(x=alt.value(0), y=alt.value(0), text="caption:N")
    )
    return _finish(alt.layer(boxes, texts, caption).add_params(slider), title, rows=len(words) + 1)


def _rectangles(number: int, step: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    rows = []
    for word, pieces in enumerate(step):
        place = 0
        for index, piece in enumerate(pieces):
            end = place + len(piece)
            rows.append(
                {
                    "step": number,
                    "word": word,
                    "start": place,
                    "end": end,
                    "middle": (place + end) / 2,
                    "shade": index % 2,
                    "piece": piece.replace(" ", "␣"),
                }
            )
            place = end
    return rows
