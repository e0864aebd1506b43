"""Unigram: the ids of `tokenizers`, sums over all segmentations by hand, and the laws of its training."""

import json
import math
from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest
import tokenizers
from hypothesis import assume, given
from hypothesis import strategies as st

import companion.data
from companion.tokenization import Unigram, load
from companion.tokenization.lattice import Lattices
from companion.tokenization.unigram import BYTE_TOKENS
from companion.tokenization.unigram_training import (
    frequent_substrings,
    log_frequencies,
    losses,
    seed_pieces,
    split_at_rare,
)

SCORES = st.integers(-99_999, -1).map(lambda number: number / 10_000)
PIECES = st.dictionaries(st.text("ab▁我", min_size=1, max_size=4), SCORES, max_size=17)
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("ab▁我 \n<unk>é", max_size=40)
WORD_COUNTS = st.dictionaries(st.text("abc", min_size=1, max_size=9), st.integers(1, 9), min_size=1, max_size=7)


def build(pieces, *, with_bytes=False, **options):
    special = [("<s>", 0.0), ("<unk>", 0.0), *((token, 0.0) for token in (BYTE_TOKENS if with_bytes else ()))]
    return Unigram([*special, *pieces.items()], special_tokens=["<s>"], byte_fallback=with_bytes, **options)


def reference(ours, tmp_path_factory):
    path = tmp_path_factory.mktemp("unigram") / "tokenizer.json"
    ours.save(path)
    theirs = tokenizers.Tokenizer.from_file(str(path))
    theirs.encode_special_tokens = True
    return theirs


def segmentations(word):
    for n_cuts in range(len(word)):
        for cuts in combinations(range(1, len(word)), n_cuts):
            ends = [0, *cuts, len(word)]
            yield [word[start:end] for start, end in pairwise(ends)]


def all_ways(ours, word, temperature=1.0):
    """Every segmentation of a word with its log-probability, by trying all of them."""
    scores = {piece: score for piece, score in ours.pieces if piece not in ours.special_tokens}
    unknown = min(score for _, score in ours.pieces) - 10
    ways = {}
    for pieces in segmentations(word):
        if all(piece in scores or len(piece) == 1 for piece in pieces):
            ways[tuple(pieces)] = sum(scores.get(piece, unknown) for piece in pieces) / temperature
    return ways


def logsumexp(values):
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))


@given(pieces=PIECES, text=ANY_TEXT, with_bytes=st.booleans(), prefix=st.booleans())
def test_ids_and_their_text_are_those_of_tokenizers_for_any_text(pieces, text, with_bytes, prefix, tmp_path_factory):
    assume(not any(token in text for token in ("<s>", "<unk>", "<0x")))
    ours = build(pieces, with_bytes=with_bytes, prefix_space=prefix)
    theirs = reference(ours, tmp_path_factory)
    expected = theirs.encode(text, add_special_tokens=False).ids
    assert ours.encode(text) == expected
    assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=False)
    assert list(ours.encode_stream([*text])) == expected


@given(ids=st.lists(st.integers(0, 260), max_size=23))
def test_any_ids_become_the_text_that_tokenizers_makes_of_them(ids, tmp_path_factory):
    ours = build({"▁a": -1.0, "▁": -2.0, "b▁": -3.0}, with_bytes=True)
    theirs = reference(ours, tmp_path_factory)
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
    assert ours.decode(ids, skip_special=True) == theirs.decode(ids, skip_special_tokens=True)


@given(pieces=PIECES, word=st.text("ab▁我x", min_size=1, max_size=8))
def test_viterbi_finds_the_best_of_all_segmentations(pieces, word):
    ours = build(pieces, prefix_space=False)
    assume(len(ours._words(word)) == 1)
    best = max(all_ways(ours, word).values())
    (ids, score), *_ = ours.n_best(word, 1)
    assert score == pytest.approx(best)
    assert ids == ours.encode(word) or score == pytest.approx(ours.n_best(word, 2)[1][1])  # unless there are two


@given(pieces=PIECES, word=st.text("ab我x", min_size=1, max_size=8), n=st.integers(1, 11))
def test_the_n_best_are_the_best_of_all_segmentations(pieces, word, n):
    ours = build(pieces, prefix_space=False)
    expected = sorted(all_ways(ours, word).values(), reverse=True)[:n]
    assert [score for _, score in ours.n_best(word, n)] == pytest.approx(expected)


@given(pieces=PIECES, words=st.lists(st.text("ab我x", min_size=1, max_size=6), min_size=1, max_size=3))
def test_the_probability_of_a_text_is_the_sum_over_all_segmentations(pieces, words):
    ours = build(pieces)
    expected = sum(logsumexp(all_ways(ours, "▁" + word).values()) for word in words)
    assert ours.log_probability(" ".join(words)) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_samples_come_as_often_as_they_are_probable(temperature):
    ours = build({"a": -2.0, "b": -1.5, "ab": -2.5, "ba": -4.0, "aba": -5.0, "abab": -5.5}, prefix_space=False)
    word, n_samples, rng = "abab", 4001, np.random.default_rng(17)
    ways = all_ways(ours, word, temperature)
    total = logsumexp(ways.values())
    found = Counter(tuple(ours.sample(word, rng=rng, temperature=temperature)) for _ in range(n_samples))
    chi_squared = 0.0
    for pieces, score in ways.items():
        expected = n_samples * math.exp(score - total)
        chi_squared += (found[tuple(ours.vocab[piece] for piece in pieces)] - expected) ** 2 / expected
    assert sum(found.values()) == n_samples
    assert len(ways) == 7
    assert chi_squared < 22.5  # of 6 degrees of freedom: exceeded once in a thousand seeds


@given(text=st.text("abx ", max_size=17), seed=st.integers(0, 99))
def test_a_sample_is_repeatable_means_the_same_and_is_the_best_when_it_is_cold(text, seed):
    ours = build({"a": -2.0, "b": -1.51, "ab": -2.53, "ba": -4.0, "x": -3.0, "▁": -3.1, "▁a": -4.7})
    drawn = ours.sample(text, rng=np.random.default_rng(seed), temperature=2.0)
    assert drawn == ours.sample(text, rng=np.random.default_rng(seed), temperature=2.0)
    assert ours.decode(drawn) == ours.decode(ours.encode(text))
    assert ours.sample(text, rng=np.random.default_rng(seed), temperature=1e-5) == ours.encode(text)


@given(text=st.lists(st.sampled_from(["<unk>", "<s>", "<0x41>", "<", ">", "s", " "])).map("".join))
def test_text_cannot_spell_a_special_token_or_a_byte(text):
    letters = dict.fromkeys("<>unks0x41▁", -3.0)
    for with_bytes in (False, True):
        ours = build(letters, with_bytes=with_bytes)
        assert not set(ours.encode(text)) & {
            ours.vocab[name] for name in ("<s>", "<unk>", *BYTE_TOKENS) if name in ours.vocab
        }
        assert ours.decode(ours.encode(text)) == (text.lstrip(" ") if text.startswith(" ") else text) or "  " in text
        assert ours.encode(text, allowed_special={"<s>"}).count(0) == text.count("<s>")


def test_a_run_of_unknown_characters_is_one_token_or_its_bytes():
    assert build({"▁a": -1.0, "a": -2.0}).tokens("axyza") == ["▁a", "<unk>", "a"]
    ours = build({"▁a": -1.0, "a": -2.0}, with_bytes=True)
    assert ours.tokens("aéa") == ["▁a", "<0xC3>", "<0xA9>", "a"]
    assert ours.decode(ours.encode("aéa 我")) == "aéa 我"


def test_without_an_unknown_token_what_has_no_piece_is_an_error():
    ours = Unigram([("▁", -1.0), ("a", -2.0)], unk_token=None)
    assert ours.encode("aa") == [0, 1, 1]
    with pytest.raises(ValueError, match="text must be made of this vocabulary's characters, got 'b'"):
        ours.encode("ab")


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_normal_form_is_applied_before_as_in_tokenizers(form, tmp_path_factory):
    ours = build(dict.fromkeys("▁fie\u0301éﬁ", -3.0), form=form)
    theirs = reference(ours, tmp_path_factory)
    for text in ("ﬁé", "e\u0301 ﬁ\u00a0", "fi\u3000e"):
        assert ours.encode(text) == theirs.encode(text).ids


# The lattice and the steps of training


def expected_by_hand(word_counts, scores):
    counts, log_likelihood = Counter(), 0.0
    for word, count in word_counts.items():
        ways = {
            tuple(way): sum(scores[piece] for piece in way)
            for way in segmentations(word)
            if all(piece in scores for piece in way)
        }
        total = logsumexp(ways.values())
        log_likelihood += count * total
        for way, score in ways.items():
            for piece in way:
                counts[piece] += count * math.exp(score - total)
    return counts, log_likelihood


@given(word_counts=WORD_COUNTS, pieces=st.dictionaries(st.text("abc", min_size=2, max_size=4), SCORES, max_size=9))
def test_expected_counts_are_those_of_trying_all_segmentations(word_counts, pieces):
    scores = {"a": -1.7, "b": -2.3, "c": -3.1, **pieces}
    words = list(word_counts)
    lattices = Lattices(words, {piece: index for index, piece in enumerate(scores)})
    weights = np.array([word_counts[word] for word in words], dtype=float)
    found, log_likelihood = lattices.expected_counts(np.array(list(scores.values())), weights)
    by_hand, expected_likelihood = expected_by_hand(word_counts, scores)
    np.testing.assert_allclose(found, [by_hand[piece] for piece in scores], atol=1e-9)
    assert log_likelihood == pytest.approx(expected_likelihood)


@given(word_counts=WORD_COUNTS, dropped=st.sets(st.integers(0, 40)))
def test_dropping_pieces_leaves_the_lattice_of_the_others(word_counts, dropped):
    pieces = list(seed_pieces(word_counts, 4, 97))
    kept = np.array([len(piece) == 1 or index not in dropped for index, piece in enumerate(pieces)])
    rest = [piece for piece, keep in zip(pieces, kept, strict=True) if keep]
    pruned = Lattices(list(word_counts), {piece: index for index, piece in enumerate(pieces)})
    pruned.without(kept)
    fresh = Lattices(list(word_counts), {piece: index for index, piece in enumerate(rest)})
    weights = np.array(list(word_counts.values()), dtype=float)
    scores = log_frequencies(np.arange(1, len(rest) + 1, dtype=float))
    for one, other in zip(pruned.expected_counts(scores, weights), fresh.expected_counts(scores, weights), strict=True):
        np.testing.assert_allclose(one, other)


@given(word_counts=WORD_COUNTS, seed=st.integers(0, 99))
def test_em_never_lowers_the_likelihood_and_expects_every_character_once(word_counts, seed):
    pieces = list(seed_pieces(word_counts, 5, 97))
    lattices = Lattices(list(word_counts), {piece: index for index, piece in enumerate(pieces)})
    weights = np.array(list(word_counts.values()), dtype=float)
    scores = log_frequencies(np.random.default_rng(seed).random(len(pieces)) + 0.01)
    before = -math.inf
    for _ in range(7):
        expected, log_likelihood = lattices.expected_counts(scores, weights)
        assert log_likelihood >= before - 1e-9 * abs(before if math.isfinite(before) else 0.0)
        n_characters = sum(len(word) * count for word, count in word_counts.items())
        assert expected @ [len(piece) for piece in pieces] == pytest.approx(n_characters)
        scores, before = log_frequencies(expected), log_likelihood
        assert np.exp(scores).sum() == pytest.approx(1)


@given(word_counts=WORD_COUNTS, longest=st.integers(1, 6))
def test_frequent_substrings_are_counted_as_a_loop_counts_them(word_counts, longest):
    counts = Counter()
    for word, count in word_counts.items():
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + longest) + 1):
                counts[word[start:end]] += count
    expected = {piece: count for piece, count in counts.items() if len(piece) == 1 or count > 1}
    assert frequent_substrings(word_counts, longest) == expected


def test_the_loss_of_a_piece_is_what_its_occurrences_lose_by_other_pieces():
    pieces = ["a", "b", "ab", "aab"]
    probabilities = np.array([0.4, 0.3, 0.2, 0.1])
    found = losses(pieces, np.log(probabilities), np.array([1.0, 1.0, 7.0, 11.0]))
    assert found[:2].tolist() == [math.inf, math.inf]
    np.testing.assert_allclose(
        found[2:], [7 * math.log(0.2 / (0.4 * 0.3)), 11 * math.log(0.1 / (0.4 * 0.4 * 0.3 + 0.4 * 0.2))]
    )


def test_rare_characters_cut_words():
    assert split_at_rare({"aaxb": 7, "bba": 3}, 0.75) == {"aa": 7, "b": 7, "bba": 3}
    assert split_at_rare({"aaxb": 7}, 1.0) == {"aaxb": 7}


@given(texts=st.lists(ANY_TEXT, max_size=5))
def test_anything_can_be_learnt_from_and_comes_back(texts):
    ours = Unigram.train(texts, 997)
    assert ours.unk_token == "<unk>"
    for text in texts:
        assert ours.special_tokens["<unk>"] not in ours.encode(text)
        if not text.startswith((" ", "▁")):
            assert ours.decode(ours.encode(text)) == text.replace("▁", " ")


def test_training_does_not_depend_on_the_order_of_the_texts_and_gives_what_is_asked_for():
    texts = ["the cat sat on the mat", "the rat and the bat", "that cat hates the fat rat at the gate"] * 3
    ours = Unigram.train(texts, 37, special_tokens=["<pad>", "<unk>", "</s>"])
    assert ours.pieces == Unigram.train(texts[::-1], 37, special_tokens=["<pad>", "<unk>", "</s>"]).pieces
    assert ours.vocab_size == 37
    assert [piece for piece, _ in ours.pieces[:3]] == ["<pad>", "<unk>", "</s>"]
    scores = [score for _, score in ours.pieces[3:]]
    assert scores == sorted(scores, reverse=True)
    assert sum(map(math.exp, scores)) == pytest.approx(1)
    assert "▁the" in ours.vocab


@pytest.mark.parametrize("texts", [[], [""]])
def test_nothing_to_learn_from_leaves_the_unknown_token(texts):
    ours = Unigram.train(texts, 53)
    assert ours.vocab_size == 1
    assert ours.encode("ab c") == [0, 0]
    assert ours.encode("") == []


def test_one_character_is_enough():
    ours = Unigram.train(["x"], 53)
    assert set(ours.vocab) == {"<unk>", "▁", "x"}
    assert ours.decode(ours.encode("x xx")) == "x xx"


@pytest.fixture(scope="module")
def recipes():
    return companion.data.load("recipes")["text"][:]


@pytest.mark.data
@pytest.mark.parametrize("with_bytes", [False, True])
def test_learnt_from_real_text_it_saves_and_loads_with_the_same_ids(recipes, with_bytes, tmp_path):
    ours = Unigram.train(recipes[:101], 997, byte_fallback=with_bytes, character_coverage=0.999)
    ours.save(tmp_path / "ours.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "ours.json"))
    again = load(tmp_path / "ours.json")
    for text in [*recipes[-301:], *companion.data.load("hsk")["text"][:97]]:
        ids = ours.encode(text)
        assert theirs.encode(text).ids == ids
        assert again.encode(text) == ids
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False)
    if with_bytes:
        assert ours.decode(ours.encode("安静 ∂")) == "安静 ∂"


@pytest.mark.data
def test_what_tokenizers_learnt_loads_here_with_the_same_ids_and_ours_explains_held_out_text_as_well(recipes, tmp_path):
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=1009, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    theirs.train_from_iterator(recipes[:199], trainer)
    theirs.save(str(tmp_path / "theirs.json"))
    loaded = load(tmp_path / "theirs.json")
    held_out = recipes[-199:]
    same = sum(loaded.encode(text) == theirs.encode(text).ids for text in held_out)
    assert same == len(held_out)
    ours = Unigram.train(recipes[:199], 1009)
    likelihoods = [sum(model.log_probability(text) for text in held_out) for model in (ours, loaded)]
    assert likelihoods[0] > likelihoods[1]


METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "normalizer must be none or one of NFC"),
        ({"pre_tokenizer": None}, "pre_tokenizer must be a Metaspace"),
        ({"pre_tokenizer": METASPACE | {"prepend_scheme": "first"}}, "Metaspace with '▁' that splits and prepends"),
        ({"pre_tokenizer": METASPACE | {"split": False}}, "Metaspace with '▁' that splits and prepends"),
        ({"added_tokens": [{"id": 2, "content": "a", "special": False}]}, "added_tokens must be special"),
    ],
)  # fmt: skip
def test_a_file_that_asks_for_something_else_is_refused(change, message, tmp_path):
    build({"a": -1.0}).save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(content | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "tokenizer.json")


SMALL = build({"a": -1.0})
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: Unigram({"a": -1.0}), TypeError, "pieces must be a list"),
        (lambda: Unigram([("a", -1.0)]), ValueError, "unk_token must be None or one of the 1 pieces, got '<unk>'"),
        (lambda: Unigram([("a", -1.0), ("a", -2.0)], unk_token=None), ValueError, "pieces must not hold 'a' twice"),
        (lambda: Unigram([("a", math.nan)], unk_token=None), ValueError, "the score of 'a' in pieces must be finite"),
        (lambda: Unigram([("a", -1.0)], unk_token=None, byte_fallback=True), ValueError, "pieces must hold all"),
        (lambda: build({}, form="nfkc"), ValueError, "form must be None or one of NFC, NFD, NFKC, NFKD, got 'nfkc'"),
        (lambda: Unigram.train("text", 53), TypeError, "texts must be an iterable of strings"),
        (lambda: Unigram.train(iter([b"text"]), 53), TypeError, "texts must be a string, got bytes"),
        (lambda: Unigram.train(["text"], 3), ValueError, "vocab_size must leave room for the 4 characters"),
        (lambda: Unigram.train([], 1, byte_fallback=True), ValueError, "vocab_size must leave room"),
        (lambda: Unigram.train(["text"], 53, kept_share=1.0), ValueError, "kept_share must be above 0 and below 1"),
        (lambda: Unigram.train(["text"], 53, n_em_steps=0), ValueError, "n_em_steps must be at least 1"),
        (lambda: Unigram.train(["text"], 53, character_coverage=2.0), ValueError, "character_coverage must be above 0"),
        (lambda: SMALL.sample("a", rng=0), TypeError, "rng must be a numpy.random.Generator"),
        (lambda: SMALL.sample("a", rng=RNG, temperature=0), ValueError, "temperature must be above 0, got 0"),
        (lambda: SMALL.n_best("a", 0), ValueError, "n must be at least 1"),
        (lambda: SMALL.log_probability(b"a"), TypeError, "text must be a string"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()
