"""What the models lab's text promises is what its cells show."""

import pytest

from tests.exercises.labs import graded, run_solved, source

SLUG = "models"
LAB = source(SLUG)


@pytest.fixture(scope="module")
def solved():
    return run_solved(SLUG)


def text_of(grade_id):
    return " ".join(graded(LAB, grade_id).source.split())


@pytest.mark.data
@pytest.mark.slow
def test_the_solved_lab_prints_what_its_text_says(solved):
    printed, _ = solved
    assert printed[:29] == [
        "<All keys matched successfully>",
        "the same outputs: False",
        "GPT-2, by your count: 124439808",
        "and tensor by tensor: 124439808",
        "104 tensors, 22713728 numbers",
        "embeddings.word_embeddings.weight (30522, 384)",
        "encoder.layer.0.intermediate.dense.weight (1536, 384)",
        "encoder.layer.0.output.dense.weight (384, 1536)",
        "encoder.layer.3.attention.output.LayerNorm.bias (384,)",
        "encoder.layer.3.attention.output.LayerNorm.weight (384,)",
        "encoder.layer.3.attention.output.dense.bias (384,)",
        "encoder.layer.3.attention.output.dense.weight (384, 384)",
        "in the file, and without a place: []",
        "not in the file, left at random:",
        "mlm_bias",
        "mlm_transform.weight",
        "mlm_transform.bias",
        "mlm_norm.weight",
        "mlm_norm.bias",
        "nsp.weight",
        "nsp.bias",
        "the vectors agree: True",
        "your pooler agrees: True",
        "nearest to each: [2, 1, 4, 3, 6, 5]",
        "0:[CLS] 1:[CLS] 2:i 3:have 4:a 5:[MASK] 6:. 7:[SEP] 8:[SEP]",
        "at position 4:  wrong",
        "with your code: i have a dream.",
        "your three matrices compute what the one did: True",
        "reads [0, 71, 72, 73] and must write [71, 72, 73, 1]",
    ]


@pytest.mark.data
@pytest.mark.slow
def test_the_figures_description_says_what_the_figure_shows(solved):
    _, names = solved
    alike = names["alike"]
    pairs = [alike[i, i + 1].item() for i in (0, 2, 4)]
    others = [alike[i, j].item() for i in range(6) for j in range(i) if i // 2 != j // 2]
    assert min(pairs) > max(others)


@pytest.mark.data
@pytest.mark.slow
def test_the_model_answer_to_the_open_question_says_what_its_measurement_says(solved):
    _, names = solved
    means, sizes = names["means"], names["sizes"]
    answer = text_of("what_a_part_is_worth")
    assert len(names["pairs"]) == 60
    assert means["nothing"] == means["pooler"]
    said = {
        "nothing": "With the whole file 0.87",
        "positions": "positions leave 0.75",
        "feed-forward": "feed-forward layers 0.68",
        "attention": "attention 0.62",
        "segments": "segments 0.47",
        "word table": "word table 0.08",
        "normalisations": "normalisations 0.03",
        "everything": "nothing loaded it is 0.08",
    }
    for part, words in said.items():
        assert words in answer
        assert means[part] == pytest.approx(float(words.split()[-1]), abs=0.011)
    assert (sizes["normalisations"], sizes["segments"], sizes["feed-forward"]) == (9984, 768, 7_089_408)
    assert "9,984 numbers" in answer
    assert min(means, key=lambda part: means[part]) == "normalisations"
