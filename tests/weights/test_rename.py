"""The tables of names: reversible, complete, and honest about what does not fit."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.weights import BERT_FAMILY, GPT2_FAMILY, LLAMA_FAMILY, T5_FAMILY, RenameTable, Rule
from companion.weights.rename import in_every_layer, rule, weights_and_biases
from companion.weights.settings import Settings
from tests.weights.references import CASES


def table_of(case):
    """Make our model of a case on no memory at all, and the table of its names."""
    reference = case.reference()
    settings = reference.config.to_dict()
    config = case.ours.config_class(
        **case.ours.family.read_config(Settings(settings, "a test", reference.state_dict()))
    )
    with torch.device("meta"):
        model = case.ours(config)
    return model, case.ours.family.table(config), reference


def drawn(tensors):
    return {name: torch.randn(tensor.shape) for name, tensor in tensors.items()}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_table_names_each_of_our_parameters_once_and_each_of_theirs(case):
    model, table, reference = table_of(case)
    ours = [name for one in table.rules for name in one.ours]
    assert sorted(ours) == sorted(model.state_dict())
    theirs = [one.theirs for one in table.rules]
    assert len(set(theirs)) == len(theirs)
    assert {*theirs, *table.tied} == {*reference.state_dict(), *theirs}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_there_and_back_and_back_and_there_change_no_bit(case):
    model, table, _ = table_of(case)
    ours = drawn(model.state_dict())
    theirs = table.write(ours)
    back = table.read(theirs)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in ours.items())
    again = table.write(back)
    assert again.keys() == theirs.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in theirs.items())


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_a_rule_undoes_itself_in_every_shape_and_dtype(n_parts, out, width, transposed, dtype):
    one = Rule(tuple(f"part{i}" for i in range(n_parts)), "fused", transposed)
    shape = (width, n_parts * out) if transposed else (n_parts * out, width)
    stored = torch.randn(shape).to(dtype)
    parts = one.read(stored)
    assert [tuple(part.shape) for part in parts.values()] == [(out, width)] * n_parts
    assert torch.equal(one.write(parts), stored)


def test_a_fused_matrix_is_split_in_the_order_of_the_names():
    one = rule(("query", "key", "value"), "c_attn", transposed=True)
    stored = torch.arange(12.0).reshape(2, 6)  # (in, 3 x out)
    parts = one.read(stored)
    assert torch.equal(parts["query"], torch.tensor([[0.0, 6.0], [1.0, 7.0]]))
    assert torch.equal(parts["value"], torch.tensor([[4.0, 10.0], [5.0, 11.0]]))


def test_rules_of_a_layer_are_repeated_with_its_number():
    rules = in_every_layer("blocks.{i}.", "h.{i}.", 2, weights_and_biases("up", "c_fc", transposed=True))
    assert [(one.ours, one.theirs, one.transposed) for one in rules] == [
        (("blocks.0.up.weight",), "h.0.c_fc.weight", True),
        (("blocks.0.up.bias",), "h.0.c_fc.bias", False),
        (("blocks.1.up.weight",), "h.1.c_fc.weight", True),
        (("blocks.1.up.bias",), "h.1.c_fc.bias", False),
    ]


TABLE = RenameTable(
    rules=(rule("a", "body.a"), rule(("b", "c"), "body.bc"), rule("d", "top.d"), rule("e", "top.e")),
    prefix="body.",
    old_names={r"gamma$": "a"},
    tied={"top.a": "body.a"},
    ignored=(r"body\.mask\d+",),
    optional=("top.",),
)


def test_a_prefix_may_be_there_or_not():
    for names in (["body.a", "body.bc"], ["a", "bc"], ["body.a", "bc"]):
        match = TABLE.match(names)
        assert list(match.found) == ["body.a", "body.bc"]
        assert list(match.found.values()) == names
        assert not match.missing + match.unexpected + match.doubled


def test_old_names_ignored_ones_and_a_part_that_is_not_there_are_told_apart():
    match = TABLE.match(["gamma", "bc", "mask3", "top.a"])
    assert match.found == {"body.a": "gamma", "body.bc": "bc"}
    assert match.ignored == ("mask3",)
    assert match.tied == {"top.a": "body.a"}
    assert match.absent == ("top.d", "top.e")
    assert match.missing == match.unexpected == ()


def test_a_part_that_is_there_by_half_is_missing_the_rest():
    match = TABLE.match(["a", "bc", "top.d"])
    assert match.missing == ("top.e",)
    assert match.absent == ()


def test_all_that_is_missing_unexpected_or_there_twice_is_listed():
    match = TABLE.match(["a", "body.a", "mystery", "other.mystery"])
    assert match.missing == ("body.bc",)
    assert match.unexpected == ("mystery", "other.mystery")
    assert match.doubled == (("a", "body.a"),)


def test_of_two_tied_tensors_one_is_enough():
    untied = dataclasses.replace(TABLE, rules=(*TABLE.rules, rule("f", "top.a")))
    for names, of_a, of_f in [
        (["a", "bc"], "a", "a"),
        (["top.a", "bc"], "top.a", "top.a"),
        (["a", "top.a", "bc"], "a", "top.a"),
    ]:
        found = untied.match(names).found
        assert (found["body.a"], found["top.a"]) == (of_a, of_f)
        assert untied.match(names).tied == {}
    alone = TABLE.match(["top.a", "bc"])
    assert alone.found["body.a"] == "top.a"
    assert alone.tied == {}
    assert alone.missing == ()


@dataclasses.dataclass
class Sizes:
    n_layers: int = 1
    n_decoder_layers: int = 1
    bias: bool = True
    tied: bool = True
    gated: bool = False


# Names that stand in the files of the hub, as far as they differ from what transformers writes today.
HUB = {
    "gpt2": (
        GPT2_FAMILY,
        ["h.0.attn.bias", "h.0.attn.masked_bias", "transformer.h.0.attn.bias"],
        {"wte.weight": "transformer.wte.weight", "h.0.attn.c_attn.bias": "transformer.h.0.attn.c_attn.bias"},
    ),
    "bert-base-uncased": (
        BERT_FAMILY,
        ["bert.embeddings.position_ids", "embeddings.position_ids"],
        {
            "bert.embeddings.LayerNorm.gamma": "bert.embeddings.LayerNorm.weight",
            "bert.encoder.layer.0.output.LayerNorm.beta": "bert.encoder.layer.0.output.LayerNorm.bias",
            "cls.predictions.transform.LayerNorm.gamma": "cls.predictions.transform.LayerNorm.weight",
            "embeddings.LayerNorm.bias": "bert.embeddings.LayerNorm.bias",
        },
    ),
    "t5-small": (
        T5_FAMILY,
        ["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"],
        {"encoder.embed_tokens.weight": "shared.weight"},
    ),
    "llama": (
        LLAMA_FAMILY,
        ["model.layers.0.self_attn.rotary_emb.inv_freq", "layers.0.self_attn.rotary_emb.inv_freq"],
        {"layers.0.mlp.up_proj.weight": "model.layers.0.mlp.up_proj.weight", "norm.weight": "model.norm.weight"},
    ),
}


@pytest.mark.parametrize("name", HUB)
def test_names_of_the_hub_s_files_are_known(name):
    family, ignored, renamed = HUB[name]
    table = family.table(Sizes())
    for one in ignored:
        assert table.match([one]).ignored == (one,)
    for theirs, now in renamed.items():
        match = table.match([theirs])
        assert match.found[now] == theirs
        assert match.unexpected == ()
