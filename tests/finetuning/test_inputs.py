"""Texts for models: BERT's own form, lengths, words, and batches that depend on the step alone."""

import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.finetuning import LabelledBatches, TextInputs, find_words
from companion.tokenization import WordPiece
from tests.finetuning.conftest import TEXTS, make_body


@pytest.fixture(scope="module")
def inputs():
    tokenizer = WordPiece.train(TEXTS, 101, min_count=1)
    return TextInputs(tokenizer, make_body("bert", tokenizer.vocab_size))


def test_it_is_the_form_of_transformers_bert(tmp_path, inputs):
    inputs.tokenizer.save(tmp_path / "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for pair in ((TEXTS[0],), (TEXTS[0], TEXTS[1])):
        ours, expected = inputs.encode(*pair), theirs.encode(*pair)
        assert ours.input_ids == expected.ids
        assert ours.token_type_ids == expected.type_ids


@given(a=st.integers(1, 30), b=st.integers(0, 30), max_len=st.integers(8, 40))
def test_the_longer_text_gives_way(a, b, max_len, inputs):
    short = TextInputs(inputs.tokenizer, make_body("bert", inputs.tokenizer.vocab_size), max_len=max_len)
    encoded = short.encode("a " * a, "a " * b if b else None)
    n_special = 3 if b else 2
    assert len(encoded.input_ids) == min(max_len, a + b + n_special)
    kept = [encoded.token_type_ids.count(k) - 2 + k for k in range(1 + bool(b))]
    if b and a + b + 3 > max_len:
        room = max_len - 3
        assert sum(kept) == room
        assert min(kept) == min(a, b, room // 2) or abs(kept[0] - kept[1]) <= 1


def test_every_family_ends_a_text_its_own_way(tokenizer, body, kind):
    inputs = TextInputs(tokenizer, body)
    ids = inputs.encode(TEXTS[0], TEXTS[1]).input_ids
    end = {"bert": "[SEP]", "t5": "</s>"}.get(kind, "<|endoftext|>")
    assert ids[-1] == inputs.end_id == tokenizer.special_tokens[end]
    assert ids.count(inputs.end_id) == 2
    batch = inputs.collate([{"input_ids": ids, "token_type_ids": [0] * len(ids)}])
    assert ("token_type_ids" in batch) == (kind == "bert")


def test_words_know_their_pieces(tokenizer, body):
    encoded = TextInputs(tokenizer, body).encode_words(["filmed", "film", ",", "true"])
    for number, word in enumerate(["filmed", "film", ",", "true"]):
        pieces = [index for index, place in zip(encoded.input_ids, encoded.words, strict=True) if place == number]
        assert tokenizer.decode(pieces).strip() == word
    assert encoded.words[-1] == -1


def test_a_special_token_in_a_text_is_ordinary_text(tokenizer, body):
    inputs = TextInputs(tokenizer, body)
    name = next(name for name, index in tokenizer.special_tokens.items() if index == inputs.end_id)
    assert inputs.encode(f"a {name} film").input_ids.count(inputs.end_id) == 1


def test_words_of_scripts_without_spaces_are_characters():
    text = "猫 sat, 坐在mat上."
    assert [text[a:b] for a, b in find_words(text)] == ["猫", "sat", ",", "坐", "在", "mat", "上", "."]


def test_padding_is_marked_and_widths_are_multiples(inputs):
    examples = [
        {"input_ids": [2, 9, 3], "token_type_ids": [0, 0, 0], "labels": 1, "tags": [-100, 4, -100]},
        {"input_ids": [2, 9, 9, 9, 3], "token_type_ids": [0, 0, 1, 1, 1], "labels": 0, "tags": [-100, 1, 2, 3, -100]},
    ]
    batch = inputs.collate(examples, multiple_of=4)
    assert batch["input_ids"].shape == (2, 8)
    assert batch["attention_mask"].sum(1).tolist() == [3, 5]
    assert batch["labels"].tolist() == [1, 0]
    assert batch["tags"][0].tolist() == [-100, 4, *[-100] * 6]
    assert batch["input_ids"][0, 3:].unique().tolist() == [inputs.pad_id]


def make_examples(n):
    lengths = torch.randint(3, 30, (n,), generator=torch.Generator().manual_seed(0)).tolist()
    return [{"input_ids": [i % 50 + 5] * length, "token_type_ids": [0] * length} for i, length in enumerate(lengths)]


@given(n=st.integers(1, 50), size=st.integers(1, 9), pool=st.integers(1, 4), seed=st.integers(0, 99))
def test_an_epoch_has_every_example_once_and_a_step_is_the_same_whenever_it_is_asked(n, size, pool, seed, inputs):
    batches, again = (
        LabelledBatches(make_examples(n), inputs, batch_size=size, seed=seed, pool=pool) for _ in range(2)
    )
    for epoch in range(2):
        rows = [row for step in range(len(batches)) for row in batches.rows(epoch * len(batches) + step)]
        assert sorted(rows) == list(range(n))
    late = 5 * len(batches) - 1
    assert again.rows(late) == batches.rows(late)
    assert again.rows(0) == batches.rows(0)


def test_similar_lengths_stand_together(inputs):
    def padding(pool):
        batches = LabelledBatches(make_examples(200), inputs, batch_size=8, pool=pool)
        masks = [batches(step)["attention_mask"] for step in range(len(batches))]
        return 1 - sum(mask.sum().item() for mask in masks) / sum(mask.numel() for mask in masks)

    assert padding(25) < padding(1) / 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda i, body: TextInputs(str.split, body), TypeError, "tokenizer must be one of companion.tokenization"),
        (lambda i, body: TextInputs(i.tokenizer, body, max_len=41), ValueError, "at most the model's 40 positions"),
        (lambda i, body: TextInputs(i.tokenizer, make_body("bert", 30)), ValueError, "must be the model's own"),
        (
            lambda i, body: TextInputs(WordPiece({"[UNK]": 0, "a": 1}), body),
            ValueError,
            r"must have \[CLS\] and \[SEP\] to end a text for BERT",
        ),
        (lambda i, body: LabelledBatches([], i, batch_size=2), ValueError, "examples must be a list of one or more"),
        (lambda i, body: LabelledBatches([{}], body, batch_size=2), TypeError, "inputs must be a TextInputs"),
        (lambda i, body: LabelledBatches(make_examples(2), i, batch_size=0), ValueError, "batch_size must be"),
        (lambda i, body: LabelledBatches(make_examples(2), i, batch_size=2).rows(-1), ValueError, "step must be"),
    ],
)
def test_wrong_arguments_are_named(make, error, message, inputs, bert):
    with pytest.raises(error, match=message):
        make(inputs, bert)
