"""The chart of words cut into pieces draws the step that its slider says."""

import pytest
import vl_convert

from companion.viz import pieces_chart

STEPS = [[["t", "h", "e"], [" ", "h", "e"]], [["t", "he"], [" ", "he"]], [["the"], [" he"]]]
CAPTIONS = ["bytes", "h + e", "t + he"]


def drawn(spec):
    svg = vl_convert.vegalite_to_svg(spec | {"width": 300})
    texts = [part.split("</text>")[0].split(">")[-1] for part in svg.split("<text")[1:]]
    return [text for text in texts if text]


@pytest.mark.parametrize("start", range(3))
def test_a_step_shows_its_own_pieces_and_its_caption(start):
    shown = [piece.replace(" ", "␣") for word in STEPS[start] for piece in word]
    assert sorted(drawn(pieces_chart(STEPS, CAPTIONS, start=start).to_dict())) == sorted([*shown, CAPTIONS[start]])


def test_the_slider_reaches_every_step():
    (slider,) = pieces_chart(STEPS, CAPTIONS, label="merge").to_dict()["params"]
    assert (slider["bind"]["min"], slider["bind"]["max"], slider["bind"]["name"]) == (0, 2, "merge ")


@pytest.mark.parametrize(
    ("steps", "captions", "start", "words"),
    [
        ([], [], 0, "one step of one word or more"),
        ([[]], ["a"], 0, "one step of one word or more"),
        (STEPS, CAPTIONS[:2], 0, "one string for each of the 3"),
        (STEPS, CAPTIONS, 3, "start must be from 0 to 2, got 3"),
        ([STEPS[0], [["t", "h"], [" he"]]], ["a", "b"], 0, "others in step 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(steps, captions, start, words):
    with pytest.raises(ValueError, match=words):
        pieces_chart(steps, captions, start=start)
