"""Small real texts, a tokenizer trained on them, and tiny bodies of every family."""

import pytest
import torch

from companion.models import BERT, GPT, T5, BERTConfig, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config
from companion.tokenization import ByteLevelBPE, Tokenizer, WordPiece

SIZES = {"d_model": 12, "n_heads": 3, "n_layers": 2}
TEXTS = [
    "a fine film, warm and true",
    "the plot is thin and the jokes are old",
    "warm, funny and fine",
    "old jokes in a thin plot",
    "true and funny: a joy",
    "a dull film, and a long one",
    "the cast is a joy to watch",
    "long, dull, and loud",
    "funny and warm to the end",
    "a loud end to a thin film",
]
ANSWERS = ["praise", "blame"] * 5


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session")
def rows() -> list[dict]:
    return [
        {"text": text, "label": label, "line": line}
        for line, (text, label) in enumerate(zip(TEXTS, ANSWERS, strict=True), start=1)
    ]


@pytest.fixture(scope="session")
def wordpiece() -> WordPiece:
    return WordPiece.train(TEXTS, 101, min_count=1)


@pytest.fixture(scope="session")
def bpe() -> ByteLevelBPE:
    return ByteLevelBPE.train(TEXTS, 290, special_tokens=["<|endoftext|>"])


def make_body(kind: str, vocab_size: int, seed: int = 0):
    """Make a tiny model of a family."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "bert":
        return BERT(BERTConfig(vocab_size=vocab_size, max_len=40, **SIZES), generator)
    if kind == "t5":
        return T5(T5Config(vocab_size=vocab_size, **SIZES), generator)
    if kind == "gpt":
        return GPT(GPTConfig(vocab_size=vocab_size, max_len=40, **SIZES), generator)
    return ModernDecoder(ModernDecoderConfig(vocab_size=vocab_size, max_len=40, **SIZES), generator)


KINDS = ("bert", "t5", "gpt", "decoder")


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def body(kind, wordpiece, bpe):
    return make_body(kind, tokenizer_of(kind, wordpiece, bpe).vocab_size)


@pytest.fixture
def tokenizer(kind, wordpiece, bpe) -> Tokenizer:
    return tokenizer_of(kind, wordpiece, bpe)


def tokenizer_of(kind: str, wordpiece: WordPiece, bpe: ByteLevelBPE) -> Tokenizer:
    """Return a tokenizer with the special tokens of a family."""
    if kind == "t5":
        return WordPiece({**wordpiece.vocab, "</s>": len(wordpiece.vocab)}, special_tokens=["[UNK]", "</s>", "[PAD]"])
    return wordpiece if kind == "bert" else bpe


@pytest.fixture
def bert(wordpiece) -> BERT:
    return make_body("bert", wordpiece.vocab_size)
