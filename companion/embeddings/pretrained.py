"""Word vectors that come with the package, and the training that made them."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import torch

import companion.data
from companion.embeddings.evaluation import Score, analogy_score, similarity_score
from companion.embeddings.skipgram import train_skipgram
from companion.embeddings.vectors import WordVectors
from companion.embeddings.vocabulary import Corpus, Vocabulary, split_words

FILE = "skipgram.safetensors"
RECORD = "skipgram.json"
TEXTS = ("wiki", "boolq")
MIN_COUNT, MAX_SIZE = 5, 14_000
OPTIONS: dict[str, Any] = {
    "d_model": 100,
    "window": 10,
    "n_negative": 5,
    "sample": 1e-4,
    "epochs": 10,
    "learning_rate": 0.05,
    "seed": 0,
}


def load_pretrained() -> WordVectors:
    """Load vectors of 14,000 English words, trained on encyclopaedia text by this package's skip-gram.

    The file ``skipgram.json`` beside them says how they were made and how good they are; ``python -m
    companion.embeddings FOLDER`` makes them again.
    """
    with resources.as_file(resources.files("companion.embeddings") / "weights" / FILE) as path:
        return WordVectors.load(path)


def make(folder: Path) -> dict[str, Any]:
    """Train the vectors anew into a folder, measure them, write the record beside them, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = read(TEXTS)
    start = time.process_time()
    trained = train_skipgram(corpus, **OPTIONS)
    seconds = time.process_time() - start
    trained.vectors.save(folder / FILE, half=True)
    record = {
        "command": "python -m companion.embeddings FOLDER",
        "objective": "skip-gram with negative sampling",
        "texts": list(TEXTS),
        "licence": "The texts are CC BY-SA; see the data page of the book.",
        "words of text": len(corpus),
        "vocabulary": len(corpus.vocabulary),
        "min_count": MIN_COUNT,
        **OPTIONS,
        "mean loss of each epoch": [round(loss, 4) for loss in trained.losses],
        "CPU seconds": round(seconds),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "scores": {name: asdict(score) for name, score in scores(WordVectors.load(folder / FILE)).items()},
    }
    partial = folder / f"{RECORD}.partial"
    partial.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(folder / RECORD)
    return record


def read(names: tuple[str, ...]) -> Corpus:
    """Read texts into one corpus."""
    sentences = [split_words(text) for name in names for text in companion.data.load(name)["text"]]
    return Vocabulary.count(sentences, min_count=MIN_COUNT, max_size=MAX_SIZE).encode(sentences)


def scores(vectors: WordVectors) -> dict[str, Score]:
    """Measure vectors on the two similarity sets and on the analogies, all in lower case."""
    pairs: dict[str, list[tuple[str, str, float]]] = {"wordsim353": [], "simlex999": []}
    for row in companion.data.load("word_pairs").to_list():
        pairs[row["set"]].append((row["word1"].lower(), row["word2"].lower(), row["score"]))
    questions = [
        (row["a"].lower(), row["b"].lower(), row["c"].lower(), row["d"].lower())
        for row in companion.data.load("analogies").to_list()
    ]
    similarity = {name: similarity_score(vectors, some) for name, some in pairs.items()}
    return similarity | {"analogies": analogy_score(vectors, questions)}
