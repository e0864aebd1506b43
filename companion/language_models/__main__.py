"""``python -m companion.language_models``: train the small neural model on texts, and write a checkpoint with its log.

The texts are JSON lines with a ``text`` each, as ``companion.data.load(...).to_json(...)`` writes them.
"""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from companion.language_models import checkpoint
from companion.language_models.evaluation import perplexity
from companion.language_models.neural import NeuralConfig, NeuralModel
from companion.language_models.training import Progress, TrainingConfig, log_probabilities, train
from companion.language_models.vocabulary import Vocabulary, split_words

POINTS = 15  # of the curve in the log


def read_texts(path: Path) -> list[list[str]]:
    """Read JSON lines and cut each text into words."""
    with path.open(encoding="utf8") as lines:
        return [split_words(json.loads(line)["text"]) for line in lines if line.strip()]


def fit(
    vocabulary: Vocabulary,
    texts: list[list[str]],
    held_out: list[list[str]],
    sizes: dict[str, Any],
    config: TrainingConfig,
) -> tuple[NeuralModel, list[dict[str, float]]]:
    """Train a new model and return it with its curve: the perplexity of the held-out texts as training goes on."""
    model = NeuralModel(NeuralConfig(vocab_size=len(vocabulary), **sizes), torch.Generator().manual_seed(config.seed))
    curve: list[dict[str, float]] = []
    columns = TextColumn(f"{len(texts)} texts"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Bars(*columns) as bars:
        task = bars.add_task("train", total=None)

        def report(now: Progress) -> None:
            bars.update(task, total=now.steps, completed=now.step)
            if now.step * POINTS // now.steps > (now.step - 1) * POINTS // now.steps:
                held_out_perplexity = perplexity(log_probabilities(model, vocabulary, held_out))
                curve.append(
                    {
                        "epochs": round(now.epochs, 3),
                        "cpu_seconds": round(now.cpu_seconds, 1),
                        "held_out_perplexity": round(held_out_perplexity, 3),
                    }
                )

        train(model, vocabulary, texts, config, report)
    return model, curve


def main(
    texts: Annotated[Path, typer.Argument(help="Texts to train on: JSON lines with a 'text' each.")],
    held_out: Annotated[Path, typer.Argument(help="Texts to watch the training by, in the same format.")],
    out: Annotated[Path, typer.Option(help="Where to write the checkpoint, without an ending.")],
    data: Annotated[str, typer.Option(help="What the texts are, for the record.")],
    min_count: Annotated[int, typer.Option(help="How often a word must occur to be known.")] = 5,
    window: Annotated[int, typer.Option(help="How many of the last words the model sees one by one.")] = 5,
    d_embedding: Annotated[int, typer.Option(help="Features of a word.")] = 96,
    d_hidden: Annotated[int, typer.Option(help="Features of the hidden layer.")] = 256,
    dropout: Annotated[float, typer.Option(help="Chance of dropping a feature.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="How often each text is read.")] = 6,
    batch_tokens: Annotated[int, typer.Option(help="Words in one step, about.")] = 1500,
    learning_rate: Annotated[float, typer.Option(help="The largest step size.")] = 4e-3,
    seed: Annotated[int, typer.Option(help="Of weights, order and dropout.")] = 0,
    also: Annotated[list[int] | None, typer.Option(help="Train on the first N texts too, for the record.")] = None,
) -> None:
    """Train, watch, and write a checkpoint with the log of the run."""
    torch.set_num_threads(1)  # so that CPU seconds mean the same everywhere
    training, watched = read_texts(texts), read_texts(held_out)
    vocabulary = Vocabulary.build(training, min_count=min_count)
    config = TrainingConfig(epochs=epochs, batch_tokens=batch_tokens, learning_rate=learning_rate, seed=seed)
    sizes = {"window": window, "d_embedding": d_embedding, "d_hidden": d_hidden, "dropout": dropout}
    model, curve = fit(vocabulary, training, watched, sizes, config)
    record = {
        "command": shlex.join(["python", "-m", "companion.language_models", *sys.argv[1:]]),
        "data": data,
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__,
        "training": config.__dict__,
        "texts": len(training),
        "curve": curve,
        "smaller": [],
    }
    checkpoint.save(out, model, vocabulary, record)
    typer.echo(f"{out}: perplexity {curve[-1]['held_out_perplexity']} after {curve[-1]['cpu_seconds']} CPU-seconds")
    for n in also or []:
        record["smaller"].append({"texts": n, "curve": fit(vocabulary, training[:n], watched, sizes, config)[1]})
        checkpoint.save(out, model, vocabulary, record)


if __name__ == "__main__":
    typer.run(main)
