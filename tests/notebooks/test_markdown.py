"""MyST becomes Markdown that shows the same in Colab, and what cannot is refused by name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from companion.publish.markdown import PlainMarkdown
from companion.publish.project import page_url, project_urls
from companion.publish.sources import SiteIndex, read_page

SITE = project_urls()["Homepage"]
REPOSITORY = project_urls()["Repository"]


@pytest.fixture
def plain(checkout, index):
    def convert(text: str) -> str:
        return PlainMarkdown(checkout, "book/page", index, read_page("book/page", text)[1])(text)

    return convert


@pytest.mark.parametrize(
    ("myst", "expected"),
    [
        ("```{note}\nbody\n```", "> **Note**\n>\n> body"),
        (":::{tip} With `code`\nbody\n:::", "> **Tip: With `code`**\n>\n> body"),
        ("```{admonition} Title\n:class: tip\nbody\n```", "> **Title**\n>\n> body"),
        ("```{seealso}\nbody\n```", "> **See also**\n>\n> body"),
        (
            "```{admonition} More\n:class: dropdown\nbody\n```",
            "<details>\n<summary><b>More</b></summary>\n\nbody\n\n</details>",
        ),
        ("```{mermaid}\n:alt: two boxes\n\ngraph TD\n```", "```mermaid\ngraph TD\n```"),
        ("% a comment\n\ntext", "text"),
        ("(target)=\n\ntext", "text"),
        ("```{code-block} python\nx = 1\n```", "```python\nx = 1\n```"),
        ("````{code-block} md\n```\n```\n````", "````md\n```\n```\n````"),
        ("```{math}\na = b\n```", "$$\na = b\n$$"),
        ("{math}`x^2` and {term}`token` and {kbd}`Shift`", "$x^2$ and token and `Shift`"),
        ("`{ref}` is a role, `` `x` `` is code", "`{ref}` is a role, `` `x` `` is code"),
        ("costs $a[i](j)$ here", "costs $a[i](j)$ here"),
        (
            "[out](https://example.org) and <https://example.org>",
            "[out](https://example.org) and <https://example.org>",
        ),
        ("```{toctree}\nother\n```\n\nafter", "after"),
        ("```python\n{ref}`kept as typed`\n```", "```python\n{ref}`kept as typed`\n```"),
    ],
)
def test_a_construct_becomes_its_plain_form(plain, myst, expected):
    assert plain(myst) == expected


def test_nested_fences_of_every_kind_are_unwrapped(plain):
    one = "````{tab-item} One\n:::{note}\n```{tip}\ninner\n```\n:::\n````"
    text = f"`````{{tab-set}}\n{one}\n````{{tab-item}} Two\nb\n````\n`````"
    written = plain(text)
    assert "**One**" in written
    assert "**Two**" in written
    assert "> **Note**\n>\n> > **Tip**\n> >\n> > inner" in written
    assert "{" not in written


def test_a_directive_in_a_list_stays_in_its_item(plain):
    assert plain("- item\n\n  ```{note}\n  body\n  ```\n- next") == "- item\n\n  > **Note**\n  >\n  > body\n- next"


def test_exercises_are_numbered_and_their_solutions_folded(plain):
    text = (
        "```{exercise} First\n:label: ex-a\nDo it.\n```\n\n"
        "```{exercise}\n:label: ex-b\nAgain, after {ref}`ex-a`.\n```\n\n"
        "````{solution} ex-b\n:class: dropdown\n```python\nx = 1\n```\n````"
    )
    written = plain(text)
    assert "> **Exercise 1: First**\n>\n> Do it." in written
    assert f"> **Exercise 2**\n>\n> Again, after [Exercise 1]({page_url('book/page')}#ex-a)." in written
    assert "<summary><b>Solution to Exercise 2</b></summary>\n\n```python\nx = 1\n```\n\n</details>" in written


def test_equations_are_numbered_and_referred_to_by_number(plain):
    written = plain("$$\na\n$$ (eq-a)\n\n```{math}\n:label: eq-b\nb\n```\n\n{eq}`eq-b`, {eq}`eq-a`")
    assert "$$\na\n\\tag{1}\n$$" in written
    assert "$$\nb\n\\tag{2}\n$$" in written
    url = page_url("book/page")
    assert written.endswith(f"[(2)]({url}#equation-eq-b), [(1)]({url}#equation-eq-a)")


def test_references_link_to_the_site(plain):
    assert plain("{ref}`how`") == f"[How to]({SITE}/book/adding.html#how)"
    assert plain("{ref}`my\n words <how>`") == f"[my words]({SITE}/book/adding.html#how)"
    assert plain("{numref}`Figure %s <how>`") == f"[How to]({SITE}/book/adding.html#how)"
    assert plain("{doc}`adding`") == f"[Adding up]({SITE}/book/adding.html)"
    assert plain("[lab](../labs/adding.md#top)") == f"[lab]({SITE}/labs/adding.html#top)"
    assert plain("[](#how)") == f"[How to]({SITE}/book/adding.html#how)"
    assert plain("[`code`](api/sums.md)") == f"[`code`]({SITE}/book/api/sums.html)"


def test_citations_name_authors_and_year(plain):
    assert plain("{cite:t}`euler1748`") == f"[Euler (1748)]({page_url('book/page')})"
    assert plain("{cite:p}`euler1748, many`") == f"[(Euler, 1748; One et al., 2001)]({page_url('book/page')})"


def test_documented_objects_link_to_the_reference_and_others_are_code(plain):
    assert (
        plain("{func}`companion.sums.add`") == f"[`companion.sums.add`]({SITE}/book/api/sums.html#companion.sums.add)"
    )
    assert plain("{func}`~companion.sums.add`") == f"[`add`]({SITE}/book/api/sums.html#companion.sums.add)"
    assert plain("{mod}`companion.sums`") == f"[`companion.sums`]({SITE}/book/api/sums.html#module-companion.sums)"
    assert plain("{class}`torch.Tensor`") == "`torch.Tensor`"


def test_included_source_is_the_file_s_own_lines(plain):
    written = plain("```{literalinclude} ../companion/sums.py\n:language: python\n:pyobject: add\n```")
    link = f"From [`companion/sums.py`]({REPOSITORY}/blob/main/companion/sums.py):"
    assert written == f"{link}\n\n```python\ndef add(a, b):\n    return a + b\n```"


def test_pictures_come_from_the_repository(checkout, plain):
    (checkout / "book/a.png").write_bytes(b"png")
    url = f"{REPOSITORY}/raw/main/book/a.png"
    assert plain("```{figure} a.png\n:alt: a plot\nThe caption.\n```") == f"![a plot]({url})\n\nThe caption."
    assert plain("![a plot](a.png)") == f"![a plot]({url})"


@pytest.mark.parametrize(
    ("myst", "named"),
    [
        ("```{nonsense}\n```", "{nonsense}"),
        ("{nonsense}`x`", "{nonsense}"),
        ("{ref}`nowhere`", "'nowhere'"),
        ("{cite:p}`nobody`", "'nobody'"),
        ("{doc}`missing`", "missing.md"),
        ("[x](missing.md)", "missing.md"),
        ("[x](missing.txt)", "missing.txt"),
        ("```{note}\nnever closed", "never closed"),
        ("- ```python\n  x", "never closed"),
        ("```{literalinclude} ../companion/sums.py\n:pyobject: absent\n```", "companion/sums.py"),
    ],
)
def test_what_cannot_be_resolved_is_refused_by_name(plain, myst, named):
    with pytest.raises(ValueError, match=r"^book/page\.md: .*" + re.escape(named)):
        plain(myst)


WORDS = st.text(alphabet="abc xyz", min_size=1, max_size=20).map(str.strip).filter(bool)
PLAIN_BLOCKS = WORDS | WORDS.map(lambda w: f"- {w}\n- {w}") | WORDS.map(lambda w: f"```python\n{w}\n```")
NAMES = st.sampled_from(["note", "tip", "dropdown", "exercise"])


def directives_around(blocks):
    return st.builds(wrap, NAMES, st.lists(blocks, min_size=1, max_size=3))


def wrap(name: str, blocks: list[str]) -> str:
    body = "\n\n".join(blocks)
    longest = max((len(run) for run in re.findall("`+", body)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{{{name}}}\n{body}\n{fence}"


BLOCKS = st.recursive(PLAIN_BLOCKS, directives_around, max_leaves=6)


@given(st.lists(BLOCKS, min_size=1, max_size=4))
def test_no_directive_survives_every_fence_is_closed_and_no_word_is_lost(tmp_path_factory, blocks):
    text = "\n\n".join(blocks)
    written = PlainMarkdown(tmp_path_factory.getbasetemp(), "book/page", SiteIndex(tmp_path_factory.getbasetemp()), {})(
        text
    )
    assert not re.search(r"`{3,}\{", written)
    for token in MarkdownIt().parse(written):
        if token.type == "fence":
            assert token.info == "python"
            assert written.splitlines()[token.map[1] - 1].rstrip().endswith(token.markup)
    kept = re.sub(r"[^abcxyz]", "", re.sub(r"<[^>]*>|\*\*[^*]*\*\*|python", "", written))
    assert kept == re.sub(r"[^abcxyz]", "", re.sub(r"`+\{\w+\}|python", "", text))
