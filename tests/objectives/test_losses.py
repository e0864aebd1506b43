"""Every token counts once: against a loop, against transformers' losses, and against mistakes that look right."""

import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from companion.models import BERTConfig, GPTConfig, T5Config
from companion.objectives import (
    Loss,
    causal_labels,
    corrupt_spans,
    mask_tokens,
    masked_positions,
    take_positions,
    token_loss,
)
from tests.attention.compare import assert_agree
from tests.objectives import naive
from tests.parity.pairs import assert_gradients_agree, pair, positions, ragged, tokens

IGNORED = -100
LENGTHS = (17, 11, 3)


def draw(lengths, vocab=13, seed=0, dtype=torch.float64):
    """Scores and labels of texts of these lengths, padded."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    logits = 3 * torch.randn((*shape, vocab), generator=generator, dtype=torch.float64)
    labels = torch.randint(vocab, shape, generator=generator)
    return logits.to(dtype), labels.masked_fill(torch.arange(shape[1]) >= torch.tensor(lengths)[:, None], IGNORED)


# against a loop


@given(st.lists(st.integers(0, 7), min_size=1, max_size=5).filter(any), st.integers(0, 99))
def test_value_and_gradient_by_a_loop(lengths, seed):
    logits, labels = draw(lengths, seed=seed)
    logits.requires_grad_()
    loss = token_loss(logits, labels)
    total, count = naive.token_loss(logits.detach(), labels)
    assert isinstance(loss, Loss)
    assert loss.count.item() == count
    assert loss.total.item() == pytest.approx(total, rel=1e-12)
    assert loss.mean.item() == pytest.approx(total / count, rel=1e-12)
    loss.total.backward()
    expected = torch.tensor(naive.token_loss_gradient(logits.detach(), labels), dtype=torch.float64)
    assert_agree([logits.grad.flatten(0, -2)], [expected], 1e-12)


def test_any_leading_axes():
    logits, labels = draw((5, 2, 3))
    whole = token_loss(logits, labels)
    rows = [token_loss(*row) for row in zip(logits, labels, strict=True)]
    assert_agree([whole.total, whole.count], [sum(r.total for r in rows), sum(r.count for r in rows)], 1e-12)
    assert_agree(list(token_loss(logits[:, None], labels[:, None].int())), list(whole), 1e-12)


def test_nothing_to_count():
    logits, labels = draw((3, 2))
    logits.requires_grad_()
    loss = token_loss(logits, torch.full_like(labels, IGNORED))
    assert (loss.total.item(), loss.count.item(), loss.mean.item()) == (0, 0, 0)
    loss.mean.backward()
    assert logits.grad.eq(0).all()


def test_an_ignored_position_is_not_even_looked_at():
    logits, labels = draw((4, 2))
    broken = logits.masked_fill((labels == IGNORED)[..., None], float("nan")).requires_grad_()
    loss = token_loss(broken, labels)
    assert_agree(list(loss), list(token_loss(logits, labels)), 0)
    loss.total.backward()
    assert broken.grad[labels != IGNORED].isfinite().all()


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_scores_far_apart(size):
    logits = torch.tensor([[size, 0.0, -size]], requires_grad=True)
    assert token_loss(logits, torch.tensor([0])).mean.item() == 0
    loss = token_loss(logits, torch.tensor([1])).mean
    assert loss.item() == pytest.approx(size)
    loss.backward()
    assert logits.grad.tolist() == [[1, -1, 0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_added_up_in_single(dtype):
    logits, labels = draw((257,) * 9, dtype=dtype)
    loss = token_loss(logits, labels)
    assert loss.total.dtype == loss.count.dtype == torch.float32
    assert loss.count.item() == 257 * 9
    assert loss.total.item() == pytest.approx(token_loss(logits.double(), labels).total.item(), rel=1e-5)


def test_batches_of_unequal_size_add_up():
    logits, labels = draw((9, 8, 1, 2))
    parts = [token_loss(logits[:2], labels[:2]), token_loss(logits[2:], labels[2:])]
    together = Loss(*(sum(part) for part in zip(*parts, strict=True)))
    expected = token_loss(logits, labels).mean
    assert_agree([together.mean], [expected], 1e-12)
    assert abs(sum(part.mean for part in parts) / 2 - expected) > 0.05


# against mistakes that look right


def right(logits, labels):
    return token_loss(logits, labels).mean


def averaged_before_it_was_masked(logits, labels):
    """The mean over all positions, multiplied by the mask, divided by how many are real: padding is back in it."""
    weights = (labels != IGNORED).to(logits.dtype)
    loss = F.cross_entropy(logits.flatten(0, 1), labels.clamp(min=0).flatten())
    return (loss * weights).sum() / weights.sum()


def divided_by_all_positions(logits, labels):
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return loss.mean()


def mean_of_the_texts_means(logits, labels):
    return torch.stack([F.cross_entropy(*text) for text in zip(logits, labels, strict=True)]).mean()


def padding_is_token_0(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.clamp(min=0).flatten())


def scores_masked_rather_than_losses(logits, labels):
    masked = logits * (labels != IGNORED)[..., None]
    return F.cross_entropy(masked.flatten(0, 1), labels.clamp(min=0).flatten())


def by_a_loop(logits, labels):
    total, count = 0, 0
    for scores, label in zip(logits.flatten(0, 1), labels.flatten().tolist(), strict=True):
        if label != IGNORED:
            total, count = total - scores.log_softmax(-1)[label], count + 1
    return total / count


MISTAKES = [
    averaged_before_it_was_masked,
    divided_by_all_positions,
    mean_of_the_texts_means,
    padding_is_token_0,
    scores_masked_rather_than_losses,
]


def agrees(loss, lengths):
    """Whether a loss has the values and the gradients of the loop."""
    results = []
    for function in (loss, by_a_loop):
        logits, labels = draw(lengths)
        value = function(logits.requires_grad_(), labels)
        results.append((value.detach(), *torch.autograd.grad(value, logits)))
    return all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(*results, strict=True))


def test_ours_agrees_on_ragged_and_on_full_batches():
    assert agrees(right, LENGTHS)
    assert agrees(right, (7, 7, 7))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_ragged_batch_finds_what_a_full_one_hides(mistake):
    """Each of these passes every test whose batches have no padding."""
    assert agrees(mistake, (7, 7, 7))
    assert not agrees(mistake, LENGTHS)


# against transformers


BERT_CONFIG = BERTConfig(vocab_size=101, max_len=23, d_model=35, n_heads=5, n_layers=2, d_ff=53)
GPT_CONFIG = GPTConfig(vocab_size=97, max_len=23, d_model=22, n_heads=2, n_layers=2)
T5_CONFIG = T5Config(vocab_size=101, d_model=21, n_heads=3, n_layers=2, d_ff=13, n_buckets=8, max_distance=11)
MASK = 3


@pytest.mark.parametrize("count", [None, 7])
def test_masked_and_next_sentence_losses_are_transformers(count):
    both, mask = pair(BERT_CONFIG, torch.float64), ragged(LENGTHS, "right")
    ids = tokens(BERT_CONFIG, 3, 17)
    masked = mask_tokens(
        ids,
        mask_id=MASK,
        vocab_size=BERT_CONFIG.vocab_size,
        maskable=mask.bool() & (torch.arange(17) > 0),
        probability=0.3,
        count=count,
        generator=torch.Generator().manual_seed(0),
        special_ids=[0],
    )
    segments, follows = (torch.arange(17) > 5).long().expand(3, 17), torch.tensor([0, 1, 1])
    expected = both.theirs(
        masked.input_ids,
        attention_mask=mask,
        token_type_ids=segments,
        labels=masked.labels,
        next_sentence_label=follows,
    ).loss
    hidden = both.ours(masked.input_ids, attention_mask=mask, token_type_ids=segments)
    # More positions than are labelled, as a step of static shapes has: those filled up must change nothing.
    asked = masked_positions(masked.labels, 29)
    words = token_loss(both.ours.mlm_logits(take_positions(hidden, asked)), take_positions(masked.labels, asked))
    loss = words.mean + token_loss(both.ours.nsp_logits(hidden), follows).mean
    assert words.count.item() == (masked.labels != IGNORED).sum()
    assert_agree([loss], [expected], 1e-10)
    loss.backward()
    expected.backward()
    assert_gradients_agree(both, 1e-10)


def causal_loss(theirs, ids, labels, **options):
    """Transformers' loss, and the same without its rounding to single precision, which would hide small faults."""
    expected = theirs(ids, labels=labels, **options)
    exact = F.cross_entropy(expected.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    assert_agree([exact.float()], [expected.loss], 1e-6)
    return exact


@pytest.mark.parametrize("side", ["right", "left"])
def test_causal_loss_is_transformers(side):
    both, mask = pair(GPT_CONFIG, torch.float64), ragged(LENGTHS, side)
    ids = tokens(GPT_CONFIG, 3, 17)
    labels = ids.masked_fill(mask == 0, IGNORED)
    if side == "left":  # theirs would ask the last padding for the first token
        labels[torch.arange(3), mask.argmax(1)] = IGNORED
    expected = causal_loss(both.theirs, ids, labels, attention_mask=mask, position_ids=positions(mask))
    loss = token_loss(both.ours(ids, attention_mask=mask), causal_labels(ids, attention_mask=mask))
    assert loss.count.item() == sum(LENGTHS) - 3
    assert_agree([loss.mean], [expected], 1e-10)
    loss.mean.backward()
    expected.backward()
    assert_gradients_agree(both, 1e-10)


def test_packed_causal_loss_is_transformers_of_padded_rows():
    both, mask = pair(GPT_CONFIG, torch.float64), ragged(LENGTHS, "right")
    ids = tokens(GPT_CONFIG, 3, 17)
    expected = causal_loss(both.theirs, ids, ids.masked_fill(mask == 0, IGNORED), attention_mask=mask)
    packed, documents = torch.ones(2, 17).long(), torch.full((2, 17), -1)
    for row, place, number in [(0, slice(0, 17), 0), (1, slice(0, 11), 1), (1, slice(11, 14), 2)]:
        packed[row, place], documents[row, place] = ids[number, : LENGTHS[number]], number
    loss = token_loss(both.ours(packed, document_ids=documents), causal_labels(packed, document_ids=documents)).mean
    assert_agree([loss], [expected], 1e-10)
    loss.backward()
    expected.backward()
    assert_gradients_agree(both, 1e-10)


def test_accumulated_losses_are_transformers_with_a_number_of_items():
    both, mask = pair(GPT_CONFIG, torch.float64), ragged(LENGTHS, "right")
    ids = tokens(GPT_CONFIG, 3, 17)
    parts = [
        token_loss(both.ours(i[:, : int(m.sum())]), causal_labels(i[:, : int(m.sum())]))
        for i, m in zip(ids.split(1), mask.split(1), strict=True)
    ]
    count = sum(part.count for part in parts)
    labels = ids.masked_fill(mask == 0, IGNORED)
    expected = both.theirs(ids, attention_mask=mask, labels=labels, num_items_in_batch=count).loss
    # Theirs rounds to single precision.
    assert_agree([(sum(part.total for part in parts) / count).float()], [expected.float()], 1e-6)


def test_the_loss_of_hidden_spans_is_transformers():
    both, generator = pair(T5_CONFIG, torch.float64), torch.Generator().manual_seed(0)
    texts = [
        corrupt_spans(row[:n], density=0.3, sentinels=range(91, 101), end_id=1, generator=generator)
        for row, n in zip(2 + tokens(T5_CONFIG, 3, 17) % 89, LENGTHS, strict=True)
    ]
    ids, labels = (
        torch.nn.utils.rnn.pad_sequence(part, batch_first=True, padding_value=fill)
        for part, fill in zip(zip(*texts, strict=True), (0, IGNORED), strict=True)
    )
    mask = (ids != 0).long()
    assert not mask.all()
    expected = both.theirs(ids, attention_mask=mask, labels=labels).loss
    loss = token_loss(both.ours(ids, both.ours.shift_right(labels), attention_mask=mask), labels)
    assert loss.count.item() == sum(len(text.labels) for text in texts)
    assert_agree([loss.mean], [expected], 1e-10)
    loss.mean.backward()
    expected.backward()
    assert_gradients_agree(both, 1e-10)


# the compiler


def test_losses_are_one_graph(repository_root):
    """In a process of its own, since the compiler cannot trace the checks of annotations that run with the tests."""
    command = [sys.executable, "-m", "tests.objectives.one_graph"]
    done = subprocess.run(command, cwd=repository_root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["masked", "causal", "causal_by_parts"]


# bad input


LOGITS, LABELS = draw((3, 2))


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (LOGITS.tolist(), LABELS, TypeError, "logits must be a floating point tensor (*batch vocab)"),
        (LOGITS.long(), LABELS, TypeError, "logits must be floating point"),
        (LOGITS, LABELS.tolist(), TypeError, "labels must be a tensor of torch.int64 or int32 (*batch)"),
        (LOGITS, LABELS.double(), TypeError, "labels must be a tensor of torch.int64 or int32 (*batch)"),
        (LOGITS, F.one_hot(LABELS.clamp(min=0)), ValueError, "the shape of logits without the vocabulary, (2, 3)"),
        (LOGITS, LABELS[:, :2], ValueError, "the shape of logits without the vocabulary, (2, 3)"),
        (LOGITS.flatten(0, 1), LABELS, ValueError, "the shape of logits without the vocabulary, (6,)"),
        (LOGITS[..., :0], LABELS, ValueError, "logits has an empty axis 'vocab'"),
        (LOGITS, torch.full_like(LABELS, 13), ValueError, "below the 13 scores of logits, got 13"),
        (LOGITS, torch.full_like(LABELS, -1), ValueError, "labels must be -100 (ignored) or at least 0"),
        (LOGITS, LABELS.to("meta"), ValueError, "labels must be on the device of logits, cpu, got one on meta"),
    ],
)
def test_wrong_arguments(logits, labels, error, message):
    with pytest.raises(error, match=re.escape(message)):
        token_loss(logits, labels)
