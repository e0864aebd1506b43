"""What holds for every model of a kind, whatever the text: causality, padding, caches, the order of a batch."""

import functools
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.attention import Rotation
from companion.models import BERT, GPT, T5, ModernDecoder
from tests.attention.compare import assert_agree
from tests.models.families import MAX_LEN, VOCAB, make, tokens

shared = functools.cache(make)  # for the tests that leave the model as it was
few = settings(max_examples=12)

DECODERS = [GPT, ModernDecoder]
every_decoder = pytest.mark.parametrize("kind", DECODERS)
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) <= MAX_LEN)
READ = tokens(3, 7, seed=5)
READ_MASK = torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] + [0] * 6])


def pad(tensor, n_padding, left, fill):
    """Lengthen every row by padding on one side; ``fill`` is a number or a tensor."""
    padding = fill if isinstance(fill, torch.Tensor) else torch.full((len(tensor), n_padding), fill)
    return torch.cat([padding, tensor] if left else [tensor, padding], dim=1)


def unpad(tensor, n_padding, left):
    return tensor[:, n_padding:] if left else tensor[:, : tensor.shape[1] - n_padding]


def run(kind):
    """The scores of a text, as a function of it and of its mask; T5 writes it after reading another."""
    model = shared(kind)
    if kind is T5:
        return lambda ids, mask=None: model(
            READ[: len(ids)], ids, attention_mask=READ_MASK[: len(ids)], decoder_attention_mask=mask
        )
    return lambda ids, mask=None: model(ids, attention_mask=mask)


# causality


@pytest.mark.parametrize("kind", [*DECODERS, T5])
@few
@given(length=st.integers(2, MAX_LEN), data=st.data())
def test_a_later_token_never_changes_earlier_logits(kind, length, data):
    changed = data.draw(st.integers(1, length - 1))
    model, input_ids = run(kind), tokens(2, length)
    other = input_ids.clone()
    other[:, changed] = (other[:, changed] + 1) % VOCAB
    with torch.no_grad():
        before, after = model(input_ids), model(other)
    assert_agree([after[:, :changed]], [before[:, :changed]], 1e-12)
    assert not torch.allclose(after[:, changed], before[:, changed])


@few
@given(st.integers(2, MAX_LEN), st.data())
def test_every_token_changes_every_vector_of_bert(length, data):
    changed = data.draw(st.integers(0, length - 1))
    model, input_ids = shared(BERT), tokens(1, length)
    other = input_ids.clone()
    other[:, changed] = (other[:, changed] + 1) % VOCAB
    with torch.no_grad():
        assert ((model(other) - model(input_ids)).abs().amax(-1) > 1e-9).all()


# padding


@pytest.mark.parametrize("kind", [*DECODERS, BERT, T5])
@few
@given(length=st.integers(1, 7), n_padding=st.integers(1, 6), left=st.booleans())
def test_padding_on_either_side_changes_no_tokens_scores(kind, length, n_padding, left):
    model, input_ids = run(kind), tokens(2, length)
    padded = pad(input_ids, n_padding, left, tokens(2, n_padding, seed=1))
    mask = pad(torch.ones_like(input_ids), n_padding, left, 0)
    with torch.no_grad():
        scores = model(padded, mask)
        assert scores.isfinite().all()
        assert_agree([unpad(scores, n_padding, left)], [model(input_ids)], 1e-10)


@few
@given(st.integers(1, 7), st.integers(1, 6), st.booleans())
def test_padding_of_what_t5_reads_changes_nothing_it_writes(length, n_padding, left):
    model, read, written = shared(T5), tokens(2, length), tokens(2, 5, seed=2)
    padded = pad(read, n_padding, left, tokens(2, n_padding, seed=1))
    mask = pad(torch.ones_like(read), n_padding, left, 0)
    with torch.no_grad():
        assert_agree([model(padded, written, attention_mask=mask)], [model(read, written)], 1e-10)


@pytest.mark.parametrize("kind", [*DECODERS, BERT, T5])
def test_gradients_are_finite_where_a_whole_text_is_padding(kind):
    model, input_ids = make(kind), tokens(2, 3)
    mask = torch.tensor([[1, 1, 1], [0, 0, 0]])
    if kind is T5:
        scores = model(input_ids, input_ids, attention_mask=mask, decoder_attention_mask=mask)
    else:
        scores = model(input_ids, attention_mask=mask)
    scores[0].sum().backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


# caches


@every_decoder
@few
@given(sizes=SIZES)
def test_reading_in_any_chunks_equals_reading_at_once(kind, sizes):
    model, input_ids = shared(kind), tokens(3, sum(sizes))
    with torch.no_grad():
        caches = model.new_caches(3)
        pieces = [model(piece, caches) for piece in input_ids.split(sizes, dim=1)]
        assert_agree([torch.cat(pieces, dim=1)], [model(input_ids)], 1e-10)


@every_decoder
@few
@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1))
def test_padding_may_stand_between_tokens_of_a_cache(kind, sizes, seed):
    model, input_ids = shared(kind), tokens(1, sum(sizes))
    mask = torch.randint(2, input_ids.shape, generator=torch.Generator().manual_seed(seed))
    mask[:, 0] = 1
    with torch.no_grad():
        caches, pieces = model.new_caches(1, MAX_LEN), []
        for piece in input_ids.split(sizes, dim=1):
            pieces.append(model(piece, caches, attention_mask=mask[:, : caches[0].length + piece.shape[1]]))
        kept = mask.bool()
        assert_agree([torch.cat(pieces, dim=1)[kept]], [model(input_ids[kept][None])[0]], 1e-10)


@few
@given(SIZES, st.booleans())
def test_t5_writes_in_any_chunks_what_it_writes_at_once(sizes, known):
    model, written = shared(T5), tokens(3, sum(sizes))
    with torch.no_grad():
        encoded = model.encode(READ, attention_mask=READ_MASK)
        read = model.cross_keys_values(encoded) if known else encoded
        caches = model.new_caches(3, sum(sizes))
        pieces = [model.decode(piece, read, caches, attention_mask=READ_MASK) for piece in written.split(sizes, dim=1)]
        assert_agree([torch.cat(pieces, dim=1)], [model(READ, written, attention_mask=READ_MASK)], 1e-10)


@pytest.mark.parametrize("kind", [GPT, ModernDecoder, T5])
def test_caches_have_the_models_sizes_and_dtype(kind):
    model = shared(kind)
    heads = {GPT: (5, 3), ModernDecoder: (2, 4), T5: (5, 2)}[kind]
    caches = model.new_caches(7, 11)
    assert len(caches) == len(model.decoder.blocks)
    assert all(cache.keys.shape == (7, heads[0], 11, heads[1]) for cache in caches)
    assert all(cache.keys.dtype == torch.float64 for cache in caches)
    if kind is not T5:
        assert model.new_caches(7)[0].max_len == MAX_LEN


# the batch


@pytest.mark.parametrize("kind", [*DECODERS, BERT])
@few
@given(order=st.permutations(range(4)), lengths=st.lists(st.integers(1, 6), min_size=4, max_size=4))
def test_texts_of_a_batch_do_not_meet(kind, order, lengths):
    model, input_ids = shared(kind), tokens(4, 6)
    mask = (torch.arange(6) < torch.tensor(lengths)[:, None]).long()
    with torch.no_grad():
        scores = model(input_ids, attention_mask=mask)
        shuffled = model(input_ids[list(order)], attention_mask=mask[list(order)])
        alone = model(input_ids[2:3, : lengths[2]])
    real = mask.bool()
    assert_agree([shuffled[real[list(order)]]], [scores[list(order)][real[list(order)]]], 1e-10)
    assert_agree([scores[2:3, : lengths[2]]], [alone], 1e-10)


@few
@given(st.permutations(range(3)))
def test_texts_of_a_batch_do_not_meet_in_t5(order):
    model, written, order = shared(T5), tokens(3, 5), list(order)
    with torch.no_grad():
        scores = model(READ, written, attention_mask=READ_MASK)
        shuffled = model(READ[order], written[order], attention_mask=READ_MASK[order])
        alone = model(READ[1:2, :4], written[1:2])
    assert_agree([shuffled, scores[1:2]], [scores[order], alone], 1e-10)


# distances


@few
@given(st.integers(0, 50))
def test_a_modern_decoder_feels_only_distances(shift):
    model = shared(ModernDecoder)
    x = model.token_embedding(tokens(2, 5))

    def at(start):
        rotation = model.rotary(torch.arange(start, start + 5)[None])
        return model.decoder(x, rotation=Rotation(rotation.cos.double(), rotation.sin.double()))

    with torch.no_grad():
        assert_agree([at(shift)], [at(0)], 1e-4)  # angles are single precision


# compiling


def test_a_forward_pass_is_one_graph(repository_root):
    """In a process of its own, since the compiler cannot trace the checks of annotations that run with the tests."""
    command = [sys.executable, "-m", "tests.models.one_graph"]
    done = subprocess.run(command, cwd=repository_root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["GPT", "BERT", "ModernDecoder", "T5"]
