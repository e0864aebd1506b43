"""A classifier of each kind: a tiny fine-tuned model in a folder, and a pipeline of scikit-learn."""

import random

import pytest
import torch

from companion.applications import Classifier
from companion.finetuning import FineTuned, FineTuning, LabelEncoder, TextInputs, finetune, make_task
from companion.models import BERT, BERTConfig
from companion.tokenization import WordPiece

GOOD = ["warm", "fine", "funny", "true", "a joy", "bright"]
BAD = ["dull", "thin", "loud", "old", "a bore", "long"]
THINGS = ["film", "plot", "cast", "end", "joke", "scene", "score", "story"]


def sentences(n: int, seed: int) -> list[tuple[str, str]]:
    """Make sentences with their labels; some have words of both kinds, so that no model can be sure of all."""
    source = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < n:
        label = source.choice(("praise", "blame"))
        right, wrong = (GOOD, BAD) if label == "praise" else (BAD, GOOD)
        words = [source.choice(right if source.random() < 0.75 else wrong) for _ in range(3)]
        things = [source.choice(THINGS) for _ in range(3)]
        rows[", ".join(f"the {thing} is {word}" for thing, word in zip(things, words, strict=True))] = label
    return list(rows.items())


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """Return the folder of a whole run of `companion finetune`, short but calibrated."""
    folder = tmp_path_factory.mktemp("classification")
    rows = sentences(700, 0)
    tokenizer = WordPiece.train([text for text, _ in rows], 90, min_count=1)
    config = BERTConfig(vocab_size=tokenizer.vocab_size, max_len=40, d_model=16, n_heads=2, n_layers=1, dropout=0.0)
    BERT(config, torch.Generator().manual_seed(0)).save_pretrained(folder / "body")
    tokenizer.save(folder / "body" / "tokenizer.json")
    table = folder / "rows.tsv"
    table.write_text("".join(f"{label}\t{text}\n" for text, label in [("text", "label"), *rows]), "utf8")
    options = FineTuning(
        task="classification",
        data=table,
        model=folder / "body",
        out=folder / "out",
        pooling="mean",
        held_out=0.35,
        epochs=20,
        batch_size=32,
        lr=4e-3,
        max_len=40,
    )
    finetune(options, show_progress=False, say=lambda _: None)
    return folder / "out"


@pytest.fixture(scope="session")
def tuned(run_folder) -> FineTuned:
    return FineTuned.load(run_folder / "model")


@pytest.fixture(scope="session")
def model(run_folder) -> Classifier:
    return Classifier.load(run_folder)


@pytest.fixture(scope="session")
def pipeline():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    linear = pytest.importorskip("sklearn.linear_model")
    make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline
    rows = sentences(400, 0)
    made = make_pipeline(text.TfidfVectorizer(ngram_range=(1, 2)), linear.LogisticRegression(C=100.0))
    return made.fit([one for one, _ in rows], [label for _, label in rows])


@pytest.fixture(scope="session")
def baseline(pipeline) -> Classifier:
    return Classifier.from_pipeline(pipeline)


@pytest.fixture(params=["model", "baseline"])
def classifier(request) -> Classifier:
    """Both kinds, which behave alike."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def random_folder(tmp_path_factory):
    """Return the folder of a model that has learned nothing: enough for what is read and written."""
    torch.manual_seed(0)
    tokenizer = WordPiece.train([text for text, _ in sentences(50, 0)], 90, min_count=1)
    config = BERTConfig(vocab_size=tokenizer.vocab_size, max_len=16, d_model=8, n_heads=2, n_layers=1, dropout=0.0)
    generator = torch.Generator().manual_seed(0)
    task = make_task("classification")
    task.labels = LabelEncoder(["blame", "praise"])
    body = BERT(config, generator)
    model = task.make_model(body, pooling="mean", generator=generator)
    folder = tmp_path_factory.mktemp("random")
    FineTuned(task, model, TextInputs(tokenizer, body)).save(folder)
    return folder
