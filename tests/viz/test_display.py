"""What a page, a live notebook and a plain process get from `show` and `explore`."""

import json
import re
import subprocess
import sys

import altair as alt
import pytest

from companion.viz import explore, is_book_build, show

ALT = 'Two bars; the "first" is <taller>'


@pytest.fixture
def chart():
    values = [{"word": "</script><b>", "weight": 0.7}, {"word": "它", "weight": 0.3}]
    return alt.Chart(alt.InlineData(values=values)).mark_bar().encode(x="weight:Q", y="word:N")


@pytest.fixture
def page(chart, monkeypatch):
    monkeypatch.setenv("BOOK_BUILD", "1")
    return show(chart, ALT)._repr_mimebundle_()


def test_a_page_gets_one_html_element_and_words(page):
    assert set(page) == {"text/html", "text/plain"}
    assert page["text/plain"] == ALT
    assert 'role="img" aria-label="Two bars; the &quot;first&quot; is &lt;taller&gt;"' in page["text/html"]


def test_the_controls_lie_outside_the_picture(page):
    picture = page["text/html"].index("book-chart-picture")
    controls = page["text/html"].index("book-chart-controls")
    assert "</div>" in page["text/html"][picture:controls]


def test_data_cannot_end_the_script(page):
    assert page["text/html"].count("</script>") == 1


def test_the_page_holds_the_whole_chart(page, chart):
    spec = re.search(r"const spec = (.*);\n", page["text/html"])[1]
    expected = chart.to_dict()
    found = json.loads(spec.replace("<\\/", "</"))
    assert found["encoding"] == expected["encoding"]
    assert found["data"] == expected["data"]


def test_the_page_loads_nothing_from_elsewhere(page):
    assert not re.search(r"src=|href=|import\(|https?://(?!vega\.github\.io/schema)", page["text/html"])


def test_the_same_chart_gives_the_same_bytes(chart, monkeypatch):
    monkeypatch.setenv("BOOK_BUILD", "1")
    first, second = (show(chart, ALT)._repr_mimebundle_()["text/html"] for _ in range(2))
    assert first == second


def test_a_live_notebook_gets_what_altair_gives(chart, monkeypatch):
    monkeypatch.delenv("BOOK_BUILD", raising=False)
    bundle = show(chart, ALT)._repr_mimebundle_()
    content = bundle[0] if isinstance(bundle, tuple) else bundle
    assert not is_book_build()
    assert "book-chart" not in json.dumps(content)
    assert content


@pytest.mark.parametrize(
    ("alt_text", "error"), [("", ValueError), ("   ", ValueError), (None, TypeError), (7, TypeError)]
)
def test_a_chart_without_words_is_refused(chart, alt_text, error):
    with pytest.raises(error, match="alt"):
        show(chart, alt_text)


def test_what_is_no_chart_is_refused():
    with pytest.raises(TypeError, match="Altair chart, got dict"):
        show({"mark": "bar"}, ALT)


def test_explore_does_nothing_where_no_kernel_can_answer(monkeypatch):
    calls = []
    explore(calls.append, value=(1, 3))
    monkeypatch.setenv("BOOK_BUILD", "1")
    explore(calls.append, value=(1, 3))
    assert calls == []


def test_explore_offers_widgets_in_a_live_kernel(monkeypatch):
    monkeypatch.delenv("BOOK_BUILD", raising=False)
    monkeypatch.setattr("companion.viz.display._in_notebook", lambda: True)
    calls = []
    explore(lambda value: calls.append(value), value=(1, 3))
    assert calls == [2]  # interact draws once, with the middle of the range


@pytest.mark.parametrize("arguments", [({}, {}), ((7,), {"value": (1, 3)}), ((print,), {})])
def test_explore_refuses_what_it_cannot_call(arguments):
    positional, controls = arguments
    with pytest.raises(TypeError):
        explore(*positional, **controls)


def test_importing_the_figures_loads_neither_torch_nor_a_plotting_library():
    code = "import sys, companion.viz; print([m for m in ('torch', 'matplotlib', 'altair') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
