"""Presets: complete, consistent, and refused where their parts do not belong together."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from companion.data import sources
from companion.models import BERTConfig, GPTConfig
from companion.pretraining import PRESETS, Options, get_preset
from companion.pretraining.run import command_of
from tests.pretraining import small


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_a_preset_is_of_texts_that_there_are_and_json_can_hold_it(preset):
    assert set(preset.data) <= {source.name for source in sources()}
    assert json.loads(json.dumps(preset.to_json())) == preset.to_json()
    assert preset.examples
    marks = {"causal": "", "masked": "[MASK]", "spans": "<extra_id_0>"}
    assert all(marks[preset.objective] in text for text in preset.examples)


def test_presets_are_frozen():
    with pytest.raises(FrozenInstanceError):
        get_preset("tiny-gpt").length = 3


def test_an_unknown_preset_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="preset must be one of tiny-gpt, tiny-bert, tiny-t5, tiny-bert-zh, got 'x'"):
        get_preset("x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "guess"}, "objective"),
        ({"tokenizer": "words"}, "tokenizer"),
        ({"words": "letters"}, "words"),
        ({"objective": "masked"}, "model must be a BERTConfig for the objective 'masked', got"),
        ({"data": ()}, "data must be a tuple of at least one name"),
        ({"data": "recipes"}, "data"),
        ({"length": 0}, "length must be at least 1"),
        ({"length": 97}, "length must be at most the model's max_len 96, got 97"),
        ({"hidden_share": 1.0}, "hidden_share must be above 0 and below 1"),
        ({"span_length": 0.5}, "span_length must be at least 1"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        replace(small.PRESETS["causal"], **changes)


def test_a_run_of_another_length_keeps_the_share_of_the_warm_up():
    recipe = small.PRESETS["causal"].recipe_for(200)
    assert (recipe.steps, recipe.warmup) == (200, 20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 3, "minutes": 1.0}, "give steps or minutes, not both"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"minutes": 0.0}, "minutes must be above 0, got 0.0"),
        ({"minutes": float("nan")}, "minutes must be finite"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"preset": 3}, "preset"),
    ],
)
def test_options_out_of_range_are_refused(changes, message, tmp_path):
    with pytest.raises((TypeError, ValueError), match=message):
        Options(**({"preset": "tiny-gpt", "out": tmp_path} | changes))


def test_the_command_says_all_that_decides_the_run(tmp_path):
    options = Options(preset="tiny-gpt", out=tmp_path / "mine", data=("kjv",), minutes=3.0, seed=5)
    command = command_of(options, options.resolve(), 70)
    assert command == "companion pretrain --preset tiny-gpt --data kjv --steps 70 --seed 5 --out mine"


def test_sizes_of_the_presets_are_those_of_their_kind():
    assert isinstance(get_preset("tiny-gpt").model, GPTConfig)
    assert isinstance(get_preset("tiny-bert-zh").model, BERTConfig)
