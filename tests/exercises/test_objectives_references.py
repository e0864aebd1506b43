"""The objectives lab's references are what other libraries compute."""

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from companion.exercises import get
from companion.objectives import assemble_pair, causal_labels, mask_tokens, restore_spans, take_positions, token_loss
from companion.objectives import masked_positions as positions_of

SENTINELS = list(range(100, 80, -1))


def drawn(name, seeds=5):
    """The arguments of an exercise's cases, for several seeds."""
    for seed in range(seeds):
        for case in get(name).cases(torch.Generator().manual_seed(seed)):
            yield case.args


def test_the_next_labels_are_the_companions():
    for ids, mask, documents in drawn("next_labels"):
        expected = causal_labels(ids, attention_mask=mask, document_ids=documents)
        assert torch.equal(get("next_labels").reference(ids, mask, documents), expected)


def test_labels_and_loss_together_are_those_of_gpt2():
    torch.manual_seed(0)
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=31, n_embd=12, n_head=2, n_layer=1)).eval()
    ids, mask = torch.randint(40, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    mask[0, 5:], mask[1, 7:] = 0, 0
    with torch.no_grad():
        theirs = gpt(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100))
    labels = get("next_labels").reference(ids, mask, torch.zeros_like(ids))
    loss = get("mean_token_loss").reference(theirs.logits, labels.clamp(min=0), (labels != -100).long())
    torch.testing.assert_close(loss, theirs.loss)


def test_the_mean_is_the_companions_and_berts():
    for logits, targets, weights in drawn("mean_token_loss", 3):
        labels = targets.masked_fill(weights == 0, -100)
        torch.testing.assert_close(
            get("mean_token_loss").reference(logits, targets, weights).float(),
            token_loss(logits, labels).mean.float(),
            atol=1e-4,
            rtol=1e-4,
        )
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 7}
    bert = BertForMaskedLM(BertConfig(vocab_size=40, max_position_embeddings=31, **sizes)).eval()
    ids = torch.randint(40, (3, 9))
    labels = ids.masked_fill(torch.rand(3, 9) < 0.7, -100)
    with torch.no_grad():
        theirs = bert(ids, labels=labels)
    loss = get("mean_token_loss").reference(theirs.logits, labels.clamp(min=0), (labels != -100).long())
    torch.testing.assert_close(loss, theirs.loss)


def test_hidden_tokens_are_labelled_as_the_companion_labels_them():
    """The companion draws for itself: hand the exercise what it drew."""
    ids = torch.randint(5, 40, (7, 50))
    masked = mask_tokens(
        ids, mask_id=40, vocab_size=41, maskable=ids > 4, probability=0.4, generator=torch.Generator().manual_seed(0)
    )
    chosen = masked.labels != -100
    fate = torch.where(masked.input_ids == 40, 0.3, torch.where(masked.input_ids == ids, 0.95, 0.85))
    read, labels = get("hide_tokens").reference(ids, chosen, fate, masked.input_ids, 40)
    assert torch.equal(read, masked.input_ids)
    assert torch.equal(labels, masked.labels)


def test_words_are_chosen_whole_and_nothing_else():
    for starts, maskable, luck, share in drawn("choose_words"):
        chosen = get("choose_words").reference(starts, maskable, luck, share)
        assert not (chosen & ~maskable).any()
        inside = maskable[:, 1:] & ~starts[:, 1:]  # pieces that go on
        assert torch.equal(chosen[:, 1:][inside], chosen[:, :-1][inside])
        assert torch.equal(chosen[starts], (luck < share)[starts])


def test_what_is_asked_is_what_the_companion_takes():
    for vectors, labels in drawn("asked_only"):
        where = positions_of(labels)
        found = get("asked_only").reference(vectors, labels)
        assert torch.equal(found[0], take_positions(vectors, where))
        assert torch.equal(found[1], labels.flatten()[where])


def test_a_pair_is_assembled_as_the_companion_does():
    for documents, place, partner, is_random, cls_id, sep_id in drawn("make_pair"):
        ids, kinds, label = get("make_pair").reference(documents, place, partner, is_random, cls_id, sep_id)
        other = partner if is_random else (place[0], place[1] + 1)
        first, second = (documents[d][s] for d, s in (place, other))
        row = assemble_pair(first, second, cls_id=cls_id, sep_id=sep_id)
        assert (ids, kinds, label) == (row.input_ids.tolist(), row.token_type_ids.tolist(), int(is_random))


def test_spans_are_those_of_figure_2_of_the_t5_paper():
    text = "Thank you for inviting me to your party last week ."
    words = text.split()
    vocabulary = [*words, "<X>", "<Y>", "<Z>", "</s>"]
    number = {word: i for i, word in enumerate(vocabulary)}
    hidden = [word in ("for", "inviting", "last") for word in words]
    marks = [number[mark] for mark in ("<X>", "<Y>", "<Z>")]
    read, written = get("cut_spans").reference([number[word] for word in words], hidden, marks, number["</s>"])
    assert " ".join(vocabulary[i] for i in read) == "Thank you <X> me to your party <Y> week . </s>"
    assert " ".join(vocabulary[i] for i in written) == "<X> for inviting <Y> last <Z> </s>"


@pytest.mark.parametrize("seed", range(5))
def test_the_companion_restores_what_the_reference_cut_and_the_reference_too(seed):
    for case in get("cut_spans").cases(torch.Generator().manual_seed(seed)):
        tokens, hidden, sentinels, end_id = case.args
        read, written = get("cut_spans").reference(tokens, hidden, sentinels, end_id)
        assert get("fill_spans").reference(read, written, sentinels, end_id) == tokens
        restored = restore_spans(torch.tensor(read), torch.tensor(written), sentinels=sentinels, end_id=end_id)
        assert restored.tolist() == tokens
