"""What book/transformer.md says in prose or in a solution, and no cell of it computes."""

import ast
import json
import math
import re
from dataclasses import asdict
from statistics import fmean

import jupytext
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.attention import MultiHeadAttention, rotate
from companion.transformer import Block, FeedForward, LayerNorm, Rotary, SinusoidalPositions, T5RelativeBias
from tests.benchmarks import ablations
from tests.transformer.chapter_code import CharacterModel, Parts

FAR = torch.arange(200)


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "transformer.md").read_text("utf8")


@pytest.fixture(scope="module")
def stored(repository_root):
    return json.loads((repository_root / "companion" / "transformer" / "ablations.json").read_text("utf8"))


def cells(chapter):
    return [cell.source for cell in jupytext.reads(chapter, fmt="md:myst").cells if cell.cell_type == "code"]


def definitions(source):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: ast.dump(node) for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}


def test_the_chapter_shows_the_code_that_made_the_stored_results(chapter, repository_root):
    shown = {name: code for cell in cells(chapter) for name, code in definitions(cell).items()}
    made = definitions((repository_root / "tests" / "transformer" / "chapter_code.py").read_text("utf8"))
    top = ast.parse((repository_root / "tests" / "transformer" / "chapter_code.py").read_text("utf8")).body
    names = [node.name for node in top if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert len(names) >= 10
    assert {name: shown[name] for name in names} == {name: made[name] for name in names}


def mean_bits(stored, name):
    return fmean(run["test"] for run in stored["variants"][name]["runs"])


def test_the_stored_results_are_those_of_the_command_that_is_named(stored, chapter):
    assert stored["command"] == "python tests/benchmarks/ablations.py"
    assert "`tests/benchmarks/ablations.py` did it once" in chapter
    assert {name: variant["parts"] for name, variant in stored["variants"].items()} == {
        name: asdict(parts) for name, parts in ablations.VARIANTS.items()
    }
    assert stored["steps"] == ablations.STEPS == 400
    assert all([run["seed"] for run in variant["runs"]] == [0, 1, 2] for variant in stored["variants"].values())
    assert "400 steps of 16 stretches, three seeds" in chapter


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("whole block", 2.2),
        ("no residual", 4.6),
        ("no attention", 3.6),
        ("no positions", 3.2),
        ("no feed-forward", 2.5),
        ("no norm", 2.1),
    ],
)
def test_the_bits_of_the_summary_are_the_stored_ones(stored, chapter, name, bits):
    assert round(mean_bits(stored, name), 1) == bits
    assert str(bits) in chapter


def test_twelve_blocks_do_without_norms_as_the_text_says(stored, chapter):
    deep = stored["deep"]
    best = {name: min(bits.values()) for name, bits in deep["bits"].items()}
    assert (deep["blocks"], deep["steps"]) == (12, 200)
    assert f"{best['no norm']:.1f} against {best['whole block']:.1f} bits after 200 steps" in chapter


def test_what_was_exchanged_moves_the_result_as_far_as_the_text_says(stored):
    def moved(name):
        return abs(mean_bits(stored, name) - mean_bits(stored, "whole block"))

    assert all(moved(name) < 0.1 for name in ("SwiGLU", "ReLU", "RMSNorm", "post-norm"))
    positions = sorted(moved(name) for name in ("sinusoidal", "learned", "T5's buckets", "ALiBi"))
    assert [round(positions[0], 1), round(positions[-1], 1)] == [0.2, 0.8]
    slowest = sorted(("sinusoidal", "learned", "T5's buckets", "ALiBi"), key=lambda name: mean_bits(stored, name))
    assert set(slowest[-2:]) == {"sinusoidal", "learned"}


def test_longer_stretches_do_what_the_text_says(stored):
    def bits(name, length):
        return fmean(run["by_length"][str(length)] for run in stored["variants"][name]["runs"])

    schemes = [name for name in ablations.SCHEMES if name != "learned"]
    assert min(schemes, key=lambda name: bits(name, 64)) == "whole block"
    assert max(schemes, key=lambda name: bits(name, 512)) == "whole block"
    assert round(bits("whole block", 512), 1) == 4.1
    assert [round(bits("ALiBi", n), 1) for n in (64, 512)] == [2.5, 2.4]
    assert all(bits(name, 512) > bits(name, 64) for name in schemes if name != "ALiBi")
    assert all("512" not in run["by_length"] for run in stored["variants"]["learned"]["runs"])


def test_products_of_sinusoids_are_the_sum_of_cosines():
    table = SinusoidalPositions(16)(torch.arange(50)).double()
    speeds = 10000 ** (-torch.arange(0, 16, 2).double() / 16)
    expected = (speeds * torch.tensor(7.0)).cos().sum()
    for start in (0, 11, 42):
        torch.testing.assert_close(table[start] @ table[start + 7], expected, atol=1e-4, rtol=1e-4)


def test_a_turned_score_depends_on_the_distance_alone_and_lengths_stay():
    query, key = torch.randn(2, 1, 1, 1, 8)
    turn = Rotary(8)

    def at(x, position):
        return rotate(x, turn(torch.tensor([[position]])))

    scores = [(at(query, p + 3) * at(key, p)).sum() for p in (0, 10, 100)]
    torch.testing.assert_close(torch.stack(scores), scores[0].expand(3), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(at(query, 100).norm(), query.norm())


def test_a_louder_row_has_the_same_norm_and_a_thousandth_of_the_gradient():
    x, readout = torch.randn(16, dtype=torch.float64), torch.randn(16, dtype=torch.float64)
    gradients = []
    for factor in (1, 1000):
        leaf = (factor * x).requires_grad_()
        output = F.layer_norm(leaf, (16,), eps=1e-12)
        (output @ readout).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[0], 1000 * gradients[1])


def test_rms_after_centring_is_layer_norm():
    x = torch.randn(5, 16, dtype=torch.float64)
    centred = x - x.mean(-1, keepdim=True)
    torch.testing.assert_close(F.rms_norm(centred, (16,), eps=1e-9), F.layer_norm(x, (16,), eps=1e-9))


def test_the_clock_hands_come_back_when_the_solution_says():
    assert round(2 * math.pi, 1) == 6.3
    assert round(200 * math.pi) == 628


def test_a_gated_half_of_eight_thirds_has_as_many_weights():
    d = 48
    plain = FeedForward(d, 4 * d, bias=False)
    gated = FeedForward(d, 8 * d // 3, activation="silu", gated=True, bias=False)
    count = [sum(p.numel() for p in half.parameters()) for half in (plain, gated)]
    assert count == [8 * d**2] * 2


def test_t5s_last_bucket_begins_where_the_solution_says(chapter):
    buckets = T5RelativeBias(1, bidirectional=False).buckets(-FAR)
    assert buckets[:16].tolist() == list(range(16))
    assert buckets[16] == buckets[17] == 16
    first = int((buckets == 31).nonzero()[0])
    assert f"The last begins at {first} and never ends" in chapter
    assert buckets[-1] == 31


def test_the_stream_at_the_top_is_as_large_as_the_solution_says():
    assert round(math.sqrt(1 + 48 * 0.3), 1) == 3.9


def test_likeness_of_positions_in_post_norm_fades_to_what_the_text_says(chapter):
    """The text's 0.99 and 'five blocks', on random tokens: the effect needs no text."""
    torch.manual_seed(0)
    assert "lets them fade to 0.99" in chapter
    for residual, pre_norm, blocks, least in ((True, False, 24, 0.98), (False, True, 5, 0.98)):
        model = CharacterModel(80, Parts(residual=residual, pre_norm=pre_norm), n_layers=blocks)
        for part in model.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_normal_(part.weight)
                nn.init.zeros_(part.bias)
        streams = []
        model.blocks[-1].register_forward_hook(lambda _, entered, left, kept=streams: kept.append(left))
        model(torch.randint(80, (4, 64)))
        rows = F.normalize(streams[0].detach(), dim=-1)
        assert float((rows @ rows.mT).mean()) > least


def test_the_literal_equations_of_a_half_in_both_orders():
    attention, half = MultiHeadAttention(8, 2), FeedForward(8, 16)
    x = torch.randn(1, 5, 8)
    pre = Block(attention, half, lambda: LayerNorm(8))
    y = x + attention(F.layer_norm(x, (8,)))
    torch.testing.assert_close(pre(x), y + half(F.layer_norm(y, (8,))))
    post = Block(attention, half, lambda: LayerNorm(8), pre_norm=False)
    y = F.layer_norm(x + attention(x), (8,))
    torch.testing.assert_close(post(x), F.layer_norm(y + half(y), (8,)))


def test_the_recipes_are_as_many_as_the_text_says(chapter):
    assert re.search(r"trained again on 2,806 recipes", chapter)


@pytest.mark.data
def test_the_recipes_to_learn_from_are_2806():
    import companion.data

    assert len(companion.data.load("recipes", split="train")) == 2806
