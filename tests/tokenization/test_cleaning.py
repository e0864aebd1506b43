"""Cleaning: what goes, what stays, and texts that come more than once, exactly or almost."""

import unicodedata

import numpy as np
import pytest
from datasketch import MinHash as DatasketchMinHash
from datasketch import MinHashLSH
from hypothesis import given
from hypothesis import strategies as st

from companion.tokenization import (
    MinHash,
    choose_bands,
    clean_text,
    exact_duplicates,
    jaccard,
    near_duplicates,
    remove_stop_words,
    shingles,
)
from companion.tokenization.near_duplicates import band_keys, band_probability

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates too
AWKWARD = st.text(
    st.sampled_from("aé\u0301ﬁ²Ａ \t\n\r\x0b\x85\xa0\u2028\u3000\u200b\u200d\ufeff\ufffd\xad\0\ud800我\u1100\u1161"),
    max_size=30,
)


@pytest.mark.parametrize("form", ["NFC", "NFKC", None])
@pytest.mark.parametrize("keep_joiners", [True, False])
@given(text=ANY_TEXT | AWKWARD)
def test_cleaning_twice_changes_nothing_more(text, form, keep_joiners):
    once = clean_text(text, form=form, keep_joiners=keep_joiners)
    assert clean_text(once, form=form, keep_joiners=keep_joiners) == once


@given(text=ANY_TEXT | AWKWARD)
def test_a_clean_text_has_an_encoding_one_spelling_and_no_white_space_but_spaces_and_line_ends(text):
    clean = clean_text(text)
    clean.encode()
    assert unicodedata.is_normalized("NFC", clean)
    assert all(character in " \n" for character in clean if character.isspace())
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Co") for character in clean if character != "\n")
    assert "  " not in clean
    assert "\n\n\n" not in clean
    assert clean == clean.strip()


@given(text=ANY_TEXT | AWKWARD, other=st.sampled_from(["NFC", "NFD"]))
def test_the_spelling_of_the_source_does_not_matter(text, other):
    assert clean_text(unicodedata.normalize(other, text)) == clean_text(text)


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("cafe\u0301", "café"),
        ("a\r\nb\rc\u2028d\x0ce", "a\nb\nc\nd\ne"),
        ("zero\u200bwidth\ufeff soft\xadhyphen \ufffd lost\0", "zerowidth softhyphen lost"),
        ("  a \t\xa0\u3000 b \n\n\n\n c  ", "a b\n\nc"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("ﬁne x² Ａ①", "ﬁne x² Ａ①"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e007f"),
        ("", ""),
        ("\ud83d alone", "alone"),
    ],
)
def test_what_goes_and_what_stays(dirty, clean):
    assert clean_text(dirty) == clean


def test_nfkc_replaces_what_looks_different_and_joiners_go_on_request():
    assert clean_text("ﬁne x² Ａ①", form="NFKC") == "fine x2 A1"
    assert clean_text("می\u200cخواهم", keep_joiners=False) == "میخواهم"


@given(texts=st.lists(st.text("ab\ud800", max_size=2), max_size=17))
def test_exact_duplicates_point_to_the_first_of_their_kind(texts):
    assert exact_duplicates(iter(texts)) == [
        None if texts.index(text) == place else texts.index(text) for place, text in enumerate(texts)
    ]


def test_exact_duplicates_by_a_key():
    assert exact_duplicates(["A  b", "a b", "c"], key=lambda text: clean_text(text).lower()) == [None, 0, None]


@given(text=ANY_TEXT, size=st.integers(1, 7))
def test_there_is_one_shingle_for_each_different_stretch(text, size):
    stretches = {text[start : start + size] for start in range(max(1, len(text) - size + 1))} - {""}
    found = shingles(text, size)
    assert len(found) == len(stretches)
    assert (np.diff(found.astype(object)) > 0).all()


@given(first=st.text("abc", max_size=23), second=st.text("abc", max_size=23))
def test_jaccard_is_that_of_the_sets_of_stretches(first, second):
    sets = [{text[start : start + 3] for start in range(max(1, len(text) - 2))} - {""} for text in (first, second)]
    either = len(sets[0] | sets[1])
    expected = len(sets[0] & sets[1]) / either if either else 1.0
    assert jaccard(shingles(first, 3), shingles(second, 3)) == expected


def overlapping(similarity, rng, size=997):
    """Two sets of 64-bit hashes with about this Jaccard similarity."""
    both = round(size * similarity)
    members = rng.integers(1 << 63, size=2 * size - both, dtype=np.uint64)
    return np.sort(members[:size]), np.sort(np.concatenate([members[:both], members[size:]]))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95, 1.0])
def test_signatures_estimate_jaccard_without_bias_and_with_the_binomial_error(share):
    rng = np.random.default_rng(3)
    first, second = overlapping(share, rng)
    truth = jaccard(first, second)
    n_hashes, n_seeds = 131, 67
    agreement = [
        (MinHash(n_hashes, seed).signature(first) == MinHash(n_hashes, seed).signature(second)).mean()
        for seed in range(n_seeds)
    ]
    error = (truth * (1 - truth) / n_hashes) ** 0.5
    assert abs(np.mean(agreement) - truth) <= 4 * error / n_seeds**0.5
    assert np.std(agreement) <= 1.4 * error
    assert np.std(agreement) >= 0.6 * error


def test_the_estimate_is_as_good_as_datasketch_s():
    rng = np.random.default_rng(5)
    ours, theirs = [], []
    for seed in range(41):
        first, second = overlapping(rng.random(), rng, size=211)
        truth = jaccard(first, second)
        ours.append((MinHash(128, seed).signature(first) == MinHash(128, seed).signature(second)).mean() - truth)
        sketches = [DatasketchMinHash(128, seed=seed) for _ in range(2)]
        for sketch, members in zip(sketches, (first, second), strict=True):
            sketch.update_batch([int(member).to_bytes(8, "little") for member in members])
        theirs.append(sketches[0].jaccard(sketches[1]) - truth)
    assert np.std(ours) <= 1.5 * np.std(theirs)


def test_the_signature_of_a_union_is_the_minimum_of_the_signatures():
    rng = np.random.default_rng(7)
    first, second = overlapping(0.4, rng, size=1511)
    hasher = MinHash(61, seed=2)
    union = hasher.signature(np.union1d(first, second))
    np.testing.assert_array_equal(union, np.minimum(hasher.signature(first), hasher.signature(second)))


def test_bands_are_as_coarse_as_they_may_be():
    for threshold in (0.3, 0.5, 0.8, 0.95):
        bands, rows = choose_bands(128, threshold)
        assert bands * rows <= 128
        assert band_probability(threshold, bands, rows) >= 0.95
        assert band_probability(threshold, 128 // (rows + 1), rows + 1) < 0.95


def test_texts_share_a_band_as_often_as_theory_says():
    rng = np.random.default_rng(11)
    bands, rows, n_pairs = 13, 4, 301
    first, second = overlapping(0.5, rng, size=307)
    truth = band_probability(jaccard(first, second), bands, rows)
    hits = 0
    for seed in range(n_pairs):
        hasher = MinHash(bands * rows, seed)
        keys = [set(band_keys(hasher.signature(members), bands, rows)) for members in (first, second)]
        hits += bool(keys[0] & keys[1])
    assert abs(hits / n_pairs - truth) < 4 * (truth * (1 - truth) / n_pairs) ** 0.5


def corpus_with_repetitions(rng, n_texts=83):
    """Random texts, and after each a copy with some characters changed."""
    letters = np.array(list("abcdefgh "))
    texts = []
    for _ in range(n_texts):
        text = rng.choice(letters, size=rng.integers(151, 401))
        copy = text.copy()
        changed = rng.choice(len(copy), size=int(len(copy) * rng.choice([0, 0.005, 0.02, 0.06])), replace=False)
        copy[changed] = rng.choice(letters, size=len(changed))
        texts += ["".join(text), "".join(copy)]
    return texts


def test_near_duplicates_are_those_of_all_exact_comparisons_and_of_datasketch():
    threshold, texts = 0.7, corpus_with_repetitions(np.random.default_rng(13))
    found = near_duplicates(texts, threshold=threshold)
    sets = [{text[start : start + 5] for start in range(len(text) - 4)} for text in texts]
    index = MinHashLSH(threshold=threshold, num_perm=128, weights=(0.1, 0.9))
    truth, theirs = [], []
    for place, members in enumerate(sets):
        alike = [
            earlier
            for earlier in range(place)
            if found[earlier] is None and len(members & sets[earlier]) / len(members | sets[earlier]) >= threshold
        ]
        truth.append(alike[0] if alike else None)
        sketch = DatasketchMinHash(128)
        sketch.update_batch([member.encode() for member in members])
        theirs.append(truth[-1] if truth[-1] in index.query(sketch) else None)
        index.insert(place, sketch)
    n_true = sum(one is not None for one in truth)
    assert n_true > 20
    # Whatever is found is right, and nearly all are found, no fewer than with datasketch's banding.
    assert all(one == right for one, right in zip(found, truth, strict=True) if one is not None)
    n_found = sum(one is not None for one in found)
    assert n_found >= 0.95 * n_true
    assert n_found >= sum(one is not None for one in theirs) - 1


def test_a_thousand_copies_are_each_compared_once():
    assert near_duplicates(["the same text again and again"] * 1009) == [None] + [0] * 1008


def test_near_duplicates_of_few_and_empty_texts():
    assert near_duplicates([]) == []
    assert near_duplicates(["", "", "a", "a", "ab"]) == [None, 0, None, 2, None]


def test_stop_words_take_the_meaning_with_them():
    words = {"to", "be", "or", "not", "the", "is"}
    assert remove_stop_words("To be, or not to be: that is the question", words) == "that question"
    assert remove_stop_words("This film is not good", words) == remove_stop_words("This film is good", words)
    assert remove_stop_words("nothing here", set()) == "nothing here"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: clean_text(b"a"), TypeError, "text must be a string"),
        (lambda: clean_text("a", form="NFX"), ValueError, "form must be None or one of NFC, NFKC, got 'NFX'"),
        (lambda: exact_duplicates("abc"), TypeError, "texts must be an iterable of strings"),
        (lambda: near_duplicates("abc"), TypeError, "texts must be an iterable of strings"),
        (lambda: near_duplicates([], threshold=0), ValueError, "threshold must be above 0 and at most 1"),
        (lambda: near_duplicates([], threshold=float("nan")), ValueError, "threshold must be finite"),
        (lambda: near_duplicates([], n_hashes=0), ValueError, "n_hashes must be at least 1"),
        (lambda: near_duplicates(iter(["a", 1])), TypeError, "text must be a string, got 1"),
        (lambda: shingles("a", 0), ValueError, "size must be at least 1"),
        (lambda: MinHash(12, seed=-1), ValueError, "seed must be at least 0"),
        (lambda: remove_stop_words("a", "a"), TypeError, "stop_words must be a set"),
        (lambda: remove_stop_words(None, set()), TypeError, "text must be a string"),
    ],
)
def test_a_wrong_argument_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()
