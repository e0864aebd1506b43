"""What the site build rests on: no answer on a lab's page, no picture without words, no stale result, no other host."""

import base64
import re
from xml.etree import ElementTree

import pytest
from myst_nb.core.read import read_myst_markdown_notebook
from notebook_samples import CHAPTER, LAB, page, write
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from companion.publish import cache
from companion.publish.cache import CACHE, environment_hash, execute_pages, invalidate_cache
from companion.publish.diagrams import draw
from companion.publish.lab_pages import page_text
from companion.publish.project import colab_url, project_urls
from companion.publish.vendor import VENDOR, vendor_scripts

SECRETS = ("secret_sum", "-7, 7", "model answer")
CHART = """
## A chart

```{code-cell} ipython3
import os
import matplotlib.pyplot as plt
from IPython.display import HTML

HTML(f'<div aria-label="a chart"></div><script>vegaEmbed({os.environ["BOOK_BUILD"]})</script>')
```

```{code-cell} ipython3
:mystnb: {image: {alt: a rising line}}

plt.plot([1, 2]);
```
"""


def silent(*_):
    pass


def codes(text):
    return [cell.source for cell in read_myst_markdown_notebook(text).cells if cell.cell_type == "code"]


def test_a_lab_s_page_runs_the_same_code_and_shows_the_students_version():
    text = page(LAB)
    shown = page_text(text, "labs/adding")
    assert codes(shown) == codes(text)
    cells = read_myst_markdown_notebook(shown).cells
    visible = [c.source for c in cells if not {"remove-cell", "remove-input"} & set(c.metadata.get("tags", []))]
    for secret in SECRETS:
        assert secret not in "\n".join(visible)
    assert any("raise NotImplementedError()" in source for source in visible)
    assert colab_url("labs/adding.ipynb") in visible[0]


def test_pages_that_are_no_labs_are_left_as_they_are():
    assert page_text(page(CHAPTER), "book/adding") == page(CHAPTER)
    assert page_text("# Labs\n", "labs/index") == "# Labs\n"


def test_a_lab_without_a_title_is_refused():
    with pytest.raises(ValueError, match=r"labs/adding\.md: a lab starts with its title"):
        page_text(page(LAB.replace("# Lab: adding\n", "Text.\n", 1)), "labs/adding")


@pytest.fixture
def build(checkout):
    """Build the small checkout's site; return the output folder and the warnings."""

    def run(chapter=CHAPTER + CHART, **config):
        (checkout / "book/api/sums.md").unlink(missing_ok=True)
        write(checkout / "labs/index.md", "# Index\n\n```{toctree}\nadding\n../book/adding\n```\n")
        write(checkout / "book/adding.md", page(re.sub(r"\{cite:t\}`\w+`", "Euler", chapter)))
        write(checkout / "_build/vendor/vega.js", "")
        log, out = checkout / "warnings.txt", checkout / "_build/html"
        settings = {
            "extensions": ["myst_nb", "companion.publish.sphinx_ext"],
            "root_doc": "labs/index",
            "exclude_patterns": ["_build", "**.ipynb"],
            "html_static_path": ["_build/vendor"],
            "html_copy_source": False,
            "myst_enable_extensions": ["colon_fence", "dollarmath"],
            "nb_execution_mode": "cache",
            "nb_execution_cache_path": str(checkout / CACHE),
            **config,
        }
        with log.open("w") as warnings, docutils_namespace():
            arguments = {"confoverrides": settings, "status": None, "warning": warnings}
            Sphinx(str(checkout), None, str(out), str(checkout / "_build/doctrees"), "html", **arguments).build()
        return out, log.read_text()

    return run


def test_no_answer_is_anywhere_in_the_built_site(build):
    out, warnings = build()
    assert warnings == ""
    for path in out.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in SECRETS if secret.encode() in content], path
    lab = (out / "labs/adding.html").read_text("utf8")
    assert "YOUR ANSWER HERE" in lab
    assert "NotImplementedError" in lab
    assert "add: right" in lab
    assert colab_url("labs/adding.ipynb") in lab


def test_the_chart_script_is_on_pages_with_charts_only_and_pages_know_they_are_built(build):
    out, _ = build()
    chapter = (out / "book/adding.html").read_text("utf8")
    assert "vega.js" in chapter
    assert "vegaEmbed(1)" in chapter
    assert 'alt="a rising line"' in chapter
    assert "vega.js" not in (out / "labs/adding.html").read_text("utf8")


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (":mystnb: {image: {alt: a rising line}}\n", "", "has no alt text"),
        (' aria-label="a chart"', "", "has no aria-label"),
        ("## A chart", "![](x.png)\n\n## A chart", "has no alt text"),
    ],
)
def test_a_picture_without_words_is_a_warning(build, checkout, old, new, warning):
    write(checkout / "book/x.png", "")
    _, warnings = build((CHAPTER + CHART).replace(old, new))
    assert warnings.count("WARNING") == 1
    assert warning in warnings


def test_the_addresses_of_the_site_are_the_project_s(build):
    out, _ = build(html_baseurl="https://example.org/")
    urls = project_urls()
    assert f'rel="canonical" href="{urls["Homepage"]}' in (out / "book/adding.html").read_text("utf8")


def test_pages_executed_before_the_build_are_what_the_build_uses(checkout, build, monkeypatch):
    build()  # writes the sources that follow
    invalidated = checkout / CACHE
    assert execute_pages(checkout, silent) == []
    invalidate_cache(checkout)
    assert sorted(execute_pages(checkout, silent)) == ["book/adding.md", "labs/adding.md"]
    assert execute_pages(checkout, silent) == []
    execute = "myst_nb.core.execute.cache.single_nb_execution"
    monkeypatch.setattr(execute, lambda *_, **__: pytest.fail("was not cached"))
    for built in checkout.joinpath("_build/doctrees").rglob("*.doctree"):
        built.unlink()
    assert build()[1] == ""
    assert invalidated.exists()


@pytest.mark.parametrize("changed", ["companion/sums.py", "companion/new.py", "constraints.txt"])
def test_a_change_of_the_companion_or_the_pins_empties_the_cache(checkout, changed):
    assert not invalidate_cache(checkout)
    write(checkout / CACHE / "result", "old")
    assert not invalidate_cache(checkout)
    write(checkout / changed, "changed = True\n")
    assert invalidate_cache(checkout)
    assert not (checkout / CACHE / "result").exists()
    assert not invalidate_cache(checkout)


def test_another_torch_or_python_empties_the_cache(checkout, monkeypatch):
    before = environment_hash(checkout)
    with monkeypatch.context() as patch:
        patch.setattr(cache.importlib.metadata, "version", lambda name: "0.0")
        assert environment_hash(checkout) != before
    monkeypatch.setattr(cache.sys, "version_info", (3, 99))
    assert environment_hash(checkout) != before


def test_text_of_a_page_does_not_empty_the_cache(checkout):
    invalidate_cache(checkout)
    write(checkout / "book/adding.md", page(CHAPTER.replace("Why", "How come")))
    assert not invalidate_cache(checkout)


def test_scripts_are_copied_once_and_hold_all_that_pages_load(tmp_path):
    assert vendor_scripts(tmp_path)
    folder = tmp_path / VENDOR
    assert (folder / "mathjax/tex-chtml.js").stat().st_size > 1_000_000
    assert list((folder / "mathjax/output/chtml/fonts/woff-v2").glob("*.woff"))
    assert "window.vegaEmbed" in (folder / "vega.js").read_text("utf8")
    assert not vendor_scripts(tmp_path)
    (folder / "vega.js").unlink()
    assert vendor_scripts(tmp_path)


def test_a_diagram_is_drawn_into_the_page_with_its_words(build):
    diagram = 'flowchart TB\n  a["one"] --> b["two"]'
    out, warnings = build(f'{CHAPTER}\n```{{mermaid}}\n:alt: one "box" leads to another\n\n{diagram}\n```\n')
    assert warnings == ""
    chapter = (out / "book/adding.html").read_text("utf8")
    pattern = r'<img src="data:image/svg\+xml;base64,(\S+?)" width="\d+" height="\d+" alt="(.*?)">'
    ((data, alt),) = re.findall(pattern, chapter)
    assert alt == "one &quot;box&quot; leads to another"
    svg = base64.b64decode(data).decode()
    ElementTree.fromstring(svg)
    assert "foreignObject" not in svg
    assert ">one<" in svg
    assert "mermaid.js" not in chapter


def test_a_frames_title_stands_at_its_left_where_no_arrow_crosses_it():
    svg = draw('flowchart TB\n  a["one"] --> b\n  subgraph F["frame"]\n    b["a box that is wide"]\n  end')
    ((left, title),) = re.findall(r'x="([\d.]+)"[^>]*/><g class="cluster-label" transform="translate\(([\d.]+),', svg)
    assert float(title) == float(left) + 8


@pytest.mark.parametrize(
    ("diagram", "complaint"),
    [
        ("\nflowchart TB\n  a --> b", "needs the option `alt`"),
        (":alt: two boxes\n\nflowchart TB\n  a --> --> b", "is no Mermaid diagram"),
    ],
)
def test_a_diagram_without_words_or_sense_stops_a_strict_build(build, diagram, complaint):
    _, warnings = build(CHAPTER + f"\n```{{mermaid}}\n{diagram}\n```\n")
    assert complaint in warnings
