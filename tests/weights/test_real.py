"""Real weights: ours says what transformers says, about sentences and word for word."""

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoTokenizer, T5ForConditionalGeneration

from companion.data import model_path
from companion.models import BERT, T5

pytestmark = pytest.mark.data

SENTENCES = [
    "A man is playing a guitar on the street.",
    "Someone plays music outside.",
    "The stock market fell sharply yesterday after the announcement of the bank.",
]
QUESTIONS = [
    "Answer based on context: What is the capital of France? Context: Paris is the capital and largest city of France.",
    "Is this review positive or negative? Review: The film was a dull, lifeless bore. Answer:",
    "Fixed the login bug by adding a null check and reran the failing tests, all green now. Title:",
    "translate English to German: How old are you?",
]


@pytest.fixture(scope="module")
def flan():
    return T5.from_pretrained("flan_t5_small")


@torch.no_grad()
def test_minilm_gives_the_same_states_and_sensible_similarities():
    folder = model_path("minilm")
    inputs = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    ours = BERT.from_pretrained("minilm")
    hidden = ours(**inputs)
    theirs = AutoModel.from_pretrained(folder).eval()(**inputs)
    kept = inputs["attention_mask"].bool()
    torch.testing.assert_close(hidden[kept], theirs.last_hidden_state[kept], rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.pool(hidden), theirs.pooler_output, rtol=0, atol=1e-5)
    weights = inputs["attention_mask"][..., None]
    vectors = F.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)
    assert vectors[0] @ vectors[1] > 0.5
    assert vectors[0] @ vectors[2] < 0.2


def test_minilm_s_report_says_that_it_has_no_heads():
    report = BERT.from_pretrained("minilm").load_report
    assert {name.partition(".")[0] for name in report.fresh} == {"mlm_transform", "mlm_norm", "mlm_bias", "nsp"}
    assert report.ignored == ("embeddings.position_ids",)
    assert len(report.read) == 103


@torch.no_grad()
def test_flan_t5_writes_what_it_writes_in_transformers_token_for_token(flan):
    folder = model_path("flan_t5_small")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    theirs = T5ForConditionalGeneration.from_pretrained(folder).eval()
    answers = []
    for question in QUESTIONS:
        inputs = tokenizer(question, return_tensors="pt")
        expected = theirs.generate(**inputs, max_new_tokens=12, do_sample=False)[0].tolist()
        written = [flan.config.start_id]
        encoded, caches = flan.encode(inputs["input_ids"]), flan.new_caches(1, 13)
        while len(written) < 13 and written[-1] != tokenizer.eos_token_id:
            logits = flan.decode(torch.tensor([written[-1:]]), encoded, caches)
            written.append(int(logits[0, -1].argmax()))
        assert written == expected
        answers.append(tokenizer.decode(written, skip_special_tokens=True))
    assert answers[:2] == ["Paris", "negative"]


@torch.no_grad()
def test_flan_t5_scores_as_in_transformers_and_becomes_one_of_its_models_again(flan):
    ids, written = torch.tensor([[363, 19, 8, 1784, 13, 1410, 58, 1]]), torch.tensor([[0, 1919, 7]])
    theirs = T5ForConditionalGeneration.from_pretrained(model_path("flan_t5_small")).eval()
    expected = theirs(input_ids=ids, decoder_input_ids=written).logits
    assert (flan(ids, written) - expected).abs().max() < 1e-5 * expected.abs().max()
    again = flan.to_transformers()
    assert torch.equal(again(input_ids=ids, decoder_input_ids=written).logits, expected)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
