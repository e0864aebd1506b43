"""What a reader of the static page meets: charts that are drawn and move without a kernel, and fit the page."""

import re

import numpy as np
import pytest
import vl_convert

from companion.viz import heads_chart, show, temperature_chart

WORDS = ["it", "was", "too", "big"]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>charts</title>
<body style="margin:0 16px">{charts}<script>(function () {{{script}}})();</script></body></html>"""


@pytest.fixture
def page(chromium, tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_BUILD", "1")
    weights = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 3, 4))
    charts = [
        show(temperature_chart([5.0, 1.0, 0.0, 2.0], WORDS, start=2.0), "bars"),
        show(heads_chart(weights, WORDS, title="a title as long as those of the book"), "a map"),
    ]
    drawn = "".join(chart._repr_mimebundle_()["text/html"] for chart in charts)
    # The script comes last: the charts must wait for it.
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    file = tmp_path / "page.html"
    file.write_text(PAGE.format(charts=drawn, script=script), "utf8")
    page = chromium.new_page(viewport={"width": 390, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    page.wait_for_function("document.querySelectorAll('.book-chart svg').length === 2")
    yield page
    page.close()
    assert errors == []


def texts(page, index):
    return page.locator(".book-chart").nth(index).locator("svg text").all_text_contents()


def test_the_slider_redraws_the_softmax_without_a_kernel(page):
    def largest():
        return max(float(text) for text in texts(page, 0) if re.fullmatch(r"\d\.\d\d", text))

    scores = np.array([5.0, 1.0, 0.0, 2.0])
    assert largest() == pytest.approx((np.exp(scores / 2) / np.exp(scores / 2).sum()).max(), abs=0.006)
    page.locator("input[type=range]").fill("16")
    page.wait_for_timeout(300)
    assert largest() == pytest.approx((np.exp(scores / 16) / np.exp(scores / 16).sum()).max(), abs=0.006)


def test_the_menus_change_the_map(page):
    def fills():
        return (
            page.locator(".book-chart")
            .nth(1)
            .locator("path[aria-roledescription='rect mark']")
            .evaluate_all("cells => cells.map(cell => cell.getAttribute('fill'))")
        )

    before = fills()
    assert len(before) == 16
    page.get_by_label("head").select_option("3")
    page.wait_for_timeout(300)
    assert len(fills()) == 16
    assert fills() != before


def test_every_control_has_a_name_and_lies_outside_the_picture(page):
    assert page.get_by_label("divide the scores by").count() == 1
    assert page.get_by_label("layer").count() == 1
    assert page.locator("[role=img] input, [role=img] select").count() == 0
    assert page.locator("[role=img]").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))") == [
        "bars",
        "a map",
    ]


def test_charts_fit_the_page_after_every_change_of_its_width(page):
    for width in (390, 1280, 390, 700):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        room, drawn = page.evaluate(
            """() => [...document.querySelectorAll('.book-chart-picture > div')].map(picture =>
                [picture.clientWidth, Number(picture.querySelector('svg').getAttribute('width'))])"""
        )[0]
        assert drawn == pytest.approx(room, abs=2)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
