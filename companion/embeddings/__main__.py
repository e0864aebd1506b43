"""Make the package's word vectors anew: ``python -m companion.embeddings FOLDER``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from companion.embeddings.pretrained import make


def main(folder: Annotated[Path, typer.Argument(help="Where the vectors and their record are written.")]) -> None:
    """Train the word vectors that come with the package, measure them, and print the record."""
    typer.echo(json.dumps(make(folder), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
