"""What book/attention.md says in prose or in a solution, and no cell of it computes."""

import ast
import math

import jupytext
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from companion.attention import KVCache, MultiHeadAttention, causal_mask, merge_heads, split_heads
from tests.attention.naive import naive_attention


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "attention.md").read_text("utf8")


def cells(chapter):
    return [cell.source for cell in jupytext.reads(chapter, fmt="md:myst").cells if cell.cell_type == "code"]


def test_the_chapter_shows_the_tested_naive_code(chapter, repository_root):
    def functions(source):
        return {node.name: ast.dump(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}

    shown = {name: code for cell in cells(chapter) for name, code in functions(cell).items()}
    tested = functions((repository_root / "tests" / "attention" / "naive.py").read_text("utf8"))
    assert shown["naive_attention"] == tested["naive_attention"]


def test_a_softmax_of_1000_and_1001_is_that_of_0_and_1():
    big, small = torch.tensor([1000.0, 1001.0]), torch.tensor([0.0, 1.0])
    torch.testing.assert_close(big.softmax(0), small.softmax(0))
    assert [round(p, 2) for p in big.softmax(0).tolist()] == [0.27, 0.73]


def test_equal_keys_return_the_mean_of_the_values_whatever_the_query():
    query, value = torch.randn(3, 5), torch.randn(7, 2)
    key = torch.randn(1, 5).expand(7, 5)
    torch.testing.assert_close(naive_attention(query, key, value), value.mean(0).expand(3, 2))


def test_the_mask_of_two_new_words_after_five_hides_one_cell():
    expected = torch.ones(2, 7, dtype=torch.bool)
    expected[0, 6] = False
    assert torch.equal(causal_mask(2, 7), expected)


@pytest.mark.parametrize(("n_kv_heads", "mebibytes"), [(12, 36), (4, 12)])
def test_the_cache_of_gpt2_is_as_large_as_the_solution_says(n_kv_heads, mebibytes):
    cache = KVCache(1, n_kv_heads, 1024, 64, dtype=torch.float16)
    layer = cache.keys.nbytes + cache.values.nbytes
    assert 12 * layer == mebibytes * 2**20


def test_shuffled_words_give_shuffled_outputs():
    attention = MultiHeadAttention(12, 3).double()
    x, order = torch.randn(1, 7, 12, dtype=torch.float64), torch.randperm(7)
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


@pytest.mark.parametrize("mean", [0.0, 0.5, 2.0])
def test_a_mean_changes_the_variance_of_the_scores_as_the_solution_says(mean):
    d_k = 16
    query, key = torch.randn(2, 400_000, d_k, generator=torch.Generator().manual_seed(0)) + mean
    expected = d_k * (1 + 2 * mean**2)
    assert float((query * key).sum(-1).var()) == pytest.approx(expected, rel=0.02)


def multiplications(function, *arguments):
    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("n", [14, 28, 56])
def test_scores_cost_more_than_projections_from_twice_the_features_on(n):
    d = 14
    x = torch.randn(n, d)
    project = torch.nn.Linear(d, 4 * d, bias=False)
    projections = multiplications(project, x)
    mixing = multiplications(naive_attention, x, x, x)
    assert projections == 4 * n * d**2
    assert mixing == 2 * n**2 * d
    assert (mixing > projections) == (n > 2 * d)


def test_the_naive_matrix_of_2048_tokens_and_4_heads_is_64_mebibytes():
    assert 4 * 2048**2 * torch.finfo(torch.float32).bits // 8 == 64 * 2**20


def test_raw_scores_of_64_features_spread_by_8():
    assert math.sqrt(64) == 8
    query, key = torch.randn(2, 100_000, 64, generator=torch.Generator().manual_seed(0))
    assert round((query * key).sum(-1).std().item()) == 8


def test_heads_of_the_sequence_would_not_be_a_merge_away():
    """Splitting features and merging them is the identity: no position meets another before the equation runs."""
    x = torch.randn(1, 6, 4)
    assert torch.equal(merge_heads(split_heads(x, 2)), x)
