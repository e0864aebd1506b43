"""What the text of the embeddings lab promises is what its cells show."""

import re

import pytest
import torch

from tests.exercises.labs import graded, run_solved, solutions, source

SLUG = "embeddings"
LAB = source(SLUG)


@pytest.fixture(scope="module")
def solved():
    return run_solved(SLUG)


def text_of(grade_id):
    return " ".join(graded(LAB, grade_id).source.split())


def test_the_text_lists_the_pairs_of_its_example_in_their_order():
    pairs = re.findall(r'`\("(.*?)", "(.*?)"\)`', text_of("text_skip_gram_pairs"))
    assert solutions(SLUG)["skip_gram_pairs"](["melt", "the", "butter"], 1) == pairs


def test_a_word_next_to_itself_counts_once_from_each_of_its_two_places():
    counts = solutions(SLUG)["cooccurrence_matrix"](torch.tensor([1, 1]), 3, 1)
    assert counts.tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]


def test_untrained_vectors_cost_what_the_text_works_out():
    zero = torch.zeros(3, 5)
    for k in (1, 5, 20):
        loss = solutions(SLUG)["negative_sampling_loss"](zero, zero, torch.zeros(3, k, 5))
        torch.testing.assert_close(loss, (k + 1) * torch.tensor(2.0).log())


@pytest.mark.data
@pytest.mark.slow
def test_the_solved_lab_prints_what_its_text_says(solved):
    printed, _ = solved
    expected = """\
417,581 words, 8,291 of them different
beef and chicken share 7 of their ten commonest neighbours
beef and oven share 3 of their ten commonest neighbours
Untrained, with 5 negatives: 4.1589
6 ln 2: 4.1589
379,299 words counted; 37% of all pairs were seen
The loss fell to less than a tenth: True
More than three of four have the nearest of the others in their own group: True
man is to king as woman is to queen
france is to paris as italy is to rome
walk is to walking as swim is to swimming
Of 1,400 questions, right with the three words left out: 50%
Right with any word allowed: 31%
Answered with a word of the question: 53%
How related? 353 pairs, correlation 0.50
How similar? 999 pairs, correlation 0.26
631,656 words of 775,547 are among the 3,000 commonest"""
    assert [line for line in printed if line in expected.splitlines()] == expected.splitlines()


@pytest.mark.data
@pytest.mark.slow
def test_the_figures_show_what_their_titles_and_descriptions_say(solved):
    _, names = solved
    scores = names["scores"]
    assert len(scores) == 14
    assert all(left_out > any_word for left_out, any_word, _ in scores.values())
    assert [round(scores[name][i], 2) for name, i in SECTIONS_DESCRIBED] == [0.97, 0.93, 0.46, 0.07]
    groups = dict(zip(names["groups"], torch.tensor(names["places"]).split(6), strict=True))
    assert sum(map(len, groups.values())) == 36
    across, up = (torch.stack([places[:, axis].mean() for places in groups.values()]) for axis in (0, 1))
    assert list(groups)[up.argmax()] == "meat and fish"
    assert {list(groups)[i] for i in across.topk(2).indices} == {"measures", "spices"}
    shown = [word for word, _ in names["shown"]]
    assert "*Fry*, for one: the nearest to it of these words is *pan*" in text_of("text_exceptions")
    assert shown[names["nearest"][shown.index("fry")]] == "pan"


SECTIONS_DESCRIBED = [
    ("gram6-nationality-adjective", 0),
    ("gram6-nationality-adjective", 1),
    ("gram5-present-participle", 0),
    ("gram5-present-participle", 1),
]


@pytest.mark.data
@pytest.mark.slow
def test_asking_about_copies_of_the_words_allows_any_word(solved):
    _, names = solved
    vectors = torch.randn(31, 7, generator=torch.Generator().manual_seed(0))
    a, b, c = torch.randint(31, (3, 19), generator=torch.Generator().manual_seed(1))
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    expected = ((unit[b] - unit[a] + unit[c]) @ unit.T).argmax(-1)
    assert torch.equal(names["with_any_word"](vectors, a, b, c), expected)


@pytest.mark.data
@pytest.mark.slow
def test_the_model_answer_to_the_open_question_says_what_its_measurement_says(solved):
    _, names = solved
    shares, related, draws = names["shares"], names["related"], names["draws"]
    answer = text_of("window_and_neighbours")
    assert "from 0.62 at window 1 to 0.08 at window 16" in answer
    assert [shares["ed"][i].mean().item() for i in (0, -1)] == pytest.approx([0.62, 0.08], abs=0.02)
    assert "*-ly* falls from 0.39 to 0.11" in answer
    assert [shares["ly"][i].mean().item() for i in (0, -1)] == pytest.approx([0.39, 0.11], abs=0.02)
    assert "the share is 0.11 at window 1 already" in answer
    assert shares["ing"][0].mean().item() == pytest.approx(0.11, abs=0.02)
    assert "one word in fifteen of the vocabulary has this ending" in answer
    assert round(len(names["article_vocab"]) / len(shares["ed"][0])) == 15
    assert {"speed", "hundred"} <= {word for word in names["article_vocab"] if word.endswith("ed")}
    assert "from 0.47 to 0.60" in answer
    assert [related[0], related[-1]] == pytest.approx([0.47, 0.60], abs=0.02)
    assert "Only 104 of the 353 pairs" in answer
    assert len(names["pairs"]) == 104
    assert "uncertain by 0.15" in answer
    assert ((names["high"] - names["low"]) / 2).mean().item() == pytest.approx(0.15, abs=0.03)
    assert "in 95% of 300 draws" in answer
    assert draws.shape == (300, 5)
    assert (draws[:, -1] > draws[:, 0]).float().mean().item() == pytest.approx(0.95, abs=0.02)
    for ending in ("ed", "ly"):
        low, high = (shares[ending][i] for i in (2, 0))
        assert low.mean() + 1.96 * low.std() / len(low) ** 0.5 < high.mean() - 1.96 * high.std() / len(high) ** 0.5
