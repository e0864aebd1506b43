"""``python -m companion.embeddings``: train gensim's Word2Vec and ours on one text, and write how both score.

The texts are JSON lines with a ``text`` each, as ``companion.data.load(...).to_json(...)`` writes them. The chapter on
embeddings draws what this wrote.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from companion._optional import optional_import
from companion.data.loading import rows_of
from companion.embeddings.cbow import train_cbow
from companion.embeddings.evaluation import Score, analogy_score, similarity_difference, similarity_score
from companion.embeddings.skipgram import train_skipgram
from companion.embeddings.vectors import WordVectors
from companion.embeddings.vocabulary import Corpus, Vocabulary, split_words


def read_texts(paths: list[Path]) -> list[list[str]]:
    """Read JSON lines and cut each text into words."""
    return [
        split_words(json.loads(line)["text"])
        for path in paths
        for line in path.read_text("utf8").splitlines()
        if line.strip()
    ]


def gensim_vectors(sentences: list[list[str]], corpus: Corpus, d_model: int, settings: dict[str, Any]) -> WordVectors:
    """Train gensim's Word2Vec on one thread, with our names for its settings and our words."""
    gensim = optional_import("gensim.models", extra="bench", purpose="to train the peer")
    words, counts = corpus.vocabulary.words, corpus.vocabulary.counts
    model = gensim.Word2Vec(
        vector_size=d_model,
        sg=int(settings["model"] == "skip-gram"),
        window=settings["window"],
        negative=settings["n_negative"],
        sample=settings["sample"],
        alpha=settings["learning_rate"],
        min_count=1,
        workers=1,
        seed=settings["seed"],
    )
    model.build_vocab_from_freq(dict(zip(words, counts, strict=True)))
    model.train(
        sentences,
        total_examples=len(sentences),
        total_words=sum(map(len, sentences)),
        epochs=settings["epochs"],
    )
    return WordVectors(words, [model.wv[word] for word in words])


def our_vectors(corpus: Corpus, d_model: int, settings: dict[str, Any]) -> WordVectors:
    """Train ours with the same settings; our CBOW's steps are a third as long, so its rate is three times as high."""
    options = {name: value for name, value in settings.items() if name != "model"}
    if settings["model"] == "skip-gram":
        return train_skipgram(corpus, d_model, **options, progress=False).vectors
    options["learning_rate"] *= 3
    return train_cbow(corpus, d_model, **options, progress=False).vectors


def tests_of_people() -> tuple[dict[str, list[tuple[str, str, float]]], list[tuple[str, str, str, str]]]:
    """Return the pairs of each similarity set, and the analogies, in lower case."""
    pairs: dict[str, list[tuple[str, str, float]]] = {}
    for row in rows_of("word_pairs"):
        pairs.setdefault(row["set"], []).append((row["word1"].lower(), row["word2"].lower(), row["score"]))
    questions = rows_of("analogies")
    return pairs, [(row["a"].lower(), row["b"].lower(), row["c"].lower(), row["d"].lower()) for row in questions]


def timed(make: Callable[[], WordVectors]) -> tuple[WordVectors, float]:
    """Return vectors and the CPU seconds that their training took."""
    start = time.process_time()
    return make(), round(time.process_time() - start, 1)


def rounded(score: Score) -> dict[str, float]:
    """Return a score for the record."""
    return {name: round(value, 4) for name, value in asdict(score).items()}


def compare(
    sentences: list[list[str]], corpus: Corpus, d_model: int, settings: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Train both with the same settings and score them on the same tests."""
    pairs, questions = tests_of_people()
    record: dict[str, Any] = {"settings": settings}
    made = {
        "gensim": timed(lambda: gensim_vectors(sentences, corpus, d_model, settings)),
        "ours": timed(lambda: our_vectors(corpus, d_model, settings)),
    }
    for name, (vectors, seconds) in made.items():
        record[name] = {
            "cpu_seconds": seconds,
            **{test: rounded(similarity_score(vectors, pairs[test])) for test in sorted(pairs)},
            "analogies": rounded(analogy_score(vectors, questions)),
        }
    record["ours less gensim's"] = {
        test: rounded(similarity_difference(made["ours"][0], made["gensim"][0], pairs[test])) for test in sorted(pairs)
    }
    return record


def main(
    texts: Annotated[list[Path], typer.Argument(help="Texts to train on: JSON lines with a 'text' each.")],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    data: Annotated[str, typer.Option(help="What the texts are, for the record.")],
    d_model: Annotated[int, typer.Option(help="Numbers of a vector.")] = 50,
    min_count: Annotated[int, typer.Option(help="How often a word must occur to get a vector.")] = 10,
    epochs: Annotated[int, typer.Option(help="How often the text is read.")] = 5,
    skipgram_rate: Annotated[float, typer.Option(help="First learning rate of skip-gram.")] = 0.05,
    cbow_rate: Annotated[float, typer.Option(help="First learning rate of CBOW.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Of first vectors and noise.")] = 0,
) -> None:
    """Train gensim's skip-gram and CBOW and ours, and write how all agree with people."""
    torch.set_num_threads(1)  # so that CPU seconds mean the same everywhere
    sentences = read_texts(texts)
    vocabulary = Vocabulary.count(sentences, min_count=min_count)
    corpus = vocabulary.encode(sentences)
    shared = {"window": 5, "n_negative": 5, "sample": 1e-4, "epochs": epochs, "seed": seed}
    record: dict[str, Any] = {
        "command": shlex.join(["python", "-m", "companion.embeddings", *sys.argv[1:]]),
        "data": data,
        "date": datetime.now(UTC).date().isoformat(),
        "gensim": optional_import("gensim", extra="bench", purpose="to train the peer").__version__,
        "words": len(corpus),
        "vocabulary": len(vocabulary),
        "d_model": d_model,
        "models": {},
    }
    for model, rate in (("skip-gram", skipgram_rate), ("CBOW", cbow_rate)):
        settings = {"model": model, "learning_rate": rate, **shared}
        record["models"][model] = compare(sentences, corpus, d_model, settings)
        out.write_text(json.dumps(record, indent=1) + "\n", "utf8")
        typer.echo(f"{model}: {record['models'][model]}")


if __name__ == "__main__":
    typer.run(main)
