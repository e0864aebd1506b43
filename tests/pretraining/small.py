"""Presets that train in seconds, on texts that are made up here; run as a file, it pretrains one of them."""

import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # also run as a file

import companion.data.corpus.prepare as prepare  # noqa: E402
from companion.models import BERTConfig, GPTConfig, T5Config  # noqa: E402
from companion.pretraining import Options, Preset, pretrain  # noqa: E402
from companion.training import PLAIN, TrainerConfig  # noqa: E402

SIZES = {"vocab_size": 400, "d_model": 24, "n_heads": 2, "n_layers": 2}
RECIPE = TrainerConfig(steps=40, optimizer="muon", lr=1e-2, schedule="linear", warmup=4, floor=0.0)
COMMON = {"data": ("recipes",), "length": 48, "batch_size": 6, "recipe": RECIPE}
PRESETS = {
    "causal": Preset(
        name="small-gpt",
        about="a small GPT",
        objective="causal",
        model=GPTConfig(max_len=96, **SIZES),
        tokenizer="bpe",
        examples=("The cat",),
        **COMMON,
    ),
    "masked": Preset(
        name="small-bert",
        about="a small BERT",
        objective="masked",
        model=BERTConfig(max_len=48, **SIZES),
        tokenizer="wordpiece",
        words="spaces",
        examples=("The [MASK] sat.",),
        **COMMON,
    ),
    "spans": Preset(
        name="small-t5",
        about="a small T5",
        objective="spans",
        model=T5Config(**SIZES),
        tokenizer="unigram",
        examples=("The <extra_id_0> sat.",),
        **COMMON,
    ),
}
SUBJECTS = ("cat", "dog", "old man", "young woman", "teacher", "river", "king", "bird", "child", "farmer")
VERBS = ("sees", "likes", "follows", "remembers", "paints", "hears", "finds")
OBJECTS = ("house", "mountain", "tree", "song", "letter", "garden", "boat", "stone", "window", "market")
PLACES = ("in the morning", "by the sea", "at night", "near the wall", "under the bridge", "in winter")


def made_up_rows(name, documents=120):
    """Documents of a few sentences, each about one subject; every tenth is of one sentence."""
    rng = random.Random(name)
    rows = []
    for number in range(documents):
        subject = rng.choice(SUBJECTS)
        sentences = [
            f"The {subject} {rng.choice(VERBS)} the {rng.choice(OBJECTS)} {rng.choice(PLACES)} {rng.randrange(1000)}."
            for _ in range(1 if number % 10 == 0 else rng.randrange(3, 7))
        ]
        rows.append({"text": " ".join(sentences), "title": f"{name} {number}"})
    return rows


def use_made_up_rows():
    """Let every name of a dataset stand for texts that are made up."""
    prepare.rows_of = made_up_rows


def options(objective, out, **changes):
    """What to run, with corpora beside the run."""
    settings = {"mode": PLAIN, "corpora": Path(out).parent / "corpora"} | changes
    return Options(preset=PRESETS[objective], out=Path(out), **settings)


if __name__ == "__main__":
    use_made_up_rows()
    pretrain(options(sys.argv[1], sys.argv[2], resume="--resume" in sys.argv), show_progress=False)
