"""Sphinx: the reference pages, written from what the code knows.

``{data-sources}`` lists what `companion.data` can fetch, ``{benchmark-table}`` what the last run of the benchmarks
wrote, ``{benchmark-chart}`` draws some of it, and ``{gpu-table}`` shows what a run on a GPU wrote, so that no page can
say something the code does not. Signatures show annotations as their author wrote them (``ArrayLike``, and not the
union of a dozen types that it stands for). ``_sources/`` is removed: the theme copies executed notebooks there for a
download button that this site does not have, and those of the labs hold the solutions.
"""

import ast
import html
import inspect
import io
import json
import shutil
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
# A run on this machine comes first; the recorded one is what a fresh clone shows.
BENCHMARK_FILES = ("_build/bench.json", "book/benchmarks.json")
GPU_FILES = ("_build/bench_gpu.json", "book/benchmarks_gpu.json")


class MarkdownDirective(SphinxDirective):
    """A directive whose body is Markdown written by Python."""

    def markdown(self) -> str:
        """Return what stands on the page."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown as if it stood in the page."""
        parent = nodes.Element()
        self.state.nested_parse(StringList(self.markdown().splitlines(), source=self.env.docname), 0, parent)
        return parent.children


class DataSources(MarkdownDirective):
    """The registered texts and models: a table to compare them, then one card each."""

    def markdown(self) -> str:
        """Write the table and one card a source."""
        from companion.data import card, sources
        from companion.data.cards import short_licence

        cards = [card(source) | {"short": short_licence(source)} for source in sources()]
        rows = [(f"`{c['name']}`", c["kind"], c.pop("short"), c["download"], c.get("rows", "")) for c in cards]
        return "\n\n".join([table(("Name", "Kind", "Licence", "Download", "Rows"), rows), *map(_source_card, cards)])


# What the card shows as code, and what stands in the table or in the card's head already.
_AS_CODE = {"package", "file", "sha256", "hub"}
_SAID = {"name", "kind", "holds", "rows", "download"}


def _source_card(card: dict[str, str]) -> str:
    details = (
        f"- **{label}**: {f'`{text}`' if label in _AS_CODE else text}"
        for label, text in card.items()
        if label not in _SAID
    )
    return f":::{{card}} {card['name']}\n:class-card: source-card\n\n{card['holds']}\n\n" + "\n".join(details) + "\n:::"


def _recorded(env: BuildEnvironment) -> dict[str, Any]:
    """Return the results that the page shows, of this machine or recorded; none if there are none."""
    path = next((path for name in BENCHMARK_FILES if (path := ROOT / name).exists()), None)
    if path is None:
        return {}
    env.note_dependency(str(path))
    return json.loads(path.read_text("utf8"))


class BenchmarkTable(MarkdownDirective):
    """The ratios of the last benchmark run."""

    def markdown(self) -> str:
        """Write the table, or say that nothing has been measured yet."""
        entries = _recorded(self.env)
        if not entries:
            return "Nothing has been measured yet: run `make bench`."
        units = dict.fromkeys(entry["unit"] for entry in entries.values())
        return "\n\n".join(_benchmark_table(entries, unit) for unit in units)


class GpuTable(MarkdownDirective):
    """Tokens a second and the share of the GPU's peak, as the last run on one wrote them."""

    def markdown(self) -> str:
        """Write the table with its machine and date, or say that there was no run."""
        path = next((path for name in GPU_FILES if (path := ROOT / name).exists()), None)
        if path is None:
            return "Not yet run on a GPU."
        self.env.note_dependency(str(path))
        run = json.loads(path.read_text("utf8"))
        rows = [
            (row["name"], f"{row['tokens_per_second']:,.0f}", f"{row['mfu']:.1%}" if row["mfu"] else "unknown")
            for row in run["rows"]
        ]
        said = f"{run['device']}, torch {run['torch']}, {run['date']}; {run['model']}:"
        return f"{said}\n\n" + table(("What", "Tokens a second", "MFU"), rows)


class PretrainingTable(MarkdownDirective):
    """What each part of our pretraining recipe is worth, as the last run wrote it."""

    def markdown(self) -> str:
        """Write the table with its date, or say that there was no run."""
        path = ROOT / "book" / "pretraining.json"
        if not path.exists():
            return "Not yet run."
        self.env.note_dependency(str(path))
        run = json.loads(path.read_text("utf8"))
        rows = []
        for name, by_seed in run["runs"].items():
            if by_seed:
                bits, steps = ([one[key] for one in by_seed.values()] for key in ("bits", "steps"))
                spread = f"{min(bits):.3f}–{max(bits):.3f}"
                rows.append(
                    (name, str(len(bits)), f"{statistics.fmean(steps):,.0f}", f"{statistics.fmean(bits):.3f}", spread)
                )
        said = f"torch {run['torch']}, {run['date']}, {run['seconds']:.0f} CPU seconds each:"
        return f"{said}\n\n" + table(("Recipe", "Seeds", "Steps", "Bits a byte", "Lowest–highest"), rows)


class BenchmarkChart(SphinxDirective):
    """The ratios of those benchmarks whose names start with the given words, drawn."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Draw, as a picture whose text stays text."""
        starts = tuple(word.replace("_", " ") for word in self.arguments[0].split())
        entries = {name: entry for name, entry in _recorded(self.env).items() if name.startswith(starts)}
        if not entries:
            return [nodes.paragraph(text="Nothing of this has been measured yet.")]
        said = "; ".join(f"{name}: {e['ratio']:.2f}, target {e['target']:.2f}" for name, e in entries.items())
        picture = f'<div style="background: #fff" role="img" aria-label="{html.escape(said)}">{_draw(entries)}</div>'
        return [nodes.raw("", picture, format="html")]


def _draw(entries: dict[str, Any]) -> str:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from companion.viz import ratio_chart, use_book_style

    columns = {key: [entry[name] for entry in entries.values()] for key, name in _COLUMNS.items()}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"}):
        use_book_style()
        ax = ratio_chart(list(entries), label=next(iter(entries.values()))["unit"], **columns)
        file = io.StringIO()
        ax.figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(ax.figure)
    return file.getvalue()[file.getvalue().index("<svg") :]


_COLUMNS = {"ratios": "ratio", "low": "low", "high": "high", "targets": "target"}


def _benchmark_table(entries: dict[str, Any], unit: str) -> str:
    rows = [
        (name, e["peer"], f"**{e['ratio']:.2f}**", f"{e['low']:.2f}–{e['high']:.2f}", f"{e['target']:.2f}")
        for name, e in entries.items()
        if e["unit"] == unit
    ]
    return f"Ratio of {unit}:\n\n" + table(("Benchmark", "Compared with", "Ratio", "Low–high", "Target"), rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))


def source_signature(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> tuple[str, str | None] | None:
    """Return the arguments and the return annotation of the source, or None to let autodoc find its own."""
    function = inspect.unwrap(obj.__init__ if what == "class" else obj) if callable(obj) else None
    if not inspect.isfunction(function) or "<" in function.__code__.co_filename:  # written in C, or by @dataclass
        return None
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    if not isinstance(node, ast.FunctionDef):
        return None
    if what in ("class", "method"):
        node.args.args = node.args.args[1:]  # self
    for argument in (*node.args.args, *node.args.kwonlyargs):
        argument.annotation = _without_quotes(argument.annotation)
    returned = ast.unparse(_without_quotes(node.returns)) if node.returns and what != "class" else None
    return f"({ast.unparse(node.args)})", returned


def _without_quotes(annotation: ast.expr | None) -> ast.expr | None:
    """Return a forward reference as the expression that it quotes."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def resolve_short_name(app: Sphinx, env: Any, node: Any, contnode: nodes.Node) -> nodes.Node | None:
    """Link a class of ours that another module's annotation names without its module."""
    if node.get("refdomain") != "py" or "." in node["reftarget"]:
        return None
    domain = env.get_domain("py")
    module = node.get("py:module") or ""
    found = [name for name, _ in domain.find_obj(env, module, None, node["reftarget"], node["reftype"], 1)]
    package = ".".join(module.split(".")[:2])
    target = min((name for name in found if name.startswith(f"{package}.")), key=len, default=None)
    if target is None and len(found) != 1:  # nobody has it, or several and none of them is near
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], target or found[0], node, contnode)


def without_thebe(app: Sphinx) -> None:
    """Keep Jupyter Book's live-code extension, unused here, from declaring a foreign script twice on every page."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        listeners = app.events.listeners[event]
        listeners[:] = [listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"]


def remove_sources(app: Sphinx, error: Exception | None) -> None:
    """Delete what the theme copied beside the pages."""
    if error is None and app.builder.format == "html":
        shutil.rmtree(Path(app.outdir) / "_sources", ignore_errors=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives and the hooks."""
    app.add_directive("data-sources", DataSources)
    app.add_directive("benchmark-table", BenchmarkTable)
    app.add_directive("benchmark-chart", BenchmarkChart)
    app.add_directive("gpu-table", GpuTable)
    app.add_directive("pretraining-table", PretrainingTable)
    app.connect("builder-inited", without_thebe)
    app.connect("autodoc-process-signature", source_signature)
    app.connect("missing-reference", resolve_short_name)
    app.connect("build-finished", remove_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
