"""Batches of each objective: pure in seed and step, full, and labelled with what was there."""

import numpy as np
import pytest
import torch

import companion.data.corpus.prepare as prepare
from companion.objectives import restore_spans
from companion.pretraining import make_batches, masked_loss, prepare_texts
from companion.pretraining.batches import IGNORED, _sentences
from companion.pretraining.run import new_model
from companion.pretraining.texts import FLAGS, SENTENCE, WORD, encode_flagged, word_starts
from companion.tokenization import WordPiece
from tests.pretraining import small


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(prepare, "rows_of", small.made_up_rows)
    folder = tmp_path_factory.mktemp("corpora")
    made = {name: prepare_texts(preset, folder=folder, progress=False) for name, preset in small.PRESETS.items()}
    patch.undo()
    return made


def batches(texts, objective, seed=0):
    return make_batches(small.PRESETS[objective], texts[objective], texts[objective].train, seed=seed)


@pytest.mark.parametrize("objective", ["causal", "masked", "spans"])
def test_a_batch_depends_on_seed_and_step_alone(texts, objective):
    one, other, third = batches(texts, objective), batches(texts, objective), batches(texts, objective, seed=1)
    far = 2 * len(one) + 1
    expected = {step: one(step) for step in (far, 0, 3, len(one))}
    for step in sorted(expected):
        for name, tensor in other(step).items():
            assert torch.equal(tensor, expected[step][name])
    assert not torch.equal(third(0)["input_ids"], expected[0]["input_ids"])


@pytest.mark.parametrize("objective", ["causal", "masked", "spans"])
def test_all_batches_have_the_same_shapes(texts, objective):
    make = batches(texts, objective)
    shapes = [{name: tensor.shape for name, tensor in make(step).items()} for step in range(2 * len(make))]
    assert all(shape == shapes[0] for shape in shapes)


def test_hidden_tokens_are_labelled_with_what_the_pair_holds(texts):
    make = batches(texts, "masked")
    tokenizer = texts["masked"].tokenizer
    hidden = 0
    for step in range(len(make)):
        batch = make(step)
        asked = batch["labels"] != IGNORED
        at = batch["input_ids"].gather(1, batch["positions"])
        assert (at[asked] == make.mask_id).float().mean() > 0.5
        special = torch.isin(batch["labels"], torch.tensor(make.special_ids))
        assert not special[asked].any()
        hidden += int(asked.sum())
        # Each row begins a pair at position 0, and every pair begins with [CLS].
        starts = batch["pair_starts"][batch["pair_starts"] > 0]
        rows = torch.where(batch["pair_starts"] > 0)[0]
        assert (batch["input_ids"][:, 0] == tokenizer.vocab["[CLS]"]).all()
        assert (batch["input_ids"][rows, starts] == tokenizer.vocab["[CLS]"]).all()
    share = hidden / sum(int((make(step)["document_ids"] >= 0).sum()) for step in range(len(make)))
    assert 0.1 < share <= 0.15


def test_whole_words_hide_together(texts):
    make = batches(texts, "masked")
    tokenizer = texts["masked"].tokenizer
    pieces = 0
    for step in range(len(make)):
        batch = make(step)
        for positions, labels in zip(batch["positions"].tolist(), batch["labels"].tolist(), strict=True):
            asked = [(at, label) for at, label in zip(positions, labels, strict=True) if label >= 0]
            chosen = {at: tokenizer.id_to_token[label] for at, label in asked}
            for at, piece in chosen.items():
                if piece.startswith("##"):
                    pieces += 1
                    # A word may be cut where a pair is too long; then its first piece is a special token's neighbour.
                    assert at - 1 in chosen or at == 1
    assert pieces


def test_half_of_the_pairs_are_by_chance_and_lone_sentences_are_not_asked_about(texts):
    make = batches(texts, "masked")
    plans = [make._plan(epoch) for epoch in range(12)]
    labels = [pair.label for plan in plans for row in plan for pair in row]
    asked = [label for label in labels if label != IGNORED]
    assert 0.4 < np.mean(asked) < 0.6
    assert all(not pair.second for row in plans[0] for pair in row if pair.label == IGNORED)
    assert sum(label == IGNORED for label in labels) == 12 * len(make.lone) > 0


def test_spans_put_back_are_the_row(texts):
    make = batches(texts, "spans")
    batch, rows = make(1), make.rows(1)
    for read, labels, row in zip(batch["input_ids"], batch["labels"], rows["input_ids"], strict=True):
        restored = restore_spans(read, labels, sentinels=make.sentinels, end_id=make.end_id)
        assert restored.tolist() == row.tolist()


def test_the_masked_loss_is_the_mean_over_hidden_tokens_plus_that_over_pairs(texts):
    batch = batches(texts, "masked")(0)
    model = new_model(small.PRESETS["masked"], texts["masked"], seed=0)
    hidden = model(batch["input_ids"], token_type_ids=batch["token_type_ids"], document_ids=batch["document_ids"])
    tokens, pairs = [], []
    for row in range(len(hidden)):
        for at, label in zip(batch["positions"][row].tolist(), batch["labels"][row].tolist(), strict=True):
            if label != IGNORED:
                tokens.append(-model.mlm_logits(hidden[row, at]).log_softmax(-1)[label])
        for at, label in zip(batch["pair_starts"][row].tolist(), batch["pair_labels"][row].tolist(), strict=True):
            if label != IGNORED:
                pairs.append(-model.nsp_logits(hidden[row : row + 1, at : at + 1]).log_softmax(-1)[0, label])
    loss = masked_loss(model, batch)
    torch.testing.assert_close(loss.mean, torch.stack(tokens).mean() + torch.stack(pairs).mean(), rtol=1e-4, atol=1e-5)
    assert loss.count.item() == len(tokens)


def test_flags_say_where_words_and_sentences_begin(texts):
    tokenizer = texts["masked"].tokenizer
    text = "The cat sees the house. The dog hears a song."
    codes = np.array(encode_flagged(text, tokenizer=tokenizer, words="spaces"))
    assert (codes // FLAGS).tolist() == tokenizer.encode(text)
    pieces = tokenizer.tokens(text)
    assert [bool(code & WORD) for code in codes.tolist()] == [not piece.startswith("##") for piece in pieces]
    assert int(((codes & SENTENCE) > 0).sum()) == 2
    sentences = list(_sentences(codes))
    assert [code // FLAGS for sentence in sentences for code in sentence] == tokenizer.encode(text)
    assert len(sentences) == 2


def test_chinese_words_are_those_of_jieba():
    pytest.importorskip("jieba")
    tokenizer = WordPiece.train(["我们喜欢北京大学的图书馆"], 60, score="count", min_count=1)
    pieces = tokenizer.tokens("我们喜欢北京大学的图书馆")
    starts = word_starts(pieces, "jieba")
    words = "".join(("/" if start else "") + piece for piece, start in zip(pieces, starts, strict=True))
    assert words == "/我们/喜欢/北京大学/的/图书馆"


def test_no_text_is_on_both_sides(texts):
    for made in texts.values():
        train = {tuple(made.train[index].tolist()) for index in range(len(made.train))}
        held_out = {tuple(made.validation[index].tolist()) for index in range(len(made.validation))}
        assert train
        assert held_out
        assert not train & held_out
