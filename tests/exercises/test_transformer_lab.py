"""What the transformer lab's text promises is what its cells show."""

import matplotlib.pyplot as plt
import pytest
import torch

from companion.exercises import Mistake, get, local_call
from tests.exercises.labs import graded, run, solutions, source

SLUG = "transformer"
LAB = source(SLUG)


def names(**more):
    return {**solutions(SLUG), "plt": plt, **more}


def test_the_demonstrations_show_what_the_text_says():
    printed, _ = run([graded(LAB, name) for name in ("demo_size", "demo_distance")], names())
    assert printed.splitlines() == [
        "each layer off by -0.1: numbers of size about 0.02",
        "each layer off by +0.0: numbers of size about 1",
        "each layer off by +0.1: numbers of size about 4e+01",
        "query at 5, key at 2: -2.673",
        "query at 105, key at 102: -2.673",
        "query at 1005, key at 1002: -2.673",
    ]


def test_what_the_norms_propose_to_try_is_so():
    layer_norm, rms_norm = solutions(SLUG)["layer_norm"], solutions(SLUG)["rms_norm"]
    x = torch.randn(5, 8, dtype=torch.float64)
    one, zero = torch.ones(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    torch.testing.assert_close(layer_norm(1000 * x, one, zero, 1e-12), layer_norm(x, one, zero, 1e-12))
    centred = x - x.mean(-1, keepdim=True)
    torch.testing.assert_close(rms_norm(centred, one, 1e-6), layer_norm(centred, one, zero, 1e-6))


def test_the_last_of_32_buckets_is_as_wide_as_the_question_supposes():
    buckets = solutions(SLUG)["relative_bucket"](-torch.arange(200), 32, 128, False)
    assert int((buckets == 31).nonzero()[0]) < 128
    assert buckets[128] == 31


def test_300_squared_does_not_fit_in_16_bits():
    assert torch.tensor(300.0).half().square().isinf()
    assert torch.finfo(torch.float16).max == 65504


@pytest.mark.slow
def test_the_model_answer_to_the_open_question_says_what_its_measurement_says():
    cells = [graded(LAB, "gradient_by_depth_code")]
    new_block = definition(graded(LAB, "read_recipes").source, "new_block")
    _, left = run(cells, names(device=torch.device("cpu"), new_block=new_block))
    answer = graded(LAB, "gradient_by_depth").source
    falls = {kind: lengths[0, :, 0] / lengths[-1, :, 0] for kind, lengths in left["measured"].items()}
    assert "2.4 times as large" in answer
    assert 1 / falls["your block"][0].item() == pytest.approx(2.4, abs=0.1)
    assert "28 times smaller" in answer
    assert falls["norm after the sum"][0].item() == pytest.approx(28, abs=3)
    assert "a million times smaller" in answer
    assert 5e5 < falls["no sums"][0].item() < 2e6
    assert "within a factor of 3" in answer
    assert all(1 / 3 < fall[1] < 3 for fall in falls.values())


def definition(source_text, name):
    """Take one function out of a cell."""
    import ast

    (node,) = [each for each in ast.parse(source_text).body if getattr(each, "name", "") == name]
    found = {"torch": torch, "device": torch.device("cpu")}
    exec(ast.unparse(node), found)
    return found[name]


@pytest.mark.data
@pytest.mark.slow
def test_the_students_norm_is_the_real_models():
    printed, _ = run([graded(LAB, "load_minilm")], names())
    assert printed == "Your function gives the model's numbers: True\n"


@pytest.mark.data
@pytest.mark.slow
def test_the_students_blocks_learn_more_than_pairs():
    import companion.data
    from companion.device import pick_device

    more = names(device=pick_device(), companion=companion)
    printed, left = run([graded(LAB, "read_recipes"), graded(LAB, "fact_recipes")], more)
    assert printed == "Bits of the table of pairs, about: 3.5\nYour blocks need at least 0.5 bits fewer: True\n"
    crossing = next(i for i in range(50, 500) if sum(left["losses"][i - 20 : i]) / 20 < left["pair_bits"])
    assert crossing < 300  # "within the first few hundred steps", as the figure's description says


def test_a_message_about_the_block_names_the_weights_by_their_shapes():
    exercise = get("pre_norm_block")
    with pytest.raises(Mistake, match=r"w = \{'query': <shape \(\d+, \d+\)>, 'key'"):
        exercise.verify(local_call(lambda x, w, n_heads: x), 0)
