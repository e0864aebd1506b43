"""Near duplicates by datasketch: planted ones are found, and they are those of the course's own way."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data.corpus import drop_duplicates
from companion.data.loading import rows_of
from companion.tokenization import jaccard, near_duplicates, shingles

SOME = "the a cat dog house river stone walks sings over under green old quick north winter seven bread"
WORDS = SOME.split()


def write(rng, n_words=60):
    return " ".join(rng.choices(WORDS, k=n_words))


def edited(text, rng):
    """Change one word."""
    words = text.split()
    words[rng.randrange(len(words))] = "changed"
    return " ".join(words)


def test_copies_and_near_copies_go_and_the_first_stays():
    rng = random.Random(0)
    texts = [write(rng) for _ in range(40)]
    near = [edited(text, rng) for text in texts[:10]]
    kept, report = drop_duplicates(texts + texts[30:] + near)
    assert kept == texts
    assert report.dropped == {
        "repeats an earlier text": list(range(40, 50)),
        "almost repeats an earlier text (similarity 0.8 or more)": list(range(50, 60)),
    }


@given(seed=st.integers(0, 10**6))
def test_both_ways_find_the_same(seed):
    rng = random.Random(seed)
    texts = [write(rng) for _ in range(6)]
    for _ in range(12):
        text = rng.choice(texts)
        for _ in range(rng.randrange(3)):
            text = edited(text, rng)
        texts.append(text)
    # Far below the least similarity of the copies and far above that of the others, where neither misses a pair.
    theirs = drop_duplicates(texts, threshold=0.45).report.kept
    ours = [index for index, earlier in enumerate(near_duplicates(texts, threshold=0.45)) if earlier is None]
    assert theirs == ours == list(range(6))


@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.6, 0.8, 0.95, 1.0]))
def test_what_is_dropped_is_like_an_earlier_text_that_is_kept(seed, threshold):
    rng = random.Random(seed)
    texts = [write(rng) for _ in range(4)]
    texts += [edited(edited(rng.choice(texts), rng), rng) for _ in range(12)]
    members = [shingles(text) for text in texts]
    report = drop_duplicates(texts, threshold=threshold).report
    for index in itertools.chain(*report.dropped.values()):
        assert any(jaccard(members[earlier], members[index]) >= threshold for earlier in report.kept if earlier < index)


@pytest.mark.data
def test_both_ways_find_the_same_in_real_texts():
    texts = [row["text"] for row in rows_of("boolq")[:1600]]
    theirs = set(drop_duplicates(texts).report.kept)
    ours = {index for index, earlier in enumerate(near_duplicates(texts)) if earlier is None}
    members = [shingles(text) for text in texts]
    either = set(range(len(texts))) - (theirs & ours)
    assert len(either) > 5
    for index in theirs ^ ours:  # one of the ways may miss a pair, but only right at the threshold
        closest = max(jaccard(members[earlier], members[index]) for earlier in theirs & ours if earlier < index)
        assert 0.8 <= closest < 0.85
    assert len(theirs ^ ours) <= 0.1 * len(either)


@given(texts=st.lists(st.text(st.characters(exclude_categories=[]), max_size=8), max_size=8))
def test_any_texts_will_do_and_no_two_that_are_kept_are_equal(texts):
    kept, report = drop_duplicates(texts)
    assert len(set(kept)) == len(kept)
    assert set(kept) <= set(texts)
    assert sorted(sum(report.dropped.values(), report.kept)) == list(range(len(texts)))
    assert drop_duplicates(kept).texts == kept


def test_chinese_needs_no_words():
    text = "猫坐在垫子上，看着窗外的雨，想着昨天吃过的鱼，后来它睡着了，做了一个很长的梦。"
    assert drop_duplicates(
        [text, text.replace("昨天", "今天"), "完全不同的一句话，说的是山和水。"], threshold=0.7
    ).report.kept == [0, 2]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"texts": "one"}, TypeError, "texts must be an iterable of strings, got one str"),
        ({"texts": iter(["a", None])}, TypeError, r"texts\[1\] must be a string, got NoneType"),
        ({"threshold": 0}, ValueError, "threshold must be above 0 and at most 1, got 0"),
        ({"threshold": 1.1}, ValueError, "threshold must be above 0 and at most 1"),
        ({"threshold": "0.8"}, TypeError, "threshold must be a number"),
        ({"size": 0}, ValueError, "size must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
    ],
)
def test_wrong_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        drop_duplicates(**({"texts": ["a"]} | options))
