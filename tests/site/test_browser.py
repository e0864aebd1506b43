"""What a reader sees: every page in Chromium, light and dark, on a desk and on a phone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.site.browser import SCHEMES, SITE, WIDTHS, page_names, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ElementHandle, Page, Route

pytestmark = pytest.mark.site

# The page at the root only sends the reader on.
PAGES = [name for name in page_names() if name != "index.html"] if SITE.exists() else ["book/index.html"]
LOOK = (Path(__file__).parent / "look.js").read_text("utf8")


@pytest.fixture(scope="module")
def window(chromium: Browser, address: str) -> Iterator[Page]:
    """Open one window for all tests; what goes wrong in it is kept in ``window.wrongs``."""
    # Without reduced motion a colour may be measured half-way through a transition.
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.wrongs = []
    page.on(
        "console", lambda message: page.wrongs.append(f"console: {message.text}") if message.type == "error" else None
    )
    page.on("pageerror", lambda error: page.wrongs.append(f"script: {error}"))
    page.on("requestfailed", lambda request: page.wrongs.append(f"failed: {request.url}"))
    page.on(
        "response", lambda reply: page.wrongs.append(f"{reply.status}: {reply.url}") if reply.status >= 400 else None
    )

    def only_here(route: Route) -> None:
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            page.wrongs.append(f"asks another host: {route.request.url}")
            route.abort()

    page.route("**/*", only_here)
    yield page
    context.close()


def change_look(page: Page, scheme: str, width: int) -> None:
    """Be a reader with another screen: the page follows without being loaded again."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
    settle(page)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_nothing_to_complain_about(name: str, window: Page, address: str):
    window.wrongs.clear()
    window.goto(address + name)
    found = []
    for scheme, width in itertools.product(SCHEMES, WIDTHS):
        change_look(window, scheme, width)
        found += [f"{scheme}, {width} px: {complaint}" for complaint in window.evaluate(LOOK)]
    assert not window.wrongs + found, "\n".join([name, *window.wrongs, *found])


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("<div style='width: 900px'>wide</div>", "wide in a window"),
        ("<img src='data:image/png;base64,' alt='broken'>", "picture not loaded"),
        ("<div class='math'>\\\\[x^2\\\\]</div>", "formula not typeset"),
        ("<input type='range'>", "no name to say"),
        ("<p style='color: #aaa'>faint</p>", "contrast"),
        ("<pre style='width: 50px; overflow-x: auto' tabindex='-1'>a long line of code</pre>", "not with the keyboard"),
    ],
)
def test_the_look_at_a_page_sees_each_fault(fault: str, complaint: str, window: Page):
    window.goto("about:blank")  # a timer that the theme's scripts left behind would mend the last fault
    window.set_viewport_size({"width": 390, "height": 900})
    window.set_content(f"<!doctype html><html lang=en><body><article><p>Good text.</p>{fault}</article></body></html>")
    found = window.evaluate(LOOK)
    assert len(found) == 1, found
    assert complaint in found[0]


def test_the_root_sends_the_reader_to_the_first_page(window: Page, address: str):
    window.goto(address)
    window.wait_for_url(address + "book/index.html")


def controls(chart: ElementHandle) -> list[ElementHandle]:
    return chart.query_selector_all("input, select")


def move(control: ElementHandle) -> None:
    """Drag a slider or choose another entry, as a reader would, with the events that follow."""
    kind = control.evaluate("e => e.tagName === 'SELECT' ? 'select' : e.type")
    if kind == "select":
        control.select_option(index=control.evaluate("e => (e.selectedIndex + 1) % e.options.length"))
    elif kind == "range":
        control.focus()
        for _ in range(5):
            control.press("ArrowRight" if control.evaluate("e => +e.value < +e.max") else "ArrowLeft")
    else:
        control.click()


def drawing(chart: ElementHandle) -> str:
    pieces = "[...e.querySelectorAll('svg, canvas')]"
    return chart.evaluate(f"e => {pieces}.map(d => d.tagName === 'svg' ? d.outerHTML : d.toDataURL()).join()")


def test_the_charts_of_the_chapter_are_drawn_again_when_their_controls_move(window: Page, address: str):
    window.goto(address + "book/attention.html")
    change_look(window, "light", WIDTHS[0])
    window.wait_for_function("[...document.querySelectorAll('.book-chart')].every(c => c.querySelector('svg, canvas'))")
    charts = [chart for chart in window.query_selector_all(".book-chart") if controls(chart)]
    assert len(charts) >= 2
    for number, chart in enumerate(charts):
        for control in controls(chart):
            before = drawing(chart)
            control.scroll_into_view_if_needed()
            move(control)
            window.wait_for_timeout(150)
            assert drawing(chart) != before, f"chart {number} stays as it was: {control.evaluate('e => e.outerHTML')}"


def test_the_reader_can_change_between_light_and_dark(window: Page, address: str):
    window.goto(address + "book/index.html")
    change_look(window, "light", WIDTHS[0])
    theme = "document.documentElement.dataset.theme"
    seen = {window.evaluate(theme)}
    for _ in range(3):
        window.click("button.theme-switch-button >> visible=true")
        seen.add(window.evaluate(theme))
    assert seen == {"light", "dark"}


def test_the_search_finds_the_chapter_by_a_word_of_it(window: Page, address: str):
    window.goto(address + "search.html?q=softmax")
    window.wait_for_selector("#search-results li a[href*='book/attention']", timeout=10_000)
