"""What the attention lab's text promises is what its cells show."""

import matplotlib.pyplot as plt
import pytest
import torch

from tests.exercises.labs import graded, run, solutions, source

SLUG = "attention"
LAB = source(SLUG)


def test_the_demonstrations_show_what_the_text_says():
    cells = [graded(LAB, name) for name in ("demo_overflow", "demo_spread", "demo_cache")]
    printed, _ = run(cells, dict(solutions(SLUG)))
    assert printed.splitlines() == [
        "exp(80) is finite: True",
        "exp(88) is finite: True",
        "exp(89) is finite: False",
        "d_k =    4: standard deviation about 2",
        "d_k =   64: standard deviation about 8",
        "d_k = 1024: standard deviation about 32",
        "Fifty steps give what one pass gives: True",
    ]


def test_what_the_softmax_exercise_proposes_to_try_does_go_wrong():
    weights = solutions(SLUG)["softmax"](torch.zeros(100_000, dtype=torch.float16), 0)
    assert (weights == 0).all()


def test_the_model_answer_to_the_open_question_says_what_its_measurement_says():
    printed, names = run([graded(LAB, "scale_and_length_code")], {**solutions(SLUG), "plt": plt})
    assert printed.count(": True") == 2
    assert "False" not in printed
    answer = graded(LAB, "scale_and_length").source
    assert "stays below 0.6 nats for $d_k = 256$ while $\\ln n$ grows from 2.8 to 8.3" in answer
    assert max(names["entropies"][256, "nothing"]) < 0.6
    assert [round(torch.tensor(n).log().item(), 1) for n in (names["n_keys"][0], names["n_keys"][-1])] == [2.8, 8.3]
    nearly_equal = names["entropies"][256, "d_k"]
    assert all(torch.tensor(n).log() - h < 0.01 for n, h in zip(names["n_keys"], nearly_equal, strict=True))


@pytest.mark.data
@pytest.mark.slow
def test_the_students_functions_reproduce_the_real_layer():
    names = ("load_minilm", "compare_minilm", "compare_padding", "figure_heads", "fact_heads")
    printed, left = run([graded(LAB, name) for name in names], {**solutions(SLUG), "plt": plt})
    assert printed.splitlines() == [
        "17 tokens: [CLS] the bicycle has two wheels , and it is steered with a handle ##bar . [SEP]",
        "Your function gives the model's numbers: True",
        "Tokens in each text: [17, 7]",
        "Padding changes nothing: True",
        "Heads with nearly all their weight on the word before: [3]",
    ]
    config = left["model"].config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (6, 384, 12)
    tokens, looks = left["tokens"], left["looks"]
    # What the figure's description says of head 6.
    assert looks[5, tokens.index("and")] + looks[5, tokens.index(",")] > 0.5
    others = [head for head in range(12) if head not in (2, 5)]
    assert looks[others].max() < 0.5


@pytest.mark.data
@pytest.mark.slow
def test_the_padding_mask_is_needed_there():
    """Without it the short text does change, so the lab's check of it is not empty."""

    def sees_all(lengths, max_len):
        return torch.ones(len(lengths), 1, 1, max_len, dtype=torch.bool)

    cells = [graded(LAB, name) for name in ("load_minilm", "compare_minilm", "compare_padding")]
    printed, _ = run(cells, {**solutions(SLUG), "plt": plt, "padding_mask": sees_all})
    assert "Padding changes nothing: False" in printed
