"""What book/models.md says in prose or in a solution, and no cell of it computes."""

import math
import re

import pytest
import torch

from companion.attention import KVCache, MultiHeadAttention
from companion.models import BERT, GPT, T5, BERTConfig, GPTConfig, T5Config
from companion.weights.bert import BERT_FAMILY
from tests.exercises.labs import solutions


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "models.md").read_text("utf8")


def size(model_class, config):
    with torch.device("meta"):
        return sum(p.numel() for p in model_class(config).parameters())


GPT2 = GPTConfig(vocab_size=50257, max_len=1024, d_model=768, n_heads=12, n_layers=12)
BERT_BASE = BERTConfig(vocab_size=30522, max_len=512, d_model=768, n_heads=12, n_layers=12)


@pytest.mark.parametrize(("n_blocks", "d", "product"), [(6, 384, 27_648), (96, 12288, 14_155_776)])
def test_the_products_that_the_text_compares_with_the_vocabulary(n_blocks, d, product):
    assert 12 * n_blocks * d == product


def test_a_bert_has_a_hundred_million_numbers_and_a_classifier_on_minilm_770():
    assert round(size(BERT, BERT_BASE), -8) == 100_000_000
    assert 2 * 384 + 2 == 770


def test_the_formula_leaves_out_less_than_a_hundredth_of_gpt2_without_its_positions():
    d = GPT2.d_model
    by_formula = d * (GPT2.vocab_size + 12 * GPT2.n_layers * d)
    assert 0.99 < by_formula / (size(GPT, GPT2) - GPT2.max_len * d) < 1


def test_a_gate_and_eight_thirds_of_d_keep_the_sum():
    d = 384
    assert 3 * d * (8 * d // 3) == 2 * d * 4 * d


def test_a_block_of_t5s_decoder_has_sixteen_squares_and_one_of_its_encoder_twelve():
    with torch.device("meta"):
        model = T5(T5Config(vocab_size=11, d_model=64, n_heads=4, n_layers=1))
    for stack, squares in ((model.encoder, 12), (model.decoder, 16)):
        (block,) = stack.blocks
        assert sum(p.numel() for p in block.parameters() if p.dim() == 2) == squares * 64**2


def test_shared_key_heads_shrink_two_of_the_four_matrices():
    with torch.device("meta"):
        few = MultiHeadAttention(2048, 32, n_kv_heads=8, bias=False)
        all_of_them = MultiHeadAttention(2048, 32, bias=False)
    counts = [sum(p.numel() for p in module.parameters()) for module in (few, all_of_them)]
    assert [round(count / 1e6, 1) for count in counts] == [10.5, 16.8]
    assert few.key.weight.shape == few.value.weight.shape == (512, 2048)
    caches = [KVCache(1, heads, 7, 64).keys.numel() for heads in (8, 32)]
    assert caches[1] == 4 * caches[0]


def test_the_tie_saves_gpt2_what_the_solution_says():
    saved = 50257 * 768
    tied = size(GPT, GPT2)
    assert round(saved / 1e6, 1) == 38.6
    assert [round(n / 1e6, 1) for n in (tied, tied + saved)] == [124.4, 163.0]
    assert round(100 * saved / (tied + saved)) == 24


def test_the_width_from_which_blocks_outweigh_words():
    assert round(30522 / 144) == 212
    assert 0.19 < 30522 * 768 / size(BERT, BERT_BASE) < 0.22


def test_the_masks_of_the_first_exercise():
    family_mask = solutions("models")["family_mask"]
    for part in ("bert", "t5 encoder", "t5 cross"):
        assert family_mask(part, 3, 3).sum() == 9
    for part in ("gpt", "t5 decoder"):
        assert torch.equal(family_mask(part, 3, 3), torch.ones(3, 3, dtype=torch.bool).tril())
        assert family_mask(part, 3, 3).sum() == 6


def test_queries_and_keys_exchanged_load_without_complaint_and_transpose_the_scores():
    generator = torch.Generator().manual_seed(0)
    model = BERT(BERTConfig(vocab_size=13, max_len=7, d_model=8, n_heads=1, n_layers=1), generator).eval()
    exchanged = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    name = "encoder.blocks.0.attention.{}.weight"
    exchanged[name.format("query")], exchanged[name.format("key")] = (
        exchanged[name.format("key")],
        exchanged[name.format("query")],
    )
    ids = torch.arange(7)[None]
    before, attention = model(ids), model.encoder.blocks[0].attention
    x = torch.randn(7, 8, generator=generator)
    scores = attention.query(x) @ attention.key(x).T
    model.load_state_dict(exchanged)
    torch.testing.assert_close(attention.query(x) @ attention.key(x).T, scores.T)
    assert ((model(ids) - before).abs().amax(-1) > 0).all()
    up = "encoder.blocks.0.feed_forward.{}.weight"
    exchanged[up.format("up")] = exchanged[up.format("down")]
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict(exchanged)


def test_the_better_of_two_coins_is_at_053():
    spread = math.sqrt(0.25 / 100)
    assert spread == 0.05
    assert round(spread / math.sqrt(math.pi), 3) == 0.028
    scores = torch.randint(2, (20_000, 2, 100), generator=torch.Generator().manual_seed(0)).double().mean(-1)
    assert round(scores.amax(-1).mean().item(), 2) == 0.53
    assert round(scores[:, 0].mean().item(), 2) == 0.5


def test_the_table_of_names_shown_is_the_companions_own(chapter):
    (body,) = re.findall(r"^RENAMES = \{.*?\n(.*?)^\}", chapter, re.DOTALL | re.MULTILINE)
    shown = dict(re.findall(r'"(\S+)": "(\S+)",', body))
    config = BERTConfig(vocab_size=11, max_len=7, d_model=8, n_heads=2, n_layers=2)
    for rule in BERT_FAMILY.table(config).rules:
        if rule.theirs.startswith("bert."):
            name = rule.theirs.removeprefix("bert.")
            for theirs, ours in shown.items():
                name = name.replace(theirs, ours)
            assert (name,) == rule.ours


def test_the_papers_are_by_whom_the_chapter_says(repository_root):
    text = (repository_root / "book" / "references.bib").read_text("utf8")
    first_author = dict(re.findall(r"@\w+\{(\w+),\s*author\s*= \{(\w+)", text))
    assert first_author["raffel2020exploring"] == "Raffel"
    assert first_author["radford2018improving"] == "Radford"
    assert first_author["devlin2019bert"] == "Devlin"
    devlins = [key for key, author in first_author.items() if author == "Devlin"]
    assert devlins == ["devlin2019bert"]


@pytest.mark.data
def test_the_tokens_of_the_reach_figure_are_gpt2s():
    import companion.data
    from companion.tokenization import ByteLevelBPE

    gpt2 = ByteLevelBPE.from_tiktoken(companion.data.model_path("gpt2_ranks") / "gpt2.tiktoken")
    assert gpt2.encode("You steer it.") == [1639, 27401, 340, 13]
