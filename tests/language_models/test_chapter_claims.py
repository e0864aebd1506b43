"""What book/language_models.md says in prose or in a solution, and no cell of it computes."""

import ast
import itertools
import json
import math
import re

import jupytext
import pytest
import torch

from companion.language_models import (
    AddK,
    KneserNey,
    NGramModel,
    Vocabulary,
    ascend,
    bits_per_byte,
    checkpoint,
    log_likelihood_gradient,
    perplexity,
)


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "language_models.md").read_text("utf8")


def prose(chapter):
    """The chapter without its header, code, equations and tables."""
    body = chapter.split("\n---\n", 1)[1]
    body = re.sub(r"```\{(code-cell|math|literalinclude|bibliography)\}.*?\n```\n", "", body, flags=re.DOTALL)
    return re.sub(r"^(\||:\S+:|```).*$", "", body, flags=re.MULTILINE)


def test_the_chapter_has_the_promised_length(chapter):
    assert 1500 <= len(prose(chapter).split()) <= 3000


def test_every_cell_is_python(chapter):
    for cell in jupytext.reads(chapter, fmt="md:myst").cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)


def test_every_matplotlib_figure_has_words_for_who_cannot_see_it(chapter):
    raw = re.findall(r"```\{code-cell\} ipython3\n(.*?)\n```\n", chapter, re.DOTALL)
    drawing = [cell for cell in raw if "plt.show()" in cell]
    assert len(drawing) >= 5
    assert all(re.search(r'alt: "[A-Z][^"]{60,}"', cell) for cell in drawing)
    assert sum("viz.show(" in cell for cell in raw) >= 1


def test_it_has_six_exercises_each_with_a_folded_solution(chapter):
    exercises = re.findall(r"```\{exercise\} .+\n:label: (\S+)", chapter)
    assert len(exercises) >= 6
    assert re.findall(r"```\{solution\} (\S+)\n:class: dropdown", chapter) == exercises


@pytest.mark.parametrize("length", [1, 2, 3])
def test_without_an_end_mark_the_texts_of_each_length_sum_to_one(length):
    model = NGramModel.fit(["ab", "ba", "aab"], order=2)
    stop = model.vocabulary.end_id
    total = 0.0
    for text in itertools.product(["a", "b", "unseen"], repeat=length):
        p = 1.0
        for i, token in enumerate(text):
            distribution = model.distribution(text[:i])
            p *= float(distribution[model.vocabulary.encode([token])[0]] / (1 - distribution[stop]))
        total += p
    assert total == pytest.approx(1)


def test_with_the_end_mark_all_texts_share_one():
    model = NGramModel.fit(["ab", "ba", "aab"], order=2)

    def stopped(before, p, depth):
        distribution = model.distribution(before)
        total = p * float(distribution[model.vocabulary.end_id])
        if depth:
            for token in ("a", "b", "unseen"):
                q = float(distribution[model.vocabulary.encode([token])[0]])
                total += stopped([*before, token], p * q, depth - 1)
        return total

    sums = [stopped([], 1.0, depth) for depth in (2, 4, 6)]
    assert sums == sorted(sums)
    assert 0.8 < sums[-1] < 1


def test_add_one_gives_nearly_everything_to_what_was_never_seen():
    words = Vocabulary([*(f"w{i}" for i in range(3870)), "a", "b"])
    assert len(words) == 3874
    model = NGramModel.fit([["a", "b"], ["a", "b"]], order=2, smoothing=AddK(1), vocabulary=words)
    p = model.distribution(["a"])
    assert round(float(p[words.encode(["b"])[0]]), 4) == 0.0008
    assert round(float(p.sum() - p.max()), 3) == 0.999


def test_the_perplexity_of_a_half_a_quarter_and_an_eighth_is_four():
    assert perplexity(torch.tensor([1 / 2, 1 / 4, 1 / 8]).log()) == pytest.approx(4)
    assert perplexity(torch.tensor([1 / 2, 1 / 4, 0]).log()) == math.inf


def test_model_a_needs_one_bit_per_byte_and_model_b_more():
    assert bits_per_byte(torch.full((1200,), -math.log(32)), 6000) == pytest.approx(1)
    assert round(bits_per_byte(torch.full((6000,), -math.log(2.2)), 6000), 2) == 1.14


def test_francisco_is_more_frequent_but_pot_has_three_times_its_kneser_ney_unigram():
    text = [["san", "francisco"]] * 4 + [[colour, "pot"] for colour in ("red", "blue", "green")]
    model = NGramModel.fit(text, order=2, smoothing=KneserNey((0.0, 0.5)))
    unigram = {model.vocabulary.label(i): p for i, p in enumerate(model.distribution(["never", "seen"]).tolist())}
    assert unigram["pot"] == pytest.approx(3 * unigram["francisco"])


def test_the_gradient_of_a_table_of_scores_vanishes_at_the_counts():
    counts = torch.tensor([3.0, 1.0, 4.0], dtype=torch.float64)
    events = torch.repeat_interleave(torch.arange(3), counts.long())
    at_counts = counts.log().expand(len(events), -1)
    torch.testing.assert_close(
        log_likelihood_gradient(at_counts, events).sum(0), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0
    )
    z = torch.zeros(4, dtype=torch.float64)
    lowest = []
    for _ in range(3):
        for _ in range(300):
            ascend([z], [log_likelihood_gradient(z.expand(len(events), -1), events).mean(0)], 1.0)
        lowest.append(float(z[3]))
    assert lowest == sorted(lowest, reverse=True)  # the token that never came: its score keeps falling


def test_the_network_has_half_a_million_weights_and_its_log_reaches_the_printed_figures():
    record = json.loads((checkpoint.FOLDER / "recipes.json").read_text("utf8"))
    curve = [point["held_out_perplexity"] for point in record["curve"]]
    assert curve == sorted(curve, reverse=True)
    sizes = sorted(run["texts"] for run in record["smaller"])
    assert sizes == [175, 351, 702, 1403]
    assert 300 < record["curve"][-1]["cpu_seconds"] < 360  # five and a half minutes
