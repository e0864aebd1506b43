"""What the training lab's text promises is what its cells show."""

import matplotlib.pyplot as plt
import pytest
import torch

from tests.exercises.labs import graded, run, solutions, source

SLUG = "training"
LAB = source(SLUG)


def names(**more):
    return {**solutions(SLUG), "plt": plt, **more}


def test_the_demonstrations_show_what_the_text_says():
    demos = ("demo_valley", "demo_momentum", "demo_scale_free", "demo_small")
    printed, _ = run([graded(LAB, name) for name in demos], names())
    assert printed.splitlines() == [
        "learning rate 0.001: loss 0.4",
        "learning rate 0.01: loss 0.07",
        "learning rate 0.019: loss 0.01",
        "learning rate 0.021: loss 9e+09",
        "beta 0.0: loss 0.07",
        "beta 0.5: loss 0.008",
        "beta 0.8: loss 5e-07",
        "beta 0.99: loss 2",
        "gradient 1e-06 times as long: the weights move by [-0.01, 0.01]",
        "gradient 1 times as long: the weights move by [-0.01, 0.01]",
        "gradient 1e+06 times as long: the weights move by [-0.01, 0.01]",
        "torch.float32: 1 and a thousand times 0.001 make 2.00",
        "torch.float16: 1 and a thousand times 0.001 make 1.98",
        "torch.bfloat16: 1 and a thousand times 0.001 make 1.00",
    ]


def test_the_smallest_float16_is_the_one_the_text_names():
    smallest = torch.tensor(2.0**-24, dtype=torch.float16)
    assert smallest > 0
    assert smallest / 2 == 0
    assert "0.00000006" in graded(LAB, "text_scaled_step").source
    assert round(float(smallest), 8) == 6e-8


def test_a_velocity_of_equal_gradients_grows_towards_its_limit():
    """The first exercise's proposal: 50 steps with beta 0.9 come near ten times the first."""
    velocity = torch.zeros(1)
    for _ in range(50):
        _, velocity = solutions(SLUG)["momentum_step"](torch.zeros(1), torch.ones(1), velocity, 0.1, 0.9)
    assert 9.9 < float(velocity) < 10


def test_multiplying_all_gradients_leaves_adamws_path_alone():
    adamw_step = solutions(SLUG)["adamw_step"]
    ends = []
    for factor in (1.0, 1000.0):
        weight, mean, square = torch.ones(3, dtype=torch.float64), torch.zeros(3), torch.zeros(3)
        for step in range(1, 8):
            gradient = factor * torch.tensor([0.5, -0.2, 1.0], dtype=torch.float64) * step
            weight, mean, square = adamw_step(weight, gradient, mean, square, step, 0.1, (0.9, 0.95), 1e-12, 0.1)
        ends.append(weight)
    torch.testing.assert_close(*ends)


def test_seven_steps_are_three_and_four():
    continue_training = solutions(SLUG)["continue_training"]
    generator = torch.Generator().manual_seed(3)
    data = torch.randn(11, 5, generator=generator)
    start = {"weight": torch.ones(5), "velocity": torch.zeros(5), "step": 0, "generator": generator.get_state()}
    whole = continue_training(start, data, 7, 0.3, 0.8)
    halves = continue_training(continue_training(start, data, 3, 0.3, 0.8), data, 4, 0.3, 0.8)
    assert whole["step"] == halves["step"] == 7
    assert all(torch.equal(whole[name], halves[name]) for name in ("weight", "velocity", "generator"))


@pytest.fixture(scope="module")
def trained():
    """Run the cells that train, once."""
    from companion.device import pick_device

    if pick_device().type != "cpu":
        pytest.skip("the numbers are those of a CPU")
    import collections
    import math

    import torch.nn.functional as F

    more = names(collections=collections, math=math, torch=torch, F=F)
    return run([graded(LAB, "read_recipes"), graded(LAB, "fact_recipes")], more)


@pytest.mark.data
@pytest.mark.slow
def test_the_students_optimizer_trains_a_model_beyond_pairs(trained):
    printed, left = trained
    assert printed == "Bits of the table of pairs, about: 3.5\nYour model needs at least 0.5 bits fewer: True\n"
    losses = left["losses"]
    crossing = next(i for i in range(20, 300) if sum(losses[i - 20 : i]) / 20 < left["pair_bits"])
    assert crossing < 100  # "within the first hundred steps", as the figure's description says


@pytest.mark.data
@pytest.mark.slow
def test_the_model_answer_to_the_open_question_says_what_its_measurement_says(trained):
    _, left = run([graded(LAB, "learning_rate_range_code")], trained[1])
    answer = graded(LAB, "learning_rate_range").source
    means = {key: sum(found) / len(found) for key, found in left["measured"].items()}
    without, warm = ({rate: bits for (steps, rate), bits in means.items() if steps == n} for n in (0, 8))
    assert min(warm, key=warm.get) == min(without, key=without.get) == 1e-2
    assert f"{warm[1e-2]:.1f} and {without[1e-2]:.1f} bits" in answer
    costs = {rate: [bits[rate] - bits[1e-2] for bits in (warm, without)] for rate in warm}
    assert [[round(cost, 1) for cost in costs[rate]] for rate in (3e-3, 3e-2, 1e-1)] == [
        [0.3, 0.4],
        [0.1, 0.2],
        [0.3, 0.7],
    ]
    assert "costs 0.3 or 0.4 bits" in answer
    assert "costs 0.1 or 0.2" in answer
    assert "0.3 with warm-up and 0.7 without" in answer
    assert costs[1e-1][1] > 0.5 > costs[1e-1][0]
    assert all(0 < warm[rate] - without[rate] < 0.11 for rate in (3e-3, 1e-2))
    assert all(round(bits[3e-1], 1) == 4.4 for bits in (warm, without))
    low, high = sorted(left["measured"][0, 3e-2])
    assert high - low > abs(warm[3e-2] - without[3e-2])
