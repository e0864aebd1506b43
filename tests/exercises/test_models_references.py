"""The models lab's references are what transformers and torch compute elsewhere."""

import pytest
import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from companion.exercises import get
from companion.models import BERT, GPT, T5
from companion.models import BERTConfig as OurBERTConfig
from companion.models import GPTConfig as OurGPTConfig
from companion.models import T5Config as OurT5Config


@pytest.mark.parametrize("tied", [True, False])
def test_the_count_is_that_of_transformers_gpt2(tied):
    config = GPT2Config(
        vocab_size=97, n_positions=31, n_embd=20, n_head=4, n_layer=3, n_inner=77, tie_word_embeddings=tied
    )
    counted = sum(p.numel() for p in GPT2LMHeadModel(config).parameters())
    assert get("count_parameters").reference(97, 31, 20, 3, 77, tied) == counted


def test_the_names_are_those_of_a_bert_file_and_of_our_bert():
    theirs = BertModel(BertConfig(vocab_size=11, hidden_size=8, num_attention_heads=2, num_hidden_layers=12))
    ours = BERT(OurBERTConfig(vocab_size=11, max_len=512, d_model=8, n_heads=2, n_layers=12))
    renamed = {get("our_name").reference(name) for name in theirs.state_dict()}
    heads = {name for name in ours.state_dict() if name.startswith(("mlm", "nsp"))}
    assert renamed - {""} == set(ours.state_dict()) - heads
    assert get("our_name").reference("embeddings.position_ids") == ""


def test_the_pooler_is_transformers_own():
    torch.manual_seed(0)
    model = BertModel(BertConfig(vocab_size=11, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)).eval()
    output = model(torch.arange(7)[None])
    weights = model.pooler.dense
    expected = get("pool").reference(output.last_hidden_state, weights.weight, weights.bias)
    torch.testing.assert_close(output.pooler_output, expected)


def test_the_fused_matrix_is_taken_apart_as_transformers_does():
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=97, n_positions=31, n_embd=20, n_head=4, n_layer=1)).eval()
    layer = gpt2.transformer.h[0].attn.c_attn
    x = torch.randn(2, 3, 20)
    separate = [x @ part.T for part in get("split_fused").reference(layer.weight.detach())]
    torch.testing.assert_close(layer(x), torch.cat(separate, dim=-1) + layer.bias)


def test_labels_are_shifted_as_transformers_and_our_t5_do():
    labels = torch.tensor([[5, 6, 7, 1], [8, 1, -100, -100]])
    theirs = T5ForConditionalGeneration(
        T5Config(vocab_size=11, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    )
    ours = T5(OurT5Config(vocab_size=11, d_model=8, n_heads=2, n_layers=1))
    expected = get("shift_right").reference(labels, 0, 0)
    assert torch.equal(theirs._shift_right(labels), expected)
    assert torch.equal(ours.shift_right(labels), expected)


@pytest.mark.parametrize("part", ["bert", "gpt", "t5 encoder", "t5 decoder", "t5 cross"])
def test_the_masks_are_what_our_models_do(part):
    """Change one token at a time, and see at which positions the outputs hear of it."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"vocab_size": 13, "d_model": 8, "n_heads": 2, "n_layers": 1}
    if part == "bert":
        run = BERT(OurBERTConfig(**sizes, max_len=7), generator).eval()
    elif part == "gpt":
        run = GPT(OurGPTConfig(**sizes, max_len=7), generator).eval()
    else:
        t5 = T5(OurT5Config(**sizes), generator).eval()
        other = torch.arange(4)[None]
        run = {
            "t5 encoder": t5.encode,
            "t5 decoder": lambda ids: t5(other, ids),
            "t5 cross": lambda ids: t5(ids, other),
        }[part]
    ids = torch.arange(7)[None]
    before = run(ids)
    heard = []
    for position in range(7):
        changed = ids.clone()
        changed[0, position] = 12
        heard.append((run(changed) - before).abs().amax(-1)[0] > 1e-7)
    reach = torch.stack(heard, dim=1)
    assert torch.equal(reach, get("family_mask").reference(part, *reach.shape))


def test_shared_heads_compute_what_torchs_grouped_attention_does():
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, 5, 4, generator=generator)
    key, value = torch.randn(2, 2, 3, 5, 4, generator=generator)[:, :, :2].unbind(0)
    share = get("share_heads").reference
    attend = torch.nn.functional.scaled_dot_product_attention
    grouped = attend(query, key, value, enable_gqa=True)
    torch.testing.assert_close(attend(query, share(key, 6), share(value, 6)), grouped)
