"""Generation is what reading everything anew at each step would choose; texts of a batch do not meet."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.generation import generate, greedy, sampler, stream, temperature, top_k
from companion.models import T5
from tests.generation.small import CONFIGS, make, prompts, read

MODELS = {name: make(config) for name, config in CONFIGS.items()}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
any_model = st.sampled_from(list(MODELS.values()))
any_lengths = st.lists(st.integers(1, 13), min_size=1, max_size=5)
sides = st.sampled_from(["left", "right"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(any_model, any_lengths, sides, st.integers(0, 99))
def test_each_token_is_the_best_after_reading_the_whole_text_alone(model, lengths, side, seed):
    ids, mask = prompts(model.config, lengths, side, seed)
    result = generate(model, ids, attention_mask=mask, max_new_tokens=7)
    for row, real, written in zip(ids, mask.bool(), result.ids, strict=True):
        for i in range(len(written)):
            logits = read(model, row[real][None], written[None, :i])
            assert logits.max() - logits[written[i]] <= 1e-4  # equal but for rounding, where two are equally good


@given(any_model, any_lengths, st.integers(0, 99))
def test_padding_on_either_side_and_between_means_the_same(model, lengths, seed):
    ids, mask = prompts(model.config, lengths, "left", seed)
    expected = generate(model, ids, attention_mask=mask, max_new_tokens=5).ids
    right = generate(model, ids.flip(1), attention_mask=mask.flip(1), max_new_tokens=5)
    rows = [row[real.bool()] for row, real in zip(ids, mask, strict=True)]
    moved, moved_mask = torch.full_like(ids, 3), torch.zeros_like(mask)
    for i, row in enumerate(rows):
        moved[i, : len(row)], moved_mask[i, : len(row)] = row, 1
    assert torch.equal(generate(model, moved, attention_mask=moved_mask, max_new_tokens=5).ids, expected)
    assert right.ids.shape == expected.shape


@every_model
def test_a_text_is_written_as_if_it_were_alone(model):
    ids, mask = prompts(model.config, (13, 5, 2, 13))
    together = generate(model, ids, attention_mask=mask, max_new_tokens=17).ids
    for row, real, written in zip(ids, mask.bool(), together, strict=True):
        assert torch.equal(generate(model, row[real][None], max_new_tokens=17).ids[0], written)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = generate(model, ids[order], attention_mask=mask[order], max_new_tokens=17).ids
    assert torch.equal(shuffled, together[order])


@pytest.mark.parametrize("pick", [greedy, sampler(temperature(0.7))], ids=["greedy", "sampled"])
@every_model
def test_a_text_that_ended_changes_nothing_in_the_others(model, pick):
    ids, mask = prompts(model.config, (7, 3, 5))
    free = generate(model, ids, attention_mask=mask, max_new_tokens=13, pick=pick, generator=seeded())
    end = int(free.ids[0, 2])
    result = generate(
        model, ids, attention_mask=mask, max_new_tokens=13, pick=pick, generator=seeded(), end_ids=[end], pad_id=1
    )
    for row, whole, n in zip(result.ids, free.ids, result.lengths.tolist(), strict=True):
        until = (whole == end).nonzero().flatten().tolist()
        assert n == (until[0] + 1 if until else 13)
        assert torch.equal(row[:n], whole[:n])
        assert (row[n:] == 1).all()
    assert result.lengths[0] <= 3


@every_model
def test_many_steps_and_few_agree(model):
    """The weights are used as they are for a few steps and laid out for many, by one row or several."""
    for lengths in ((5,), (5, 4)):
        ids, mask = prompts(model.config, lengths)
        long = generate(model, ids, attention_mask=mask, max_new_tokens=40).ids
        assert torch.equal(generate(model, ids, attention_mask=mask, max_new_tokens=9).ids, long[:, :9])
        assert torch.equal(generate(model, ids, attention_mask=mask, max_new_tokens=1).ids, long[:, :1])


@given(st.integers(0, 2**31), st.integers(0, 5))
def test_the_same_seed_writes_the_same_text(seed, name):
    model = list(MODELS.values())[name]
    ids, mask = prompts(model.config, (3, 1))
    pick = sampler(temperature(1.3), top_k(20))
    first, again = (
        generate(model, ids, attention_mask=mask, max_new_tokens=6, pick=pick, generator=seeded(seed)).ids
        for _ in range(2)
    )
    assert torch.equal(first, again)


def test_another_seed_writes_another_text():
    model = MODELS["gpt"]
    ids, _ = prompts(model.config, (5,))
    texts = {
        tuple(generate(model, ids, max_new_tokens=20, pick=sampler(temperature(2.0)), generator=seeded(s)).rows()[0])
        for s in range(5)
    }
    assert len(texts) == 5


@every_model
def test_streaming_yields_what_generate_returns(model):
    ids, mask = prompts(model.config, (7, 3))
    options = {"max_new_tokens": 9, "attention_mask": mask, "pad_id": 2}
    free = generate(model, ids, **options)
    options["end_ids"] = [int(free.ids[0, 3])]
    shown = []
    result = generate(model, ids, on_step=shown.append, **options)
    steps = list(stream(model, ids, **options))
    for i, (step, other) in enumerate(zip(steps, shown, strict=True)):
        assert torch.equal(step.tokens, result.ids[:, i])
        assert torch.equal(step.is_new, i < result.lengths)
        assert all(map(torch.equal, step, other))
    assert len(steps) == result.ids.shape[1]


def test_a_stream_computes_only_what_is_asked_for():
    model, steps = make(CONFIGS["gpt"]), []
    ids, _ = prompts(model.config, (5,))

    def pick(logits, generator):
        steps.append(1)
        return greedy(logits)

    stepping = stream(model, ids, max_new_tokens=50, pick=pick)
    assert not steps
    next(stepping), next(stepping)
    assert len(steps) == 2


@every_model
def test_what_was_written_can_be_trained_on(model):
    ids, _ = prompts(model.config, (5,))
    written = generate(model, ids, max_new_tokens=4).ids
    logits = model(ids, written) if isinstance(model, T5) else model(written)
    logits.sum().backward()
    assert not torch.is_inference_mode_enabled()
    assert not next(iter(stream(model, ids, max_new_tokens=4))).tokens.is_inference()
    model.zero_grad()


def test_a_full_model_is_written_to_its_last_position():
    model = MODELS["gpt"]
    ids, _ = prompts(model.config, (11,))
    result = generate(model, ids, max_new_tokens=model.config.max_len - 11)
    assert result.ids.shape == (1, 50)
    logits = read(model, ids, result.ids[:, :-1])
    assert logits.argmax() == result.ids[0, -1]


def test_a_model_trained_further_writes_by_its_new_weights():
    model = make(CONFIGS["gpt"])
    ids, _ = prompts(model.config, (5,))
    before = generate(model, ids, max_new_tokens=20).ids
    model.load_state_dict(make(CONFIGS["gpt"], seed=7).state_dict())
    after = generate(model, ids, max_new_tokens=20).ids
    assert not torch.equal(before, after)
    assert torch.equal(after, generate(make(CONFIGS["gpt"], seed=7), ids, max_new_tokens=20).ids)


def test_writing_leaves_the_model_as_it_was():
    model = make(CONFIGS["llama"])
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generate(model.train(), prompts(model.config, (5,))[0], max_new_tokens=20)
    assert model.training  # it has no dropout, so it need not be told
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_int32_prompts():
    model = MODELS["gpt"]
    ids, _ = prompts(model.config, (5, 5))
    result = generate(model, ids.int(), max_new_tokens=3)
    assert torch.equal(result.ids, generate(model, ids, max_new_tokens=3).ids)
    assert result.ids.dtype == torch.int64
