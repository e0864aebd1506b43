"""What book/objectives.md says in prose or in a solution, and no cell of it computes."""

import ast
import json
import math
import re
from statistics import fmean

import jupytext
import pytest
import torch

from companion.objectives import causal_labels, corrupt_spans, mask_tokens
from tests.benchmarks import objectives as benchmark
from tests.objectives import chapter_code as code


@pytest.fixture(scope="module")
def chapter(repository_root):
    return (repository_root / "book" / "objectives.md").read_text("utf8")


@pytest.fixture(scope="module")
def stored(repository_root):
    return json.loads((repository_root / "companion" / "objectives" / "comparison.json").read_text("utf8"))


def definitions(source):
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: ast.dump(node) for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}


def test_the_chapter_shows_the_code_that_made_the_stored_results(chapter, repository_root):
    cells = [cell.source for cell in jupytext.reads(chapter, fmt="md:myst").cells if cell.cell_type == "code"]
    shown = {name: each for cell in cells for name, each in definitions(cell).items()}
    text = (repository_root / "tests" / "objectives" / "chapter_code.py").read_text("utf8")
    names = [node.name for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    made = definitions(text)
    assert len(names) >= 10
    assert {name: shown.get(name) for name in names} == {name: made[name] for name in names}
    for constant in ("N_WORDS = 1024", "PAD, UNK, CLS, SEP, MASK = range(5)"):
        assert constant in chapter
        assert constant in text


def test_the_stored_results_are_those_of_the_command_that_is_named(stored, chapter):
    assert stored["command"] == "python tests/benchmarks/objectives.py"
    assert "`tests/benchmarks/objectives.py` did it once" in chapter
    assert list(stored["exams"]) == list(code.EXAMS)
    assert stored["batch"] == benchmark.BATCH == 8
    assert stored["pair batch"] == benchmark.PAIR_BATCH == 16
    assert {name: stored["pairs"][name]["random"] for name in benchmark.PAIRS} == {
        name: each["random"] for name, each in benchmark.PAIRS.items()
    }
    for name, exam in code.EXAMS.items():
        assert stored["exams"][name]["cost"] == code.row_cost(exam)
        for run in stored["exams"][name]["runs"]:
            assert abs(run["steps"] * code.row_cost(exam) / (1000 * code.row_cost(code.next_token)) - 1) < 0.03
    assert all(run["steps"] == benchmark.PAIR_STEPS == 300 for each in stored["pairs"].values() for run in each["runs"])
    assert "300 more steps of 16 pairs" in chapter


def test_all_questions_have_the_same_seeds(stored):
    seeds = {
        tuple(run["seed"] for run in each["runs"]) for kind in ("exams", "pairs") for each in stored[kind].values()
    }
    assert seeds == {(0, 1, 2)}


def mean(stored, name, what):
    return fmean(run[what] for run in stored["exams"][name]["runs"])


def test_each_training_takes_about_as_long_as_the_text_says(stored):
    for name in code.EXAMS:
        assert 25 < mean(stored, name, "cpu_seconds") < 45


@pytest.mark.parametrize(
    ("name", "what", "low", "high"),
    [
        ("next token", "first of ten", 0.55, 0.65),  # six in ten
        ("next token", "first of ten, whole text", 0.7, 0.8),  # three in four
        ("gaps", "first of ten", 0.35, 0.45),  # four in ten
        ("more gaps", "first of ten", 0.47, 0.57),  # half
        ("spans", "first of ten", 0.12, 0.22),  # little more than the most frequent word
    ],
)
def test_the_shares_of_the_text_are_the_stored_ones(stored, name, what, low, high):
    assert low < mean(stored, name, what) < high


def test_who_was_asked_most_was_asked_five_times_as_much(stored):
    def asked(name):
        (run, *_) = stored["exams"][name]["runs"]
        return run["steps"] * 8 * 64 * run["asked"] / 1000

    assert 5 < asked("next token") / asked("gaps") < 5.7
    assert 2.4 < asked("more gaps") / asked("gaps") < 2.7
    assert asked("spans") > asked("gaps")
    assert mean(stored, "spans", "bits") < mean(stored, "gaps", "bits")


def test_counting_sorts_dishes_better_than_any_pupil(stored):
    rest = stored["rest"]
    assert round(rest["word counts"], 1) == 0.7
    assert max(rest["fresh model"]) < 0.52
    assert fmean(rest["fresh model"]) < 0.5
    assert all(run["probe"] < 0.55 for each in stored["exams"].values() for run in each["runs"])
    common = max(rest["kinds"].values()) / sum(rest["kinds"].values())
    assert max(rest["kinds"], key=rest["kinds"].get) == "sweet"
    assert sum(rest["kinds"].values()) == 619
    assert len(rest["kinds"]) == 7
    for name in ("gaps", "more gaps", "spans"):
        assert common < mean(stored, name, "probe") < common + 0.07 < fmean(rest["fresh model"])
    assert 0 < mean(stored, "next token", "probe") - fmean(rest["fresh model"]) < 0.05


def test_the_next_sentence_question_teaches_an_order_and_costs_bits(stored):
    asked, silent = (stored["pairs"][name]["runs"] for name in ("with the question", "same pairs, not asked"))
    right = fmean(run["right"] for run in asked)
    assert round(right, 2) == 0.56
    assert right < stored["rule"]["right"]
    for run in asked:
        true, swapped, unrelated = (run[f"{kind} pairs said to follow"] for kind in ("true", "swapped", "unrelated"))
        assert swapped < unrelated < true
    more = [one["gap bits"] - other["gap bits"] for one, other in zip(asked, silent, strict=True)]
    assert min(more) > 0
    assert round(fmean(more), 2) == 0.07
    assert fmean(run["probe, mean"] for run in asked) < fmean(run["probe, mean"] for run in silent)


def test_an_answer_of_spans_has_15_tokens_of_which_five_are_marks_and_the_end():
    row = torch.arange(10, 74)
    cut = corrupt_spans(row, sentinels=code.SENTINELS, end_id=code.SEP, generator=torch.Generator().manual_seed(0))
    marks = sum(token in code.SENTINELS for token in cut.labels.tolist())
    assert (len(cut.labels), marks + 1) == (15, 5)


def test_a_reader_of_the_past_and_one_of_a_prefix_cannot_look_where_they_must_not():
    reader, row = code.Reader(0), torch.randint(5, 1000, (1, 64), generator=torch.Generator().manual_seed(0))
    for exam in (code.next_token, code.spans):
        ids, _, mask = exam(row, torch.Generator().manual_seed(0))
        changed = ids.clone()
        changed[0, -1] = 7
        with torch.no_grad():
            before, after = (reader(each, mask) for each in (ids, changed))
        torch.testing.assert_close(before[0, :-1], after[0, :-1])


def test_a_packed_row_of_four_documents_asks_60_questions():
    ids, documents = torch.zeros(1, 64, dtype=torch.long), torch.arange(64)[None] // 16
    assert (causal_labels(ids, document_ids=documents) != -100).sum() == 60


def test_the_weights_of_a_mean_of_means():
    short, long = 1 / 2 * 1 / 3, 1 / 2 * 1 / 30
    assert short / long == pytest.approx(10)


def test_a_model_without_context_pays_what_the_derivation_says():
    """Minimise the wrong mean, by gradient, over the scores of a model without context."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(1, 6, (4000,), generator=generator)
    frequencies = targets.bincount(minlength=6)[1:] / len(targets)
    places = torch.cat([targets, torch.zeros(4000, dtype=torch.long)])  # half padding
    scores = torch.zeros(6, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores.expand(len(places), -1), places)
        loss.backward()
        return loss

    optimizer.step(closure)
    logs = scores.detach().log_softmax(0)
    paid = -(frequencies * logs[1:]).sum() + (frequencies * frequencies.log()).sum()
    torch.testing.assert_close(paid / math.log(2), torch.tensor(1.0), atol=1e-3, rtol=0)  # the solution's one bit


def test_865_of_1000_tokens_are_in_view():
    ids = torch.full((1, 1_000_000), 5)
    masked = mask_tokens(
        ids, mask_id=4, vocab_size=1024, maskable=ids > 4, count=150_000, generator=torch.Generator().manual_seed(0)
    )
    assert round((masked.input_ids == ids).float().mean().item() * 1000) == 865
    exchanged = (masked.input_ids != ids) & (masked.input_ids != 4)
    assert round(exchanged.float().mean().item() * 1000) == 15


def test_what_a_model_believes_of_a_token_in_view():
    def belief(prior, vocab, kept=0.1, exchanged=0.1):
        return prior * (kept + exchanged / vocab) / (prior * kept + exchanged / vocab)

    assert belief(1 / 1024, 1024) == pytest.approx(0.5, abs=1e-3)
    assert belief(0.0087, 1024) == pytest.approx(0.9, abs=1e-3)
    prior = 0.03
    assert belief(prior, 1024) == pytest.approx(prior * 1025 / (prior * 1024 + 1))
    assert round(0.0087 * 1024) == 9


def test_belief_is_the_frequency_of_truth():
    """Draw tokens, exchange and keep, and count."""
    generator = torch.Generator().manual_seed(0)
    prior = torch.tensor([0.5, 0.3, 0.1, 0.05, 0.05])
    true = torch.multinomial(prior, 400_000, replacement=True, generator=generator)
    fate = torch.rand(len(true), generator=generator)
    shown = torch.where(fate < 0.5, torch.randint(5, true.shape, generator=generator), true)
    for token in range(5):
        seen = (true[shown == token] == token).float().mean()
        expected = prior[token] * (0.5 + 0.5 / 5) / (prior[token] * 0.5 + 0.5 / 5)
        torch.testing.assert_close(seen, expected, atol=0.01, rtol=0)


def test_t5_reads_462_tokens_and_writes_105():
    cut = corrupt_spans(
        torch.arange(512), sentinels=list(range(600, 700)), end_id=599, generator=torch.Generator().manual_seed(0)
    )
    assert (len(cut.input_ids), len(cut.labels)) == (462, 105)


def test_the_head_of_bert_base_at_the_asked_places_saves_18_in_100():
    blocks = 128 * 12 * (12 * 768**2 + 2 * 128 * 768)
    head = 128 * 30522 * 768
    assert (round(blocks / 1e9, 1), round(head / 1e9, 1)) == (11.2, 3.0)
    assert round(0.85 * head / (blocks + head), 2) == 0.18


def test_the_article_numbers_are_the_sections_that_are_meant(chapter):
    assert re.findall(r"Article (\d{3}), section", chapter) == ["002", "003", "004", "001"]
