"""The fine-tuning lab's references are what the companion, transformers, statsmodels and a formula compute."""

import pytest
import torch
from transformers import BertTokenizer, DataCollatorForTokenClassification

from companion import metrics
from companion.exercises import get
from companion.exercises.spec import Refusal
from companion.finetuning import LabelEncoder, Spans, TextClassifier, classification_loss, layer_groups, pool
from companion.models import BERT, BERTConfig

GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def test_labels_are_numbered_as_the_companions_encoder_does():
    encoder = LabelEncoder(["music", "film", "law"])
    labels = ["law", "music", "music", "film"]
    assert get("label_numbers").reference(labels, encoder.names) == encoder.encode(labels)
    refused = get("label_numbers").reference([*labels, "chess", "snow", "chess"], encoder.names)
    assert refused == Refusal("ValueError", ("chess", "snow"))
    with pytest.raises(ValueError, match="'chess' \\(2 times\\), 'snow'"):
        encoder.encode([*labels, "chess", "snow", "chess"])


@pytest.mark.parametrize("flip", [False, True])
def test_the_mean_is_the_companions_pooling(flip):
    hidden, mask = draw(3, 7, 5), (torch.arange(7) < torch.tensor([[7], [2], [4]])).long()
    mask = mask.flip(1) if flip else mask
    torch.testing.assert_close(
        get("mean_of_tokens").reference(hidden, mask), pool(hidden, mask, pooling="mean"), rtol=1e-10, atol=0
    )


def test_the_weighted_loss_is_the_companions_and_the_formula():
    logits, labels = 3 * draw(9, 4), torch.tensor([0, 3, -100, 1, 2, 2, -100, 0, 3])
    weights = torch.tensor([0.5, 2.0, 1.0, 4.0], dtype=torch.float64)
    found = get("weighted_loss").reference(logits, labels, weights)
    loss = classification_loss(logits, labels, class_weights=weights)
    torch.testing.assert_close(found, loss.mean)
    rows = [i for i in range(9) if labels[i] >= 0]
    surprise = sum(-weights[labels[i]] * logits[i].softmax(0)[labels[i]].log() for i in rows)
    torch.testing.assert_close(found, surprise / sum(weights[labels[i]] for i in rows))


def test_the_rates_are_those_of_the_companions_groups():
    config = BERTConfig(vocab_size=11, max_len=7, d_model=8, n_heads=2, n_layers=12, d_ff=16)
    model = TextClassifier(BERT(config), 3, pooling="mean")
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    scale = {
        id(parameter): group["lr_scale"]
        for group in layer_groups(model, layer_decay=0.7, head_lr_scale=9.0)
        for parameter in group["params"]
    }
    found = get("layer_rates").reference(list(named), 12, 0.2, 0.7, 0.2 * 9.0)
    assert found == pytest.approx({name: 0.2 * scale[id(parameter)] for name, parameter in named.items()})


def test_tags_stand_where_a_widely_used_tokenizer_says_that_words_begin():
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "mer", "##kel", "##s", "was", "here"]
    tokenizer = BertTokenizer({piece: i for i, piece in enumerate(pieces)})
    encoded = tokenizer(["merkels", "was", "here"], is_split_into_words=True)
    numbers = [-1 if word is None else word for word in encoded.word_ids()]
    assert numbers == [-1, 0, 0, 0, 1, 2, -1]
    found = get("align_tags").reference(numbers, [4, 0, 0])
    assert found == [-100, 4, -100, -100, 0, 0, -100]
    # What is ignored is what transformers pads with.
    assert DataCollatorForTokenClassification(tokenizer).label_pad_token_id == -100


def test_the_best_span_is_the_one_that_the_companions_reader_chooses():
    """The companion asks for the likeliest pair, of two softmaxes; that is the pair with the highest sum."""
    context = "one two three four five six seven eight"
    for _ in range(20):
        scores = 2 * draw(2, 11)
        example = {"words": [-1, -1, *range(8), -1]}
        chosen = Spans()._best(scores, {"context": context}, example)["predicted"].split()
        is_context = torch.tensor([int(word >= 0) for word in example["words"]])
        first, last = get("best_span").reference(scores[0], scores[1], is_context, 30)
        assert chosen == context.split()[first - 2 : last - 1]


def test_a_trained_head_is_that_of_the_gradients_formula():
    features, labels = draw(8, 5), torch.tensor([0, 2, 1, 1, 0, 2, 2, 1])
    weight, bias = draw(3, 5), draw(3)
    found = get("train_head").reference(features, labels, weight, bias, [[1, 4, 6], [0, 7]], 0.5)
    losses = []
    for rows in ([1, 4, 6], [0, 7]):
        logits = features[rows] @ weight.T + bias
        losses.append(-logits.log_softmax(1)[range(len(rows)), labels[rows]].mean().item())
        error = (logits.softmax(1) - torch.eye(3, dtype=torch.float64)[labels[rows]]) / len(rows)
        weight, bias = weight - 0.5 * error.T @ features[rows], bias - 0.5 * error.sum(0)
    torch.testing.assert_close(found[0], weight)
    torch.testing.assert_close(found[1], bias)
    assert found[2] == pytest.approx(losses)


def test_the_calibration_error_is_the_companions_metric():
    labels = torch.randint(3, (200,), generator=GENERATOR)
    probabilities = draw(200, 3).mul(2).softmax(1)
    for n_bins in (1, 4, 15, 300):
        found = get("calibration_error").reference(probabilities, labels, n_bins)
        assert found == pytest.approx(metrics.expected_calibration_error(labels, probabilities, n_bins=n_bins))


def test_mcnemars_test_is_that_of_statsmodels():
    labels = ["yes"] * 40
    for only_first, only_second in ((3, 9), (11, 2), (5, 5), (0, 0), (0, 7)):
        first = ["no"] * only_second + ["yes"] * (40 - only_second)
        second = ["yes"] * only_second + ["no"] * only_first + ["yes"] * (40 - only_first - only_second)
        found = get("mcnemar_test").reference(labels, first, second)
        expected = metrics.mcnemar(labels, first, second)
        assert found[:2] == (only_first, only_second) == (expected.only_first, expected.only_second)
        assert found[2] == pytest.approx(expected.p_value)
