"""What pretraining is worth: ``python -m companion.pretraining.labels NAME`` fine-tunes a checkpoint on real labels.

The same architecture is trained from random weights on the same rows in the same order, and both are measured on rows
that neither has seen. The figures go into the checkpoint's folder and onto its card.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from companion.data.loading import part, rows_of
from companion.models import BERT
from companion.pretraining.card import write_card
from companion.pretraining.checkpoints import checkpoint_folder, load_checkpoint
from companion.pretraining.files import write_json
from companion.pretraining.names import LABELS
from companion.tokenization import Tokenizer
from companion.training import fast_mode

SEEDS = (0, 1, 2)
BATCH, EPOCHS, WARMUP = 32, 5, 0.1
NUMBERS = fast_mode("cpu").autocast


@dataclass(frozen=True, kw_only=True)
class Labels:
    """A task with labels: a dataset, the column of its labels, and how many rows are used."""

    data: str
    column: str = "label"
    train: int = 1000
    test: int = 1000
    length: int = 64


#: The tasks of each language's BERT.
TASKS: Mapping[str, tuple[Labels, ...]] = {
    "tiny-bert": (
        Labels(data="trec_questions"),
        Labels(data="wiki", column="topic", train=500, test=500, length=48),
    ),
    "tiny-bert-zh": (Labels(data="zh_reviews", train=600, test=600, length=48),),
}
Rows = list[tuple[list[int], int]]


def read_rows(task: Labels, tokenizer: Tokenizer, seed: int) -> tuple[Rows, Rows, list[str]]:
    """Return rows to train on and rows to test on, as tokens and the number of a class, and the classes."""
    rows = [row for row in part(rows_of(task.data), "train", seed) if row[task.column] not in (None, "")]
    if len(rows) < task.train + task.test:
        raise ValueError(f"{task.data} has {len(rows)} labelled rows, fewer than {task.train} + {task.test}")
    rows = rows[: task.train + task.test]
    classes = sorted({str(row[task.column]) for row in rows})
    begin, end = tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]
    encoded = [
        ([begin, *ids[: task.length - 2], end], classes.index(str(row[task.column])))
        for row, ids in zip(rows, tokenizer.encode_batch(row["text"] for row in rows), strict=True)
    ]
    return encoded[: task.train], encoded[task.train :], classes


class Classifier(nn.Module):
    """A BERT and a linear layer on the mean of its vectors."""

    def __init__(self, body: BERT, n_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(body.config.d_model, n_classes)
        nn.init.normal_(self.head.weight, 0.0, 0.02, generator=generator)
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Score the classes."""
        hidden = self.body(input_ids, attention_mask=attention_mask)
        mask = attention_mask[..., None].to(hidden.dtype)
        return self.head((hidden * mask).sum(1) / mask.sum(1))


def collate(rows: Rows, pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pad rows to one length."""
    longest = max(len(ids) for ids, _ in rows)
    input_ids = torch.tensor([ids + [pad_id] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    return input_ids, mask, torch.tensor([label for _, label in rows])


def fit(model: Classifier, rows: Rows, *, lr: float, seed: int, pad_id: int) -> None:
    """Train with AdamW, a short warm-up and a fall in a line; texts of like length share a batch."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    n_batches = -(-len(rows) // BATCH)
    steps = EPOCHS * n_batches
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (WARMUP * steps), (steps - step) / ((1 - WARMUP) * steps), 1.0)
    )
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index][0]))
    batches = [by_length[at : at + BATCH] for at in range(0, len(rows), BATCH)]
    for _ in range(EPOCHS):
        for index in torch.randperm(n_batches, generator=generator).tolist():
            input_ids, mask, labels = collate([rows[row] for row in batches[index]], pad_id)
            with torch.autocast("cpu", NUMBERS, enabled=NUMBERS is not None):
                scores = model(input_ids, mask)
            F.cross_entropy(scores.float(), labels).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()


@torch.no_grad()
def accuracy(model: Classifier, rows: Rows, pad_id: int) -> float:
    """Return the share of rows whose class is scored highest."""
    ordered = sorted(rows, key=lambda row: len(row[0]))
    right = 0
    for at in range(0, len(ordered), 100):
        input_ids, mask, labels = collate(ordered[at : at + 100], pad_id)
        with torch.autocast("cpu", NUMBERS, enabled=NUMBERS is not None):
            right += int((model(input_ids, mask).argmax(-1) == labels).sum())
    return right / len(rows)


RATES = {"pretrained": 5e-4, "random": 5e-4}


def compare(name: str | Path, task: Labels, seed: int) -> dict[str, float]:
    """Fine-tune a checkpoint and the same architecture from random weights; return both accuracies.

    Parameters
    ----------
    name
        The checkpoint.
    task
        The labels.
    seed
        Of the rows, their order, and the weights that are drawn.
    """
    scores: dict[str, float] = {}
    body, tokenizer = load_checkpoint(name)
    train, test, classes = read_rows(task, tokenizer, seed)
    pad_id = tokenizer.vocab["[PAD]"]
    counts = torch.bincount(torch.tensor([label for _, label in test]), minlength=len(classes))
    for arm, lr in RATES.items():
        generator = torch.Generator().manual_seed(seed)
        model = Classifier(body if arm == "pretrained" else BERT(body.config, generator), len(classes), generator)
        fit(model, train, lr=lr, seed=seed, pad_id=pad_id)
        scores[arm] = round(accuracy(model, test, pad_id), 4)
    return scores | {"commonest": round(counts.max().item() / len(test), 4), "classes": len(classes)}


def measure(name: str | Path, tasks: tuple[Labels, ...], seeds: tuple[int, ...]) -> dict[str, Any]:
    """Compare on all tasks with all seeds."""
    measured = []
    for task in tasks:
        runs = [compare(name, task, seed) for seed in seeds]
        measured.append(
            {
                "data": task.data,
                "train": task.train,
                "test": task.test,
                "classes": runs[0]["classes"],
                "commonest": runs[0]["commonest"],
                "pretrained": [run["pretrained"] for run in runs],
                "random": [run["random"] for run in runs],
            }
        )
        typer.echo(str(measured[-1]))
    command = shlex.join(["python", "-m", "companion.pretraining.labels", str(name)])
    return {"command": command, "seeds": list(seeds), "epochs": EPOCHS, "rates": RATES, "tasks": measured}


def main(
    name: Annotated[str, typer.Argument(help="A checkpoint: tiny-bert or tiny-bert-zh.")],
    folder: Annotated[Path | None, typer.Option(help="Where it is, if not in the package.")] = None,
) -> None:
    """Fine-tune a checkpoint on real labels beside random weights, and write the figures onto its card."""
    if name not in TASKS:
        raise typer.BadParameter(f"name must be one of {', '.join(TASKS)}, got {name!r}")
    place = folder or checkpoint_folder(name)
    measured = measure(place, TASKS[name], SEEDS)
    measured["command"] = shlex.join(["python", "-m", "companion.pretraining.labels", name])
    write_json(place / LABELS, measured)
    typer.echo(write_card(place))


if __name__ == "__main__":
    typer.run(main)
