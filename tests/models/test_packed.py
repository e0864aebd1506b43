"""Documents that share a row get what they would get in rows of their own: values, gradients, one graph."""

import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.attention import document_mask
from companion.models import BERT, GPT, T5, ModernDecoder
from companion.transformer import document_positions
from tests.attention.compare import assert_agree
from tests.models.families import MAX_LEN, make, tokens

KINDS = [GPT, BERT, ModernDecoder, T5]
every_kind = pytest.mark.parametrize("kind", KINDS)
# The lengths of the documents of each row; a row holds MAX_LEN = 13 positions and ends with padding.
ROWS = st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=5).filter(lambda row: sum(row) <= MAX_LEN), max_size=3)
few = settings(max_examples=12)


def pack(rows, seed=0):
    """Draw documents of these lengths; return the packed batch and the documents one by one."""
    input_ids = tokens(len(rows), MAX_LEN, seed=seed)
    document_ids, documents = torch.full_like(input_ids, -1), []
    for i, row in enumerate(rows):
        start = 0
        for number, length in enumerate(row):
            document_ids[i, start : start + length] = 7 * number
            documents.append((i, slice(start, start + length)))
            start += length
    return input_ids, document_ids, documents


def run(kind, model):
    return model.encode if kind is T5 else model


def weighted(scores):
    """A number that feels every score differently."""
    return (scores * torch.linspace(-1, 2, scores.numel(), dtype=scores.dtype).view_as(scores).sin()).sum()


@every_kind
@few
@given(rows=ROWS.filter(bool), seed=st.integers(0, 99))
def test_packed_is_apart_in_values_and_gradients(kind, rows, seed):
    model = make(kind)
    forward = run(kind, model)
    input_ids, document_ids, documents = pack(rows, seed)
    scores = forward(input_ids, document_ids=document_ids)
    assert scores.isfinite().all()
    packed = [scores[i, place] for i, place in documents]
    apart = [forward(input_ids[i : i + 1, place])[0] for i, place in documents]
    assert_agree(packed, apart, 1e-10)
    gradients = []
    for pieces in (packed, apart):
        model.zero_grad()
        sum(weighted(piece) for piece in pieces).backward()
        gradients.append([parameter.grad for parameter in model.parameters() if parameter.grad is not None])
    assert_agree(*gradients, 1e-10)


@every_kind
def test_one_document_a_row_is_no_packing(kind):
    forward, input_ids = run(kind, make(kind)), tokens(3, 7)
    with torch.no_grad():
        document_ids = torch.arange(3)[:, None].expand(3, 7).to(torch.int32)
        assert_agree([forward(input_ids, document_ids=document_ids)], [forward(input_ids)], 1e-12)


def test_segments_of_packed_pairs():
    model = make(BERT)
    input_ids, document_ids, documents = pack([[5, 4, 3], [6, 7]])
    segments = torch.randint(2, input_ids.shape)
    hidden = model(input_ids, token_type_ids=segments, document_ids=document_ids)
    apart = [model(input_ids[i : i + 1, p], token_type_ids=segments[i : i + 1, p]) for i, p in documents]
    assert_agree([hidden[i : i + 1, p] for i, p in documents], apart, 1e-10)
    # The head for pairs asks for the first token of each.
    firsts = torch.stack([hidden[i, p.start] for i, p in documents])[:, None]
    assert_agree([model.nsp_logits(firsts)], [torch.cat([model.nsp_logits(h) for h in apart])], 1e-10)


@few
@given(rows=ROWS.filter(bool))
def test_positions_and_masks_by_a_loop(rows):
    _, document_ids, documents = pack(rows)
    positions, mask = document_positions(document_ids), document_mask(document_ids)
    assert mask.shape == (len(rows), 1, MAX_LEN, MAX_LEN)
    for i, place in documents:
        length = place.stop - place.start
        assert positions[i, place].tolist() == list(range(length))
        for query in range(place.start, place.stop):
            assert mask[i, 0, query].nonzero().squeeze(1).tolist() == list(range(place.start, place.stop))


def test_dropout_acts_on_packed_rows():
    model = make(GPT).train()
    for block in model.decoder.blocks:
        block.dropout = block.attention.dropout = 0.5
    input_ids, document_ids, _ = pack([[5, 4]])
    first, second = (model(input_ids, document_ids=document_ids) for _ in range(2))
    assert not torch.allclose(first, second)


IDS = tokens(2, 5)
DOCUMENTS = torch.tensor([[0, 0, 1, 1, 1], [4, 4, 4, 2, -1]])


@every_kind
@pytest.mark.parametrize(
    ("document_ids", "error", "message"),
    [
        (DOCUMENTS.tolist(), TypeError, "document_ids must be a tensor of torch.int64 or int32"),
        (DOCUMENTS.float(), TypeError, "document_ids must be a tensor of torch.int64 or int32"),
        (DOCUMENTS > 0, TypeError, "document_ids must be a tensor of torch.int64 or int32"),
        (DOCUMENTS[0], ValueError, "document_ids must have exactly 2 axes"),
        (DOCUMENTS[:1], ValueError, "document_ids must have shape (2, 5), one number for each position"),
        (DOCUMENTS[:, :4], ValueError, "document_ids must have shape (2, 5), one number for each position"),
        (
            torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]]),
            ValueError,
            "a number of row 1 comes back after another; give every document of a row a number of its own",
        ),
    ],
)
def test_wrong_documents(kind, document_ids, error, message):
    with pytest.raises(error, match=re.escape(message)):
        run(kind, make(kind))(IDS, document_ids=document_ids)


@every_kind
def test_documents_and_a_mask(kind):
    with pytest.raises(ValueError, match="document_ids cannot be used together with attention_mask"):
        run(kind, make(kind))(IDS, attention_mask=torch.ones_like(IDS), document_ids=DOCUMENTS)


@pytest.mark.parametrize("kind", [GPT, ModernDecoder])
def test_documents_and_a_cache(kind):
    model = make(kind)
    with pytest.raises(ValueError, match="document_ids cannot be used together with caches"):
        model(IDS, model.new_caches(2), document_ids=DOCUMENTS)


def test_a_packed_forward_pass_is_one_graph(repository_root):
    """In a process of its own, since the compiler cannot trace the checks of annotations that run with the tests."""
    command = [sys.executable, "-m", "tests.models.packed_graph"]
    done = subprocess.run(command, cwd=repository_root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["GPT", "BERT", "ModernDecoder", "T5"]


def test_the_causal_half_of_the_mask_stays():
    model, (input_ids, document_ids, _) = make(GPT), pack([[6, 7]])
    other = input_ids.clone()
    other[0, 5] = (other[0, 5] + 1) % 101
    with torch.no_grad():
        before, after = (model(ids, document_ids=document_ids) for ids in (input_ids, other))
    unchanged = torch.isclose(before, after, atol=1e-12).all(-1)[0]
    assert unchanged.tolist() == [position != 5 for position in range(MAX_LEN)]
