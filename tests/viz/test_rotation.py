"""The chart of two turning arrows says the dot product that its sliders make."""

import math
import re

import pytest
import torch
import vl_convert

from companion.attention import Rotation, rotate
from companion.viz import rotation_chart, show

QUERY, KEY = (1.5, 0.4), (0.7, -1.1)


def caption(**options):
    svg = vl_convert.vegalite_to_svg(rotation_chart(QUERY, KEY, **options).to_dict() | {"width": 300})
    found = re.search(r"distance (-?\d+), dot product (.\d+\.\d+|\d+\.\d+)", svg)
    assert found is not None
    return int(found[1]), float(found[2].replace("−", "-"))


@pytest.mark.parametrize("positions", [(0, 0), (5, 2), (25, 22), (3, 17)])
def test_the_caption_is_the_product_of_the_turned_vectors(positions):
    angles = 0.2 * torch.tensor(positions, dtype=torch.float64)[:, None]
    both = torch.tensor([QUERY, KEY], dtype=torch.float64)[None, None]
    query, key = rotate(both, Rotation(angles.cos()[None], angles.sin()[None]))[0, 0]
    distance, product = caption(positions=positions)
    assert distance == positions[0] - positions[1]
    assert product == pytest.approx(float(query @ key), abs=0.006)


def test_equal_distances_give_equal_products():
    assert caption(positions=(5, 2)) == caption(positions=(25, 22))


def test_each_arrow_has_a_slider():
    sliders = [param for param in rotation_chart(QUERY, KEY, last=12).to_dict()["params"] if "bind" in param]
    assert [slider["bind"]["name"] for slider in sliders] == ["query at position ", "key at position "]
    assert {slider["bind"]["max"] for slider in sliders} == {12}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"query": (1.0, 2.0, 3.0)}, "query must be two numbers"),
        ({"key": (0.0, 0.0)}, "not both zero"),
        ({"query": (math.nan, 1.0)}, "must be finite"),
        ({"positions": (31, 0)}, "positions must be from 0 to 30"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, words):
    arguments = {"query": QUERY, "key": KEY} | options
    with pytest.raises(ValueError, match=words):
        rotation_chart(**arguments)


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_page_both_sliders_together_leave_the_product_and_angles_stay_angles(
    chromium, tmp_path, monkeypatch, width
):
    monkeypatch.setenv("BOOK_BUILD", "1")
    drawn = show(rotation_chart((2.0, 0.0), (0.0, 2.0), turn=0.1), "arrows")._repr_mimebundle_()["text/html"]
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><meta charset='utf-8'><body>{drawn}<script>{script}</script></body>", "utf8")
    page = chromium.new_page(viewport={"width": width, "height": 700})
    page.goto(file.as_uri())
    page.wait_for_selector(".book-chart svg")

    def words():
        page.wait_for_timeout(300)
        (found,) = [text for text in page.locator("svg text").all_text_contents() if "dot product" in text]
        return found

    sliders = page.locator("input[type=range]")
    first = words()
    sliders.nth(0).fill("15")
    assert words() != first
    sliders.nth(1).fill("12")
    assert words() == first
    for slider in (0, 1):
        sliders.nth(slider).fill("0")
    page.wait_for_timeout(300)
    boxes = page.locator("path[aria-roledescription='rule mark'], line[aria-roledescription='rule mark']")
    sizes = [boxes.nth(i).bounding_box() for i in range(2)]
    long = sorted(max(size["width"], size["height"]) for size in sizes)
    assert long[1] == pytest.approx(long[0], rel=0.05)  # equally long, one along each axis
    page.close()
