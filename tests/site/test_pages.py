"""What can be told from the built pages without a browser: links, titles, outlines, addresses."""

from __future__ import annotations

import importlib
import itertools
import re
import tomllib
from urllib.parse import unquote, urldefrag, urljoin, urlparse
from xml.etree import ElementTree

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from companion.exercises import SLUGS
from tests.site.browser import ROOT, SITE
from tests.slugs import package_of

pytestmark = pytest.mark.site

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]["urls"]
Soups = dict[str, BeautifulSoup]
PACKAGES_WITHOUT_A_CHAPTER = {"weights", "generation", "pretraining", "metrics", "data", "viz"}


def toc_files(node: object = TOC) -> list[str]:
    """Return every document of the table of contents, in reading order."""
    if isinstance(node, list):
        return [name for child in node for name in toc_files(child)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("root", "file") if key in node]
    return own + [name for key in ("parts", "chapters", "sections") for name in toc_files(node.get(key))]


def targets(soup: BeautifulSoup) -> set[str]:
    return {tag["id"] for tag in soup.find_all(id=True)} | {
        tag["name"] for tag in soup.find_all("a", attrs={"name": True})
    }


def test_every_file_of_the_table_of_contents_is_a_page_and_no_other_is(our_pages: Soups):
    assert {f"{name}.html" for name in toc_files()} == set(our_pages)


def test_every_internal_link_and_anchor_resolves(soups: Soups):
    anchors = {name: targets(soup) for name, soup in soups.items()}
    broken = []
    for name, soup in soups.items():
        for tag in soup.find_all(["a", "img", "script", "link", "source"]):
            address = tag.get("href") or tag.get("src")
            if not address or urlparse(address).scheme or address.startswith("//"):
                continue
            path, fragment = urldefrag(urljoin(name, address))
            path = unquote(path.split("?")[0])
            there = path in soups or (SITE / path).is_file()
            if not there or (fragment and path in anchors and unquote(fragment) not in anchors[path]):
                broken.append(f"{name} -> {address}")
    assert not broken, "\n".join(broken)


def test_nothing_on_a_page_is_fetched_from_another_host(soups: Soups):
    foreign = [
        f"{name}: {tag.get('src') or tag.get('href')}"
        for name, soup in soups.items()
        for tag in soup.find_all(["script", "img", "iframe", "source", "link"])
        if urlparse(tag.get("src") or tag.get("href") or "").netloc and tag.get("rel") != ["canonical"]
    ]
    assert not foreign, "\n".join(foreign)


def test_every_page_has_its_own_title_a_description_and_a_language(our_pages: Soups):
    titles = {name: soup.title.get_text() for name, soup in our_pages.items()}
    assert len(set(titles.values())) == len(titles), titles
    for name, soup in our_pages.items():
        assert soup.html["lang"] == "en", name
        for key in ({"name": "description"}, {"property": "og:description"}):
            described = soup.find("meta", attrs=key)
            assert described, f"{name} has no {key}"
            assert len(described["content"]) >= 40, f"{name}: {described['content']!r} describes nothing"


def test_every_page_has_one_top_heading_and_skips_no_level(our_pages: Soups):
    for name, soup in our_pages.items():
        levels = [int(tag.name[1]) for tag in soup.find("article").find_all(re.compile("^h[1-6]$"))]
        assert levels[:1] == [1], f"{name} begins with {levels[:1]}"
        assert levels.count(1) == 1, f"{name} has {levels.count(1)} top headings"
        jumps = [pair for pair in itertools.pairwise(levels) if pair[1] > pair[0] + 1]
        assert not jumps, f"{name} jumps over a level: {jumps}"


def test_every_picture_has_alternative_text_that_is_not_a_file_name(our_pages: Soups):
    for name, soup in our_pages.items():
        for picture in soup.find("article").find_all("img"):
            text = picture.get("alt", "")
            assert len(text) >= 15, f"{name}: {picture['src']} says only {text!r}"
            assert not re.search(r"\.(png|svg|jpe?g)$|/", text), f"{name}: {text!r} is a path"


def test_the_addresses_stand_in_pyproject_and_nowhere_else_in_the_configuration():
    text = (ROOT / "_config.yml").read_text("utf8")
    assert not [url for url in URLS.values() if url.rstrip("/") in text]
    assert CONFIG["launch_buttons"] == CONFIG["sphinx"]["config"]["html_theme_options"]["launch_buttons"]


def test_every_page_of_ours_names_its_address_under_the_homepage(our_pages: Soups):
    for name, soup in our_pages.items():
        assert soup.find("link", rel="canonical")["href"] == URLS["Homepage"] + name
        assert soup.find("meta", property="og:url")["content"] == URLS["Homepage"] + name


def test_the_sitemap_names_every_page_under_the_homepage(our_pages: Soups):
    listed = {tag.text for tag in ElementTree.parse(SITE / "sitemap.xml").iter() if tag.tag.endswith("loc")}
    assert {URLS["Homepage"] + name for name in our_pages} <= listed


@pytest.mark.parametrize("page", [name for name in toc_files() if (ROOT / f"{name}.ipynb").exists()])
def test_open_in_colab_leads_to_the_notebook_that_the_repository_holds(page: str, soups: Soups):
    links = soups[f"{page}.html"].select("a[href^='https://colab.research.google.com']")
    where = urlparse(URLS["Repository"]).path.strip("/")
    expected = f"https://colab.research.google.com/github/{where}/blob/main/{page}.ipynb"
    assert links, f"{page} has no Colab button"
    assert {tag["href"] for tag in links} == {expected}
    nbformat.validate(nbformat.read(ROOT / f"{page}.ipynb", as_version=4))


def test_every_chapter_and_lab_has_a_notebook_for_colab():
    notebooks = {name for name in toc_files() if (ROOT / f"{name}.ipynb").exists()}
    assert {f"{folder}/{slug}" for folder in ("book", "labs") for slug in SLUGS} <= notebooks


# ---- the table chapter | lab | code, in the README and on the first page ----

REFERENCE = {"book/index", "book/data", "book/benchmarks", "book/runtimes", "book/instructors"}
LINK = re.compile(r"\]\(([^)#]+)")


def table_of_slugs(text: str, base: str) -> dict[str, list[str]]:
    """Read the table: slug -> the three paths of its row, from the root of the repository."""
    lines = text.splitlines()
    start = next(
        (i for i, line in enumerate(lines) if re.match(r"\|\s*Chapter\s*\|\s*Lab\s*\|\s*Code\s*\|", line)), None
    )
    assert start is not None, "there is no table Chapter | Lab | Code"
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        paths = [urljoin(base, path) for path in LINK.findall(line)]
        assert len(paths) == 3, f"three links belong in {line!r}"
        rows[re.sub(r".*/|\.\w+$", "", paths[0])] = paths
    return rows


def chapter_slugs() -> set[str]:
    pages = [name for name in toc_files() if name.startswith("book/") and not name.startswith("book/api/")]
    return {name.removeprefix("book/") for name in pages if name not in REFERENCE}


@pytest.mark.parametrize(("page", "base"), [("README.md", ""), ("book/index.md", "book/")])
def test_the_table_of_chapters_is_true(page: str, base: str):
    rows = table_of_slugs((ROOT / page).read_text("utf8"), base)
    assert set(rows) == chapter_slugs()
    for slug, (chapter, lab, code) in rows.items():
        assert chapter.startswith(f"book/{slug}"), chapter
        assert lab.startswith(f"labs/{slug}"), lab
        package = package_of(slug)
        assert code.rstrip("/") in {f"companion/{package}", f"book/api/{package}.md"}, code
        assert (ROOT / "companion" / package / "__init__.py").exists()
        assert f"labs/{slug}" in toc_files()
        for path in (chapter, lab, code):
            assert (ROOT / path).exists(), f"{page} links to {path}, which does not exist"


# ---- the formula and the code, both ways ----


@pytest.mark.parametrize("slug", sorted(chapter_slugs()))
def test_the_chapter_links_to_its_code_and_the_code_to_its_chapter(slug: str, soups: Soups):
    def hrefs(page: str) -> list[str]:
        return [urljoin(page, tag["href"]) for tag in soups[page].find("article").select("a[href]")]

    package = package_of(slug)
    chapter, reference = f"book/{slug}.html", f"book/api/{package}.html"
    assert any(href.startswith(f"{reference}#companion.{package}.") for href in hrefs(chapter))
    assert any(href.startswith(chapter) for href in hrefs(reference))


@pytest.mark.parametrize("package", sorted({package_of(slug) for slug in SLUGS} | PACKAGES_WITHOUT_A_CHAPTER))
def test_every_public_name_of_a_package_is_on_its_reference_page(package: str, soups: Soups):
    public = importlib.import_module(f"companion.{package}").__all__
    assert {f"companion.{package}.{name}" for name in public} <= targets(soups[f"book/api/{package}.html"])
