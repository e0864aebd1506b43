"""One look at the built site for all its tests: the pages are parsed once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup

from tests.site import browser as b

# Pages that Sphinx writes itself: they have no source of ours.
GENERATED = ("_modules/", "genindex.html", "py-modindex.html", "search.html")


@pytest.fixture(scope="session", autouse=True)
def _built_site() -> None:
    if not (b.SITE / "index.html").exists():
        pytest.fail(b.NO_SITE, pytrace=False)


@pytest.fixture(scope="session")
def soups() -> dict[str, BeautifulSoup]:
    return {name: BeautifulSoup((b.SITE / name).read_text("utf8"), "html.parser") for name in b.page_names()}


@pytest.fixture(scope="session")
def our_pages(soups: dict[str, BeautifulSoup]) -> dict[str, BeautifulSoup]:
    """The pages that people wrote; index.html at the root only sends the reader on to the first of them."""
    return {name: soup for name, soup in soups.items() if not name.startswith(GENERATED) and name != "index.html"}


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with b.serve() as address:
        yield address
