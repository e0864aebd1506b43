"""A word's vector in its sentence: the same however sentences are batched, padded or numbered."""

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

import companion.data
from companion.embeddings import contextual_states, find_word

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
VOCABULARY = [*SPECIAL, "the", "bank", "of", "river", "money", "in", "a", "boat", "##house", "left", "right", "at"]
SENTENCES = [
    "The bank of the river",
    "money in a bank",
    "a boat",
    "at the left bank of a river the boathouse of the right bank",
]
WITH_BANK = [sentence for sentence in SENTENCES if "bank" in sentence]


@pytest.fixture(scope="module")
def tokenizer():
    raw = Tokenizer(models.WordPiece({token: i for i, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="[PAD]", model_max_length=23)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=12, num_hidden_layers=3, num_attention_heads=2, intermediate_size=17
    )
    return BertModel(config).eval()


def by_hand(model, tokenizer, sentence, positions, layer):
    """One sentence by itself, without padding, the tokens picked by number."""
    ids = torch.tensor([tokenizer(sentence)["input_ids"]])
    with torch.no_grad():
        return model(ids, output_hidden_states=True).hidden_states[layer][0, positions].mean(0)


@pytest.mark.parametrize("layer", [-1, 0, 1, 3, -4])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_states_are_those_of_each_sentence_by_itself(model, tokenizer, batch_size, layer):
    ours = contextual_states(model, tokenizer, WITH_BANK, "bank", layer=layer, batch_size=batch_size)
    places = [[2], [4], [4]]  # counting [CLS]
    theirs = [by_hand(model, tokenizer, s, p, layer) for s, p in zip(WITH_BANK, places, strict=True)]
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-5, atol=1e-5)


def test_several_tokens_of_a_word_are_averaged(model, tokenizer):
    ours = contextual_states(model, tokenizer, ["the Boathouse left"], "boathouse")
    assert tokenizer.tokenize("the Boathouse left") == ["the", "boat", "##house", "left"]
    torch.testing.assert_close(ours[0], by_hand(model, tokenizer, "the Boathouse left", [2, 3], -1))


def test_each_sentence_can_have_its_own_word(model, tokenizer):
    ours = contextual_states(model, tokenizer, ["the bank", "a boathouse"], ["bank", "boathouse"])
    theirs = by_hand(model, tokenizer, "the bank", [2], -1), by_hand(model, tokenizer, "a boathouse", [2, 3], -1)
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-5, atol=1e-5)


def test_a_later_occurrence_is_another_place(model, tokenizer):
    sentence = SENTENCES[3]
    for occurrence, place in ((0, 4), (1, 14)):
        ours = contextual_states(model, tokenizer, [sentence], "bank", occurrence=occurrence)
        torch.testing.assert_close(ours[0], by_hand(model, tokenizer, sentence, [place], -1), rtol=1e-5, atol=1e-5)


def test_a_model_left_in_training_mode_gives_the_same_states(model, tokenizer):
    expected = contextual_states(model, tokenizer, WITH_BANK, "bank")
    model.train()
    torch.testing.assert_close(contextual_states(model, tokenizer, WITH_BANK, "bank"), expected)
    assert not contextual_states(model, tokenizer, WITH_BANK, "bank").requires_grad


@pytest.mark.parametrize(
    ("sentence", "word", "occurrence", "span"),
    [
        ("Banks? The bank.", "bank", 0, (11, 15)),
        ("BANK, bank", "bank", 1, (6, 10)),
        ("embankment banking bank", "bank", 0, (19, 23)),
        ("it's (a.b) axb", "a.b", 0, (6, 9)),
    ],
)
def test_only_whole_words_are_found(sentence, word, occurrence, span):
    assert find_word(sentence, word, occurrence) == span


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sentences": []}, ValueError, "sentences must be a list of one sentence or more"),
        ({"sentences": "the bank"}, ValueError, "sentences must be a list"),
        ({"sentences": SENTENCES}, ValueError, "the word 'bank' 1 times or more, got it 0 times in 'a boat'"),
        ({"sentences": 5}, ValueError, "sentences must be a list of one sentence or more, got 5"),
        ({"sentences": [None]}, TypeError, "sentences must be strings, got None"),
        ({"word": 5}, ValueError, "word must be a word, or one for each sentence, got 5"),
        ({"occurrence": 1}, ValueError, "the word 'bank' 2 times or more, got it 1 times"),
        ({"sentences": ["the " * 40 + "bank"]}, ValueError, "must hold the word before they are cut off"),
        ({"word": " "}, ValueError, "word must be a word"),
        ({"word": ["bank", None, "bank"]}, ValueError, "word must be a word, or one for each sentence"),
        ({"word": ["bank"]}, ValueError, "word must be one for each of the 3 sentences, got 1"),
        ({"layer": 4}, ValueError, r"layer must be from -4 to 3 \(0 is the embedding\), got 4"),
        ({"layer": 1.0}, ValueError, "layer must be from -4 to 3"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"tokenizer": object()}, TypeError, "tokenizer must be one of transformers' fast ones.*got object"),
    ],
)
def test_bad_input_is_named(model, tokenizer, change, error, message):
    arguments = {"tokenizer": tokenizer, "sentences": WITH_BANK, "word": "bank"} | change
    with pytest.raises(error, match=message):
        contextual_states(model, **arguments)


@pytest.mark.data
def test_a_trained_encoder_tells_the_two_banks_apart():
    folder = companion.data.model_path("minilm")
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    sentences = [
        "He sat on the bank of the river.",
        "Fish were jumping near the muddy bank.",
        "The bank raised its interest rate.",
        "She opened an account at the bank to save money.",
    ]
    states = torch.nn.functional.normalize(contextual_states(model, tokenizer, sentences, "bank"), dim=-1)
    water, money = states[:2], states[2:]
    assert (water @ money.T).max() < min(water[0] @ water[1], money[0] @ money[1])
