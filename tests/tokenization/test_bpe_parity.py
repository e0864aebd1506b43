"""Byte-level BPE gives the ids of tiktoken and of tokenizers, and learns the merges of tokenizers."""

import unicodedata

import pytest
import tiktoken
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from companion.data import load, model_path
from companion.tokenization import GPT2_PATTERN, GPT4_PATTERN, ByteLevelBPE, Pretokenizer, read_ranks
from companion.tokenization import load as load_tokenizer

END = "<|endoftext|>"
PATTERNS = {"gpt2": GPT2_PATTERN, "gpt4": GPT4_PATTERN}
# What text is made of, so that a random one has words, runs of spaces, contractions, digits and half the world's signs.
PIECES = st.one_of(
    st.sampled_from(["'s", "'LL", "it's", " the", "  ", "\n\n", "\r\n", "\t", " \u00a0", "\u3000", "1234", "½", "aaa"]),
    st.sampled_from(
        ["中文", "日本語", "한국어", "naïve", "e\u0301", "👩‍👩‍👧", "ไทย", "عربي", "\u200b", "\x1c", "\x85"]
    ),
    st.text(max_size=4),
)
# Characters that Unicode 14 knows: newer ones may be letters to one library and nothing to another.
TEXTS = (
    st.lists(PIECES, max_size=12)
    .map("".join)
    .filter(lambda text: not any(unicodedata.category(character) in ("Cn", "Cs") for character in text))
)


@pytest.fixture(scope="module")
def recipes():
    return load("recipes")["text"][:150]


@pytest.fixture(scope="module", params=sorted(PATTERNS))
def pattern(request):
    return PATTERNS[request.param]


@pytest.fixture(scope="module")
def gpt2():
    path = model_path("gpt2_ranks") / "gpt2.tiktoken"
    return ByteLevelBPE.from_tiktoken(path, special_tokens={END: 50256})


@pytest.fixture(scope="module")
def gpt2_of_tiktoken():
    ranks = read_ranks(model_path("gpt2_ranks") / "gpt2.tiktoken")
    return tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={END: 50256})


def theirs(pattern):
    """A tokenizer of `tokenizers` that cuts by a pattern and merges bytes."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def trained_by_them(texts, vocab_size, pattern):
    tokenizer = theirs(pattern)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@pytest.fixture(scope="module")
def pair(recipes, pattern):
    """Ours and theirs, trained on the same recipes."""
    ours = ByteLevelBPE.train(recipes, 1000, pattern=pattern)
    return ours, trained_by_them(recipes, 1000, pattern)


@pytest.mark.data
def test_hello_world_is_15496_995_in_gpt2(gpt2):
    assert gpt2.encode("Hello world") == [15496, 995]


@pytest.mark.data
@given(text=TEXTS)
def test_gpt2s_ids_are_tiktokens(gpt2, gpt2_of_tiktoken, text):
    assert gpt2.encode(text) == gpt2_of_tiktoken.encode_ordinary(text)
    assert gpt2.decode(gpt2.encode(text)) == text


@pytest.mark.data
@given(text=TEXTS)
def test_special_tokens_are_found_where_tiktoken_finds_them(gpt2, gpt2_of_tiktoken, text):
    hostile = f"{text}{END}{text}<|endoftext"
    allowed = gpt2_of_tiktoken.encode(hostile, allowed_special={END}, disallowed_special=())
    assert gpt2.encode(hostile, allowed_special={END}) == allowed
    assert gpt2.encode(hostile) == gpt2_of_tiktoken.encode_ordinary(hostile)
    assert 50256 not in gpt2.encode(hostile)


@pytest.mark.data
def test_on_real_text_of_many_languages_the_ids_are_tiktokens(gpt2, gpt2_of_tiktoken):
    texts = [row["text"] for row in load("interface_strings").select(range(0, 110_000, 97))]
    assert [gpt2.encode(text) for text in texts] == gpt2_of_tiktoken.encode_ordinary_batch(texts, num_threads=1)


@pytest.mark.data
def test_the_learned_vocabulary_is_that_of_tokenizers(pair):
    ours, other = pair
    assert ours.vocab == other.get_vocab()


@pytest.mark.data
@given(text=TEXTS)
def test_the_ids_are_those_of_tokenizers(pair, text):
    ours, other = pair
    assert ours.encode(text) == other.encode(text).ids
    assert ours.decode(ours.encode(text)) == other.decode(ours.encode(text)) == text


@given(texts=st.lists(st.text(alphabet="ab c", max_size=12), max_size=6), n_merges=st.integers(0, 12))
def test_ties_are_broken_as_tokenizers_break_them(texts, n_merges):
    other = trained_by_them(texts, 256 + n_merges, GPT2_PATTERN)
    assert ByteLevelBPE.train(texts, 256 + n_merges).vocab == other.get_vocab()


@pytest.mark.data
@given(text=TEXTS)
def test_theirs_loads_ours_and_ours_loads_theirs(pair, tmp_path_factory, text):
    ours, other = pair
    folder = tmp_path_factory.getbasetemp()
    ours.save(folder / "ours.json")
    other.save(str(folder / "theirs.json"))
    ids = ours.encode(text)
    assert Tokenizer.from_file(str(folder / "ours.json")).encode(text).ids == ids
    assert load_tokenizer(folder / "theirs.json").encode(text) == ids
    assert load_tokenizer(folder / "ours.json").encode(text) == ids


def test_special_tokens_survive_the_file_and_stay_out_of_the_texts_reach(tmp_path):
    ours = ByteLevelBPE.train(["a b"], 260, special_tokens=["<s>", "</s>"])
    ours.save(tmp_path / "tokenizer.json")
    back = load_tokenizer(tmp_path / "tokenizer.json")
    other = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert back.special_tokens == ours.special_tokens
    assert other.encode("a<s>b").ids == back.encode("a<s>b", allowed_special={"<s>"})
    assert ours.special_tokens["<s>"] not in back.encode("a<s>b")


@given(text=TEXTS)
def test_words_are_those_of_the_pattern_in_tiktokens_engine(text):
    """With no merges each word is its bytes, so only the cutting can differ; the words joined are the text."""
    for pattern in PATTERNS.values():
        words = Pretokenizer(pattern).words(text)
        assert "".join(words) == text
        other = theirs(pattern).pre_tokenizer.pre_tokenize_str(text)
        starts = [start for _, (start, _) in other]
        ours = [sum(map(len, words[:i])) for i in range(len(words))]
        assert starts == ours
