"""The built site behind a local server, in a real browser: shared by the tests and by ``screenshots.py``."""

from __future__ import annotations

import contextlib
import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
NO_SITE = f"There is no built site in {SITE}. Run `make book` first."
NO_BROWSER = (
    "No browser to look at the site with: install Debian's chromium (apt-get install chromium) "
    "or playwright's own (.venv/bin/playwright install chromium)."
)
# A quiet Chromium: no sandbox (containers run as root), no graphics card, no calls home.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output for the test."""


@contextlib.contextmanager
def serve(folder: Path = SITE) -> Iterator[str]:
    """Serve ``folder`` on a free local port and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chromium_path() -> str | None:
    """Return the system's Chromium, or None to use playwright's own."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def launch() -> Iterator[Browser]:
    """Start the system's Chromium, or else playwright's; FileNotFoundError says how to get one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = chromium_path()
        if path is None and not Path(playwright.chromium.executable_path).exists():
            raise FileNotFoundError(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


def page_names(folder: Path = SITE) -> list[str]:
    """Return every page of the site, relative to its root."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.html")
        if "_static" not in path.relative_to(folder).parts
    )


def settle(page: Page) -> None:
    """Wait until MathJax has typeset, every picture has loaded and the charts are drawn."""
    page.evaluate(
        """async () => {
            document.querySelectorAll('img').forEach(img => { img.loading = 'eager'; });
            if (window.MathJax?.startup) await MathJax.startup.promise;
            await Promise.all([...document.images].map(img => img.decode().catch(() => {})));
            await document.fonts.ready;
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )
