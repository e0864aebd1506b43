"""Every wrong setting is named; a config survives JSON and says in what another one differs."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.training import PLAIN, Mode, TrainerConfig

CASES = {
    "steps": ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
    "many": ({"steps": 1e3}, TypeError, "steps must be an integer, got 1000.0"),
    "truth": ({"steps": True}, TypeError, "steps must be an integer, got True"),
    "optimizer": ({"optimizer": "adam"}, ValueError, "optimizer must be one of adamw, sgd, muon, got 'adam'"),
    "schedule": ({"schedule": None}, ValueError, "schedule must be one of cosine, linear, wsd, constant, got None"),
    "lr": ({"lr": -1e-3}, ValueError, "lr must be at least 0, got -0.001"),
    "no lr": ({"lr": "high"}, TypeError, "lr must be a number, got 'high'"),
    "nan": ({"lr": float("nan")}, ValueError, "lr must be finite, got nan"),
    "decay": ({"weight_decay": float("inf")}, ValueError, "weight_decay must be finite, got inf"),
    "betas": ({"betas": [0.9, 0.99]}, TypeError, "betas must be a tuple of two numbers"),
    "three betas": ({"betas": (0.9, 0.99, 0.999)}, TypeError, "betas must be a tuple of two numbers"),
    "beta": ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\] must be at least 0 and below 1, got 1.0"),
    "momentum": ({"momentum": 1.0}, ValueError, "momentum must be at least 0 and below 1, got 1.0"),
    "nesterov": ({"nesterov": 1}, TypeError, "nesterov must be True or False, got 1"),
    "warmup": ({"warmup": 11}, ValueError, "warmup must be at most steps, got 11 of 10"),
    "share": ({"warmup": 0.1}, TypeError, "warmup must be an integer, got 0.1"),
    "floor": ({"floor": 1.1}, ValueError, "floor must be at most 1, got 1.1"),
    "fall": ({"decay": -0.1}, ValueError, "decay must be at least 0, got -0.1"),
    "norm": ({"max_norm": 0.0}, ValueError, "max_norm must be above 0 or None, got 0.0"),
    "accumulation": ({"accumulation": 0}, ValueError, "accumulation must be at least 1, got 0"),
    "mode": ({"mode": "fast"}, TypeError, r"mode must be a Mode, such as fast_mode\(\), got 'fast'"),
    "ema": ({"ema": 1.0}, ValueError, "ema must be at least 0 and below 1, got 1.0"),
    "recompute": ({"gradient_checkpointing": "yes"}, TypeError, "gradient_checkpointing must be True or False"),
    "seed": ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    "log": ({"log_every": None}, TypeError, "log_every must be an integer, got None"),
    "save": ({"save_every": 0}, ValueError, "save_every must be at least 1, got 0"),
    "keep": ({"keep": 0}, ValueError, "keep must be at least 1, got 0"),
}


@pytest.mark.usefixtures("unchecked_annotations")
@pytest.mark.parametrize(("options", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        TrainerConfig(**{"steps": 10, **options})


CONFIGS = st.builds(
    TrainerConfig,
    steps=st.integers(10, 99),
    optimizer=st.sampled_from(["adamw", "sgd", "muon"]),
    lr=st.floats(0, 1),
    betas=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
    schedule=st.sampled_from(["cosine", "linear", "wsd", "constant"]),
    warmup=st.integers(0, 10),
    max_norm=st.none() | st.floats(0.1, 9),
    mode=st.sampled_from([PLAIN, Mode(autocast=torch.bfloat16)]),
    ema=st.none() | st.floats(0, 0.99),
    seed=st.integers(0, 9),
)


@given(config=CONFIGS)
def test_a_config_survives_json(config):
    assert config.differences(json.loads(json.dumps(config.to_json()))) == []
    assert 0 < config.make_schedule()(0) <= 1


@given(one=CONFIGS, other=CONFIGS)
def test_differences_are_the_fields_that_change_what_is_computed(one, other):
    found = {text.split()[0] for text in one.differences(other.to_json())}
    expected = {name for name, value in vars(one).items() if value != getattr(other, name) and name != "mode"}
    assert found == expected


def test_what_may_change():
    config = TrainerConfig(steps=10)
    other = replace(config, accumulation=3, mode=Mode(is_fused=True), gradient_checkpointing=True, keep=5, save_every=2)
    assert config.differences(other.to_json()) == []
    assert config.differences(replace(config, lr=0.5, seed=3).to_json()) == [
        "lr was 0.5 and is 0.001",
        "seed was 3 and is 0",
    ]
