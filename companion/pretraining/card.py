"""The model card: all that it says was measured or recorded, and is read from the files beside it."""

import csv
import json
from pathlib import Path
from typing import Any

from companion.data.registry import get
from companion.pretraining.names import CARD, CURVE, EVALUATION, LABELS, LOG, RECORD, WEIGHTS

LIMITS = (
    "It is as small as it is so that a course can train it: it has read a few million words, knows little of the world "
    "and repeats what its texts say, their errors and their bias too. Use it to learn and to teach, for nothing else."
)


def read_log_rows(path: Path) -> list[dict[str, float]]:
    """Read the rows of a run's log; empty cells are left out."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


def draw_curve(folder: Path) -> Path:
    """Draw the losses of the log beside it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = read_log_rows(folder / LOG)
    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, label, style in (
        ("loss", "training", {"lw": 0.8}),
        ("validation_loss", "held-out texts", {"marker": "o"}),
    ):
        points = [(row["step"], row[name]) for row in rows if name in row]
        axes.plot(*zip(*points, strict=True), label=label, **style)  # pyright: ignore[reportArgumentType]
    axes.set(xlabel="step", ylabel="loss (nats)", title=folder.name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    # Without the date and with fixed ids the same log gives the same file.
    with mpl.rc_context({"svg.hashsalt": folder.name, "svg.fonttype": "none"}):
        figure.savefig(folder / CURVE, metadata={"Date": None})
    return folder / CURVE


def write_card(folder: Path) -> Path:
    """Write the card of a checkpoint from the records in its folder.

    Parameters
    ----------
    folder
        Of the checkpoint.
    """
    record = json.loads((folder / RECORD).read_text("utf-8"))
    measured = json.loads((folder / EVALUATION).read_text("utf-8"))
    last = read_log_rows(folder / LOG)[-1]
    preset, texts = record["preset"], record["texts"]
    parts = [
        f"# {preset['name']}",
        f"{_capitalised(preset['about'])}. {_size(folder, measured)}",
        "## How it was made",
        f"```bash\n{record['command']}\n```",
        f"{record['steps']:,} steps over {last['tokens']:,.0f} positions in {last['cpu_seconds']:,.0f} CPU-seconds, "
        f"with torch {record['torch']} on {_threads(record['threads'])}. `{LOG}` is the log of the run, `{RECORD}` "
        f"all of its settings. The loss ended at {last['loss']:.3f}, on held-out texts at "
        f"{last['validation_loss']:.3f}.",
        f"![Training curve of {preset['name']}: the loss of training and of held-out texts]({CURVE})",
        "## What it has read",
        _texts_table(preset["data"]),
        f"Cleaned and without duplicates: {texts['train']['documents']:,} documents, {texts['train']['characters']:,} "
        f"characters, {texts['train']['tokens']:,} tokens to train on, and {texts['validation']['documents']:,} "
        "documents held out, none of them a near-duplicate of one that was read.",
        "## What it can do",
        _figures_table(measured["figures"]),
        _examples_table(measured["examples"]),
    ]
    if (folder / LABELS).exists():
        parts += ["## What it is worth", _labels_table(json.loads((folder / LABELS).read_text("utf-8")))]
    parts += ["## Limits", LIMITS]
    (folder / CARD).write_text("\n\n".join(parts) + "\n", "utf-8")
    return folder / CARD


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _size(folder: Path, measured: dict[str, Any]) -> str:
    megabytes = (folder / WEIGHTS).stat().st_size / 1e6
    return f"{measured['parameters'] / 1e6:.1f} million parameters, {megabytes:.1f} MB in 16 bits."


def _texts_table(names: list[str]) -> str:
    rows = [f"| `{name}` | {get(name).holds} | {get(name).licence} |" for name in names]
    return "\n".join(["| name | what it holds | licence |", "|---|---|---|", *rows])


def _figures_table(figures: dict[str, float | int]) -> str:
    return "\n".join(
        ["| on held-out texts | |", "|---|---|", *(f"| {name} | {value:,} |" for name, value in figures.items())]
    )


def _examples_table(examples: list[dict[str, str]]) -> str:
    rows = [f"| {_cell(one['prompt'])} | {_cell(one['answer'])} |" for one in examples]
    return "\n".join(["| given | answered |", "|---|---|", *rows])


def _cell(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "\\<").replace("[", "\\[")
    return " ".join(escaped.split())


def _labels_table(labels: dict[str, Any]) -> str:
    rows = []
    for task in labels["tasks"]:
        what = f"`{task['data']}`, {task['classes']} classes, {task['train']:,} labelled rows"
        rows.append(f"| {what} | {_scores(task['pretrained'])} | {_scores(task['random'])} | {task['commonest']:.3f} |")
    about = (
        f"Accuracy on held-out rows after the same fine-tuning, with {len(labels['seeds'])} seeds "
        f"(`{labels['command']}`):"
    )
    head = ["| labels | this model | the same, from random weights | the commonest class |", "|---|---|---|---|"]
    return "\n".join([about, "", *head, *rows])


def _scores(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
