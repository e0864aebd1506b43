"""Every wrong argument is named, with what it is and what was expected."""

import dataclasses
import re

import pytest
import torch

from companion.generation import generate, greedy, sampler, stream, temperature, top_k, top_p
from companion.models import BERT, GPT, BERTConfig
from tests.generation.small import CONFIGS, make

MODEL = make(CONFIGS["gpt"])
IDS = torch.tensor([[1, 2, 3], [4, 5, 6]])
NAN, INF = float("nan"), float("inf")


def write(ids=IDS, model=MODEL, **options):
    return generate(model, ids, **({"max_new_tokens": 4} | options))


def training(dropout):
    return GPT(dataclasses.replace(MODEL.config, dropout=dropout)).train()


def broken(number):
    model = make(CONFIGS["gpt"])
    with torch.no_grad():
        model.token_embedding.weight[1] = number
    return model


def draw(logits, generator=None, *changes):
    return sampler(*changes)(torch.tensor(logits), generator or torch.Generator())


BERT_MODEL = BERT(BERTConfig(vocab_size=11, max_len=7, d_model=6, n_heads=2, n_layers=1))
CASES = {
    "no model": (lambda: write(model=None), TypeError, "model must be a GPT, a ModernDecoder or a T5, got None"),
    "an encoder": (lambda: write(model=BERT_MODEL), TypeError, "model must be a GPT, a ModernDecoder or a T5"),
    "training": (lambda: write(model=training(0.1)), ValueError, r"training mode.*model\.eval\(\)"),
    "NaN weights": (lambda: write(model=broken(NAN)), ValueError, "scores are not finite"),
    "infinite weights": (lambda: write(model=broken(INF)), ValueError, "scores are not finite"),
    # prompts
    "list": (lambda: write([[1, 2]]), TypeError, "input_ids must be a tensor of torch.int64 or int32"),
    "floats": (lambda: write(IDS.float()), TypeError, "input_ids.*float32"),
    "one axis": (lambda: write(IDS[0]), ValueError, r"input_ids must have exactly 2 axes.*\(3,\)"),
    "no prompt": (lambda: write(IDS[:0]), ValueError, "input_ids must hold at least one prompt"),
    "no token": (lambda: write(IDS[:, :0]), ValueError, "input_ids has an empty axis 'pos'"),
    "unknown token": (lambda: write(IDS + 97), ValueError, "below vocab_size=101, got values from 98 to 103"),
    "negative token": (lambda: write(IDS - 2), ValueError, "at least 0.*got values from -1 to 4"),
    "mask of floats": (lambda: write(attention_mask=IDS * 0.5), TypeError, "attention_mask must be an integer"),
    "mask of scores": (lambda: write(attention_mask=IDS), ValueError, "attention_mask must hold only 1"),
    "mask's shape": (lambda: write(attention_mask=torch.ones(2, 4).long()), ValueError, r"input_ids' shape \(2, 3\)"),
    "empty prompt": (
        lambda: write(attention_mask=torch.tensor([[1, 1, 1], [0, 0, 0]])),
        ValueError,
        r"attention_mask must leave each prompt at least one token, got none in rows \[1\]",
    ),
    # how much
    "no room": (
        lambda: write(max_new_tokens=59),
        ValueError,
        "longest prompt has 3 tokens and max_new_tokens=59 more make 62, above the model's max_len=61",
    ),
    "none": (lambda: write(max_new_tokens=0), ValueError, "max_new_tokens must be at least 1, got 0"),
    "half": (lambda: write(max_new_tokens=1.5), TypeError, "max_new_tokens must be an integer"),
    "true": (lambda: write(max_new_tokens=True), TypeError, "max_new_tokens must be an integer"),
    # how
    "pick": (lambda: write(pick="greedy"), TypeError, "pick must be a function, got 'greedy'"),
    "pick's shape": (lambda: write(pick=lambda s, g: s.argmax()), TypeError, r"pick must return.*\(2,\)"),
    "pick's dtype": (lambda: write(pick=lambda s, g: s[:, 0]), TypeError, "pick must return.*float32"),
    "pick's nothing": (lambda: write(pick=lambda s, g: None), TypeError, "pick must return.*None"),
    "callback": (lambda: write(on_step=3), TypeError, "on_step must be a function"),
    "seed": (lambda: write(generator=0), TypeError, "generator must be a torch.Generator, got 0"),
    "no generator": (lambda: write(pick=sampler()), ValueError, r"needs a generator.*manual_seed\(0\)"),
    # when to stop
    "end token": (lambda: write(end_ids=3), TypeError, "end_ids must be a list of tokens, got 3"),
    "text": (lambda: write(end_ids="."), TypeError, "end_ids must be a list of tokens"),
    "end tensor": (lambda: write(end_ids=torch.tensor([3])), TypeError, "end_ids must be a list of tokens"),
    "unknown end": (lambda: write(end_ids=[101]), ValueError, "end_ids must be below vocab_size=101, got 101"),
    "negative end": (lambda: write(end_ids=[-1]), ValueError, "each of end_ids must be at least 0"),
    "flat sequences": (lambda: write(stop_sequences=[3]), TypeError, r"stop_sequences\[0\] must be a list of tokens"),
    "texts": (lambda: write(stop_sequences=["a"]), TypeError, r"stop_sequences\[0\] must be a list"),
    "one text": (lambda: write(stop_sequences="a"), TypeError, "stop_sequences must be a list of lists"),
    "empty sequence": (lambda: write(stop_sequences=[[1], []]), ValueError, r"stop_sequences\[1\] is empty"),
    "pad": (lambda: write(pad_id=None), TypeError, "pad_id must be an integer"),
    "unknown pad": (lambda: write(pad_id=101), ValueError, "pad_id must be below vocab_size=101"),
    "stream": (lambda: stream(MODEL, IDS, max_new_tokens=0), ValueError, "max_new_tokens must be at least 1"),
    # picks
    "greedy of a list": (lambda: greedy([1.0]), TypeError, "logits must be a floating point tensor"),
    "greedy of a row": (lambda: greedy(torch.ones(3)), ValueError, "logits must have exactly 2 axes"),
    "greedy's generator": (lambda: greedy(torch.ones(1, 3), 3), TypeError, "generator must be a torch.Generator"),
    "change": (lambda: sampler(0.8), TypeError, r"changes must be functions.*changes\[0\] = 0.8"),
    "sampled integers": (lambda: draw([[1, 2]]), TypeError, "logits must be floating point"),
    "sampled row": (lambda: draw([1.0, 2.0]), ValueError, "logits must have exactly 2 axes"),
    "NaN score": (lambda: draw([[1.0, NAN]]), ValueError, "nothing to draw from"),
    "infinite score": (lambda: draw([[1.0, INF]]), ValueError, "nothing to draw from"),
    "all forbidden": (lambda: draw([[0.0, 1.0], [-INF, -INF]]), ValueError, "nothing to draw from"),
    "t of 0": (lambda: temperature(0), ValueError, "t must be above 0, got 0; pick=greedy"),
    "negative t": (lambda: temperature(-1.0), ValueError, "t must be above 0"),
    "NaN t": (lambda: temperature(NAN), ValueError, "t must be finite"),
    "t": (lambda: temperature("hot"), TypeError, "t must be a number"),
    "k of 0": (lambda: top_k(0), ValueError, "k must be at least 1"),
    "k": (lambda: top_k(2.0), TypeError, "k must be an integer"),
    "p of 0": (lambda: top_p(0.0), ValueError, "p must be above 0 and at most 1"),
    "p": (lambda: top_p(1.1), ValueError, "p must be above 0 and at most 1, got 1.1"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)


def test_padding_may_be_any_number():
    ids, mask = torch.tensor([[-100, 7, 3], [1, 2, 3]]), torch.tensor([[0, 1, 1], [1, 1, 1]])
    alone = write(torch.tensor([[7, 3]])).ids[0]
    assert torch.equal(write(ids, attention_mask=mask).ids[0], alone)


def test_training_without_dropout_is_fine():
    assert write(model=training(0.0)).ids.shape == (2, 4)
