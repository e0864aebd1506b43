"""Masking: shares within their chances, never a special token, whole words, static counts, and a peer's behaviour."""

import itertools
import math
import re
from collections import Counter

import pytest
import tokenizers
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

from companion.objectives import mask_tokens, masked_positions, take_positions
from tests.objectives import naive

IGNORED, MASK, VOCAB = -100, 4, 101
SPECIAL = (0, 1, 2, 3)
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 19))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(shape, seed=0, share=0.8):
    """Tokens, none of them special; where one may be chosen; and where words begin."""
    source = generator(seed)
    ids = torch.randint(5, VOCAB, shape, generator=source)
    return ids, torch.rand(shape, generator=source) < share, torch.rand(shape, generator=source) < 0.6


def mask(ids, maskable, source=None, **options):
    source = generator() if source is None else source
    options = {"mask_id": MASK, "vocab_size": VOCAB, "special_ids": SPECIAL} | options
    return mask_tokens(ids, maskable=maskable, generator=source, **options)


def assert_likely(count, total, share):
    """Fail unless so many of so many are what the share would give (once in a million it is not)."""
    assert binomtest(int(count), int(total), share).pvalue > 1e-6, (int(count), int(total), share)


# shares


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize(
    ("probability", "keep", "random"),
    [(0.15, 0.1, 0.1), (0.4, 0.0, 0.0), (0.15, 0.0, 1.0), (0.3, 1.0, 0.0), (0.2, 0.3, 0.5), (1.0, 0.1, 0.1)],
)
def test_shares_are_within_their_chances(probability, keep, random, whole_words):
    ids, maskable, starts = draw((300, 151))
    options = {"word_starts": starts} if whole_words else {}
    result = mask(ids, maskable, probability=probability, keep=keep, random=random, **options)
    chosen = result.labels != IGNORED
    if whole_words:
        words = naive.words_of(maskable, starts.tolist())
        assert_likely(sum(bool(chosen[word[0]]) for word in words), len(words), probability)
    else:
        assert_likely(chosen.sum(), maskable.sum(), probability)
    hidden = result.input_ids[chosen] == MASK
    assert_likely(hidden.sum(), chosen.sum(), max(0.0, 1 - keep - random))
    # One draw in so many is by chance the token that was there.
    same = (1 - 1 / (VOCAB - 5)) * random
    assert_likely((~hidden & (result.input_ids[chosen] != ids[chosen])).sum(), chosen.sum(), same)


def test_drawn_tokens_are_all_others_equally_often():
    ids, _, _ = draw((100, 100))
    result = mask(ids, torch.ones_like(ids).bool(), probability=1.0, keep=0.0, random=1.0)
    counts = torch.bincount(result.input_ids.flatten(), minlength=VOCAB)
    assert counts[: len(SPECIAL) + 1].eq(0).all()  # neither special nor the mask
    assert chisquare(counts[5:].numpy()).pvalue > 1e-4


@pytest.mark.parametrize("special", [(), (100,), (0, 50, 100), (4,), (3, 5)])
def test_special_tokens_are_never_drawn_wherever_they_lie(special):
    ids, _, _ = draw((50, 50))
    result = mask(ids, torch.ones_like(ids).bool(), probability=1.0, keep=0.0, random=1.0, special_ids=special)
    assert set(result.input_ids.flatten().tolist()) == set(range(VOCAB)) - {MASK, *special}


def test_every_position_is_chosen_as_often_as_any_other():
    ids, maskable = torch.full((3, 7), 9), torch.ones(3, 7).bool()
    source = generator()
    for options in ({}, {"count": 3}, {"count": 3, "word_starts": maskable}):
        drawn = sum((mask(ids, maskable, source, **options).labels != IGNORED).long() for _ in range(2000))
        assert chisquare(drawn.flatten().numpy()).pvalue > 1e-4, options


# laws


@given(SHAPES, SEEDS, st.floats(0.0, 1.0), st.booleans())
def test_only_what_may_be_chosen_is_and_the_rest_stays(shape, seed, probability, whole_words):
    ids, maskable, starts = draw(shape, seed)
    result = mask(ids, maskable, generator(seed), probability=probability, word_starts=starts if whole_words else None)
    chosen = result.labels != IGNORED
    assert not (chosen & ~maskable).any()
    assert result.labels[chosen].equal(ids[chosen])
    assert result.input_ids[~chosen].equal(ids[~chosen])
    assert (result.input_ids >= MASK).all()
    assert result.input_ids.shape == result.labels.shape == ids.shape


@given(SHAPES, SEEDS, st.data())
def test_a_count_is_met_exactly(shape, seed, data):
    ids, maskable, _ = draw(shape, seed)
    count = data.draw(st.integers(0, int(maskable.sum())))
    result = mask(ids, maskable, generator(seed), count=count)
    chosen = result.labels != IGNORED
    assert int(chosen.sum()) == count
    assert not (chosen & ~maskable).any()


@given(SHAPES, SEEDS, st.one_of(st.none(), st.floats(0, 1)))
def test_whole_words_stay_whole(shape, seed, share):
    ids, maskable, starts = draw(shape, seed)
    options = {"probability": 0.4} if share is None else {"count": int(share * int(maskable.sum()))}
    chosen = mask(ids, maskable, generator(seed), word_starts=starts, **options).labels != IGNORED
    for word in naive.words_of(maskable, starts.tolist()):
        assert len({bool(chosen[place]) for place in word}) == 1


@given(SHAPES, SEEDS, st.floats(0, 1))
def test_a_count_of_whole_words_leaves_no_room_for_another(shape, seed, share):
    ids, maskable, starts = draw(shape, seed)
    count = int(share * int(maskable.sum()))
    chosen = mask(ids, maskable, generator(seed), word_starts=starts, count=count).labels != IGNORED
    left = count - int(chosen.sum())
    sizes = [len(word) for word in naive.words_of(maskable, starts.tolist()) if not chosen[word[0]]]
    assert left >= 0
    assert all(size > left for size in sizes)


def test_words_end_at_rows_and_at_what_may_not_be_chosen():
    ids, no_starts = torch.full((2, 4), 9), torch.zeros(2, 4).bool()
    maskable = torch.tensor([[True, True, False, True], [True, True, True, False]])
    seen = set()
    for seed in range(200):
        chosen = mask(ids, maskable, generator(seed), probability=0.5, word_starts=no_starts).labels != IGNORED
        seen.add(tuple(chosen.flatten().tolist()))
    words = [{0, 1}, {3}, {4, 5, 6}]
    expected = {
        tuple(i in set().union(*taken) for i in range(8))
        for n in range(4)
        for taken in itertools.combinations(words, n)
    }
    assert seen == expected


def test_masks_differ_between_epochs_and_are_the_same_for_the_same_seed():
    ids, maskable, starts = draw((4, 50))
    for options in ({}, {"word_starts": starts}, {"count": 20}):
        source = generator(7)
        first, second = (mask(ids, maskable, source, **options) for _ in range(2))
        again = mask(ids, maskable, generator(7), **options)
        assert all(a.equal(b) for a, b in zip(first, again, strict=True))
        assert not first.labels.equal(second.labels)


def test_the_texts_stay_as_they_were():
    ids, maskable, starts = draw((4, 50))
    copies = [part.clone() for part in (ids, maskable, starts)]
    mask(ids, maskable, word_starts=starts, probability=1.0)
    assert all(a.equal(b) for a, b in zip((ids, maskable, starts), copies, strict=True))


def test_any_axes_and_int32():
    ids, maskable, starts = draw((2, 3, 7))
    result = mask(ids.int(), maskable, word_starts=starts, probability=0.9)
    assert {part.dtype for part in result} == {torch.int32}
    row = mask(ids[0, 0], maskable[0, 0], probability=0.9)
    assert row.labels.shape == (7,)


def test_nothing_may_be_chosen():
    ids = torch.full((2, 3), 9)
    nowhere = torch.zeros(2, 3).bool()
    for options in ({"probability": 1.0}, {"count": 0}, {"count": 0, "word_starts": nowhere}, {"word_starts": nowhere}):
        result = mask(ids, nowhere, **options)
        assert result.input_ids.equal(ids)
        assert result.labels.eq(IGNORED).all()


# a loop with the same random numbers


@given(SHAPES, SEEDS)
def test_by_a_loop_with_the_same_random_numbers(shape, seed):
    ids, maskable, _ = draw(shape, seed)
    result = mask(ids, maskable, generator(seed), probability=0.4, keep=0.2, random=0.3, special_ids=())
    source = generator(seed)
    luck = torch.rand(ids.numel(), generator=source).view_as(ids).tolist()
    chosen = [
        (i, j) for i, j in itertools.product(*map(range, shape)) if maskable[i, j] and luck[i][j] < torch.tensor(0.4)
    ]
    fate = torch.rand(len(chosen), generator=source)
    drawn = torch.randint(VOCAB - 1, (len(chosen),), generator=source).tolist()
    read, labels = ids.tolist(), [[IGNORED] * shape[1] for _ in range(shape[0])]
    for (i, j), f, token in zip(chosen, fate, drawn, strict=True):
        labels[i][j] = read[i][j]
        if 0.2 <= f < 0.5:
            read[i][j] = token if token < MASK else token + 1
        elif f >= 0.5:
            read[i][j] = MASK
    assert result.input_ids.tolist() == read
    assert result.labels.tolist() == labels


# where the head is asked


@given(SHAPES, SEEDS, st.data())
def test_positions_are_the_labelled_ones_and_then_any_others(shape, seed, data):
    ids, maskable, _ = draw(shape, seed)
    labels = mask(ids, maskable, generator(seed), probability=0.4).labels
    flat = labels.flatten()
    labelled = [i for i, label in enumerate(flat.tolist()) if label != IGNORED]
    assert masked_positions(labels).tolist() == labelled
    count = data.draw(st.integers(max(1, len(labelled)), labels.numel()))
    positions = masked_positions(labels, count)
    assert len(positions) == len(set(positions.tolist())) == count
    assert set(labelled) <= set(positions.tolist())
    assert positions.tolist() == sorted(positions.tolist())
    assert take_positions(labels, positions).tolist() == flat[positions].tolist()
    assert (take_positions(labels, positions) != IGNORED).sum() == len(labelled)


def test_vectors_at_positions():
    x = torch.randn(3, 5, 2, requires_grad=True)
    positions = torch.tensor([14, 0, 6])
    taken = take_positions(x, positions)
    assert taken.equal(torch.stack([x[2, 4], x[0, 0], x[1, 1]]))
    taken.sum().backward()
    assert x.grad.flatten(0, 1).any(-1).nonzero().squeeze(1).tolist() == [0, 6, 14]


# transformers' collator


SPECIAL_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = ["play", "##ing", "##ed", "walk", "un", "##told", "the", "a", "##s", "dog", "cat", "see"]
TEXTS = ["the dogs played untold", "a cat walking", "see the cats played a dog", "walked"]


@pytest.fixture(scope="module")
def tokenizer():
    """Transformers' fast BERT tokenizer with a vocabulary of its own."""
    vocabulary = {piece: number for number, piece in enumerate(SPECIAL_PIECES + PIECES)}
    built = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    built.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    built.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL_PIECES, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=built, **{f"{name}_token": piece for name, piece in names.items()})


def read_texts(tokenizer):
    """The texts as the collator takes them; and as ours does: padded, where to choose, where words begin."""
    padded = tokenizer(TEXTS, padding=True, return_special_tokens_mask=True, return_offsets_mapping=True)
    examples = [{key: values[i] for key, values in padded.items()} for i in range(len(TEXTS))]
    batch = torch.tensor(padded["input_ids"])
    begins = torch.tensor([not piece.startswith("##") for piece in SPECIAL_PIECES + PIECES])
    return examples, batch, batch > MASK, begins[batch]


def count_fates(ids, labels, original):
    """Count what became of each token: chosen or not, and hidden, exchanged or kept."""
    chosen = labels != IGNORED
    assert labels[chosen].equal(original[chosen])
    assert ids[~chosen].equal(original[~chosen])
    changed = chosen & (ids != original)
    hidden = chosen & (ids == MASK)
    return Counter(chosen=int(chosen.sum()), hidden=int(hidden.sum()), changed=int((changed & ~hidden).sum()))


def test_choices_are_distributed_as_the_collators(tokenizer):
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3, seed=0)
    examples, batch, maskable, _ = read_texts(tokenizer)
    theirs, ours, source, n = Counter(), Counter(), generator(), 400
    for _ in range(n):
        collated = collator(examples)
        theirs += count_fates(collated["input_ids"], collated["labels"], batch)
        # The collator draws from the whole vocabulary, special tokens too.
        ours += count_fates(
            *mask(batch, maskable, source, probability=0.3, vocab_size=len(tokenizer), special_ids=()), batch
        )
    total = n * int(maskable.sum())
    for fate, share in {"chosen": 0.3, "hidden": 0.3 * 0.8, "changed": 0.3 * 0.1 * (1 - 1 / 17)}.items():
        for counts in (theirs, ours):  # the collator's own draws of [MASK] count as hidden: a share of 1/170
            spread = 5 * math.sqrt(total * share * (1 - share)) + total * 0.3 * 0.1 / 17
            assert abs(counts[fate] - total * share) < spread, (fate, counts)


def always_together(masks):
    """The pairs of positions of a row that are hidden together or not at all, over many draws."""
    stacked = torch.stack(masks)  # draw batch pos
    agree = (stacked[..., :, None] == stacked[..., None, :]).all(0)
    return agree & stacked.any(0)[..., None] & stacked.any(0)[..., None, :]


def test_words_are_those_of_the_collator(tokenizer):
    collator = DataCollatorForLanguageModeling(
        tokenizer, whole_word_mask=True, mlm_probability=0.5, mask_replace_prob=1.0, random_replace_prob=0.0, seed=0
    )
    examples, batch, maskable, starts = read_texts(tokenizer)
    source = generator()
    theirs = [collator(examples)["labels"] != IGNORED for _ in range(60)]
    ours = [
        mask(batch, maskable, source, probability=0.5, word_starts=starts, vocab_size=len(tokenizer)).labels != IGNORED
        for _ in range(60)
    ]
    together = always_together(ours)
    assert together.equal(always_together(theirs))
    assert int(together.sum()) > int(maskable.sum())  # some words are of several pieces
    assert torch.stack(ours).any(0).equal(maskable)


# bad input


IDS, MAY, STARTS = draw((2, 5), share=1.0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input_ids": IDS.tolist()}, TypeError, "input_ids must be a tensor of torch.int64 or int32 (*batch pos)"),
        ({"input_ids": IDS.float()}, TypeError, "input_ids must be a tensor of torch.int64 or int32 (*batch pos)"),
        ({"input_ids": torch.tensor(3)}, ValueError, "input_ids must have at least 1 axes (*batch pos)"),
        (
            {"maskable": IDS},
            TypeError,
            "maskable must be a boolean tensor, got a tensor of shape (2, 5) and dtype torch.int64",
        ),
        ({"maskable": None}, TypeError, "maskable must be a boolean tensor, got None"),
        ({"maskable": MAY[0]}, ValueError, "maskable must have input_ids' shape (2, 5), got a tensor of shape (5,)"),
        ({"maskable": MAY.to("meta")}, ValueError, "maskable must be on input_ids' device cpu, got one on meta"),
        ({"word_starts": STARTS.long()}, TypeError, "word_starts must be a boolean tensor"),
        ({"word_starts": STARTS[:, 1:]}, ValueError, "word_starts must have input_ids' shape (2, 5)"),
        ({"mask_id": -1}, ValueError, "mask_id must be at least 0, got -1"),
        ({"mask_id": "[MASK]"}, TypeError, "mask_id must be an integer, got '[MASK]'"),
        ({"mask_id": VOCAB}, ValueError, "mask_id must be below vocab_size=101, got 101"),
        ({"vocab_size": 0}, ValueError, "vocab_size must be at least 1, got 0"),
        ({"probability": 1.5}, ValueError, "probability must be at least 0 and at most 1, got 1.5"),
        ({"probability": float("nan")}, ValueError, "probability must be finite, got nan"),
        ({"keep": -0.1}, ValueError, "keep must be at least 0 and at most 1, got -0.1"),
        ({"random": "a"}, TypeError, "random must be a number"),
        ({"keep": 0.6, "random": 0.6}, ValueError, "keep and random must add up to at most 1, got 0.6 + 0.6"),
        (
            {"generator": 0},
            TypeError,
            "generator must be a torch.Generator, e.g. torch.Generator().manual_seed(0), got 0",
        ),
        ({"generator": None}, TypeError, "generator must be a torch.Generator"),
        ({"count": 11}, ValueError, "count must be at most the 10 maskable positions, got 11"),
        ({"count": -1}, ValueError, "count must be at least 0, got -1"),
        ({"count": 1.5}, TypeError, "count must be an integer, got 1.5"),
        ({"special_ids": 3}, TypeError, "special_ids must be a list of token ids, got 3"),
        ({"special_ids": [0, VOCAB]}, ValueError, "special_ids must be below vocab_size=101, got 101"),
        ({"special_ids": range(VOCAB)}, ValueError, "vocab_size must leave a token to draw besides mask_id"),
    ],
)
def test_wrong_arguments(changes, error, message):
    arguments = {
        "input_ids": IDS, "maskable": MAY, "mask_id": MASK, "vocab_size": VOCAB, "generator": generator(),
    } | changes  # fmt: skip
    with pytest.raises(error, match=re.escape(message)):
        mask_tokens(arguments.pop("input_ids"), **arguments)


LABELS = torch.tensor([[-100, 7, 8], [-100, -100, 9]])


@pytest.mark.parametrize(
    ("labels", "count", "error", "message"),
    [
        (LABELS.tolist(), None, TypeError, "labels must be a tensor of torch.int64 or int32 (*batch pos)"),
        (LABELS, 2, ValueError, "count must be at least the 3 labels that are not -100, got 2"),
        (LABELS, 7, ValueError, "count must be at most the 6 labels, got 7"),
        (LABELS, 0, ValueError, "count must be at least 1, got 0"),
        (LABELS, "3", TypeError, "count must be an integer, got '3'"),
    ],
)
def test_wrong_labels_or_counts(labels, count, error, message):
    with pytest.raises(error, match=re.escape(message)):
        masked_positions(labels, count)


@pytest.mark.parametrize(
    ("x", "positions", "error", "message"),
    [
        (LABELS[0], torch.tensor([0]), ValueError, "x must be a tensor of at least two axes (batch pos ...)"),
        (LABELS, [0], TypeError, "positions must be a tensor of torch.int64 or int32"),
        (LABELS, torch.tensor([[0]]), ValueError, "positions must have exactly 1 axes"),
        (
            LABELS,
            torch.tensor([0, 6]),
            ValueError,
            "positions must be at least 0 and below 6 = 2 x 3, got values from 0",
        ),
        (
            LABELS,
            torch.tensor([-1, 5]),
            ValueError,
            "positions must be at least 0 and below 6 = 2 x 3, got values from -1",
        ),
    ],
)
def test_wrong_positions(x, positions, error, message):
    with pytest.raises(error, match=re.escape(message)):
        take_positions(x, positions)
