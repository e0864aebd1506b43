"""Next-sentence pairs: half follow, half do not, and no chance pair is a true one."""

import itertools
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from companion.objectives import Assembled, SentencePair, assemble_pair, next_sentence_pairs

SEEDS = st.integers(0, 2**32 - 1)
# Documents by the lengths of their sentences; every token is of one place only, so that it says where it is from.
SIZES = st.lists(st.lists(st.integers(1, 9), max_size=7), min_size=2, max_size=6).filter(
    lambda sizes: sum(map(bool, sizes)) > 1
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def write(sizes):
    """Documents of sentences of these lengths, and for each token its document."""
    documents, origin = [], []
    for number, lengths in enumerate(sizes):
        documents.append([])
        for length in lengths:
            documents[-1].append(list(range(len(origin), len(origin) + length)))
            origin += [number] * length
    return documents, origin


def is_stretch(tokens):
    """Whether tokens stood side by side."""
    return tokens == list(range(tokens[0], tokens[0] + len(tokens)))


def many(n=300, sentences=6, length=3):
    return write([[length] * sentences] * n)


# laws


@given(SIZES, st.integers(2, 40), SEEDS, st.floats(0, 1))
def test_pairs_are_what_their_labels_say(sizes, max_length, seed, random):
    documents, origin = write(sizes)
    for pair in next_sentence_pairs(documents, max_length=max_length, generator=generator(seed), random=random):
        assert isinstance(pair, SentencePair)
        assert pair.first
        assert pair.second
        assert is_stretch(pair.first)
        assert is_stretch(pair.second)
        assert len({origin[token] for token in pair.first}) == len({origin[token] for token in pair.second}) == 1
        follows = pair.second[0] == pair.first[-1] + 1
        same_document = origin[pair.first[0]] == origin[pair.second[0]]
        assert (pair.label == 0) == (follows and same_document)
        assert (pair.label == 1) == (not same_document)


@given(SIZES, st.integers(2, 40), SEEDS)
def test_pairs_fit_and_use_their_room(sizes, max_length, seed):
    documents, _ = write(sizes)
    for pair in next_sentence_pairs(documents, max_length=max_length, generator=generator(seed), random=0.0):
        assert len(pair.first) + len(pair.second) <= max_length
    # Where the sentences go on, a pair is filled up.
    long = next_sentence_pairs(write([[3] * 50] * 2)[0], max_length=40, generator=generator(seed))
    assert sum(len(pair.first) + len(pair.second) == 40 for pair in long) >= len(long) - 2 * 14


@given(SIZES, SEEDS)
def test_every_document_of_two_sentences_is_used_from_its_beginning(sizes, seed):
    documents, _ = write(sizes)
    pairs = next_sentence_pairs(documents, max_length=1000, generator=generator(seed))
    assert {pair.first[0] for pair in pairs} >= {d[0][0] for d in documents if len(d) > 1}
    for document in documents:
        if len(document) == 1:
            assert not any(pair.first[0] == document[0][0] for pair in pairs)


def test_half_of_them_follow():
    pairs = next_sentence_pairs(many()[0], max_length=9, generator=generator())
    labels = [pair.label for pair in pairs]
    assert len(labels) > 700
    assert binomtest(sum(labels), len(labels), 0.5).pvalue > 1e-4
    rare = next_sentence_pairs(many()[0], max_length=9, generator=generator(), random=0.2)
    assert binomtest(sum(pair.label for pair in rare), len(rare), 0.2).pvalue > 1e-4


@pytest.mark.parametrize(("random", "label"), [(0.0, 0), (1.0, 1)])
def test_all_or_none_by_chance(random, label):
    pairs = next_sentence_pairs(many(9)[0], max_length=9, generator=generator(), random=random)
    assert {pair.label for pair in pairs} == {label}


def test_what_a_chance_text_took_the_place_of_begins_the_next_pair():
    documents, _ = many(9)
    pairs = next_sentence_pairs(documents, max_length=18, generator=generator(), random=1.0)
    firsts = [pair.first for pair in pairs if pair.first[0] < 18]  # the first document's
    assert firsts[0][0] == 0
    for one, next_one in itertools.pairwise(firsts):
        assert next_one[0] == one[-1] + 1


def test_lengths_do_not_tell_the_label():
    """Where documents are long enough, texts that follow and texts that do not are equally long."""
    pairs = next_sentence_pairs(many(40, sentences=60)[0], max_length=30, generator=generator())
    lengths = [[len(pair.second) for pair in pairs if pair.label == label] for label in (0, 1)]
    means = [sum(part) / len(part) for part in lengths]
    assert min(map(len, lengths)) > 100
    assert abs(means[0] - means[1]) < 3


def test_chance_texts_come_from_all_over():
    documents, origin = many(20)
    pairs = next_sentence_pairs(documents * 1, max_length=9, generator=generator(), random=1.0)
    assert {origin[pair.second[0]] for pair in pairs} == set(range(20))


def test_too_long_is_cut_where_the_two_do_not_touch():
    first, second = list(range(10)), list(range(10, 30))
    documents = [[first, second], [[99] * 50]]
    for room in range(2, 31):
        (pair,) = next_sentence_pairs(documents, max_length=room, generator=generator(), random=0.0)
        assert pair.first == first[10 - len(pair.first) :]
        assert pair.second == second[: len(pair.second)]
        assert len(pair.first) + len(pair.second) == min(room, 30)
        assert abs(len(pair.first) - len(pair.second)) <= 1 or len(pair.first) == 10


def test_the_same_seed_gives_the_same_pairs():
    documents, _ = many(9)
    source = generator(3)
    first, second = (next_sentence_pairs(documents, max_length=9, generator=source) for _ in range(2))
    assert first == next_sentence_pairs(documents, max_length=9, generator=generator(3))
    assert first != second


# a chance text that is true


def test_the_true_next_sentence_is_never_labelled_as_chance():
    """A sentence that many documents hold, say a greeting, may be drawn where it also follows."""
    documents = [[[10 + i], [5, 6, 7], [40 + i]] for i in range(12)]
    for seed in range(30):
        for pair in next_sentence_pairs(documents, max_length=9, generator=generator(seed)):
            if pair.label == 1 and pair.first[-1] in range(10, 22):
                assert pair.second[:3] != [5, 6, 7]


def test_documents_that_are_all_the_same():
    with pytest.raises(ValueError, match="documents are too alike: 100 texts drawn from others all begin as the true"):
        next_sentence_pairs([[[5], [5]]] * 3, max_length=4, generator=generator(), random=1.0)


# rows


@given(st.lists(st.integers(0, 99), max_size=9), st.lists(st.integers(0, 99), max_size=9))
def test_a_row_of_two_texts(first, second):
    row = assemble_pair(first, second, cls_id=101, sep_id=102)
    assert isinstance(row, Assembled)
    assert row.input_ids.tolist() == [101, *first, 102, *second, 102]
    assert row.token_type_ids.tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert row.input_ids[row.maskable].tolist() == [*first, *second]


def test_a_row_of_one_text():
    row = assemble_pair([7, 8], cls_id=101, sep_id=102)
    assert row.input_ids.tolist() == [101, 7, 8, 102]
    assert row.token_type_ids.tolist() == [0, 0, 0, 0]
    assert row.maskable.tolist() == [False, True, True, False]


def test_a_row_is_that_of_transformers():
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
    tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)})
    expected = tokenizer("a b", "c b a", return_special_tokens_mask=True)
    row = assemble_pair([5, 6], [7, 6, 5], cls_id=2, sep_id=3)
    assert row.input_ids.tolist() == expected["input_ids"]
    assert row.token_type_ids.tolist() == expected["token_type_ids"]
    assert (~row.maskable).long().tolist() == expected["special_tokens_mask"]


# bad input


DOCUMENTS = [[[1, 2], [3]], [[4], [5, 6]]]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"documents": "a text"}, TypeError, "documents must be a list of lists of sentences, got 'a text'"),
        ({"documents": [[[1]], "b"]}, TypeError, "documents[1] must be a list of sentences, got 'b'"),
        ({"documents": [[1, 2], [3]]}, TypeError, "documents[0][0] must be a list of token ids, got 1"),
        ({"documents": [[[1]], [[2], "c"]]}, TypeError, "documents[1][1] must be a list of token ids, got 'c'"),
        ({"documents": [[[1]], [[2], []]]}, ValueError, "documents[1][1] is an empty sentence; leave it out"),
        ({"documents": [[[1], [2]]]}, ValueError, "documents must be at least 2 with sentences"),
        ({"documents": [[[1], [2]], []]}, ValueError, "to draw from another, got 1"),
        ({"documents": []}, ValueError, "documents must be at least 2 with sentences"),
        ({"max_length": 1}, ValueError, "max_length must be at least 2, got 1"),
        ({"max_length": 2.0}, TypeError, "max_length must be an integer"),
        ({"generator": 0}, TypeError, "generator must be a torch.Generator"),
        ({"random": 1.5}, ValueError, "random must be a number from 0 to 1, got 1.5"),
        ({"random": float("nan")}, ValueError, "random must be a number from 0 to 1, got nan"),
        ({"random": "half"}, ValueError, "random must be a number from 0 to 1, got 'half'"),
    ],
)
def test_wrong_arguments(changes, error, message):
    arguments = {"documents": DOCUMENTS, "max_length": 9, "generator": generator()} | changes
    with pytest.raises(error, match=re.escape(message)):
        next_sentence_pairs(arguments.pop("documents"), **arguments)


def test_one_document_is_enough_where_nothing_is_drawn():
    pairs = next_sentence_pairs([[[1, 2], [3]], []], max_length=9, generator=generator(), random=0.0)
    assert pairs == [SentencePair([1, 2], [3], 0)]
    assert next_sentence_pairs([], max_length=9, generator=generator(), random=0.0) == []


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"first": "ab"}, TypeError, "first must be a list of token ids, got 'ab'"),
        ({"first": torch.tensor([1])}, TypeError, "first must be a list of token ids"),
        ({"second": [1, 2.5]}, TypeError, "second[1] must be an integer, got 2.5"),
        ({"second": [-1]}, ValueError, "second[0] must be at least 0, got -1"),
        ({"cls_id": None}, TypeError, "cls_id must be an integer"),
        ({"sep_id": -5}, ValueError, "sep_id must be at least 0, got -5"),
    ],
)
def test_wrong_rows(changes, error, message):
    arguments = {"first": [1], "second": [2], "cls_id": 3, "sep_id": 4} | changes
    with pytest.raises(error, match=re.escape(message)):
        assemble_pair(arguments.pop("first"), arguments.pop("second"), **arguments)
