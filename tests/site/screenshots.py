"""Pictures of every page, light and dark, wide and narrow, for people to look at.

python -m tests.site.screenshots            every page into _build/screenshots/
python -m tests.site.screenshots attention  the pages whose name holds "attention"
python -m tests.site.screenshots --readme   the picture of the README, book/_static/screenshot.png
"""

from __future__ import annotations

import argparse
import io
from typing import TYPE_CHECKING

from PIL import Image
from rich.progress import track

from tests.site.browser import NO_SITE, ROOT, SCHEMES, SITE, WIDTHS, launch, page_names, serve, settle

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = ROOT / "_build" / "screenshots"
README_PICTURE = ROOT / "book" / "_static" / "screenshot.png"
README_PAGE, README_CHART = "book/attention.html", ".book-chart"


def every_page(browser: Browser, address: str, part: str) -> None:
    """Save each page in its four looks."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = [name for name in page_names() if part in name and name != "index.html"]
    for scheme in SCHEMES:
        for width in WIDTHS:
            page = browser.new_page(
                color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
            )
            for name in track(names, description=f"{scheme}, {width} px"):
                page.goto(address + name)
                settle(page)
                file = f"{name.removesuffix('.html').replace('/', '-')}-{scheme}-{width}.png"
                page.screenshot(path=FOLDER / file, full_page=True)
            page.close()


def readme_picture(browser: Browser, address: str) -> None:
    """Save the window of a reader who has come to the last chart that moves, in few enough colours to be small."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page.goto(address + README_PAGE)
    settle(page)
    page.locator(README_CHART).last.evaluate("e => window.scrollTo(0, e.getBoundingClientRect().top + scrollY - 150)")
    settle(page)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(128).save(README_PICTURE, optimize=True)


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="", help="only pages whose name holds this")
    parser.add_argument("--readme", action="store_true", help="only the picture of the README")
    options = parser.parse_args()
    if not SITE.exists():
        raise SystemExit(NO_SITE)
    with serve() as address, launch() as browser:
        if options.readme:
            readme_picture(browser, address)
            print(f"{README_PICTURE}: {README_PICTURE.stat().st_size / 1e3:.0f} kB")
        else:
            every_page(browser, address, options.part)
            print(f"The pictures are in {FOLDER}")


if __name__ == "__main__":
    main()
